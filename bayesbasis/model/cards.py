"""Model cards: a `Spec` as a TOML file that people read, edit and keep."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from uuid import uuid4

import tomlkit
from tomlkit.items import InlineTable, Table

from bayesbasis.model.records import CardError, Place, build_record, plain_record
from bayesbasis.model.shelf import Shelf, read_record
from bayesbasis.model.spec import Spec

_SHELF = Shelf(Spec)
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
    return _SHELF.names()


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
    return _SHELF.load(name_or_path)


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
    return _SHELF.text(name_or_path)


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
    return read_record(Spec, text, "unnamed")


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


def _table(values: Mapping[str, Any], units: Mapping[str, str]) -> Table:
    """Lay out a table: what it holds in turn stays on one line, with its unit behind it."""
    table = tomlkit.table()
    for key, value in values.items():
        item = tomlkit.inline_table() if isinstance(value, dict) else tomlkit.item(value)
        if isinstance(item, InlineTable):
            item.update(value)
        table.add(key, item.comment(units[key]) if key in units else item)
    return table
