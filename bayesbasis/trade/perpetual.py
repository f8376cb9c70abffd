"""The perpetual leg: the funding that a trade receives along the paths of a forecast."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.data.exchanges import Exchange, load_exchange
from bayesbasis.data.funding_rules import FundingRule, funding_from_premium
from bayesbasis.trade.exits import PATH, perpetuals

Array = NDArray[Any]

_HOUR_NS = 3_600 * 10**9
_DAY_NS = 24 * _HOUR_NS


def with_funding(
    paths: xr.Dataset,
    funding: xr.Dataset | str | PathLike[str] | Exchange,
    *,
    names: Mapping[str, str] | None = None,
) -> xr.Dataset:
    r"""Add the funding that shorts of perpetuals receive into every step.

    A settlement belongs to the step in which it falls: a trade closed before it receives nothing
    for the interval it did not finish. Where the venue accrues with every second, as Deribit does,
    a step receives the share of the interval that it spans.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`, with perpetuals among its contracts.
    funding : xarray.Dataset, str, path or Exchange
        Paths of `forecast_funding`; or a venue, whose rule turns the premium on the path itself
        into funding, so that both move together and a shock to one is felt in the other.
    names : mapping, optional
        Contract in `funding` for a contract in `paths`, where they differ.

    Returns
    -------
    xarray.Dataset
        With ``funding`` (chain, draw, contract, step), fractions of the position that longs pay;
        zero for dated contracts. `cash_and_carry` reads it.

    Raises
    ------
    ValueError
        If there is no perpetual, or its funding is not known, or ends before its path.

    Notes
    -----
    Paths of `forecast_funding` belong to a fit of their own: they are independent of the basis
    given what is known now, and their draws are spread evenly over those of `paths`.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> funded = bb.with_funding(bb.forecast(fit, horizon="30D", seed=1), "deribit")
    ... # doctest: +SKIP
    """
    endless = np.flatnonzero(perpetuals(paths))
    if not endless.size:
        raise ValueError("the paths hold no perpetual; dated contracts pay no funding")
    shape = tuple(paths.sizes[dim] for dim in PATH)
    received = np.zeros(shape)
    time = paths["time"].transpose("contract", "step").values.astype("datetime64[ns]")
    names = dict(names or {})
    for row in endless:
        live = np.flatnonzero(~np.isnat(time[row]))
        instants = time[row, live].astype(np.int64)
        one = paths.isel(contract=row)
        if isinstance(funding, xr.Dataset):
            name = str(one["contract"].item())
            found = _forecast_of(funding, names.get(name, name), instants, shape[:2])
        else:
            venue = funding if isinstance(funding, Exchange) else load_exchange(funding)
            rule = venue.funding_rule(str(one["underlying"].item()), time[row, 0])
            premium = np.expm1(one["basis"].transpose("chain", "draw", "step").values[..., live])
            found = _ruled(rule, premium, instants)
        rates, settlements, hours, continuous = found
        share = held_shares(instants, settlements, hours, continuous)
        received[:, :, row, live[:, None]] = (rates @ share.T)[..., None]
    text = "funding paid by longs into the step, over the position"
    return paths.assign(funding=(PATH, received, {"units": "1", "long_name": text}))


def held_shares(instants: Array, settlements: Array, hours: float, continuous: bool) -> Array:
    """Share of every settlement that each step receives.

    Parameters
    ----------
    instants : ndarray of int64, shape (step,)
        Points of a path, nanoseconds; the first is the entry.
    settlements : ndarray of int64, shape (settlement,)
        When funding is paid, at the end of its interval.
    hours : float
        Length of the interval.
    continuous : bool
        Whether it accrues with every second.

    Returns
    -------
    ndarray, shape (step, settlement)
        Zero in the first row.
    """
    share = np.zeros((len(instants), len(settlements)))
    start, end = instants[:-1, None], instants[1:, None]
    if not continuous:
        share[1:] = (start < settlements) & (settlements <= end)
        return share
    length = hours * _HOUR_NS
    overlap = np.minimum(end, settlements) - np.maximum(start, settlements - length)
    share[1:] = np.clip(overlap / length, 0.0, 1.0)
    return share


def _forecast_of(
    funding: xr.Dataset, name: str, instants: Array, sizes: tuple[int, ...]
) -> tuple[Array, Array, float, bool]:
    """Rates (chain, draw, settlement), their times and intervals, from paths of funding."""
    there = funding["contract"].values.astype(str).tolist()
    if name not in there:
        raise ValueError(
            f"no funding of {name} is forecast; there is {', '.join(there)}. Say which with "
            f"names={{{name!r}: ...}}, or name a venue with funding = '...' in a file of trades"
        )
    one = funding.isel(contract=there.index(name))
    hours, continuous = float(one["interval_hours"]), bool(one["continuous"])
    due = one["time"].values.astype("datetime64[ns]")
    paid = ~np.isnat(due)
    settlements = due[paid].astype(np.int64)
    if not settlements.size or settlements[-1] + hours * _HOUR_NS <= instants[-1]:
        last = np.datetime64(int(settlements[-1]), "ns") if settlements.size else "before any"
        raise ValueError(
            f"funding of {name} ends at {last:.19}, before the path: forecast it further ahead"
        )
    rates = one["funding"].transpose("chain", "draw", "step").values[..., paid]
    rates = rates.reshape(-1, rates.shape[-1])
    count = int(np.prod(sizes))
    chosen = np.arange(count) * len(rates) // count
    return rates[chosen].reshape(*sizes, -1), settlements, hours, continuous


def _ruled(rule: FundingRule, premium: Array, instants: Array) -> tuple[Array, Array, float, bool]:
    """Rates that a venue's rule makes of a premium (chain, draw, step), between points linear.

    The premium of an interval is that of its middle; before the entry it is that of the entry.
    """
    length = round(rule.interval_hours * _HOUR_NS)
    midnight = instants[0] // _DAY_NS * _DAY_NS + round(rule.first_hour * _HOUR_NS)
    first = midnight + (instants[0] - midnight) // length * length
    # One interval more than is finished, of which a continuous venue pays a part.
    settlements = np.arange(first + length, instants[-1] + length, length)
    middle = settlements - length * rule.lag_intervals - length // 2
    at = np.clip(np.searchsorted(instants, middle) - 1, 0, len(instants) - 2)
    gap = (instants[at + 1] - instants[at]).astype(float)
    weight = np.clip((middle - instants[at]) / gap, 0.0, 1.0)
    between = premium[..., at] + weight * (premium[..., at + 1] - premium[..., at])
    rates = funding_from_premium(between, rule)
    return rates, settlements, rule.interval_hours, rule.accrual == "continuous"
