"""The layout: a panel in the order and the shape in which the filter reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.data.panel import families, is_perpetual
from bayesbasis.model.covariates import Clock, columns, observed_carry, standardised
from bayesbasis.model.events import clock_of, event_bounds, event_means, gaps
from bayesbasis.model.hierarchy import no_evidence
from bayesbasis.model.levels import Cells, Evidence, Levels, Members
from bayesbasis.model.moves import distinct_moves, previous_quotes, spans
from bayesbasis.model.spec import Spec
from bayesbasis.model.spot import spot_moves
from bayesbasis.process.equilibria import PREMIUM_SPAN, Quotes
from bayesbasis.process.filter import Schedule
from bayesbasis.process.quadrature import Steps

Array = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """A panel in order of events: by regime chain, time and underlying.

    Before all quotes stands one for each contract that nobody saw: at fair value, `SETTLED` years
    before the first. It scores nothing, but the first quote is a move from there like any other,
    and an event apart from that of the rest of its curve: the shocks of years are not those of a
    day. Contracts that are listed at one time share one event.

    Parameters
    ----------
    levels : Levels
        Levels of the hierarchy with more than one member.
    coords : dict
        Labels of ``contract``, ``underlying``, ``venue``, ``kind`` and the regimes.
    underlyings : list of str
        Names of the underlyings, in the order of their indices; the perpetuals of one count as
        another, see `bayesbasis.data.panel.families`.
    contract_underlying, contract_venue, contract_kind : ndarray of int64, shape (contract,)
        Where each contract belongs.
    cells : Cells
        Where each cell belongs: contracts that share every parameter, see `offsets`.
    contract_cell : ndarray of int64, shape (contract,)
        Cell of each contract.
    contract_path : ndarray of int64, shape (contract,)
        Path of regimes that each contract is on: its underlying's, its venue's or the market's.
    order : ndarray of int64, shape (contract + obs,)
        Position in the panel of each quote in order of events; -1 for the unseen ones.
    basis, tau : ndarray, shape (contract + obs,)
        In order of events; zero for the unseen ones, whose fair basis is that of expiry. ``tau`` is
        what carry is earned over: of a perpetual, `PREMIUM_SPAN`.
    log_spot : ndarray, shape (contract + obs,)
        Logarithm of spot over its reference, in order of events; zero for the unseen ones.
    observed : ndarray, shape (contract + obs,)
        Carry taken as given, % a year.
    covariates : ndarray, shape (contract + obs, covariate)
        Standardised covariates of carry, in order of events.
    contract : ndarray of int64, shape (contract + obs,)
        In order of events.
    schedule : Schedule
        Who follows whom.
    moves : tuple of Steps
        The distinct moves in time to expiry: those a small grid resolves, then the others.
    move_group : tuple of ndarray of int64
        Cell of each distinct move, for either kind: its parameter group, unless venues, kinds or
        contracts have parameters of their own.
    move_drive : tuple of ndarray, shape (move, covariate)
        Covariates of speed where it starts.
    clock : Clock, optional
        Chain and covariates of every generator, where covariates drive stays.
    event_drive : ndarray, shape (event, covariate)
        Covariates of stays at every event.
    event_time : ndarray of datetime64[ns], shape (event,)
        Time of each event.
    event_underlying, event_path : ndarray of int64, shape (event,)
        Underlying of each event, and its path of regimes.
    spot_move : ndarray, shape (event,), optional
        Moves of spot into every event, where spot is estimated too; see `spot_moves`.
    evidence : mapping of Evidence
        What quotes say of the members of every population, by the names of `members_of`, where a
        fit has found out; nothing until then.
    """

    levels: Levels
    coords: dict[str, list[Any]]
    underlyings: list[str]
    contract_underlying: Array
    contract_venue: Array
    contract_kind: Array
    cells: Cells
    contract_cell: Array
    contract_path: Array
    order: Array
    basis: Array
    tau: Array
    log_spot: Array
    observed: Array
    covariates: Array
    contract: Array
    schedule: Schedule
    moves: tuple[Steps, Steps]
    move_group: tuple[Array, Array]
    move_drive: tuple[Array, Array]
    clock: Clock | None
    event_drive: Array
    event_time: Array
    event_underlying: Array
    event_path: Array
    spot_move: Array | None
    evidence: Mapping[str, Evidence]

    @property
    def members(self) -> Members:
        """Where each contract belongs."""
        return Members(self.contract_underlying, self.contract_venue, self.contract_kind)

    @property
    def quote_cell(self) -> Array:
        """Cell of every quote, shape (contract + obs,)."""
        return self.contract_cell[self.contract]

    @property
    def cell_quotes(self) -> Array:
        """Number of quotes of every cell that are scored, shape (cell,)."""
        scored = self.schedule.previous >= 0
        return np.bincount(self.quote_cell[scored], minlength=len(self.cells.underlying))

    @property
    def quotes(self) -> Quotes:
        """What an equilibrium reads."""
        return Quotes(
            self.tau,
            self.contract,
            self.schedule.group,
            self.log_spot,
            self.covariates,
            self.observed,
        )


def spot_reference(panel: xr.Dataset) -> dict[str, float]:
    """Mean logarithm of spot over the quotes of every underlying of a panel."""
    owner = families(panel)[panel["contract_index"].values]
    log_spot = np.log(panel["spot"].values)
    return {str(name): float(log_spot[owner == name].mean()) for name in np.unique(owner)}


def lay_out(spec: Spec, panel: xr.Dataset, fitted: xr.Dataset | None = None) -> Layout:
    """Order a panel for the filter.

    Parameters
    ----------
    spec : Spec
        The model: who shares a chain of regimes, and who shares parameters.
    panel : xarray.Dataset
        From `make_panel`.
    fitted : xarray.Dataset, optional
        The panel that parameters come from, if another: levels count from its mean spot, and
        covariates in its standard deviations.

    Returns
    -------
    Layout

    Raises
    ------
    ValueError
        If no contract has a second quote, so that there is no move to learn from; if a covariate
        is missing; if there are perpetuals under a law that only expiry drives.
    """
    _refuse_bridges(spec, panel)
    if panel.sizes["obs"] == panel.sizes["contract"]:
        raise ValueError(
            f"none of the {panel.sizes['contract']} contracts has a second quote, so there is no "
            "move to learn from; give a panel with at least two quotes of some contract"
        )
    underlyings, contract_underlying = _labels(families(panel))
    venues, contract_venue = _labels(panel["venue"].values)
    kinds, contract_kind = _labels(panel["kind"].values)
    pooled = spec.pooling.underlyings and len(underlyings) > 1
    levels = Levels(
        venues=spec.pooling.venues and len(venues) > 1,
        underlyings=pooled,
        kinds=spec.pooling.kinds and len(kinds) > 1,
        apart=_apart(
            spec, {"venue": len(venues), "kind": len(kinds), "contract": panel.sizes["contract"]}
        ),
    )
    contract = panel["contract_index"].values
    time = panel["time"].values.astype("datetime64[ns]").astype(np.int64)
    underlying = contract_underlying[contract]
    contract_path = _paths(spec, contract_underlying, contract_venue)
    path = contract_path[contract]
    # A panel holds the quotes of each contract together, in order of time.
    listed = np.diff(contract, prepend=-1) != 0
    order = np.lexsort((contract, listed, underlying, time, path))
    time, underlying, path, listed = (x[order] for x in (time, underlying, path, listed))
    unseen = panel.sizes["contract"]
    contract = np.concatenate([np.arange(unseen), contract[order]])
    basis = _after_unseen(panel["basis"].values[order], unseen)
    left = _after_unseen(panel["tau"].values[order], unseen)
    tau = np.where(np.isnan(left), PREMIUM_SPAN, left)
    fitted = panel if fitted is None else fitted
    log_spot = _log_spot(panel, fitted, underlyings)
    drives = {role: standardised(panel, fitted, names) for role, names in columns(spec).items()}
    previous = previous_quotes(contract)
    groups = contract_underlying if pooled else np.zeros_like(contract_underlying)
    group = groups[contract]
    whole = Cells(groups, contract_venue, contract_kind, np.arange(len(groups)))
    cells, contract_cell = _cells(spec, whole)
    start, stop = event_bounds(np.stack([path, time, underlying, listed]))
    chain = (
        group[unseen:][start] if spec.regimes.shared_by == "underlying" else np.zeros_like(start)
    )
    clock, event_drive = None, event_means(drives["stay"][order], start, stop)
    if spec.drivers.stay:
        chain, clock = clock_of(path[start], chain, event_drive)
    gap, gap_length, gap_chain = gaps(path[start], time[start], chain)
    speed = _after_unseen(drives["speed"][order], unseen)
    before, after = spans(previous, left, _after_unseen(time, unseen))
    step, moves, move_group, move_drive = distinct_moves(
        previous, before, after, contract_cell[contract], speed
    )
    schedule = Schedule(
        previous=previous,
        step=step,
        group=group,
        first=np.arange(unseen),
        event_start=unseen + start,
        event_stop=unseen + stop,
        gap=gap,
        chain=chain,
        gap_length=gap_length,
        gap_chain=gap_chain,
    )
    at, by = time[start].astype("datetime64[ns]"), underlying[start]
    labels = underlyings if pooled or len(underlyings) == 1 else ["all"]
    coords = _coords(spec, panel, labels, venues, kinds)
    return Layout(
        levels=levels,
        coords=coords,
        underlyings=underlyings,
        contract_underlying=contract_underlying,
        contract_venue=contract_venue,
        contract_kind=contract_kind,
        cells=cells,
        contract_cell=contract_cell,
        contract_path=contract_path,
        order=np.concatenate([np.full(unseen, -1), order]),
        basis=basis,
        tau=tau,
        log_spot=_after_unseen(log_spot[order], unseen),
        observed=_after_unseen(observed_carry(spec, panel)[order], unseen),
        covariates=_after_unseen(drives["carry"][order], unseen),
        contract=contract,
        schedule=schedule,
        moves=moves,
        move_group=move_group,
        move_drive=move_drive,
        clock=clock,
        event_drive=event_drive,
        event_time=at,
        event_underlying=by,
        event_path=path[start],
        spot_move=None if spec.spot is None else spot_moves(at, by, log_spot[order][start]),
        evidence=no_evidence(spec, levels, coords, whole),
    )


def _refuse_bridges(spec: Spec, panel: xr.Dataset) -> None:
    endless = is_perpetual(panel)
    if endless.any() and "half_life" not in spec.law.parameters:
        raise ValueError(
            f"the panel holds perpetuals, {panel['contract'].values[endless][0]} the first, and "
            f"the law {spec.law.name} has no half-life: nothing but expiry closes a deviation. "
            "Choose one that has, such as anchored"
        )


def _paths(spec: Spec, contract_underlying: Array, contract_venue: Array) -> Array:
    """Path of regimes of every contract."""
    owners = {"underlying": contract_underlying, "venue": contract_venue}
    return owners.get(spec.regimes.shared_by, np.zeros_like(contract_underlying))


def _apart(spec: Spec, sizes: dict[str, int]) -> tuple[str, ...]:
    """Levels at which parameters besides carry vary, that have more than one member."""
    named = dict.fromkeys(level for level, _ in spec.pooling.offsets)
    return tuple(level for level in named if sizes[level] > 1)


def _cells(spec: Spec, contracts: Cells) -> tuple[Cells, Array]:
    """Cells of a panel, and that of each contract; without offsets they are parameter groups."""
    told = {level for level, _ in spec.pooling.offsets}
    keys = [
        key if level == "underlying" or level in told else np.zeros_like(key)
        for level, key in contracts._asdict().items()
    ]
    distinct, cell = np.unique(np.stack(keys), axis=1, return_inverse=True)
    return Cells(*distinct), cell.ravel()


def _log_spot(panel: xr.Dataset, fitted: xr.Dataset, underlyings: list[str]) -> Array:
    """Logarithm of spot over its reference; an underlying that was not fitted has its own."""
    reference = spot_reference(panel) | spot_reference(fitted)
    owner = families(panel)[panel["contract_index"].values]
    centre = np.array([reference[name] for name in underlyings])
    return np.log(panel["spot"].values) - centre[np.searchsorted(underlyings, owner)]


def _labels(values: Array) -> tuple[list[str], Array]:
    names, index = np.unique(values.astype(str), return_inverse=True)
    return names.tolist(), index.astype(np.int64)


def _coords(
    spec: Spec, panel: xr.Dataset, groups: list[str], venues: list[str], kinds: list[str]
) -> dict[str, list[Any]]:
    count = spec.regimes.count
    coords: dict[str, list[Any]] = {
        "contract": panel["contract"].values.tolist(),
        "underlying": groups,
        "venue": venues,
        "kind": kinds,
        "regime": list(range(1, count + 1)),
    }
    if count > 1:
        coords["higher_regime"] = list(range(2, count + 1))
    if count > 2:
        coords["other"] = list(range(1, count - 1))
    dims = {"carry": "covariate", "speed": "speed_covariate", "stay": "stay_covariate"}
    return coords | {dims[role]: list(names) for role, names in columns(spec).items() if names}


def _after_unseen(values: Array, unseen: int) -> Array:
    """Put the quotes that nobody saw before the others."""
    return np.concatenate([np.zeros((unseen, *values.shape[1:])), values])
