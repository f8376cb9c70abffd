"""Checks: small steps that each take a frame and return it with a record of the rows touched.

Every step takes tidy prices sorted by contract, then time, with an index that is unique; leaves
them unchanged; and returns the rows that stay with one :class:`Record` for each contract touched,
or one of zero rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.typing import NaTType

from bayesbasis.data.schema import PRICES, REQUIRED

type Touch = Literal["drop", "keep"]
type Action = Literal["dropped", "kept", "reported"]

_ACTIONS: dict[Touch, Action] = {"drop": "dropped", "keep": "kept"}
_GROUPS: dict[str, Any] = {"sort": False, "observed": True}
# Below a hundred-thousandth of a basis point a "move" of the basis is rounding.
_NO_MOVE = 1e-9
# Bars around a spike that tell how wild the market was just then, and moves needed to tell it.
_NEAR, _NEAR_MOVES, _MOVES = 9, 3, 5
# The standard deviation of a normal variable is this many of its median sizes.
_NORMAL = 1.4826


class Record(NamedTuple):
    """What one check did to one contract (to none when `contract` is empty and `rows` is 0)."""

    check: str
    contract: str
    rows: int
    action: Action
    first_time: pd.Timestamp | NaTType
    detail: str


def drop_missing(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Record]]:
    """Drop rows in which a price is missing or not finite."""
    bad = ~_finite(frame[list(PRICES)])
    return _touch(frame, "missing price", bad.any(axis=1), "dropped", _counts(bad))


def drop_non_positive(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Record]]:
    """Drop rows in which a price has no logarithm."""
    bad = frame[list(PRICES)] <= 0
    return _touch(frame, "non-positive price", bad.any(axis=1), "dropped", _counts(bad))


def drop_expired(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Record]]:
    """Drop rows at or after the expiry, where nothing is left to converge."""
    bad = frame["time"] >= frame["expiry"]

    def detail(rows: pd.DataFrame) -> str:
        return f"expired at {rows['expiry'].iloc[0]}"

    return _touch(frame, "at or after expiry", bad, "dropped", detail)


def drop_duplicates(
    frame: pd.DataFrame, keep: Literal["last", "first"]
) -> tuple[pd.DataFrame, list[Record]]:
    """Drop all but the last (or first) row of a contract at one time."""
    bad = frame.duplicated(["contract", "time"], keep=keep)
    again = frame.duplicated(["contract", "time", *PRICES], keep=keep)

    def detail(rows: pd.DataFrame) -> str:
        return f"{(~again[rows.index]).sum()} of them with other prices; the {keep} stays"

    return _touch(frame, "duplicate time", bad, "dropped", detail)


def touch_stale(
    frame: pd.DataFrame, bars: int | None, action: Touch
) -> tuple[pd.DataFrame, list[Record]]:
    """Drop or keep futures prices repeated over `bars` bars while spot moved on.

    The move of spot over the repeats must exceed the median size of the moves of that contract,
    so that a quiet market quoted in coarse ticks is not called stale.
    """
    if bars is None:
        return frame, [_nothing("stale futures", _ACTIONS[action], "not tested")]
    repeats, length, moved = _repeats(frame)
    moves = _log(frame["futures"]).groupby(frame["contract"], **_GROUPS).diff().abs()
    typical = moves.where(moves > 0).groupby(frame["contract"], **_GROUPS).transform("median")
    bad = repeats & (length >= bars) & (moved > typical.fillna(0.0))

    def detail(rows: pd.DataFrame) -> str:
        return f"the longest run repeats over {length[rows.index].max():d} bars"

    return _touch(frame, "stale futures", bad, _ACTIONS[action], detail)


def report_closed(frame: pd.DataFrame, bars: int | None) -> tuple[pd.DataFrame, list[Record]]:
    """Report futures and spot that both stand still over `bars` bars, as a closed market does."""
    if bars is None:
        return frame, [_nothing("both prices still", "reported", "not tested")]
    repeats, length, moved = _repeats(frame)

    def detail(rows: pd.DataFrame) -> str:
        return f"the longest run repeats over {length[rows.index].max():d} bars"

    still = repeats & (length >= bars) & (moved == 0)
    return _touch(frame, "both prices still", still, "reported", detail)


def touch_spikes(
    frame: pd.DataFrame, scales: float | None, bars: int, window: int, action: Touch
) -> tuple[pd.DataFrame, list[Record]]:
    """Drop or keep quotes whose basis leaves its neighbours and comes back within `bars` bars.

    With ``r`` the distance of the log basis from its median over ``2·bars + 1`` bars centred on
    the quote, and ``s`` the local scale of its moves, a spike is ``|r| > scales·s``. A jump that
    stays has ``r = 0``, and so has a move that spot shares: it leaves the basis where it was.
    The scale is 1.4826 times the median size of the moves that are not zero, over `window` bars or
    over the 9 nearest, whichever is larger: in a crash, where every bar is wild, none is isolated.
    Not tested are the first and last `bars` quotes of a contract, which cannot be seen to come
    back, and quotes with fewer than 5 moves in the window (3 among the nearest) to set a scale.

    References
    ----------
    Hampel, F. R. (1974), doi 10.1080/01621459.1974.10482962; Davies, L. and Gather, U. (1993),
    doi 10.1080/01621459.1993.10476339.
    """
    if scales is None:
        return frame, [_nothing("isolated spike", _ACTIONS[action], "not tested")]
    basis = _log(frame["futures"] / frame["spot"])
    median = partial(_rolling_median, contract=frame["contract"])
    distance = (basis - median(basis, window=2 * bars + 1, least=2 * bars + 1)).abs()
    moves = basis.groupby(frame["contract"], **_GROUPS).diff().abs()
    moves = moves.where(moves > _NO_MOVE)
    scale = _NORMAL * np.fmax(
        median(moves, window=window, least=_MOVES), median(moves, window=_NEAR, least=_NEAR_MOVES)
    )
    size = distance / scale

    def detail(rows: pd.DataFrame) -> str:
        return f"the largest lies {size[rows.index].max():.1f} local scales away"

    return _touch(frame, "isolated spike", size > scales, _ACTIONS[action], detail)


def drop_short(frame: pd.DataFrame, min_rows: int) -> tuple[pd.DataFrame, list[Record]]:
    """Drop contracts with fewer than `min_rows` rows left."""
    rows = frame.groupby("contract", **_GROUPS)["time"].transform("size")

    def detail(rows: pd.DataFrame) -> str:
        return f"{len(rows)} left, at least {min_rows} wanted"

    return _touch(frame, "contract too short", rows < min_rows, "dropped", detail)


def report_gaps(frame: pd.DataFrame, bars: float | None) -> tuple[pd.DataFrame, list[Record]]:
    """Report rows that follow a wait of more than `bars` typical bars of their contract."""
    if bars is None:
        return frame, [_nothing("gap", "reported", "not tested")]
    days = frame.groupby("contract", **_GROUPS)["time"].diff().dt.total_seconds() / 86_400
    typical = days.groupby(frame["contract"], **_GROUPS).transform("median")

    def detail(rows: pd.DataFrame) -> str:
        longest, usual = days[rows.index].max(), typical[rows.index].iloc[0]
        return f"the longest is {longest:.4g} days where {usual:.4g} are usual; not filled"

    return _touch(frame, "gap", days > bars * typical, "reported", detail)


def report_missing_covariates(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Record]]:
    """Report rows in which a covariate is missing or not finite."""
    bad = ~_finite(covariates(frame))
    return _touch(frame, "missing covariate", bad.any(axis=1), "reported", _counts(bad))


def report_text_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Record]]:
    """Report columns that are neither of the schema nor numbers, which no panel carries."""
    known = {*REQUIRED, "kind", *covariates(frame.iloc[:0])}
    others = [str(name) for name in frame if name not in known]
    detail = f"no numbers, not carried: {', '.join(others)}" if others else ""
    return frame, [_nothing("column of text", "reported", detail)]


def covariates(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the numeric columns beyond the schema, as float64.

    Parameters
    ----------
    frame : pandas.DataFrame
        Tidy prices.

    Returns
    -------
    pandas.DataFrame
        One float64 column for each covariate, whatever its unit.
    """
    others = frame.drop(columns=[*REQUIRED, "kind"], errors="ignore")
    return others.select_dtypes(["number", "bool"]).astype("float64")


def _touch(
    frame: pd.DataFrame,
    check: str,
    bad: pd.Series[bool],
    action: Action,
    detail: Callable[[pd.DataFrame], str],
) -> tuple[pd.DataFrame, list[Record]]:
    """Drop the bad rows, or leave them, and record them for each contract."""
    if not bad.any():
        return frame, [_nothing(check, action)]
    records = [
        Record(check, str(name), len(rows), action, rows["time"].min(), detail(rows))
        for name, rows in frame[bad].groupby("contract", **_GROUPS)
    ]
    return (frame[~bad] if action == "dropped" else frame), records


def _nothing(check: str, action: Action, detail: str = "") -> Record:
    """Return the record of a check that touched no row."""
    return Record(check, "", 0, action, pd.NaT, detail)


def _counts(bad: pd.DataFrame) -> Callable[[pd.DataFrame], str]:
    """Return the detail that counts the bad cells of each column."""

    def detail(rows: pd.DataFrame) -> str:
        counts = bad.loc[rows.index].sum()
        return ", ".join(f"{name} {count}" for name, count in counts.items() if count)

    return detail


def _finite(columns: pd.DataFrame) -> pd.DataFrame:
    """Return whether each cell is a number."""
    return columns.abs() < np.inf


def _log(values: pd.Series[float]) -> pd.Series[float]:
    """Return the natural logarithm."""
    return pd.Series(np.log(values.to_numpy()), index=values.index)


def _repeats(frame: pd.DataFrame) -> tuple[pd.Series[bool], pd.Series[int], pd.Series[float]]:
    """Return for each row whether it repeats the futures price, over how many bars, and the move.

    The bars and the move (the log range of spot) are those of the whole run of equal prices.
    """
    previous = frame.groupby("contract", **_GROUPS)["futures"].shift()
    repeats = frame["futures"].eq(previous)
    run = (~repeats).cumsum()
    spot = _log(frame["spot"]).groupby(run)
    length = repeats.groupby(run).transform("sum").astype("int64")
    return repeats, length, spot.transform("max") - spot.transform("min")


def _rolling_median(
    values: pd.Series[float], window: int, least: int, contract: pd.Series[str]
) -> pd.Series[float]:
    """Return the median over `window` bars of the contract around each row; NaN below `least`."""
    rolling = values.groupby(contract, **_GROUPS).rolling(window, min_periods=least, center=True)
    # Contracts are contiguous, so the groups come back in the order of the rows.
    return pd.Series(rolling.median().to_numpy(), index=values.index)
