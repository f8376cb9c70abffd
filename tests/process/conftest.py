"""A small market, written down quote by quote, for the filter and its gradient."""

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest

from bayesbasis.process.filter import Parameters, Schedule

DAY = 1.0 / 365


class Quote(NamedTuple):
    """One quote; the move that leads to it is a row of the tables of φ and v."""

    path: int
    time: float
    underlying: int
    contract: int
    move: int


class Case(NamedTuple):
    """Quotes in order of events, and the same as the filter reads them."""

    quotes: list[Quote]
    schedule: Schedule
    parameters: Parameters


def quotes_of(
    rng: np.random.Generator, times: int, underlyings: int, contracts: int, moves: int, market: bool
) -> list[Quote]:
    """Contracts listed at different times, quoted most of the time, at irregular stamps."""
    stamps = np.cumsum(rng.choice([0.25, 1.0, 1.0, 3.0], times)) * DAY
    quotes = []
    for contract in range(underlyings * contracts):
        u = contract % underlyings
        listed = int(rng.integers(0, max(times // 3, 1))) if contract >= underlyings else 0
        for time in stamps[listed:]:
            if time == stamps[listed] or rng.random() < 0.8:
                move = int(rng.integers(moves))
                quotes.append(Quote(0 if market else u, float(time), u, contract, move))
    seen: set[int] = set()
    firsts = {q for q in quotes if not (q.contract in seen or seen.add(q.contract))}
    return sorted(quotes, key=lambda q: (q.path, q.time, q.underlying, q in firsts, q.contract))


def schedule_of(quotes: list[Quote], pooled: bool) -> Schedule:
    """Say who follows whom, one quote at a time."""
    last: dict[int, int] = {}
    previous = []
    for i, q in enumerate(quotes):
        previous.append(last.get(q.contract, -1))
        last[q.contract] = i
    events: dict[Any, list[int]] = defaultdict(list)
    for i, q in enumerate(quotes):
        if previous[i] >= 0:
            events[q.path, q.time, q.underlying].append(i)
    gaps: dict[tuple[int, float], int] = {}
    gap, chain, before = [], [], None
    for path, time, _ in events:
        chain.append(path if pooled else 0)
        new = before is None or before[0] != path
        key = (chain[-1], 0.0 if new else time - before[1])
        gap.append(-1 if new else gaps.setdefault(key, len(gaps)))
        before = (path, time)
    integers = {
        "previous": previous,
        "step": [-1 if p < 0 else q.move for p, q in zip(previous, quotes, strict=True)],
        "group": [q.underlying if pooled else 0 for q in quotes],
        "first": [i for i, p in enumerate(previous) if p < 0],
        "event_start": [rows[0] for rows in events.values()],
        "event_stop": [rows[-1] + 1 for rows in events.values()],
        "gap": gap,
        "chain": chain,
        "gap_chain": [key[0] for key in gaps],
    }
    arrays = {name: np.array(value, np.int64) for name, value in integers.items()}
    return Schedule(**arrays, gap_length=np.array([key[1] for key in gaps]))


def rates_of(rng: np.random.Generator, chains: int, count: int) -> np.ndarray:
    rates = rng.uniform(10.0, 150.0, (chains, count, count)) * (1.0 - np.eye(count))
    rates[:, np.arange(count), np.arange(count)] = -rates.sum(-1)
    return rates


def make_case(
    seed: int,
    *,
    times: int = 8,
    regimes: int = 2,
    gaussian: bool = False,
    underlyings: int = 2,
    contracts: int = 2,
    market: bool = False,
    pooled: bool = True,
    moves: int = 5,
) -> Case:
    """Draw quotes and parameters, none of them special."""
    rng = np.random.default_rng(seed)
    quotes = quotes_of(rng, times, underlyings, contracts, moves, market)
    groups = underlyings if pooled else 1
    scale = rng.uniform(0.2, 0.5, (groups, 1)) * np.cumprod(
        rng.uniform(1.8, 4.0, (groups, regimes)), axis=1
    )
    parameters = Parameters(
        deviation=0.05 * rng.standard_t(3, len(quotes)),
        phi=rng.uniform(0.5, 1.0, moves),
        variance=rng.uniform(0.3, 2.0, moves) * DAY,
        noise=rng.uniform(0.05, 0.5, groups) * DAY,
        correlation=rng.uniform(0.2, 0.9, groups),
        tail=np.full(groups, np.inf) if gaussian else rng.uniform(3.0, 9.0, groups),
        scale=scale,
        rates=rates_of(rng, 1 if market or not pooled else groups, regimes),
    )
    return Case(quotes, schedule_of(quotes, pooled), parameters)


@pytest.fixture(scope="session")
def market():
    """Make a market from a seed; see `make_case`."""
    return make_case


def make_daily_curve(contracts: int, days: int) -> Schedule:
    """Contracts of one underlying, all quoted every day; each day has a move of its own."""
    quotes = np.arange(contracts * (days + 1), dtype=np.int64)
    return Schedule(
        previous=np.maximum(quotes - contracts, -1),
        step=quotes // contracts - 1,
        group=np.zeros_like(quotes),
        first=quotes[:contracts],
        event_start=contracts * np.arange(1, days + 1),
        event_stop=contracts * np.arange(2, days + 2),
        gap=np.minimum(np.arange(days) - 1, 0),
        chain=np.zeros(days, np.int64),
        gap_length=np.array([DAY]),
        gap_chain=np.zeros(1, np.int64),
    )


@pytest.fixture(scope="session")
def daily_curve():
    """Lay out a curve quoted daily; see `make_daily_curve`."""
    return make_daily_curve
