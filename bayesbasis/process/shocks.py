"""Shocks shared by the curve: contracts of one underlying move together."""

from dataclasses import dataclass
from math import inf, lgamma, log, pi
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.kernels import kernel


@dataclass(frozen=True)
class Shocks:
    """Joint distribution of the innovations of one underlying at one time.

    Parameters
    ----------
    distribution : {"student-t", "gaussian"}
        Multivariate Student-t (one mixing variable per time and underlying) or Gaussian. Both
        have one correlation across the curve, and both are quoted by their scale ``σ``.
    noise : {"shared", "own"}
        Whether innovations as a whole have that correlation, or moves alone, while the noise of
        every quote is its own; see `own_noise`.
    """

    distribution: Literal["student-t", "gaussian"] = "student-t"
    noise: Literal["shared", "own"] = "shared"

    def __post_init__(self) -> None:
        if self.distribution not in ("student-t", "gaussian"):
            raise ValueError(
                f"shocks.distribution is {self.distribution!r}; choose 'student-t' or 'gaussian'"
            )
        if self.noise not in ("shared", "own"):
            raise ValueError(f"shocks.noise is {self.noise!r}; choose 'shared' or 'own'")


@kernel
def digamma(x: float) -> float:
    """Derivative of ``lgamma`` for positive ``x``: recurrence, then the asymptotic series."""
    value = 0.0
    while x < 10.0:
        value -= 1.0 / x
        x += 1.0
    y = 1.0 / (x * x)
    series = y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132)))))
    return value + log(x) - 0.5 / x - series


@kernel
def normaliser(
    tail: NDArray[Any], correlation: NDArray[Any], largest: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    r"""Log normalising constant of ``n`` correlated shocks, and its slopes.

    .. math::

        \ln\Gamma\!\left(\tfrac{ν+n}{2}\right) - \ln\Gamma\!\left(\tfrac{ν}{2}\right)
        - \tfrac{n}{2}\ln(νπ) - \tfrac12 \ln|C|, \qquad
        \ln|C| = (n-1)\ln(1-ρ) + \ln(1-ρ+ρn)

    Parameters
    ----------
    tail, correlation : ndarray, shape (u,)
        Degrees of freedom ``ν`` (infinite: Gaussian, whose constant is ``-n/2 ln 2π``) and
        correlation ``ρ`` of each underlying.
    largest : int
        Largest number of contracts at one time.

    Returns
    -------
    value, tail_slope, correlation_slope : ndarray, shape (u, largest + 1)
    """
    shape = (len(tail), largest + 1)
    value, by_tail, by_correlation = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for u in range(len(tail)):
        nu, rho = tail[u], correlation[u]
        for n in range(1, largest + 1):
            spread = 1.0 + rho * (n - 1)
            value[u, n] = -0.5 * ((n - 1) * log(1.0 - rho) + log(spread))
            by_correlation[u, n] = 0.5 * (n - 1) * (1.0 / (1.0 - rho) - 1.0 / spread)
            if nu == inf:
                value[u, n] -= 0.5 * n * log(2.0 * pi)
            else:
                value[u, n] += lgamma(0.5 * (nu + n)) - lgamma(0.5 * nu) - 0.5 * n * log(nu * pi)
                by_tail[u, n] = 0.5 * (digamma(0.5 * (nu + n)) - digamma(0.5 * nu) - n / nu)
    return value, by_tail, by_correlation


@kernel
def quadratic_form(total: float, squares: float, count: int, correlation: float) -> float:
    """Mahalanobis square ``Q = [S2 - ρ S1² / (1 - ρ + ρ n)] / (1 - ρ)`` of ``n`` shocks.

    Parameters
    ----------
    total, squares : float
        ``S1 = Σ ẽ`` and ``S2 = Σ ẽ²`` of the standardised innovations.
    count : int
        ``n``.
    correlation : float
        ``ρ``.
    """
    if count == 1:
        return squares
    spread = 1.0 + correlation * (count - 1)
    return (squares - correlation * total * total / spread) / (1.0 - correlation)
