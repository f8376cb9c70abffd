"""The Ornstein-Uhlenbeck bridge: mean reversion conditioned to end at equilibrium."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayesbasis.process.laws.law import decay, rate
from bayesbasis.process.quadrature import Steps


@dataclass(frozen=True)
class OUBridge:
    r"""Mean reversion conditioned to end at equilibrium.

    .. math::

        dz = -κ \coth(κτ)\, z\,dt + σ\,dW, \qquad
        φ = \frac{\sinh κτ_1}{\sinh κτ_0}, \qquad
        v = \frac{\sinh κΔ\, \sinh κτ_1}{κ \sinh κτ_0}

    Both vanish at expiry. As ``κ → 0`` it is the Brownian bridge; far from expiry, ``κτ`` large,
    it is Ornstein-Uhlenbeck.

    Notes
    -----
    The parameter is ``half_life`` (days; ``κ = ln 2 / half_life``). No hyperbolic sine is taken,
    which would overflow: with ``D(k, x) = (1 - e^{-kx})/k`` the same is
    ``φ = e^{-κΔ} D(2κ, τ1)/D(2κ, τ0)`` and ``v = D(2κ, Δ) D(2κ, τ1)/D(2κ, τ0)``.

    References
    ----------
    Liu & Longstaff (2004), doi 10.1093/rfs/hhg029; Dai, Zhong & Kwok (2011),
    doi 10.1002/fut.20472.

    Examples
    --------
    >>> import numpy as np
    >>> steps = Steps.between([20 / 365], [10 / 365])
    >>> phi, _ = OUBridge().transition({"half_life": np.array([10.0])}, steps, np)
    >>> round(float(phi[0]), 12)  # (2 - 1/2) / (4 - 1/4): faster than the half that OU leaves
    0.4
    """

    name: ClassVar[str] = "ou-bridge"
    parameters: ClassVar[tuple[str, ...]] = ("half_life",)
    equations: ClassVar[tuple[str, ...]] = (
        "dz = -κ coth(κτ) z dt + σ dW,  κ = ln 2 / half_life",
        "φ = sinh κτ1 / sinh κτ0",
        "v = sinh κΔ sinh κτ1 / (κ sinh κτ0)",
    )

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step; see `Law.transition` for shapes."""
        kappa = rate(parameters["half_life"])
        left = decay(2.0 * kappa, steps.end, xp) / decay(2.0 * kappa, steps.start, xp)
        phi = xp.exp(-kappa * steps.elapsed) * left
        return phi, decay(2.0 * kappa, steps.elapsed, xp) * left

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``λ(τ) = κ coth(κτ)`` per year, ``tau`` in years."""
        kappa = rate(parameters["half_life"])
        return kappa / np.tanh(kappa * tau)

    def spread(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``g = 1``, the same at every ``tau``."""
        return 1.0 + 0.0 * tau
