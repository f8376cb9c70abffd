"""The anchored law: mean reversion that expiry strengthens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayesbasis.process.laws.law import REFERENCE_TAU, rate
from bayesbasis.process.quadrature import Steps


@dataclass(frozen=True)
class Anchored:
    r"""Mean reversion that expiry strengthens; the default.

    .. math::

        dz = -\left(κ + \frac{γ}{τ}\right) z\,dt
             + σ \left(\frac{τ}{τ_{ref}}\right)^{η} dW,
        \qquad
        φ = e^{-κΔ} \left(\frac{τ_1}{τ_0}\right)^{γ},
        \qquad
        v = \int_{τ_1}^{τ_0} e^{-2κ(u-τ_1)} \left(\frac{τ_1}{u}\right)^{2γ}
            \left(\frac{u}{τ_{ref}}\right)^{2η} du

    with ``τ_ref`` = 30 days. It is Ornstein-Uhlenbeck at ``γ = η = 0``, the Brownian bridge at
    ``κ = η = 0, γ = 1``, the scaled bridge pinned at expiry at ``κ = η = 0``, and stochastic
    carry (the implied carry ``z/τ`` is Ornstein-Uhlenbeck) at ``γ = η = 1``. For
    ``γ > 0`` and ``η > -1/2`` both ``φ`` and ``v`` vanish at expiry.

    Notes
    -----
    Parameters are ``half_life`` (days; ``κ = ln 2 / half_life``), ``anchor`` (``γ``) and
    ``volatility_exponent`` (``η``). ``v`` has no closed form unless ``κ = 0``; the grid of
    `Steps` resolves it to a relative error below 1e-8 for half-lives of a day to a year,
    ``γ`` in [0, 5] and ``η`` in [-0.5, 1.5].

    References
    ----------
    Liu & Longstaff (2004), doi 10.1093/rfs/hhg029; Dai, Zhong & Kwok (2011),
    doi 10.1002/fut.20472.

    Examples
    --------
    >>> import numpy as np
    >>> steps = Steps.between([0.2], [0.1])
    >>> bridge = {
    ...     "half_life": np.array([np.inf]),
    ...     "anchor": np.ones(1),
    ...     "volatility_exponent": np.zeros(1),
    ... }
    >>> phi, v = Anchored().transition(bridge, steps, np)
    >>> round(float(phi[0]), 12), round(float(v[0]), 12)  # τ1/τ0 and Δ·τ1/τ0
    (0.5, 0.05)
    """

    name: ClassVar[str] = "anchored"
    parameters: ClassVar[tuple[str, ...]] = ("half_life", "anchor", "volatility_exponent")
    equations: ClassVar[tuple[str, ...]] = (
        "dz = -(κ + γ/τ) z dt + σ (τ/30d)^η dW,  κ = ln 2 / half_life",
        "φ = e^(-κΔ) (τ1/τ0)^γ",
        "v = ∫ e^(-2κ(u-τ1)) (τ1/u)^2γ (u/30d)^2η du,  u from τ1 to τ0",
    )

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step; see `Law.transition` for shapes."""
        kappa = rate(parameters["half_life"])
        gamma, eta = parameters["anchor"], parameters["volatility_exponent"]
        phi = xp.exp(gamma * steps.log_ratio - kappa * steps.elapsed)
        # What does not change along the move stands outside the integral.
        outside = xp.exp(2.0 * gamma * steps.log_end - 2.0 * np.log(REFERENCE_TAU) * eta)
        inside = xp.exp(
            2.0 * (eta - gamma)[..., None] * steps.node_log_tau
            - 2.0 * kappa[..., None] * steps.node_elapsed
        )
        return phi, outside * (steps.weights * inside).sum(-1)

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``λ(τ) = κ + γ/τ`` per year, ``tau`` in years."""
        return rate(parameters["half_life"]) + parameters["anchor"] / tau

    def spread(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``g(τ) = (τ/τ_ref)^η``, ``tau`` in years."""
        return (tau / REFERENCE_TAU) ** parameters["volatility_exponent"]
