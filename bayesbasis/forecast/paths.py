"""Posterior predictive paths of the basis, from an origin to every contract's expiry."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from bayesbasis.data.panel import countdown, instant, is_perpetual, known_at, lives
from bayesbasis.forecast.calendar import ahead, grid
from bayesbasis.forecast.leg import with_spot
from bayesbasis.forecast.origin import Origin, states_at
from bayesbasis.forecast.scenario import Future, Scenario, future
from bayesbasis.forecast.spot import spot_paths
from bayesbasis.forecast.steps import move_tables, regime_paths
from bayesbasis.inference.states import thin
from bayesbasis.model.cards import read_card
from bayesbasis.model.hierarchy import filter_inputs, law_parameters
from bayesbasis.model.spec import Spec
from bayesbasis.process.equilibria import PREMIUM_SPAN, Quotes, fair_basis, is_constant
from bayesbasis.process.quadrature import ENDLESS
from bayesbasis.process.simulation import move_scale, simulate_deviations

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9
_SPOT_STREAM, _COVARIATE_STREAM = 1, 2


def forecast(
    fit: xr.DataTree,
    origin: str | datetime | np.datetime64 | None = None,
    contracts: Sequence[str] | None = None,
    horizon: str | np.timedelta64 | None = None,
    *,
    times: ArrayLike | None = None,
    seed: int,
    panel: xr.Dataset | None = None,
    draws: int | None = None,
    repeats: int = 1,
    regime: int | None = None,
    spot: bool = True,
    covariates: Scenario | None = None,
) -> xr.Dataset:
    """Simulate the basis of live contracts to their expiry.

    Every path belongs to one posterior draw and holds its parameter, regime and process
    uncertainty; nothing is plugged in.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.
    origin : str or datetime, optional
        Instant of the forecast, UTC; by default that of the last quote. States, and the carry of
        the contracts, rest on quotes at or before it alone.
    contracts : sequence of str, optional
        By default every contract quoted at or before the origin that expires after it, and every
        perpetual quoted in the 30 days before.
    horizon : str or numpy.timedelta64, optional
        How far to go, for instance ``"30D"``; by default to expiry. Perpetuals alone need one.
    times : array-like of datetime64, optional
        Instants to forecast instead of the panel's own rhythm, UTC; steps are exact whatever their
        length.
    seed : int
        Seed of the simulation.
    panel : xarray.Dataset, optional
        Newer quotes, contracts unknown to the fit among them; by default those of the fit. Their
        carry is drawn from the population of the fit given their own quotes. Underlyings and venues
        that the fit does not know take their parameters from the population as they are drawn: no
        quote of theirs moves them, so their bands are wide.
    draws : int, optional
        Posterior draws to use, spread evenly over the chains; by default all.
    repeats : int
        Paths of every draw: what they do not share is process, not parameters.
    regime : int, optional
        Regime in which all paths start, 1 the calmest, for stress; by default as filtered.
    spot : bool
        Whether to simulate spot as well: its volatility by regime and its correlation with the
        basis are learned from the quotes known at the origin.
    covariates : mapping, pandas.DataFrame or xarray.Dataset, optional
        What columns that the card reads will be. Of a mapping each value is a number, a series
        over time, or ``"simulate"``: Ornstein-Uhlenbeck, learned from its past with its
        uncertainty. A frame has ``time`` as column or index, a column for each covariate, and
        perhaps ``underlying``. What is not given keeps its last value.

    Returns
    -------
    xarray.Dataset
        Dims chain, draw, contract, step: ``basis`` (as quoted, noise included), ``deviation``,
        ``regime`` and ``shock_scale``, the standard deviation of the deviation's move into a step
        given its regime. Without step: ``carry`` (per year), the parameters of the law and the
        ``tail``, infinite if Gaussian. With spot: ``spot`` and ``spot_scale``, the scale of its log
        move into a step given the regime. Where the fair curve moves with spot or covariates:
        or a perpetual is among them: ``equilibrium``, its path; where it reads spot, ``level`` (log
        units) instead of carry and no spot leg. Coords ``time`` and ``tau`` (contract, step), which
        is missing for perpetuals. Step 0 is the origin, the last step of a contract its expiry;
        after it values are missing (regime -1).

    Raises
    ------
    ValueError
        If no contract is live at the origin, or a named one is not, or no time is between the
        origin and the last expiry or the horizon, or covariates do not cover the time until then.

    Warns
    -----
    UserWarning
        If the fit has learned its parameters from quotes after the origin.
    """
    spec = read_card(fit.attrs["card"])
    quotes = fit["constant_data"].to_dataset() if panel is None else panel
    start = origin_of(quotes, origin)
    _warn_of_hindsight(fit, start)
    known = known_at(quotes, start)
    live = live_contracts(known, start, contracts)
    posterior = fit["posterior"].to_dataset()
    posterior = posterior if draws is None else thin(posterior, draws)
    posterior = posterior.isel(draw=np.repeat(np.arange(posterior.sizes["draw"]), repeats))
    rng = np.random.default_rng(seed)
    state = states_at(fit, spec, known, posterior, start, rng)
    if regime is not None:
        state = replace(state, regime=_all_in(spec, regime, state.regime))
    end = end_of(known, live, start, horizon)
    instants = grid(known, live, start, end) if times is None else ahead(times, start, end)
    drive = future(
        spec,
        state.layout,
        fit["constant_data"].to_dataset(),
        known,
        live,
        instants,
        covariates,
        len(state.level),
        np.random.default_rng([seed, _COVARIATE_STREAM]),
    )
    paths = simulate_paths(spec, known, live, state, instants, posterior, rng, drive)
    # An equilibrium that reads spot has paths of its own, of a spot that nobody can hold.
    if spot and not spec.equilibrium.reads_spot:
        # A stream of its own: paths of the basis are the same with and without spot.
        beside = np.random.default_rng([seed, _SPOT_STREAM])
        paths = with_spot(paths, spec, state.layout, known, state.natural, beside)
    return paths.assign_attrs(
        origin=str(start),
        card=fit.attrs["card"],
        card_name=fit.attrs["card_name"],
        data_hash=fit.attrs["data_hash"],
        seed=seed,
    )


def _all_in(spec: Spec, regime: int, drawn: Array) -> Array:
    if not 1 <= regime <= spec.regimes.count:
        raise ValueError(f"regime is {regime}; the model has regimes 1 to {spec.regimes.count}")
    return np.full_like(drawn, regime - 1)


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


def origin_of(quotes: xr.Dataset, origin: str | datetime | np.datetime64 | None) -> np.datetime64:
    """Instant of a forecast: the one given, or that of the last quote."""
    if origin is None:
        return quotes["time"].values.max().astype("datetime64[ns]")
    return instant(origin)


def _warn_of_hindsight(fit: xr.DataTree, start: np.datetime64) -> None:
    learned = fit["constant_data"].to_dataset()["time"].values.max()
    if learned > start:
        warnings.warn(
            f"the fit learned its parameters from quotes up to {learned:.19}, after the origin "
            f"{start:.19}: states and carry use earlier quotes alone, parameters do not. For an "
            "honest backtest fit bayesbasis.known_at(panel, origin).",
            stacklevel=3,
        )


def live_contracts(
    known: xr.Dataset, start: np.datetime64, contracts: Sequence[str] | None
) -> Array:
    """Positions of the contracts to forecast."""
    names = known["contract"].values.astype(str)
    alive = lives(known, start)
    if contracts is None:
        if not alive.any():
            dated = known["expiry"].values[~is_perpetual(known)]
            when = f"expires at {dated.max():.19}" if dated.size else "quote is over 30 days old"
            raise ValueError(
                f"no contract is live at {start:.19}: the last {when}. "
                "Take an earlier origin or a newer panel."
            )
        return np.flatnonzero(alive)
    bad = [name for name in contracts if name not in names[alive]]
    if bad or not contracts:
        raise ValueError(
            f"{', '.join(bad) or 'no contract'} cannot be forecast from {start:.19}; "
            f"live there: {', '.join(names[alive]) or 'none'}"
        )
    return np.flatnonzero(np.isin(names, contracts))


def end_of(
    known: xr.Dataset, live: Array, start: np.datetime64, horizon: str | np.timedelta64 | None
) -> np.datetime64:
    """Last instant of a forecast: the last expiry, or the horizon if that comes first.

    With perpetuals it is the horizon, which they need unless something else expires.
    """
    endless = is_perpetual(known)[live]
    if horizon is None:
        if endless.all():
            raise ValueError("a perpetual has no expiry to go to; give a horizon such as '30D'")
        return known["expiry"].values[live][~endless].max().astype("datetime64[ns]")
    length = pd.Timedelta(horizon).to_timedelta64()
    if length <= np.timedelta64(0, "ns"):
        raise ValueError(f"horizon is {horizon!r}; give a positive time such as '30D'")
    if endless.any():
        return start + length
    return min(known["expiry"].values[live].max().astype("datetime64[ns]"), start + length)


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
    arrays = {
        "basis": np.full((draws, *tau.shape), np.nan),
        "deviation": np.full((draws, *tau.shape), np.nan),
        "regime": np.full((draws, *tau.shape), -1, np.int8),
        "shock_scale": np.full((draws, *tau.shape), np.nan, np.float32),
        quantity: state.natural[quantity][:, live] * 0.01,
    }
    own = layout.contract_underlying[live] * layout.levels.underlyings
    pushed = drive.before_steps(spec.drivers.speed, tau)
    arrays |= law_parameters(spec, state.natural, own, pushed[:, :, 0], np)
    arrays["tail"] = inputs["tail"][:, own]
    if not is_constant(spec.equilibrium) or is_perpetual(known)[live].any():
        arrays["equilibrium"] = np.full((draws, *tau.shape), np.nan)
    if spec.equilibrium.reads_spot:
        spot = spot_paths(spec, layout, known, times, draws, rng)
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
            spec, state, live[members], tau[members], group, pushed[:, members]
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
        )
        scale = move_scale(state.spread[:, live[members]], phi, variance, noise[:, None])
        contract = np.broadcast_to(live[members, None], tau[members].shape)
        log_spot = spot[u][:, None] if spec.equilibrium.reads_spot else np.zeros(1)
        read = log_spot, carried[:, members], observed[:, members]
        span = np.where(tau[members] >= ENDLESS, PREMIUM_SPAN, tau[members])
        quotes = Quotes(span, contract, np.array([[group]]), *read)
        fair = fair_basis(spec.equilibrium, state.natural, quotes, np)
        if "equilibrium" in arrays:
            arrays["equilibrium"][:, members] = fair
        ended = np.isnan(tau[members])
        arrays["deviation"][:, members] = np.where(ended, np.nan, deviation)
        arrays["basis"][:, members] = fair + quote
        arrays["shock_scale"][:, members] = np.where(ended, np.nan, scale * volatility[:, None])
        arrays["regime"][:, members] = np.where(ended, -1, path[:, None, :] + 1)
    quoted = state.tau[live] == tau[:, 0]
    arrays["basis"][:, quoted, 0] = state.basis[live[quoted]]
    return arrays


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
