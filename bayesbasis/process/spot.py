"""Spot, and covariates, on their own: mean reversion of a series, learned and simulated."""

from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.process.laws import rate

Array = NDArray[Any]

_HALF_LIVES = np.geomspace(2.0, 5_000.0, 80)
_PRECISION = 1e-300


class Reversion(NamedTuple):
    """Draws of the Ornstein-Uhlenbeck process of one series, and what its shocks looked like.

    Parameters
    ----------
    half_life : ndarray, shape (draw,)
        Days.
    mean : ndarray, shape (draw,)
        What the series reverts to, in its units.
    volatility : ndarray, shape (draw,)
        Per square root of a year.
    shocks : ndarray, shape (shock,)
        Standardised past innovations, to be drawn from.
    """

    half_life: Array
    mean: Array
    volatility: Array
    shocks: Array


def learn_reversion(
    value: Array,
    time: Array,
    draws: int,
    rng: Generator,
    *,
    half_life: tuple[float, float] = (100.0, 3.0),
    spread: float = 1.0,
) -> Reversion:
    r"""Draw from the posterior of the Ornstein-Uhlenbeck process of a series.

    .. math::

        x_{n+1} = m + φ_n (x_n - m) + σ \sqrt{v_n}\, ε, \qquad
        φ_n = e^{-αΔ_n}, \qquad v_n = \frac{1 - φ_n^2}{2α}

    Given ``α`` this is a regression with one coefficient, whose posterior under ``p(σ²) ∝ 1/σ²``
    and a normal prior of ``m`` is in closed form; ``α`` runs over a grid of half-lives from 2 to
    5,000 days with a log-normal prior.

    Parameters
    ----------
    value : ndarray, shape (n,)
        The series; at least 3 values.
    time : ndarray, shape (n,)
        Increasing, years.
    draws : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.
    half_life : (float, float)
        Median in days and factor of the prior.
    spread : float
        Prior standard deviation of the mean around the average of the series, in its units, at the
        volatility found.
    """
    centre, gaps, move = value.mean(), np.diff(time), np.diff(value)
    alpha = rate(_HALF_LIVES)[:, None]
    root = np.sqrt(-np.expm1(-2.0 * alpha * gaps) / (2.0 * alpha))
    share = -np.expm1(-alpha * gaps)
    # The coefficient is m - centre.
    y, x = (move + share * (value[:-1] - centre)) / root, share / root
    variance = (move**2 / gaps).mean()
    prior = max(variance, _PRECISION) / spread**2
    precision = prior + (x**2).sum(1)
    best = (x * y).sum(1) / precision
    shape = 0.5 * len(gaps)
    rest = 0.5 * np.maximum((y**2).sum(1) - best**2 * precision, _PRECISION)
    evidence = 0.5 * np.log(prior / precision) - shape * np.log(rest) - np.log(root).sum(1)
    evidence -= 0.5 * (np.log(_HALF_LIVES / half_life[0]) / log(half_life[1])) ** 2
    weight = np.exp(evidence - evidence.max())
    cell = rng.choice(len(weight), draws, p=weight / weight.sum())
    volatility = np.sqrt(rest[cell] / rng.gamma(shape, size=draws))
    mean = best[cell] + volatility / np.sqrt(precision[cell]) * rng.standard_normal(draws)
    top = int(evidence.argmax())
    shocks = y[top] - x[top] * best[top]
    shocks = (shocks - shocks.mean()) / max(shocks.std(), _PRECISION)
    # Between two points of the grid every half-life is as good.
    width = log(_HALF_LIVES[1] / _HALF_LIVES[0])
    days = _HALF_LIVES[cell] * np.exp(width * (rng.random(draws) - 0.5))
    return Reversion(days, centre + mean, volatility, shocks)


def simulate_reversion(
    past: Reversion, start: Array | float, gaps: Array, rng: Generator, moves: Array | None = None
) -> Array:
    """Run a series forward, its shocks drawn from the past ones unless they are given.

    Parameters
    ----------
    past : Reversion
        From `learn_reversion`.
    start : ndarray, shape (draw,), or float
        Value now.
    gaps : ndarray, shape (step,)
        Years from each point to the next, the first counted from now; may be zero.
    rng : numpy.random.Generator
        Source of randomness.
    moves : ndarray, shape (draw, step), optional
        Shocks times volatility, per root year, in the place of drawn ones.

    Returns
    -------
    ndarray, shape (draw, step)
    """
    alpha = rate(past.half_life)
    value, path = np.full(len(alpha), start), np.empty((len(alpha), len(gaps)))
    for step, gap in enumerate(gaps):
        phi, variance = np.exp(-alpha * gap), -np.expm1(-2.0 * alpha * gap) / (2.0 * alpha)
        if moves is None:
            move = past.volatility * rng.choice(past.shocks, len(alpha))
        else:
            move = moves[:, step]
        value = past.mean + phi * (value - past.mean) + np.sqrt(variance) * move
        path[:, step] = value
    return path
