"""Cards of funding models: TOML text that `read_funding_card` turns into an equal value."""

from dataclasses import asdict, fields
from os import PathLike
from typing import Any

import tomlkit

from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.model.priors import DISTRIBUTIONS
from bayesbasis.model.records import CardError
from bayesbasis.model.shelf import Shelf, read_record

_SHELF = Shelf(FundingSpec, "funding", "funding")


def list_funding_cards() -> list[str]:
    """Names of the funding cards that come with the package, sorted.

    Examples
    --------
    >>> "funding" in list_funding_cards()
    True
    """
    return _SHELF.names()


def load_funding_card(name_or_path: str | PathLike[str] | FundingSpec) -> FundingSpec:
    """Read a funding card that comes with the package, by name, or any, by path.

    Parameters
    ----------
    name_or_path : str or path
        A string is a path if it ends in ``.toml``, and a name otherwise. A `FundingSpec` is
        returned as it is.

    Raises
    ------
    CardError
        If there is no such card, or it is none.
    TypeError
        If what is given is none of these.

    Examples
    --------
    >>> load_funding_card("funding").shared_by
    'contract'
    """
    return _SHELF.load(name_or_path)


def funding_card_text(name_or_path: str | PathLike[str]) -> str:
    """Text of a funding card, comments and all; see `load_funding_card`."""
    return _SHELF.text(name_or_path)


def write_funding_card(spec: FundingSpec) -> str:
    """Write a funding model as a card; every value is written, defaults too.

    Examples
    --------
    >>> write_funding_card(FundingSpec(levels=5)).splitlines()[:2]
    ['name = "funding"', 'levels = 5']
    """
    document = tomlkit.document()
    document["name"] = spec.name
    if spec.summary:
        document["summary"] = spec.summary
    for name in ("levels", "drifts", "swings", "regimes", "shared_by"):
        document[name] = getattr(spec, name)
    document["covariates"] = list(spec.covariates)
    priors = tomlkit.table()
    for field in fields(spec.priors):
        prior: Any = getattr(spec.priors, field.name)
        if type(prior) not in DISTRIBUTIONS.values():
            raise CardError(f"a card cannot name {prior!r}")
        entry = tomlkit.inline_table()
        entry.update({"distribution": prior.name} | asdict(prior))
        priors[field.name] = entry
    document["priors"] = priors
    return tomlkit.dumps(document)


def read_funding_card(text: str) -> FundingSpec:
    """Read a funding model from the TOML text of a card.

    Raises
    ------
    CardError
        If the text is not TOML, or holds a key, a name or a value that is not known.

    Examples
    --------
    >>> read_funding_card("levels = 5").levels
    5
    """
    return read_record(FundingSpec, text, "funding")
