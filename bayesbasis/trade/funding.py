"""Decisions on funding: what a perpetual leg earns, when it has paid its costs, what beats it."""

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.forecast.funding_recalibration import stretch_sums
from bayesbasis.trade.costs import Costs

_SAMPLE = ("chain", "draw")
_SIDES = {"short": 1.0, "long": -1.0}


def funding_leg(
    paths: xr.Dataset,
    side: Literal["short", "long"] = "short",
    *,
    close: str | np.datetime64 | None = None,
) -> xr.DataArray:
    """Funding that a perpetual leg receives, settlement by settlement.

    A leg closed between settlements receives nothing for the interval it did not finish, unless
    the venue accrues continuously, as Deribit does: there it receives the share it was held for.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    side : {"short", "long"}
        Shorts receive positive funding, longs pay it.
    close : str or numpy.datetime64, optional
        When the leg is closed (UTC); never by default.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, contract, step: fractions of the notional.

    Raises
    ------
    ValueError
        If the side is unknown.
    """
    if side not in _SIDES:
        raise ValueError(f"side is {side!r}; choose 'short' or 'long'")
    received = _SIDES[side] * paths["funding"]
    if close is not None:
        received = received * _held(paths, np.datetime64(close, "ns"))
    received.attrs = {"units": "1", "long_name": f"funding received by a {side} perpetual"}
    return received.rename("received")


def break_even(
    paths: xr.Dataset, costs: Costs | float, side: Literal["short", "long"] = "short"
) -> xr.Dataset:
    """How many settlements it takes until funding has paid a trade's costs.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    costs : Costs or float
        Both legs in and out; or a fraction of the notional of one's own.
    side : {"short", "long"}
        Side of the perpetual.

    Returns
    -------
    xarray.Dataset
        ``settlements`` (chain, draw, contract), infinite where the paths end first; ``median``
        and ``within``, P(paid back by each step) (contract, step).
    """
    price = round_trip(costs) if isinstance(costs, Costs) else float(costs)
    total = funding_leg(paths, side).fillna(0.0).cumsum("step")
    paid = (total >= price) & paths["time"].notnull()
    first = (paid.argmax("step") + 1.0).where(paid.any("step"), np.inf)
    by = (first <= paths["step"]).mean(_SAMPLE).where(paths["time"].notnull())
    result = xr.Dataset(
        {
            "settlements": first,
            "median": first.median(_SAMPLE),
            "within": by.transpose("contract", "step"),
        }
    )
    for name, text in (
        ("settlements", "settlements until funding has paid the costs"),
        ("median", "median settlements until funding has paid the costs"),
        ("within", "P(funding has paid the costs)"),
    ):
        result[name].attrs = {"units": "1", "long_name": text}
    return result.assign_attrs(costs=price, side=side)


def round_trip(costs: Costs) -> float:
    """Cost of spot and perpetual in and out again, a fraction of the notional."""
    return 2.0 * (costs.leg("spot") + costs.leg("futures"))


def against_dated(
    paths: xr.Dataset, carry: float | NDArray[np.float64], expiry: str | np.datetime64
) -> xr.Dataset:
    """Compare a short perpetual with a short dated future, both against spot, to its expiry.

    Sums of recalibrated paths spread as far as hindcasts say: see `recalibrate_funding`.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`, to the expiry at least.
    carry : float or ndarray, shape (contract,)
        Log basis of the dated future: what it locks in.
    expiry : str or numpy.datetime64
        Its settlement (UTC).

    Returns
    -------
    xarray.Dataset
        By contract: ``locked``, ``expected`` funding to expiry, and ``pays_more``, P(the perpetual
        pays more).

    Raises
    ------
    ValueError
        If the paths end before the expiry.
    """
    end = np.datetime64(expiry, "ns")
    last = (
        np.datetime64(paths.attrs["origin"]) + pd.Timedelta(paths.attrs["horizon"]).to_timedelta64()
    )
    if end > last:
        raise ValueError(f"the paths end at {last:.19}, before {end:.19}: look further ahead")
    ahead = end - np.datetime64(paths.attrs["origin"])
    total = stretch_sums(funding_leg(paths, close=end).sum("step"), paths, ahead)
    locked = xr.DataArray(np.broadcast_to(carry, paths.sizes["contract"]), dims="contract")
    result = xr.Dataset(
        {
            "locked": np.expm1(locked),
            "expected": total.mean(_SAMPLE),
            "pays_more": (total > np.expm1(locked)).mean(_SAMPLE),
        }
    )
    for name, text in (
        ("locked", "locked in by the dated future"),
        ("expected", "expected funding to its expiry"),
        ("pays_more", "P(the perpetual pays more)"),
    ):
        result[name].attrs = {"units": "1", "long_name": text}
    return result.assign_attrs(expiry=str(end))


def funding_spread(paths: xr.Dataset, short: str, long: str) -> xr.DataArray:
    """Funding earned by being short one perpetual and long another, draw by draw.

    Draws of the two belong together where chains are shared by the underlying; chains of
    their own make the spread look wider than it is. Of recalibrated paths each leg spreads as far
    as hindcasts say.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    short, long : str
        The two contracts.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw: a fraction of the notional over the horizon.

    Raises
    ------
    ValueError
        If a contract is not in the paths.
    """
    names = paths["contract"].values.astype(str).tolist()
    for name in (short, long):
        if name not in names:
            raise ValueError(f"contract {name!r} is not in the paths; there are {', '.join(names)}")
    horizon = pd.Timedelta(paths.attrs["horizon"]).to_timedelta64()
    total = stretch_sums(paths["funding"].sum("step"), paths, horizon)
    spread = total.sel(contract=short, drop=True) - total.sel(contract=long, drop=True)
    spread.attrs = {"units": "1", "long_name": f"funding of short {short} and long {long}"}
    return spread.rename("spread")


def _held(paths: xr.Dataset, close: np.datetime64) -> xr.DataArray:
    """Share of each settlement that a leg closed then receives."""
    left = (close - paths["time"]) / np.timedelta64(1, "h")
    share = (1.0 + left / paths["interval_hours"]).clip(0.0, 1.0)
    return share.where(paths["continuous"], (left >= 0).astype(float))
