"""Laws of convergence: how the deviation from equilibrium closes as expiry approaches.

Every law is linear-Gaussian, ``dz = -λ(τ) z dt + σ g(τ) dW``, so the move from time to expiry
``τ0`` to ``τ1 < τ0`` is exact: ``E[z1] = φ z0`` and ``Var[z1] = σ² v``. A law states ``(φ, v)``
once, as arithmetic over an array namespace; the likelihood calls that statement with PyTensor,
forecasts and simulations call it with NumPy on posterior draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from bayesbasis.process.quadrature import Steps

DAYS_PER_YEAR = 365.0
REFERENCE_TAU = 30.0 / DAYS_PER_YEAR
"""Time to expiry, in years, at which volatilities are quoted."""


class Law(Protocol):
    """What the rest of the house asks of a law of convergence."""

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step."""
        ...

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return the speed ``λ(τ)`` per year."""
        ...


def rate(half_life: Any) -> Any:
    """Turn a half-life in days into a rate per year, ``κ = ln 2 · 365 / half_life``."""
    return np.log(2.0) * DAYS_PER_YEAR / half_life


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
    ``κ = η = 0, γ = 1``, the scaled bridge at ``κ = η = 0``, and stochastic carry (the implied
    carry ``z/τ`` is Ornstein-Uhlenbeck) at ``γ = η = 1``, up to the ``τ_ref`` scale. For
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

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step.

        Parameters
        ----------
        parameters : mapping of arrays
            Broadcastable against the steps, shape ``(..., n)`` or ``(..., 1)``.
        steps : Steps
            The moves.
        xp : module
            Array namespace: `numpy` or `pytensor.tensor`.

        Returns
        -------
        phi, v : arrays, shape (..., n)
            ``v`` in years of reference diffusion.
        """
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


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    r"""Mean reversion that knows nothing of expiry; the textbook baseline.

    .. math::

        dz = -κ z\,dt + σ\,dW, \qquad φ = e^{-κΔ}, \qquad v = \frac{1 - e^{-2κΔ}}{2κ}

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

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step; see `Anchored.transition` for shapes."""
        kappa = rate(parameters["half_life"])
        return (
            xp.exp(-kappa * steps.elapsed),
            -xp.expm1(-2.0 * kappa * steps.elapsed) / (2.0 * kappa),
        )

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``λ = κ`` per year, the same at every ``tau``."""
        return rate(parameters["half_life"]) + 0.0 * tau


LAWS: dict[str, type[Law]] = {law.name: law for law in (Anchored, OrnsteinUhlenbeck)}
