"""The filter where every regime has a speed of its own.

Regimes scale shocks, which factors out of the Kalman filter; what they do to ``φ`` does not. In the
innovations form it need not: states go on at the speed of the calmest regime, and regime ``k``
predicts the quote from them at its own::

    e_k = z - φ_k ẑ         Var[e_k] = σ_k² S        innovation of regime k
    ẑ  ← φ ẑ + G (z - φ ẑ)                           update, whatever the regime

with ``φ = φ_1``, and ``S`` and ``G`` those of `filter`. It is a model of its own, simulated as it
is scored, whose likelihood is exact; without noise ``G = 1`` and each regime's law is that of the
deviation itself. Where all speeds are equal it is the filter of `filter`.
"""

from math import exp, inf, log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.adjoint import Sweep, chain_adjoint, no_slopes, sweep
from bayesbasis.process.elementary import log_in_place
from bayesbasis.process.filter import (
    Parameters,
    Schedule,
    States,
    backward,
    empty_states,
    hamilton,
    kalman,
    largest_event,
    transitions,
)
from bayesbasis.process.kernels import inner_kernel, kernel
from bayesbasis.process.own_noise import OwnNoise, own_noise_sweep
from bayesbasis.process.shocks import normaliser, quadratic_form

Array = NDArray[Any]


class Paced(NamedTuple):
    """What the filter needs to know, for one draw: `Parameters`, and the speeds of regimes.

    Parameters
    ----------
    deviation, phi, variance, noise, correlation, tail, scale, rates : ndarray
        As in `Parameters`; ``phi`` and ``variance`` are those of the calmest regime.
    pace : ndarray, shape (regime - 1, step)
        ``φ`` of each distinct move in the other regimes.
    """

    deviation: Array
    phi: Array
    variance: Array
    noise: Array
    correlation: Array
    tail: Array
    scale: Array
    rates: Array
    pace: Array


class PacedSweep(NamedTuple):
    """What one pass forward and one backward yield.

    Parameters
    ----------
    sweep : Sweep
        As without speeds of their own; its ``shock`` and ``distance`` are those of the calmest
        regime, and ``by_distance`` the sum over regimes.
    by_pace : ndarray, shape (regime - 1, step)
        Slope by `Paced.pace`.
    """

    sweep: Sweep
    by_pace: Array


def plain(p: Parameters | Paced | OwnNoise) -> Parameters:
    """Parameters at the speed of the calmest regime, whoever has the noise."""
    return Parameters(*p[: len(Parameters._fields)])


def run_filter(s: Schedule, p: Parameters | Paced | OwnNoise) -> Sweep:
    """Run the filter that a draw needs."""
    if isinstance(p, OwnNoise):
        return own_noise_sweep(s, plain(p))
    return paced_sweep(s, p).sweep if isinstance(p, Paced) else sweep(s, p)


@kernel
def paced_sweep(s: Schedule, p: Paced) -> PacedSweep:
    """Filter and score a panel, smooth its regimes, and differentiate the log likelihood.

    Parameters
    ----------
    s : Schedule
        The skeleton of the panel.
    p : Paced
        One draw.
    """
    q = Parameters(p.deviation, p.phi, p.variance, p.noise, p.correlation, p.tail, p.scale, p.rates)
    table, events = transitions(s, q), len(s.event_start)
    states = empty_states(s, q)
    shared = kalman(s, q, states)
    totals, distances = _distances(s, p, states)
    _emissions(s, p, distances, states, shared)
    hamilton(s, q, table, states)
    log_in_place(states.log_density)
    value = 0.0
    for t in range(events):
        states.log_density[t] += shared[t]
        value += states.log_density[t]
    future = backward(s, table, states)
    gradient = no_slopes(q)
    by_pace = np.zeros_like(p.pace)
    chain_adjoint(s, q, states, future, gradient)
    slopes = _event_adjoint(s, p, distances, states, future, gradient)
    by_distance = _kalman_adjoint(s, p, totals, distances, slopes, states, gradient, by_pace)
    return PacedSweep(Sweep(value, gradient, states, future, by_distance), by_pace)


@inner_kernel
def _ahead(p: Paced, k: int, move: int) -> float:
    """How much more than the calmest regime one leaves of a deviation, ``φ_k - φ``."""
    return p.pace[k - 1, move] - p.phi[move] if k > 0 else 0.0


@inner_kernel
def _distances(s: Schedule, p: Paced, states: States) -> tuple[Array, Array]:
    """``S1`` and ``Q`` of every event in every regime, each (event, regime)."""
    events, count = len(s.event_start), p.scale.shape[1]
    totals, distances = np.empty((events, count)), np.empty((events, count))
    for t in range(events):
        start, stop = s.event_start[t], s.event_stop[t]
        for k in range(count):
            total, squares = 0.0, 0.0
            for i in range(start, stop):
                lag = _ahead(p, k, s.step[i]) * states.level[s.previous[i]]
                shock = states.shock[i] - lag * states.root[i]
                total += shock
                squares += shock * shock
            totals[t, k] = total
            rho = p.correlation[s.group[start]]
            distances[t, k] = quadratic_form(total, squares, stop - start, rho)
    return totals, distances


@inner_kernel
def _emissions(s: Schedule, p: Paced, distances: Array, states: States, shared: Array) -> None:
    """Leave the emission of every regime, relative to the best one, in ``ratio``."""
    count = p.scale.shape[1]
    for t in range(len(s.event_start)):
        start = s.event_start[t]
        u, n, best = s.group[start], s.event_stop[t] - start, -inf
        for k in range(count):
            x = distances[t, k] / (p.scale[u, k] * p.scale[u, k])
            half, misfit = 0.5, x
            if p.tail[u] < inf:
                half, misfit = 0.5 * (p.tail[u] + n), log(1.0 + x / p.tail[u])
            states.misfit[t, k] = misfit
            states.ratio[t, k] = -n * log(p.scale[u, k]) - half * misfit
            best = max(best, states.ratio[t, k])
        for k in range(count):
            states.ratio[t, k] = exp(states.ratio[t, k] - best)
        shared[t] += best


@inner_kernel
def _event_adjoint(
    s: Schedule, p: Paced, distances: Array, states: States, future: Array, gradient: Parameters
) -> Array:
    """Slope by ``Q`` in every regime, (event, regime); adds those by scale and tail."""
    constant = normaliser(p.tail, p.correlation, largest_event(s))[1]
    slopes = np.empty_like(distances)
    for t in range(len(slopes)):
        start = s.event_start[t]
        u, n = s.group[start], s.event_stop[t] - start
        gradient.tail[u] += constant[u, n]
        for k in range(p.scale.shape[1]):
            weight, scale = states.filtered[t, k] * future[t, k], p.scale[u, k]
            x, slope = distances[t, k] / (scale * scale), -0.5
            if p.tail[u] < inf:
                slope = -0.5 * (p.tail[u] + n) / (p.tail[u] + x)
                gradient.tail[u] -= weight * (0.5 * states.misfit[t, k] + slope * x / p.tail[u])
            slopes[t, k] = weight * slope / (scale * scale)
            gradient.scale[u, k] -= weight * (n + 2.0 * slope * x) / scale
    return slopes


@inner_kernel
def _kalman_adjoint(
    s: Schedule,
    p: Paced,
    totals: Array,
    distances: Array,
    slopes: Array,
    states: States,
    gradient: Parameters,
    by_pace: Array,
) -> Array:
    """Carry the slopes by every ``Q`` back through shocks and states; sum them by event."""
    constant = normaliser(p.tail, p.correlation, largest_event(s))[2]
    level, spread = np.zeros(len(s.previous)), np.zeros(len(s.previous))
    by_distance, count = np.zeros(len(slopes)), p.scale.shape[1]
    for t in range(len(slopes) - 1, -1, -1):
        start, stop = s.event_start[t], s.event_stop[t]
        u, n = s.group[start], stop - start
        f, rho = p.noise[u], p.correlation[u]
        gradient.correlation[u] += constant[u, n] if n > 1 else 0.0
        for k in range(count):
            by_distance[t] += slopes[t, k]
            if n > 1:
                mean = totals[t, k] / (1.0 + rho * (n - 1))
                within = (distances[t, k] - mean * mean) / (1.0 - rho)
                gradient.correlation[u] += slopes[t, k] * within
        for i in range(stop - 1, start - 1, -1):
            before, move = s.previous[i], s.step[i]
            root, phi = states.root[i], p.phi[move]
            precision = root * root
            gain = (phi * phi * states.spread[before] + p.variance[move]) * precision
            # Of what every regime predicts: the calmest last, which states share.
            by_shock, by_root, by_before, by_mean = 0.0, 0.0, 0.0, 0.0
            for k in range(count - 1, -1, -1):
                ahead = _ahead(p, k, move)
                shock = states.shock[i] - ahead * states.level[before] * root
                centre = rho * totals[t, k] / (1.0 + rho * (n - 1)) if n > 1 else 0.0
                factor = slopes[t, k] * (2.0 / (1.0 - rho) if n > 1 else 2.0)
                here = factor * (shock - centre)
                by_shock += here
                by_root += here * shock
                by_mean = -here * root
                if k > 0:
                    by_before += (phi + ahead) * by_mean
                    by_pace[k - 1, move] += by_mean * states.level[before]
            by_gain = level[i] * states.shock[i] + spread[i] * f * root
            by_spread = -0.5 * (by_root + 1.0) * precision
            by_mean += level[i] * (1.0 - gain)
            by_predicted = by_spread + by_gain * f * precision * root
            gradient.noise[u] += spread[i] * gain + by_spread - by_gain * gain * root
            gradient.deviation[i] = by_shock * root + level[i] * gain
            gradient.phi[move] += by_mean * states.level[before]
            gradient.phi[move] += 2.0 * phi * states.spread[before] * by_predicted
            gradient.variance[move] += by_predicted
            level[before] = phi * by_mean + by_before
            spread[before] = phi * phi * by_predicted
    for i in s.first:
        gradient.deviation[i] = level[i]
        gradient.noise[s.group[i]] += spread[i]
    return by_distance
