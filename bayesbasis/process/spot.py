"""Spot, and covariates, on their own: mean reversion of a series, learned and simulated."""

from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.process.laws import rate

Array = NDArray[Any]

_HALF_LIVES = np.geomspace(2.0, 5_000.0, 80)
_PRECISION = 1e-300


class Passing(NamedTuple):
    """The part of a shock that passes soon, while the rest lasts.

    Parameters
    ----------
    half_life : float
        Days.
    share : float
        Of every shock, between 0 and 1.
    """

    half_life: float
    share: float


NOTHING = Passing(half_life=1.0, share=0.0)
"""All of a shock lasts."""


class Reversion(NamedTuple):
    """Draws of the mean reversion of one series, and what its shocks looked like.

    Parameters
    ----------
    half_life : ndarray, shape (draw,)
        Days, of what lasts.
    mean : ndarray, shape (draw,)
        What the series reverts to, in its units.
    volatility : ndarray, shape (draw,)
        Per square root of a year.
    shocks : ndarray, shape (shock,)
        Standardised past innovations, to be drawn from.
    passing : Passing
        What does not last.
    fading : ndarray, shape (draw,), or float
        What is left of that in the last value, in units of the series.
    """

    half_life: Array
    mean: Array
    volatility: Array
    shocks: Array
    passing: Passing = NOTHING
    fading: Array | float = 0.0


class _Move(NamedTuple):
    """What a gap leaves of both parts, what it adds, and how much of that lasts."""

    lasting: Array
    fading: Array
    variance: Array
    gain: Array


def learn_reversion(
    value: Array,
    time: Array,
    draws: int,
    rng: Generator,
    *,
    half_life: tuple[float, float] = (100.0, 3.0),
    spread: float = 1.0,
    passing: Passing = NOTHING,
) -> Reversion:
    r"""Draw from the posterior of the Ornstein-Uhlenbeck process of a series.

    .. math::

        x = m + l + f, \qquad dl = -α l\,dt + (1 - s) σ\,dW, \qquad df = -β f\,dt + s σ\,dW

    Of every shock the share ``s`` passes soon, at the speed ``β``, and the rest lasts; without a
    passing part it is the Ornstein-Uhlenbeck process of ``x``. One shock drives both parts, so each
    innovation tells both, and innovations are linear in ``m``: given ``α`` this is a regression
    with one coefficient, whose posterior under ``p(σ²) ∝ 1/σ²`` and a normal prior of ``m`` is in
    closed form; ``α`` runs over a grid of half-lives from 2 to 5,000 days with a log-normal prior.

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
    passing : Passing
        The part of shocks that does not last, taken as known.
    """
    centre, gaps, alpha = value.mean(), np.diff(time), rate(_HALF_LIVES)
    moves = {gap: _move(alpha, passing, gap) for gap in np.unique(gaps)}
    root = np.sqrt([moves[gap].variance for gap in gaps])
    innovation, fading = _innovations(value - centre, [moves[gap] for gap in gaps], passing)
    # Innovations are y - (m - centre) x.
    y, x = innovation[:, 0] / root, -innovation[:, 1] / root
    prior = np.maximum((y**2).mean(0), _PRECISION) / spread**2
    precision = prior + (x**2).sum(0)
    best = (x * y).sum(0) / precision
    shape = 0.5 * len(gaps)
    rest = 0.5 * np.maximum((y**2).sum(0) - best**2 * precision, _PRECISION)
    evidence = 0.5 * np.log(prior / precision) - shape * np.log(rest) - np.log(root).sum(0)
    evidence -= 0.5 * (np.log(_HALF_LIVES / half_life[0]) / log(half_life[1])) ** 2
    weight = np.exp(evidence - evidence.max())
    cell = rng.choice(len(weight), draws, p=weight / weight.sum())
    volatility = np.sqrt(rest[cell] / rng.gamma(shape, size=draws))
    above = best[cell] + volatility / np.sqrt(precision[cell]) * rng.standard_normal(draws)
    top = int(evidence.argmax())
    shocks = y[:, top] - x[:, top] * best[top]
    shocks = (shocks - shocks.mean()) / max(shocks.std(), _PRECISION)
    # Between two points of the grid every half-life is as good.
    width = log(_HALF_LIVES[1] / _HALF_LIVES[0])
    days = _HALF_LIVES[cell] * np.exp(width * (rng.random(draws) - 0.5))
    left = fading[0, cell] + above * fading[1, cell]
    return Reversion(days, centre + above, volatility, shocks, passing, left)


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
    fading: Any = past.fading
    lasting, path = start - past.mean - fading, np.empty((len(alpha), len(gaps)))
    for step, gap in enumerate(gaps):
        to = _move(alpha, past.passing, gap)
        if moves is None:
            move = past.volatility * rng.choice(past.shocks, len(alpha))
        else:
            move = moves[:, step]
        move = np.sqrt(to.variance) * move
        lasting = to.lasting * lasting + to.gain * move
        fading = to.fading * fading + (1.0 - to.gain) * move
        path[:, step] = past.mean + lasting + fading
    return path


def gathered(past: Reversion, gap: Array) -> Array:
    """Root of the time that a shock has had to gather over a gap in years, shape (draw, ...)."""
    alpha = rate(past.half_life).reshape(-1, *[1] * np.ndim(gap))
    root: Array = np.sqrt(_move(alpha, past.passing, gap).variance)
    return root


def _move(alpha: Array, passing: Passing, gap: Any) -> _Move:
    r"""Integrate a shock's response ``(1-s) e^{-αu} + s e^{-βu}``, squared, over a gap.

    An innovation is split between the parts as its variance is: that is exact but for gaps long
    enough to tell what came early from what came late.
    """
    beta, share = rate(passing.half_life), passing.share
    mixed = share * (1.0 - share) * _integral(alpha + beta, gap)
    lasts = (1.0 - share) ** 2 * _integral(2.0 * alpha, gap) + mixed
    variance = lasts + mixed + share**2 * _integral(2.0 * beta, gap)
    gain = np.divide(lasts, variance, out=np.full_like(variance, 1.0 - share), where=variance > 0)
    return _Move(np.exp(-alpha * gap), np.exp(-beta * gap), variance, gain)


def _integral(speed: Any, gap: Any) -> Any:
    """Integral of ``e^{-speed u}`` over a gap."""
    return -np.expm1(-speed * gap) / speed


def _innovations(value: Array, moves: Sequence[_Move], passing: Passing) -> tuple[Array, Array]:
    """Filter a series: innovations, and what of the last value fades.

    Returns
    -------
    innovation : ndarray, shape (n - 1, 2, grid)
        At a mean of zero, and their slope by the mean.
    fading : ndarray, shape (2, grid)
        Likewise.
    """
    grid = len(moves[0].variance)
    seen = np.stack([value, np.full_like(value, -1.0)], axis=-1)[..., None]
    lasting = np.tile((1.0 - passing.share) * seen[0], grid)
    fading = np.tile(passing.share * seen[0], grid)
    innovation = np.empty((len(moves), 2, grid))
    for n, move in enumerate(moves):
        lasting, fading = move.lasting * lasting, move.fading * fading
        innovation[n] = seen[n + 1] - lasting - fading
        lasting = lasting + move.gain * innovation[n]
        fading = fading + (1.0 - move.gain) * innovation[n]
    return innovation, fading
