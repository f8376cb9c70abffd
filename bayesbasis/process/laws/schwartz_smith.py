"""Schwartz and Smith's short factor: a shock to spot that the futures curve expects to fade."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayesbasis.process.laws.law import REFERENCE_TAU, decay, rate
from bayesbasis.process.quadrature import Steps


@dataclass(frozen=True)
class SchwartzSmith:
    r"""The basis of a market whose spot price has a short-lived factor ``χ``.

    Futures price only ``e^{-κτ} χ`` of it, so ``z = -(1 - e^{-κτ}) χ``. With
    ``D(k, x) = (1 - e^{-kx})/k`` and ``τ_ref`` = 30 days:

    .. math::

        dχ = -κ χ\,dt + σ_χ dW, \qquad
        dz = -\frac{κ}{1 - e^{-κτ}} z\,dt + σ \frac{D(κ, τ)}{D(κ, τ_{ref})} dW,

        φ = e^{-κΔ} \frac{1 - e^{-κτ_1}}{1 - e^{-κτ_0}}, \qquad
        v = \left(\frac{1 - e^{-κτ_1}}{1 - e^{-κτ_{ref}}}\right)^2 \frac{1 - e^{-2κΔ}}{2κ}

    where ``σ`` is quoted 30 days from expiry: ``σ_χ = σ / (1 - e^{-κ τ_ref})``. Both ``φ`` and
    ``v`` vanish at expiry. Far from it, ``κτ`` large, it is Ornstein-Uhlenbeck with volatility
    ``σ_χ``; as ``κ → 0`` it is stochastic carry.

    Notes
    -----
    The parameter is ``half_life`` of the short factor (days; ``κ = ln 2 / half_life``).

    References
    ----------
    Schwartz & Smith (2000), doi 10.1287/mnsc.46.7.893.12034.

    Examples
    --------
    >>> import numpy as np
    >>> steps = Steps.between([20 / 365], [10 / 365])
    >>> phi, _ = SchwartzSmith().transition({"half_life": np.array([10.0])}, steps, np)
    >>> round(float(phi[0]), 12)  # ½ · (1 - ½) / (1 - ¼)
    0.333333333333
    """

    name: ClassVar[str] = "schwartz-smith"
    parameters: ClassVar[tuple[str, ...]] = ("half_life",)
    equations: ClassVar[tuple[str, ...]] = (
        "dχ = -κ χ dt + σχ dW,  z = -(1 - e^(-κτ)) χ,  κ = ln 2 / half_life",
        "φ = e^(-κΔ) (1 - e^(-κτ1)) / (1 - e^(-κτ0))",
        "v = ((1 - e^(-κτ1)) / (1 - e^(-κ30d)))² (1 - e^(-2κΔ)) / 2κ",
        "σ = (1 - e^(-κ30d)) σχ",
    )

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step; see `Law.transition` for shapes."""
        kappa = rate(parameters["half_life"])
        end = decay(kappa, steps.end, xp)
        phi = xp.exp(-kappa * steps.elapsed) * end / decay(kappa, steps.start, xp)
        spread = end / decay(kappa, REFERENCE_TAU, xp)
        return phi, spread**2 * decay(2.0 * kappa, steps.elapsed, xp)

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``λ(τ) = κ / (1 - e^{-κτ})`` per year, ``tau`` in years."""
        return 1.0 / decay(rate(parameters["half_life"]), tau, np)

    def spread(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``g(τ) = (1 - e^{-κτ}) / (1 - e^{-κ τ_ref})``, ``tau`` in years."""
        kappa = rate(parameters["half_life"])
        return decay(kappa, tau, np) / decay(kappa, REFERENCE_TAU, np)
