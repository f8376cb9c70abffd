"""Posterior draws as the arrays the filter reads, one draw after another."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.model.hierarchy import at_regime, filter_inputs, law_parameters, spot_inputs
from bayesbasis.model.layout import Layout
from bayesbasis.model.offsets import by_cell, units
from bayesbasis.model.spec import Spec
from bayesbasis.process.adjoint import Sweep
from bayesbasis.process.equilibria import fair_basis
from bayesbasis.process.filter import Parameters
from bayesbasis.process.joint import JointSweep, Returns, joint_sweep
from bayesbasis.process.own_noise import OwnNoise
from bayesbasis.process.paced import Paced, plain, run_filter
from bayesbasis.process.quadrature import Steps, split_by_stiffness

Array = NDArray[Any]

_CHUNK = 256


def natural_draws(spec: Spec, posterior: xr.Dataset) -> dict[str, Array]:
    """Parameters of every draw, chains one after another, as `parameters` shapes them.

    Parameters
    ----------
    spec : Spec
        The model.
    posterior : xarray.Dataset
        Dims chain, draw and the parameters' own.

    Returns
    -------
    dict of ndarray, shape (chain * draw, group, ...)
        The group axis is there for parameters of the whole market too.
    """
    natural, quantity = {}, f"{spec.equilibrium.quantity}_"
    for name, variable in posterior.data_vars.items():
        own = tuple(dim for dim in variable.dims if dim not in ("chain", "draw"))
        value = variable.transpose("chain", "draw", *own).values
        value = value.reshape(-1, *value.shape[2:])
        has_group = bool(own) and own[0] in ("underlying", "venue", "kind", "contract")
        of_market = str(name).endswith("_market") or "_between" in str(name)
        scalar = str(name).startswith(quantity) or of_market
        natural[str(name)] = value if has_group or scalar else value[:, None]
    return natural


def transitions(
    spec: Spec,
    natural: Mapping[str, Array],
    start: Array,
    end: Array,
    group: int,
    drive: Array | None = None,
) -> tuple[Array, Array]:
    """``φ`` and ``v`` of moves for every draw.

    Parameters
    ----------
    spec : Spec
        The model.
    natural : mapping
        From `natural_draws`, by cell if the card tells cells apart.
    start, end : ndarray, shape (move,)
        Time to expiry before and after, years.
    group : int
        Parameter group, or cell.
    drive : ndarray, shape (draw or 1, move, covariate), optional
        Covariates of speed where each move starts; at their averages unless given.

    Returns
    -------
    phi, variance : ndarray, shape (draw, move)
    """
    draws = len(natural["noise"])
    phi, variance = np.empty((draws, len(start))), np.empty((draws, len(start)))
    easy = split_by_stiffness(start, end)
    if drive is None:
        drive = np.zeros((1, len(start), len(spec.drivers.speed)))
    names = [*spec.law.parameters, *(["speed_coefficient"] if spec.drivers.speed else [])]
    for kind in (easy, ~easy):
        steps = Steps.between(start[kind], end[kind])
        for first in range(0, draws, _CHUNK):
            chunk = slice(first, first + _CHUNK)
            some = {name: natural[name][chunk] for name in names}
            push = drive[chunk if len(drive) > 1 else slice(None), kind]
            own = law_parameters(spec, some, [group], push, np)
            phi[chunk, kind], variance[chunk, kind] = spec.law.transition(own, steps, np)
    return phi, variance


def filter_parameters(
    spec: Spec, layout: Layout, natural: Mapping[str, Array]
) -> Iterator[Parameters | Paced | OwnNoise]:
    """Yield what the filter takes, draw by draw.

    Deviations are in the units of their cells, see `bayesbasis.model.offsets`. Moves are evaluated
    for a chunk of draws at once, to bound memory.
    """
    count = len(natural["noise"])
    for start in range(0, count, _CHUNK):
        chunk = {name: value[start : start + _CHUNK] for name, value in natural.items()}
        whole = by_cell(spec, chunk, layout.cells, np)
        measure = units(spec, chunk, layout.cells, np)
        tables: list[list[Array]] = []
        kinds = zip(layout.moves, layout.move_group, layout.move_drive, strict=True)
        for steps, group, drive in kinds:
            own = law_parameters(spec, whole, group, drive, np)
            shape = (len(chunk["noise"]), len(group))
            # A law without parameters moves the same in every draw.
            both = spec.law.transition(own, steps, np)
            wilder = (at_regime(whole, regime) for regime in spec.regimes.paced)
            driven = (law_parameters(spec, here, group, drive, np) for here in wilder)
            rest = (spec.law.transition(own, steps, np)[0] for own in driven)
            tables.append([np.broadcast_to(table, shape) for table in (*both, *rest)])
        phi, variance, *paces = (np.concatenate(own, axis=1) for own in zip(*tables, strict=True))
        variance = variance / measure.noise[:, np.concatenate(layout.move_group)]
        inputs = filter_inputs(spec, chunk, np, layout.clock)
        fair = fair_basis(spec.equilibrium, chunk, layout.quotes, np)
        for d in range(len(phi)):
            other = {name: np.ascontiguousarray(value[d]) for name, value in inputs.items()}
            p = Parameters(
                deviation=(layout.basis - fair[d]) / measure.size[d, layout.quote_cell],
                phi=phi[d],
                variance=variance[d],
                **other,
            )
            if paces:
                yield Paced(*p, pace=np.stack([pace[d] for pace in paces]))
            else:
                yield OwnNoise(*p) if spec.shocks.noise == "own" else p


def filtered_draws(
    spec: Spec, layout: Layout, natural: Mapping[str, Array]
) -> Iterator[tuple[Parameters, Sweep | JointSweep]]:
    """Filter a panel, draw by draw: in the light of spot too, where it is part of the model.

    Yields
    ------
    p : Parameters
        What the filter took of the basis.
    result : Sweep or JointSweep
        What it found; fields of one name mean the same.
    """
    s, move = layout.schedule, layout.spot_move
    spot = {} if move is None else spot_inputs(natural)
    for d, p in enumerate(filter_parameters(spec, layout, natural)):
        if move is None:
            yield plain(p), run_filter(s, p)
        else:
            own = {name: np.ascontiguousarray(value[d]) for name, value in spot.items()}
            yield plain(p), joint_sweep(s, plain(p), Returns(move, **own))


def log_units(spec: Spec, layout: Layout, natural: Mapping[str, Array]) -> Array:
    """Logarithm of what the quotes of each event are measured in, shape (draw, event).

    Log densities of events are those of the filter less this.
    """
    size = np.log(units(spec, natural, layout.cells, np).size)
    scored = layout.quote_cell[len(layout.contract_cell) :]
    start = layout.schedule.event_start - len(layout.contract_cell)
    return np.add.reduceat(size[:, scored], start, axis=1)
