"""Equilibrium curves: the basis towards which the market converges.

Every curve is linear in what a contract has of its own, its *quantity*: ``θ = offset + loading x``.
So a contract's quantity is pooled, drawn and filtered in the same way whatever the curve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from bayesbasis.process.laws import rate

_PER_CENT = 0.01

PREMIUM_SPAN = 8.0 / 8760.0
"""Years over which the carry of a perpetual makes its premium: 8 hours, as funding is quoted."""


class Quotes(NamedTuple):
    """What a curve reads of quotes, or of points of a path; arrays broadcast against each other.

    Parameters
    ----------
    tau : array, shape (..., n)
        Time to expiry in years; of a perpetual, `PREMIUM_SPAN`.
    contract : array of int, shape (n,)
        Contract of every quote.
    group : array of int, shape (n,), or slice
        Position in the group axis of parameters.
    log_spot : array, shape (..., n)
        Logarithm of spot over its reference.
    covariates : array, shape (..., n, covariate)
        Standardised covariates of carry.
    observed : array, shape (..., n)
        Carry that is taken as given, % a year.
    """

    tau: Any
    contract: Any
    group: Any
    log_spot: Any = 0.0
    covariates: Any = None
    observed: Any = 0.0


class Equilibrium(Protocol):
    """What the rest of the house asks of an equilibrium."""

    name: ClassVar[str]
    quantity: ClassVar[str]
    reads_spot: ClassVar[bool]
    equations: ClassVar[tuple[str, ...]]

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns of the panel that drive carry."""
        ...

    @property
    def fixed(self) -> str:
        """Column of the panel that holds observed carry; empty if none does."""
        ...

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that an underlying has, besides the contracts' quantity."""
        ...

    def curve(self, parameters: Mapping[str, Any], quotes: Quotes, xp: Any) -> tuple[Any, Any]:
        """Return offset and loading of every quote."""
        ...


def is_constant(equilibrium: Equilibrium) -> bool:
    """Whether the fair curve is a constant carry, that of the contract alone."""
    return not (equilibrium.reads_spot or equilibrium.covariates or equilibrium.fixed)


def fair_basis(
    equilibrium: Equilibrium, parameters: Mapping[str, Any], quotes: Quotes, xp: Any
) -> Any:
    """Fair log basis ``θ`` of every quote.

    Parameters
    ----------
    equilibrium : Equilibrium
        The curve.
    parameters : mapping
        Its parameters, shape (..., group), and its quantity, shape (..., contract).
    quotes : Quotes
        Where.
    xp : module
        Array namespace: `numpy` or `pytensor.tensor`.

    Returns
    -------
    array, shape (..., n)
        Log units.
    """
    offset, loading = equilibrium.curve(parameters, quotes, xp)
    return offset + loading * parameters[equilibrium.quantity][..., quotes.contract]


@dataclass(frozen=True)
class CostOfCarry:
    r"""Cost of carry, constant over the life of a contract or driven by covariates.

    .. math:: θ = (c_j + x^\top β + r)\, τ, \qquad F^* = S e^θ

    where the carry ``c_j`` of contract ``j``, in % a year, is drawn from those of its underlying
    and venue; ``x`` are covariates at the time of the quote, ``β`` their coefficients, pooled over
    underlyings, and ``r`` is carry that is observed.

    A perpetual is held as if for 8 hours at a time, which is how its funding is quoted: its
    equilibrium premium is ``c · 8 h``, so that 1 bp is a carry of 10.95 % a year.

    Parameters
    ----------
    covariates : tuple of str
        Columns of the panel that drive carry, such as an interest differential, storage or
        sentiment. They enter in standard deviations from their mean over the fitted panel, so
        coefficients are in % a year per standard deviation.
    fixed : str
        Column that holds observed carry, % a year, taken as given; ``c_j`` is what is left over.

    References
    ----------
    Brennan & Schwartz (1990), doi 10.1086/296491.

    Examples
    --------
    >>> import numpy as np
    >>> quotes = Quotes(np.array([0.25]), np.array([0]), np.array([0]))
    >>> fair_basis(CostOfCarry(), {"carry": np.array([10.0])}, quotes, np)
    array([0.025])
    """

    name: ClassVar[str] = "cost-of-carry"
    quantity: ClassVar[str] = "carry"
    reads_spot: ClassVar[bool] = False
    equations: ClassVar[tuple[str, ...]] = (
        "θ = (c + xᵀβ + r) τ,  c = carry of the contract, x covariates, r observed carry",
    )
    covariates: tuple[str, ...] = ()
    fixed: str = ""

    def __post_init__(self) -> None:
        if len(set(self.covariates)) < len(self.covariates):
            raise ValueError(f"covariates are {', '.join(self.covariates)}; name each once")
        if self.fixed and self.fixed in self.covariates:
            raise ValueError(
                f"column {self.fixed!r} is carry taken as given; it cannot be a covariate as well"
            )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that an underlying has."""
        return ("coefficient",) if self.covariates else ()

    def curve(self, parameters: Mapping[str, Any], quotes: Quotes, xp: Any) -> tuple[Any, Any]:
        """Return offset and loading of every quote, by % a year of carry."""
        loading, driven = _PER_CENT * quotes.tau, 0.0
        if self.covariates:
            slope = parameters["coefficient"][..., quotes.group, :]
            driven = (slope * quotes.covariates).sum(-1)
        if self.fixed:
            driven = driven + quotes.observed
        return driven * loading, loading


@dataclass(frozen=True)
class MeanRevertingSpot:
    r"""Spot that is expected to revert to a level, which futures price in: VIX, energy.

    .. math::

        θ = -(1 - β(τ)) (\ln S - ℓ_j), \qquad
        F^* = \exp\left(β(τ) \ln S + (1 - β(τ))\, ℓ_j\right), \qquad β(τ) = e^{-aτ}

    or, with a transient part of spot that futures see through, ``β = (1 - s) e^{-aτ} + s e^{-bτ}``:
    a move of spot is part news that reverts slowly, part noise that is gone in days.

    Parameters are ``spot_half_life`` (days; ``a = ln 2 / spot_half_life``), the speed that futures
    price in; with a transient part, its ``transient_half_life`` (days, of ``b``) and
    ``transient_share`` ``s``; and ``level``, how far ``ℓ_j`` of contract ``j`` lies above the
    geometric mean of spot in the panel that is fitted, in logarithmic %. Levels of contracts are
    drawn from those of their underlying and venue. The level is that under the pricing measure:
    the convexity ``σ² (1 - e^{-2aτ}) / 4a`` of Schwartz's formula varies little and is part of it.

    Parameters
    ----------
    transient : bool
        Whether spot has a transient part.

    Notes
    -----
    Given spot, a contract's fair price is known: one-step densities condition on the spot of the
    same time, and a forecast needs paths of spot.

    References
    ----------
    Schwartz (1997), doi 10.1111/j.1540-6261.1997.tb02721.x, model 1.

    Examples
    --------
    Spot 20 % above its level closes half the way in one half-life:

    >>> import numpy as np
    >>> quotes = Quotes(np.array([0.2]), np.array([0]), np.array([0]), np.array([0.2]))
    >>> half = {"spot_half_life": np.array([73.0]), "level": np.array([0.0])}
    >>> fair_basis(MeanRevertingSpot(), half, quotes, np).round(12)
    array([-0.1])
    """

    name: ClassVar[str] = "mean-reverting-spot"
    quantity: ClassVar[str] = "level"
    reads_spot: ClassVar[bool] = True
    equations: ClassVar[tuple[str, ...]] = (
        "θ = -(1 - β(τ)) (ln S - ℓ),  β = e^(-aτ), or (1 - s) e^(-aτ) + s e^(-bτ) if transient",
        "a = ln 2 / spot_half_life, b = ln 2 / transient_half_life, ℓ = level of the contract",
    )
    transient: bool = False

    @property
    def covariates(self) -> tuple[str, ...]:
        """No column drives carry."""
        return ()

    @property
    def fixed(self) -> str:
        """No carry is observed."""
        return ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that an underlying has."""
        passing = ("transient_half_life", "transient_share") if self.transient else ()
        return ("spot_half_life", *passing)

    def curve(self, parameters: Mapping[str, Any], quotes: Quotes, xp: Any) -> tuple[Any, Any]:
        """Return offset and loading of every quote, by % of level."""
        own = {name: parameters[name][..., quotes.group] for name in self.parameters}
        weight = -xp.expm1(-rate(own["spot_half_life"]) * quotes.tau)
        if self.transient:
            passed = -xp.expm1(-rate(own["transient_half_life"]) * quotes.tau)
            weight = weight + own["transient_share"] * (passed - weight)
        return -weight * quotes.log_spot, _PER_CENT * weight


EQUILIBRIA: dict[str, type[Equilibrium]] = {
    CostOfCarry.name: CostOfCarry,
    MeanRevertingSpot.name: MeanRevertingSpot,
}
