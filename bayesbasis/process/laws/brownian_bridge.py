"""The Brownian bridge: pinned at expiry by nothing but time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bayesbasis.process.quadrature import Steps


@dataclass(frozen=True)
class BrownianBridge:
    r"""A random walk conditioned to end at equilibrium.

    .. math::

        dz = -\frac{z}{τ}\,dt + σ\,dW, \qquad φ = \frac{τ_1}{τ_0}, \qquad
        v = Δ\,\frac{τ_1}{τ_0}

    Both vanish at expiry. Far from it, over steps much shorter than ``τ``, it is the random walk
    ``φ → 1``, ``v → Δ``.

    Notes
    -----
    It has no parameters of its own: time to expiry says it all.

    References
    ----------
    Brennan & Schwartz (1990), doi 10.1086/296491; Liu & Longstaff (2004),
    doi 10.1093/rfs/hhg029.

    Examples
    --------
    >>> import numpy as np
    >>> phi, v = BrownianBridge().transition({}, Steps.between([0.2], [0.1]), np)
    >>> round(float(phi[0]), 12), round(float(v[0]), 12)
    (0.5, 0.05)
    """

    name: ClassVar[str] = "brownian-bridge"
    parameters: ClassVar[tuple[str, ...]] = ()
    equations: ClassVar[tuple[str, ...]] = (
        "dz = -z/τ dt + σ dW",
        "φ = τ1/τ0",
        "v = Δ τ1/τ0",
    )

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step; see `Law.transition` for shapes."""
        phi = steps.end / steps.start
        return phi, steps.elapsed * phi

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``λ(τ) = 1/τ`` per year, ``tau`` in years."""
        return 1.0 / tau

    def spread(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``g = 1``, the same at every ``tau``."""
        return 1.0 + 0.0 * tau
