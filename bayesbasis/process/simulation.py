"""Simulation: the model run forward, for forecasts and for simulated markets alike."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.process.regimes import exponential

Array = NDArray[Any]


def step_regimes(regime: Array, moves: Array, rng: Generator) -> Array:
    """Draw the regime after a gap.

    Parameters
    ----------
    regime : ndarray of int, shape (draw, ...)
        Regimes before, counted from zero.
    moves : ndarray, shape (draw, K, K)
        Transition matrix of each draw.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int, same shape as `regime`
    """
    draw = np.arange(len(regime)).reshape((-1,) + (1,) * (regime.ndim - 1))
    cumulative = np.cumsum(moves, axis=-1)[draw, regime]
    return (rng.random(regime.shape)[..., None] > cumulative[..., :-1]).sum(-1)


def transition_matrices(rates: Array, gap: float) -> Array:
    """Transition matrix of every draw over one gap; rates have shape (draw, K, K)."""
    still = np.zeros(rates.shape[1:])
    return np.stack([exponential(np.ascontiguousarray(a), still, gap)[0] for a in rates])


def shared_shocks(
    correlation: Array, tail: Array, contracts: int, rng: Generator
) -> tuple[Array, Array]:
    r"""Draw correlated standard normals and the mixing variable they share.

    .. math::

        ε_i = \sqrt{ρ}\,g + \sqrt{1-ρ}\,h_i, \qquad w = ν / χ^2_ν

    Scaled by ``√w`` the shocks are multivariate Student-t, the distribution of `Shocks`.

    Parameters
    ----------
    correlation, tail : ndarray, shape (draw,)
        ``ρ`` and ``ν``; an infinite ``ν`` is Gaussian.
    contracts : int
        How many contracts share the shock.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    shocks : ndarray, shape (draw, contract)
        Standard normals with correlation ``ρ``.
    root : ndarray, shape (draw, 1)
        ``√w``.
    """
    draws = len(correlation)
    common = rng.standard_normal((draws, 1))
    own = rng.standard_normal((draws, contracts))
    shocks = np.sqrt(correlation)[:, None] * common + np.sqrt(1.0 - correlation)[:, None] * own
    finite = np.isfinite(tail)
    mixing = np.ones(draws)
    mixing[finite] = tail[finite] / rng.chisquare(tail[finite])
    return shocks, np.sqrt(mixing)[:, None]


def simulate_regimes(start: Array, rates: Array, gaps: Array, rng: Generator) -> Array:
    """Draw a path of regimes.

    Parameters
    ----------
    start : ndarray of int, shape (draw,)
        Regime at the origin, counted from zero.
    rates : ndarray, shape (draw, K, K)
        Generator, per year.
    gaps : ndarray, shape (step,)
        Time from each point of the path to the next, years.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int8, shape (draw, step + 1)
    """
    path = np.empty((len(start), len(gaps) + 1), np.int8)
    path[:, 0] = start
    known: dict[float, Array] = {}
    for t, gap in enumerate(gaps):
        if gap not in known:
            known[gap] = transition_matrices(rates, gap)
        path[:, t + 1] = step_regimes(path[:, t], known[gap], rng)
    return path


def simulate_deviations(
    level: Array,
    spread: Array,
    phi: Array,
    variance: Array,
    volatility: Array,
    correlation: Array,
    tail: Array,
    noise: Array,
    rng: Generator,
) -> tuple[Array, Array]:
    """Run the deviations of one underlying's contracts forward, and quote them.

    Parameters
    ----------
    level, spread : ndarray, shape (draw, contract)
        Mean and scale-free variance of the deviations before the first move.
    phi, variance : ndarray, shape (draw, contract, step)
        ``φ`` and ``v`` of every move; the first may be no move at all, ``φ = 1`` and ``v = 0``.
    volatility : ndarray, shape (draw, step)
        ``σ`` of the regime at the end of each move, per square root of a year.
    correlation, tail, noise : ndarray, shape (draw,)
        ``ρ``, ``ν`` and ``f``.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    deviation, quote : ndarray, shape (draw, contract, step)
        The deviation, and the deviation with quote noise.
    """
    contracts, steps = phi.shape[1:]
    deviation, quote = np.empty(phi.shape), np.empty(phi.shape)
    z = level + volatility[:, :1] * np.sqrt(spread) * rng.standard_normal(level.shape)
    for t in range(steps):
        shock, root = shared_shocks(correlation, tail, contracts, rng)
        error, _ = shared_shocks(correlation, np.full_like(tail, np.inf), contracts, rng)
        sigma = volatility[:, t, None] * root
        z = phi[..., t] * z + sigma * np.sqrt(variance[..., t]) * shock
        deviation[..., t] = z
        quote[..., t] = z + sigma * np.sqrt(noise)[:, None] * error
    return deviation, quote
