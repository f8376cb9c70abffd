"""The funding rule of perpetuals: premium to funding and back, stated once for every venue."""

from dataclasses import dataclass, replace
from datetime import date
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.premia import premium_behind

Array = NDArray[Any]

BASE_HOURS = 8.0
"""Interest, clamp and premium are quoted for this many hours, whatever the interval."""

CHOICES = {
    "rule": ("clamp", "plain"),
    "weighting": ("equal", "increasing"),
    "notional": ("mark", "index", "oracle"),
    "accrual": ("settlement", "continuous"),
}


@dataclass(frozen=True)
class FundingRule:
    """How a venue turns the premium of a perpetual into funding.

    Parameters
    ----------
    since : date
        First day on which it holds (UTC).
    rule : {"clamp", "plain"}
        With the dead zone of a clamp, or the premium plus interest as it is.
    interval_hours : float
        Time between settlements ``N``.
    interest : float
        ``I``, a fraction per 8 hours.
    clamp : float
        Half-width ``w`` of the dead zone, a fraction per 8 hours.
    cap : float
        Largest rate of one interval, either way.
    spread : float
        What the venue adds to or takes from the rate of the rule without saying which, a fraction
        per 8 hours.
    lag_intervals : int
        Intervals between the end of the one a rate is measured in and its payment.
    interval_hours_at_cap : float or None
        The interval that follows a settlement at the cap, where it differs.
    first_hour : float
        Hour of the first settlement of a day, UTC.
    weighting : {"equal", "increasing"}
        Weights of the premium's samples: 1, 1, ..., or 1, 2, ..., n.
    notional : {"mark", "index", "oracle"}
        Price at which the position is valued for payment.
    accrual : {"settlement", "continuous"}
        Paid at settlements only, or with every second held.
    """

    since: date
    rule: str = "clamp"
    interval_hours: float = BASE_HOURS
    interest: float = 0.0
    clamp: float = 0.0
    cap: float = inf
    spread: float = 0.0
    lag_intervals: int = 0
    interval_hours_at_cap: float | None = None
    first_hour: float = 0.0
    weighting: str = "equal"
    notional: str = "mark"
    accrual: str = "settlement"

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; choose {' or '.join(map(repr, allowed))}"
                )
        if not 0 < self.interval_hours <= 24:
            raise ValueError(f"interval_hours is {self.interval_hours:g}; it is in (0, 24]")
        if not (isfinite(self.interest) and isfinite(self.clamp) and self.clamp >= 0):
            raise ValueError("interest and clamp are finite, and the clamp is not negative")
        if not self.cap > 0 or self.lag_intervals < 0 or not 0 <= self.spread < inf:
            raise ValueError("the cap is positive, lag_intervals and the spread are not negative")
        if self.rule == "plain" and self.clamp != 0:
            raise ValueError("a plain rule has no clamp; say rule = 'clamp' or drop it")

    @property
    def dead_zone(self) -> tuple[float, float]:
        """Premia between which funding equals the interest, per 8 hours; empty if plain."""
        return self.interest - self.clamp, self.interest + self.clamp


def funding_from_premium(
    premium: Any, rule: FundingRule, interval_hours: float | None = None
) -> Any:
    r"""Funding of one interval from its time-weighted premium.

    .. math:: F = \frac{N}{8}\,[P + \mathrm{clamp}(I - P, -w, w)],
       \qquad \text{then cut off at}\ \pm\mathrm{cap}

    Where the venue adds or takes away a spread, this is the rate between the two. A plain rule pays
    ``(P + I)·N/8``. Deribit's ``max(w, p) + min(-w, p)`` is the clamp with ``I = 0``,
    Hyperliquid's is the clamp with ``N = 1``.

    Parameters
    ----------
    premium : array_like
        Premium ``P``, a fraction per 8 hours.
    rule : FundingRule
        Of the venue, the underlying and the day.
    interval_hours : float, optional
        ``N`` where the contract's differs from the rule's.

    Returns
    -------
    ndarray or float
        Rate of the interval, a fraction of the notional that longs pay.

    Examples
    --------
    >>> rule = FundingRule(date(2019, 9, 8), interest=0.0001, clamp=0.0005, cap=0.02)
    >>> funding_from_premium(np.array([0.0004, 0.0010, -0.0010]), rule).round(6).tolist()
    [0.0001, 0.0005, -0.0005]
    """
    premium = np.asarray(premium, dtype=float)
    hours = rule.interval_hours if interval_hours is None else interval_hours
    if rule.rule == "plain":
        full = premium + rule.interest
    else:
        # Inside the dead zone P + (I - P) would differ from I by a rounding.
        gap = rule.interest - premium
        full = np.where(
            np.abs(gap) <= rule.clamp,
            rule.interest,
            premium + np.clip(gap, -rule.clamp, rule.clamp),
        )
    rate = np.clip(full * (hours / BASE_HOURS), -rule.cap, rule.cap)
    return rate if rate.ndim else float(rate)


def premium_from_funding(
    rate: Any, rule: FundingRule, interval_hours: float | None = None, rounding: float = 1e-9
) -> tuple[Array, Array]:
    """Premia that would have paid a rate: one, or all of the dead zone, or all beyond a cap.

    Parameters
    ----------
    rate : array_like
        Funding of one interval.
    rule : FundingRule
        As in `funding_from_premium`, whose inverse this is.
    interval_hours : float, optional
        ``N`` where the contract's differs from the rule's.
    rounding : float
        Rates this near to interest or cap are at it.

    Returns
    -------
    lower, upper : ndarray
        Fractions per 8 hours; equal outside the dead zone and the caps, infinite beyond these. A
        spread puts them apart everywhere: premia that pay the rate at either end of it.
    """
    if rule.spread:
        hours = rule.interval_hours if interval_hours is None else interval_hours
        off, bare = rule.spread * hours / BASE_HOURS, replace(rule, spread=0.0)
        low, high = (np.asarray(rate, dtype=float) + side * off for side in (-1.0, 1.0))
        return (
            premium_from_funding(low, bare, hours, rounding)[0],
            premium_from_funding(high, bare, hours, rounding)[1],
        )
    rate = np.asarray(rate, dtype=float)
    hours = rule.interval_hours if interval_hours is None else interval_hours
    full = rate * (BASE_HOURS / hours)
    outside = premium_behind(full, rule.interest, rule.clamp, rule.rule == "plain")
    near = np.abs(full - rule.interest) <= rounding * BASE_HOURS / hours
    dead = near & (rule.rule == "clamp")
    lower, upper = (np.where(dead, edge, outside) for edge in rule.dead_zone)
    lower = np.where(rate <= -rule.cap + rounding, -inf, lower)
    upper = np.where(rate >= rule.cap - rounding, inf, upper)
    return lower, upper


def time_weighted_premium(samples: Any, weighting: str = "equal") -> float:
    """Average the samples of the premium within an interval as a venue does.

    Parameters
    ----------
    samples : array_like, shape (n,)
        In order of time.
    weighting : {"equal", "increasing"}
        Equal weights, or 1, 2, ..., n.
    """
    values = np.asarray(samples, dtype=float)
    weights = np.arange(1, len(values) + 1) if weighting == "increasing" else np.ones(len(values))
    return float(values @ weights / weights.sum())
