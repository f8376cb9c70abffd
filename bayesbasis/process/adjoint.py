"""Gradient of the filter's log likelihood: one backward sweep, derived by hand."""

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.exponential import exponential
from bayesbasis.process.filter import (
    Parameters,
    Schedule,
    States,
    backward,
    forward,
    largest_event,
    transitions,
)
from bayesbasis.process.kernels import inner_kernel, kernel
from bayesbasis.process.regimes import stationary_adjoint
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


@kernel
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
    gradient = no_slopes(p)
    chain_adjoint(s, p, states, future, gradient)
    by_distance = event_adjoint(s, p, states, future, gradient)
    kalman_adjoint(s, p, states, by_distance, np.zeros(len(by_distance)), gradient)
    value = 0.0
    for t in range(len(states.log_density)):
        value += states.log_density[t]
    return Sweep(value, gradient, states, future, by_distance)


@inner_kernel
def no_slopes(p: Parameters) -> Parameters:
    """Make room for a slope by every parameter."""
    return Parameters(
        np.zeros_like(p.deviation),
        np.zeros_like(p.phi),
        np.zeros_like(p.variance),
        np.zeros_like(p.noise),
        np.zeros_like(p.correlation),
        np.zeros_like(p.tail),
        np.zeros_like(p.scale),
        np.zeros_like(p.rates),
    )


@inner_kernel
def chain_adjoint(
    s: Schedule, p: Parameters, states: States, future: Array, gradient: Parameters
) -> None:
    """Slope by the generators, from expected moves between regimes over every distinct gap."""
    rates, by_rates = p.rates, gradient.rates
    moves, starts = _expected_moves(s, p, states, future)
    # The adjoint of the exponential along G is its derivative along G at the transpose.
    transposed = np.empty_like(rates[0])
    for g in range(len(moves)):
        c = s.gap_chain[g]
        for j in range(len(transposed)):
            for k in range(len(transposed)):
                transposed[k, j] = rates[c, j, k]
        _add(exponential(transposed, moves[g], s.gap_length[g])[1], by_rates[c])
    for c in range(len(rates)):
        # With covariates every event has a generator of its own, and few start a chain.
        if starts[c, 0] > 0.0:
            _add(stationary_adjoint(rates[c], starts[c]), by_rates[c])


@inner_kernel
def _add(matrix: Array, out: Array) -> None:
    """Add a matrix to ``out``; the array expression would cost the compiler half a second."""
    for j in range(len(matrix)):
        for k in range(len(matrix)):
            out[j, k] += matrix[j, k]


@inner_kernel
def _expected_moves(
    s: Schedule, p: Parameters, states: States, future: Array
) -> tuple[Array, Array]:
    """Slopes by the transition matrices, (gap, regime, regime), and by how chains start."""
    gap, filtered, ratio = s.gap, states.filtered, states.ratio
    events, count = filtered.shape
    moves, starts = np.zeros((len(s.gap_length), count, count)), np.zeros((len(p.rates), count))
    for t in range(events):
        if gap[t] < 0:
            for k in range(count):
                starts[s.chain[t], k] += ratio[t, k] * future[t, k]
            continue
        g, before = np.uintp(gap[t]), np.uintp(t - 1)
        for k in range(count):
            weight = ratio[t, k] * future[t, k]
            for j in range(count):
                moves[g, j, k] += filtered[before, j] * weight
    return moves, starts


@inner_kernel
def event_adjoint(
    s: Schedule, p: Parameters, states: States, future: Array, gradient: Parameters
) -> Array:
    """Slope by ``Q`` of every event, shape (event,); adds those by scale and tail."""
    event_start, event_stop, group = s.event_start, s.event_stop, s.group
    tail, scale, by_scale, by_tail = p.tail, p.scale, gradient.scale, gradient.tail
    filtered, misfit, distance = states.filtered, states.misfit, states.distance
    groups, count = scale.shape
    gaussian = tail[0] == inf
    constant = normaliser(tail, p.correlation, largest_event(s))[1]
    by_distance, inverse = np.empty(len(event_start)), np.empty((groups, count))
    for u in range(groups):
        for k in range(count):
            inverse[u, k] = 1.0 / (scale[u, k] * scale[u, k])
    for t in range(len(event_start)):
        start = event_start[t]
        owner, n = np.uintp(group[np.uintp(start)]), event_stop[t] - start
        nu, tail_slope, distance_slope = tail[owner], constant[owner, n], 0.0
        for k in range(count):
            weight = filtered[t, k] * future[t, k]
            x = distance[t] * inverse[owner, k]
            slope = -0.5
            if not gaussian:
                slope = -0.5 * (nu + n) / (nu + x)
                tail_slope -= weight * (0.5 * misfit[t, k] + slope * x / nu)
            distance_slope += weight * slope * inverse[owner, k]
            by_scale[owner, k] -= weight * (n + 2.0 * slope * x)
        by_distance[t] = distance_slope
        by_tail[owner] += tail_slope
    for u in range(groups):
        for k in range(count):
            by_scale[u, k] /= scale[u, k]
    return by_distance


@inner_kernel
def kalman_adjoint(
    s: Schedule,
    p: Parameters,
    states: States,
    by_distance: Array,
    by_total: Array,
    gradient: Parameters,
) -> None:
    """Carry the slopes by ``Q`` and ``S1`` back through the shocks and the Kalman recursion."""
    previous, step, group, phis, variances = s.previous, s.step, s.group, p.phi, p.variance
    levels, spreads, shocks, roots = states.level, states.spread, states.shock, states.root
    by_deviation, by_phi, by_variance = gradient.deviation, gradient.phi, gradient.variance
    constant = normaliser(p.tail, p.correlation, largest_event(s))[2]
    level, spread = np.zeros(len(previous)), np.zeros(len(previous))
    for t in range(len(by_distance) - 1, -1, -1):
        start, stop = s.event_start[t], s.event_stop[t]
        u, n = group[start], stop - start
        f, rho = p.noise[u], p.correlation[u]
        # Q = (S2 - c S1²) / (1 - ρ) with c = ρ / (1 + ρ (n-1)), and dc/dρ = 1 / (1 + ρ (n-1))².
        mean, factor, by_noise = 0.0, 2.0 * by_distance[t], 0.0
        if n > 1:
            mean, factor = states.total[t] / (1.0 + rho * (n - 1)), factor / (1.0 - rho)
            within = 0.5 * factor * (states.distance[t] - mean * mean)
            gradient.correlation[u] += constant[u, n] + within
        centre, push = rho * mean, by_total[t]
        for j in range(np.uintp(n)):
            i = np.uintp(stop) - np.uintp(1) - j
            before, move = np.uintp(previous[i]), np.uintp(step[i])
            root, shock, phi = roots[i], shocks[i], phis[move]
            precision, square = root * root, phi * phi
            gain = (square * spreads[before] + variances[move]) * precision
            by_shock = factor * (shock - centre) + push
            by_gain = level[i] * shock + spread[i] * f * root
            by_innovation = by_shock * root + level[i] * gain
            by_spread = -0.5 * (by_shock * shock + 1.0) * precision
            by_mean = level[i] - by_innovation
            by_predicted = by_spread + by_gain * f * precision * root
            by_noise += spread[i] * gain + by_spread - by_gain * gain * root
            by_deviation[i] = by_innovation
            by_phi[move] += by_mean * levels[before] + 2.0 * phi * spreads[before] * by_predicted
            by_variance[move] += by_predicted
            level[before] = phi * by_mean
            spread[before] = square * by_predicted
        gradient.noise[u] += by_noise
    for i in s.first:
        by_deviation[i] = level[i]
        gradient.noise[group[i]] += spread[i]
