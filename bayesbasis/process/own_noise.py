r"""The filter where every quote has noise of its own, beside moves that the curve shares.

In `filter` innovations have one correlation, whether they come of moves or of noise. Here moves
alone have: what clocks that disagree do to one quote, they do not do to its neighbour. Innovations
of one event have, over ``σ_k²``, the covariance

.. math:: Σ = \mathrm{diag}(a) + ρ\, w w^\top, \qquad w_i = \sqrt{v_i}, \qquad
          a_i = P^-_i + f - ρ v_i

whose inverse and determinant cost no more than those of one correlation, with
``C = Σ v/a``, ``B = Σ w e/a``:

.. math:: Q = \sum_i \frac{e_i^2}{a_i} - \frac{ρ B^2}{1 + ρ C}, \qquad
          \ln|Σ| = \sum_i \ln a_i + \ln(1 + ρ C)

States are filtered contract by contract, as in `filter`. With one contract at a time, or without
noise, it is the filter of `filter`.

References
----------
Schwartz and Smith (2000), doi 10.1287/mnsc.46.7.893.12034, whose measurement errors are so.
"""

from math import log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.adjoint import Sweep, chain_adjoint, event_adjoint, no_slopes
from bayesbasis.process.elementary import log_in_place
from bayesbasis.process.filter import (
    Parameters,
    Schedule,
    States,
    backward,
    emissions,
    empty_states,
    hamilton,
    largest_event,
    transitions,
)
from bayesbasis.process.kernels import inner_kernel, kernel
from bayesbasis.process.shocks import normaliser

Array = NDArray[Any]


class OwnNoise(NamedTuple):
    """What the filter needs to know, for one draw: `Parameters`, where noise is each quote's own.

    Parameters
    ----------
    deviation, phi, variance, noise, correlation, tail, scale, rates : ndarray
        As in `Parameters`; ``correlation`` is that of moves.
    """

    deviation: Array
    phi: Array
    variance: Array
    noise: Array
    correlation: Array
    tail: Array
    scale: Array
    rates: Array


@kernel
def own_noise_sweep(s: Schedule, p: Parameters) -> Sweep:
    """Filter and score a panel, smooth its regimes, and differentiate the log likelihood.

    Parameters
    ----------
    s : Schedule
        The skeleton of the panel.
    p : Parameters
        One draw. In the states that come back, ``total`` is ``B``.
    """
    table, events = transitions(s, p), len(s.event_start)
    states = empty_states(s, p)
    shared = _kalman(s, p, states)
    emissions(s, p, states, shared)
    hamilton(s, p, table, states)
    log_in_place(states.log_density)
    value = 0.0
    for t in range(events):
        states.log_density[t] += shared[t]
        value += states.log_density[t]
    future = backward(s, table, states)
    gradient = no_slopes(p)
    chain_adjoint(s, p, states, future, gradient)
    by_distance = event_adjoint(s, p, states, future, gradient)
    _kalman_adjoint(s, p, states, by_distance, gradient)
    return Sweep(value, gradient, states, future, by_distance)


@inner_kernel
def _kalman(s: Schedule, p: Parameters, states: States) -> Array:
    """Filter every contract and sum up every event, as `filter.kalman` does."""
    for i in s.first:
        states.level[i], states.spread[i] = p.deviation[i], p.noise[s.group[i]]
    constant = normaliser(p.tail, np.zeros_like(p.correlation), largest_event(s))[0]
    shared = np.empty(len(s.event_start))
    for t in range(len(shared)):
        start, stop = s.event_start[t], s.event_stop[t]
        u = s.group[start]
        f, rho = p.noise[u], p.correlation[u]
        squares, total, known, size = 0.0, 0.0, 0.0, 0.0
        for i in range(start, stop):
            before, move = s.previous[i], s.step[i]
            phi, v = p.phi[move], p.variance[move]
            mean = phi * states.level[before]
            predicted = phi * phi * states.spread[before] + v
            innovation, variance = p.deviation[i] - mean, predicted + f
            gain = predicted / variance
            states.level[i], states.spread[i] = mean + gain * innovation, f * gain
            states.root[i] = 1.0 / sqrt(variance)
            states.shock[i] = innovation * states.root[i]
            own = variance - rho * v
            squares += innovation * innovation / own
            total += sqrt(v) * innovation / own
            known += v / own
            size += log(own)
        states.total[t] = total
        states.distance[t] = squares - rho * total * total / (1.0 + rho * known)
        states.log_density[t] = 1.0
        shared[t] = constant[u, stop - start] - 0.5 * (size + log(1.0 + rho * known))
    return shared


@inner_kernel
def _kalman_adjoint(
    s: Schedule, p: Parameters, states: States, by_distance: Array, gradient: Parameters
) -> None:
    r"""Carry the slopes by ``Q`` back through covariances, innovations and states.

    With ``y = Σ⁻¹e`` and the slope ``g`` by ``Q``, that by the covariance is
    ``G = -g y yᵀ - Σ⁻¹/2``: its diagonal is the slope by ``S_i = P⁻_i + f``, the rest that by
    ``ρ w_i w_j``.
    """
    level, spread = np.zeros(len(s.previous)), np.zeros(len(s.previous))
    for t in range(len(by_distance) - 1, -1, -1):
        start, stop = s.event_start[t], s.event_stop[t]
        u, g = s.group[start], by_distance[t]
        f, rho = p.noise[u], p.correlation[u]
        known, along, square, squares = 0.0, 0.0, 0.0, 0.0
        for i in range(start, stop):
            v = p.variance[s.step[i]]
            own = 1.0 / (states.root[i] * states.root[i]) - rho * v
            known += v / own
            squares += v * v / (own * own)
        share = rho / (1.0 + rho * known)
        pull = share * states.total[t]
        for i in range(start, stop):
            v = p.variance[s.step[i]]
            own = 1.0 / (states.root[i] * states.root[i]) - rho * v
            y = (states.shock[i] / states.root[i] - pull * sqrt(v)) / own
            along += y * sqrt(v)
            square += y * y * v
        gradient.correlation[u] += 0.5 * share * (known * known - squares)
        gradient.correlation[u] -= g * (along * along - square)
        for i in range(stop - 1, start - 1, -1):
            before, move = s.previous[i], s.step[i]
            phi, v, root = p.phi[move], p.variance[move], states.root[i]
            w, precision, innovation = sqrt(v), root * root, states.shock[i] / root
            own = 1.0 / precision - rho * v
            y = (innovation - pull * w) / own
            gain = (phi * phi * states.spread[before] + v) * precision
            by_innovation = 2.0 * g * y + level[i] * gain
            by_gain = level[i] * innovation + spread[i] * f
            by_spread = -g * y * y - 0.5 * (1.0 - share * v / own) / own
            by_predicted = by_spread + by_gain * f * precision * precision
            # The slope by w over 2w, where a quote at expiry has neither.
            by_move = 0.0
            if v > 0.0:
                others = 0.5 * share * (known - v / own) / own
                by_move = rho * (others - g * y * (along - y * w) / w)
            gradient.noise[u] += spread[i] * gain + by_spread - by_gain * gain * precision
            gradient.deviation[i] = by_innovation
            by_mean = level[i] - by_innovation
            gradient.phi[move] += by_mean * states.level[before]
            gradient.phi[move] += 2.0 * phi * states.spread[before] * by_predicted
            gradient.variance[move] += by_predicted + by_move
            level[before] = phi * by_mean
            spread[before] = phi * phi * by_predicted
    for i in s.first:
        gradient.deviation[i] = level[i]
        gradient.noise[s.group[i]] += spread[i]
