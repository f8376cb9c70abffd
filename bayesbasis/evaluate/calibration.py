"""Calibration: whether forecasts happen as often as they say."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.evaluate.summary import (
    BUCKETS,
    Grouping,
    averages,
    bucket_of,
    common_points,
    groups,
    resample,
    spread,
    summarise,
    tails,
)

Array = NDArray[Any]

_DAYS_PER_YEAR = 365.0


def pit_histogram(
    scores: xr.Dataset, *, bins: int = 10, prob: float = 0.95, resamples: int = 2000, seed: int = 0
) -> xr.Dataset:
    r"""Histogram of the probability integral transform by time to expiry, with bands.

    A calibrated forecast has a flat one. The band holds all bins of a calibrated forecast together
    with probability `prob`: its half-width is :math:`q\,s`, where :math:`s` is the bootstrap
    standard error of a bin, pooled over bins, which are alike if the forecast is calibrated, and q
    the quantile of the greatest deviation over bins in units of it. Contracts are drawn whole, so
    that the band is as wide as dependence along a contract makes it.

    Parameters
    ----------
    scores : xarray.Dataset
        From `backtest`.
    bins : int
        Number of bins.
    prob : float
        Probability of the band.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    xarray.Dataset
        Dims model, bucket, bin: ``density`` (1 if flat), ``lower`` and ``upper`` (band around 1;
        missing where there are fewer than three contracts); ``quotes`` by bucket. Coord ``edge``
        (bin) is the left edge.

    References
    ----------
    Gneiting, Balabdaoui & Raftery (2007), doi 10.1111/j.1467-9868.2007.00587.x; Montiel Olea &
    Plagborg-Møller (2019), doi 10.1002/jae.2656.
    """
    if bins < 2:
        raise ValueError(f"bins is {bins}; a histogram needs at least 2")
    common = common_points(scores)
    contract, days = common["contract"].values, common["tau"].values * _DAYS_PER_YEAR
    member = bucket_of(days) == np.arange(len(BUCKETS))[:, None]
    row = np.minimum(
        (common["pit"].transpose("model", "point").values * bins).astype(int), bins - 1
    )
    share = bins * (row[:, :, None] == np.arange(bins)).astype(float)
    inside = xr.DataArray(share, dims=("model", "point", "bin"))
    draws = resample(common, resamples, seed)
    density, each = averages(inside, contract, member, draws)
    error = np.sqrt((spread(each) ** 2).mean(-1, keepdims=True))
    worst = (np.abs(each - density) / np.where(error > 0, error, np.inf)).max(axis=-1)
    several = np.array([len(np.unique(contract[own])) > 2 for own in member])
    worst = np.where(several, worst, 0.0)
    half = np.nanquantile(worst, prob, axis=0)[..., None] * error * np.ones(bins)
    half = np.where(several[:, None], half, np.nan)
    dims = ("model", "bucket", "bin")
    return xr.Dataset(
        {
            "density": (dims, density),
            "lower": (dims, np.maximum(1 - half, 0)),
            "upper": (dims, 1 + half),
            "quotes": ("bucket", member.sum(1)),
        },
        {
            "model": common["model"].values,
            "bucket": list(BUCKETS),
            "edge": ("bin", np.arange(bins) / bins),
        },
        {"prob": prob},
    )


def coverage(scores: xr.Dataset) -> xr.Dataset:
    """Share of quotes inside intervals of each probability, by time to expiry.

    Parameters
    ----------
    scores : xarray.Dataset
        From `backtest`.

    Returns
    -------
    xarray.Dataset
        Dims model, bucket, level: ``covered``, ``covered_se`` (by contract), and ``quotes``.
    """
    return summarise(scores, "bucket", measures=("covered",))


def skill(scores: xr.Dataset, reference: str, by: Grouping = "bucket") -> xr.Dataset:
    r"""How much better than a reference: :math:`1 - \mathrm{CRPS} / \mathrm{CRPS}_\mathrm{ref}`.

    Parameters
    ----------
    scores : xarray.Dataset
        From `backtest`.
    reference : str
        Name of a model, such as ``"straight-line"``.
    by : str
        Grouping; see `summarise`.

    Returns
    -------
    xarray.Dataset
        Dims model and the grouping: ``skill`` (1 perfect, 0 no better), ``lower`` and ``upper``
        (95 %, bootstrap over contracts).

    Raises
    ------
    ValueError
        If no model has that name.
    """
    common = common_points(scores)
    base = _place(common, reference)
    names, member = groups(common, by)
    draws = resample(common, 1000, 0)
    mean, each = averages(common["crps"], common["contract"].values, member, draws)
    lower, upper = tails(1 - each / each[:, [base]], 0.95)
    dims = ("model", by)
    found = {"skill": 1 - mean / mean[[base]], "lower": lower, "upper": upper}
    return xr.Dataset(
        {name: (dims, value) for name, value in found.items()},
        {"model": common["model"].values, by: names},
        {"reference": reference},
    )


def score_differences(scores: xr.Dataset, reference: str) -> xr.Dataset:
    """CRPS of every model less that of a reference, origin by origin.

    Parameters
    ----------
    scores : xarray.Dataset
        From `backtest`.
    reference : str
        Name of a model.

    Returns
    -------
    xarray.Dataset
        ``difference`` (model, origin): mean over the quotes of each origin, in log units, and
        ``cumulative``, its running sum.
    """
    common = common_points(scores)
    gap = common["crps"] - common["crps"].isel(model=_place(common, reference), drop=True)
    mean = gap.groupby("origin").mean()
    found = {"difference": mean, "cumulative": mean.cumsum("origin")}
    return xr.Dataset(found).assign_attrs(reference=reference)


def _place(scores: xr.Dataset, reference: str) -> int:
    names = scores["model"].values.tolist()
    if reference not in names:
        raise ValueError(
            f"there is no model {reference!r} to compare with, only {', '.join(names)}"
        )
    return names.index(reference)
