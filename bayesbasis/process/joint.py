r"""Basis and spot in one filter: regimes and mixing variables that both of them tell of.

In regime ``k`` spot moves with the mean shock ``B`` of its curve, and shares its mixing variable.
Over a time ``Δ``, of the ``n`` standardised innovations of an event and ``m = ln(S_1/S_0)/√Δ``:

.. math::

    e_k = \frac{m}{s_k} - ρ_k \frac{B}{σ_k}, \qquad B = \frac{S_1}{\sqrt{n (1 - ρ + ρ n)}}, \qquad
    Q_k = \frac{Q}{σ_k^2} + \frac{e_k^2}{1 - ρ_k^2}

.. math::

    \ln p_k = c_{n+1} - n \ln σ_k - \ln s_k - \tfrac12 \ln(1 - ρ_k^2)
    - \tfrac{ν + n + 1}{2} \ln(1 + Q_k/ν)

which is the Student-t of curve and spot together: only this emission differs from the filter of the
basis alone, whose Kalman recursion and chain of regimes serve both.
"""

from math import inf, log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.adjoint import chain_adjoint, kalman_adjoint, no_slopes
from bayesbasis.process.elementary import exp_in_place, log_in_place
from bayesbasis.process.filter import (
    Parameters,
    Schedule,
    States,
    backward,
    emissions,
    empty_states,
    hamilton,
    kalman,
    largest_event,
    transitions,
)
from bayesbasis.process.kernels import inner_kernel, kernel
from bayesbasis.process.regimes import stationary
from bayesbasis.process.shocks import normaliser

Array = NDArray[Any]


class Returns(NamedTuple):
    """Spot beside the curve, for one draw.

    Parameters
    ----------
    move : ndarray, shape (event,)
        Spot's log return into every event over the root of its time; infinite where there is none.
    volatility, with_curve : ndarray, shape (underlying, regime)
        Scale ``s_k`` per root year, and correlation ``ρ_k`` with the mean shock of the curve.
    """

    move: Array
    volatility: Array
    with_curve: Array


class JointSweep(NamedTuple):
    """What one pass forward and one backward yield; as `Sweep`, of basis and spot together.

    Parameters
    ----------
    value : float
        Log likelihood of both.
    gradient : Parameters
        Its derivatives by what the basis alone has too.
    states : States
        The filtered states; ``log_density`` and ``misfit`` are those of both.
    future : ndarray, shape (event, regime)
        Smoothed over filtered probability of every regime.
    by_distance : ndarray, shape (event,)
        Slope by the Mahalanobis square of the curve.
    by_returns : Returns
        Derivatives by volatility and correlation of spot; those by the data are left at zero.
    """

    value: float
    gradient: Parameters
    states: States
    future: Array
    by_distance: Array
    by_returns: Returns


@kernel
def joint_sweep(s: Schedule, p: Parameters, x: Returns) -> JointSweep:
    """Filter and score basis and spot, smooth their regimes, and differentiate.

    Parameters
    ----------
    s : Schedule
        The skeleton of the panel.
    p : Parameters
        One draw.
    x : Returns
        Spot under the same draw.
    """
    table = transitions(s, p)
    states = joint_forward(s, p, x, table)
    future = backward(s, table, states)
    gradient = no_slopes(p)
    by_returns = Returns(
        np.zeros_like(x.move), np.zeros_like(x.volatility), np.zeros_like(x.with_curve)
    )
    chain_adjoint(s, p, states, future, gradient)
    by_distance, by_total = _event_adjoint(s, p, x, states, future, gradient, by_returns)
    kalman_adjoint(s, p, states, by_distance, by_total, gradient)
    value = 0.0
    for t in range(len(states.log_density)):
        value += states.log_density[t]
    return JointSweep(value, gradient, states, future, by_distance, by_returns)


@kernel
def joint_forward(s: Schedule, p: Parameters, x: Returns, table: Array) -> States:
    """Filter deviations and regimes in the light of spot too, and score every event.

    Parameters
    ----------
    s, p, x
        As `joint_sweep`.
    table : ndarray, shape (gap, regime, regime)
        From `bayesbasis.process.filter.transitions`.
    """
    states = empty_states(s, p)
    shared = kalman(s, p, states)
    _joint_emissions(s, p, x, states, shared)
    hamilton(s, p, table, states)
    log_in_place(states.log_density)
    for t in range(len(shared)):
        states.log_density[t] += shared[t]
    return states


@kernel
def basis_density(s: Schedule, p: Parameters, filtered: Array, table: Array) -> Array:
    """One-step log density of the basis alone, given basis and spot before; shape (event,).

    Comparable with that of a model which knows nothing of spot; what is left of the joint density
    is that of spot given the basis of the same time.

    Parameters
    ----------
    s, p
        The panel and one draw.
    filtered : ndarray, shape (event, regime)
        Regimes given basis and spot so far.
    table : ndarray, shape (gap, regime, regime)
        From `bayesbasis.process.filter.transitions`.
    """
    alone = empty_states(s, p)
    shared = kalman(s, p, alone)
    emissions(s, p, alone, shared)
    # The chain starts anew at every event, from what both told of the one before.
    _predicted_densities(s, p, filtered, table, alone)
    log_in_place(alone.log_density)
    return alone.log_density + shared


@inner_kernel
def _predicted_densities(
    s: Schedule, p: Parameters, filtered: Array, table: Array, alone: States
) -> None:
    """Multiply what `kalman` left in ``log_density`` by the emissions that were to be expected."""
    from_chain = np.empty(filtered.shape[1])
    for t in range(len(filtered)):
        if s.gap[t] < 0:
            from_chain[:] = stationary(p.rates[s.chain[t]])
        else:
            from_chain[:] = filtered[t - 1] @ table[s.gap[t]]
        total = 0.0
        for k in range(len(from_chain)):
            total += from_chain[k] * alone.ratio[t, k]
        alone.log_density[t] *= total


@inner_kernel
def _beside_curve(s: Schedule, p: Parameters, states: States, t: int) -> tuple[float, float]:
    """Mean shock ``B`` of the curve, and its slope by the sum of shocks."""
    start = s.event_start[t]
    n, rho = s.event_stop[t] - start, p.correlation[s.group[start]]
    slope = 1.0 / sqrt(n * (1.0 + rho * (n - 1)))
    return states.total[t] * slope, slope


@inner_kernel
def _joint_emissions(s: Schedule, p: Parameters, x: Returns, states: States, shared: Array) -> None:
    """Leave the emission of every regime, relative to the best one, in ``ratio``."""
    count, gaussian = p.scale.shape[1], p.tail[0] == inf
    constant = normaliser(p.tail, np.zeros_like(p.tail), largest_event(s) + 1)[0]
    for t in range(len(shared)):
        u, seen = s.group[s.event_start[t]], x.move[t] < inf
        shock = _beside_curve(s, p, states, t)[0]
        for k in range(count):
            sigma, rho = p.scale[u, k], x.with_curve[u, k]
            misfit = states.distance[t] / (sigma * sigma)
            if seen:
                own = x.move[t] / x.volatility[u, k] - rho * shock / sigma
                misfit += own * own / (1.0 - rho * rho)
            states.misfit[t, k] = misfit if gaussian else 1.0 + misfit / p.tail[u]
    if not gaussian:
        log_in_place(states.misfit.ravel())
    for t in range(len(shared)):
        start = s.event_start[t]
        u, n, seen = s.group[start], s.event_stop[t] - start, x.move[t] < inf
        half, best = 0.5 if gaussian else 0.5 * (p.tail[u] + n + seen), -inf
        for k in range(count):
            score = -n * log(p.scale[u, k]) - half * states.misfit[t, k]
            if seen:
                rho = x.with_curve[u, k]
                score -= log(x.volatility[u, k]) + 0.5 * log(1.0 - rho * rho)
            states.ratio[t, k] = score
            best = max(best, score)
        for k in range(count):
            states.ratio[t, k] -= best
        shared[t] += best
        if seen:
            shared[t] += constant[u, n + 1] - constant[u, n]
    exp_in_place(states.ratio.ravel())


@inner_kernel
def _event_adjoint(
    s: Schedule,
    p: Parameters,
    x: Returns,
    states: States,
    future: Array,
    gradient: Parameters,
    by_returns: Returns,
) -> tuple[Array, Array]:
    """Slopes by ``Q`` and by ``S1`` of every event; adds those by the rest."""
    gaussian = p.tail[0] == inf
    constant = normaliser(p.tail, np.zeros_like(p.tail), largest_event(s) + 1)[1]
    by_distance, by_total = np.zeros(len(s.event_start)), np.zeros(len(s.event_start))
    for t in range(len(by_distance)):
        start = s.event_start[t]
        u, n, seen = s.group[start], s.event_stop[t] - start, x.move[t] < inf
        nu, (shock, slope_of_shock), by_shock = p.tail[u], _beside_curve(s, p, states, t), 0.0
        size = n + seen
        gradient.tail[u] += constant[u, size]
        for k in range(p.scale.shape[1]):
            weight, sigma = states.filtered[t, k] * future[t, k], p.scale[u, k]
            distance, misfit, own, free = states.distance[t] / (sigma * sigma), 0.0, 0.0, 1.0
            if seen:
                volatility, rho = x.volatility[u, k], x.with_curve[u, k]
                free = 1.0 - rho * rho
                own = x.move[t] / volatility - rho * shock / sigma
            misfit = distance + own * own / free
            slope = -0.5
            if not gaussian:
                slope = -0.5 * (nu + size) / (nu + misfit)
                gradient.tail[u] -= weight * (0.5 * states.misfit[t, k] + slope * misfit / nu)
            by_distance[t] += weight * slope / (sigma * sigma)
            gradient.scale[u, k] -= weight * (n + 2.0 * slope * distance) / sigma
            if seen:
                by_own = weight * slope * 2.0 * own / free
                by_shock -= by_own * rho / sigma
                gradient.scale[u, k] += by_own * rho * shock / (sigma * sigma)
                by_returns.volatility[u, k] -= (
                    weight + by_own * x.move[t] / volatility
                ) / volatility
                by_returns.with_curve[u, k] += weight * rho / free - by_own * (
                    shock / sigma - own * rho / free
                )
        by_total[t] = by_shock * slope_of_shock
        if n > 1:
            spread = 1.0 + p.correlation[u] * (n - 1)
            gradient.correlation[u] -= 0.5 * by_shock * shock * (n - 1) / spread
    return by_distance, by_total
