"""What paths of funding say: bands of settlements, cumulative funding, odds and times."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.forecast.funding_recalibration import stretch_sums

_SAMPLE = ("chain", "draw")
_HOURS_PER_YEAR = 8760.0
# Funding this near to the interest rate is at it.
_AT = 1e-12


def funding_bands(
    paths: xr.Dataset, prob: Sequence[float] = (0.5, 0.9), *, variable: str = "funding"
) -> xr.Dataset:
    """Equal-tailed bands of every settlement, or of the premium behind it.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    prob : sequence of float
        Probabilities of the bands, each in (0, 1).
    variable : {"funding", "premium"}
        Funding of each interval, or premium per 8 hours.

    Returns
    -------
    xarray.Dataset
        ``interval`` (contract, step, prob, bound), ``median``, ``mean`` (contract, step).

    Raises
    ------
    ValueError
        If a probability is not in (0, 1), or the variable is unknown.
    """
    levels = np.atleast_1d(np.asarray(prob, dtype=float))
    if not levels.size or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"prob is {prob!r}; probabilities lie between 0 and 1, such as (0.5, 0.9)")
    if variable not in ("funding", "premium"):
        raise ValueError(f"variable is {variable!r}; choose 'funding' or 'premium'")
    values = paths[variable]
    tails = np.stack([(1 - levels) / 2, (1 + levels) / 2], axis=1)
    flat = values.quantile(tails.ravel(), _SAMPLE, skipna=False)
    edges = flat.transpose("quantile", "contract", "step").values
    interval = np.moveaxis(edges.reshape(*tails.shape, *edges.shape[1:]), (0, 1), (2, 3))
    result = xr.Dataset(
        {
            "interval": (("contract", "step", "prob", "bound"), interval),
            "median": values.median(_SAMPLE, skipna=False),
            "mean": values.mean(_SAMPLE, skipna=False),
        }
    ).assign_coords(prob=levels, bound=["lower", "upper"])
    for name in result.data_vars:
        result[name].attrs = {"units": "1", "long_name": f"{name} of the {values.long_name}"}
    return result.assign_attrs(paths.attrs, variable=variable, interval_kind="eti")


def cumulative_funding(
    paths: xr.Dataset, within: str | np.timedelta64 | None = None
) -> xr.DataArray:
    """Funding of all settlements within a time from the origin, draw by draw.

    Sums of recalibrated paths spread as far as hindcasts say: see `recalibrate_funding`.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    within : str or numpy.timedelta64, optional
        Such as ``"7D"``; the horizon of the paths by default.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, contract: a fraction of the notional that longs pay.

    Raises
    ------
    ValueError
        If `within` is beyond the horizon of the paths.
    """
    due = paths["funding"].where(paths["time"] <= _end(paths, within))
    length = _length(paths, within)
    total, days = due.sum("step"), length.total_seconds() / 86_400
    total = stretch_sums(total, paths, length.to_timedelta64())
    long_name = f"funding paid by longs over {days:g} days"
    return total.rename("cumulative").assign_attrs({"units": "1", "long_name": long_name})


def funding_outlook(
    paths: xr.Dataset,
    within: str | np.timedelta64 | None = None,
    *,
    prob: float = 0.9,
) -> xr.Dataset:
    """Sum up what each perpetual will pay.

    Where the paths are recalibrated, so are cumulative funding and what follows from it, the APR
    and whether it is negative. Shares, odds and times of single settlements are as simulated.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    within : str or numpy.timedelta64, optional
        Time from the origin; the horizon of the paths by default.
    prob : float
        Probability of the intervals.

    Returns
    -------
    xarray.Dataset
        By contract: ``cumulative`` and ``apr`` (simple, per year), each mean, ``lower`` and
        ``upper`` (dim ``value``); ``negative``, P(cumulative funding < 0);
        ``negative_share`` and ``outside_share``, expected shares of settlements that are negative
        and that are off the interest rate (missing for a plain rule); ``outside_next``, P(the next
        settlement is off it); ``revert_days``, median time to the first settlement at it, and
        ``reverts``, P(there is one).
    """
    total = cumulative_funding(paths, within)
    years = pd.Timedelta(_length(paths, within)).total_seconds() / 3600 / _HOURS_PER_YEAR
    due = paths["funding"].where(paths["time"] <= _end(paths, within))
    seen = due.notnull()
    count = seen.isel(chain=0, draw=0).sum("step")
    at = seen & _at_interest(paths, due)
    clamped = ~paths["plain"]
    first = at.argmax("step")
    reverts = at.any("step")
    days = (paths["time"] - np.datetime64(paths.attrs["origin"])) / np.timedelta64(1, "D")
    wait = days.isel(step=first).where(reverts, np.inf)
    named = {
        "cumulative": (_spread(total, prob), "1", total.long_name),
        "apr": (_spread(total / years, prob), "1/year", "funding, annualised simply"),
        "negative": ((total < 0).mean(_SAMPLE), "1", "P(cumulative funding is negative)"),
        "negative_share": (
            ((due < 0).sum("step") / count).mean(_SAMPLE), "1", "share of negative settlements",
        ),
        "outside_share": (
            (1 - at.sum("step") / count).mean(_SAMPLE).where(clamped),
            "1",
            "share of settlements off the interest rate",
        ),
        "outside_next": (
            (~at.isel(step=0)).mean(_SAMPLE).where(clamped),
            "1",
            "P(the next settlement is off the interest rate)",
        ),
        "reverts": (
            reverts.mean(_SAMPLE).where(clamped), "1", "P(a settlement at the interest rate)",
        ),
        "revert_days": (
            wait.median(_SAMPLE).where(clamped), "day", "median time to the interest rate",
        ),
    }  # fmt: skip
    result = xr.Dataset({name: value for name, (value, _, _) in named.items()})
    for name, (_, units, long_name) in named.items():
        result[name].attrs = {"units": units, "long_name": long_name}
    return result.assign_attrs(paths.attrs, prob=prob, within=str(_length(paths, within)))


def funding_table(outlook: xr.Dataset) -> pd.DataFrame:
    """Lay an outlook out as a table, a row a perpetual: bp, percent a year and probabilities."""
    frame = {"contract": outlook["contract"].values}
    for value in ("mean", "lower", "upper"):
        frame[f"{value}_bp"] = 1e4 * outlook["cumulative"].sel(value=value).values
    frame["apr_percent"] = 100 * outlook["apr"].sel(value="mean").values
    names = ("negative", "negative_share", "outside_share", "outside_next", "reverts")
    frame |= {name: outlook[name].values for name in names}
    frame["revert_days"] = outlook["revert_days"].values
    return pd.DataFrame(frame)


def _at_interest(paths: xr.Dataset, funding: xr.DataArray) -> xr.DataArray:
    paid = paths["interest"] * paths["interval_hours"] / 8.0
    return (funding <= paid + _AT) & (funding >= paid - _AT)


def _spread(values: xr.DataArray, prob: float) -> xr.DataArray:
    edges = values.quantile([(1 - prob) / 2, (1 + prob) / 2], _SAMPLE).rename(quantile="value")
    mean = values.mean(_SAMPLE).expand_dims(value=["mean"])
    edges = edges.assign_coords(value=["lower", "upper"])
    return xr.concat([mean, edges], "value").transpose("contract", "value")


def _length(paths: xr.Dataset, within: str | np.timedelta64 | None) -> pd.Timedelta:
    horizon = pd.Timedelta(paths.attrs["horizon"])
    length = horizon if within is None else pd.Timedelta(within)
    if not pd.Timedelta(0) < length <= horizon:
        raise ValueError(f"within is {within!r}; the paths reach from the origin to {horizon}")
    return length


def _end(paths: xr.Dataset, within: str | np.timedelta64 | None) -> np.datetime64:
    return np.datetime64(paths.attrs["origin"]) + _length(paths, within).to_timedelta64()
