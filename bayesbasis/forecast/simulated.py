"""Simulation from states at an origin: curves of every underlying, and spot that they read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.data.panel import countdown, is_perpetual
from bayesbasis.forecast.leg import learn_spot
from bayesbasis.forecast.origin import Origin
from bayesbasis.forecast.scenario import Future, future
from bayesbasis.forecast.spot import SpotPast, SpotPath, spot_alone, spot_beside, spot_past
from bayesbasis.forecast.steps import move_tables, paced_moves, regime_paths
from bayesbasis.model.hierarchy import filter_inputs, law_parameters
from bayesbasis.model.layout import Layout
from bayesbasis.model.offsets import by_cell
from bayesbasis.model.spec import Spec
from bayesbasis.process.equilibria import PREMIUM_SPAN, Quotes, fair_basis, is_constant
from bayesbasis.process.quadrature import ENDLESS
from bayesbasis.process.simulation import curve_shocks, move_scale, simulate_deviations

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9


def simulate_paths(
    spec: Spec,
    known: xr.Dataset,
    live: Array,
    state: Origin,
    times: Array,
    draws: xr.Dataset,
    rng: Generator,
    drive: Future | None = None,
) -> xr.Dataset:
    """Simulate from states at an origin.

    Parameters
    ----------
    spec : Spec
        The model.
    known : xarray.Dataset
        Panel of the quotes known at the origin.
    live : ndarray of int
        Positions of the contracts to simulate.
    state : Origin
        What is known there, draw by draw.
    times : ndarray of datetime64[ns], shape (step,)
        The origin, and the grid after it.
    draws : xarray.Dataset
        What the states were made from, for its chains and draws.
    rng : numpy.random.Generator
        Source of randomness.
    drive : Future, optional
        Covariates to come; by default they keep their last values.

    Returns
    -------
    xarray.Dataset
        As `forecast`, without attrs.
    """
    if drive is None:
        drive = future(spec, state.layout, known, known, live, times, None, len(state.level), rng)
    arrays = _simulate(spec, known, live, state, drive, times, rng)
    return _dataset(known, live, times, draws, arrays)


def _simulate(
    spec: Spec,
    known: xr.Dataset,
    live: Array,
    state: Origin,
    drive: Future,
    times: Array,
    rng: Generator,
) -> dict[str, Array]:
    """Simulate underlying by underlying; arrays have shape (draw, contract, step)."""
    layout, quantity = state.layout, spec.equilibrium.quantity
    inputs = filter_inputs(spec, state.natural, np)
    draws = len(inputs["noise"])
    tau = _countdown(known, live, times)
    arrays = _blank(spec, known, live, (draws, *tau.shape))
    arrays[quantity] = state.natural[quantity][:, live] * 0.01
    cell, whole = layout.contract_cell[live], by_cell(spec, state.natural, layout.cells, np)
    pushed = drive.before_steps(spec.drivers.speed, tau)
    arrays |= law_parameters(spec, whole, cell, pushed[:, :, 0], np)
    arrays["tail"] = inputs["tail"][:, layout.cells.underlying[cell]]
    pasts, spot = _spot_so_far(spec, layout, known, times, state.natural, rng)
    gaps = np.diff(times).astype(np.int64) / _YEAR_NS
    stays = drive.at_steps(spec.drivers.stay, tau)
    regimes = regime_paths(spec, state, live, stays, gaps, rng)
    carried = drive.at_steps(spec.equilibrium.covariates, tau)
    observed = drive.values.get(spec.equilibrium.fixed, np.zeros((1, *tau.shape)))
    owners = np.stack([layout.contract_underlying[live], layout.contract_path[live]])
    for u, on in np.unique(owners, axis=1).T:
        group = int(u) if layout.levels.underlyings else 0
        path = regimes[on]
        members = np.flatnonzero((owners == [[u], [on]]).all(0))
        phi, variance = move_tables(
            spec, state, live[members], tau[members], whole, pushed[:, members]
        )
        volatility = np.take_along_axis(inputs["scale"][:, group], path.astype(np.int64), axis=1)
        noise = inputs["noise"][:, group]
        deviation, quote = simulate_deviations(
            state.level[:, live[members]],
            state.spread[:, live[members]],
            phi,
            variance,
            volatility,
            inputs["correlation"][:, group],
            inputs["tail"][:, group],
            noise,
            rng,
            paced_moves(
                spec, state, live[members], tau[members], whole, pushed[:, members], path, phi
            ),
            own_noise=spec.shocks.noise == "own",
        )
        moved = volatility[:, None] * move_scale(
            state.spread[:, live[members]], phi, variance, noise[:, None]
        )
        if u in pasts and u not in spot:
            shocks = curve_shocks(state.level[:, live[members]], deviation, phi, moved)
            leg = learn_spot(spec, layout, known, state.natural, rng).on(int(u), path)
            curve = inputs["correlation"][:, group], inputs["tail"][:, group]
            spot[u] = spot_beside(pasts[u], shocks, *curve, *leg, rng)
        deviation, quote, moved = (
            state.units.size[:, cell[members], None] * own for own in (deviation, quote, moved)
        )
        contract = np.broadcast_to(live[members, None], tau[members].shape)
        log_spot = spot[u].log_spot[:, None] if u in spot else np.zeros(1)
        read = log_spot, carried[:, members], observed[:, members]
        span = np.where(tau[members] >= ENDLESS, PREMIUM_SPAN, tau[members])
        quotes = Quotes(span, contract, np.array([[group]]), *read)
        fair = fair_basis(spec.equilibrium, state.natural, quotes, np)
        if "equilibrium" in arrays:
            arrays["equilibrium"][:, members] = fair
        ended = np.isnan(tau[members])
        arrays["deviation"][:, members] = np.where(ended, np.nan, deviation)
        arrays["basis"][:, members] = fair + quote
        arrays["shock_scale"][:, members] = np.where(ended, np.nan, moved)
        if u in spot:
            arrays["spot"][:, members] = np.where(ended, np.nan, spot[u].price[:, None])
            arrays["spot_scale"][:, members] = np.where(ended, np.nan, spot[u].scale[:, None])
        arrays["regime"][:, members] = np.where(ended, -1, path[:, None, :] + 1)
    quoted = state.tau[live] == tau[:, 0]
    arrays["basis"][:, quoted, 0] = state.basis[live[quoted]]
    return arrays


def _blank(spec: Spec, known: xr.Dataset, live: Array, shape: tuple[int, ...]) -> dict[str, Array]:
    """Room for paths, shape (draw, contract, step): missing until they are simulated."""
    names = ["basis", "deviation"]
    if not is_constant(spec.equilibrium) or is_perpetual(known)[live].any():
        names.append("equilibrium")
    if spec.equilibrium.reads_spot:
        names += ["spot", "spot_scale"]
    arrays = {name: np.full(shape, np.nan) for name in names}
    arrays["regime"] = np.full(shape, -1, np.int8)
    arrays["shock_scale"] = np.full(shape, np.nan, np.float32)
    return arrays


def _spot_so_far(
    spec: Spec,
    layout: Layout,
    known: xr.Dataset,
    times: Array,
    natural: Mapping[str, Array],
    rng: Generator,
) -> tuple[dict[int, SpotPast], dict[int, SpotPath]]:
    """Past of every underlying's spot, if the equilibrium reads it; and its paths if it is alone.

    Spot that is estimated with the basis waits for the shocks of its curve.
    """
    pasts: dict[int, SpotPast] = {}
    alone: dict[int, SpotPath] = {}
    if spec.equilibrium.reads_spot:
        for u in range(len(layout.underlyings)):
            pasts[u] = spot_past(spec, layout, known, u, times, natural, rng)
            if spec.spot is None:
                alone[u] = spot_alone(pasts[u], rng)
    return pasts, alone


def _countdown(known: xr.Dataset, live: Array, times: Array) -> Array:
    """Time to expiry on the grid, shape (contract, step); missing after expiry."""
    left = countdown(known["expiry"].values[live, None], times)
    return np.where(left >= 0, left, np.nan)


def _dataset(
    known: xr.Dataset, live: Array, times: Array, posterior: xr.Dataset, arrays: dict[str, Array]
) -> xr.Dataset:
    tau = _countdown(known, live, times)
    stamps = np.where(np.isnan(tau), np.datetime64("NaT", "ns"), times)
    tau = np.where(tau >= ENDLESS, np.nan, tau)
    sizes = (posterior.sizes["chain"], posterior.sizes["draw"])
    named = {
        "basis": ("log basis as quoted", "1"),
        "deviation": ("deviation from equilibrium", "1"),
        "regime": ("volatility regime, 1 the calmest; -1 after expiry", "1"),
        "shock_scale": ("scale of the deviation's move into the step", "1"),
        "carry": ("carry", "1/year"),
        "level": ("logarithm of the level of spot over the mean of the panel", "1"),
        "equilibrium": ("fair log basis", "1"),
        "half_life": ("half-life of the expiry-free mean reversion", "day"),
        "tail": ("degrees of freedom of shocks", "1"),
        "spot": ("spot price", "quote currency"),
        "spot_scale": ("scale of spot's log move", "1"),
    }
    variables = {}
    for name, array in arrays.items():
        long_name, units = named.get(name, (f"{name} of the law", "1"))
        value = array.reshape(*sizes, *array.shape[1:])
        own = ("contract", "step")[: value.ndim - 2]
        attrs = {"long_name": long_name, "units": units}
        variables[name] = (("chain", "draw", *own), value, attrs)
    chosen = known[["underlying", "venue", "kind", "expiry"]].isel(contract=live).coords
    coords = {
        "chain": posterior["chain"].values,
        "draw": posterior["draw"].values,
        "step": np.arange(len(times)),
        "time": (("contract", "step"), stamps.astype("datetime64[ns]")),
        "tau": (("contract", "step"), tau, {"units": "year", "long_name": "time to expiry"}),
    }
    coords |= {name: chosen[name] for name in ("contract", "underlying", "venue", "kind", "expiry")}
    return xr.Dataset(variables, coords)
