"""A ladder: an Ornstein–Uhlenbeck process on a few rungs, as a Markov chain in continuous time.

``n`` independent two-state chains, each up or down with equal odds; the rung is how many are up.
Whatever the number of rungs, the chain has the mean and the autocorrelation of the Gaussian process
exactly, ``E[x(t+Δ)|x(t)] = e^{-κΔ} x(t)``, and its stationary distribution is binomial, which tends
to the normal one as rungs are added.
"""

from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rungs(count: int) -> Array:
    """Values of the rungs: mean zero and variance one under the stationary distribution.

    Examples
    --------
    >>> rungs(3).round(4).tolist()
    [-1.4142, 0.0, 1.4142]
    """
    n = count - 1
    return (2.0 * np.arange(count) - n) / np.sqrt(n) if n else np.zeros(1)


def occupancy(count: int) -> Array:
    """Stationary distribution: binomial with even odds.

    Examples
    --------
    >>> occupancy(3).tolist()
    [0.25, 0.5, 0.25]
    """
    return np.array([comb(count - 1, i) for i in range(count)]) / 2.0 ** (count - 1)


def projectors(count: int) -> Array:
    r"""Spectral projectors of the transition matrix, shape (power, rung, rung).

    .. math:: P(\Delta) = \sum_p e^{-p\kappa\Delta} V_p, \qquad
       (V_p)_{ij} = K_p(i)\, K_p(j)\, \pi_j / \tbinom{n}{p}

    with Krawtchouk's polynomials ``K_p(i)``, the coefficients of ``(1-z)^i (1+z)^{n-i}``.

    References
    ----------
    Kopecky & Suen (2010), doi 10.1016/j.red.2010.02.002, on Rouwenhorst's method.
    """
    n = count - 1
    polynomial = np.zeros((count, count))
    for i in range(count):
        coefficients = np.ones(1)
        for k in range(n):
            coefficients = np.convolve(coefficients, [1.0, -1.0 if k < i else 1.0])
        polynomial[:, i] = coefficients
    norm = np.array([comb(n, p) for p in range(count)])
    return polynomial[:, :, None] * polynomial[:, None, :] * occupancy(count) / norm[:, None, None]


def climb(rate: Any, gap: Any, count: int, xp: Any) -> Any:
    """Transition matrices over every gap.

    Parameters
    ----------
    rate : array, shape (...,)
        Speed of mean reversion ``κ``, per unit of time.
    gap : array, shape (gap,)
        Times.
    count : int
        Rungs.
    xp : module
        `numpy` or `pytensor.tensor`.

    Returns
    -------
    array, shape (..., gap, rung, rung)
    """
    power = np.arange(count)
    decay = xp.exp(-rate[..., None, None] * gap[:, None] * power)
    flat = xp.dot(decay, projectors(count).reshape(count, count * count))
    return flat.reshape((*decay.shape[:-1], count, count))
