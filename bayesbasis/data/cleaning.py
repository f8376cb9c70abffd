"""Cleaning: what counts as a bad row, and the audit of what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from bayesbasis.data import checks
from bayesbasis.data.checks import Record, Touch

type Step = Callable[[pd.DataFrame], tuple[pd.DataFrame, list[Record]]]


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What counts as a bad row, and what happens to it.

    Rows without two finite positive prices, and rows at or after the expiry, always go: they have
    no log basis to converge. The rest is a choice. The defaults take out what no careful trader
    would believe and leave crashes, quiet markets and coarse ticks alone.

    Parameters
    ----------
    duplicates : {"last", "first"}
        Which of several rows of one contract at one time stays, in the order of the table.
    stale_bars : int or None
        Bars in a row over which a futures price repeats while spot moves by more than a typical
        move of that contract, from which the repeats are stale. None tests nothing.
    stale : {"drop", "keep"}
        Whether stale rows go, or stay and are counted.
    spike_scales : float or None
        How far, in local scales of the moves of the log basis, a quote must lie from its
        neighbours to be a spike. None tests nothing.
    spike_bars : int
        Longest spike, in bars: the basis must have left and come back within it.
    spike_window : int
        Bars of the contract, centred on the quote, that give the local scale. Odd.
    spikes : {"drop", "keep"}
        Whether spikes go, or stay and are counted.
    min_rows : int
        Fewest rows of a contract; two make one move. Contracts with fewer go.
    gap_bars : float or None
        A wait longer than this many typical bars of the contract is reported as a gap; nothing is
        filled. None reports nothing.

    Raises
    ------
    ValueError
        When an option has a value that is not allowed.

    Notes
    -----
    A spike is known only once the basis has come back: the test of a row reads the bars that
    follow it. To rehearse a past day exactly, clean only the rows known then.

    Examples
    --------
    >>> from bayesbasis.data.cleaning import Cleaning
    >>> Cleaning(spike_scales=12, stale="keep").stale
    'keep'
    >>> Cleaning(min_rows=0)
    Traceback (most recent call last):
        ...
    ValueError: min_rows must be a whole number of at least 1, got 0
    """

    duplicates: Literal["last", "first"] = "last"
    stale_bars: int | None = 5
    stale: Touch = "drop"
    spike_scales: float | None = 8.0
    spike_bars: int = 1
    spike_window: int = 41
    spikes: Touch = "drop"
    min_rows: int = 2
    gap_bars: float | None = 5.0

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        _one_of("duplicates", self.duplicates, ("last", "first"))
        _one_of("stale", self.stale, ("drop", "keep"))
        _one_of("spikes", self.spikes, ("drop", "keep"))
        for name, least in {"spike_bars": 1, "spike_window": 9, "min_rows": 1}.items():
            _at_least(name, getattr(self, name), least)
        if self.spike_window % 2 == 0:
            raise ValueError(f"spike_window must be odd to have a centre, got {self.spike_window}")
        if self.stale_bars is not None:
            _at_least("stale_bars", self.stale_bars, 1)
        _above("spike_scales", self.spike_scales, 0)
        _above("gap_bars", self.gap_bars, 1)


def _one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a value that is not one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {tuple(allowed)}, got {value!r}")


def _at_least(name: str, value: object, least: int) -> None:
    """Refuse what is not a whole number, or too small a one."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _above(name: str, value: object, least: int) -> None:
    """Refuse what is neither None nor a finite number above `least`."""
    if value is None:
        return
    if not isinstance(value, int | float) or not least < value < np.inf:
        raise ValueError(f"{name} must be a finite number above {least} or None, got {value!r}")


def clean(prices: pd.DataFrame, cleaning: Cleaning) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take every step in turn and tell what it did.

    Parameters
    ----------
    prices : pandas.DataFrame
        Tidy prices, sorted by contract, then time; left unchanged.
    cleaning : Cleaning
        The choices.

    Returns
    -------
    cleaned : pandas.DataFrame
        The rows that stay, in the same order.
    audit : pandas.DataFrame
        One row for each check and contract it touched, or one row of zero rows for a check that
        touched none: ``check``, ``contract``, ``rows``, ``action`` ("dropped", "kept" though
        flagged, or "reported"), ``first_time`` (UTC) and ``detail``. The rows dropped are exactly
        ``attrs["rows_in"] - attrs["rows_out"]``.
    """
    frame, records = prices, list[Record]()
    for step in _steps(cleaning):
        frame, touched = step(frame)
        records += touched
    audit = pd.DataFrame(records, columns=list(Record._fields))
    audit["first_time"] = pd.to_datetime(audit["first_time"], utc=True).dt.as_unit("ns")
    audit.attrs = {"rows_in": len(prices), "rows_out": len(frame)}
    return frame, audit


def _steps(cleaning: Cleaning) -> list[Step]:
    """Return the steps in order: each may rely on those before it."""
    return [
        checks.drop_missing,
        checks.drop_non_positive,
        checks.drop_expired,
        partial(checks.drop_duplicates, keep=cleaning.duplicates),
        partial(checks.touch_stale, bars=cleaning.stale_bars, action=cleaning.stale),
        partial(checks.report_closed, bars=cleaning.stale_bars),
        partial(
            checks.touch_spikes,
            scales=cleaning.spike_scales,
            bars=cleaning.spike_bars,
            window=cleaning.spike_window,
            action=cleaning.spikes,
        ),
        partial(checks.drop_short, min_rows=cleaning.min_rows),
        partial(checks.report_gaps, bars=cleaning.gap_bars),
        checks.report_missing_covariates,
        checks.report_text_columns,
    ]
