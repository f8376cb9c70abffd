r"""Filter of premia seen through the funding rule: value, states and gradient in numba kernels.

The state is where two chains are at once: a slow level, and an inner chain of the fast premium and
the regime of volatility, ``k = (i, j)``. Given it, the premium of a contract is

.. math:: P = \mu_k + d + s_k\,\varepsilon, \qquad \varepsilon \sim t_4,

with ``d`` what is known beforehand: the share of the last premium that stays, and what covariates
add. A rate outside the dead zone and the caps tells the
premium and has a density; any other tells an interval and has its probability. Both are algebraic
for four degrees of freedom: with ``y = x/\sqrt{x^2 + 4}`` the distribution function is
``1/2 + (3/4)(y - y^3/3)``. The premium is thereby integrated in closed form, and the chain, which
is finite, by the forward recursion: the likelihood is exact.
"""

from math import log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.kernels import kernel

Array = NDArray[Any]

T_VARIANCE = 2.0
"""Variance of noise over its squared scale."""
_DENSITY = 0.375  # of t with four degrees of freedom at zero
_RESCALE = 6
_FAR = 1e12
_LEAST = 1e-30


class Settlements(NamedTuple):
    """The skeleton of a funding history: settlements by event, one underlying after another.

    Parameters
    ----------
    event_start, event_stop : ndarray of int, shape (event,)
        Settlements of each event.
    gap : ndarray of int, shape (event,)
        Position of the time since the last event among the distinct ones; -1 at the first event of
        an underlying.
    cell : ndarray of int, shape (obs,)
        Which row of the parameters holds: that of a contract and its interval.
    lower, upper : ndarray, shape (obs,)
        Least and greatest premium that pays the rate, bp per 8 hours.
    lower_side, upper_side : ndarray, shape (obs,)
        Which way each of the two moves when the dead zone widens: -1, 0 or 1.
    """

    event_start: Array
    event_stop: Array
    gap: Array
    cell: Array
    lower: Array
    upper: Array
    lower_side: Array
    upper_side: Array


class Chains(NamedTuple):
    """One draw: where premia lie in every state, and how states move.

    Parameters
    ----------
    location, scale : ndarray, shape (cell, state)
        Of the premium, bp per 8 hours.
    shift : ndarray, shape (obs,)
        What is known of each premium beforehand, whatever the state, bp per 8 hours.
    widening : ndarray, shape (cell,)
        How much wider than by the rule either half of the dead zone is, bp per 8 hours.
    slow, inner : ndarray, shape (gap, place, place)
        Transition matrices of the two chains over every distinct gap.
    start : ndarray, shape (state,)
        Distribution at the first event of an underlying.
    """

    location: Array
    scale: Array
    shift: Array
    widening: Array
    slow: Array
    inner: Array
    start: Array


class Track(NamedTuple):
    """What the filter finds.

    Parameters
    ----------
    filtered : ndarray, shape (event, state)
        Probability of every state given the events up to each.
    ratio : ndarray, shape (event, state)
        Likelihood of each event in every state over its likelihood.
    log_density : ndarray, shape (event,)
        One-step log densities.
    """

    filtered: Array
    ratio: Array
    log_density: Array


@kernel
def move_slow(p: Chains, gap: int, now: Array, out: Array) -> None:
    """Move the slow level alone over a gap."""
    n, m = p.slow.shape[1], p.inner.shape[1]
    out[:] = 0.0
    for i in range(n):
        for a in range(n):
            weight = p.slow[gap, i, a]
            for k in range(m):
                out[a * m + k] += weight * now[i * m + k]


@kernel
def predict(p: Chains, gap: int, now: Array, work: Array, out: Array) -> None:
    """Move a distribution over a gap, one chain after the other; ``work`` is that in between."""
    n, m = p.slow.shape[1], p.inner.shape[1]
    move_slow(p, gap, now, work)
    out[:] = 0.0
    for i in range(n):
        for j in range(m):
            weight = work[i * m + j]
            for k in range(m):
                out[i * m + k] += weight * p.inner[gap, j, k]


@kernel
def score(s: Settlements, p: Chains, inverse: Array, i: int, like: Array) -> None:
    """Multiply the likelihood of every state by that of one settlement; ``inverse`` is 1/scale."""
    c = s.cell[i]
    shift, widening = p.shift[i], p.widening[c]
    low = s.lower[i] + s.lower_side[i] * widening - shift
    high = s.upper[i] + s.upper_side[i] * widening - shift
    location, precision = p.location[c], inverse[c]
    if s.lower[i] == s.upper[i]:
        for k in range(len(like)):
            x = (low - location[k]) * precision[k]
            q = 1.0 + 0.25 * x * x
            like[k] *= _DENSITY * precision[k] / (q * q * sqrt(q))
        return
    # Beyond this the distribution function is 0 or 1 to the last bit.
    low, high = max(low, -_FAR), min(high, _FAR)
    for k in range(len(like)):
        x, y = (low - location[k]) * precision[k], (high - location[k]) * precision[k]
        u, v = x / sqrt(x * x + 4.0), y / sqrt(y * y + 4.0)
        share = 0.75 * (v - u) * (1.0 - (u * u + u * v + v * v) / 3.0)
        like[k] *= max(share, _LEAST)


@kernel
def track(s: Settlements, p: Chains) -> Track:
    """Run the filter over all events.

    Parameters
    ----------
    s : Settlements
        The history.
    p : Chains
        One draw.
    """
    events, count = len(s.event_start), p.location.shape[1]
    found = Track(np.empty((events, count)), np.empty((events, count)), np.zeros(events))
    work, ahead, like = np.empty(count), np.empty(count), np.empty(count)
    now, inverse = p.start.copy(), 1.0 / p.scale
    for t in range(events):
        if s.gap[t] < 0:
            ahead[:] = p.start
        else:
            predict(p, s.gap[t], now, work, ahead)
        like[:] = 1.0
        for i in range(s.event_start[t], s.event_stop[t]):
            score(s, p, inverse, i, like)
            # Many venues at once would underflow.
            if (i - s.event_start[t]) % _RESCALE == _RESCALE - 1:
                best = like.max()
                found.log_density[t] += log(best)
                like /= best
        total = 0.0
        for k in range(count):
            now[k] = ahead[k] * like[k]
            total += now[k]
        for k in range(count):
            now[k] /= total
            found.filtered[t, k] = now[k]
            found.ratio[t, k] = like[k] / total
        found.log_density[t] += log(total)
    return found


@kernel
def _score_slopes(
    s: Settlements, p: Chains, inverse: Array, i: int, weight: Array, gradient: Chains
) -> None:
    """Add the slope of one settlement's log likelihood, weighted by state."""
    c = s.cell[i]
    shift, widening = p.shift[i], p.widening[c]
    low = s.lower[i] + s.lower_side[i] * widening - shift
    high = s.upper[i] + s.upper_side[i] * widening - shift
    location, precision = p.location[c], inverse[c]
    by_location, by_scale = gradient.location[c], gradient.scale[c]
    by_low, by_high = 0.0, 0.0
    if s.lower[i] == s.upper[i]:
        for k in range(len(weight)):
            x = (low - location[k]) * precision[k]
            factor = precision[k] * weight[k]
            slope = factor * 1.25 * x / (1.0 + 0.25 * x * x)
            by_scale[k] += slope * x - factor
            by_location[k] += slope
            by_low -= slope
    else:
        low, high = max(low, -_FAR), min(high, _FAR)
        for k in range(len(weight)):
            x, y = (low - location[k]) * precision[k], (high - location[k]) * precision[k]
            u, v = x / sqrt(x * x + 4.0), y / sqrt(y * y + 4.0)
            share = 0.75 * (v - u) * (1.0 - (u * u + u * v + v * v) / 3.0)
            factor = precision[k] * weight[k] / share if share > _LEAST else 0.0
            # The density is (3/8) (1 - u²)^{5/2}.
            q, r = 1.0 - u * u, 1.0 - v * v
            below = _DENSITY * q * q * sqrt(max(q, 0.0)) * factor
            above = _DENSITY * r * r * sqrt(max(r, 0.0)) * factor
            by_scale[k] += below * x - above * y
            by_location[k] += below - above
            by_low -= below
            by_high += above
    gradient.shift[i] = -(by_low + by_high)
    gradient.widening[c] += by_low * s.lower_side[i] + by_high * s.upper_side[i]


@kernel
def _chain_slopes(
    p: Chains, gap: int, now: Array, ahead: Array, work: Array, gradient: Chains, back: Array
) -> None:
    """Add the slope by the transition matrices over one gap; leave that by the state before.

    ``ahead`` is the slope by the predicted distribution, which is overwritten.
    """
    n, m = p.slow.shape[1], p.inner.shape[1]
    move_slow(p, gap, now, work)
    by_slow, by_inner = gradient.slow[gap], gradient.inner[gap]
    for i in range(n):
        for j in range(m):
            total, weight = 0.0, work[i * m + j]
            for k in range(m):
                by_inner[j, k] += weight * ahead[i * m + k]
                total += p.inner[gap, j, k] * ahead[i * m + k]
            back[i * m + j] = total
    ahead[:] = back
    for i in range(n):
        for k in range(m):
            back[i * m + k] = 0.0
        for a in range(n):
            total, weight = 0.0, p.slow[gap, i, a]
            for k in range(m):
                total += now[i * m + k] * ahead[a * m + k]
                back[i * m + k] += weight * ahead[a * m + k]
            by_slow[i, a] += total


@kernel
def settlement_sweep(s: Settlements, p: Chains) -> tuple[float, Chains]:
    """Log likelihood of a history and its gradient: one pass forward, one backward.

    Parameters
    ----------
    s : Settlements
        The history.
    p : Chains
        One draw.

    Returns
    -------
    value : float
    gradient : Chains
        Derivatives, each in the shape of its parameter.
    """
    found = track(s, p)
    gradient = Chains(
        np.zeros_like(p.location),
        np.zeros_like(p.scale),
        np.zeros_like(p.shift),
        np.zeros_like(p.widening),
        np.zeros_like(p.slow),
        np.zeros_like(p.inner),
        np.zeros_like(p.start),
    )
    count = p.location.shape[1]
    future, weight, work = np.ones(count), np.empty(count), np.empty(count)
    value, inverse = 0.0, 1.0 / p.scale
    for t in range(len(s.event_start) - 1, -1, -1):
        value += found.log_density[t]
        for k in range(count):
            weight[k] = found.filtered[t, k] * future[k]
        for i in range(s.event_start[t], s.event_stop[t]):
            _score_slopes(s, p, inverse, i, weight, gradient)
        for k in range(count):
            future[k] *= found.ratio[t, k]
        if s.gap[t] < 0:
            for k in range(count):
                gradient.start[k] += future[k]
                future[k] = 1.0
        else:
            _chain_slopes(p, s.gap[t], found.filtered[t - 1], future, work, gradient, weight)
            for k in range(count):
                future[k] = weight[k]
    return value, gradient
