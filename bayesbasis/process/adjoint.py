"""Gradient of the filter's log likelihood: one backward sweep, derived by hand."""

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.filter import (
    Parameters,
    Schedule,
    States,
    backward,
    forward,
    largest_event,
    transitions,
)
from bayesbasis.process.kernels import kernel
from bayesbasis.process.regimes import exponential, stationary_adjoint
from bayesbasis.process.shocks import normaliser

Array = NDArray[Any]


class Sweep(NamedTuple):
    """What one pass forward and one backward yield.

    Parameters
    ----------
    value : float
        Log likelihood: the sum of one-step log densities.
    gradient : Parameters
        Its derivatives, each in the shape of its parameter. That by the infinite ``tail`` of a
        Gaussian is zero.
    states : States
        The filtered states.
    future : ndarray, shape (event, regime)
        Smoothed over filtered probability of every regime.
    by_distance : ndarray, shape (event,)
        Slope by the Mahalanobis square of every event: minus half the expected precision that
        regime and tail give it.
    """

    value: float
    gradient: Parameters
    states: States
    future: Array
    by_distance: Array


@kernel()
def sweep(s: Schedule, p: Parameters) -> Sweep:
    """Filter and score a panel, smooth its regimes, and differentiate the log likelihood.

    Parameters
    ----------
    s : Schedule
        The skeleton of the panel.
    p : Parameters
        One draw.
    """
    table = transitions(s, p)
    states = forward(s, p, table)
    future = backward(s, table, states)
    gradient = Parameters(
        np.zeros_like(p.deviation),
        np.zeros_like(p.phi),
        np.zeros_like(p.variance),
        np.zeros_like(p.noise),
        np.zeros_like(p.correlation),
        np.zeros_like(p.tail),
        np.zeros_like(p.scale),
        np.zeros_like(p.rates),
    )
    _chain_adjoint(s, p, states, future, gradient)
    by_distance = _event_adjoint(s, p, states, future, gradient)
    _kalman_adjoint(s, p, states, by_distance, gradient)
    value = 0.0
    for t in range(len(states.log_density)):
        value += states.log_density[t]
    return Sweep(value, gradient, states, future, by_distance)


@kernel(fastmath={"contract"})
def _chain_adjoint(
    s: Schedule, p: Parameters, states: States, future: Array, gradient: Parameters
) -> None:
    """Slope by the generators, from expected moves between regimes over every distinct gap."""
    count = p.scale.shape[1]
    moves = np.zeros((len(s.gap_length), count, count))
    starts, transposed = np.zeros((len(p.rates), count)), np.empty((count, count))
    for t in range(len(s.event_start)):
        for k in range(count):
            weight = states.ratio[t, k] * future[t, k]
            if s.gap[t] < 0:
                starts[s.chain[t], k] += weight
                continue
            for j in range(count):
                moves[s.gap[t], j, k] += states.filtered[t - 1, j] * weight
    # The adjoint of the exponential along G is its derivative along G at the transpose.
    for g in range(len(s.gap_length)):
        c = s.gap_chain[g]
        for j in range(count):
            for k in range(count):
                transposed[k, j] = p.rates[c, j, k]
        slope = exponential(transposed, moves[g], s.gap_length[g])[1]
        for j in range(count):
            for k in range(count):
                gradient.rates[c, j, k] += slope[j, k]
    for c in range(len(p.rates)):
        slope = stationary_adjoint(p.rates[c], starts[c])
        for j in range(count):
            for k in range(count):
                gradient.rates[c, j, k] += slope[j, k]


@kernel(fastmath={"contract"})
def _event_adjoint(
    s: Schedule, p: Parameters, states: States, future: Array, gradient: Parameters
) -> Array:
    """Slope by ``Q`` of every event, shape (event,); adds those by scale and tail."""
    count, gaussian = p.scale.shape[1], p.tail[0] == inf
    constant_tail = normaliser(p.tail, p.correlation, largest_event(s))[1]
    by_distance = np.zeros(len(s.event_start))
    inverse = np.empty_like(p.scale)
    for u in range(len(p.scale)):
        for k in range(count):
            inverse[u, k] = 1.0 / (p.scale[u, k] * p.scale[u, k])
    for t in range(len(s.event_start)):
        start = s.event_start[t]
        u, n = s.group[start], s.event_stop[t] - start
        nu, by_tail = p.tail[u], constant_tail[u, n]
        for k in range(count):
            weight = states.filtered[t, k] * future[t, k]
            x = states.distance[t] * inverse[u, k]
            slope = -0.5
            if not gaussian:
                slope = -0.5 * (nu + n) / (nu + x)
                by_tail -= weight * (0.5 * states.misfit[t, k] + slope * x / nu)
            by_distance[t] += weight * slope * inverse[u, k]
            gradient.scale[u, k] -= weight * (n + 2.0 * slope * x)
        gradient.tail[u] += by_tail
    for u in range(len(p.scale)):
        for k in range(count):
            gradient.scale[u, k] /= p.scale[u, k]
    return by_distance


@kernel(fastmath={"contract"})
def _kalman_adjoint(
    s: Schedule, p: Parameters, states: States, by_distance: Array, gradient: Parameters
) -> None:
    """Carry the slopes by ``Q`` back through the shocks and the Kalman recursion."""
    constant_slope = normaliser(p.tail, p.correlation, largest_event(s))[2]
    level, spread = np.zeros_like(p.deviation), np.zeros_like(p.deviation)
    for t in range(len(s.event_start) - 1, -1, -1):
        start, stop = s.event_start[t], s.event_stop[t]
        u, n = s.group[start], stop - start
        f, rho = p.noise[u], p.correlation[u]
        # Q = (S2 - c S1²) / (1 - ρ) with c = ρ / (1 + ρ (n-1)), and dc/dρ = 1 / (1 + ρ (n-1))².
        mean = states.total[t] / (1.0 + rho * (n - 1))
        if n > 1:
            within = by_distance[t] * (states.distance[t] - mean * mean) / (1.0 - rho)
            gradient.correlation[u] += constant_slope[u, n] + within
        factor, centre, by_noise = 2.0 * by_distance[t] / (1.0 - rho), rho * mean, 0.0
        for j in range(np.uintp(n)):
            i = np.uintp(stop) - np.uintp(1) - j
            before, step = np.uintp(s.previous[i]), np.uintp(s.step[i])
            root, shock, phi = states.root[i], states.shock[i], p.phi[step]
            precision = root * root
            gain = (phi * phi * states.spread[before] + p.variance[step]) * precision
            by_shock = factor * (shock - centre)
            by_gain = level[i] * shock + spread[i] * f * root
            by_innovation = by_shock * root + level[i] * gain
            by_spread = -0.5 * (by_shock * shock + 1.0) * precision
            by_mean = level[i] - by_innovation
            by_predicted = by_spread + by_gain * f * precision * root
            by_noise += spread[i] * gain + by_spread - by_gain * gain * root
            gradient.deviation[i] = by_innovation
            gradient.phi[step] += by_mean * states.level[before]
            gradient.phi[step] += 2.0 * phi * states.spread[before] * by_predicted
            gradient.variance[step] += by_predicted
            level[before] = phi * by_mean
            spread[before] = phi * phi * by_predicted
        gradient.noise[u] += by_noise
    for i in s.first:
        gradient.deviation[i] = level[i]
        gradient.noise[s.group[i]] += spread[i]
