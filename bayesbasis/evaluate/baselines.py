"""Forecasts that anyone would try first; a model has to beat them.

A baseline is a value with a name that knows how to simulate. `forecast_baseline` gives it the
quotes known at an origin, as `bayesbasis.forecast` does a fit, and its paths have the same shape.
Each learns from all contracts of an underlying that were quoted before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from bayesbasis.data.panel import countdown, families, instant, known_at, lives
from bayesbasis.evaluate.history import History, Past, histories
from bayesbasis.evaluate.textbook import LocalLevel, MarkovSwitching, OUMaximumLikelihood
from bayesbasis.forecast.calendar import ahead
from bayesbasis.process.quadrature import ENDLESS

Array = NDArray[Any]


class Baseline(Protocol):
    """What every baseline is."""

    name: ClassVar[str]

    def simulate(self, past: Past, tau: Array, draws: int, rng: Generator) -> Array:
        """Simulate the basis of one contract, shape (draw, step), at times to expiry `tau`."""
        ...


@dataclass(frozen=True)
class NoChange:
    """The basis stays where it is, give or take what it has moved in such a time before.

    Moves come from any time to expiry, with either sign: the median is today's basis.
    """

    name: ClassVar[str] = "no-change"

    def simulate(self, past: Past, tau: Array, draws: int, rng: Generator) -> Array:
        """Simulate; see `Baseline`."""
        chosen, sign = rng.random(draws), rng.choice([-1.0, 1.0], draws)
        moves = [end - start for start, end, *_ in past.analogues(tau, nearby=None)]
        return past.basis + sign[:, None] * _pick(moves, chosen)


@dataclass(frozen=True)
class StraightLine:
    """Constant carry: ``b0·τ1/τ0``, and the errors that this made before at such times."""

    name: ClassVar[str] = "straight-line"

    def simulate(self, past: Past, tau: Array, draws: int, rng: Generator) -> Array:
        """Simulate; see `Baseline`."""
        errors = [
            end - start * tau_end / tau_start
            for start, end, tau_start, tau_end in past.analogues(tau)
        ]
        return past.basis * tau / past.tau + _pick(errors, rng.random(draws))


@dataclass(frozen=True)
class HistoricalMoves:
    """Today's basis and a move that a contract made before between such times to expiry."""

    name: ClassVar[str] = "historical-moves"

    def simulate(self, past: Past, tau: Array, draws: int, rng: Generator) -> Array:
        """Simulate; see `Baseline`."""
        moves = [end - start for start, end, *_ in past.analogues(tau)]
        return past.basis + _pick(moves, rng.random(draws))


BASELINES: Mapping[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        NoChange(),
        StraightLine(),
        HistoricalMoves(),
        OUMaximumLikelihood(),
        MarkovSwitching(),
        LocalLevel(),
    )
}
"""Every baseline, by name; the last two need statsmodels."""


def forecast_baseline(
    baseline: Baseline,
    panel: xr.Dataset,
    origin: Any,
    times: ArrayLike,
    *,
    seed: int,
    draws: int = 1000,
    contracts: Sequence[str] | None = None,
) -> xr.Dataset:
    """Simulate a baseline for every live contract.

    Parameters
    ----------
    baseline : Baseline
        One of `BASELINES`, or your own.
    panel : xarray.Dataset
        From `make_panel`; quotes after the origin are not looked at.
    origin : str, datetime or numpy.datetime64
        Instant of the forecast, UTC.
    times : array-like of datetime64
        Instants to forecast.
    seed : int
        Seed of the simulation.
    draws : int
        Number of paths.
    contracts : sequence of str, optional
        By default every contract that is live at the origin.

    Returns
    -------
    xarray.Dataset
        ``basis`` with dims chain, draw, contract, step and coords as of `bayesbasis.forecast`.

    Raises
    ------
    ValueError
        If no contract is live at the origin, or there is no history to learn from.

    Examples
    --------
    >>> paths = forecast_baseline(NoChange(), panel, "2023-06-01", times, seed=1)  # doctest: +SKIP
    """
    start = instant(origin)
    known = known_at(panel, start)
    wanted = lives(known, start)
    if contracts is not None:
        wanted &= np.isin(known["contract"].values, contracts)
    live = np.flatnonzero(wanted)
    if not live.size:
        raise ValueError(f"no contract is live at {start:.19}; take an earlier origin")
    expiry = known["expiry"].values[live].astype("datetime64[ns]")
    # A perpetual lives as long as anybody asks.
    asked = np.asarray(times).astype("datetime64[ns]")
    steps = ahead(times, start, asked.max() if np.isnat(expiry).any() else expiry.max())
    left = countdown(expiry[:, None], steps)
    tau = np.where(left >= 0, left, np.nan)
    basis = np.full((draws, *tau.shape), np.nan)
    of = histories(known)
    for row, contract in enumerate(live):
        # One seed for all contracts: the same kind of past comes to the whole curve.
        rng = np.random.default_rng(seed)
        past = Past(of[str(families(known)[contract])], int(contract))
        alive = np.isfinite(tau[row])
        alive[0] = False
        basis[:, row, 0] = past.basis
        basis[:, row, alive] = baseline.simulate(past, tau[row, alive], draws, rng)
    return _paths(baseline, known.isel(contract=live), basis[None], steps, tau, seed)


def _pick(samples: list[Array], chosen: Array) -> Array:
    """Take, of each step's sorted-by-date sample, the element at each path's place in history."""
    return np.stack([x[(chosen * len(x)).astype(int)] for x in samples], axis=1)


def _paths(
    baseline: Baseline, live: xr.Dataset, basis: Array, steps: Array, tau: Array, seed: int
) -> xr.Dataset:
    stamps = np.where(np.isnan(tau), np.datetime64("NaT", "ns"), steps).astype("datetime64[ns]")
    tau = np.where(tau >= ENDLESS, np.nan, tau)
    attrs = {"units": "1", "long_name": "log basis as quoted"}
    coords = {
        "chain": [0],
        "draw": np.arange(basis.shape[1]),
        "step": np.arange(len(steps)),
        "time": (("contract", "step"), stamps),
        "tau": (("contract", "step"), tau, {"units": "year", "long_name": "time to expiry"}),
    }
    labels = ("contract", "underlying", "venue", "kind", "expiry")
    coords |= {name: live.coords[name] for name in labels}
    return xr.Dataset(
        {"basis": (("chain", "draw", "contract", "step"), basis, attrs)},
        coords,
        {"origin": str(steps[0]), "card_name": baseline.name, "seed": seed},
    )


__all__ = ["BASELINES", "Baseline", "History", "Past", "forecast_baseline"]
