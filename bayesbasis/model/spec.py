"""The specification: a model as a value, with equality, a hash and a card."""

from dataclasses import dataclass, field
from typing import Literal

from bayesbasis.model.priors import Priors
from bayesbasis.model.spot import Spot, spot_parameters
from bayesbasis.process.equilibria import CostOfCarry, Equilibrium
from bayesbasis.process.laws import Anchored, Law
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks

APART = ("venue", "kind", "contract")
"""Levels beside the underlying at which other parameters than carry may vary."""

_SHOCK = "it is of the shock that moves an underlying's whole curve at one time"
_CHAIN = "it is of the chain of regimes that an underlying's whole curve is in"
_TOGETHER = {
    "correlation": _SHOCK,
    "tail": _SHOCK,
    "volatility_ratio": _CHAIN,
    "speed_ratio": _CHAIN,
    "stay": _CHAIN,
    "jump": _CHAIN,
    "volatility_spread": _CHAIN,
    "volatility_half_life": _CHAIN,
}
"""Why some parameters are no contract's own."""


@dataclass(frozen=True)
class Pooling:
    """Which levels share strength: contract → underlying → kind → venue → market.

    Parameters
    ----------
    venues : bool
        Carry of an underlying is drawn around that of its venue, and that around the market's.
        Otherwise, and with a single venue, it is drawn around the market's.
    underlyings : bool
        Parameters of each underlying are drawn around the market's. Otherwise all underlyings
        share one value.
    contracts : {"pooled", "shared", "independent"}
        Carry, or level, of contracts: drawn around that of their underlying, by a spread that is
        learned; the same for all contracts of an underlying; or each to itself, drawn from the
        prior of ``carry_mean``, or ``level_mean``, whatever the others are.
    shared, independent : tuple of str
        Names of parameters that all underlyings share, and of those that each has to itself, drawn
        from the prior whatever the others are. The rest is pooled: around a market's value, by a
        spread that is learned; but ``tail`` is the market's unless it is independent. The same goes
        for the levels of carry, or level, by the names that their offsets have, such as
        ``carry_kind`` or ``carry_underlying``: shared leaves the level out, and independent lets
        its members be as far apart as the prior of ``carry_mean`` is wide, whatever the others are.
    centring : float, optional
        What NUTS moves to change a contract's carry: at 1 the carry itself, at 0 its standardised
        distance from the population, in between a compromise. The model is the same at any value;
        the posterior is easy near 1 where quotes say much of carry, near 0 where they say little.
        By default `bayesbasis.fit` finds out for every contract what its quotes say.
    kinds : bool
        Carry of each kind of contract (the panel's ``kind``: weekly, monthly, quarterly) has an
        offset of its own beside that of its venue.
    by_venue, by_kind, by_contract : tuple of str
        Names of other parameters of which each venue, each kind of contract, or each contract has
        an offset of its own beside that of its underlying, on the scale where the parameter is
        free, by a spread that is learned: those of the law, ``volatility`` and ``noise``. What an
        underlying's contracts have together cannot be told apart so: the correlation and the tail
        of the shock that moves its whole curve, the regimes that scale it, stays in them.
        ``independent`` may name these offsets, too: ``volatility_venue``.

    Notes
    -----
    A level with one member is left out: it could not be told from the level above.
    """

    venues: bool = True
    underlyings: bool = True
    centring: float | None = None
    contracts: Literal["pooled", "shared", "independent"] = "pooled"
    shared: tuple[str, ...] = ()
    independent: tuple[str, ...] = ()
    kinds: bool = False
    by_venue: tuple[str, ...] = ()
    by_kind: tuple[str, ...] = ()
    by_contract: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.contracts not in ("pooled", "shared", "independent"):
            raise ValueError(
                f"pooling.contracts is {self.contracts!r}; choose 'pooled', 'shared' or "
                "'independent'"
            )
        both = sorted({*self.shared} & {*self.independent})
        if both:
            raise ValueError(f"pooling has {', '.join(both)} both shared and independent")
        if self.centring is not None and not 0.0 <= self.centring <= 1.0:
            raise ValueError(
                f"pooling.centring is {self.centring:g}; it lies between 0 and 1, or is left out"
            )

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels between market and contracts at which carry, or level, may vary."""
        if self.contracts == "independent":
            return ()
        used = {"venue": self.venues, "kind": self.kinds, "underlying": self.underlyings}
        return tuple(level for level, on in used.items() if on)

    @property
    def offsets(self) -> tuple[tuple[str, str], ...]:
        """Levels beside the underlying at which other parameters vary, and the parameters."""
        pairs = ((level, name) for level in APART for name in getattr(self, f"by_{level}"))
        return tuple(pair for pair in pairs if f"{pair[1]}_{pair[0]}" not in self.shared)


@dataclass(frozen=True)
class Drivers:
    """Covariates that drive how fast deviations close, and how long regimes last.

    Parameters
    ----------
    speed : tuple of str
        Columns of the panel, standardised, that multiply the expiry-free speed of mean reversion by
        ``exp(xᵀβ)``; those at the start of a move hold until its end.
    stay : tuple of str
        Columns that multiply expected stays by ``exp(xᵀβ_k)``, each regime with its own ``β_k``.
        Values are means over the quotes of an event and hold until the next.
    """

    speed: tuple[str, ...] = ()
    stay: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """A model of the basis.

    Parameters
    ----------
    law : Law
        How deviations converge.
    equilibrium : Equilibrium
        What they converge to.
    regimes : Regimes
        Volatility regimes.
    shocks : Shocks
        Joint distribution of shocks across the curve.
    drivers : Drivers
        Covariates of speed and of stays.
    spot : Spot, optional
        Spot returns, estimated together with the basis; by default a forecast learns them
        afterwards, given the regimes that the basis tells of.
    pooling : Pooling
        What is shared between contracts, underlyings and venues.
    priors : Priors
        Priors in a trader's units.
    name : str
        Name of the card, for tables and figures; two specs that differ in name alone are equal.
    summary : str
        What the model is, in one line; not compared either.

    Examples
    --------
    >>> from dataclasses import replace
    >>> spec = Spec()
    >>> replace(spec, regimes=Regimes(count=1)) == spec
    False
    """

    law: Law = Anchored()  # noqa: RUF009 - frozen and empty, safe to share
    equilibrium: Equilibrium = CostOfCarry()  # noqa: RUF009
    regimes: Regimes = Regimes()  # noqa: RUF009
    shocks: Shocks = Shocks()  # noqa: RUF009
    drivers: Drivers = Drivers()
    spot: Spot | None = None
    pooling: Pooling = Pooling()
    priors: Priors = Priors()  # noqa: RUF009
    name: str = field(default="unnamed", compare=False)
    summary: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.drivers != Drivers():
            self._refuse_drivers()
        if self.spot is not None and self.regimes.is_stochastic:
            raise ValueError(
                "spot is estimated together with the basis under regimes that switch; under "
                "stochastic volatility leave it out, and forecasts learn it afterwards"
            )
        if "half_life" not in self.law.parameters and self.regimes.has_speeds:
            raise ValueError(
                f"regimes.speed is 'own', but the law {self.law.name} has no half-life that could "
                "differ; choose one that has, such as anchored"
            )
        if self.spot is not None and self.regimes.has_speeds:
            raise ValueError(
                "spot is estimated together with the basis where deviations close at one speed; "
                "with regimes.speed = 'own' leave it out, and forecasts learn it afterwards"
            )
        if self.shocks.noise == "own" and (self.spot is not None or self.regimes.has_speeds):
            raise ValueError(
                "shocks.noise = 'own' has no filter beside spot, nor for regimes.speed = 'own'; "
                "leave out one of them"
            )
        for name in (*self.pooling.shared, *self.pooling.independent):
            self._refuse_pooling(name)
        for level in APART:
            for name in getattr(self.pooling, f"by_{level}"):
                self._refuse_offset(level, name)

    def _refuse_offset(self, level: str, name: str) -> None:
        alone = (*self.law.parameters, "volatility", "noise")
        if name in alone:
            return
        quantity = self.equilibrium.quantity
        if name == quantity:
            why = (
                f"{quantity} has levels of its own: pooling.venues, pooling.kinds and "
                "pooling.contracts"
            )
        elif name in _TOGETHER:
            why = f"{_TOGETHER[name]}; no {level} has one to itself"
        else:
            why = f"this model gives no contract a {name} of its own"
        raise ValueError(
            f"pooling.by_{level} names {name!r}, but {why}. {level.capitalize()}s can differ in "
            f"what a contract has by itself: {', '.join(alone)}"
        )

    def _refuse_pooling(self, name: str) -> None:
        by_underlying = [*self.law.parameters, *self.equilibrium.parameters, "volatility"]
        by_underlying += ["noise", "correlation"]
        by_underlying += [f"{self.equilibrium.quantity}_{level}" for level in self.pooling.levels]
        for level in APART:
            by_underlying += [f"{name}_{level}" for name in getattr(self.pooling, f"by_{level}")]
        if self.regimes.is_stochastic:
            by_underlying += ["volatility_spread"]
        elif self.regimes.count > 1:
            by_underlying += ["volatility_ratio"]
            by_underlying += ["speed_ratio"] if self.regimes.has_speeds else []
        if self.spot is not None:
            by_underlying += spot_parameters(self.regimes.count)
        if self.regimes.shared_by == "underlying" and self.regimes.count > 1:
            by_underlying += ["volatility_half_life" if self.regimes.is_stochastic else "stay"]
        if self.shocks.distribution == "student-t" and name in self.pooling.independent:
            by_underlying += ["tail"]
        if name not in by_underlying:
            raise ValueError(
                f"pooling names {name!r}, which no underlying has of its own in this model; "
                f"it can name {', '.join(by_underlying)}"
            )

    def _refuse_drivers(self) -> None:
        speed, stay = self.drivers.speed, self.drivers.stay
        if speed and "half_life" not in self.law.parameters:
            raise ValueError(
                f"drivers.speed is {', '.join(speed)}, but the law {self.law.name} "
                "has no half-life to drive; choose one that has, such as anchored"
            )
        if self.equilibrium.fixed in {*speed, *stay}:
            raise ValueError(
                f"column {self.equilibrium.fixed!r} is carry taken as given; it cannot be a "
                "covariate as well"
            )
        if stay and (self.regimes.count < 2 or self.regimes.is_stochastic):
            raise ValueError(
                f"drivers.stay is {', '.join(stay)}, but the model has no stays to "
                "drive; give it two or more switching regimes"
            )
