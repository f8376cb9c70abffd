"""A funding history as the arrays that the filter reads."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.model.covariates import standardised
from bayesbasis.model.funding_parameters import Cells, cells_by_rule
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.process.censored import Settlements

Array = NDArray[Any]

BASIS_POINTS = 1e4
_HOUR = np.timedelta64(3_600_000_000_000, "ns")


@dataclass(frozen=True, eq=False)
class FundingLayout:
    """The skeleton of a history, and who is who in it.

    Parameters
    ----------
    settlements : Settlements
        For the filter.
    gap_days : ndarray, shape (gap,)
        Distinct times between events, days.
    event_time : ndarray of datetime64, shape (event,)
        End of the interval that the rates of an event were measured in.
    event_underlying : ndarray of int, shape (event,)
    cells : Cells
        What each row of the filter's parameters holds for.
    before : ndarray, shape (obs,)
        Premium at the contract's last settlement, bp per 8 hours; nil where it is guessed.
    covariates : ndarray, shape (obs, covariate)
        In standard deviations from the mean of the fitted history.
    order : ndarray of int, shape (obs,)
        Settlement of the history behind each of the filter's.
    underlyings : list of str
    contract_underlying : ndarray of int, shape (contract,)
    """

    settlements: Settlements
    gap_days: Array
    event_time: Array
    event_underlying: Array
    cells: Cells
    before: Array
    covariates: Array
    order: Array
    underlyings: list[str]
    contract_underlying: Array


def lay_out_funding(
    spec: FundingSpec, history: xr.Dataset, fitted: xr.Dataset | None = None
) -> FundingLayout:
    """Gather settlements into events: one for each underlying and end of an interval.

    A venue that pays a rate one interval late is placed at the interval it was measured in, so
    that premia of the same hours stand side by side.

    Parameters
    ----------
    spec : FundingSpec
        Whose chains they are, and which columns are covariates.
    history : xarray.Dataset
        From `make_funding`.
    fitted : xarray.Dataset, optional
        The history of the fit, whose means and deviations count; `history` by default.

    Raises
    ------
    ValueError
        If a covariate is not there, has no value at some settlements, or never changes.
    """
    contract = history["contract_index"].values
    hours = history["interval"].values
    underlyings, contract_underlying = np.unique(
        history[spec.shared_by].values.astype(str), return_inverse=True
    )
    measured = measured_at(history)
    underlying = contract_underlying[contract]
    order = np.lexsort((contract, measured, underlying))
    key = np.stack([underlying[order], measured[order].astype(np.int64)])
    first = np.flatnonzero(np.concatenate([[True], (np.diff(key, axis=1) != 0).any(axis=0)]))
    event_time, event_underlying = measured[order][first], key[0, first]
    gap_days, gap = _gaps(event_time, event_underlying)
    lower_side, upper_side = _sides(history)
    before = _before(history)
    kinds, cell = np.unique(
        np.stack([contract, hours, np.isnan(before)]), axis=1, return_inverse=True
    )
    settlements = Settlements(
        event_start=first,
        event_stop=np.concatenate([first[1:], [len(order)]]),
        gap=gap,
        cell=cell.ravel()[order],
        lower=history["premium_lower"].values[order] * BASIS_POINTS,
        upper=history["premium_upper"].values[order] * BASIS_POINTS,
        lower_side=lower_side[order],
        upper_side=upper_side[order],
    )
    covariates = standardised(history, history if fitted is None else fitted, spec.covariates)
    return FundingLayout(
        settlements,
        gap_days,
        event_time,
        event_underlying,
        cells_of(history, kinds[0].astype(np.int64), kinds[1], kinds[2]),
        np.nan_to_num(before[order]) * BASIS_POINTS,
        covariates[order],
        order,
        underlyings.tolist(),
        contract_underlying,
    )


def cells_of(history: xr.Dataset, contract: Array, hours: Array, hidden: Array) -> Cells:
    """Cells of some contracts, by the rules that hold now."""
    own = history.isel(contract=contract)
    interest, clamp = (own[name].values * BASIS_POINTS for name in ("interest", "clamp"))
    plain = own["plain"].values.astype(bool)
    return cells_by_rule(contract, hours, hidden, interest, clamp, plain)


def premium_told(history: xr.Dataset) -> Array:
    """Premium that each rate tells, a fraction; missing in the dead zone, shape (obs,).

    It is read off the bounds, which `premium_from_funding` made by the rule of the day: a history
    keeps no rules but those that hold now.
    """
    clamp = history["clamp"].values[history["contract_index"].values]
    low, high = history["premium_lower"].values, history["premium_upper"].values
    inner = np.where(np.isfinite(low), low, high)
    middle = np.where(np.isfinite(low + high), 0.5 * (low + high), inner)
    hidden = np.isfinite(low + high) & (high - low > clamp) & (clamp > 0)
    return np.where(hidden, np.nan, middle)


def measured_at(history: xr.Dataset) -> Array:
    """End of the interval that each rate was measured in, shape (obs,)."""
    contract = history["contract_index"].values
    late = history["lag_intervals"].values[contract] * history["interval"].values
    return history["scheduled"].values.astype("datetime64[ns]") - (late * _HOUR).astype(_HOUR.dtype)


def _sides(history: xr.Dataset) -> tuple[Array, Array]:
    """Side of the interest rate that each bound is on: where a wider dead zone moves it."""
    contract = history["contract_index"].values
    clamped = ~history["plain"].values.astype(bool)[contract]
    interest = history["interest"].values[contract]
    bounds = (history[name].values for name in ("premium_lower", "premium_upper"))
    low, high = (np.sign(x - interest) * np.isfinite(x) * clamped for x in bounds)
    return low, high


def _before(history: xr.Dataset) -> Array:
    """Premium at each contract's last settlement; missing at the first and after a gap."""
    contract, told = history["contract_index"].values, premium_told(history)
    before = np.full(len(contract), np.nan)
    hours = np.diff(history["scheduled"].values) / _HOUR
    follows = (np.diff(contract) == 0) & (hours <= 1.5 * history["interval"].values[1:])
    before[1:][follows] = told[:-1][follows]
    return before


def _gaps(event_time: Array, event_underlying: Array) -> tuple[Array, Array]:
    """Distinct times between events in days, and which one comes before each event."""
    days = np.diff(event_time) / (24 * _HOUR)
    follows = np.diff(event_underlying) == 0
    distinct, position = np.unique(days[follows], return_inverse=True)
    gap = np.full(len(event_time), -1)
    gap[1:][follows] = position
    return (distinct if len(distinct) else np.ones(1)), gap
