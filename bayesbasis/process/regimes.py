"""Regimes of volatility: a hidden Markov chain in continuous time."""

from dataclasses import dataclass
from math import log
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.kernels import inner_kernel, kernel

Array = NDArray[Any]

# Deviations that the grid of stochastic volatility reaches at most: more points make it finer.
_WIDEST = 3.0


@dataclass(frozen=True)
class Regimes:
    r"""How volatility moves, and who shares its chain.

    Parameters
    ----------
    count : int
        Number of regimes ``K >= 1``, ordered by volatility.
    shared_by : {"underlying", "venue", "market"}
        One chain for each underlying, for each venue, or for the whole market. Chains of venues
        all keep the same stays; an underlying quoted on two venues has two chains, whose shocks are
        independent of each other.
    volatility : {"switching", "stochastic"}
        A free volatility and stay for each regime; or stochastic volatility, whose logarithm is an
        Ornstein-Uhlenbeck process on a grid of ``count`` points, tied by three parameters.
    speed : {"shared", "own"}
        Whether deviations close at one speed in all regimes, or in each of those that switch at its
        own; see `paced`.

    Notes
    -----
    Stochastic volatility needs no latent path: on points ``x_k`` a step ``h`` apart,

    .. math::

        \ln σ_k = \ln σ + ω x_k, \qquad
        A_{k,k\pm1} = α \left(\frac{1}{h^2} \mp \frac{x_k}{2h}\right)

    has the drift and the diffusion of an Ornstein-Uhlenbeck process. With up to ten points
    ``h = 2/\sqrt N``, ``N = count - 1``: this is Ehrenfest's urn, whose conditional mean and
    variance over any time, and so its stationary variance ``ω²`` and autocorrelation ``e^{-αt}``,
    are exactly those of the process. More points reach three deviations and lie closer: at 16 the
    stationary variance is 1 % short. What is lost is shape, as ``ln σ`` stays within that range
    (excess kurtosis -0.16 at 16 points), and moves in steps of ``h ω``. Coarse steps make it a
    question on which of them a volatility lies: the posterior of the level has a mode for each.

    References
    ----------
    Ehrenfest & Ehrenfest (1907); Kac (1947), doi 10.1080/00029890.1947.11990189.
    """

    count: int = 3
    shared_by: Literal["underlying", "venue", "market"] = "underlying"
    volatility: Literal["switching", "stochastic"] = "switching"
    speed: Literal["shared", "own"] = "shared"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"regimes.count is {self.count}; a model needs at least one regime")
        if self.shared_by not in ("underlying", "venue", "market"):
            raise ValueError(
                f"regimes.shared_by is {self.shared_by!r}; choose 'underlying', 'venue' or 'market'"
            )
        if self.volatility not in ("switching", "stochastic"):
            raise ValueError(
                f"regimes.volatility is {self.volatility!r}; choose 'switching' or 'stochastic'"
            )
        if self.is_stochastic and self.count < 3:
            raise ValueError(
                f"regimes.count is {self.count}; stochastic volatility needs a grid of at least 3 "
                "points, 16 do well"
            )

        if self.speed not in ("shared", "own"):
            raise ValueError(f"regimes.speed is {self.speed!r}; choose 'shared' or 'own'")
        if self.has_speeds and (self.is_stochastic or self.count < 2):
            raise ValueError(
                "regimes.speed is 'own', but there are no two switching regimes to tell apart; "
                "choose 'shared'"
            )

    @property
    def has_speeds(self) -> bool:
        """Whether every regime has a speed of its own."""
        return self.speed == "own"

    @property
    def paced(self) -> range:
        """Regimes, counted from zero, whose speed is not that of the calmest."""
        return range(1, self.count if self.has_speeds else 1)

    @property
    def is_stochastic(self) -> bool:
        """Whether regimes are points of a grid of stochastic volatility."""
        return self.volatility == "stochastic"


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


def urn(half_life: Any, count: int) -> Any:
    """Generator of stochastic volatility; see `Regimes`.

    Parameters
    ----------
    half_life : array, shape (...)
        Half-life ``ln 2 / α`` of the logarithm of volatility, years.
    count : int
        Points of the grid.

    Returns
    -------
    array, shape (..., count, count)
        Rates per year; rows sum to zero.
    """
    x = urn_grid(count)
    step = x[1] - x[0]
    # Drift -x and diffusion 2, in units of the speed of reversion, from neighbours alone.
    up, down = 1.0 / step**2 - 0.5 * x[:-1] / step, 1.0 / step**2 + 0.5 * x[1:] / step
    moves = np.diag(up, 1) + np.diag(down, -1)
    return log(2.0) / half_life[..., None, None] * (moves - np.diag(moves.sum(-1)))


def urn_grid(count: int) -> Array:
    """Points of the grid, in deviations from the mean, shape (count,)."""
    most = count - 1
    return (2.0 * np.arange(count) - most) / most * min(most**0.5, _WIDEST)


# The kernels below are plain loops over small matrices: array expressions read shorter, but each
# one costs the compiler a good part of a second.


@kernel
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


@kernel
def stationary(rates: Array) -> Array:
    """Stationary distribution of a generator, ``π (A + 1 1ᵀ) = 1ᵀ``, shape (K,).

    The rates are first divided by the fastest, so that the system is well scaled.
    """
    n = len(rates)
    distribution, system = np.empty(n), np.empty((n, n))
    fastest = fastest_rate(rates)
    for i in range(n):
        distribution[i] = 1.0
        for j in range(n):
            system[j, i] = 1.0 + rates[i, j] / fastest
    solve(system, distribution)
    return distribution


@kernel
def stationary_adjoint(rates: Array, cotangent: Array) -> Array:
    """Pull a cotangent of the stationary distribution back to the generator.

    From ``dπ = -π dA (A + 1 1ᵀ)⁻¹``; shape (K, K).
    """
    n = len(rates)
    distribution, weight = stationary(rates), cotangent.copy()
    system = np.empty((n, n))
    fastest = fastest_rate(rates)
    for i in range(n):
        for j in range(n):
            system[i, j] = 1.0 + rates[i, j] / fastest
    solve(system, weight)
    for i in range(n):
        for j in range(n):
            system[i, j] = -distribution[i] * weight[j] / fastest
    return system


@inner_kernel
def fastest_rate(rates: Array) -> float:
    """Largest rate out of any regime; one if there is none, as with a single regime."""
    largest = 0.0
    for i in range(len(rates)):
        largest = max(largest, -rates[i, i])
    return largest if largest > 0.0 else 1.0
