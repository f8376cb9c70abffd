"""A simulated funding market with known truth."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from bayesbasis.data.exchanges import load_exchange
from bayesbasis.data.funding_rules import BASE_HOURS
from bayesbasis.model.funding_layout import BASIS_POINTS
from bayesbasis.model.funding_parameters import cells_by_rule, chains, driven, own_names
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.process.premia import Rules, as_quoted, draw_rows, simulate_premia, simulate_states

Array = NDArray[Any]

FUNDING_TRUTH: Mapping[str, Any] = {
    "floor": -0.7,
    "level": 3.0,
    "skew": 0.8,
    "width": 1.0,
    "slow_half_life": 90.0,
    "drift": 2.0,
    "drift_half_life": 400.0,
    "swing": 2.0,
    "fast_half_life": 1.0,
    "tail": 0.5,
    "growth": 0.3,
    "volatility_ratio": 2.5,
    "stay": (14.0, 6.0),
    "noise": 1.2,
    "memory": 0.2,
    "coefficient": 2.0,
}
"""Parameters of the simulated market, in the units of `FundingPriors`."""

_COVARIATE_HALF_LIFE = 10.0  # days


def simulate_funding(
    *,
    seed: int,
    days: float = 365.0,
    venues: Sequence[str] = ("binance", "bybit", "okx"),
    underlyings: Sequence[str] = ("BTC", "ETH"),
    spec: FundingSpec = FundingSpec(),  # noqa: B008 (a frozen value)
    truth: Mapping[str, Any] = FUNDING_TRUTH,
    start: str | datetime = "2024-01-01T00:00Z",
) -> pd.DataFrame:
    """Simulate funding histories that the model holds of exactly.

    Parameters
    ----------
    seed : int
        Same seed, same history.
    days : float
        Length.
    venues, underlyings : sequence of str
        A perpetual of every underlying on every venue, by the conventions of the package.
    spec : FundingSpec
        Rungs, regimes, whose chains they are, and covariates: each is simulated, one path for all
        venues of an underlying, mean zero and variance one over its length.
    truth : mapping
        Parameters, like `FUNDING_TRUTH`; a contract's own may be given for all at once or, as a
        sequence, underlying by underlying and venue by venue.
    start : str or datetime
        Instant before the first interval.

    Returns
    -------
    pandas.DataFrame
        What `read_funding` returns, with the latent ``premium`` (per 8 hours) and the covariates
        beside it.

    Examples
    --------
    >>> frame = simulate_funding(seed=1, days=30, venues=["okx"], underlyings=["BTC"])
    >>> len(frame), frame["contract"][0]
    (90, 'okx:BTC-PERP')
    """
    rng = np.random.default_rng(seed)
    begin = pd.Timestamp(start)
    begin = begin.tz_localize("UTC") if begin.tzinfo is None else begin.tz_convert("UTC")
    labels = [(underlying, venue) for underlying in underlyings for venue in venues]
    natural = {name: np.asarray(value, float)[None] for name, value in truth.items()}
    drives = truth["coefficient"] if spec.covariates else ()
    natural["coefficient"] = np.broadcast_to(np.asarray(drives, float), len(spec.covariates))[None]
    paths = _covariate_paths(spec, underlyings, days, seed)
    for name in own_names(spec):
        own = np.broadcast_to(np.asarray(truth[name], float), len(labels))
        natural[name] = own[None]
    rules = [load_exchange(v).funding_rule(u, begin.date()) for u, v in labels]
    hours = np.array([rule.interval_hours for rule in rules])
    share = spec.shared_by == "underlying"
    groups = [[i for i, (u, _) in enumerate(labels) if u == own] for own in underlyings]
    frames = []
    for members in groups if share else [[i] for i in range(len(labels))]:
        grid = np.arange(1, round(days * 24 / hours[members].min()) + 1) * hours[members].min()
        due = grid[:, None] % hours[members] == 0
        gap_days = np.array([hours[members].min() / 24.0])
        clamp = np.array([rules[i].clamp for i in members]) * BASIS_POINTS
        held = [rules[i] for i in members]
        interest = np.array([rule.interest for rule in held]) * BASIS_POINTS
        plain = np.array([rule.rule == "plain" for rule in held])
        cells = cells_by_rule(
            np.array(members), hours[members], 0.0 * hours[members], interest, clamp, plain
        )
        inputs = chains(spec, natural, cells, gap_days, np)
        state = simulate_states(
            draw_rows(inputs["start"], rng),
            (inputs["slow"], inputs["inner"]),
            np.zeros(len(grid), dtype=int),
            rng,
        )
        covariates = paths[labels[members[0]][0]][grid.astype(int)]
        pulled = (1.0 - inputs["memory"][0]) * driven(natural, covariates)[0][:, None]
        premium, funding = simulate_premia(
            state,
            due,
            np.full(len(members), np.nan),
            inputs["location"],
            inputs["scale"],
            inputs["guess"],
            inputs["memory"],
            Rules(
                interest,
                clamp,
                np.array([rule.cap for rule in held]) * BASIS_POINTS * BASE_HOURS / hours[members],
                plain,
                inputs["widening"],
            ),
            rng,
            pulled,
        )
        for column, i in enumerate(members):
            paid = grid[due[:, column]] + held[column].lag_intervals * hours[i]
            underlying, venue = labels[i]
            frames.append(
                pd.DataFrame(
                    {
                        "time": begin + pd.to_timedelta(paid, unit="h"),
                        "venue": venue,
                        "underlying": underlying,
                        "contract": f"{venue}:{underlying}-PERP",
                        "funding_rate": funding[due[:, column], 0, column]
                        * (hours[i] / BASE_HOURS / BASIS_POINTS),
                        "premium": as_quoted(premium[:, 0], interest, clamp, inputs["widening"][0])[
                            due[:, column], column
                        ]
                        / BASIS_POINTS,
                    }
                    | dict(zip(spec.covariates, covariates[due[:, column]].T, strict=True))
                )
            )
    return pd.concat(frames, ignore_index=True)


def _covariate_paths(
    spec: FundingSpec, underlyings: Sequence[str], days: float, seed: int
) -> dict[str, Array]:
    """Covariates of every underlying by the hour, shape (hour, covariate); none share a path."""
    rng = np.random.default_rng([seed, len(spec.covariates)])
    hours = round(days * 24) + 1
    stays = 2.0 ** (-1.0 / (24.0 * _COVARIATE_HALF_LIFE))
    paths = {}
    for underlying in underlyings:
        shocks = rng.standard_normal((hours, len(spec.covariates)))
        path = lfilter([1.0], [1.0, -stays], shocks, axis=0)
        paths[underlying] = (path - path.mean(0)) / path.std(0)
    return paths
