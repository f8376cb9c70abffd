"""What is known at the origin of a forecast, draw by draw."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.data.panel import countdown
from bayesbasis.forecast.population import align
from bayesbasis.inference.draws import filter_parameters, filtered_draws, natural_draws
from bayesbasis.model.covariates import Clock
from bayesbasis.model.hierarchy import filter_inputs
from bayesbasis.model.layout import Layout, lay_out
from bayesbasis.model.levels import LEVELS, listing_population
from bayesbasis.model.offsets import Units, units
from bayesbasis.model.spec import Spec
from bayesbasis.process.conditional import draw_carry
from bayesbasis.process.equilibria import fair_basis
from bayesbasis.process.regimes import stationary
from bayesbasis.process.simulation import step_regimes, transition_matrices

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9


@dataclass(frozen=True)
class Origin:
    """States at the origin.

    Parameters
    ----------
    layout : Layout
        Of the quotes known there.
    natural : dict of ndarray
        Parameters of every draw, carry (draw, contract) aligned to the panel of the origin.
    level, spread : ndarray, shape (draw, contract)
        Filtered deviation and its scale-free variance at each contract's last quote, in the units
        of its cell.
    tau : ndarray, shape (contract,)
        Time to expiry at that quote, years; of a perpetual, its `countdown`.
    basis : ndarray, shape (contract,)
        That quote, log basis.
    fair : ndarray, shape (draw, contract)
        Fair log basis at that quote.
    regime : ndarray of int, shape (draw, path)
        Regime of every chain at the origin, drawn from its filtered probabilities.
    units : Units
        Units of cells, (draw, cell).
    """

    layout: Layout
    natural: dict[str, Array]
    level: Array
    spread: Array
    tau: Array
    basis: Array
    fair: Array
    regime: Array
    units: Units


def states_at(
    fit: xr.DataTree,
    spec: Spec,
    known: xr.Dataset,
    posterior: xr.Dataset,
    start: np.datetime64,
    rng: Generator,
) -> Origin:
    """Filter the quotes known at the origin under every draw.

    Parameters
    ----------
    fit : xarray.DataTree
        What the draws come from.
    spec : Spec
        Its model.
    known : xarray.Dataset
        Panel of the quotes known at the origin.
    posterior : xarray.Dataset
        Draws to use.
    start : numpy.datetime64
        The origin.
    rng : numpy.random.Generator
        Source of randomness, for regimes and for carry that the fit does not know.
    """
    layout = lay_out(spec, known, fit["constant_data"].to_dataset())
    natural = align(fit, spec, layout, natural_draws(spec, posterior), rng)
    quantity = spec.equilibrium.quantity
    own, fresh = _quantity_of_fit(fit, known, posterior[quantity])
    natural[quantity] = own
    if fresh.any():
        natural[quantity][:, fresh] = _draw_quantity(spec, layout, natural, fresh, rng)
    last, final = _last_quotes(layout), _last_events(spec, layout)
    nowhere = np.zeros((len(final), len(spec.drivers.stay)))
    average = generators(spec, layout, natural, nowhere)
    level, spread = np.empty((len(own), len(last))), np.empty((len(own), len(last)))
    probability = np.empty((len(own), len(final), spec.regimes.count))
    for d, (_, result) in enumerate(filtered_draws(spec, layout, natural)):
        states = result.states
        level[d], spread[d] = states.level[last], states.spread[last]
        for path, event in enumerate(final):
            probability[d, path] = (
                states.filtered[event] if event >= 0 else stationary(average[d, path])
            )
    regime = _regimes_at(spec, layout, natural, probability, final, start, rng)
    fair = fair_basis(spec.equilibrium, natural, layout.quotes, np)[:, last]
    quoted = known["time"].values[layout.order[last]]
    at_last = countdown(known["expiry"].values, quoted), layout.basis[last], fair
    measure = units(spec, natural, layout.cells, np)
    return Origin(layout, natural, level, spread, *at_last, regime, measure)


def path_groups(spec: Spec, layout: Layout) -> list[int]:
    """Row of the generators for every path of regimes."""
    if spec.regimes.shared_by != "underlying":
        return [0] * (len(layout.coords["venue"]) if spec.regimes.shared_by == "venue" else 1)
    return [i if layout.levels.underlyings else 0 for i in range(len(layout.underlyings))]


def generators(spec: Spec, layout: Layout, natural: dict[str, Array], covariates: Array) -> Array:
    """Generator of every path of regimes, shape (draw, path, regime, regime).

    Parameters
    ----------
    spec, layout, natural
        The model, the quotes and the parameters of every draw.
    covariates : ndarray, shape (..., path, covariate)
        Standardised covariates of stays.
    """
    groups = np.array(path_groups(spec, layout))
    if not spec.drivers.stay:
        return filter_inputs(spec, natural, np)["rates"][:, groups]
    return filter_inputs(spec, natural, np, Clock(groups, covariates))["rates"]


def _quantity_of_fit(
    fit: xr.DataTree, known: xr.Dataset, fitted: xr.DataArray
) -> tuple[Array, NDArray[np.bool_]]:
    """Carry, or level, of every contract, and which the fit saw with other quotes than these.

    Those contracts' own must be drawn anew: the fit has seen none of their quotes, or fewer, or
    quotes after the origin.
    """
    names = known["contract"].values.astype(str)
    seen = _last_times(fit["constant_data"].to_dataset())
    here = _last_times(known)
    fresh = np.array([seen.get(name) != here[name] for name in names])
    draws = fitted.sizes["chain"] * fitted.sizes["draw"]
    own = np.zeros((draws, len(names)))
    if not fresh.all():
        values = fitted.sel(contract=names[~fresh])
        own[:, ~fresh] = values.transpose("chain", "draw", "contract").values.reshape(draws, -1)
    return own, fresh


def _last_times(panel: xr.Dataset) -> dict[str, np.datetime64]:
    index, time = panel["contract_index"].values, panel["time"].values
    last = np.append(np.diff(index) != 0, True)
    names = panel["contract"].values.astype(str)
    return dict(zip(names[index[last]], time[last].astype("datetime64[ns]"), strict=True))


def _draw_quantity(
    spec: Spec,
    layout: Layout,
    natural: dict[str, Array],
    fresh: NDArray[np.bool_],
    rng: Generator,
) -> Array:
    """Draw the carry, or level, of fresh contracts from its population given their quotes."""
    columns = np.flatnonzero(fresh)
    lookup = np.full(len(fresh), -1)
    lookup[columns] = np.arange(len(columns))
    column = lookup[layout.contract]
    quantity = spec.equilibrium.quantity
    mean, spread = listing_population(spec, natural)
    centre = np.repeat(mean[:, None], len(columns), axis=1)
    for level in LEVELS:
        if f"{quantity}_{level}" in natural:
            members = getattr(layout, f"contract_{level}")[columns]
            centre = centre + natural[f"{quantity}_{level}"][:, members]
    if spec.pooling.contracts == "shared":
        return centre
    # Spot, where it is part of the model, tells of carry through regimes alone: it is left out.
    drawn, normal = np.empty_like(centre), rng.standard_normal(centre.shape)
    size = units(spec, natural, layout.cells, np).size[:, layout.quote_cell]
    for d, p in enumerate(filter_parameters(spec, layout, natural)):
        own = {name: value[d] for name, value in natural.items()}
        loading = spec.equilibrium.curve(own, layout.quotes, np)[1] / size[d]
        drawn[d] = draw_carry(layout.schedule, p, loading, column, centre[d], spread[d], normal[d])
    return drawn


def _last_quotes(layout: Layout) -> Array:
    """Position of the last quote of every contract, in order of events."""
    last = np.empty(len(layout.contract_underlying), np.int64)
    last[layout.contract] = np.arange(len(layout.contract))
    return last


def _last_events(spec: Spec, layout: Layout) -> Array:
    """Last event of every chain of regimes; -1 where there is none."""
    paths = path_groups(spec, layout)
    last = np.full(len(paths), -1)
    last[layout.event_path] = np.arange(len(layout.event_path))
    return last


def _regimes_at(
    spec: Spec,
    layout: Layout,
    natural: dict[str, Array],
    probability: Array,
    final: Array,
    start: np.datetime64,
    rng: Generator,
) -> Array:
    """Draw the regime of every chain at the origin, some time after its last event."""
    rates = generators(spec, layout, natural, layout.event_drive[final])
    regime = np.empty(probability.shape[:2], np.int64)
    for path in range(len(final)):
        cumulative = probability[:, path].cumsum(-1)
        uniform = rng.random(len(cumulative))
        regime[:, path] = (uniform[:, None] > cumulative[:, :-1]).sum(-1)
        elapsed = (
            (start - layout.event_time[final[path]]).astype(np.int64) if final[path] >= 0 else 0
        )
        if elapsed > 0:
            moves = transition_matrices(rates[:, path], elapsed / _YEAR_NS)
            regime[:, path] = step_regimes(regime[:, path], moves, rng)
    return regime
