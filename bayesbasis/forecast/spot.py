"""Paths of spot, for equilibria that read it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.model.layout import Layout
from bayesbasis.model.spec import Spec
from bayesbasis.process.returns import simulate_spot
from bayesbasis.process.spot import (
    NOTHING,
    Passing,
    Reversion,
    gathered,
    learn_reversion,
    simulate_reversion,
)

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9
_LEAST = 10


class SpotPast(NamedTuple):
    """What an underlying's spot has been, and when it is asked for next.

    Parameters
    ----------
    reversion : Reversion
        Draws of its own speed, level and volatility.
    start : float
        Logarithm of its last quote over the reference.
    gaps : ndarray, shape (step,)
        Years into every point of the grid, into the first from the last quote.
    reference : float
        Logarithm of spot that paths count from.
    """

    reversion: Reversion
    start: float
    gaps: Array
    reference: float

    @property
    def spread(self) -> Array:
        """Root of the time that a shock has had to gather into every step, (draw, step)."""
        return gathered(self.reversion, self.gaps)


class SpotPath(NamedTuple):
    """Simulated spot of one underlying.

    Parameters
    ----------
    log_spot : ndarray, shape (draw, step)
        Logarithm over the reference.
    price : ndarray, shape (draw, step)
        Quote currency.
    scale : ndarray, shape (draw, step)
        Scale of the log move into every step.
    """

    log_spot: Array
    price: Array
    scale: Array


def spot_past(
    spec: Spec,
    layout: Layout,
    known: xr.Dataset,
    u: int,
    times: Array,
    natural: Mapping[str, Array],
    rng: Generator,
) -> SpotPast:
    """Learn how an underlying's spot moves.

    Logarithmic spot is taken as Ornstein-Uhlenbeck under its own speed, level and volatility, which
    are not those that futures price in: they are learned from the quotes known at the origin,
    with their uncertainty. What futures see through passes, though: where the curve has a transient
    part, that share of every shock of spot fades at the speed that the curve gives it.

    Parameters
    ----------
    spec : Spec
        The model.
    layout : Layout
        Of the known quotes.
    known : xarray.Dataset
        Panel of the quotes known at the origin.
    u : int
        Position of the underlying.
    times : ndarray of datetime64[ns], shape (step,)
        The origin, and the grid after it.
    natural : mapping
        Parameters of every draw.
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    ValueError
        If the underlying has too few quotes to learn from.
    """
    seen = np.flatnonzero(layout.order >= 0)
    seen = seen[layout.contract_underlying[layout.contract[seen]] == u]
    quoted = known["time"].values.astype("datetime64[ns]")[layout.order[seen]]
    when, at = np.unique(quoted, return_index=True)
    if len(when) < _LEAST:
        raise ValueError(
            f"{layout.underlyings[u]} has {len(when)} times with a spot price at the origin; a "
            f"forecast under {spec.equilibrium.name} simulates spot and needs at least {_LEAST}"
        )
    prior = spec.priors.spot_half_life
    median = float(prior.natural(np.asarray(prior.location), np))
    series = layout.log_spot[seen][at]
    years = (when - when[0]).astype(np.int64) / _YEAR_NS
    around = median, float(np.exp(prior.scale))
    group = u if layout.levels.underlyings else 0
    past = learn_reversion(
        series,
        years,
        len(natural["noise"]),
        rng,
        half_life=around,
        passing=_passing(spec, natural, group),
    )
    gaps = np.diff(np.concatenate([when[-1:], times])).astype(np.int64) / _YEAR_NS
    last = float(np.log(known["spot"].values[layout.order[seen[at[-1]]]]))
    return SpotPast(past, float(series[-1]), gaps, last - float(series[-1]))


def _passing(spec: Spec, natural: Mapping[str, Array], group: int) -> Passing:
    """What of spot the curve takes to be transient, by the posterior mean."""
    if "transient_share" not in spec.equilibrium.parameters:
        return NOTHING
    days, share = (natural[f"transient_{x}"][:, group].mean() for x in ("half_life", "share"))
    return Passing(float(days), float(share))


def spot_alone(past: SpotPast, rng: Generator) -> SpotPath:
    """Simulate spot by itself: its shocks are drawn from its past ones, and tell of no regime."""
    path = simulate_reversion(past.reversion, past.start, past.gaps, rng)
    scale = past.reversion.volatility[:, None] * past.spread
    return SpotPath(path, np.exp(past.reference + path), scale)


def spot_beside(
    past: SpotPast,
    shocks: Array,
    correlation: Array,
    tail: Array,
    volatility: Array,
    with_curve: Array,
    rng: Generator,
) -> SpotPath:
    """Simulate spot with its curve: regimes, mixing variables and part of the shocks are shared.

    Speed and level are those learned of spot alone; volatility is that of the regime.

    Parameters
    ----------
    past : SpotPast
        Of the underlying.
    shocks, correlation, tail, volatility, with_curve
        As `bayesbasis.process.returns.simulate_spot` takes them.
    rng : numpy.random.Generator
        Source of randomness.
    """
    moves = simulate_spot(shocks, correlation, tail, volatility, with_curve, rng)
    path = simulate_reversion(past.reversion, past.start, past.gaps, rng, moves)
    return SpotPath(path, np.exp(past.reference + path), volatility * past.spread)
