"""The filter's log likelihood in JAX, whose autodiff is its adjoint.

The same mathematics as `filter`, in the shape that vector machines like: the Kalman recursion
scans the quotes of all contracts side by side, and the forward pass of the regimes is one product
of small matrices, taken pair by pair in a logarithmic number of steps. Imported only when JAX is
asked for.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln
from numpy.typing import NDArray

from bayesbasis.process.filter import Parameters, Schedule

Array = NDArray[Any]

_TAYLOR_TERMS, _MOST_HALVINGS = 12, 30


class Plan(NamedTuple):
    """A `Schedule` as rectangles; an ordinary array of data, made once.

    Parameters
    ----------
    quotes : ndarray of int64, shape (length, contract)
        Scored quotes of every contract in order, padded with the number of quotes.
    event : ndarray of int64, shape (obs,)
        Event of every quote; one past the last for those not scored.
    """

    quotes: Array
    event: Array


def plan(schedule: Schedule) -> Plan:
    """Lay the quotes of contracts side by side."""
    count = len(schedule.previous)
    contract, rank = np.zeros(count, np.int64), np.zeros(count, np.int64)
    contract[schedule.first] = np.arange(len(schedule.first))
    for i in np.flatnonzero(schedule.previous >= 0):
        before = schedule.previous[i]
        contract[i], rank[i] = contract[before], rank[before] + 1
    quotes = np.full((rank.max(initial=0), len(schedule.first)), count)
    scored = np.flatnonzero(rank)
    quotes[rank[scored] - 1, contract[scored]] = scored
    event = np.full(count, len(schedule.event_start))
    for t, (start, stop) in enumerate(zip(schedule.event_start, schedule.event_stop, strict=True)):
        event[start:stop] = t
    return Plan(quotes, event)


def log_likelihood(schedule: Schedule, layout: Plan, p: Parameters) -> Any:
    """Log likelihood of a panel; see `filter.Parameters` for shapes and units.

    Parameters
    ----------
    schedule : Schedule
        The skeleton of the panel, of NumPy arrays.
    layout : Plan
        Of that schedule.
    p : Parameters
        One draw, of JAX arrays.
    """
    shock, log_root = _kalman(schedule, layout, p)
    events = len(schedule.event_start)
    group = schedule.group[schedule.event_start]
    size = schedule.event_stop - schedule.event_start

    def by_event(x: Any) -> Any:
        return jax.ops.segment_sum(x, layout.event, events + 1)[:events]

    rho = p.correlation[group]
    widened = 1.0 + rho * (size - 1)
    distance = by_event(shock**2) - rho * by_event(shock) ** 2 / widened
    distance = jnp.where(size > 1, distance / (1.0 - rho), by_event(shock**2))
    determinant = (size - 1) * jnp.log1p(-rho) + jnp.log(widened)
    score = _log_emission(distance, size, p.tail[group], p.scale[group])
    shared = by_event(log_root) - 0.5 * determinant
    return shared.sum() + _log_forward(schedule, score, p.rates)


def _kalman(s: Schedule, layout: Plan, p: Parameters) -> tuple[Any, Any]:
    """Standardised innovations and ``ln 1/√S`` of every quote; zero where nothing is scored."""
    there = layout.quotes < len(s.previous)
    rows = np.where(there, layout.quotes, 0)
    step = s.step[rows]
    noise = p.noise[s.group]

    def move(state: Any, quote: Any) -> Any:
        level, spread = state
        there, z, phi, variance, f = quote
        mean, predicted = phi * level, phi * phi * spread + variance
        total = predicted + f
        gain, innovation = predicted / total, z - mean
        after = mean + gain * innovation, f * gain
        state = tuple(jnp.where(there, new, old) for new, old in zip(after, state, strict=True))
        return state, (innovation * lax.rsqrt(total), -0.5 * jnp.log(total))

    quotes = (there, p.deviation[rows], p.phi[step], p.variance[step], noise[rows])
    start = p.deviation[s.first], noise[s.first]
    _, found = lax.scan(move, start, quotes)
    nothing = jnp.zeros(len(s.previous))
    return tuple(nothing.at[layout.quotes].set(x, mode="drop") for x in found)


def _log_emission(distance: Any, size: Array, tail: Any, scale: Any) -> Any:
    """Log density of every event under every regime, shape (event, regime), less determinants."""
    gaussian = jnp.isinf(tail)
    # The branch not taken must be finite too, or its gradient would spoil that of the other.
    nu = jnp.where(gaussian, 1.0, tail)[:, None]
    n = size[:, None]
    misfit = distance[:, None] / scale**2
    heavy = gammaln(0.5 * (nu + n)) - gammaln(0.5 * nu) - 0.5 * n * jnp.log(nu * np.pi)
    heavy -= 0.5 * (nu + n) * jnp.log1p(misfit / nu)
    light = -0.5 * n * np.log(2.0 * np.pi) - 0.5 * misfit
    return jnp.where(gaussian[:, None], light, heavy) - n * jnp.log(scale)


def _log_forward(s: Schedule, score: Any, rates: Any) -> Any:
    """Log likelihood of the chains of regimes, given log emissions.

    The forward pass is a product of matrices, one an event. Where a chain starts the matrix forgets
    what was before: all its rows are the stationary distribution.
    """
    count = rates.shape[-1]
    unit = rates / _fastest(rates)[:, None, None]
    system = jnp.swapaxes(unit + 1.0, 1, 2)
    stationary = jnp.linalg.solve(system, jnp.ones((len(rates), count, 1)))[..., 0]
    moves = stationary[s.chain][:, None, :] * jnp.ones((1, count, 1))
    if len(s.gap_length):
        table = _exponential(rates[s.gap_chain], s.gap_length)
        moves = jnp.where((s.gap >= 0)[:, None, None], table[np.maximum(s.gap, 0)], moves)
    best = lax.stop_gradient(score.max(axis=1, keepdims=True))
    product, scale = moves * jnp.exp(score - best)[:, None, :], best.sum()
    while len(product) > 1:
        odd = product[len(product) - len(product) % 2 :]
        product = jnp.concatenate([product[:-1:2] @ product[1::2], odd])
        size = lax.stop_gradient(product.max(axis=(1, 2)))
        product, scale = product / size[:, None, None], scale + jnp.log(size).sum()
    return scale + jnp.log(product[0, 0].sum())


def _exponential(rates: Any, gap: Array) -> Any:
    """Transition matrices ``expm(A gap)``, shape (gap, K, K); see `exponential`."""
    fastest = _fastest(rates)
    halvings = jnp.ceil(jnp.log2(jnp.maximum(2.0 * lax.stop_gradient(fastest) * gap, 1.0)))
    step = (gap / 2.0**halvings)[:, None, None]
    one = jnp.eye(rates.shape[-1])
    positive = step * (rates + fastest[:, None, None] * one)
    value = one + 0.0 * rates
    for term in range(_TAYLOR_TERMS, 0, -1):
        value = one + positive @ value / term
    value = value * jnp.exp(-fastest[:, None, None] * step)

    def square(value: Any, i: Any) -> Any:
        return jnp.where((i < halvings)[:, None, None], value @ value, value), None

    return lax.scan(square, value, jnp.arange(_MOST_HALVINGS))[0]


def _fastest(rates: Any) -> Any:
    """Largest rate out of any regime, shape (chain,); one if there is none."""
    fastest = jnp.max(-jnp.diagonal(rates, axis1=1, axis2=2), axis=1)
    return jnp.where(fastest > 0, fastest, 1.0)
