"""Model cards: a `Spec` as a TOML file that people read, edit and keep."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from uuid import uuid4

import tomlkit
from tomlkit.items import InlineTable, Table

from bayesbasis.model.records import (
    CardError,
    Place,
    build_record,
    instead,
    one_of,
    plain_record,
)
from bayesbasis.model.spec import Spec

_UNITS = {
    "carry_mean": "% a year",
    "carry_between_venues": "% a year",
    "carry_between_kinds": "% a year",
    "carry_between_underlyings": "% a year",
    "carry_between_contracts": "% a year",
    "level_mean": "% above the mean spot of the panel",
    "level_between_venues": "%",
    "level_between_kinds": "%",
    "level_between_underlyings": "%",
    "level_between_contracts": "%",
    "spot_half_life": "days",
    "transient_half_life": "days",
    "transient_share": "of a move of spot",
    "half_life": "days",
    "anchor": "γ, no unit",
    "volatility_exponent": "η, no unit",
    "slack": "ε, days",
    "volatility": "bp per √day, calmest regime (stochastic: median), 30 days from expiry",
    "volatility_ratio": "over the next calmer regime",
    "speed_ratio": "of mean reversion, over the calmest regime",
    "volatility_spread": "of the logarithm of volatility, where it is stochastic",
    "volatility_half_life": "days",
    "stay": "days",
    "jump": "log odds of the calmer of two regimes jumped to",
    "coefficient": "% a year per standard deviation of the covariate",
    "coefficient_between": "% a year per standard deviation",
    "speed_coefficient": "of the logarithm of speed, per standard deviation",
    "speed_coefficient_between": "of the logarithm of speed, per standard deviation",
    "stay_coefficient": "of the logarithm of stays, per standard deviation",
    "stay_coefficient_between": "of the logarithm of stays, per standard deviation",
    "noise": "days of diffusion, 30 days from expiry",
    "correlation": "of shocks along the curve",
    "tail": "degrees of freedom",
    "between_underlyings": "in standard deviations of each parameter's prior",
    "between_venues": "in standard deviations of each parameter's prior",
    "between_kinds": "in standard deviations of each parameter's prior",
    "between_contracts": "in standard deviations of each parameter's prior",
}

_SPOT_UNITS = {
    "volatility": "% per √year, calmest regime",
    "volatility_ratio": "over the next calmer regime; may be below 1",
    "correlation": "with the mean shock of the curve, in every regime",
}


def list_cards() -> list[str]:
    """Names of the cards that come with the package.

    Returns
    -------
    list of str
        Sorted; each can be given to `load_card`.

    Examples
    --------
    >>> "anchored-regimes" in list_cards()
    True
    """
    names = [file.name for file in shipped().iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_card(name_or_path: str | PathLike[str] | Spec) -> Spec:
    """Read a card that comes with the package, by name, or any card, by path.

    Parameters
    ----------
    name_or_path : str or path
        A string is a path if it ends in ``.toml`` or holds a separator, and a name otherwise. A
        `Spec` is returned as it is.

    Returns
    -------
    Spec
        What the card leaves out takes the default; the name, that of the file.

    Raises
    ------
    CardError
        If there is no such card, or it holds a key, a name or a value that is not known.
    TypeError
        If what is given is none of these.

    Examples
    --------
    >>> load_card("ou").law
    OrnsteinUhlenbeck()
    """
    if isinstance(name_or_path, Spec):
        return name_or_path
    if not isinstance(name_or_path, str | PathLike):
        raise TypeError(
            "a model is a Spec, the name of a card or the path to one; "
            f"got {type(name_or_path).__name__}"
        )
    content, label, stem = _found(name_or_path)
    return _read(content, label, stem)


def card_text(name_or_path: str | PathLike[str]) -> str:
    """Text of a card, comments and all.

    Parameters
    ----------
    name_or_path : str or path
        As `load_card` takes it.

    Raises
    ------
    CardError
        If there is no such card.
    """
    return _found(name_or_path)[0].decode("utf-8-sig")


def save_card(spec: Spec | str | PathLike[str], path: str | PathLike[str]) -> None:
    """Write a card to a file, whole or not at all.

    Parameters
    ----------
    spec : Spec, str or path
        The model, or its card, as `load_card` takes it.
    path : str or path
        Ends in ``.toml``; a file that is there is replaced.

    Raises
    ------
    CardError
        If the path does not end in ``.toml``, or the model cannot be written.
    FileNotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> save_card(Spec(name="mine"), "mine.toml")  # doctest: +SKIP
    """
    file, text = Path(path), write_card(load_card(spec))
    if file.suffix.lower() != ".toml":
        raise CardError(f"cannot save a card as {str(file)!r}: its name must end in .toml")
    if not file.parent.is_dir():
        raise FileNotFoundError(
            f"cannot save a card as {str(file)!r}: there is no folder {str(file.parent)!r}; "
            "make it first"
        )
    draft = file.with_name(f".{uuid4().hex}.draft")
    # A file of that name stays as it was until the new one is complete.
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def read_card(text: str) -> Spec:
    """Read a card from its TOML text.

    Parameters
    ----------
    text : str
        What a card's file holds.

    Returns
    -------
    Spec
        What the text leaves out takes the default.

    Raises
    ------
    CardError
        If the text is not TOML, or holds a key, a name or a value that is not known.

    Examples
    --------
    >>> read_card("regimes = { count = 3 }").regimes.count
    3
    >>> read_card("regimes = { cuont = 3 }")
    Traceback (most recent call last):
    ...
    bayesbasis.model.records.CardError: card 'unnamed', table [regimes]: unknown key 'cuont'; did \
you mean 'count'? It takes 'count', 'shared_by', 'volatility' or 'speed'
    """
    return _read(text, None, "unnamed")


def write_card(spec: Spec) -> str:
    """Write a model as the TOML text of a card.

    Every value is written, defaults too: a card that is kept means the same after a default has
    changed. `read_card` gives back an equal model, its name and its summary, to the last bit.

    Parameters
    ----------
    spec : Spec
        The model.

    Returns
    -------
    str
        TOML; units stand behind the priors.

    Raises
    ------
    CardError
        If a part of the model is not in its registry, or a value is not what a card can hold.

    Examples
    --------
    >>> print(write_card(Spec(name="mine"))[:38])
    name = "mine"
    <BLANKLINE>
    [law]
    name = "anchored"
    """
    place = Place(str(spec.name))
    # Reading it back first refuses what no card could say, and makes 20 and 20.0 one text.
    checked = build_record(Spec, plain_record(Spec, spec, place), place)
    plain = plain_record(Spec, checked, place)
    document = tomlkit.document()
    document["name"] = plain.pop("name")
    if summary := plain.pop("summary"):
        document["summary"] = summary
    for key, values in plain.items():
        document[key] = _table(values, {"priors": _UNITS, "spot": _SPOT_UNITS}.get(key, {}))
    return tomlkit.dumps(document)


def shipped() -> Traversable:
    """Folder of the cards: inside an installed package, beside one that is run in place."""
    inside = files("bayesbasis") / "cards"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "models"


def _found(name_or_path: str | PathLike[str]) -> tuple[bytes, str, str]:
    """Content of a card, what it is called in messages, and the name of its file."""
    label = fspath(name_or_path)
    is_name = isinstance(name_or_path, str) and Path(label).name == label
    if is_name and not label.lower().endswith(".toml"):
        if label not in list_cards():
            raise CardError(_no_name(label))
        return (shipped() / f"{label}.toml").read_bytes(), label, label
    file = Path(label)
    if not file.is_file():
        raise CardError(_no_file(file))
    return file.read_bytes(), label, file.stem


def read_record(cls: Any, text: str, stem: str) -> Any:
    """Read any frozen record of scalars, priors and records from TOML text, as a card is read.

    Raises
    ------
    CardError
        As `read_card`.
    """
    return _read(text, None, stem, cls)


def _read(content: str | bytes, label: str | None, stem: str, cls: Any = Spec) -> Any:
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        table = {"name": stem} | tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise CardError(f"card {label or stem!r} is not TOML: {error}") from error
    return build_record(cls, table, Place(label or str(table["name"])))


def _table(values: Mapping[str, Any], units: Mapping[str, str]) -> Table:
    """Lay out a table: what it holds in turn stays on one line, with its unit behind it."""
    table = tomlkit.table()
    for key, value in values.items():
        item = tomlkit.inline_table() if isinstance(value, dict) else tomlkit.item(value)
        if isinstance(item, InlineTable):
            item.update(value)
        table.add(key, item.comment(units[key]) if key in units else item)
    return table


def _no_name(name: str) -> str:
    hint = instead(name, list_cards(), "there is")
    return f"no card is named {name!r}{hint}; a path to a card of your own ends in .toml"


def _no_file(file: Path) -> str:
    beside = sorted(other.name for other in file.parent.glob("*.toml"))
    hint = instead(file.name, beside, "its folder holds") if beside else ""
    return f"no card at {str(file)!r}{hint}; by name there is {one_of(list_cards())}"
