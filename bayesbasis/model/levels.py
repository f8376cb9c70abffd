"""Levels of the hierarchy: the populations that contracts' carry, or level, comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bayesbasis.model.priors import seen_through
from bayesbasis.model.spec import Spec

LEVELS = ("venue", "kind", "underlying")
"""Levels between the market and its contracts; offsets of those in use add up."""


@dataclass(frozen=True)
class Levels:
    """Which levels of the hierarchy have more than one member.

    Parameters
    ----------
    venues, underlyings, kinds : bool
        Whether carry varies between venues; whether every parameter varies between underlyings;
        whether carry varies between kinds of contract.
    apart : tuple of str
        Levels, ``venue``, ``kind`` or ``contract``, at which other parameters vary, if the card
        says that any do.
    """

    venues: bool
    underlyings: bool
    kinds: bool = False
    apart: tuple[str, ...] = ()


class Members(NamedTuple):
    """Where each contract belongs, a member of every level.

    Parameters
    ----------
    underlying, venue, kind : array of int, shape (contract,)
        Positions among the names of each.
    """

    underlying: Any
    venue: Any
    kind: Any


class Cells(NamedTuple):
    """Where each cell belongs: the contracts that share every parameter.

    Parameters
    ----------
    underlying, venue, kind, contract : array of int, shape (cell,)
        Positions among the names of each, of the underlying among parameter groups; zero at levels
        at which the card tells no contracts apart.
    """

    underlying: Any
    venue: Any
    kind: Any
    contract: Any


class Evidence(NamedTuple):
    """What quotes say of each member of a population, such as a contract, by a rough estimate.

    Parameters
    ----------
    precision : array, shape (member, ...)
        ``p``: one over the variance that the estimate would have of the quotes alone.
    pull : array, shape (member, ...)
        ``p`` times the estimate; zero where quotes say nothing.
    above : array, shape (member, group), optional
        Of members of venues, kinds and contracts, that have an offset from underlyings': share of
        each of these, so that the centre of a member's population is their mean.
    """

    precision: Any
    pull: Any
    above: Any = None


def levels_of(spec: Spec, levels: Levels) -> Iterator[tuple[str, str, str | None]]:
    """Yield each level at which carry, or level, varies: its name, its offsets', its spread's.

    The spread of a level whose members are independent has no name: it is not learned.
    """
    quantity, pooling = spec.equilibrium.quantity, spec.pooling
    for level in LEVELS:
        name = f"{quantity}_{level}"
        if getattr(levels, f"{level}s") and name not in pooling.shared:
            learned = name not in pooling.independent
            yield level, name, f"{quantity}_between_{level}s" if learned else None


def population_dims(spec: Spec, levels: Levels) -> dict[str, tuple[str, ...]]:
    """Dims of what says where contracts' carry, or level, comes from."""
    if spec.pooling.contracts == "independent":
        return {}
    quantity = spec.equilibrium.quantity
    named: dict[str, tuple[str, ...]] = {f"{quantity}_mean": ()}
    if spec.pooling.contracts == "pooled":
        named[f"{quantity}_between_contracts"] = ()
    for level, name, spread in levels_of(spec, levels):
        named |= ({} if spread is None else {spread: ()}) | {name: (level,)}
    return named


def population(
    spec: Spec, levels: Levels, raw: Mapping[str, Any], members: Members, xp: Any
) -> tuple[dict[str, Any], Any, Any]:
    """Populations that contracts' carry, or level, comes from: underlying, kind, venue, market.

    Parameters
    ----------
    spec, levels, raw, members, xp
        As `parameters` takes them.

    Returns
    -------
    natural : dict
        Means, spreads and offsets, in the units of the quantity.
    centre : array, shape (..., contract) or (..., 1)
        Mean of each contract's population.
    spread : array, shape (..., 1)
        Its standard deviation.
    """
    quantity = spec.equilibrium.quantity
    key = f"{quantity}_mean"
    if spec.pooling.contracts == "independent":
        prior, like = getattr(spec.priors, key), 1.0 + 0.0 * members.underlying
        return {}, prior.location * like, prior.scale * like
    natural = {key: _seen_through(spec, key, raw, xp)}
    centre = natural[key][..., None]
    for level, name, between in levels_of(spec, levels):
        if between is None:
            natural[name] = getattr(spec.priors, key).scale * raw[f"{name}_raw"]
        else:
            natural[between] = _seen_through(spec, between, raw, xp)
            natural[name] = natural[between][..., None] * raw[f"{name}_raw"]
        centre = centre + natural[name][..., getattr(members, level)]
    if spec.pooling.contracts == "shared":
        return natural, centre, 0.0 * natural[key][..., None]
    key = f"{quantity}_between_contracts"
    natural[key] = _seen_through(spec, key, raw, xp)
    return natural, centre, natural[key][..., None]


def listing_population(spec: Spec, natural: Mapping[str, Any]) -> tuple[Any, Any]:
    """Mean of the market, and spread around it, that carry or level of new contracts has."""
    quantity = spec.equilibrium.quantity
    if spec.pooling.contracts == "independent":
        prior, like = getattr(spec.priors, f"{quantity}_mean"), natural[quantity][..., 0]
        return prior.location + 0.0 * like, prior.scale + 0.0 * like
    mean = natural[f"{quantity}_mean"]
    return mean, natural.get(f"{quantity}_between_contracts", 0.0 * mean)


def member_prior(
    spec: Spec, name: str, centre: Any, spread: Any, evidence: Evidence | None
) -> tuple[Any, Any]:
    """Mean and deviation of a raw variable: of carry as the card chooses, else by `raw_prior`."""
    if name == "contract_raw" and spec.pooling.centring is not None:
        return spec.pooling.centring * centre, spread**spec.pooling.centring
    return raw_prior(centre, spread, evidence)


def raw_prior(centre: Any, spread: Any, evidence: Evidence | None) -> tuple[Any, Any]:
    r"""Mean and deviation of what places a member in a population: standard without evidence.

    What is sampled is what is left of a member's value ``c``, such as the carry of a contract, once
    the population ``N(μ, s²)`` and what quotes say, about ``N(\hat c, 1/p)``, are put together,

    .. math:: c = \frac{μ + s^2 p \hat c}{1 + s^2 p} + \frac{s}{\sqrt{1 + s^2 p}}\, x

    so that ``x`` is near a standard normal, whatever ``s`` is: a funnel, where some members say
    much and some little, becomes a ball. The model is the same, however rough the estimate.
    """
    if evidence is None:
        return 0.0 * centre, 1.0 + 0.0 * spread
    wide = (1.0 + evidence.precision * spread**2) ** 0.5
    return (evidence.precision * centre - evidence.pull) * spread / wide, wide


def offset(centre: Any, spread: Any, raw: Any, evidence: Evidence | None) -> Any:
    """How far a member is from the centre of its population."""
    mean, sd = raw_prior(centre, spread, evidence)
    return spread / sd * (raw - mean)


def _seen_through(spec: Spec, name: str, raw: Mapping[str, Any], xp: Any) -> Any:
    """Parameter of a standard normal through its own prior."""
    return seen_through(getattr(spec.priors, name), raw[f"{name}_raw"], xp)
