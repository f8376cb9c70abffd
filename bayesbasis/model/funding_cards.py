"""Cards of funding models: TOML text that `read_funding_card` turns into an equal value."""

from dataclasses import asdict, fields
from typing import Any

import tomlkit

from bayesbasis.model.cards import CardError, read_record
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.model.priors import DISTRIBUTIONS


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
