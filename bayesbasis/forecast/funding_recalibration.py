"""Recalibration of funding: sums as wide as hindcasts say they should be."""

import numpy as np
import xarray as xr

from bayesbasis.forecast.recalibration import (
    about_median,
    grown_in,
    refuse_again,
    refuse_another,
    width_factors,
)

_DAY = np.timedelta64(1, "D")


def funding_factors(record: xr.Dataset) -> xr.DataArray:
    r"""Learn from hindcasts by how much bands of cumulative funding should widen, by contract.

    As `band_factors` does by time to expiry: what makes the widest band kept hold what it says, in
    logs, drawn for every contract to that of all by the weight of 12 origins, and that of all to no
    change by as many.

    Parameters
    ----------
    record : xarray.Dataset
        From `hindcast_funding`.

    Returns
    -------
    xarray.DataArray
        Dim ``contract``, and ``""`` for those that the record does not know; coord ``origins``, how
        many a factor rests on. Above one, bands were too narrow.

    Raises
    ------
    ValueError
        If the record has no point with a band of any width.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> bb.funding_factors(fit["hindcast"].to_dataset())  # doctest: +SKIP
    """
    of = record["contract"].values.astype(str)
    names = np.unique(of)
    everywhere, factors, origins = width_factors(record, [of == name for name in names])
    return xr.DataArray(
        [everywhere[0], *factors],
        {"contract": ["", *names], "origins": ("contract", [everywhere[1], *origins])},
        "contract",
        "factor",
        {"long_name": "width of bands over that as simulated", "units": "1"},
    )


def recalibrate_funding(paths: xr.Dataset, record: xr.Dataset) -> xr.Dataset:
    r"""Widen or narrow sums of forecast funding about their median, as hindcasts say.

    .. math:: c' = m + f_k^w\,(c - m), \qquad w = \min(1, h/h_1)

    with the median :math:`m` of a sum over all paths and the factor :math:`f_k` of the contract,
    from `funding_factors`. As in `recalibrate` it grows in over the first week :math:`h_1` of the
    time :math:`h` that is summed over. Single settlements stay as they are: stretched, none would
    pay the interest rate.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`, not recalibrated yet.
    record : xarray.Dataset
        From `hindcast_funding` of the same fit.

    Returns
    -------
    xarray.Dataset
        The paths with a coord ``sum_factor`` (contract), by which `cumulative_funding` and all that
        reads it go; attr ``recalibrated`` says by how much.

    Raises
    ------
    ValueError
        If paths and record are not of the same model, or the paths were recalibrated before.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> paths = bb.forecast_funding(fit, seed=2, recalibrated=False)  # doctest: +SKIP
    >>> paths = bb.recalibrate_funding(paths, bb.hindcast_funding(fit, "7D"))  # doctest: +SKIP
    """
    refuse_another(paths.attrs, record.attrs)
    refuse_again(paths.attrs, "forecast_funding")
    known = funding_factors(record)
    names = paths["contract"].values.astype(str)
    named = np.where(np.isin(names, known["contract"].values), names, "")
    factors = known.sel(contract=named).values
    attrs = {"long_name": "width of sums over that as simulated", "units": "1"}
    said = ", ".join(f"{f:.3f} of {name}" for f, name in zip(factors, names, strict=True))
    return paths.assign_coords(sum_factor=("contract", factors, attrs)).assign_attrs(
        recalibrated=said
    )


def stretch_sums(
    total: xr.DataArray, paths: xr.Dataset, ahead: np.timedelta64 | xr.DataArray
) -> xr.DataArray:
    """Stretch sums of funding about their median, where paths are recalibrated.

    Parameters
    ----------
    total : xarray.DataArray
        Sums by chain, draw, contract and perhaps step.
    paths : xarray.Dataset
        From `forecast_funding`.
    ahead : numpy.timedelta64 or xarray.DataArray
        Time that they are summed over.
    """
    if "sum_factor" not in paths.coords:
        return total
    factor = paths["sum_factor"].reset_coords(drop=True) ** grown_in(ahead / _DAY)
    return about_median(total, factor).assign_attrs(total.attrs)
