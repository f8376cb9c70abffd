"""Hidden states: regimes and deviations, filtered and smoothed, with draws."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.data.counts import at_least_one
from bayesbasis.inference.draws import filtered_draws, log_units, natural_draws
from bayesbasis.model.cards import read_card
from bayesbasis.model.layout import Layout, lay_out
from bayesbasis.model.offsets import units
from bayesbasis.model.spec import Spec
from bayesbasis.process.filter import Parameters, Schedule, States, transitions
from bayesbasis.process.joint import basis_density

Array = NDArray[Any]


def pointwise(spec: Spec, layout: Layout, posterior: xr.Dataset) -> xr.Dataset:
    """One-step log density of every event under every draw.

    Returns
    -------
    xarray.Dataset
        ``basis`` (chain, draw, event) with coords ``event_time``, ``event_underlying``,
        ``event_size``, the quotes scored together, and ``event_first``, how many of them are the
        first of their contract. Where spot is part of the model, ``spot`` too: its density given
        the basis of the same time. ``basis`` is then given spot until then, so that models with and
        without spot can be compared by it.
    """
    natural, s = natural_draws(spec, posterior), layout.schedule
    shape = (posterior.sizes["chain"], posterior.sizes["draw"], len(layout.event_time))
    density = np.empty((shape[0] * shape[1], shape[2]))
    beside = np.empty_like(density)
    for d, (p, result) in enumerate(filtered_draws(spec, layout, natural)):
        density[d] = result.states.log_density
        if spec.spot is not None:
            density[d] = basis_density(s, p, result.states.filtered, transitions(s, p))
            beside[d] = result.states.log_density - density[d]
    density -= log_units(spec, layout, natural)
    said = {"basis": (density, "one-step log density of the quotes of an event")}
    if spec.spot is not None:
        said["spot"] = (beside, "one-step log density of spot's move into an event")
    dims = ("chain", "draw", "event")
    return xr.Dataset(
        {
            name: (dims, value.reshape(shape), {"units": "1", "long_name": text})
            for name, (value, text) in said.items()
        },
        {"chain": posterior["chain"], "draw": posterior["draw"], **_event_coords(layout)},
    )


def filter_states(fit: xr.DataTree, *, draws: int = 200) -> xr.Dataset:
    """Filter and smooth the hidden states of a fit's panel.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.
    draws : int
        Posterior draws to run, spread evenly over the chains.

    Returns
    -------
    xarray.Dataset
        Dims chain, draw, ``obs`` (as in the panel), ``event`` (one time and underlying) and
        ``regime``: ``regime_filtered`` and ``regime_smoothed`` (probabilities, by event),
        ``deviation_filtered`` and ``deviation_smoothed`` (posterior means given a draw, by quote;
        log units).

    Notes
    -----
    Regime probabilities are exact under the model's likelihood. Deviations are those of the
    scale-free filter, smoothed by Rauch, Tung and Striebel (1965), doi 10.2514/3.3166.
    """
    spec = read_card(fit.attrs["card"])
    panel = fit["constant_data"].to_dataset()
    layout = lay_out(spec, panel)
    posterior = thin(fit["posterior"].to_dataset(), draws)
    natural = natural_draws(spec, posterior)
    filtered, smoothed, level, level_smoothed = [], [], [], []
    back = np.argsort(layout.order, kind="stable")[panel.sizes["contract"] :]
    size = units(spec, natural, layout.cells, np).size[:, layout.quote_cell]
    for own, (p, result) in zip(size, filtered_draws(spec, layout, natural), strict=True):
        filtered.append(result.states.filtered)
        smoothed.append(result.states.filtered * result.future)
        level.append((own * result.states.level)[back])
        level_smoothed.append((own * _smooth(layout.schedule, p, result.states))[back])
    sizes = (posterior.sizes["chain"], posterior.sizes["draw"])
    variables = {
        "regime_filtered": (("event", "regime"), filtered, "P(regime | quotes so far)"),
        "regime_smoothed": (("event", "regime"), smoothed, "P(regime | all quotes)"),
        "deviation_filtered": (("obs",), level, "deviation given quotes so far"),
        "deviation_smoothed": (("obs",), level_smoothed, "deviation given all quotes"),
    }
    return xr.Dataset(
        {
            name: (
                ("chain", "draw", *own),
                np.stack(values).reshape((*sizes, *values[0].shape)),
                {"units": "1", "long_name": text},
            )
            for name, (own, values, text) in variables.items()
        },
        {
            "chain": posterior["chain"],
            "draw": posterior["draw"],
            "regime": layout.coords["regime"],
            "time": panel["time"],
            "contract_index": panel["contract_index"],
            **_event_coords(layout),
        },
    )


def thin(posterior: xr.Dataset, draws: int) -> xr.Dataset:
    """Keep about `draws` draws, the same number from every chain, evenly spread."""
    at_least_one(draws=draws)
    per_chain = -(-draws // posterior.sizes["chain"])
    if per_chain >= posterior.sizes["draw"]:
        return posterior
    return posterior.isel(draw=np.linspace(0, posterior.sizes["draw"] - 1, per_chain).astype(int))


def _event_coords(layout: Layout) -> dict[str, Any]:
    names = np.array(layout.underlyings, dtype=object)[layout.event_underlying].astype(str)
    schedule = layout.schedule
    first = np.isin(schedule.previous, schedule.first)
    return {
        "event_time": ("event", layout.event_time),
        "event_underlying": ("event", names),
        "event_size": ("event", schedule.event_stop - schedule.event_start),
        "event_first": ("event", np.add.reduceat(first, schedule.event_start, dtype=np.int64)),
    }


def _smooth(s: Schedule, p: Parameters, states: States) -> Array:
    """Rauch-Tung-Striebel pass over the scale-free filter of every contract."""
    smoothed = states.level.copy()
    for i in range(len(smoothed) - 1, -1, -1):
        before = s.previous[i]
        if before < 0:
            continue
        phi, spread = p.phi[s.step[i]], states.spread[before]
        predicted = phi * phi * spread + p.variance[s.step[i]]
        gain = phi * spread / predicted
        smoothed[before] += gain * (smoothed[i] - phi * states.level[before])
    return smoothed
