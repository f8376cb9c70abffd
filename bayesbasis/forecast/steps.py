"""Moves along a forecast's grid: how deviations decay and spread, and which regimes hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.forecast.origin import Origin, generators
from bayesbasis.inference.draws import transitions
from bayesbasis.model.hierarchy import at_regime
from bayesbasis.model.spec import Spec
from bayesbasis.process.simulation import simulate_regimes, step_regimes, transition_matrices

Array = NDArray[Any]


def move_tables(
    spec: Spec,
    state: Origin,
    contracts: Array,
    tau: Array,
    natural: Mapping[str, Array],
    drive: Array,
) -> tuple[Array, Array]:
    """``φ`` and ``v`` from the last quote to the origin and along the grid, in units of cells.

    Parameters are by cell.
    """
    start = np.concatenate([state.tau[contracts, None], tau[:, :-1]], axis=1)
    moving = start > tau
    phi = np.ones((len(state.level), *tau.shape))
    variance = np.zeros_like(phi)
    cell, noise = state.layout.contract_cell[contracts], state.units.noise
    for own in np.unique(cell):
        here = moving & (cell == own)[:, None]
        pairs, row = np.stack([start[here], tau[here]]), np.arange(here.sum())
        if not spec.drivers.speed:
            pairs, row = np.unique(pairs, axis=1, return_inverse=True)
        pushed = drive[:, here] if spec.drivers.speed else None
        tables = transitions(spec, natural, pairs[0], pairs[1], own, pushed)
        phi[:, here], variance[:, here] = (table[:, row.ravel()] for table in tables)
        variance[:, here] /= noise[:, [own]]
    return phi, variance


def paced_moves(
    spec: Spec,
    state: Origin,
    contracts: Array,
    tau: Array,
    natural: Mapping[str, Array],
    drive: Array,
    path: Array,
    phi: Array,
) -> Array | None:
    """``φ`` of the regime in which every move ends, where it is not that of the calmest for all."""
    if not spec.regimes.has_speeds:
        return None
    for regime in spec.regimes.paced:
        other = at_regime(natural, regime)
        own = move_tables(spec, state, contracts, tau, other, drive)[0]
        phi = np.where(path[:, None, :] == regime, own, phi)
    return phi


def regime_paths(
    spec: Spec, state: Origin, live: Array, stays: Array, gaps: Array, rng: Generator
) -> list[Array]:
    """Regime of every path at every step; covariates of its contracts drive its stays."""
    path_of, count = state.layout.contract_path[live], state.regime.shape[1]
    quiet = np.zeros((count, len(spec.drivers.stay)))
    if not spec.drivers.stay:
        rates = generators(spec, state.layout, state.natural, quiet)
        return [
            simulate_regimes(state.regime[:, path], rates[:, path], gaps, rng)
            for path in range(count)
        ]
    steps = [state.regime]
    for t, gap in enumerate(gaps):
        here = np.broadcast_to(quiet, (len(stays), *quiet.shape)).copy()
        for path in np.unique(path_of):
            here[:, path] = stays[:, path_of == path, t].mean(1)
        rates = generators(spec, state.layout, state.natural, here)
        moved = [
            step_regimes(steps[-1][:, path], transition_matrices(rates[:, path], gap), rng)
            for path in range(count)
        ]
        steps.append(np.stack(moved, axis=1))
    return list(np.stack(steps, axis=-1).astype(np.int8).transpose(1, 0, 2))
