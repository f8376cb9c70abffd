"""A simulated market whose truth is known: for the demo, the tests and the notebooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.data.counts import at_least_one
from bayesbasis.process.filter import SETTLED
from bayesbasis.process.laws import Anchored, Law
from bayesbasis.process.quadrature import Steps
from bayesbasis.process.regimes import generator, stationary
from bayesbasis.process.returns import simulate_spot
from bayesbasis.process.simulation import (
    curve_shocks,
    move_scale,
    shared_shocks,
    simulate_deviations,
    simulate_regimes,
)

Array = NDArray[Any]

_STEPS_PER_DAY = {"daily": 1, "hourly": 24}
_DAYS_PER_YEAR = 365.0
_SPOT_START = {"BTC": 40_000.0, "ETH": 2_500.0}


@dataclass(frozen=True)
class Market:
    """Parameters of a simulated market, in the units of priors.

    Parameters
    ----------
    law : Law
        How deviations converge.
    half_life, anchor, volatility_exponent, slack : float
        Parameters that a law may have: days, 1, 1, days.
    volatility : tuple of float
        Volatility of the basis in every regime 30 days from expiry, bp per √day, increasing.
    stay : tuple of float
        Expected stay in every regime, days.
    noise : float
        Quote noise, days of diffusion 30 days from expiry.
    correlation, tail : float
        Correlation across the curve and degrees of freedom (infinite: Gaussian).
    carry_mean, carry_between_underlyings, carry_between_contracts : float
        Carry of the market and its spreads, % a year.
    spot_volatility : tuple of float
        Volatility of spot in every regime, % per √year.
    spot_correlation : tuple of float, optional
        Correlation of spot with the mean shock of the curve in every regime; then both share their
        mixing variables too. By default spot shares regimes alone.
    """

    law: Law = Anchored()  # noqa: RUF009 - frozen and empty, safe to share
    half_life: float = 12.0
    anchor: float = 1.0
    volatility_exponent: float = 0.5
    slack: float = 1.0
    volatility: tuple[float, ...] = (5.0, 20.0)
    stay: tuple[float, ...] = (25.0, 8.0)
    noise: float = 0.1
    correlation: float = 0.7
    tail: float = 6.0
    carry_mean: float = 8.0
    carry_between_underlyings: float = 2.0
    carry_between_contracts: float = 4.0
    spot_volatility: tuple[float, ...] = (45.0, 100.0)
    spot_correlation: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.volatility), len(self.stay), len(self.spot_volatility)}
        if len(lengths) != 1:
            raise ValueError(
                f"volatility, stay and spot_volatility have {len(self.volatility)}, "
                f"{len(self.stay)} and {len(self.spot_volatility)} regimes; give each the same"
            )
        if self.spot_correlation is not None and len(self.spot_correlation) not in lengths:
            raise ValueError(
                f"spot_correlation has {len(self.spot_correlation)} regimes and volatility "
                f"{len(self.volatility)}; give each the same"
            )
        if any(np.diff(self.volatility) <= 0):
            raise ValueError(f"volatility is {self.volatility}; regimes go from calm to wild")


def simulate_market(
    market: Market = Market(),
    *,
    seed: int,
    underlyings: Sequence[str] = ("BTC", "ETH"),
    quarters: int = 6,
    listed_days: int = 182,
    frequency: Literal["daily", "hourly"] = "daily",
    start: str = "2022-01-01",
    venue: str = "simulated",
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Simulate spot and overlapping quarterly futures whose parameters are known.

    The basis follows the model: a law of convergence, regimes of volatility that spot shares,
    Student-t shocks shared by the curve, quote noise, carry drawn contract by contract. A contract
    enters with the deviation that would have gathered since `SETTLED` years before.

    Parameters
    ----------
    market : Market
        Its parameters.
    seed : int
        Seed of the simulation.
    underlyings : sequence of str
        Their names. Each has its own chain of regimes; all share parameters but carry.
    quarters : int
        Quarters simulated; a contract expires at the end of each, 08:00 UTC on its last Friday.
    listed_days : int
        Days from listing to expiry: at 182, two contracts are live at any time.
    frequency : {"daily", "hourly"}
        Time between quotes.
    start : str
        First day, UTC.
    venue : str
        Name of the venue.

    Returns
    -------
    prices : pandas.DataFrame
        In the schema of `read_prices`.
    truth : xarray.Dataset
        The parameters, in the units of priors, and the hidden states: ``deviation`` (log) and
        ``regime_at`` (counted from 1) of every row of `prices` (dim row), ``regime_path``
        (underlying, time) and ``carry`` (contract; % a year).

    Raises
    ------
    ValueError
        If a count is not positive or the frequency is unknown.

    Examples
    --------
    >>> from bayesbasis.data.market import simulate_market
    >>> prices, truth = simulate_market(seed=1, underlyings=["BTC"], quarters=2)
    >>> prices.columns.tolist()
    ['time', 'underlying', 'venue', 'contract', 'expiry', 'futures', 'spot']
    """
    if frequency not in _STEPS_PER_DAY:
        raise ValueError(f"frequency is {frequency!r}; choose 'daily' or 'hourly'")
    at_least_one(quarters=quarters, listed_days=listed_days)
    if not underlyings:
        raise ValueError("underlyings is empty; name at least one")
    rng = np.random.default_rng(seed)
    expiries = _expiries(pd.Timestamp(start), quarters)
    times = pd.date_range(start, expiries[-1], freq="D" if frequency == "daily" else "h")
    books = [
        _simulate_underlying(name, market, times, expiries, listed_days, rng)
        for name in underlyings
    ]
    prices = pd.concat([book.prices for book in books], ignore_index=True)
    prices.insert(2, "venue", venue)
    return prices, _truth(market, books, underlyings, times)


@dataclass(frozen=True, eq=False)
class _Book:
    prices: pd.DataFrame
    deviation: Array
    regime: Array
    path: Array
    carry: Mapping[str, float]


def _expiries(start: pd.Timestamp, quarters: int) -> pd.DatetimeIndex:
    """Last Friday of each quarter, 08:00."""
    ends = pd.date_range(start, periods=quarters, freq="QE")
    fridays = ends - pd.to_timedelta((ends.day_of_week - 4) % 7, unit="D")
    return pd.DatetimeIndex(fridays.normalize() + pd.Timedelta(hours=8))


def _simulate_underlying(
    name: str,
    market: Market,
    times: pd.DatetimeIndex,
    expiries: pd.DatetimeIndex,
    listed_days: int,
    rng: Generator,
) -> _Book:
    count = len(market.volatility)
    gaps = np.diff(times.values).astype("timedelta64[ns]").astype(np.int64) / (
        _DAYS_PER_YEAR * 86_400e9
    )
    jump = (1.0 - np.eye(count)) / max(count - 1, 1)
    rates = generator(np.array(market.stay) / _DAYS_PER_YEAR, jump, count)
    first = rng.choice(count, p=stationary(rates))
    path = simulate_regimes(np.array([first]), rates[None], gaps, rng)[0]
    first_spot = _SPOT_START.get(name, 100.0)
    if market.spot_correlation is None:
        spot = _simulate_spot(market, path, gaps, first_spot, rng)
    centre = market.carry_mean + market.carry_between_underlyings * rng.standard_normal()
    carry = centre + market.carry_between_contracts * rng.standard_normal(len(expiries))
    tau = (expiries.values[:, None] - times.values) / np.timedelta64(1, "D") / _DAYS_PER_YEAR
    listed = (tau > 0) & (tau <= listed_days / _DAYS_PER_YEAR)
    deviation, quote, shocks = _simulate_curve(market, tau, listed, path, rng)
    if market.spot_correlation is not None:
        spot = _simulate_spot_beside(market, shocks, path, gaps, first_spot, rng)
    basis = 0.01 * carry[:, None] * tau + quote
    contract, step = np.nonzero(listed)
    labels = [f"{name}-{expiry:%d%b%y}".upper() for expiry in expiries]
    prices = pd.DataFrame(
        {
            "time": times.tz_localize("UTC")[step],
            "underlying": name,
            "contract": np.array(labels)[contract],
            "expiry": expiries.tz_localize("UTC")[contract],
            "futures": spot[step] * np.exp(basis[contract, step]),
            "spot": spot[step],
        }
    )
    return _Book(
        prices,
        deviation[contract, step],
        path[step] + 1,
        path + 1,
        dict(zip(labels, carry, strict=True)),
    )


def _simulate_spot(market: Market, path: Array, gaps: Array, first: float, rng: Generator) -> Array:
    """Geometric Student-t random walk whose volatility follows the regimes."""
    volatility = 0.01 * np.array(market.spot_volatility)[path[1:]]
    tail = np.full(len(gaps), market.tail)
    shock, root = shared_shocks(np.zeros(len(gaps)), tail, 1, rng)
    returns = volatility * np.sqrt(gaps) * (shock * root)[:, 0] - 0.5 * volatility**2 * gaps
    return first * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))


def _simulate_spot_beside(
    market: Market, shocks: Array, path: Array, gaps: Array, first: float, rng: Generator
) -> Array:
    """Random walk that shares the shocks of the curve, missing ones (contract, time) left out."""
    by_regime = 0.01 * np.array(market.spot_volatility), np.array(market.spot_correlation)
    volatility, with_curve = (values[path[1:]][None] for values in by_regime)
    curve = np.array([market.correlation]), np.array([market.tail])
    moves = simulate_spot(shocks[None, :, 1:], *curve, volatility, with_curve, rng)[0]
    return first * np.exp(np.concatenate([[0.0], np.cumsum(moves * np.sqrt(gaps))]))


def _simulate_curve(
    market: Market, tau: Array, listed: Array, path: Array, rng: Generator
) -> tuple[Array, Array, Array]:
    """Deviations, quotes and shocks of every contract; one waits at fair value until listed."""
    contracts, steps = tau.shape
    phi, variance = np.ones((1, contracts, steps)), np.zeros((1, contracts, steps))
    quoted_before = np.zeros_like(listed)
    quoted_before[:, 1:] = listed[:, :-1]
    start = np.where(quoted_before, np.roll(tau, 1, axis=1), tau + SETTLED)
    pairs, row = np.unique(np.stack([start[listed], tau[listed]]), axis=1, return_inverse=True)
    own = {name: np.array([getattr(market, name)]) for name in market.law.parameters}
    tables = market.law.transition(own, Steps.between(pairs[0], pairs[1]), np)
    phi[0, listed], variance[0, listed] = (table[row.ravel()] for table in tables)
    volatility = np.array(market.volatility) * 1e-4 * np.sqrt(_DAYS_PER_YEAR)
    deviation, quote = simulate_deviations(
        np.zeros((1, contracts)),
        np.zeros((1, contracts)),
        phi,
        variance,
        volatility[path][None],
        np.array([market.correlation]),
        np.array([market.tail]),
        np.array([market.noise / _DAYS_PER_YEAR]),
        rng,
    )
    start, noise = np.zeros(contracts), np.array([market.noise / _DAYS_PER_YEAR])
    scale = move_scale(start, phi[0], variance[0], noise) * volatility[path]
    return deviation[0], quote[0], curve_shocks(start, deviation[0], phi[0], scale)


def _truth(
    market: Market, books: Sequence[_Book], underlyings: Sequence[str], times: pd.DatetimeIndex
) -> xr.Dataset:
    carry = {label: value for book in books for label, value in book.carry.items()}
    parameters = {
        f.name: ("regime", np.array(value)) if isinstance(value, tuple) else value
        for f in fields(market)
        if f.name != "law" and (value := getattr(market, f.name)) is not None
    }
    states = {
        "deviation": ("row", np.concatenate([book.deviation for book in books])),
        "regime_at": ("row", np.concatenate([book.regime for book in books])),
        "regime_path": (("underlying", "time"), np.stack([book.path for book in books])),
        "carry": ("contract", list(carry.values()), {"units": "%/year"}),
    }
    coords = {
        "contract": list(carry),
        "underlying": list(underlyings),
        "regime": np.arange(1, len(market.volatility) + 1),
        "time": times.values.astype("datetime64[ns]"),
    }
    return xr.Dataset(parameters | states, coords, {"law": market.law.name})
