"""Regimes of volatility: a hidden Markov chain in continuous time."""

from dataclasses import dataclass
from math import exp
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.kernels import kernel

Array = NDArray[Any]

_TAYLOR_TERMS = 12


@dataclass(frozen=True)
class Regimes:
    """How many volatility regimes there are, and who shares their chain.

    Parameters
    ----------
    count : int
        Number of regimes ``K >= 1``, ordered by volatility.
    shared_by : {"underlying", "market"}
        One chain for each underlying, or one for the whole market.
    """

    count: int = 2
    shared_by: Literal["underlying", "market"] = "underlying"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"regimes.count is {self.count}; a model needs at least one regime")
        if self.shared_by not in ("underlying", "market"):
            raise ValueError(
                f"regimes.shared_by is {self.shared_by!r}; choose 'underlying' or 'market'"
            )


def generator(stay: Any, jump: Any, count: int) -> Any:
    r"""Generator of the chain from expected stays and the regimes jumped to.

    .. math:: A_{kj} = \frac{p_{kj}}{s_k}\ (j \ne k), \qquad A_{kk} = -\frac{1}{s_k}

    Parameters
    ----------
    stay : array, shape (..., K)
        Expected stay ``s_k`` in years.
    jump : array, shape (..., K, K)
        Where the chain goes when it leaves; rows sum to one, the diagonal is zero.
    count : int
        Number of regimes ``K``; a single one is never left.

    Returns
    -------
    array, shape (..., K, K)
        Rates per year; rows sum to zero.
    """
    return (jump - np.eye(count)) / stay[..., None] if count > 1 else 0.0 * stay[..., None]


# The kernels below are plain loops over small matrices: array expressions read shorter, but each
# one costs the compiler a good part of a second.


@kernel()
def solve(matrix: Array, right: Array) -> None:
    """Solve ``matrix · x = right`` in place by Gaussian elimination with row pivoting."""
    n = len(right)
    for i in range(n):
        p = i
        for r in range(i + 1, n):
            if abs(matrix[r, i]) > abs(matrix[p, i]):
                p = r
        for c in range(i, n):
            matrix[i, c], matrix[p, c] = matrix[p, c], matrix[i, c]
        right[i], right[p] = right[p], right[i]
        for r in range(i + 1, n):
            factor = matrix[r, i] / matrix[i, i]
            for c in range(i, n):
                matrix[r, c] -= factor * matrix[i, c]
            right[r] -= factor * right[i]
    for i in range(n - 1, -1, -1):
        for c in range(i + 1, n):
            right[i] -= matrix[i, c] * right[c]
        right[i] /= matrix[i, i]


@kernel()
def stationary(rates: Array) -> Array:
    """Stationary distribution of a generator, ``π (A + 1 1ᵀ) = 1ᵀ``, shape (K,).

    The rates are first divided by the fastest, so that the system is well scaled.
    """
    n = len(rates)
    distribution, system = np.empty(n), np.empty((n, n))
    fastest = _fastest(rates)
    for i in range(n):
        distribution[i] = 1.0
        for j in range(n):
            system[j, i] = 1.0 + rates[i, j] / fastest
    solve(system, distribution)
    return distribution


@kernel()
def stationary_adjoint(rates: Array, cotangent: Array) -> Array:
    """Pull a cotangent of the stationary distribution back to the generator.

    From ``dπ = -π dA (A + 1 1ᵀ)⁻¹``; shape (K, K).
    """
    n = len(rates)
    distribution, weight = stationary(rates), cotangent.copy()
    system = np.empty((n, n))
    fastest = _fastest(rates)
    for i in range(n):
        for j in range(n):
            system[i, j] = 1.0 + rates[i, j] / fastest
    solve(system, weight)
    for i in range(n):
        for j in range(n):
            system[i, j] = -distribution[i] * weight[j] / fastest
    return system


@kernel()
def _fastest(rates: Array) -> float:
    """Largest rate out of any regime; one if there is none, as with a single regime."""
    largest = 0.0
    for i in range(len(rates)):
        largest = max(largest, -rates[i, i])
    return largest if largest > 0.0 else 1.0


@kernel()
def _add_product(a: Array, b: Array, factor: float, out: Array) -> None:
    """Add ``factor · a b`` to ``out``."""
    n = len(a)
    for i in range(n):
        for k in range(n):
            for j in range(n):
                out[i, j] += factor * a[i, k] * b[k, j]


@kernel()
def exponential(rates: Array, direction: Array, gap: float) -> tuple[Array, Array]:
    """Matrix exponential ``expm(A gap)`` and its derivative along ``direction · gap``.

    Uniformisation, scaling and squaring: the series runs in ``A + qI``, which has no negative
    entry, so probabilities never turn negative; its remainder is below 1e-13.

    Parameters
    ----------
    rates : ndarray, shape (K, K)
        Generator ``A``, or its transpose.
    direction : ndarray, shape (K, K)
        Direction of the derivative; zero when only the value is wanted.
    gap : float
        Time in years.

    Returns
    -------
    value, slope : ndarray, shape (K, K)
    """
    n = len(rates)
    fastest, halvings = _fastest(rates), 0
    while fastest * gap > 0.5 * 2.0**halvings:
        halvings += 1
    step = gap / 2.0**halvings
    positive = rates.copy()
    for i in range(n):
        positive[i, i] += fastest
    value, slope = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        value[i, i] = 1.0
    for term in range(_TAYLOR_TERMS, 0, -1):
        next_value, next_slope = np.zeros((n, n)), np.zeros((n, n))
        for i in range(n):
            next_value[i, i] = 1.0
        _add_product(positive, slope, step / term, next_slope)
        _add_product(direction, value, step / term, next_slope)
        _add_product(positive, value, step / term, next_value)
        value, slope = next_value, next_slope
    decay = exp(-fastest * step)
    for i in range(n):
        for j in range(n):
            value[i, j] *= decay
            slope[i, j] *= decay
    for _ in range(halvings):
        next_value, next_slope = np.zeros((n, n)), np.zeros((n, n))
        _add_product(value, slope, 1.0, next_slope)
        _add_product(slope, value, 1.0, next_slope)
        _add_product(value, value, 1.0, next_value)
        value, slope = next_value, next_slope
    return value, slope
