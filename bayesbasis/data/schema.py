"""The schema of a price table: its columns, what every row satisfies, and the error if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import pandera.pandas as pa

INSTANTS = ("time", "expiry")
LABELS = ("underlying", "venue", "contract")
PRICES = ("futures", "spot")
REQUIRED = ("time", *LABELS, "expiry", *PRICES)
KINDS = ("dated", "daily", "weekly", "biweekly", "monthly", "quarterly", "perpetual")


class PriceError(ValueError):
    """Prices that no honest reading can save; the message says where, why and what to do."""


def offence(
    frame: pd.DataFrame, column: str, bad: pd.Series[bool], said: str, remedy: str
) -> PriceError:
    """Return the error for the first bad row.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table as it came, or as it was read.
    column : str
        The column at fault.
    bad : pandas.Series of bool
        True for each offending row; at least one is.
    said : str
        What is wrong; ``{}`` stands for the cell.
    remedy : str
        What to do about it.

    Returns
    -------
    PriceError
        One line with the column, the contract, the row (counted from 0), its values, the remedy.
    """
    row = int(np.flatnonzero(bad)[0])
    shown = [name for name in (*INSTANTS, *PRICES) if name in frame]
    cells = {name: frame[name].iloc[row] for name in (column, "contract", *shown)}
    cell = cells[column].item() if isinstance(cells[column], np.generic) else cells[column]
    values = ", ".join(f"{name}={cells[name]}" for name in shown)
    return PriceError(
        f"column {column!r}, contract {str(cells['contract'])!r}, row {row} (counted from 0): "
        f"{said.format(cell)}; the row holds {values}. {remedy}."
    )


def refuse(frame: pd.DataFrame, column: str, bad: pd.Series[bool], said: str, remedy: str) -> None:
    """Raise the error of :func:`offence` when a row is bad."""
    if bad.any():
        raise offence(frame, column, bad, said, remedy)


def validated(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` if it has the schema of a price table.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table with the columns of the right types and an index that counts the rows.

    Returns
    -------
    pandas.DataFrame
        The same rows.

    Raises
    ------
    PriceError
        For the first rule that a row breaks, naming its first such row.
    """
    # A third of a second that only reading prices needs.
    from pandera.errors import SchemaError  # noqa: PLC0415

    try:
        return _schema().validate(frame)
    except SchemaError as error:
        broken = next(
            (rule for rule in _RULES if rule.name == getattr(error.check, "name", "")), None
        )
        if broken is None:
            raise PriceError(str(error)) from error
        bad = ~broken.holds(frame)
        said = broken.said(frame, int(np.flatnonzero(bad)[0]))
        raise offence(frame, broken.column, bad, said, broken.remedy) from None


@dataclass(frozen=True)
class _Rule:
    """What every row satisfies, and what to say of one that does not."""

    name: str
    column: str
    holds: Callable[[pd.DataFrame], pd.Series[bool]]
    said: Callable[[pd.DataFrame, int], str]
    remedy: str


def _filled(column: str) -> _Rule:
    """Return the rule that no cell of the column is empty."""
    return _Rule(
        f"{column} is filled",
        column,
        lambda frame: frame[column].notna() & frame[column].ne(""),
        lambda frame, row: "the cell is empty",
        f"Fill it, or drop such rows: prices[prices[{column!r}].notna()]",
    )


def _per_contract(frame: pd.DataFrame, column: str, how: Literal["first", "min"]) -> pd.Series[Any]:
    """Return the ``first`` or ``min`` of the column over the contract of each row."""
    return frame.groupby("contract", sort=False)[column].transform(how)


def _dated(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return whether each row is of a dated contract."""
    return frame["kind"].ne("perpetual")


def _at_home(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return whether each row has the underlying and the venue of its contract's first row."""
    same = [frame[name].eq(_per_contract(frame, name, "first")) for name in ("underlying", "venue")]
    return same[0] & same[1]


def _two_homes(frame: pd.DataFrame, row: int) -> str:
    """Name the two markets that list a contract of one name."""
    here = frame.iloc[row]
    first = frame[frame["contract"].eq(here["contract"])].iloc[0]
    markets = [f"{at['underlying']!r} on {at['venue']!r}" for at in (first, here)]
    return f"the contract is listed for {' and for '.join(markets)}"


def _two_expiries(frame: pd.DataFrame, row: int) -> str:
    """Name the two expiries of a contract."""
    here = frame.iloc[row]
    first = frame[frame["contract"].eq(here["contract"])].iloc[0]
    return f"the contract has two expiries, {first['expiry']} and {here['expiry']}"


def _usable(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return True throughout when any row has both prices, finite and positive."""
    usable = np.logical_and.reduce([(frame[p] > 0) & np.isfinite(frame[p]) for p in PRICES])
    return pd.Series(usable.any(), index=frame.index)


_RULES = (
    *(_filled(column) for column in ("time", *LABELS)),
    _Rule(
        "kind is known",
        "kind",
        lambda frame: frame["kind"].isin(KINDS),
        lambda frame, row: f"kind {frame['kind'].iloc[row]!r} is not one of {KINDS}",
        "Say 'dated' for futures that expire, or how often they do, and 'perpetual' for those "
        "that do not",
    ),
    _Rule(
        "dated contracts expire",
        "expiry",
        lambda frame: frame["expiry"].notna() | ~_dated(frame),
        lambda frame, row: "a dated contract has no expiry",
        "Give its settlement instant in every row, or set its kind to 'perpetual'",
    ),
    _Rule(
        "perpetuals never expire",
        "expiry",
        lambda frame: frame["expiry"].isna() | _dated(frame),
        lambda frame, row: "a perpetual has an expiry",
        "Leave the expiry of a perpetual empty, or set its kind to 'dated'",
    ),
    _Rule(
        "dated or perpetual throughout",
        "kind",
        lambda frame: _dated(frame) == _per_contract(frame, "kind", "first").ne("perpetual"),
        lambda frame, row: "the contract is dated in some rows and perpetual in others",
        "Let it be one or the other, or give two names to two contracts",
    ),
    _Rule(
        "one market a contract",
        "contract",
        _at_home,
        _two_homes,
        "Tell them apart by name: prices['contract'] = prices['venue'] + ':' + prices['contract']",
    ),
    _Rule(
        "one expiry a contract",
        "expiry",
        lambda frame: frame["expiry"].eq(_per_contract(frame, "expiry", "first")) | ~_dated(frame),
        _two_expiries,
        "Give each contract one settlement instant, or two names to two contracts",
    ),
    _Rule(
        "expiry after the first quote",
        "expiry",
        lambda frame: (frame["expiry"] > _per_contract(frame, "time", "min")) | ~_dated(frame),
        lambda frame, row: (
            f"the contract's first quote, {_per_contract(frame, 'time', 'min').iloc[row]}, "
            "is not before its expiry"
        ),
        "Check that expiry and time are the right way round and in the right zones",
    ),
    _Rule(
        "some row has prices",
        "futures",
        _usable,
        lambda frame, row: "no row of the table has a positive futures and spot price",
        "Check that the prices are in these columns and were read as numbers",
    ),
)


@cache
def _schema() -> pa.DataFrameSchema:
    """Return the schema of a price table after its columns were read."""
    import pandera.pandas as pa  # noqa: PLC0415

    types = {
        **dict.fromkeys(INSTANTS, pd.DatetimeTZDtype("ns", "UTC")),
        **dict.fromkeys((*LABELS, "kind"), pd.StringDtype(na_value=np.nan)),
        **dict.fromkeys(PRICES, "float64"),
    }
    return pa.DataFrameSchema(
        columns={name: pa.Column(dtype, nullable=True) for name, dtype in types.items()},
        checks=[
            pa.Check(rule.holds, name=rule.name, ignore_na=False, n_failure_cases=1)
            for rule in _RULES
        ],
    )
