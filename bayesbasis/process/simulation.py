"""Simulation: the model run forward, for forecasts and for simulated markets alike."""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.process.exponential import exponential

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


def with_own_noise(shocks: Array, share: Array, rng: Generator) -> Array:
    r"""Standardised innovations of which moves, and not noise, are shared.

    .. math:: ẽ_i = \sqrt{v_i/S_i}\, ε_i + \sqrt{1 - v_i/S_i}\, h_i

    Parameters
    ----------
    shocks : ndarray, shape (draw, contract)
        Correlated standard normals of the moves, from `shared_shocks`.
    share : ndarray, broadcastable to (draw, contract)
        ``v/S``: the variance of the move over that of the innovation.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (draw, contract)
    """
    own = rng.standard_normal(shocks.shape)
    return np.sqrt(share) * shocks + np.sqrt(1.0 - share) * own


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
    pace: Array | None = None,
    *,
    own_noise: bool = False,
) -> tuple[Array, Array]:
    r"""Run the filter of one underlying's contracts forward on innovations that are drawn.

    .. math::

        q = φ\hat z + σ_k \sqrt{S}\, ẽ, \qquad S = φ^2 P + v + f, \qquad
        \hat z ← φ\hat z + G (q - φ\hat z), \qquad G = (S - f)/S

    The innovations ``ẽ`` of one time are those of `Shocks`, so quotes have the very distribution
    that the filter scores.

    Parameters
    ----------
    level, spread : ndarray, shape (draw, contract)
        Filtered deviation and its scale-free variance before the first move.
    phi, variance : ndarray, shape (draw, contract, step)
        ``φ`` and ``v`` of every move. Where nothing moves, ``φ = 1`` and ``v = 0``, nothing is
        quoted either: the state stays, and the quote is no new one.
    volatility : ndarray, shape (draw, step)
        ``σ`` of the regime at the end of each move, per square root of a year.
    correlation, tail, noise : ndarray, shape (draw,)
        ``ρ``, ``ν`` and ``f``.
    rng : numpy.random.Generator
        Source of randomness.
    pace : ndarray, shape (draw, contract, step), optional
        ``φ`` of the regime at the end of each move, where it differs from that of the states; see
        `paced`.
    own_noise : bool
        Whether moves alone are shared, and the noise of every quote is its own; see `own_noise`.

    Returns
    -------
    deviation, quote : ndarray, shape (draw, contract, step)
        The filtered deviation ``ẑ``, and the deviation as quoted.
    """
    contracts, steps = phi.shape[1:]
    deviation, quote = np.empty(phi.shape), np.empty(phi.shape)
    f = noise[:, None]
    for t in range(steps):
        shock, root = shared_shocks(correlation, tail, contracts, rng)
        predicted = phi[..., t] ** 2 * spread + variance[..., t]
        total = predicted + f
        if own_noise:
            share = np.divide(variance[..., t], total, out=np.zeros_like(total), where=total > 0)
            shock = with_own_noise(shock, share, rng)
        innovation = volatility[:, t, None] * root * np.sqrt(total) * shock
        still = (phi[..., t] == 1.0) & (variance[..., t] == 0.0)
        gain = np.divide(predicted, total, out=np.zeros_like(total), where=~still & (total > 0))
        mean = phi[..., t] * level
        if pace is not None:
            innovation = innovation + (pace[..., t] - phi[..., t]) * level
        quote[..., t] = mean + innovation
        level, spread = mean + gain * innovation, np.where(still, spread, f * gain)
        deviation[..., t] = level
    return deviation, quote


def move_scale(spread: Array, phi: Array, variance: Array, noise: Array) -> Array:
    r"""Standard deviation of the moves of the filtered deviation, over ``σ``.

    .. math:: G\sqrt{S} = P^- / \sqrt{P^- + f}, \qquad P^- = φ^2 P + v

    Parameters
    ----------
    spread : ndarray, shape (...)
        ``P`` before the first move.
    phi, variance : ndarray, shape (..., step)
        ``φ`` and ``v`` of every move; where nothing moves, ``φ = 1`` and ``v = 0``.
    noise : ndarray, broadcastable to (...)
        ``f``.

    Returns
    -------
    ndarray, shape (..., step)
    """
    scale = np.zeros(phi.shape)
    for t in range(phi.shape[-1]):
        still = (phi[..., t] == 1.0) & (variance[..., t] == 0.0)
        predicted = phi[..., t] ** 2 * spread + variance[..., t]
        total = np.where(still | (predicted == 0.0), 1.0, predicted + noise)
        scale[..., t] = np.where(still, 0.0, predicted / np.sqrt(total))
        spread = np.where(still, spread, noise * predicted / total)
    return scale


def curve_shocks(level: Array, deviation: Array, phi: Array, scale: Array) -> Array:
    """Student-t shocks ``ε√w`` that moved the filtered deviations of a curve.

    Parameters
    ----------
    level : ndarray, shape (...)
        Filtered deviation before the first move.
    deviation, phi : ndarray, shape (..., step)
        Deviations, and ``φ`` of the moves that led to them.
    scale : ndarray, shape (..., step)
        Scale of every move, from `move_scale` and the volatility.

    Returns
    -------
    ndarray, shape (..., step)
        Missing where nothing moves.
    """
    before = np.concatenate([level[..., None], deviation[..., :-1]], axis=-1)
    moved = deviation - phi * before
    return np.divide(moved, scale, out=np.full(moved.shape, np.nan), where=scale > 0)
