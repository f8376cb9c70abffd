"""Backtests: forecasts from origin after origin, each from what was known then, all scored."""

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.data.panel import instant, panel_hash
from bayesbasis.evaluate.baselines import BASELINES, Baseline
from bayesbasis.evaluate.blocks import Block, Effort, Span
from bayesbasis.evaluate.parallel import run_blocks
from bayesbasis.evaluate.windows import describe
from bayesbasis.forecast.calendar import positive_time
from bayesbasis.model.cards import load_card
from bayesbasis.model.spec import Spec

type Model = Spec | Baseline | str
type Origins = str | Sequence[Any] | pd.DatetimeIndex

_PER_WINDOW = {
    "window_s": ("s", "time of the window, compilation left out"),
    "fit_s": ("s", "time of its fit and hindcasts, compilation left out"),
    "compile_s": ("s", "time of compilation"),
    "warm": ("1", "whether its fit started from the one before"),
    "r_hat": ("1", "greatest R-hat"),
    "ess_bulk": ("1", "smallest bulk effective sample size"),
    "divergences": ("1", "divergent transitions"),
    "peak_mb": ("MB", "most memory the process had held"),
}

# Of each group of a window: its dim in the result, and what tells its elements apart.
_KEYS = {
    "points": ("point", ("origin", "contract", "time")),
    "curve": ("curve", ("curve_origin", "curve_underlying", "curve_time")),
    "elpd": ("event", ("event_origin", "event_underlying", "event_time")),
}


def backtest(
    models: Mapping[str, Model] | Iterable[Model],
    panel: xr.Dataset,
    origins: Origins = "MS",
    horizon: str | np.timedelta64 = "60D",
    *,
    refit: Literal["expanding", "rolling"] | int = "expanding",
    history: str | np.timedelta64 | None = None,
    draws: int = 300,
    tune: int = 1000,
    warm_tune: int = 100,
    chains: int = 2,
    repeats: int = 1,
    block: int = 12,
    seed: int = 1,
    hindcasts: bool = True,
    store: str | PathLike[str] | None = None,
    client: Any = None,
    processes: int = 1,
    progress: bool = True,
) -> xr.Dataset:
    """Forecast from every origin with every model, from what was known then, and score it all.

    Parameters
    ----------
    models : mapping or iterable
        Models by name, or without names: specs, names of cards, baselines
        or names of baselines.
    panel : xarray.Dataset
        From `make_panel`.
    origins : str or sequence
        Instants of the forecasts, UTC; or a pandas frequency such as ``"MS"`` (the first of each
        month), of which those count that have a year's fifth of quotes before them.
    horizon : str or numpy.timedelta64
        How far to forecast, for instance ``"60D"``.
    refit : {"expanding", "rolling"} or int
        Fit at every origin to all quotes known, or to those of the last `history`; or to all, but
        only at every so many origins: in between new quotes are filtered, no parameter changes.
    history : str or numpy.timedelta64, optional
        How far back to look when ``refit="rolling"``.
    draws, tune, chains : int
        As in `fit`, kept short: scores average over many forecasts.
    repeats : int
        Paths of every draw. The CRPS of sixty days of one origin, from 1,200 paths that share
        their shocks along the curve, is off by two per cent; ten times as many make it half of one.
    warm_tune : int
        Tuning of a fit that starts from the one before it.
    block : int
        Fits in a row that start from the one before; then one starts from scratch. Blocks are what
        runs in parallel, and results do not depend on how.
    seed : int
        Same seed, same numbers: in one process or many, in one go or resumed.
    hindcasts : bool
        Whether every fit looks back, so that bands are as wide as its hindcasts say; see `fit`.
    store : path, optional
        Folder that keeps every finished window, so that a run that was killed resumes. A window is
        known by card, quotes, origin, settings and the version of this package: after a change of
        its code take another folder.
    client : dask.distributed.Client, optional
        Run on its workers; they must see `store` for windows to survive them.
    processes : int
        Processes on this machine.
    progress : bool
        Show how far it is and how long it will take.

    Returns
    -------
    xarray.Dataset
        Dims model and ``point`` (a quote forecast from an origin; coords ``origin``, ``contract``,
        ``underlying``, ``time``, ``tau`` in years, ``horizon`` in days): the scores of
        `bayesbasis.score` and ``regime`` (likeliest at the origin); model and ``curve``:
        ``energy``; model and ``event``: ``elpd``, by leave-future-out; model and ``window``: time,
        memory, diagnosis, and ``failure``, why a window failed (empty where it did not). Attrs hold
        the models' cards, the hash of the data, the horizon and the seed.

    Raises
    ------
    ValueError
        If there is no model, no usable origin, or an argument makes no sense.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> scores = bb.backtest(["ou", "no-change"], panel, "MS", "60D")  # doctest: +SKIP
    """
    chosen = name_models(models)
    starts = choose_origins(panel, origins)
    every, length = _refitting(refit, history)
    ahead = positive_time("horizon", horizon, "60D")
    effort = Effort(ahead, draws, chains, tune, warm_tune, length, seed, hindcasts, repeats)
    spans = _spans(starts, effort.horizon, every)
    folder = make_store(store)
    blocks = [
        Block(name, model, panel, tuple(spans[i : i + block]), effort, folder)
        for name, model in chosen.items()
        for i in range(0, len(spans), block)
    ]
    windows = run_blocks(blocks, client=client, processes=processes, progress=progress)
    return gather(windows, list(chosen), starts).assign_attrs(
        cards=json.dumps({name: describe(model) for name, model in chosen.items()}),
        data_hash=panel_hash(panel),
        horizon=str(pd.Timedelta(effort.horizon)),
        seed=seed,
    )


def make_store(store: str | PathLike[str] | None) -> str | None:
    """Make the folder that keeps finished windows."""
    if store is None:
        return None
    Path(store).mkdir(parents=True, exist_ok=True)
    return str(store)


def name_models(
    models: Mapping[str, Model] | Iterable[Model],
) -> dict[str, Spec | Baseline]:
    """Find what each model is, and a name for it."""
    given = models.items() if isinstance(models, Mapping) else [(None, m) for m in models]
    named: dict[str, Spec | Baseline] = {}
    for name, model in given:
        found: Spec | Baseline
        found = (BASELINES.get(model) or load_card(model)) if isinstance(model, str) else model
        label = name or found.name
        if label in named:
            raise ValueError(f"two models are named {label!r}; give a mapping of names to models")
        named[label] = found
    if not named:
        raise ValueError("there is no model to test; give at least one spec, card or baseline")
    return named


def choose_origins(panel: xr.Dataset, origins: Origins) -> list[np.datetime64]:
    """Instants of the forecasts, in order."""
    first, last = (pd.Timestamp(f(panel["time"].values)) for f in (np.min, np.max))
    if isinstance(origins, str):
        regular = pd.date_range(first + pd.Timedelta("73D"), last, freq=origins, normalize=True)
        chosen = [instant(t) for t in regular]
    else:
        chosen = sorted({instant(t) for t in origins})
    early = [t for t in chosen if not first <= pd.Timestamp(t) < last]
    if early or not chosen:
        raise ValueError(
            f"{f'origin {early[0]:.19} is not' if early else f'no origin of {origins!r} is'}"
            f" between the first quote, {first}, and the last, {last}"
        )
    return chosen


def gather(
    windows: Sequence[xr.DataTree], models: Sequence[str], origins: Sequence[np.datetime64]
) -> xr.Dataset:
    """Join windows to one Dataset; see `backtest`."""
    parts = [_joined(windows, group, models) for group in _KEYS]
    place = {str(origin): column for column, origin in enumerate(origins)}
    at = tuple(
        np.array([(models.index(w.attrs["model"]), place[w.attrs["origin"]]) for w in windows]).T
    )
    shape, dims = (len(models), len(origins)), ("model", "window")
    window = xr.Dataset(coords={"model": list(models), "window": np.array(origins)})
    for name, (units, text) in _PER_WINDOW.items():
        values = np.full(shape, np.nan)
        values[at] = [w.attrs.get(name, np.nan) for w in windows]
        window[name] = (dims, values, {"units": units, "long_name": text})
    failure = np.full(shape, "", dtype=object)
    failure[at] = [w.attrs["error"] for w in windows]
    window["failure"] = (dims, failure.astype(str), {"long_name": "why the window failed"})
    return xr.merge([window, *parts], join="left", compat="no_conflicts", combine_attrs="override")


def _joined(windows: Sequence[xr.DataTree], group: str, models: Sequence[str]) -> xr.Dataset:
    """Line up one group of all windows, dims model and its own; missing where a window failed."""
    dim, names = _KEYS[group]
    each = [
        (w.attrs["model"], _with_origin(w[group].to_dataset(), dim, w.attrs["origin"]))
        for w in windows
        if group in w.children
    ]
    if not each:
        return xr.Dataset()
    flat = xr.concat([data for _, data in each], dim, data_vars="all", combine_attrs="override")
    row = np.repeat([models.index(m) for m, _ in each], [data.sizes[dim] for _, data in each])
    key = pd.MultiIndex.from_arrays([flat[name].values for name in names])
    column, union = pd.factorize(key, sort=True)
    result = xr.Dataset()
    for name, variable in flat.transpose(dim, ...).variables.items():
        if dim not in variable.dims:
            result = result.assign_coords({name: variable})
        elif name in flat.coords:
            values = np.empty(len(union), variable.dtype)
            values[column] = variable.values
            result = result.assign_coords({name: (dim, values, variable.attrs)})
        else:
            whole = np.full((len(models), len(union), *variable.shape[1:]), np.nan)
            whole[row, column] = variable.values
            result[name] = (("model", *variable.dims), whole, variable.attrs)
    return result.assign_coords(model=list(models))


def _with_origin(data: xr.Dataset, dim: str, origin: str) -> xr.Dataset:
    name = "origin" if dim == "point" else f"{dim}_origin"
    return data.assign_coords({name: (dim, np.full(data.sizes[dim], np.datetime64(origin, "ns")))})


def _refitting(
    refit: Literal["expanding", "rolling"] | int, history: str | np.timedelta64 | None
) -> tuple[int, np.timedelta64 | None]:
    """Origins a fit serves, and how far back it looks."""
    if (refit == "rolling") != (history is not None):
        raise ValueError(
            f"refit is {refit!r} and history {history!r}: a rolling refit needs a history such as "
            '"365D", any other takes none'
        )
    if refit in ("expanding", "rolling"):
        return 1, None if history is None else positive_time("history", history, "60D")
    if not isinstance(refit, int) or refit < 1:
        raise ValueError(
            f"refit is {refit!r}; choose 'expanding', 'rolling' or a number of origins"
        )
    return refit, None


def _spans(origins: Sequence[np.datetime64], horizon: np.timedelta64, every: int) -> list[Span]:
    """Cut the origins into spans; densities go to the next origin, never beyond the horizon."""
    following = [*origins[1:], origins[-1] + horizon]
    ends = [min(after, origin + horizon) for origin, after in zip(origins, following, strict=True)]
    return [
        Span(tuple(origins[i : i + every]), tuple(ends[i : i + every]))
        for i in range(0, len(origins), every)
    ]
