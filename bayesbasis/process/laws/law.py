"""What a law of convergence is, and the arithmetic that laws share."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from bayesbasis.process.quadrature import REFERENCE_TAU, Steps

__all__ = ["DAYS_PER_YEAR", "REFERENCE_TAU", "Law", "decay", "rate"]

DAYS_PER_YEAR = 365.0

_SERIES_LIMIT = 1e-3


class Law(Protocol):
    """What the rest of the house asks of a law of convergence.

    Parameters
    ----------
    name : str
        What cards call it.
    parameters : tuple of str
        Names of its parameters, each with a prior in `Priors`; there may be none.
    equations : tuple of str
        Its SDE and its ``φ`` and ``v``, for reading in a terminal.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    equations: ClassVar[tuple[str, ...]]

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step.

        Parameters
        ----------
        parameters : mapping of arrays
            Broadcastable against the steps, shape ``(..., n)`` or ``(..., 1)``.
        steps : Steps
            The moves.
        xp : module
            Array namespace: `numpy`, `pytensor.tensor` or `jax.numpy`.

        Returns
        -------
        phi, v : arrays, shape (..., n)
            ``v`` in years of diffusion 30 days from expiry. A law without parameters has no
            leading dims.
        """
        ...

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return the speed ``λ(τ)`` per year, ``tau`` in years."""
        ...

    def spread(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``g(τ)``, the volatility over that 30 days from expiry, ``tau`` in years."""
        ...


def rate(half_life: Any) -> Any:
    """Turn a half-life in days into a rate per year, ``κ = ln 2 · 365 / half_life``."""
    return np.log(2.0) * DAYS_PER_YEAR / half_life


def decay(speed: Any, span: Any, xp: Any) -> Any:
    r"""Integrate exponential decay from zero; the one integral of which most laws are made.

    .. math:: D(k, x) = \int_0^x e^{-ku}\,du = \frac{1 - e^{-kx}}{k}, \qquad D(0, x) = x

    Exact to the last digits, with its gradients, for every ``k x`` that does not overflow: near
    zero the quotient gives way to its series.

    Parameters
    ----------
    speed : array
        ``k``, of either sign, or zero.
    span : array
        ``x >= 0``, finite.
    xp : module
        `numpy`, `pytensor.tensor` or `jax.numpy`.

    Examples
    --------
    >>> import numpy as np
    >>> decay(np.array([0.0, 1.0, 1e300]), 2.0, np).round(6)
    array([2.      , 0.864665, 0.      ])
    """
    power = speed * span
    small = xp.abs(power) < _SERIES_LIMIT
    # The branch not taken must be finite too, or its gradient would spoil that of the other.
    near, away = xp.where(small, power, 0.0), xp.where(small, 1.0, power)
    series = 1.0 - near / 2.0 * (1.0 - near / 3.0 * (1.0 - near / 4.0 * (1.0 - near / 5.0)))
    return span * xp.where(small, series, -xp.expm1(-away) / away)
