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


def half_rung(count: int) -> float:
    """Half the way from one rung to the next.

    Examples
    --------
    >>> half_rung(5)
    0.5
    """
    return 1.0 / float(np.sqrt(count - 1))


def occupancy(count: int) -> Array:
    """Stationary distribution: binomial with even odds.

    Examples
    --------
    >>> occupancy(3).tolist()
    [0.25, 0.5, 0.25]
    """
    return np.array([comb(count - 1, i) for i in range(count)]) / 2.0 ** (count - 1)


def flips(count: int) -> Array:
    r"""Ways to move between rungs by flipping ``m`` of the two-state chains, (flip, rung, rung).

    .. math:: C_{mij} = \sum_a \tbinom{i}{a} \tbinom{n-i}{m-a}, \qquad j = i + m - 2a

    where ``a`` chains go down and ``m - a`` up.
    """
    n = count - 1
    ways = np.zeros((count, count, count))
    for i in range(count):
        for down in range(i + 1):
            for up in range(n - i + 1):
                ways[down + up, i, i - down + up] = comb(i, down) * comb(n - i, up)
    return ways


def climb(rate: Any, gap: Any, count: int, xp: Any) -> Any:
    r"""Transition matrices over every gap.

    .. math:: P_{ij} = \sum_m C_{mij}\, q^m (1-q)^{n-m}, \qquad q = (1 - e^{-\kappa\Delta})/2

    No term is negative: odds far below the rounding of the others are as exact as these.

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
    over = rate[..., None, None] * gap[:, None]
    flip, stay = -0.5 * xp.expm1(-over), 0.5 * (1.0 + xp.exp(-over))
    if count == 1:
        return stay[..., None] + flip[..., None]
    power = np.arange(count)
    odds = flip**power * stay ** (count - 1 - power)
    flat = xp.dot(odds, flips(count).reshape(count, count * count))
    return flat.reshape((*odds.shape[:-1], count, count))
