"""Checks of a funding history: intervals, gaps, clocks, signs and caps.

Every check takes settlements sorted by contract, then time, with an index that counts the rows, and
returns one record for each contract it has something to say of, or one of zero rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from bayesbasis.data.checks import Record

INTERVALS = (1.0, 2.0, 4.0, 8.0)
"""Hours between settlements that venues use."""

# A change of interval lasts; a late settlement does not.
_LASTING = 4
_TOLERANCE_HOURS = 0.25
_HOUR_NS = 3.6e12
# A rate of 5 % an interval, one settlement in a hundred: a table in percent.
_IN_PERCENT = 0.05
_AGAINST, _DAYS = -0.3, 30


def drop_missing(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Record]]:
    """Drop settlements without a finite rate."""
    bad = ~(frame["funding_rate"].abs() < np.inf)
    records = _each(frame[bad], "missing rate", "dropped", lambda rows: "no finite rate")
    return frame[~bad].reset_index(drop=True), records


def drop_duplicates(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Record]]:
    """Keep the last row of those of one contract and instant."""
    bad = frame.duplicated(["contract", "time"], keep="last")

    def detail(rows: pd.DataFrame) -> str:
        kept = frame[~bad].set_index(["contract", "time"])["funding_rate"]
        other = kept.reindex(pd.MultiIndex.from_frame(rows[["contract", "time"]])).to_numpy()
        return f"{int((other != rows['funding_rate'].to_numpy()).sum())} with another rate"

    records = _each(frame[bad], "duplicate", "dropped", detail)
    return frame[~bad].reset_index(drop=True), records


def infer_intervals(frame: pd.DataFrame) -> np.ndarray:
    """Hours that each settlement pays for: the interval of its period, not the gap before it.

    Gaps that are no interval of any venue, and changes that do not last, are those of missing or
    late settlements.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``contract`` and ``time``.

    Returns
    -------
    ndarray, shape (row,)
        Of `INTERVALS`.
    """
    result = np.empty(len(frame))
    for start, stop in _contracts(frame):
        result[start:stop] = _intervals(_hours(frame["time"].iloc[start:stop]))
    return result


def scheduled(frame: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """Settlement instants by the venue's clock: the nearest of the contract's usual hours."""
    instants = np.empty(len(frame), dtype="datetime64[ns]")
    for start, stop in _contracts(frame):
        hours = _hours(frame["time"].iloc[start:stop])
        interval = frame["interval"].to_numpy()[start:stop]
        steps = np.round((hours - _phase(hours, interval)) / interval)
        exact = steps * interval + _phase(hours, interval)
        instants[start:stop] = (exact * _HOUR_NS).astype("int64").astype("datetime64[ns]")
    return pd.Series(pd.DatetimeIndex(instants).tz_localize("UTC"), index=frame.index)


def report_intervals(frame: pd.DataFrame) -> list[Record]:
    """Report the interval of each contract, and date its changes."""

    def detail(rows: pd.DataFrame) -> str:
        interval = rows["interval"].to_numpy()
        changed = np.flatnonzero(np.diff(interval)) + 1
        words = [f"{interval[0]:g} h"]
        words += [f"{interval[i]:g} h from {rows['time'].iloc[i]:%Y-%m-%d %H:%M}" for i in changed]
        return ", ".join(words)

    return _each(frame, "interval", "reported", detail)


def report_gaps(frame: pd.DataFrame) -> list[Record]:
    """Report settlements that are missing; the rows are those after a gap."""
    steps = _steps(frame)
    after = steps > 1.5

    def detail(rows: pd.DataFrame) -> str:
        missing = int((np.round(steps[rows.index]) - 1).sum())
        longest = (steps * frame["interval"].to_numpy())[rows.index].max()
        return f"{missing} settlements missing, the longest gap {longest:g} h"

    return _each(frame[after], "gap", "reported", detail)


def report_clocks(frame: pd.DataFrame) -> list[Record]:
    """Report settlements off their contract's clock, and clocks that are not the venue's."""
    off = (frame["time"] - frame["scheduled"]).abs() > pd.Timedelta(hours=_TOLERANCE_HOURS)

    def late(rows: pd.DataFrame) -> str:
        shift = (rows["time"] - rows["scheduled"]).dt.total_seconds() / 3600
        return f"by {shift.min():+.1f} to {shift.max():+.1f} h off the contract's hours"

    records = _each(frame[off], "shifted clock", "reported", late)
    hour = frame["scheduled"].dt.hour + frame["scheduled"].dt.minute / 60
    other = (hour - frame["first_hour"]) % frame["interval"] > _TOLERANCE_HOURS

    def elsewhere(rows: pd.DataFrame) -> str:
        hours = sorted(rows["scheduled"].dt.hour.unique())
        return f"settles at {', '.join(f'{h:02d}' for h in hours)} UTC, unlike its venue"

    return records + _each(frame[other], "other hours", "reported", elsewhere)


def report_caps(frame: pd.DataFrame) -> list[Record]:
    """Report settlements at or beyond the cap."""
    rate, cap = frame["funding_rate"].abs(), frame["cap"]
    hit = rate >= cap - 1e-9

    def detail(rows: pd.DataFrame) -> str:
        beyond = int((rate[rows.index] > cap[rows.index] + 1e-9).sum())
        own = f"cap {100 * cap[rows.index].iloc[-1]:.3f} %"
        return own + (f", {beyond} beyond it" if beyond else "")

    return _each(frame[hit], "at the cap", "reported", detail)


def report_interest(frame: pd.DataFrame) -> list[Record]:
    """Report settlements that paid the interest rate: their premium was in the dead zone."""
    total = frame.groupby("contract")["time"].transform("size")

    def detail(rows: pd.DataFrame) -> str:
        return f"{100 * len(rows) / total[rows.index[0]]:.1f} % of its settlements"

    return _each(frame[frame["dead"]], "at the interest rate", "reported", detail)


def report_signs(frame: pd.DataFrame) -> list[Record]:
    """Report the share of negative rates, contracts that move against others, rates in percent."""

    def negative(rows: pd.DataFrame) -> str:
        share = len(rows) / int(frame["contract"].eq(rows["contract"].iloc[0]).sum())
        return f"{100 * share:.1f} % of its settlements"

    records = _each(frame[frame["funding_rate"] < 0], "negative", "reported", negative)
    large = frame.groupby("contract")["funding_rate"].transform(lambda r: r.abs().quantile(0.99))
    text = "one rate in a hundred is above 5 % an interval: divide by 100 if these are percent"
    records += _each(frame[large > _IN_PERCENT], "unit", "reported", lambda rows: text)
    against = frame["contract"].isin(_opposed(frame))
    text = "moves against the other venues: turn its sign if shorts pay a positive rate there"
    return records + _each(frame[against], "sign", "reported", lambda rows: text)


CHECKS = (report_intervals, report_gaps, report_clocks, report_caps, report_interest)


def _opposed(frame: pd.DataFrame) -> list[str]:
    """Contracts whose daily funding runs against the others' of the underlying."""
    opposed = []
    day = frame["time"].dt.floor("D")
    for _, rows in frame.groupby("underlying", sort=False):
        daily = rows.groupby([day[rows.index], "contract"])["funding_rate"].sum().unstack()
        for name in daily:
            others = daily.drop(columns=name).median(axis=1)
            both = daily[name].notna() & others.notna()
            x, y = daily[name][both].to_numpy(), others[both].to_numpy()
            moves = len(x) >= _DAYS and x.std() > 0 and y.std() > 0
            if moves and np.corrcoef(x, y)[0, 1] < _AGAINST:
                opposed.append(str(name))
    return opposed


def _intervals(hours: np.ndarray) -> np.ndarray:
    gaps = np.diff(hours)
    known = np.array(INTERVALS)
    nearest = known[np.abs(gaps[:, None] - known).argmin(axis=1)] if len(gaps) else gaps
    clear = np.where(np.abs(gaps - nearest) <= _TOLERANCE_HOURS, nearest, np.nan)
    interval = pd.Series(clear).ffill().bfill()
    run = interval.ne(interval.shift()).cumsum()
    lasting = interval.groupby(run).transform("size") >= min(_LASTING, len(interval))
    settled = interval.where(lasting).ffill().bfill().fillna(known[-1]).to_numpy()
    return np.concatenate([settled[:1], settled]) if len(settled) else known[-1:]


def _phase(hours: np.ndarray, interval: np.ndarray) -> np.ndarray:
    """Hours past a multiple of the interval at which most settlements of its period come."""
    phase = np.empty(len(hours))
    for length in np.unique(interval):
        own = interval == length
        offsets, counts = np.unique(np.round(hours[own] % length, 2) % length, return_counts=True)
        phase[own] = offsets[counts.argmax()]
    return phase


def _steps(frame: pd.DataFrame) -> np.ndarray:
    """Time since the last settlement of the contract, in intervals; 1 at its first."""
    gap = frame.groupby("contract", sort=False)["scheduled"].diff().dt.total_seconds() / 3600
    return (gap / frame["interval"]).fillna(1.0).to_numpy()


def _hours(time: pd.Series[pd.Timestamp]) -> np.ndarray:
    return time.to_numpy(dtype="datetime64[ns]").astype("int64") / _HOUR_NS


def _contracts(frame: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """First and last row of every contract."""
    first = np.flatnonzero(frame["contract"].ne(frame["contract"].shift()))
    yield from zip(first, [*first[1:], len(frame)], strict=True)


def _each(
    rows: pd.DataFrame, check: str, action: str, detail: Callable[[pd.DataFrame], str]
) -> list[Record]:
    """Record the rows of every contract, or that there are none."""
    if rows.empty:
        return [Record(check, "", 0, action, pd.NaT, "")]  # type: ignore[arg-type]
    return [
        Record(check, str(name), len(own), action, own["time"].min(), detail(own))  # type: ignore[arg-type]
        for name, own in rows.groupby("contract", sort=False)
    ]
