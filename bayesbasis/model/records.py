"""Frozen records as TOML tables, checked field by field.

Registries turn the names of parts into classes, so nothing that is read is executed. Reader and
writer follow the fields of the dataclasses: a part that gains a field, or a registry that gains a
law, needs no line here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from sys import float_info
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from bayesbasis.model.priors import DISTRIBUTIONS, Prior
from bayesbasis.process.equilibria import EQUILIBRIA, Equilibrium
from bayesbasis.process.laws import LAWS, Law

_REGISTRIES: Mapping[Any, tuple[str, Mapping[str, Any]]] = {
    Law: ("name", LAWS),
    Equilibrium: ("name", EQUILIBRIA),
    Prior: ("distribution", DISTRIBUTIONS),
}
"""For every kind of part that a card chooses by name: the key that names it, and the choices."""

_SCALARS: Mapping[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a finite number",
    str: "a string",
}

_NAMES = tuple[str, ...]


class CardError(ValueError):
    """A card that cannot be found, read or written; the message says where, why and what to do."""


@dataclass(frozen=True)
class Place:
    """Where in a card a value stands, for messages."""

    card: str
    keys: tuple[str, ...] = ()

    def inside(self, key: str) -> "Place":
        """Step into a table."""
        return Place(self.card, (*self.keys, key))

    def error(self, text: str) -> CardError:
        """Say what is wrong here."""
        table = [f"table [{key}]" for key in self.keys[:1]]
        return CardError(", ".join([f"card {self.card!r}", *table, *self.keys[1:]]) + f": {text}")


def build_record(cls: Any, table: Mapping[str, Any], place: Place, *tags: str) -> Any:
    """Build a dataclass from a table, every field by its annotation."""
    hints, known = get_type_hints(cls), {field.name: field for field in fields(cls)}
    for key in table:
        if key not in known:
            what = "key" if place.keys else "table or key"
            raise place.error(f"unknown {what} {key!r}{instead(key, [*tags, *known])}")
    for name, field in known.items():
        if name not in table and field.default is field.default_factory is MISSING:
            raise place.error(f"{name} is missing; it takes {_wanted(hints[name])}")
    values = {key: _value(hints[key], key, value, place) for key, value in table.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise place.error(str(error)) from error


def _value(hint: Any, key: str, value: Any, place: Place) -> Any:
    """Check one value against the annotation of its field, and build what it stands for."""
    if get_origin(hint) is Literal:
        return _choice(key, value, get_args(hint), place)
    if hint not in _REGISTRIES and NoneType in get_args(hint):
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    if hint in _SCALARS:
        return _scalar(hint, key, value, place)
    if hint == _NAMES:
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return tuple(value)
        raise place.error(f"{key} is {_shown(value)}; it takes {_wanted(hint)}")
    if not isinstance(value, dict):
        raise place.error(f"{key} is {_shown(value)}; it takes {_wanted(hint)}")
    place = place.inside(key)
    if hint not in _REGISTRIES:
        return build_record(hint, value, place)
    tag, registry = _REGISTRIES[hint]
    if tag not in value:
        there = one_of(value, "and") if value else "nothing"
        raise place.error(f"{tag} is missing, there is {there}; it takes {one_of(registry)}")
    cls = registry[_choice(tag, value[tag], registry, place)]
    return build_record(cls, {key: inner for key, inner in value.items() if key != tag}, place, tag)


def _choice(key: str, value: Any, options: Iterable[str], place: Place) -> str:
    if isinstance(value, str) and value in options:
        return value
    raise place.error(f"{key} is {_shown(value)}{instead(value, options)}")


def _scalar(hint: Any, key: str, value: Any, place: Place) -> Any:
    # To Python a boolean is an integer; to a card it is neither that nor a number.
    if isinstance(value, bool) == (hint is bool):
        if hint is float and isinstance(value, int | float) and abs(value) <= float_info.max:
            return float(value)
        if hint is not float and isinstance(value, hint):
            return value
    raise place.error(f"{key} is {_shown(value)}; it takes {_wanted(hint)}")


def plain_record(hint: Any, value: Any, place: Place) -> Any:
    """Turn a part of a model into what TOML holds: tables, strings and numbers."""
    record = {}
    if hint in _REGISTRIES:
        tag, registry = _REGISTRIES[hint]
        named = [name for name, cls in registry.items() if cls is type(value)]
        if not named:
            raise place.error(f"a card cannot name {value!r}; it can name {one_of(registry)}")
        record[tag] = named[0]
    if isinstance(value, tuple):
        return list(value)
    if not is_dataclass(value):
        return value.item() if isinstance(value, np.generic) else value
    hints = get_type_hints(type(value))
    for field in fields(value):
        inner = getattr(value, field.name)
        # What a model does without is not in its card.
        if inner is None and NoneType in get_args(hints[field.name]):
            continue
        record[field.name] = plain_record(hints[field.name], inner, place.inside(field.name))
    return record


def instead(got: Any, options: Iterable[str], verb: str = "it takes") -> str:
    """Say what was probably meant, and what there is."""
    options = list(options)
    close = get_close_matches(got.lower(), options, 1) if isinstance(got, str) else []
    question = f" did you mean {close[0]!r}? {verb[0].upper()}" if close else f" {verb[0]}"
    return f";{question}{verb[1:]} {one_of(options)}"


def one_of(options: Iterable[str], link: str = "or") -> str:
    """Name all that there is."""
    *most, last = map(repr, options)
    return f"{', '.join(most)} {link} {last}" if most else last


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return one_of(get_args(hint))
    if hint in _REGISTRIES:
        tag, registry = _REGISTRIES[hint]
        return f'a table such as {{ {tag} = "{next(iter(registry))}", ... }}'
    return "an array of strings" if hint == _NAMES else _SCALARS.get(hint, "a table")


def _shown(value: Any) -> str:
    """Show a value as a card would hold it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    return repr(value) if isinstance(value, str) else str(value)
