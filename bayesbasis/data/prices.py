"""Reading prices: a table that means what it says becomes a tidy UTC frame, any other an error."""

from __future__ import annotations

import difflib
import os
import re
import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesbasis.data.schema import (
    INSTANTS,
    LABELS,
    PRICES,
    REQUIRED,
    PriceError,
    offence,
    refuse,
    validated,
)

__all__ = ["PriceError", "PricesSource", "read_prices"]

type PricesSource = str | os.PathLike[str] | pd.DataFrame

# A zone can only follow an hour: the "-29" of "2024-03-29" is a day, not an offset.
_ZONE = r"[T ]\d{2}.*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"


def read_prices(source: PricesSource, *, timezone: str | None = None) -> pd.DataFrame:
    """Read and validate a table of futures and spot prices.

    One row is one quote of one contract. The columns ``time``, ``underlying``, ``venue``,
    ``contract``, ``expiry``, ``futures`` and ``spot`` are required; ``kind`` (``"dated"``, the
    default, or how often such contracts expire, such as ``"weekly"`` or ``"quarterly"``, or
    ``"perpetual"``) and ``volume`` are known, and every other column is kept as it is.
    Timestamps may be written as ISO 8601 text, prices as integers or numeric text. Nothing is
    dropped or repaired here: missing and non-positive prices, duplicates and the like are left to
    :func:`~bayesbasis.data.panel.make_panel`, which counts what it does.

    Parameters
    ----------
    source : str, os.PathLike or pandas.DataFrame
        Path to a ``.csv``, ``.csv.gz`` or ``.parquet`` file, or a frame (left unchanged).
    timezone : str, optional
        IANA name of the zone of timestamps written without one, such as ``"UTC"``. Without it
        they are an error: the same digits mean another instant in London and in Chicago.
        Timestamps that carry a zone keep it. A date alone is its midnight.

    Returns
    -------
    pandas.DataFrame
        A new frame in the row order of `source` with a fresh index: ``time`` and ``expiry``
        (datetime64[ns, UTC]), the labels and ``kind`` (str), ``futures`` and ``spot`` (float64,
        quote currency), then the other columns. Perpetuals are kept, their ``expiry`` is NaT.

    Raises
    ------
    PriceError
        When a column is missing or of the wrong type, a timestamp has no zone, a dated contract
        has no expiry, two expiries or one before its first quote, a contract name is shared by
        two venues, no row has a usable price, or the file cannot be read. The message names the
        column, the contract, the first offending row (counted from 0) and the remedy.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesbasis.data.prices import read_prices
    >>> frame = pd.DataFrame(
    ...     {
    ...         "time": ["2024-01-02T00:00Z", "2024-01-03T00:00Z"],
    ...         "underlying": "BTC",
    ...         "venue": "deribit",
    ...         "contract": "BTC-29MAR24",
    ...         "expiry": "2024-03-29T08:00Z",
    ...         "futures": [46100, 44100],
    ...         "spot": [45000.0, 43100.0],
    ...     }
    ... )
    >>> read_prices(frame)[["time", "futures", "kind"]]
                           time  futures   kind
    0 2024-01-02 00:00:00+00:00  46100.0  dated
    1 2024-01-03 00:00:00+00:00  44100.0  dated
    """
    raw = load_table(source)
    require_columns(raw)
    columns = {
        **{name: instants(raw, name, zone_named(timezone)) for name in INSTANTS},
        **{name: labels(raw, name) for name in LABELS},
        **{name: numbers(raw, name) for name in (*PRICES, "volume") if name in raw},
        "kind": labels(raw, "kind") if "kind" in raw else "dated",
    }
    first = [*REQUIRED, "kind"]
    frame = raw.assign(**columns)
    return validated(frame[first + [name for name in frame if name not in first]])


# Sources ---------------------------------------------------------------------------------------


def load_table(
    source: PricesSource,
    required: Sequence[str] = REQUIRED,
    what: str = "a price table has one row a quote",
) -> pd.DataFrame:
    """Return `source` as a frame of its own with unique column names and a fresh index."""
    frame = source if isinstance(source, pd.DataFrame) else _load(source)
    if set(frame.index.names) & set(required) - set(frame.columns):
        frame = frame.reset_index()
    frame = frame.reset_index(drop=True).rename(columns=str)
    if frame.empty:
        raise PriceError(f"no rows: {what}, with {_listed(required)}.")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise PriceError(f"column {twice[0]!r}: appears twice. Keep one of them.")
    return frame


def _load(source: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the file at `source` by its suffix."""
    if not isinstance(source, str | os.PathLike):
        raise PriceError(
            f"prices must be a path or a pandas.DataFrame, got {type(source).__name__}"
        )
    path = Path(source).expanduser()
    if not path.is_file():
        siblings = (file.name for file in path.parent.glob("*"))
        raise PriceError(f"{str(path)!r}: no such file{_did_you_mean(path.name, siblings)}")
    readers = _readers()
    suffix = next((known for known in readers if path.name.lower().endswith(known)), None)
    if suffix is None:
        raise PriceError(
            f"{str(path)!r}: unknown suffix {path.suffix!r}, expected one of "
            f"{_listed(readers)}. Convert the file, or pass a pandas.DataFrame."
        )
    try:
        return readers[suffix](path)
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise PriceError(f"{str(path)!r}: cannot be read as {suffix}: {reason}") from error


def _readers() -> dict[str, Callable[[Path], pd.DataFrame]]:
    """Return the reader of every known suffix."""
    return {".csv": _read_csv, ".csv.gz": _read_csv, ".parquet": pd.read_parquet}


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file with the labels as text: "0624" is a name, not a number."""
    return pd.read_csv(path, dtype=dict.fromkeys((*LABELS, "kind"), "str"))


def require_columns(frame: pd.DataFrame, required: Sequence[str] = REQUIRED) -> None:
    """Raise for the first required column that `frame` lacks."""
    for name in required:
        if name not in frame:
            others = [str(column) for column in frame if column not in required]
            raise PriceError(
                f"column {name!r}: missing{_did_you_mean(name, others)} Needed are "
                f"{_listed(required)}, found are {_listed(frame.columns)}. Rename or add it."
            )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of `known`, else a full stop."""
    plain = {candidate.strip().lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), plain, n=1)
    return f"; did you mean {plain[close[0]]!r}?" if close else "."


def _listed(names: Iterable[str]) -> str:
    """Return the names quoted and separated by commas."""
    return ", ".join(repr(name) for name in names)


# Columns ---------------------------------------------------------------------------------------


def numbers(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return the column as float64; what is missing stays missing."""
    values = frame[name]
    if values.dtype.kind not in "iuf":
        missing = pd.Series(np.nan, index=values.index)
        cells = values.astype(object) if _is_text(values) else missing
        parsed = pd.to_numeric(cells, errors="coerce")
        remedy = "Write plain numbers such as 1234.5, and leave the cell empty where there is none"
        bad = parsed.isna() & values.notna()
        refuse(frame, name, bad, "{!r} is not a number", remedy)
        values = parsed
    return pd.Series(values.to_numpy(dtype="float64", na_value=np.nan), index=values.index)


def labels(frame: pd.DataFrame, name: str) -> pd.Series[str]:
    """Return the column as text; whole numbers are names too (``240329``)."""
    values = frame[name]
    if values.dtype.kind not in "iu" and not isinstance(values.dtype, pd.StringDtype):
        named = values.map(lambda value: isinstance(value, str | int), na_action="ignore")
        bad = values.notna() & ~named.astype(object).eq(True)
        refuse(frame, name, bad, "{!r} is not a name", "Write names as text")
    return values.astype("str")


def instants(
    frame: pd.DataFrame, name: str, zone: zoneinfo.ZoneInfo | None
) -> pd.Series[pd.Timestamp]:
    """Return the column as UTC instants at nanosecond resolution."""
    values = frame[name]
    instants: pd.Series[pd.Timestamp]
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        instants = values.dt.tz_convert("UTC")
    elif values.dtype.kind == "M":
        instants = _localised(frame, name, values, zone)
    elif _is_text(values) or values.isna().all():
        instants = _parsed(frame, name, zone)
    else:
        call = f"pd.to_datetime(prices[{name!r}], unit='ms', utc=True)"
        remedy = f"If it counts milliseconds from 1970, convert it: {call}"
        raise offence(frame, name, values.notna(), "{!r} is not a timestamp", remedy)
    far = instants.notna() & ~instants.dt.year.between(1678, 2261)
    remedy = "Leave the expiry of a perpetual empty and set its kind to 'perpetual'"
    refuse(frame, name, far, "{} is not between the years 1678 and 2261", remedy)
    return instants.dt.as_unit("ns")


def _parsed(
    frame: pd.DataFrame, name: str, zone: zoneinfo.ZoneInfo | None
) -> pd.Series[pd.Timestamp]:
    """Parse ISO 8601 text, or dates and datetimes of any zone; each distinct value once."""
    codes, distinct = pd.factorize(frame[name])
    text = pd.Series([_iso(value) for value in distinct], dtype="str")
    zoned = text.str.contains(_ZONE, regex=True).astype(bool)
    instants = pd.to_datetime(text.where(zoned), format="ISO8601", errors="coerce", utc=True)
    local = pd.to_datetime(text.mask(zoned), format="ISO8601", errors="coerce")
    instants, local = (s.reindex(codes).set_axis(frame.index) for s in (instants, local))
    bad = instants.isna() & local.isna() & (codes >= 0)
    remedy = "Write ISO 8601 with an offset, such as 2024-03-29T08:00:00Z"
    refuse(frame, name, bad, "{!r} is not a timestamp", remedy)
    if local.isna().all():
        return instants
    return instants.fillna(_localised(frame, name, local, zone))


def _localised(
    frame: pd.DataFrame,
    name: str,
    local: pd.Series[pd.Timestamp],
    zone: zoneinfo.ZoneInfo | None,
) -> pd.Series[pd.Timestamp]:
    """Read local times in `zone`, refusing those that it has twice or never."""
    if zone is None:
        unlike = ", unlike others of the column," if frame[name].count() > local.count() else ""
        said = f"{{}}{unlike} carries no time zone, so its instant is ambiguous"
        remedy = (
            "Pass timezone='UTC', or the IANA name of the zone it was written in such as "
            "'America/Chicago', or write the offset: 2024-03-29T08:00:00Z"
        )
        refuse(frame, name, local.notna(), said, remedy)
        return local.dt.tz_localize("UTC")
    instants = local.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    bad = instants.isna() & local.notna()
    said = f"{{}} happens twice or never in {zone}, where the clocks change"
    refuse(frame, name, bad, said, "Write the offset, such as 2024-11-03T01:30:00-05:00")
    return instants.dt.tz_convert("UTC")


def zone_named(timezone: str | None) -> zoneinfo.ZoneInfo | None:
    """Return the zone of that IANA name."""
    if timezone is None:
        return None
    try:
        return zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        guess = _did_you_mean(timezone, zoneinfo.available_timezones())
        raise PriceError(
            f"timezone {timezone!r}: not an IANA name{guess} Pass one such as 'UTC'."
        ) from error


def _iso(value: object) -> str:
    """Return a date or text as ISO 8601 text; anything else as its repr, which is none."""
    if isinstance(value, date):
        return value.isoformat()
    # "2024-03-29 08:00:00 UTC" is how several databases export an instant.
    return re.sub(r" ?UTC$", "Z", value.strip()) if isinstance(value, str) else repr(value)


def _is_text(values: pd.Series[Any]) -> bool:
    """Tell whether the column holds text, or Python objects that may be text."""
    kinds = (pd.StringDtype, pd.CategoricalDtype)
    return isinstance(values.dtype, kinds) or values.dtype == object
