"""Recalibration: bands as wide as hindcasts say they should be."""

from collections.abc import Mapping
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
    record = record.isel(prob=[int(np.argmax(record["prob"].values))])
    distance = _distances(record)
    usable = np.isfinite(distance).all(axis=0)
    if not usable.any():
        raise ValueError("the record has no band of any width; take it from bayesbasis.hindcast")
    prob, origin = record["prob"].values, record["origin"].values
    everywhere, count = _log_factor(distance[:, usable], prob), len(np.unique(origin[usable]))
    everywhere = _drawn(everywhere, count)
    place, factors, origins = np.searchsorted(_EDGES, record["tau"] * DAYS_PER_YEAR), [], []
    for bucket in range(len(DAYS)):
        here = usable & (place == bucket)
        count = len(np.unique(origin[here]))
        own = _log_factor(distance[:, here], prob) if count else 0.0
        factors.append(np.exp(_drawn(own, count, everywhere)))
        origins.append(count)
    return xr.DataArray(
        factors,
        {"days": list(DAYS), "origins": ("days", origins)},
        "days",
        "factor",
        {"long_name": "width of bands over that as simulated", "units": "1"},
    )


def _distances(record: xr.Dataset) -> Array:
    """Distance of every quote from the median as a multiple of its bound's, (prob, point)."""
    interval = record["interval"].transpose("bound", "prob", "point")
    lower, upper = (interval.sel(bound=bound).values for bound in ("lower", "upper"))
    median, outcome = record["median"].values, record["outcome"].values
    width = np.where(outcome > median, upper - median, median - lower)
    off = np.broadcast_to(np.abs(outcome - median), width.shape)
    return np.divide(off, width, out=np.full(width.shape, np.nan), where=width > 0)


def _drawn(own: float, origins: int, toward: float = 0.0) -> float:
    """Draw an estimate toward that of all by the weight of 12 origins."""
    weight = origins / (origins + _PRIOR_ORIGINS)
    return weight * own + (1.0 - weight) * toward


def _log_factor(distance: Array, prob: Array) -> float:
    """Logarithm of what makes bands hold what they say."""
    each = [np.quantile(z, p) for z, p in zip(distance, prob, strict=True)]
    return float(np.log(np.clip(each, 1.0 / _MOST, _MOST)).mean())


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
    _refuse_another(paths.attrs, record.attrs)
    if "recalibrated" in paths.attrs:
        raise ValueError(
            f"the paths are recalibrated ({paths.attrs['recalibrated']}); take them from "
            "bayesbasis.forecast(fit, recalibrated=False, seed=...)"
        )
    factors = band_factors(record)
    days = paths["tau"] * DAYS_PER_YEAR
    ahead = (days.isel(step=0, drop=True) - days).transpose(*days.dims)
    log_factor = np.interp(np.log(days.clip(min=1e-9)), np.log(DAYS), np.log(factors.values))
    grown = (ahead / _LEARNED_IN).clip(max=1.0)
    factor = days.copy(data=np.exp(grown.values * log_factor)).where(days.notnull(), 1.0)
    stretched = {
        name: _about_median(paths[name], factor).assign_attrs(paths[name].attrs)
        for name in ("basis", "deviation")
    }
    scale = paths["shock_scale"]
    stretched["shock_scale"] = (factor * scale).transpose(*scale.dims).assign_attrs(scale.attrs)
    said = ", ".join(
        f"{factor:.3f} at {day:g} d" for day, factor in zip(DAYS, factors, strict=True)
    )
    return paths.assign(stretched).assign_attrs(recalibrated=said)


def _refuse_another(paths: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    if paths["card"] != record["card"]:
        raise ValueError(
            f"the paths are of {paths['card_name']!r}, the record of {record['card_name']!r}: "
            "take both from one fit"
        )


def _about_median(paths: xr.DataArray, factor: xr.DataArray) -> xr.DataArray:
    median = paths.median(["chain", "draw"], skipna=False)
    return (median + factor * (paths - median)).transpose(*paths.dims)


def funding_factors(record: xr.Dataset) -> xr.DataArray:
    r"""Learn from hindcasts by how much bands of cumulative funding should widen, by contract.

    As `band_factors` does for time to expiry, but every band kept has a say: the mean of what each
    would need, in logs. The factor of every contract is drawn to that of all by the weight of 12
    origins, and that of all to no change by as many.

    Parameters
    ----------
    record : xarray.Dataset
        From `hindcast_funding`.

    Returns
    -------
    xarray.DataArray
        Dim ``contract``, and ``""`` for those that the record does not know; coord ``origins``, how
        many a factor rests on. Above one, bands were too narrow.
    """
    distance, prob = _distances(record), record["prob"].values
    usable, names = np.isfinite(distance).all(axis=0), record["contract"].values.astype(str)
    origins = len(np.unique(record["origin"].values[usable]))
    everywhere = _drawn(_log_factor(distance[:, usable], prob), origins) if origins else 0.0
    contracts, factors, counts = [""], [np.exp(everywhere)], [origins]
    for name in np.unique(names[usable]):
        own = usable & (names == name)
        factors.append(np.exp(_drawn(_log_factor(distance[:, own], prob), own.sum(), everywhere)))
        contracts.append(str(name))
        counts.append(int(own.sum()))
    return xr.DataArray(
        factors,
        {"contract": contracts, "origins": ("contract", counts)},
        "contract",
        "factor",
        {"long_name": "width of bands over that as simulated", "units": "1"},
    )


def recalibrate_funding(total: xr.DataArray, record: xr.Dataset) -> xr.DataArray:
    r"""Widen or narrow cumulative funding about its median, as hindcasts say.

    .. math:: c' = m + f_k\,(c - m)

    with the median :math:`m` of all draws and the factor :math:`f_k` of the contract, from
    `funding_factors`.

    Parameters
    ----------
    total : xarray.DataArray
        From `cumulative_funding`.
    record : xarray.Dataset
        From `hindcast_funding` of the same fit, best of the same horizon.

    Raises
    ------
    ValueError
        If total and record are not of the same model.
    """
    _refuse_another(total.attrs, record.attrs)
    known = funding_factors(record)
    names = total["contract"].values.astype(str)
    named = np.where(np.isin(names, known["contract"].values), names, "")
    factor = xr.DataArray(known.sel(contract=named).values, dims="contract")
    return _about_median(total, factor).assign_attrs(total.attrs)
