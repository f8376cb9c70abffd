"""Quotes that a draw of parameters might have led to, on the schedule of a panel."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.process.filter import Parameters, Schedule, transitions
from bayesbasis.process.joint import Returns
from bayesbasis.process.own_noise import OwnNoise
from bayesbasis.process.paced import Paced, plain
from bayesbasis.process.regimes import stationary
from bayesbasis.process.simulation import shared_shocks, with_own_noise

Array = NDArray[Any]


def replicate(s: Schedule, p: Parameters | Paced | OwnNoise, rng: Generator) -> Array:
    r"""Draw deviations from the very distribution that the filter scores.

    Event by event: the regime moves on, the curve shares a shock, and every quote is its prediction
    and an innovation,

    .. math:: z = φ\hat z + σ_k \sqrt{S}\, ẽ,

    from which the filter learns as it would from data.

    Parameters
    ----------
    s : Schedule
        The skeleton of the panel.
    p : Parameters, Paced or OwnNoise
        One draw; of its deviations only those that open a contract are read.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (obs,)
        Deviations as quoted, in order of events.
    """
    return replicate_with_spot(s, p, None, rng)[0]


def replicate_with_spot(
    s: Schedule, p: Parameters | Paced | OwnNoise, x: Returns | None, rng: Generator
) -> tuple[Array, Array]:
    r"""Draw deviations, and the moves of spot beside them, from the distribution of both.

    .. math:: m = s_k \sqrt{w} \left(ρ_k \frac{\sum_i ε_i}{\sqrt{n (1 - ρ + ρ n)}}
              + \sqrt{1 - ρ_k^2}\, h\right)

    Parameters
    ----------
    s, p : Schedule, Parameters
        As `replicate` takes them.
    x : Returns, optional
        Spot's parameters; of its moves only which are missing is read.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    deviation : ndarray, shape (obs,)
    move : ndarray, shape (event,)
        Infinite where there is none.
    """
    table, moves = transitions(s, plain(p)), np.full(len(s.event_start), np.inf)
    level, spread, quote = p.deviation.copy(), p.noise[s.group], p.deviation.copy()
    regime = 0
    for t, (start, stop) in enumerate(zip(s.event_start, s.event_stop, strict=True)):
        chances = stationary(p.rates[s.chain[t]]) if s.gap[t] < 0 else table[s.gap[t], regime]
        regime = int((rng.random() > np.cumsum(chances)[:-1]).sum())
        u, rows = s.group[start], slice(start, stop)
        before, step = s.previous[rows], s.step[rows]
        mean = p.phi[step] * level[before]
        predicted = p.phi[step] ** 2 * spread[before] + p.variance[step]
        total = predicted + p.noise[u]
        shocks, root = shared_shocks(p.correlation[u : u + 1], p.tail[u : u + 1], stop - start, rng)
        if isinstance(p, OwnNoise):
            shocks = with_own_noise(shocks, p.variance[step] / total, rng)
        innovation = p.scale[u, regime] * np.sqrt(total) * (root * shocks)[0]
        if x is not None and np.isfinite(x.move[t]):
            rho, n = x.with_curve[u, regime], stop - start
            shared = shocks.sum() / np.sqrt(n * (1.0 + p.correlation[u] * (n - 1)))
            own = np.sqrt(1.0 - rho * rho) * rng.standard_normal()
            moves[t] = x.volatility[u, regime] * root[0, 0] * (rho * shared + own)
        if isinstance(p, Paced) and regime > 0:
            innovation = innovation + (p.pace[regime - 1, step] - p.phi[step]) * level[before]
        quote[rows] = mean + innovation
        level[rows] = mean + predicted / total * innovation
        spread[rows] = p.noise[u] * predicted / total
    return quote, moves
