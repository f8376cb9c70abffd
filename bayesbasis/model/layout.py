"""The layout: a panel in the order and the shape in which the filter reads it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.model.hierarchy import Levels
from bayesbasis.model.spec import Spec
from bayesbasis.process.filter import Schedule
from bayesbasis.process.quadrature import Steps, split_by_stiffness

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9


@dataclass(frozen=True)
class Layout:
    """A panel in order of events: by regime chain, time and underlying.

    Parameters
    ----------
    levels : Levels
        Levels of the hierarchy with more than one member.
    coords : dict
        Labels of ``contract``, ``underlying``, ``venue`` and the regimes.
    underlyings : list of str
        Names of the underlyings, in the order of their indices.
    contract_underlying, contract_venue : ndarray of int64, shape (contract,)
        Where each contract belongs.
    order : ndarray of int64, shape (obs,)
        Position in the panel of each quote in order of events.
    basis, tau : ndarray, shape (obs,)
        In order of events.
    contract : ndarray of int64, shape (obs,)
        In order of events.
    schedule : Schedule
        Who follows whom.
    moves : tuple of Steps
        The distinct moves in time to expiry: those a small grid resolves, then the others.
    move_group : tuple of ndarray of int64
        Parameter group of each distinct move, for either kind.
    event_time : ndarray of datetime64[ns], shape (event,)
        Time of each event.
    event_underlying : ndarray of int64, shape (event,)
        Underlying of each event.
    """

    levels: Levels
    coords: dict[str, list[Any]]
    underlyings: list[str]
    contract_underlying: Array
    contract_venue: Array
    order: Array
    basis: Array
    tau: Array
    contract: Array
    schedule: Schedule
    moves: tuple[Steps, Steps]
    move_group: tuple[Array, Array]
    event_time: Array
    event_underlying: Array


def lay_out(spec: Spec, panel: xr.Dataset) -> Layout:
    """Order a panel for the filter.

    Parameters
    ----------
    spec : Spec
        The model: who shares a chain of regimes, and who shares parameters.
    panel : xarray.Dataset
        From `make_panel`.

    Returns
    -------
    Layout

    Raises
    ------
    ValueError
        If no contract has a second quote, so that there is no move to learn from.
    """
    underlyings, contract_underlying = _labels(panel["underlying"].values)
    venues, contract_venue = _labels(panel["venue"].values)
    pooled = spec.pooling.underlyings and len(underlyings) > 1
    levels = Levels(spec.pooling.venues and len(venues) > 1, pooled)
    contract = panel["contract_index"].values
    time = panel["time"].values.astype("datetime64[ns]").astype(np.int64)
    underlying = contract_underlying[contract]
    path = underlying if spec.regimes.shared_by == "underlying" else np.zeros_like(underlying)
    order = np.lexsort((contract, _first_quotes(contract), underlying, time, path))
    contract, time, underlying, path = (x[order] for x in (contract, time, underlying, path))
    previous, tau = _previous(contract), panel["tau"].values[order]
    if (previous < 0).all():
        raise ValueError(
            f"none of the {panel.sizes['contract']} contracts has a second quote, so there is no "
            "move to learn from; give a panel with at least two quotes of some contract"
        )
    group = underlying if pooled else np.zeros_like(underlying)
    start, stop = _event_bounds(previous >= 0, np.stack([path, time, underlying]))
    chain = group[start] if spec.regimes.shared_by == "underlying" else np.zeros_like(start)
    gap, gap_length, gap_chain = _gaps(path[start], time[start], chain)
    step, moves, move_group = _moves(previous, tau, group)
    schedule = Schedule(
        previous=previous,
        step=step,
        group=group,
        first=np.flatnonzero(previous < 0),
        event_start=start,
        event_stop=stop,
        gap=gap,
        chain=chain,
        gap_length=gap_length,
        gap_chain=gap_chain,
    )
    groups = underlyings if pooled or len(underlyings) == 1 else ["all"]
    return Layout(
        levels=levels,
        coords=_coords(spec, panel, groups, venues),
        underlyings=underlyings,
        contract_underlying=contract_underlying,
        contract_venue=contract_venue,
        order=order,
        basis=panel["basis"].values[order],
        tau=tau,
        contract=contract,
        schedule=schedule,
        moves=moves,
        move_group=move_group,
        event_time=time[start].astype("datetime64[ns]"),
        event_underlying=underlying[start],
    )


def _labels(values: Array) -> tuple[list[str], Array]:
    names, index = np.unique(values.astype(str), return_inverse=True)
    return names.tolist(), index.astype(np.int64)


def _coords(
    spec: Spec, panel: xr.Dataset, groups: list[str], venues: list[str]
) -> dict[str, list[Any]]:
    count = spec.regimes.count
    coords: dict[str, list[Any]] = {
        "contract": panel["contract"].values.tolist(),
        "underlying": groups,
        "venue": venues,
        "regime": list(range(1, count + 1)),
    }
    if count > 1:
        coords["higher_regime"] = list(range(2, count + 1))
    if count > 2:
        coords["other"] = list(range(1, count))
    return coords


def _first_quotes(contract: Array) -> Array:
    """Mark the first quote of every contract of a panel, which is sorted by contract and time."""
    return np.diff(contract, prepend=-1) != 0


def _previous(contract: Array) -> Array:
    """Position of the previous quote of the same contract; -1 for the first."""
    previous = np.full(len(contract), -1)
    by_contract = np.argsort(contract, kind="stable")
    same = contract[by_contract[1:]] == contract[by_contract[:-1]]
    previous[by_contract[1:][same]] = by_contract[:-1][same]
    return previous


def _event_bounds(scored: Array, keys: Array) -> tuple[Array, Array]:
    """First and one past the last scored quote of every event; keys have shape (key, obs)."""
    positions = np.flatnonzero(scored)
    opens = np.ones(len(positions), bool)
    opens[1:] = (np.diff(keys[:, positions], axis=1) != 0).any(axis=0)
    closes = np.append(opens[1:], True)
    return positions[opens], positions[closes] + 1


def _gaps(path: Array, time: Array, chain: Array) -> tuple[Array, Array, Array]:
    """Distinct times between consecutive events of one path, per chain; see `Schedule`."""
    follows = np.diff(path, prepend=-1) == 0
    elapsed = np.diff(time, prepend=0)[follows]
    distinct, row = np.unique(np.stack([chain[follows], elapsed]), axis=1, return_inverse=True)
    gap = np.full(len(path), -1)
    gap[follows] = row.ravel()
    return gap, distinct[1] / _YEAR_NS, distinct[0].copy()


def _moves(
    previous: Array, tau: Array, group: Array
) -> tuple[Array, tuple[Steps, Steps], tuple[Array, Array]]:
    """Distinct moves of each parameter group, the easy ones first; and every quote's row."""
    scored = previous >= 0
    pairs = np.stack([group[scored], tau[previous[scored]], tau[scored]])
    distinct, row = np.unique(pairs, axis=1, return_inverse=True)
    owner, start, end = distinct[0].astype(np.int64), distinct[1], distinct[2]
    hard = ~split_by_stiffness(start, end)
    rank = np.argsort(np.argsort(hard, kind="stable"), kind="stable")
    step = np.full(len(tau), -1)
    step[scored] = rank[row.ravel()]
    moves = Steps.between(start[~hard], end[~hard]), Steps.between(start[hard], end[hard])
    return step, moves, (owner[~hard], owner[hard])
