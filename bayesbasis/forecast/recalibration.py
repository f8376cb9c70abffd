"""Recalibration: bands as wide as hindcasts say they should be."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.process.laws import DAYS_PER_YEAR

Array = NDArray[Any]

DAYS = (4.0, 10.0, 21.0, 42.0, 90.0)
"""Days to expiry between which the factor runs; beyond either end it stays."""

_EDGES = (7.0, 14.0, 30.0, 60.0)
_LEARNED_IN = 7.0
_PRIOR_ORIGINS = 12.0
_MOST = 4.0


def band_factors(record: xr.Dataset) -> xr.DataArray:
    r"""Learn from hindcasts by how much bands should widen, by time to expiry.

    With :math:`z` the distance of a quote from the median of its forecast, as a multiple of the
    distance from there to the bound, on that side, of the widest band kept, of probability
    :math:`p`,

    .. math:: f = Q_p(z)

    makes that band hold what it says. It is estimated over all quotes and in ranges of days to
    expiry (7, 14, 30 and 60 divide them), in logs, each drawn to that of all by the weight of 12
    origins, and that of all to no change by as many: what is nearly one origin's worth of evidence
    moves little. Narrower bands have no say: where a model misses that markets are calm most of the
    time, they would make all bands as narrow as calm ones should be.

    Parameters
    ----------
    record : xarray.Dataset
        From `hindcast`.

    Returns
    -------
    xarray.DataArray
        Dim ``days``, the days to expiry to which a factor belongs; coord ``origins``, how many it
        rests on. Above one, bands were too narrow.

    Raises
    ------
    ValueError
        If the record has no point with a band of any width.

    Notes
    -----
    Parameters are fitted to the density one step ahead. Bands of many steps follow from them if the
    model is right; where shocks partly revert later on, they come out too wide, and no likelihood
    of single steps tells. Recalibration learns that from forecasts of the same kind as its own, as
    Kuleshov, Fenner & Ermon (2018, arXiv 1807.00263) do for regressions.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> bb.band_factors(bb.hindcast(fit))  # doctest: +SKIP
    """
    place = np.searchsorted(_EDGES, record["tau"].values * DAYS_PER_YEAR)
    _, factors, origins = width_factors(record, [place == bucket for bucket in range(len(DAYS))])
    return xr.DataArray(
        factors,
        {"days": list(DAYS), "origins": ("days", origins)},
        "days",
        "factor",
        {"long_name": "width of bands over that as simulated", "units": "1"},
    )


def width_factors(
    record: xr.Dataset, groups: Sequence[Array]
) -> tuple[tuple[float, int], list[float], list[int]]:
    """Learn what makes the widest band of a record hold what it says, over all and in groups.

    Parameters
    ----------
    record : xarray.Dataset
        From `hindcast` or `hindcast_funding`.
    groups : sequence of ndarray of bool, shape (point,)
        Which points belong to each.

    Returns
    -------
    everywhere : tuple of float and int
        Factor of all points, and how many origins it rests on.
    factors, origins : list
        Of every group.

    Raises
    ------
    ValueError
        If no point has a band of any width.
    """
    widest = record.isel(prob=int(np.argmax(record["prob"].values)))
    distance, prob = _distances(widest), float(widest["prob"])
    usable, origin = np.isfinite(distance), record["origin"].values
    if not usable.any():
        raise ValueError("the record has no band of any width; take it from bayesbasis.hindcast")

    def estimate(here: Array, toward: float) -> tuple[float, int]:
        count = len(np.unique(origin[here]))
        own = _log_factor(distance[here], prob) if count else 0.0
        return _drawn(own, count, toward), count

    log_factor, count = estimate(usable, 0.0)
    found = [estimate(usable & group, log_factor) for group in groups]
    factors, origins = [float(np.exp(own)) for own, _ in found], [n for _, n in found]
    return (float(np.exp(log_factor)), count), factors, origins


def _distances(widest: xr.Dataset) -> Array:
    """Distance of every outcome from the median as a multiple of its bound's, (point,)."""
    interval = widest["interval"].transpose("bound", "point")
    lower, upper = (interval.sel(bound=bound).values for bound in ("lower", "upper"))
    median, outcome = widest["median"].values, widest["outcome"].values
    width = np.where(outcome > median, upper - median, median - lower)
    off = np.abs(outcome - median)
    return np.divide(off, width, out=np.full(width.shape, np.nan), where=width > 0)


def _drawn(own: float, origins: int, toward: float) -> float:
    """Draw an estimate toward that of all by the weight of 12 origins."""
    weight = origins / (origins + _PRIOR_ORIGINS)
    return weight * own + (1.0 - weight) * toward


def _log_factor(distance: Array, prob: float) -> float:
    """Logarithm of what makes a band hold what it says."""
    return float(np.log(np.clip(np.quantile(distance, prob), 1.0 / _MOST, _MOST)))


def recalibrate(paths: xr.Dataset, record: xr.Dataset) -> xr.Dataset:
    r"""Widen or narrow forecast paths about their median, as hindcasts say.

    .. math:: b' = m + f(τ)^w\,(b - m), \qquad w = \min(1, h/h_1)

    with the median :math:`m` of all paths and the factor :math:`f` of `band_factors`, between whose
    days its logarithm runs straight in the logarithm of days to expiry. It grows into its own over
    the first week :math:`h_1` of the time ahead :math:`h`: a single step is what the model learned.
    Deviations, and the scale of their moves, are stretched alike. Perpetuals, which have no expiry,
    stay as they are.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`, not recalibrated yet.
    record : xarray.Dataset
        From `hindcast` of the same fit.

    Returns
    -------
    xarray.Dataset
        The paths with another ``basis``, ``deviation`` and ``shock_scale``; attr ``recalibrated``
        says by how much.

    Raises
    ------
    ValueError
        If paths and record are not of the same model, or the paths were recalibrated before.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> paths = bb.forecast(fit, seed=2, recalibrated=False)  # doctest: +SKIP
    >>> paths = bb.recalibrate(paths, bb.hindcast(fit, every="7D"))  # doctest: +SKIP
    """
    refuse_another(paths.attrs, record.attrs)
    refuse_again(paths.attrs, "forecast")
    factors = band_factors(record)
    days = paths["tau"] * DAYS_PER_YEAR
    ahead = (days.isel(step=0, drop=True) - days).transpose(*days.dims)
    log_factor = np.interp(np.log(days.clip(min=1e-9)), np.log(DAYS), np.log(factors.values))
    factor = days.copy(data=np.exp(grown_in(ahead).values * log_factor))
    factor = factor.where(days.notnull(), 1.0)
    stretched = {
        name: about_median(paths[name], factor).assign_attrs(paths[name].attrs)
        for name in ("basis", "deviation")
    }
    scale = paths["shock_scale"]
    stretched["shock_scale"] = (factor * scale).transpose(*scale.dims).assign_attrs(scale.attrs)
    said = ", ".join(
        f"{factor:.3f} at {day:g} d" for day, factor in zip(DAYS, factors, strict=True)
    )
    return paths.assign(stretched).assign_attrs(recalibrated=said)


def grown_in(days: Any) -> Any:
    """Share of a factor, in logs, so many days ahead: all of it from a week on."""
    return np.minimum(days / _LEARNED_IN, 1.0)


def refuse_again(paths: Mapping[str, Any], verb: str) -> None:
    """Refuse paths that are recalibrated already."""
    if "recalibrated" in paths:
        raise ValueError(
            f"the paths are recalibrated ({paths['recalibrated']}); take them from "
            f"bayesbasis.{verb}(fit, recalibrated=False, seed=...)"
        )


def refuse_another(paths: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Refuse a record of another model."""
    if paths["card"] != record["card"]:
        raise ValueError(
            f"the paths are of {paths['card_name']!r}, the record of {record['card_name']!r}: "
            "take both from one fit"
        )


def about_median(paths: xr.DataArray, factor: xr.DataArray) -> xr.DataArray:
    """Stretch all draws about their median."""
    median = paths.median(["chain", "draw"], skipna=False)
    return (median + factor * (paths - median)).transpose(*paths.dims)
