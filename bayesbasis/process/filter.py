"""Kalman and Hamilton filter in one: the likelihood of the basis and its gradient.

Quote = deviation + noise, and regime ``k`` scales both: process variance ``σ_k² v``, noise variance
``σ_k² f``. The scale factors out, so one scale-free Kalman filter per contract serves every regime:
the first quote sets ``ẑ = z, P = f``, and after that::

    m = φ ẑ         P⁻ = φ² P + v            prediction
    e = z - m       S = P⁻ + f               innovation, Var[e] = σ_k² S
    G = P⁻ / S      ẑ = m + G e,  P = f G    update

The standardised innovations ``e / √S`` of one underlying at one time form an *event*. Events drive
the hidden Markov chain of regimes; what they contribute is a scalar function of ``σ_k``, so regimes
cost nothing per contract. The backward sweep of the chain yields smoothed probabilities, which are
the gradient of the log likelihood with respect to the log emissions (Fisher's identity), and one
backward sweep of the Kalman recursion carries that to every parameter.

References
----------
Hamilton (1989), doi 10.2307/1912559; Kim (1994), doi 10.1016/0304-4076(94)90036-1.
"""

from math import inf, log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.elementary import exp_in_place, log_in_place
from bayesbasis.process.exponential import exponential
from bayesbasis.process.kernels import inner_kernel, kernel
from bayesbasis.process.regimes import stationary
from bayesbasis.process.shocks import normaliser, quadratic_form

Array = NDArray[Any]

SETTLED = 5.0
"""Years before its first quote at which a contract is taken to have been quoted at fair value.

From there the law of convergence leads to the first quote as it leads from any quote to the next.
It is so long ago that the deviation has settled to what shocks and convergence leave between them.
"""


class Schedule(NamedTuple):
    """Who follows whom: the integer skeleton of a panel, in order of events.

    Quotes are sorted by chain, time and underlying. The first of a contract sets its state and
    carries no density, so it belongs to no event: it is one at fair value that nobody saw,
    `SETTLED` years before the first that was seen.

    Parameters
    ----------
    previous : ndarray of int64, shape (obs,)
        Position of the contract's previous quote; -1 for a first quote.
    step : ndarray of int64, shape (obs,)
        Row of the quote's move in the tables of ``φ`` and ``v``; -1 for a first quote.
    group : ndarray of int64, shape (obs,)
        Underlying of the quote.
    first : ndarray of int64, shape (contract,)
        Positions of the first quotes.
    event_start, event_stop : ndarray of int64, shape (event,)
        The scored quotes of each event: of one underlying at one time, first quotes apart.
    gap : ndarray of int64, shape (event,)
        Row of the time since the chain's last event in ``gap_length``; -1 where a chain starts.
    chain : ndarray of int64, shape (event,)
        Chain of regimes that the event belongs to.
    gap_length : ndarray of float64, shape (gap,)
        Distinct times between events of one chain, in years.
    gap_chain : ndarray of int64, shape (gap,)
        Chain of each distinct gap.
    """

    previous: Array
    step: Array
    group: Array
    first: Array
    event_start: Array
    event_stop: Array
    gap: Array
    chain: Array
    gap_length: Array
    gap_chain: Array


class Parameters(NamedTuple):
    """What the filter needs to know, for one draw.

    Parameters
    ----------
    deviation : ndarray, shape (obs,)
        Quoted basis less equilibrium, in order of events.
    phi, variance : ndarray, shape (step,)
        The law's ``φ`` and ``v`` of each distinct move.
    noise : ndarray, shape (underlying,)
        Quote noise ``f``, in years of reference diffusion.
    correlation, tail : ndarray, shape (underlying,)
        Correlation ``ρ`` across the curve; degrees of freedom ``ν``, infinite if Gaussian.
    scale : ndarray, shape (underlying, regime)
        Volatility ``σ_k`` per square root of a year.
    rates : ndarray, shape (chain, regime, regime)
        Generator of each chain, per year.
    """

    deviation: Array
    phi: Array
    variance: Array
    noise: Array
    correlation: Array
    tail: Array
    scale: Array
    rates: Array


class States(NamedTuple):
    """What the forward pass leaves behind.

    Parameters
    ----------
    level, spread : ndarray, shape (obs,)
        Filtered deviation ``ẑ`` and its scale-free variance ``P``.
    shock, root : ndarray, shape (obs,)
        Standardised innovation ``ẽ = e/√S`` and ``1/√S``; zero for first quotes.
    total, distance : ndarray, shape (event,)
        ``S1 = Σẽ`` and the Mahalanobis square ``Q``.
    filtered : ndarray, shape (event, regime)
        ``P(regime | quotes up to the event)``.
    ratio : ndarray, shape (event, regime)
        Emission over the event's density: filtered over predicted probability.
    misfit : ndarray, shape (event, regime)
        ``ln(1 + Q/(ν σ_k²))``; for a Gaussian ``Q/σ_k²``.
    log_density : ndarray, shape (event,)
        One-step log density of the event's quotes given all before.
    """

    level: Array
    spread: Array
    shock: Array
    root: Array
    total: Array
    distance: Array
    filtered: Array
    ratio: Array
    misfit: Array
    log_density: Array


@kernel
def forward(s: Schedule, p: Parameters, table: Array) -> States:
    """Filter deviations and regimes, and score every event.

    Parameters
    ----------
    s : Schedule
        The skeleton of the panel.
    p : Parameters
        One draw.
    table : ndarray, shape (gap, regime, regime)
        From `transitions`.
    """
    events, states = len(s.event_start), empty_states(s, p)
    shared = kalman(s, p, states)
    emissions(s, p, states, shared)
    hamilton(s, p, table, states)
    log_in_place(states.log_density)
    for t in range(events):
        states.log_density[t] += shared[t]
    return states


@inner_kernel
def empty_states(s: Schedule, p: Parameters) -> States:
    """Make room for what a forward pass leaves behind."""
    quotes, events, count = len(s.previous), len(s.event_start), p.scale.shape[1]
    return States(
        np.empty(quotes),
        np.empty(quotes),
        np.zeros(quotes),
        np.zeros(quotes),
        np.empty(events),
        np.empty(events),
        np.empty((events, count)),
        np.empty((events, count)),
        np.empty((events, count)),
        np.empty(events),
    )


@inner_kernel
def kalman(s: Schedule, p: Parameters, states: States) -> Array:
    """Run the scale-free Kalman filter of every contract and sum up every event.

    Returns what an event's log density shares between regimes, shape (event,), less the logarithm
    of ``Π 1/√S``: that product is left in ``log_density``, where it costs no logarithm of its own.
    """
    # Whatever a loop reads gets a name first: each look into a tuple costs the compiler its time.
    previous, step, group = s.previous, s.step, s.group
    deviation, phis, variances = p.deviation, p.phi, p.variance
    level, spread, shocks, roots = states.level, states.spread, states.shock, states.root
    for i in s.first:
        level[i], spread[i] = deviation[i], p.noise[group[i]]
    constant = normaliser(p.tail, p.correlation, largest_event(s))[0]
    shared = np.empty(len(s.event_start))
    for t in range(len(shared)):
        start, stop = s.event_start[t], s.event_stop[t]
        u, n = group[start], stop - start
        f = p.noise[u]
        total, squares, product, overflow = 0.0, 0.0, 1.0, 0.0
        # Unsigned positions spare the check for negative ones at every access.
        for i in range(np.uintp(start), np.uintp(stop)):
            before, move = np.uintp(previous[i]), np.uintp(step[i])
            phi = phis[move]
            mean = phi * level[before]
            predicted = phi * phi * spread[before] + variances[move]
            innovation, precision = deviation[i] - mean, 1.0 / (predicted + f)
            gain, root = predicted * precision, sqrt(precision)
            level[i], spread[i] = mean + gain * innovation, f * gain
            shock = innovation * root
            roots[i], shocks[i] = root, shock
            total += shock
            squares += shock * shock
            product *= root
            # A curve of very many contracts would overflow the product, or underflow it.
            if not 1e-100 < product < 1e100:
                overflow += log(product)
                product = 1.0
        states.total[t] = total
        states.distance[t] = quadratic_form(total, squares, n, p.correlation[u])
        states.log_density[t] = product
        shared[t] = constant[u, n] + overflow
    return shared


@inner_kernel
def emissions(s: Schedule, p: Parameters, states: States, shared: Array) -> None:
    """Leave the emission of every regime, relative to the best one, in ``ratio``."""
    event_start, event_stop, group = s.event_start, s.event_stop, s.group
    scale, tail, distance = p.scale, p.tail, states.distance
    misfit, ratio = states.misfit, states.ratio
    groups, count = scale.shape
    log_scale, inverse = np.empty((groups, count)), np.empty((groups, count))
    gaussian = tail[0] == inf
    for u in range(groups):
        for k in range(count):
            log_scale[u, k] = log(scale[u, k])
            inverse[u, k] = 1.0 / (scale[u, k] * scale[u, k])
            if not gaussian:
                inverse[u, k] /= tail[u]
    offset = 0.0 if gaussian else 1.0
    for t in range(len(event_start)):
        owner = np.uintp(group[np.uintp(event_start[t])])
        for k in range(count):
            misfit[t, k] = offset + distance[t] * inverse[owner, k]
    if not gaussian:
        log_in_place(misfit.ravel())
    for t in range(len(event_start)):
        start = event_start[t]
        owner, n = np.uintp(group[np.uintp(start)]), event_stop[t] - start
        half = 0.5 if gaussian else 0.5 * (tail[owner] + n)
        best = -inf
        for k in range(count):
            score = -n * log_scale[owner, k] - half * misfit[t, k]
            ratio[t, k] = score
            best = max(best, score)
        for k in range(count):
            ratio[t, k] -= best
        shared[t] += best
    exp_in_place(ratio.ravel())


@inner_kernel
def hamilton(s: Schedule, p: Parameters, table: Array, states: States) -> None:
    """Filter the regimes, normalised so that nothing over- or underflows."""
    gap, filtered, ratio, log_density = s.gap, states.filtered, states.ratio, states.log_density
    events, count = filtered.shape
    sums, inverse = np.empty(events), 1.0
    # What runs on from event to event is normalised afterwards, or before it gets too small: a
    # division would stand in the way of every next event.
    for t in range(events):
        total = 0.0
        if gap[t] < 0:
            first, inverse = stationary(p.rates[s.chain[t]]), 1.0
            for k in range(count):
                filtered[t, k] = first[k] * ratio[t, k]
                total += filtered[t, k]
        else:
            g, before = np.uintp(gap[t]), np.uintp(t - 1)
            for k in range(count):
                predicted = 0.0
                for j in range(count):
                    predicted += filtered[before, j] * table[g, j, k]
                filtered[t, k] = predicted * ratio[t, k]
                total += filtered[t, k]
        log_density[t] *= total * inverse
        factor = 1.0 / (total * inverse)
        inverse = 1.0 / total
        for k in range(count):
            ratio[t, k] *= factor
        if total < 1e-20:
            for k in range(count):
                filtered[t, k] *= inverse
            total, inverse = 1.0, 1.0
        sums[t] = total
    for t in range(events):
        inverse = 1.0 / sums[t]
        for k in range(count):
            filtered[t, k] *= inverse


@kernel
def backward(s: Schedule, table: Array, states: States) -> Array:
    """Run the chain backward: smoothed over filtered regime probabilities, (event, regime)."""
    gap, ratio = s.gap, states.ratio
    events, count = ratio.shape
    future, weight = np.ones((events, count)), np.empty(count)
    for t in range(events - 1, 0, -1):
        if gap[t] < 0:
            continue
        g, before = np.uintp(gap[t]), np.uintp(t - 1)
        for k in range(count):
            weight[k] = ratio[t, k] * future[t, k]
        for j in range(count):
            total = 0.0
            for k in range(count):
                total += table[g, j, k] * weight[k]
            future[before, j] = total
    return future


@kernel
def transitions(s: Schedule, p: Parameters) -> Array:
    """Transition matrix over every distinct gap, shape (gap, regime, regime)."""
    count = p.rates.shape[-1]
    table, still = np.empty((len(s.gap_length), count, count)), np.zeros((count, count))
    for g in range(len(s.gap_length)):
        value = exponential(p.rates[s.gap_chain[g]], still, s.gap_length[g])[0]
        for j in range(count):
            for k in range(count):
                table[g, j, k] = value[j, k]
    return table


@kernel
def largest_event(s: Schedule) -> int:
    """Largest number of quotes scored together."""
    largest = 0
    for t in range(len(s.event_start)):
        largest = max(largest, s.event_stop[t] - s.event_start[t])
    return largest
