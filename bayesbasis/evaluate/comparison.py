"""Comparison: which model forecasts best, by how much, and how sure that is."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.evaluate.backtesting import Model, Origins, backtest
from bayesbasis.evaluate.stacking import stacking_weights
from bayesbasis.evaluate.summary import common_points, differences, resample, summarise

_BASIS_POINTS = 1e4


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a backtest says about models.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a model, best CRPS first. Over the quotes that all have forecast: ``crps`` (bp),
        ``log_score`` (nats), ``coverage_50`` to ``coverage_95``, ``width_90`` (bp), ``error``
        (median less quote, bp), each with its standard error by contract (``_se``); ``energy``
        (bp); ``elpd`` (nats a quote, by leave-future-out) with its standard error by origin;
        ``weight`` in the stack; and of its fits: ``r_hat`` (greatest), ``ess_bulk`` (smallest),
        ``divergences``, ``first_s`` and ``next_s`` (seconds of a fit from scratch, and of one that
        starts from the one before, hindcasts included; compilation apart,
        ``compile_s``), ``peak_mb`` and ``failed`` windows.
    pairs : pandas.DataFrame
        A row a pair: the mean difference in CRPS (bp), first less second, with its interval.
    buckets : pandas.DataFrame
        CRPS (bp) of every model by time to expiry, and its 90 % coverage.
    scores : xarray.Dataset
        From `backtest`.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    buckets: pd.DataFrame
    scores: xr.Dataset

    @property
    def cards(self) -> dict[str, str]:
        """Text of every model's card, or what a baseline is."""
        return dict(json.loads(self.scores.attrs.get("cards", "{}")))

    def __str__(self) -> str:
        """Sum up in a few lines."""
        shown = ["crps", "crps_se", "log_score", "coverage_90", "width_90", "elpd", "weight"]
        best = self.table.index[0]
        quotes = int(self.table.attrs["quotes"])
        lines = [
            f"{quotes:,} quotes of {self.table.attrs['contracts']} contracts forecast from "
            f"{self.scores.sizes['window']} origins by every model; CRPS and width in bp",
            self.table[shown].round(3).to_string(),
            *(
                f"{best} less {row.other}: {row.difference:+.2f} bp "
                f"({row.lower:+.2f} to {row.upper:+.2f})"
                for row in self.pairs[self.pairs["model"] == best].itertuples()
            ),
        ]
        return "\n".join(lines)


def compare(
    models: Mapping[str, Model] | Iterable[Model] | xr.Dataset,
    panel: xr.Dataset | None = None,
    origins: Origins = "MS",
    horizon: str | np.timedelta64 = "60D",
    *,
    seed: int = 1,
    store: str | PathLike[str] | None = None,
    processes: int = 1,
    progress: bool = True,
) -> Comparison:
    """Compare models by what they forecast out of sample.

    Parameters
    ----------
    models : mapping, iterable or xarray.Dataset
        As for `backtest`, or what it returned.
    panel : xarray.Dataset, optional
        From `make_panel`; not needed for a backtest that is done.
    origins, horizon, seed, store, processes, progress
        As for `backtest`. For what else it takes, run it first and give what it returns.

    Returns
    -------
    Comparison
        Its text is a table.

    Raises
    ------
    ValueError
        If there is no panel to test on, or no quote that every model has forecast.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> found = bb.compare(["ou", "straight-line"], panel, origins="MS")  # doctest: +SKIP
    >>> print(found)  # doctest: +SKIP
    """
    if isinstance(models, xr.Dataset):
        scores = models
    elif panel is None:
        raise ValueError("there is no panel to test on; give one, or a backtest that is done")
    else:
        scores = backtest(
            models,
            panel,
            origins,
            horizon,
            seed=seed,
            store=store,
            processes=processes,
            progress=progress,
        )
    return Comparison(_table(scores), _pairs(scores), _buckets(scores), scores)


def _table(scores: xr.Dataset) -> pd.DataFrame:
    measures = ("crps", "log_score", "error", "covered", "width")
    mean = summarise(scores, measures=measures)
    columns: dict[str, Any] = {}
    for name, scale in (("crps", _BASIS_POINTS), ("log_score", 1.0), ("error", _BASIS_POINTS)):
        columns[name] = scale * mean[name]
        columns[f"{name}_se"] = scale * mean[f"{name}_se"]
    for level in mean["level"].values:
        at = mean.sel(level=level)
        columns[f"coverage_{100 * level:g}"] = at["covered"]
        columns[f"coverage_{100 * level:g}_se"] = at["covered_se"]
        columns[f"width_{100 * level:g}"] = _BASIS_POINTS * at["width"]
    table = pd.DataFrame({k: v.values for k, v in columns.items()}, mean["model"].values)
    table["energy"] = _BASIS_POINTS * _mean_energy(scores).reindex(table.index)
    table = table.join(_elpd(scores)).join(stacking_weights(scores)).join(_fits(scores))
    common = common_points(scores)
    table.attrs = {
        "quotes": common.sizes["point"],
        "contracts": len(np.unique(common["contract"].values)),
    }
    table.index.name = "model"
    return table.sort_values("crps")


def _mean_energy(scores: xr.Dataset) -> "pd.Series[float]":
    energy = scores["energy"].transpose("model", "curve").values
    done = np.isfinite(energy)
    tried = done.any(axis=1)
    common = energy[tried][:, done[tried].all(axis=0)]
    return pd.Series(common.mean(axis=1), scores["model"].values[tried])


def _elpd(scores: xr.Dataset) -> pd.DataFrame:
    """Mean log density a quote, of the events that all models with densities have scored."""
    empty = pd.DataFrame(columns=["elpd", "elpd_se"], dtype=float)
    if "elpd" not in scores:
        return empty
    density = scores["elpd"].transpose("model", "event").values
    done = np.isfinite(density)
    tried = done.any(axis=1)
    common = done[tried].all(axis=0)
    size, origin = (scores[n].values[common] for n in ("event_size", "event_origin"))
    values, place = density[tried][:, common], np.unique(origin, return_inverse=True)[1]
    count = place.max(initial=0) + 1
    # Windows follow one another: the origin is the block.
    cell = (place[:, None] == np.arange(count)).astype(float)
    total, weight = values @ cell, size @ cell
    drawn = resample(xr.Dataset({"contract": ("origin", np.arange(count))}), 1000, 0)
    error = (drawn @ total.T / (drawn @ weight)[:, None]).std(0)
    mean = total.sum(1) / weight.sum()
    return pd.DataFrame({"elpd": mean, "elpd_se": error}, scores["model"].values[tried])


def _fits(scores: xr.Dataset) -> pd.DataFrame:
    warm = scores["warm"]
    found = {
        "r_hat": scores["r_hat"].max("window"),
        "ess_bulk": scores["ess_bulk"].min("window"),
        "divergences": scores["divergences"].sum("window", min_count=1),
        "first_s": scores["fit_s"].where(warm == 0).mean("window"),
        "next_s": scores["fit_s"].where(warm == 1).mean("window"),
        "compile_s": scores["compile_s"].max("window"),
        "window_s": scores["window_s"].mean("window"),
        "peak_mb": scores["peak_mb"].max("window"),
        "failed": (scores["failure"] != "").sum("window"),
    }
    return pd.DataFrame({k: v.values for k, v in found.items()}, scores["model"].values)


def _pairs(scores: xr.Dataset) -> pd.DataFrame:
    gaps = _BASIS_POINTS * differences(scores)
    table = gaps.to_dataframe().reset_index()
    return table[table["model"] != table["other"]].reset_index(drop=True)


def _buckets(scores: xr.Dataset) -> pd.DataFrame:
    mean = summarise(scores, "bucket", measures=("crps", "covered"))
    found = {
        "crps": _BASIS_POINTS * mean["crps"],
        "coverage_90": mean["covered"].sel(level=0.9, method="nearest"),
    }
    models, buckets = mean["model"].values, mean["bucket"].values
    frames = {
        name: pd.DataFrame(value.transpose("model", "bucket").values, models, buckets)
        for name, value in found.items()
    }
    both = pd.concat(frames, axis=1)
    both.columns.names = ["score", "bucket"]
    return both.loc[:, both.notna().any()]
