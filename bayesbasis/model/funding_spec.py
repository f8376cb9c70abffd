"""The specification of a funding model: latent premia behind the funding that was paid."""

from dataclasses import dataclass, field
from typing import Literal

from bayesbasis.model.priors import LogitNormal, LogNormal, Normal, Prior


@dataclass(frozen=True)
class FundingPriors:
    """Priors of a funding model, premia in bp per 8 hours.

    Under the defaults about half of all settlements pay the interest rate, as maths.md says of
    exchanges; of one contract, something between a quarter and three quarters.

    Parameters
    ----------
    floor : Prior
        Where premia rest when nobody pays to be long, bp from the dead zone's edge on the side of
        no funding. By default they then pay 3 % a year, give or take 11: what it costs to finance
        the other side, who sells for as long as funding pays more.
    level : Prior
        What demand lifts the premium above the floor by at the middle of the slow level, bp.
    skew : Prior
        Standard deviation of its logarithm: a rung at ``x`` standard deviations is
        ``level · e^{skew·x}`` above the floor. By default carry differs from year to year as the
        30, 4 and 8 % of 2021 to 2023 do.
    width : Prior
        Width of the dead zone as premia see it, over that of the rule. Inside it funding says
        nothing of the premium but that it is there, and premia need not be as smooth across it. By
        default it is the rule's; a wide prior frees it.
    slow_half_life : Prior
        Half-life of the slow level, days: seasons to a year.
    drift : Prior
        What one standard deviation of the drift, slower still, moves the premium by, bp.
    drift_stretch : Prior
        Half-life of the drift over that of the slow level; above 2, so that the two keep their
        names.
    swing : Prior
        Fast premium, at the middle of the slow level in the calm regime, by its standard deviations
        where these are small, bp.
    fast_share : Prior
        Half-life of the fast premium over that of the slow level; below a half, so that the two
        keep their names.
    tail : Prior
        Growth of fast premium and noise with the fast premium's standard deviations, whatever their
        sign, in logs far from nil: how much larger than normal ones large deviations are.
    growth : Prior
        Growth of fast premium and noise with the slow level, per standard deviation, in logs.
    volatility_ratio : Prior
        Fast premium and noise of the wild regime over those of the calm one.
    stay : Prior
        Expected stay in a regime, days.
    noise : Prior
        Scale of what is in no chain, likewise, bp.
    memory : Prior
        Half-life of a contract's last premium in its next one, days.
    coefficient : Prior
        What one standard deviation of a covariate moves the resting premium by, bp.
    floor_between : Prior
        Spread of ``floor`` between contracts, bp. By default it is given rather than learned: modes
        would have it nil.
    between : Prior
        Spread of level, drift, swing, noise and memory between contracts, in logs.
    """

    floor: Prior = Normal(-0.7, 1.0)  # noqa: RUF009
    level: Prior = LogNormal(1.5, 2.0)  # noqa: RUF009
    skew: Prior = LogNormal(1.2, 1.25)  # noqa: RUF009
    width: Prior = LogNormal(1.0, 1.02)  # noqa: RUF009
    slow_half_life: Prior = LogNormal(120.0, 1.5)  # noqa: RUF009
    drift: Prior = LogNormal(3.0, 2.0)  # noqa: RUF009
    drift_stretch: Prior = LogNormal(8.0, 2.0, 2.0)  # noqa: RUF009
    swing: Prior = LogNormal(2.0, 2.0)  # noqa: RUF009
    fast_share: Prior = LogitNormal(0.05, 1.0, 0.0, 0.5)  # noqa: RUF009
    tail: Prior = LogNormal(0.5, 1.5)  # noqa: RUF009
    growth: Prior = Normal(0.2, 0.3)  # noqa: RUF009
    volatility_ratio: Prior = LogNormal(2.5, 1.5, 1.0)  # noqa: RUF009
    stay: Prior = LogNormal(10.0, 3.0)  # noqa: RUF009
    noise: Prior = LogNormal(1.0, 2.0)  # noqa: RUF009
    memory: Prior = LogNormal(0.3, 2.0)  # noqa: RUF009
    coefficient: Prior = Normal(0.0, 2.0)  # noqa: RUF009
    floor_between: Prior = LogNormal(0.5, 1.05)  # noqa: RUF009
    between: Prior = LogNormal(0.4, 1.5)  # noqa: RUF009


@dataclass(frozen=True)
class FundingSpec:
    """A model of funding: a latent premium with a slow level, a fast part and regimes.

    Parameters
    ----------
    levels : int
        Rungs of the slow level, at least 2.
    drifts : int
        Rungs of the drift, a level slower still, of months; 1 leaves it out.
    swings : int
        Rungs of the fast premium; 1 leaves it out.
    regimes : {1, 2}
        Volatility regimes.
    shared_by : {"contract", "underlying"}
        Whose chains they are: each contract's own, of the same law, or one set for all venues that
        quote an underlying, whose premia then move together.
    covariates : tuple of str
        Columns of the history that the resting premium follows, such as ``("dated_carry",)``.
    priors : FundingPriors
        In a trader's units.
    name : str
        Name of the card; not compared.
    summary : str
        What the model is, in one line; not compared either.

    Examples
    --------
    >>> FundingSpec().states
    105
    """

    levels: int = 15
    drifts: int = 1
    swings: int = 7
    regimes: int = 1
    shared_by: Literal["contract", "underlying"] = "contract"
    covariates: tuple[str, ...] = ()
    priors: FundingPriors = FundingPriors()
    name: str = field(default="funding", compare=False)
    summary: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"levels is {self.levels}; a slow level needs at least 2 rungs")
        if self.drifts < 1:
            raise ValueError(f"drifts is {self.drifts}; 1 leaves the drift out")
        if self.swings < 1:
            raise ValueError(f"swings is {self.swings}; 1 leaves the fast premium out")
        if self.regimes not in (1, 2):
            raise ValueError(f"regimes is {self.regimes}; choose 1 or 2")
        if self.shared_by not in ("contract", "underlying"):
            raise ValueError(f"shared_by is {self.shared_by!r}; choose 'contract' or 'underlying'")
        if len(set(self.covariates)) < len(self.covariates):
            raise ValueError(f"covariates are {', '.join(self.covariates)}; name each once")

    @property
    def states(self) -> int:
        """Number of states of an underlying's chain."""
        return self.drifts * self.levels * self.swings * self.regimes
