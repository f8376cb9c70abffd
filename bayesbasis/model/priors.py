"""Priors in a trader's units, each a standard normal seen through one monotone map.

Every parameter is Gaussian on the scale where it is free: the whole line for carry, the logarithm
for times and volatilities, the logit for what lives between two bounds. So a prior is the map from
a standard normal to the parameter, sampling is well scaled, and pooling is addition on that scale.
"""

from dataclasses import dataclass, fields
from math import log
from typing import Any, ClassVar


@dataclass(frozen=True)
class Normal:
    """Gaussian on the parameter's own scale.

    Parameters
    ----------
    mean, sd : float
        In the parameter's units.
    """

    name: ClassVar[str] = "normal"
    mean: float
    sd: float

    def __post_init__(self) -> None:
        _positive(self.name, "sd", self.sd)

    @property
    def location(self) -> float:
        """Centre on the free scale."""
        return self.mean

    @property
    def scale(self) -> float:
        """Standard deviation on the free scale."""
        return self.sd

    def natural(self, free: Any, xp: Any) -> Any:
        """Map the free scale to the parameter."""
        return free

    def free(self, natural: Any, xp: Any) -> Any:
        """Map the parameter to the free scale."""
        return natural


@dataclass(frozen=True)
class LogNormal:
    """Gaussian in the logarithm of the distance from a lower bound.

    Parameters
    ----------
    median : float
        Median, in the parameter's units.
    factor : float
        One standard deviation multiplies or divides the distance from `lower` by this.
    lower : float
        Lower bound of the support.
    """

    name: ClassVar[str] = "lognormal"
    median: float
    factor: float
    lower: float = 0.0

    def __post_init__(self) -> None:
        _positive(self.name, "median - lower", self.median - self.lower)
        _positive(self.name, "factor - 1", self.factor - 1.0)

    @property
    def location(self) -> float:
        """Centre on the free scale."""
        return log(self.median - self.lower)

    @property
    def scale(self) -> float:
        """Standard deviation on the free scale."""
        return log(self.factor)

    def natural(self, free: Any, xp: Any) -> Any:
        """Map the free scale to the parameter."""
        return self.lower + xp.exp(free)

    def free(self, natural: Any, xp: Any) -> Any:
        """Map the parameter to the free scale."""
        return xp.log(natural - self.lower)


@dataclass(frozen=True)
class LogitNormal:
    """Gaussian in the logit between two bounds.

    Parameters
    ----------
    median : float
        Median, strictly between the bounds.
    spread : float
        Standard deviation in logits.
    lower, upper : float
        Bounds of the support.
    """

    name: ClassVar[str] = "logit-normal"
    median: float
    spread: float
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        _positive(self.name, "median - lower", self.median - self.lower)
        _positive(self.name, "upper - median", self.upper - self.median)
        _positive(self.name, "spread", self.spread)

    @property
    def location(self) -> float:
        """Centre on the free scale."""
        return log((self.median - self.lower) / (self.upper - self.median))

    @property
    def scale(self) -> float:
        """Standard deviation on the free scale."""
        return self.spread

    def natural(self, free: Any, xp: Any) -> Any:
        """Map the free scale to the parameter."""
        return self.lower + (self.upper - self.lower) / (1.0 + xp.exp(-free))

    def free(self, natural: Any, xp: Any) -> Any:
        """Map the parameter to the free scale."""
        return xp.log((natural - self.lower) / (self.upper - natural))


@dataclass(frozen=True)
class Horseshoe:
    r"""Regularised horseshoe: most coefficients near zero, a few as large as the data say.

    .. math::

        β_i \sim N(0, τ^2 \tilde λ_i^2), \qquad
        \tilde λ_i^2 = \frac{c^2 λ_i^2}{c^2 + τ^2 λ_i^2}, \qquad
        λ_i \sim C^+(0, 1), \qquad τ \sim C^+(0, τ_0)

    Parameters
    ----------
    scale : float
        Median ``τ_0`` of what a coefficient that does not matter may still be.
    slab : float
        Standard deviation ``c`` of one that matters.

    Notes
    -----
    A half-Cauchy is the ratio of two standard normals, so that even here all that is sampled is
    standard normal: the ratios never leave the formula, which is smooth where they are infinite.

    References
    ----------
    Piironen & Vehtari (2017), doi 10.1214/17-EJS1337SI.
    """

    name: ClassVar[str] = "horseshoe"
    scale: float
    slab: float

    def __post_init__(self) -> None:
        _positive(self.name, "scale", self.scale)
        _positive(self.name, "slab", self.slab)

    @property
    def location(self) -> float:
        """Centre on the free scale."""
        return 0.0

    def natural(self, free: Any, xp: Any) -> Any:
        """Map the free scale to the parameter."""
        return free

    def free(self, natural: Any, xp: Any) -> Any:
        """Map the parameter to the free scale."""
        return natural

    def shrunk(self, normal: Any, local: Any, over: Any, top: Any, below: Any, xp: Any) -> Any:
        """Coefficients of standard normals, of which ``local/over`` and ``top/below`` are Cauchy.

        Their signs do not matter, as that of ``normal`` is symmetric.
        """
        size = self.scale * local * top
        spread = self.slab * size / xp.sqrt((self.slab * over * below) ** 2 + size**2)
        return normal * spread


Prior = Normal | LogNormal | LogitNormal | Horseshoe
DISTRIBUTIONS: dict[str, type[Prior]] = {
    p.name: p for p in (Normal, LogNormal, LogitNormal, Horseshoe)
}


def seen_through(prior: Prior, normal: Any, xp: Any) -> Any:
    """Parameter that a standard normal is, seen through a prior."""
    return prior.natural(prior.location + prior.scale * normal, xp)


def _positive(distribution: str, name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"a {distribution} prior needs {name} > 0, got {value:g}")


@dataclass(frozen=True)
class Priors:
    """Priors of every parameter a model may have; a model uses those of its components.

    Parameters
    ----------
    carry_mean : Prior
        Carry of the market, % a year.
    carry_between_venues, carry_between_kinds, carry_between_underlyings : Prior
        Spread of carry between the members of each level of the hierarchy, % a year.
    carry_between_contracts : Prior
        That between contracts.
    level_mean : Prior
        Level that spot reverts to, % above the geometric mean of spot in the panel.
    level_between_venues, level_between_kinds, level_between_underlyings : Prior
        Spread of that level between the members of each level of the hierarchy, %.
    level_between_contracts : Prior
        That between contracts.
    spot_half_life : Prior
        Half-life of the reversion of spot that futures price in, days.
    transient_half_life : Prior
        Half-life of the transient part of spot, days.
    transient_share : Prior
        Share of a move of spot that is transient.
    half_life : Prior
        Half-life of the expiry-free part of mean reversion, days.
    anchor : Prior
        Pull of expiry, ``γ``.
    volatility_exponent : Prior
        How volatility shrinks towards expiry, ``η``.
    slack : Prior
        How long after expiry a scaled bridge is pinned, ``ε``, days.
    volatility : Prior
        Volatility of the calmest regime 30 days from expiry, bp per square root of a day; its
        median where it is stochastic.
    volatility_ratio : Prior
        Volatility of a regime over that of the next calmer one; above 1, so that regimes keep
        their order.
    speed_ratio : Prior
        Speed of mean reversion in a regime over that in the calmest, where each has its own.
    volatility_spread : Prior
        Standard deviation of the logarithm of volatility, where it is stochastic.
    volatility_half_life : Prior
        Half-life of the logarithm of volatility, days.
    stay : Prior
        Expected stay in a regime, days.
    jump : Prior
        Log odds, where a regime is left for one of two or more, of each over the next more
        volatile one. Above zero by default: most often things calm down. So a regime that a short
        history never visits is a panic yet to come, rather than a calm that never came, between
        which its quotes could not decide.
    coefficient : Prior
        Coefficients of carry on covariates, % a year per standard deviation.
    speed_coefficient, stay_coefficient : Prior
        Those of the logarithms of speed and of stays, per standard deviation.
    coefficient_between, speed_coefficient_between, stay_coefficient_between : Prior
        Spread of each between underlyings, in its units.
    noise : Prior
        Quote noise, in days of diffusion 30 days from expiry.
    correlation : Prior
        Correlation of shocks across the curve.
    tail : Prior
        Degrees of freedom of Student-t shocks.
    between_underlyings : Prior
        Spread of any parameter between underlyings, in standard deviations of its prior.
    between_venues, between_kinds, between_contracts : Prior
        The same between venues, kinds and contracts, of parameters that vary there.
    """

    carry_mean: Prior = Normal(5.0, 20.0)
    carry_between_venues: Prior = LogNormal(2.0, 3.0)
    carry_between_kinds: Prior = LogNormal(2.0, 3.0)
    carry_between_underlyings: Prior = LogNormal(3.0, 3.0)
    carry_between_contracts: Prior = LogNormal(5.0, 3.0)
    level_mean: Prior = Normal(0.0, 40.0)
    level_between_venues: Prior = LogNormal(2.0, 3.0)
    level_between_kinds: Prior = LogNormal(2.0, 3.0)
    level_between_underlyings: Prior = LogNormal(10.0, 3.0)
    level_between_contracts: Prior = LogNormal(10.0, 3.0)
    spot_half_life: Prior = LogNormal(100.0, 3.0, 10.0)
    transient_half_life: Prior = LogNormal(7.0, 2.0, 1.0)
    transient_share: Prior = LogitNormal(0.3, 1.0)
    half_life: Prior = LogNormal(20.0, 4.0)
    anchor: Prior = LogNormal(1.0, 1.05)
    volatility_exponent: Prior = LogitNormal(0.5, 1.0, -0.5, 1.5)
    slack: Prior = LogNormal(1.0, 4.0)
    volatility: Prior = LogNormal(10.0, 4.0)
    volatility_ratio: Prior = LogNormal(3.0, 2.0, 1.0)
    speed_ratio: Prior = LogNormal(1.0, 2.0)
    volatility_spread: Prior = LogNormal(0.7, 2.0)
    volatility_half_life: Prior = LogNormal(10.0, 4.0)
    stay: Prior = LogNormal(15.0, 4.0)
    jump: Prior = Normal(2.0, 1.0)
    coefficient: Prior = Normal(0.0, 5.0)
    coefficient_between: Prior = LogNormal(1.0, 3.0)
    speed_coefficient: Prior = Normal(0.0, 0.5)
    speed_coefficient_between: Prior = LogNormal(0.1, 3.0)
    stay_coefficient: Prior = Normal(0.0, 0.5)
    stay_coefficient_between: Prior = LogNormal(0.1, 3.0)
    noise: Prior = LogNormal(0.1, 5.0)
    correlation: Prior = LogitNormal(0.5, 1.5)
    tail: Prior = LogNormal(6.0, 2.0, 2.0)
    between_underlyings: Prior = LogNormal(0.2, 2.0)
    between_venues: Prior = LogNormal(0.2, 2.0)
    between_kinds: Prior = LogNormal(0.2, 2.0)
    between_contracts: Prior = LogNormal(0.2, 2.0)

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(getattr(self, field.name), Horseshoe) and not field.name.endswith(
                "coefficient"
            ):
                raise ValueError(
                    f"{field.name} has a horseshoe prior, which is for coefficients of covariates; "
                    "choose normal, lognormal or logit-normal"
                )
