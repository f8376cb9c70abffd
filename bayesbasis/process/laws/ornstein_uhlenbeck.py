"""Ornstein-Uhlenbeck: mean reversion that knows nothing of expiry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bayesbasis.process.laws.law import decay, rate
from bayesbasis.process.quadrature import Steps


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    r"""Mean reversion that knows nothing of expiry; the textbook baseline.

    .. math::

        dz = -κ z\,dt + σ\,dW, \qquad φ = e^{-κΔ}, \qquad v = \frac{1 - e^{-2κΔ}}{2κ}

    As ``κ → 0`` it is a random walk, ``v → Δ``.

    Notes
    -----
    The parameter is ``half_life`` (days). The deviation does not vanish at expiry: what is left
    there is the stationary spread.

    References
    ----------
    Uhlenbeck & Ornstein (1930), doi 10.1103/PhysRev.36.823.

    Examples
    --------
    >>> import numpy as np
    >>> steps = Steps.between([30 / 365], [20 / 365])
    >>> phi, _ = OrnsteinUhlenbeck().transition({"half_life": np.array([10.0])}, steps, np)
    >>> round(float(phi[0]), 12)  # ten days are one half-life
    0.5
    """

    name: ClassVar[str] = "ornstein-uhlenbeck"
    parameters: ClassVar[tuple[str, ...]] = ("half_life",)
    equations: ClassVar[tuple[str, ...]] = (
        "dz = -κ z dt + σ dW,  κ = ln 2 / half_life",
        "φ = e^(-κΔ)",
        "v = (1 - e^(-2κΔ)) / 2κ",
    )

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step; see `Law.transition` for shapes."""
        kappa = rate(parameters["half_life"])
        return xp.exp(-kappa * steps.elapsed), decay(2.0 * kappa, steps.elapsed, xp)

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``λ = κ`` per year, the same at every ``tau``."""
        return rate(parameters["half_life"]) + 0.0 * tau

    def spread(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``g = 1``, the same at every ``tau``."""
        return 1.0 + 0.0 * tau
