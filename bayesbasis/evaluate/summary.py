"""Averages of scores, with standard errors that know that errors along a contract hang together."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[Any]
type Grouping = Literal["bucket", "horizon", "contract", "regime"]

EDGES = (0.0, 7.0, 14.0, 30.0, 60.0, np.inf)
BUCKETS = ("0–7 d", "7–14 d", "14–30 d", "30–60 d", "60+ d")
MEASURES = ("crps", "log_score", "error", "interval_score", "covered", "width")

_DAYS_PER_YEAR = 365.0


def summarise(
    scores: xr.Dataset,
    by: Grouping | None = None,
    *,
    measures: Sequence[str] = MEASURES,
    resamples: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Average scores over the quotes that every model has forecast, with standard errors.

    Errors along one contract are dependent: contracts are drawn with replacement, each with all
    its quotes (block bootstrap).

    Parameters
    ----------
    scores : xarray.Dataset
        From `backtest`.
    by : {"bucket", "horizon", "contract", "regime"}, optional
        By time to expiry (0–7, 7–14, 14–30, 30–60, 60+ days), by days ahead (the same), by
        contract, or by the likeliest regime at the origin, of the first model that has regimes.
    measures : sequence of str
        Variables of `scores` with dims model and point.
    resamples : int
        Bootstrap samples.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    xarray.Dataset
        Dims model and, if asked for, the name of the grouping: the mean of each measure, its
        standard error ``{measure}_se`` (missing where there is but one contract), and ``quotes``,
        how many there are.

    Raises
    ------
    ValueError
        If no quote was forecast by every model, or the grouping is unknown.

    References
    ----------
    Künsch (1989), doi 10.1214/aos/1176347265.
    """
    common = common_points(scores)
    names, member = groups(common, by)
    draws = resample(common, resamples, seed)
    result = xr.Dataset(coords={"model": common["model"].values})
    if by is not None:
        result = result.assign_coords({by: names})
    for measure in measures:
        mean, each = averages(common[measure], common["contract"].values, member, draws)
        several = np.array([len(set(common["contract"].values[row])) > 1 for row in member])
        error = np.where(several.reshape(-1, *[1] * (each.ndim - 3)), spread(each), np.nan)
        dims = ("model", by or "all", *common[measure].dims[2:])
        attrs = common[measure].attrs
        for name, values in ((measure, mean), (f"{measure}_se", error)):
            found = xr.DataArray(values, dims=dims, attrs=attrs)
            result[name] = found if by is not None else found.isel(all=0)
    quotes = xr.DataArray(member.sum(1), dims=by or "all")
    result["quotes"] = quotes if by is not None else quotes.isel(all=0)
    return result.assign_coords({k: common[k] for k in ("level", "quantile") if k in common.coords})


def differences(
    scores: xr.Dataset,
    measure: str = "crps",
    by: Grouping | None = None,
    *,
    prob: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Compare every two models on the quotes that all have forecast.

    Parameters
    ----------
    scores, by, resamples, seed
        As for `summarise`.
    measure : str
        What to compare.
    prob : float
        Probability of the intervals.

    Returns
    -------
    xarray.Dataset
        Dims model, other and, if asked for, the name of the grouping: ``difference`` (of model
        less other), ``lower`` and ``upper`` (bootstrap over contracts).
    """
    common = common_points(scores)
    names, member = groups(common, by)
    draws = resample(common, resamples, seed)
    mean, each = averages(common[measure], common["contract"].values, member, draws)
    gap, gaps = mean[:, None] - mean[None], each[:, :, None] - each[:, None]
    lower, upper = tails(gaps, prob)
    models = common["model"].values
    dims, coords = ("model", "other", by or "all"), {"model": models, "other": models}
    values = {"difference": gap, "lower": lower, "upper": upper}
    result = xr.Dataset({name: (dims, value) for name, value in values.items()}, coords)
    result = result.isel(all=0) if by is None else result.assign_coords({by: names})
    return result.assign_attrs(measure=measure, prob=prob)


def common_points(scores: xr.Dataset) -> xr.Dataset:
    """Keep the quotes that every model has forecast; models that have forecast none go."""
    done = np.isfinite(scores["crps"].transpose("model", "point").values)
    models = done.any(axis=1)
    points = done[models].all(axis=0)
    if not points.any():
        raise ValueError(
            "no quote was forecast by every model: leave out those that failed, see `failure`"
        )
    return scores.isel(model=np.flatnonzero(models), point=np.flatnonzero(points))


def resample(scores: xr.Dataset, resamples: int, seed: int) -> Array:
    """How often each contract is drawn, shape (resample, contract)."""
    count = len(np.unique(scores["contract"].values))
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)


def averages(
    measure: xr.DataArray, contract: Array, member: Array, draws: Array
) -> tuple[Array, Array]:
    """Mean of each group, and of each resample.

    Parameters
    ----------
    measure : xarray.DataArray
        Dims model, point and any others.
    contract : ndarray, shape (point,)
        Contract of each quote.
    member : ndarray of bool, shape (group, point)
        Which quotes are in which group.
    draws : ndarray, shape (resample, contract)
        From `resample`.

    Returns
    -------
    mean : ndarray, shape (model, group, ...)
    each : ndarray, shape (resample, model, group, ...)
        Missing where a resample has no quote of a group.
    """
    values = np.moveaxis(measure.transpose("model", "point", ...).values, 1, 0)
    cell = np.unique(contract, return_inverse=True)[1][:, None] == np.arange(draws.shape[1])
    weight = (cell[:, :, None] & member.T[:, None, :]).astype(float)
    total = np.einsum("pcg,pm...->cgm...", weight, values)
    count = weight.sum(0)
    tail = (1,) * (values.ndim - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total.sum(0) / count.sum(0).reshape(-1, *tail)
        each = np.einsum("rc,cg...->rg...", draws, total) / (draws @ count).reshape(
            len(draws), -1, *tail
        )
    return np.moveaxis(mean, 0, 1), np.moveaxis(each, 1, 2)


def spread(each: Array) -> Array:
    """Standard deviation over resamples, of those that have a quote of the group."""
    count = np.isfinite(each).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(each, 0) / count
        return np.sqrt(np.nansum((each - mean) ** 2, 0) / count)


def tails(each: Array, prob: float) -> Array:
    """Bounds of the equal-tailed interval over resamples; missing where all are."""
    empty = np.isnan(each).all(axis=0)
    found = np.nanquantile(np.where(empty, 0, each), [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    return np.where(empty, np.nan, found)


def bucket_of(days: Array) -> Array:
    """Position of each time to expiry, in days, among the buckets."""
    return np.searchsorted(EDGES[1:-1], days, side="left")


def groups(scores: xr.Dataset, by: Grouping | None) -> tuple[list[Any], Array]:
    """Names of the groups, and which quote is in which."""
    if by is None:
        return [None], np.ones((1, scores.sizes["point"]), bool)
    if by in ("bucket", "horizon"):
        days = scores["tau"] * _DAYS_PER_YEAR if by == "bucket" else scores["horizon"]
        return list(BUCKETS), bucket_of(days.values) == np.arange(len(BUCKETS))[:, None]
    if by == "contract":
        names = np.unique(scores["contract"].values)
        return names.tolist(), scores["contract"].values == names[:, None]
    if by == "regime":
        regime = scores["regime"].transpose("model", "point").values
        with_regimes = np.flatnonzero(np.isfinite(regime).all(axis=1))
        if not with_regimes.size:
            raise ValueError("no model has regimes: group by bucket, horizon or contract")
        own = regime[with_regimes[0]].astype(int)
        kinds = np.unique(own)
        return kinds.tolist(), own == kinds[:, None]
    raise ValueError(f"by is {by!r}; choose 'bucket', 'horizon', 'contract' or 'regime'")
