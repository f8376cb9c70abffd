"""What exchanges pay and when: dated conventions of every venue.

A record is a TOML file in ``conventions/``, one a venue, installed with the package. It holds dated
tables, because intervals, caps and settlement windows change.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from bayesbasis.data.funding_rules import CHOICES, FundingRule


class ExchangeError(ValueError):
    """A convention that cannot be found or read; the message says where, why and what to do."""


@dataclass(frozen=True)
class SettlementRule:
    """How a venue settles dated futures.

    Parameters
    ----------
    since : date
        First day on which it holds (UTC).
    expiry : str
        When, in words.
    window_minutes : float
        The index is averaged over this long before.
    """

    since: date
    expiry: str
    window_minutes: float


@dataclass(frozen=True)
class Exchange:
    """The conventions of one venue.

    Parameters
    ----------
    venue : str
        Its name.
    funding : tuple of FundingRule
        By date; empty where there are no perpetuals.
    settlement : tuple of SettlementRule
        By date; empty where there are no dated futures.
    overrides : tuple
        ``(underlying, FundingRule)`` for underlyings with rules of their own, by date.
    """

    venue: str
    funding: tuple[FundingRule, ...] = ()
    settlement: tuple[SettlementRule, ...] = ()
    overrides: tuple[tuple[str, FundingRule], ...] = ()

    def funding_rule(self, underlying: str, when: date | datetime | np.datetime64) -> FundingRule:
        """Return the rule of an underlying's perpetual on a day (UTC).

        Raises
        ------
        ExchangeError
            If there was none yet.
        """
        own = tuple(rule for name, rule in self.overrides if name == underlying)
        return _in_force(own or self.funding, when, f"{self.venue} funding")

    def settlement_rule(self, when: date | datetime | np.datetime64) -> SettlementRule:
        """Return how dated futures settled on a day (UTC)."""
        return _in_force(self.settlement, when, f"{self.venue} settlement of dated futures")


def list_exchanges() -> list[str]:
    """Names of the venues whose conventions come with the package."""
    return sorted(f.name[:-5] for f in _shipped().iterdir() if f.name.endswith(".toml"))


def load_exchange(name_or_path: str | PathLike[str]) -> Exchange:
    """Read the conventions of a venue that come with the package, or a file of your own.

    Parameters
    ----------
    name_or_path : str or path
        A path ends in ``.toml``.

    Raises
    ------
    ExchangeError
        If there is none, or it holds a key or a value that is not known.

    Examples
    --------
    >>> load_exchange("hyperliquid").funding[0].interval_hours
    1.0
    """
    label = fspath(name_or_path)
    if label.lower().endswith(".toml"):
        if not Path(label).is_file():
            raise ExchangeError(f"no conventions at {label!r}; by name there is {_listed()}")
        return read_exchange(Path(label).read_text(encoding="utf-8"))
    if label not in list_exchanges():
        close = get_close_matches(label.lower(), list_exchanges(), 1)
        guess = f" did you mean {close[0]!r}?" if close else ""
        raise ExchangeError(
            f"no conventions are known of venue {label!r};{guess} there is {_listed()}. "
            "Write a record of your own and give its path, ending in .toml"
        )
    return _load_shipped(label)


def read_exchange(text: str) -> Exchange:
    """Read conventions from their TOML text and check every key and value.

    Raises
    ------
    ExchangeError
        If the text is not TOML, or holds what no record may.
    """
    try:
        table = tomllib.loads(text)
    except ValueError as error:
        raise ExchangeError(f"conventions are not TOML: {error}") from error
    venue = table.get("venue")
    if not isinstance(venue, str) or not venue:
        raise ExchangeError('conventions lack their venue: begin with venue = "name"')
    _refuse_unknown(table, ("venue", "funding", "settlement"), venue)
    plain, own = [], []
    for entry in table.get("funding", []):
        rule = _rule(FundingRule, {k: v for k, v in entry.items() if k != "underlyings"}, venue)
        plain.append(rule)
        own += [
            (name, _rule(FundingRule, changes, venue, rule))
            for name, changes in entry.get("underlyings", {}).items()
        ]
    settlement = [_rule(SettlementRule, entry, venue) for entry in table.get("settlement", [])]
    for rules in (plain, settlement):
        dates = [rule.since for rule in rules]
        if dates != sorted(set(dates)):
            raise ExchangeError(f"{venue}: tables must follow one another by their dates 'since'")
    return Exchange(venue, tuple(plain), tuple(settlement), tuple(own))


def _rule(cls: Any, table: Mapping[str, Any], venue: str, base: Any = None) -> Any:
    known = {field.name: field for field in fields(cls)}
    _refuse_unknown(table, known, venue)
    values = {name: _value(name, value, venue) for name, value in table.items()}
    if "since" not in values and base is None:
        raise ExchangeError(f"{venue}: a table lacks its date, such as since = 2024-01-31")
    try:
        return cls(**values) if base is None else replace(base, **values)
    except (TypeError, ValueError) as error:
        raise ExchangeError(f"{venue}: {error}") from error


def _value(name: str, value: Any, venue: str) -> Any:
    if name == "interest" and isinstance(value, dict):
        _refuse_unknown(value, ("quote", "base"), venue)
        return (value["quote"] - value["base"]) / 3.0
    wants_text = name in (*CHOICES, "expiry")
    fits = {
        "since": isinstance(value, date) and not isinstance(value, datetime),
        "lag_intervals": isinstance(value, int),
    }.get(name, isinstance(value, str if wants_text else int | float))
    if not fits or isinstance(value, bool):
        raise ExchangeError(f"{venue}: {name} is {value!r}, which it cannot be")
    return float(value) if isinstance(value, int) and name != "lag_intervals" else value


def _refuse_unknown(table: Iterable[str], known: Iterable[str], venue: str) -> None:
    for key in table:
        if key not in known:
            close = get_close_matches(key, list(known), 1)
            guess = f"; did you mean {close[0]!r}?" if close else ""
            raise ExchangeError(
                f"{venue}: unknown key {key!r}{guess} It takes {', '.join(map(repr, known))}"
            )


def _in_force(rules: tuple[Any, ...], when: date | datetime | np.datetime64, what: str) -> Any:
    day = np.datetime64(when, "D")
    held = [rule for rule in rules if np.datetime64(rule.since, "D") <= day]
    if not held:
        first = f"they begin on {rules[0].since}" if rules else "there are none"
        raise ExchangeError(f"no conventions of {what} on {day}: {first}")
    return held[-1]


@cache
def _load_shipped(name: str) -> Exchange:
    return read_exchange((_shipped() / f"{name}.toml").read_text(encoding="utf-8"))


def _shipped() -> Traversable:
    """Folder of the records."""
    return files("bayesbasis") / "data" / "conventions"


def _listed() -> str:
    return ", ".join(list_exchanges())
