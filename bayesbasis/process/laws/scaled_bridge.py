"""The scaled Brownian bridge: a bridge of any strength, pinned a little after expiry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bayesbasis.process.laws.law import DAYS_PER_YEAR, decay
from bayesbasis.process.quadrature import Steps


@dataclass(frozen=True)
class ScaledBridge:
    r"""A bridge of any strength, pinned a little after expiry.

    .. math::

        dz = -\frac{γ}{τ+ε} z\,dt + σ\,dW, \qquad
        φ = \left(\frac{c}{a}\right)^{γ}, \qquad
        v = \frac{c}{2γ-1}\left[1 - \left(\frac{c}{a}\right)^{2γ-1}\right],
        \qquad a = τ_0 + ε,\ c = τ_1 + ε

    and ``v = c ln(a/c)`` at ``γ = 1/2``. As ``ε → 0`` it is the anchored law at ``κ = η = 0``,
    and the Brownian bridge if ``γ = 1`` too. With ``ε > 0`` a little of the deviation survives
    expiry, which an arbitrageur cannot rely on closing.

    Notes
    -----
    Parameters are ``anchor`` (``γ``) and ``slack`` (``ε > 0``, days).

    References
    ----------
    Angoshtari & Leung (2019), arXiv 1809.05961, and (2020), arXiv 1910.04943.

    Examples
    --------
    >>> import numpy as np
    >>> steps = Steps.between([9 / 365], [4 / 365])
    >>> own = {"anchor": np.array([0.5]), "slack": np.array([1.0])}
    >>> phi, v = ScaledBridge().transition(own, steps, np)
    >>> round(float(phi[0]), 6), round(float(v[0] * 365), 6)  # √(5/10), and 5 ln 2 days
    (0.707107, 3.465736)
    """

    name: ClassVar[str] = "scaled-bridge"
    parameters: ClassVar[tuple[str, ...]] = ("anchor", "slack")
    equations: ClassVar[tuple[str, ...]] = (
        "dz = -γ/(τ+ε) z dt + σ dW,  ε = slack",
        "φ = (c/a)^γ,  a = τ0+ε, c = τ1+ε",
        "v = c (1 - (c/a)^(2γ-1)) / (2γ-1)",
    )

    def transition(self, parameters: Mapping[str, Any], steps: Steps, xp: Any) -> tuple[Any, Any]:
        """Return ``(φ, v)`` of every step; see `Law.transition` for shapes."""
        gamma, epsilon = parameters["anchor"], parameters["slack"] / DAYS_PER_YEAR
        end = steps.end + epsilon
        log_ratio = xp.log1p(steps.elapsed / end)
        return xp.exp(-gamma * log_ratio), end * decay(2.0 * gamma - 1.0, log_ratio, xp)

    def pull(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``λ(τ) = γ/(τ+ε)`` per year, ``tau`` in years."""
        return parameters["anchor"] / (tau + parameters["slack"] / DAYS_PER_YEAR)

    def spread(self, parameters: Mapping[str, Any], tau: Any) -> Any:
        """Return ``g = 1``, the same at every ``tau``."""
        return 1.0 + 0.0 * tau
