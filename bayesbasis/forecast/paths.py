"""Posterior predictive paths of the basis, from an origin to every contract's expiry."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayesbasis.data.counts import at_least_one
from bayesbasis.data.panel import instant, is_perpetual, known_at, lives
from bayesbasis.forecast.calendar import ahead, grid, positive_time
from bayesbasis.forecast.leg import with_spot
from bayesbasis.forecast.origin import states_at
from bayesbasis.forecast.recalibration import recalibrate
from bayesbasis.forecast.scenario import Scenario, future
from bayesbasis.forecast.simulated import simulate_paths
from bayesbasis.inference.states import thin
from bayesbasis.model.cards import read_card
from bayesbasis.model.spec import Spec

Array = NDArray[Any]

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
    recalibrated: bool = True,
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
        How far to go, for instance ``"30D"``; by default to expiry. Perpetuals alone need one, or
        `times`.
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
        Whether to return spot as well: its volatility by regime and its correlation with the
        basis are those of the posterior, or learned from the quotes known at the origin. Where the
        equilibrium reads spot it reverts, and shares regimes and shocks with the basis only where
        it is estimated with it.
    covariates : mapping, pandas.DataFrame or xarray.Dataset, optional
        What columns that the card reads will be. Of a mapping each value is a number, a series
        over time, or ``"simulate"``: Ornstein-Uhlenbeck, learned from its past with its
        uncertainty. A frame has ``time`` as column or index, a column for each covariate, and
        perhaps ``underlying``. What is not given keeps its last value.
    recalibrated : bool
        Whether paths spread as far as the fit's hindcasts say, if it has any; see `recalibrate`.

    Returns
    -------
    xarray.Dataset
        Dims chain, draw, contract, step: ``basis`` (as quoted, noise included), ``deviation``,
        ``regime`` and ``shock_scale``, the standard deviation of the deviation's move into a step
        given its regime. Without step: ``carry`` (per year), the parameters of the law and the
        ``tail``, infinite if Gaussian. With spot: ``spot`` and ``spot_scale``, the scale of its log
        move into a step given the regime. Where the fair curve moves with spot or covariates:
        or a perpetual is among them: ``equilibrium``, its path; where it reads spot, ``level`` (log
        units) instead of carry. Coords ``time`` and ``tau`` (contract, step), which
        is missing for perpetuals. Step 0 is the origin, the last step of a contract its expiry;
        after it values are missing (regime -1).

    Raises
    ------
    ValueError
        If no contract is live at the origin, or a named one is not, or no time is between the
        origin and the last expiry or the horizon, or covariates do not cover the time until then,
        or there would be no draw or path.

    Warns
    -----
    UserWarning
        If the fit has learned its parameters from quotes after the origin.
    """
    quotes = fit["constant_data"].to_dataset() if panel is None else panel
    start = origin_of(quotes, origin)
    _warn_of_hindsight(fit, start)
    paths = simulate_from(
        fit, known_at(quotes, start), start, contracts, horizon, times=times, seed=seed,
        draws=draws, repeats=repeats, regime=regime, spot=spot, covariates=covariates,
    )  # fmt: skip
    if recalibrated and "hindcast" in fit.children:
        return recalibrate(paths, fit["hindcast"].to_dataset())
    return paths


def simulate_from(
    fit: xr.DataTree,
    known: xr.Dataset,
    start: np.datetime64,
    contracts: Sequence[str] | None = None,
    horizon: str | np.timedelta64 | None = None,
    *,
    times: ArrayLike | None = None,
    seed: int,
    draws: int | None = None,
    repeats: int = 1,
    regime: int | None = None,
    spot: bool = True,
    covariates: Scenario | None = None,
) -> xr.Dataset:
    """Simulate as the model says, whatever its hindcasts say; without a warning of hindsight.

    Parameters
    ----------
    fit, contracts, horizon, times, seed, draws, repeats, regime, spot, covariates
        As `forecast` takes them.
    known : xarray.Dataset
        Panel of the quotes known at the origin.
    start : numpy.datetime64
        The origin.
    """
    at_least_one(repeats=repeats)
    spec = read_card(fit.attrs["card"])
    live = live_contracts(known, start, contracts)
    posterior = fit["posterior"].to_dataset()
    posterior = posterior if draws is None else thin(posterior, draws)
    posterior = posterior.isel(draw=np.repeat(np.arange(posterior.sizes["draw"]), repeats))
    rng = np.random.default_rng(seed)
    state = states_at(fit, spec, known, posterior, start, rng)
    if regime is not None:
        state = replace(state, regime=_all_in(spec, regime, state.regime))
    if horizon is None and times is not None and is_perpetual(known)[live].any():
        end = np.asarray(times).astype("datetime64[ns]").max()
    else:
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
    if spec.equilibrium.reads_spot:
        paths = paths if spot else paths.drop_vars(["spot", "spot_scale"])
    elif spot:
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
    length = positive_time("horizon", horizon)
    if endless.any():
        return start + length
    return min(known["expiry"].values[live].max().astype("datetime64[ns]"), start + length)
