r"""Spot returns beside the curve, that share regimes and mixing variables with the basis.

Over a time ``Δ``, in regime ``k``, spot moves with the mean shock of its curve:

.. math::

    \frac{\ln S_1/S_0}{\sqrt{Δ}} = s_k \sqrt{w} \left(ρ_k b + \sqrt{1 - ρ_k^2}\, h\right), \qquad
    b = \frac{\sum_i ε_i}{\sqrt{n (1 - ρ + ρ n)}}

with the mixing variable ``w`` of the curve's Student-t shocks ``ε``, so that stress shows in both.
"""

from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.process.filter import Parameters, Schedule, States
from bayesbasis.process.kernels import kernel

Array = NDArray[Any]


@kernel
def draw_regimes(s: Schedule, table: Array, states: States, rng: Generator) -> Array:
    """Draw the path of regimes given all quotes, backward from the last event.

    Parameters
    ----------
    s : Schedule
        The panel.
    table : ndarray, shape (gap, regime, regime)
        From `bayesbasis.process.filter.transitions`.
    states : States
        From the forward pass.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int64, shape (event,)

    References
    ----------
    Chib (1996), doi 10.1016/0304-4076(95)01770-4.
    """
    events, count = states.filtered.shape
    path, weight = np.empty(events, np.int64), np.empty(count)
    for t in range(events - 1, -1, -1):
        last = t == events - 1 or s.gap[t + 1] < 0
        total = 0.0
        for k in range(count):
            weight[k] = states.filtered[t, k]
            if not last:
                weight[k] *= table[s.gap[t + 1], k, path[t + 1]]
            total += weight[k]
        uniform, chosen = rng.random() * total, 0
        while chosen < count - 1 and uniform > weight[chosen]:
            uniform -= weight[chosen]
            chosen += 1
        path[t] = chosen
    return path


@kernel
def draw_spot(
    s: Schedule,
    p: Parameters,
    states: States,
    regime: Array,
    owner: Array,
    move: Array,
    usual: Array,
    sweeps: int,
    rng: Generator,
) -> tuple[Array, Array]:
    r"""Draw volatility of spot and its correlation with the curve, in every regime.

    Given regimes, Gibbs steps between the mixing variables and a regression of spot on the curve's
    mean shock, whose coefficient is ``s_k ρ_k`` and whose residual variance ``s_k² (1 - ρ_k²)``.
    Its prior is worth three returns of the usual size and no correlation.

    Parameters
    ----------
    s, p, states
        The panel, one draw, and its forward pass.
    regime : ndarray of int64, shape (event,)
        From `draw_regimes`.
    owner : ndarray of int64, shape (event,)
        Underlying of every event.
    move : ndarray, shape (event,)
        Spot's log return over the root of its time, per root year; not finite where there is none.
    usual : ndarray, shape (underlying,)
        Usual size of a move of each underlying, for the prior.
    sweeps : int
        Gibbs steps; the last one is the draw.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    volatility, correlation : ndarray, shape (underlying, regime)
        ``s_k`` per root year, and ``ρ_k``.
    """
    events, count, owners = len(move), p.scale.shape[1], len(usual)
    shock, misfit = np.empty(events), np.empty(events)
    for t in range(events):
        start = s.event_start[t]
        u, n = s.group[start], s.event_stop[t] - start
        sigma = p.scale[u, regime[t]]
        shock[t] = states.total[t] / (sigma * sqrt(n * (1.0 - p.correlation[u] * (1 - n))))
        misfit[t] = states.distance[t] / (sigma * sigma)
    slope, variance = np.zeros((owners, count)), np.empty((owners, count))
    for o in range(owners):
        for k in range(count):
            variance[o, k] = usual[o] * usual[o]
    for _ in range(sweeps):
        sums = _sums(s, p, regime, owner, move, shock, misfit, slope, variance, rng)
        for o in range(owners):
            for k in range(count):
                squares, cross = 1.0 + sums[o, k, 1], sums[o, k, 2]
                left = 3.0 * usual[o] * usual[o] + sums[o, k, 3] - cross * cross / squares
                freedom = rng.standard_gamma(0.5 * (sums[o, k, 0] + 3.0))
                variance[o, k] = 0.5 * left / freedom
                spread = sqrt(variance[o, k] / squares)
                slope[o, k] = cross / squares + spread * rng.standard_normal()
    volatility, correlation = np.sqrt(variance + slope * slope), np.empty((owners, count))
    for o in range(owners):
        for k in range(count):
            correlation[o, k] = slope[o, k] / volatility[o, k]
    return volatility, correlation


@kernel
def _sums(
    s: Schedule,
    p: Parameters,
    regime: Array,
    owner: Array,
    move: Array,
    shock: Array,
    misfit: Array,
    slope: Array,
    variance: Array,
    rng: Generator,
) -> Array:
    """Draw every ``1/w``, and weigh by it the count, squares and products of a regression."""
    sums = np.zeros((*slope.shape, 4))
    for t in range(len(move)):
        if not np.isfinite(move[t]):
            continue
        o, k, start = owner[t], regime[t], s.event_start[t]
        n, nu, precision = s.event_stop[t] - start, p.tail[s.group[start]], 1.0
        if nu < inf:
            residual = move[t] - slope[o, k] * shock[t]
            total = nu + misfit[t] + residual * residual / variance[o, k]
            precision = 2.0 * rng.standard_gamma(0.5 * (nu + n + 1.0)) / total
        sums[o, k, 0] += 1.0
        sums[o, k, 1] += precision * shock[t] * shock[t]
        sums[o, k, 2] += precision * shock[t] * move[t]
        sums[o, k, 3] += precision * move[t] * move[t]
    return sums


def simulate_spot(
    shocks: Array,
    correlation: Array,
    tail: Array,
    volatility: Array,
    with_curve: Array,
    rng: Generator,
) -> Array:
    """Draw spot returns given the shocks of the curve, over the root of their time.

    Parameters
    ----------
    shocks : ndarray, shape (draw, contract, step)
        Student-t shocks ``ε√w`` of the curve; missing where a contract does not move.
    correlation, tail : ndarray, shape (draw,)
        Correlation ``ρ`` across the curve and degrees of freedom ``ν``.
    volatility, with_curve : ndarray, shape (draw, step)
        ``s_k`` and ``ρ_k`` of the regime of each step.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (draw, step)
        The mixing variable of a step is drawn given the curve's shocks, so both share it.
    """
    there = np.isfinite(shocks)
    count = there.sum(1)
    total = np.where(there, shocks, 0.0).sum(1)
    squares = np.where(there, shocks**2, 0.0).sum(1)
    rho, nu = correlation[:, None], np.broadcast_to(tail[:, None], count.shape)
    spread = 1.0 + rho * (count - 1)
    distance = np.where(count > 1, (squares - rho * total**2 / spread) / (1.0 - rho), squares)
    heavy = np.isfinite(nu)
    root = np.ones(count.shape)
    gamma = rng.standard_gamma(0.5 * (nu[heavy] + count[heavy]))
    root[heavy] = np.sqrt(0.5 * (nu[heavy] + distance[heavy]) / gamma)
    own = root * rng.standard_normal(count.shape)
    fresh = root * rng.standard_normal(count.shape)
    shared = np.where(count > 0, total / np.sqrt(np.maximum(count, 1) * spread), fresh)
    return volatility * (with_curve * shared + np.sqrt(1.0 - with_curve**2) * own)
