"""The spot leg of a forecast: its volatility by regime, learned from the panel, and its paths."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.data.panel import families
from bayesbasis.forecast.calendar import counted
from bayesbasis.forecast.origin import states_at
from bayesbasis.forecast.passage import decays, own_parameters
from bayesbasis.inference.draws import filter_parameters
from bayesbasis.inference.states import thin
from bayesbasis.model.cards import read_card
from bayesbasis.model.hierarchy import filter_inputs, spot_inputs
from bayesbasis.model.layout import Layout
from bayesbasis.model.spec import Spec
from bayesbasis.model.spot import spot_moves
from bayesbasis.process.filter import transitions
from bayesbasis.process.paced import plain, run_filter
from bayesbasis.process.returns import draw_regimes, draw_spot, simulate_spot

Array = NDArray[Any]

_MOST_DRAWS = 500
_GIBBS_STEPS = 8
# Half of all squares of standard normals are below this.
_MEDIAN_SQUARE = 0.4549


@dataclass(frozen=True)
class SpotLeg:
    """Spot of every underlying.

    Parameters
    ----------
    volatility, correlation : ndarray, shape (draw, underlying, regime)
        Volatility per root year, and correlation with the mean shock of the curve.
    level : ndarray, shape (underlying,)
        Last known price.
    """

    volatility: Array
    correlation: Array
    level: Array

    def on(self, u: int, regime: Array) -> tuple[Array, Array]:
        """Volatility and correlation of an underlying on paths of regimes, (draw, step)."""
        draw = np.arange(len(regime))[:, None]
        return self.volatility[draw, u, regime], self.correlation[draw, u, regime]


def spot_leg(
    fit: xr.DataTree, *, panel: xr.Dataset | None = None, draws: int = 400, seed: int = 1
) -> xr.Dataset:
    """Volatility of spot and its correlation with the basis, in every regime.

    What `forecast` simulates spot with, to be looked at: estimated beside the basis, in the light
    of its regimes and of the mixing variables of its shocks.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.
    panel : xarray.Dataset, optional
        Quotes to learn from; by default those of the fit.
    draws : int
        Posterior draws to use.
    seed : int
        Seed of the Gibbs steps.

    Returns
    -------
    xarray.Dataset
        ``volatility``, % per √year (the scale of a Student-t, not its standard deviation), and
        ``correlation`` of spot with the mean shock of the curve; dims chain, draw, underlying,
        regime.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> bb.spot_leg(fit)["volatility"].mean(["chain", "draw"])  # doctest: +SKIP
    """
    spec = read_card(fit.attrs["card"])
    known = fit["constant_data"].to_dataset() if panel is None else panel
    posterior, rng = thin(fit["posterior"].to_dataset(), draws), np.random.default_rng(seed)
    state = states_at(fit, spec, known, posterior, known["time"].values.max(), rng)
    leg = learn_spot(spec, state.layout, known, state.natural, rng)
    sizes = posterior.sizes["chain"], posterior.sizes["draw"]
    dims = ("chain", "draw", "underlying", "regime")
    named = {
        "volatility": (100.0 * leg.volatility, "%/year**0.5", "volatility of spot"),
        "correlation": (leg.correlation, "1", "correlation of spot with the curve's mean shock"),
    }
    return xr.Dataset(
        {
            name: (dims, value.reshape(*sizes, *value.shape[1:]), {"units": u, "long_name": text})
            for name, (value, u, text) in named.items()
        },
        {
            "chain": posterior["chain"].values,
            "draw": posterior["draw"].values,
            "underlying": state.layout.underlyings,
            "regime": np.arange(1, spec.regimes.count + 1),
        },
    )


def with_spot(
    paths: xr.Dataset,
    spec: Spec,
    layout: Layout,
    known: xr.Dataset,
    natural: dict[str, Array],
    rng: Generator,
) -> xr.Dataset:
    """Add paths of spot that share regimes and shocks with those of the basis.

    Spot drifts nowhere: its logarithm has no trend, because the panel is too short to tell one.

    Parameters
    ----------
    paths : xarray.Dataset
        Of `forecast`, without spot.
    spec, layout, known, natural
        The model, the quotes known at the origin and the parameters of every draw.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    xarray.Dataset
        With ``spot`` (quote currency) and ``spot_scale``, the scale of its move into a step given
        the regime; dims chain, draw, contract, step.
    """
    leg = learn_spot(spec, layout, known, natural, rng)
    sizes = tuple(paths.sizes[dim] for dim in ("chain", "draw", "contract", "step"))
    spot, scale = np.full(sizes, np.nan), np.full(sizes, np.nan, np.float32)
    correlation, tail = (filter_inputs(spec, natural, np)[name] for name in ("correlation", "tail"))
    timed = counted(paths)
    for u, name in enumerate(layout.underlyings):
        members = np.flatnonzero(families(paths) == name)
        if not members.size:
            continue
        group = u * layout.levels.underlyings
        gaps, regime = _grid(timed, members)
        steps, (volatility, with_curve) = len(gaps), leg.on(u, regime)
        move = np.zeros((len(regime), steps))
        move[:, 1:] = simulate_spot(
            _shocks(timed, spec, members),
            correlation[:, group],
            tail[:, group],
            volatility[:, 1:],
            with_curve[:, 1:],
            rng,
        )
        level = leg.level[u] * np.exp(np.cumsum(move * np.sqrt(gaps), axis=1))
        ended = np.isnan(timed["tau"].transpose("contract", "step").values[members])
        shape = (*sizes[:2], 1, steps)
        spot[:, :, members] = np.where(ended, np.nan, level.reshape(shape))
        size = (volatility * np.sqrt(gaps)).reshape(shape)
        scale[:, :, members] = np.where(ended, np.nan, size)
    dims = ("chain", "draw", "contract", "step")
    return paths.assign(
        spot=(dims, spot, {"long_name": "spot price", "units": "quote currency"}),
        spot_scale=(dims, scale, {"long_name": "scale of spot's log move", "units": "1"}),
    )


def learn_spot(
    spec: Spec, layout: Layout, known: xr.Dataset, natural: dict[str, Array], rng: Generator
) -> SpotLeg:
    """Volatility of spot and its correlation with the basis, regime by regime.

    Where spot is part of the model, they are draws of its posterior. Otherwise they are learned:
    regimes are those that the basis tells of; spot is read in their light, and does not change
    them. Of many draws at most 500 are evenly taken, and their neighbours share what they learn.

    Parameters
    ----------
    spec, layout
        The model and the panel as its filter reads it.
    known : xarray.Dataset
        Quotes known at the origin, with ``spot``.
    natural : dict of ndarray
        Parameters of every draw.
    rng : numpy.random.Generator
        Source of randomness.
    """
    draws = len(natural["noise"])
    move, level = _moves(layout, known)
    if spec.spot is not None:
        rows = np.arange(len(level)) * layout.levels.underlyings
        inputs = spot_inputs(natural)
        return SpotLeg(inputs["volatility"][:, rows], inputs["with_curve"][:, rows], level)
    taken = min(draws, _MOST_DRAWS)
    chosen = np.arange(taken) * draws // taken
    usual = np.array([_usual(move[layout.event_underlying == u]) for u in range(len(level))])
    shape = (taken, len(level), spec.regimes.count)
    volatility, correlation = np.empty(shape), np.empty(shape)
    own = {name: value[chosen] for name, value in natural.items()}
    for d, p in enumerate(filter_parameters(spec, layout, own)):
        states, table = (
            run_filter(layout.schedule, p).states,
            transitions(layout.schedule, plain(p)),
        )
        regime = draw_regimes(layout.schedule, table, states, rng)
        volatility[d], correlation[d] = draw_spot(
            layout.schedule,
            plain(p),
            states,
            regime,
            layout.event_underlying,
            move,
            usual,
            _GIBBS_STEPS,
            rng,
        )
    neighbour = np.arange(draws) * taken // draws
    return SpotLeg(volatility[neighbour], correlation[neighbour], level)


def _flat(values: xr.DataArray) -> Array:
    rest = [dim for dim in values.dims if dim not in ("chain", "draw")]
    array = values.transpose("chain", "draw", *rest).values
    return array.reshape(-1, *array.shape[2:])


def _grid(paths: xr.Dataset, members: Array) -> tuple[Array, Array]:
    """Years into every step and the regime there, from zero, where any of the contracts lives.

    The one that expires last tells; after it nothing is asked.
    """
    tau = paths["tau"].transpose("contract", "step").values[members]
    longest = members[np.argmax(np.isfinite(tau).sum(1))]
    own = paths["tau"].transpose("contract", "step").values[longest]
    gaps = np.concatenate([[0.0], np.nan_to_num(-np.diff(own))])
    regime = _flat(paths["regime"].isel(contract=longest)).astype(np.int64) - 1
    return gaps, np.maximum(regime, 0)


def _shocks(paths: xr.Dataset, spec: Spec, members: Array) -> Array:
    """Student-t shocks of the curve into every step after the first, as the paths hold them."""
    shocks = []
    for contract in members:
        one = paths.isel(contract=contract)
        path, scale = _flat(one["deviation"]), _flat(one["shock_scale"])[:, 1:]
        live = np.isfinite(one["tau"].values)
        phi = np.full(path.shape, np.nan)
        own = own_parameters(spec.law, one)
        phi[:, live] = decays(spec.law, own, one["tau"].values[live], len(path))
        moved = path[:, 1:] - phi[:, 1:] * path[:, :-1]
        shocks.append(np.divide(moved, scale, out=np.full(moved.shape, np.nan), where=scale > 0))
    return np.stack(shocks, axis=1)


def _moves(layout: Layout, known: xr.Dataset) -> tuple[Array, Array]:
    """Spot's log return into every event over the root of its time, and last prices."""
    spot, level = known["spot"].values[layout.order[layout.schedule.event_start]], []
    for u in range(len(layout.underlyings)):
        own = np.flatnonzero(layout.event_underlying == u)
        level.append(spot[own[np.argmax(layout.event_time[own])]])
    move = spot_moves(layout.event_time, layout.event_underlying, np.log(spot))
    return move, np.array(level)


def _usual(move: Array) -> float:
    """Size of a usual move; one of no move that was seen."""
    seen = move[np.isfinite(move)]
    size = np.sqrt(np.median(seen**2) / _MEDIAN_SQUARE) if seen.size else 1.0
    return float(size) if size > 0 else 1e-8
