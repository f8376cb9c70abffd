"""Stochastic carry: the implied carry is Ornstein-Uhlenbeck, so the basis fades with time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bayesbasis.process.laws.law import REFERENCE_TAU, decay, rate
from bayesbasis.process.quadrature import Steps


@dataclass(frozen=True)
class StochasticCarry:
    r"""A basis whose implied carry ``x = z/τ`` reverts to its mean.

    .. math::

        dx = -κ x\,dt + \frac{σ}{τ_{ref}} dW, \qquad
        dz = -\left(κ + \frac{1}{τ}\right) z\,dt + σ \frac{τ}{τ_{ref}} dW,
        \qquad
        φ = e^{-κΔ} \frac{τ_1}{τ_0}, \qquad
        v = \left(\frac{τ_1}{τ_{ref}}\right)^2 \frac{1 - e^{-2κΔ}}{2κ}

    with ``τ_ref`` = 30 days, where ``σ`` is quoted; the volatility of the implied carry itself is
    ``σ/τ_ref`` at any time to expiry. Both ``φ`` and ``v`` vanish at expiry. It is the anchored
    law at ``γ = η = 1``.

    Notes
    -----
    The parameter is ``half_life`` of the implied carry (days; ``κ = ln 2 / half_life``).

    References
    ----------
    Brennan & Schwartz (1990), doi 10.1086/296491; Schwartz (1997),
    doi 10.1111/j.1540-6261.1997.tb02721.x.

    Examples
    --------
    >>> import numpy as np
    >>> steps = Steps.between([20 / 365], [10 / 365])
    >>> phi, _ = StochasticCarry().transition({"half_life": np.array([10.0])}, steps, np)
    >>> round(float(phi[0]), 12)  # half of the carry is left, for half of the time
    0.25
    """

    name: ClassVar[str] = "stochastic-carry"
    parameters: ClassVar[tuple[str, ...]] = ("half_life",)
    equations: ClassVar[tuple[str, ...]] = (
        "dz = -(κ + 1/τ) z dt + σ τ/30d dW,  κ = ln 2 / half_life: z/τ is OU",
        "φ = e^(-κΔ) τ1/τ0",
        "v = (τ1/30d)² (1 - e^(-2κΔ)) / 2κ",
    )

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step; see `Law.transition` for shapes."""
        kappa = rate(parameters["half_life"])
        phi = xp.exp(-kappa * steps.elapsed) * (steps.end / steps.start)
        return phi, (steps.end / REFERENCE_TAU) ** 2 * decay(2.0 * kappa, steps.elapsed, xp)

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``λ(τ) = κ + 1/τ`` per year, ``tau`` in years."""
        return rate(parameters["half_life"]) + 1.0 / tau

    def spread(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``g(τ) = τ/τ_ref``, ``tau`` in years."""
        return tau / REFERENCE_TAU
