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
    differences,
    resample,
    spread,
    summarise,
)

Array = NDArray[Any]

_DAYS_PER_YEAR = 365.0


def pit_histogram(
    scores: xr.Dataset, *, bins: int = 10, prob: float = 0.95, resamples: int = 2000, seed: int = 0
) -> xr.Dataset:
    r"""Histogram of the probability integral transform by time to expiry, with bands.

    A calibrated forecast has a flat one. The band holds all bins of a calibrated forecast together
    with probability `prob`: its half-width is :math:`q\,s_j`, where :math:`s_j` is the bootstrap
    standard error of bin j and q the quantile of the greatest :math:`|t|` over bins. Contracts are
    drawn whole, so that the band is as wide as dependence along a contract makes it.

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
    error = spread(each)
    worst = (np.abs(each - density) / np.where(error > 0, error, np.inf)).max(axis=-1)
    several = np.array([len(np.unique(contract[own])) > 2 for own in member])
    worst = np.where(several, worst, 0.0)
    half = np.nanquantile(worst, prob, axis=0)[..., None] * error
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
        (95 %, bootstrap over contracts of the difference).

    Raises
    ------
    ValueError
        If no model has that name.
    """
    gap = differences(scores, "crps", by)
    if reference not in gap["other"].values:
        names = ", ".join(gap["other"].values)
        raise ValueError(f"there is no model {reference!r} to compare with, only {names}")
    base = summarise(scores, by, measures=("crps",))["crps"].sel(model=reference, drop=True)
    own = gap.sel(other=reference, drop=True)
    # A smaller score is better, so the bounds trade places.
    found = {
        "skill": -own["difference"] / base,
        "lower": -own["upper"] / base,
        "upper": -own["lower"] / base,
    }
    return xr.Dataset(found).assign_attrs(reference=reference)


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
    if reference not in common["model"].values:
        names = ", ".join(common["model"].values)
        raise ValueError(f"there is no model {reference!r} to compare with, only {names}")
    gap = common["crps"] - common["crps"].sel(model=reference, drop=True)
    mean = gap.groupby("origin").mean()
    found = {"difference": mean, "cumulative": mean.cumsum("origin")}
    return xr.Dataset(found).assign_attrs(reference=reference)
