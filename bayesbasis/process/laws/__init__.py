"""Laws of convergence: how the deviation from equilibrium closes as expiry approaches.

Every law is linear-Gaussian, ``dz = -λ(τ) z dt + σ g(τ) dW``, so the move from time to expiry
``τ0`` to ``τ1 < τ0`` is exact: ``E[z1] = φ z0`` and ``Var[z1] = σ² v``. A law states ``(φ, v)``
once, as arithmetic over an array namespace; the likelihood calls that statement with PyTensor (and
through it JAX), forecasts and simulations call it with NumPy on posterior draws.

Volatility is quoted 30 days from expiry under every law, ``g(τ_ref) = 1``, so that ``σ`` and its
prior mean the same in all cards.
"""

from bayesbasis.process.laws.anchored import Anchored
from bayesbasis.process.laws.brownian_bridge import BrownianBridge
from bayesbasis.process.laws.law import DAYS_PER_YEAR, REFERENCE_TAU, Law, decay, rate
from bayesbasis.process.laws.ornstein_uhlenbeck import OrnsteinUhlenbeck
from bayesbasis.process.laws.ou_bridge import OUBridge
from bayesbasis.process.laws.scaled_bridge import ScaledBridge
from bayesbasis.process.laws.schwartz_smith import SchwartzSmith
from bayesbasis.process.laws.stochastic_carry import StochasticCarry

__all__ = [
    "DAYS_PER_YEAR",
    "LAWS",
    "REFERENCE_TAU",
    "Anchored",
    "BrownianBridge",
    "Law",
    "OUBridge",
    "OrnsteinUhlenbeck",
    "ScaledBridge",
    "SchwartzSmith",
    "StochasticCarry",
    "decay",
    "rate",
]

LAWS: dict[str, type[Law]] = {
    law.name: law
    for law in (
        Anchored,
        OrnsteinUhlenbeck,
        BrownianBridge,
        ScaledBridge,
        OUBridge,
        StochasticCarry,
        SchwartzSmith,
    )
}
"""Every law, by the name that cards use."""
