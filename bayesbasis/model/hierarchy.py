"""From standard normals to parameters: priors, pooling and ordering, stated once.

The functions are plain arithmetic over an array namespace. The graph calls them with PyTensor;
after sampling, the same functions turn raw draws into parameters with NumPy, all draws at once.
Arrays may carry any leading sample dims.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayesbasis.model.covariates import Clock
from bayesbasis.model.levels import (
    Cells,
    Evidence,
    Levels,
    Members,
    member_prior,
    population,
    population_dims,
)
from bayesbasis.model.offsets import offset_dims, offset_population, offsets, offsets_of
from bayesbasis.model.priors import Horseshoe
from bayesbasis.model.spec import Spec
from bayesbasis.model.underlyings import (
    element_dims,
    is_independent,
    is_of_market,
    is_pooled,
    market_value,
    own_values,
    parameter_names,
    population_of,
    prior_of,
    spread_of,
)
from bayesbasis.model.volatility import by_regime
from bayesbasis.process.regimes import generator, urn

BASIS_POINT = 1e-4
DAYS_PER_YEAR = 365.0


def raw_variables(spec: Spec, levels: Levels) -> dict[str, tuple[str, ...]]:
    """Names and dims of what a model samples: standard normals, but for `members_of`."""
    raw: dict[str, tuple[str, ...]] = {}
    for name in parameter_names(spec):
        element = element_dims(name)
        alone = ("underlying",) if is_independent(spec, levels, name) else ()
        raw[f"{name}_raw"] = (*alone, *element)
        if isinstance(prior_of(spec, name), Horseshoe):
            raw |= {f"{name}_{part}_raw": element for part in ("local", "local_over")}
            raw |= {f"{name}_{part}_raw": () for part in ("global", "global_over")}
        if is_pooled(spec, levels, name):
            raw[f"{name}_between_raw"] = ()
            raw[f"{name}_offset_raw"] = ("underlying", *element)
    above = population_dims(spec, levels) | offset_dims(spec, levels)
    raw |= {f"{name}_raw": own for name, own in above.items()}
    if spec.pooling.contracts != "shared":
        raw["contract_raw"] = ("contract",)
    return raw


def members_of(spec: Spec, levels: Levels) -> tuple[str, ...]:
    """Names of the raw variables that place members in a population: see `raw_population`.

    They are not standard normals, but sampled in the light of what quotes say of each member.
    Underlyings come first, then what has an offset from them, then contracts with their carry.
    """
    underlyings = [f"{x}_offset_raw" for x in parameter_names(spec) if is_pooled(spec, levels, x)]
    others = [f"{own}_raw" for _, _, own, _ in offsets_of(spec, levels)]
    contracts = ["contract_raw"] if spec.pooling.contracts != "shared" else []
    return (*underlyings, *others, *contracts)


def no_evidence(
    spec: Spec, levels: Levels, coords: Mapping[str, Sequence[Any]], contracts: Cells
) -> dict[str, Evidence]:
    """Evidence that says nothing: zeros, and of which underlyings' contracts members are.

    Parameters
    ----------
    spec, levels
        As `parameters` takes them.
    coords : mapping
        Labels of every dim.
    contracts : Cells
        Where each contract belongs.
    """
    shapes, found = raw_variables(spec, levels), {}
    for name in members_of(spec, levels):
        zeros = np.zeros([len(coords[dim]) for dim in shapes[name]])
        found[name] = Evidence(zeros, zeros)
    for level, _, name, _ in offsets_of(spec, levels):
        count = np.zeros((len(coords[level]), 1 + contracts.underlying.max()))
        np.add.at(count, (getattr(contracts, level), contracts.underlying), 1.0)
        key = f"{name}_raw"
        found[key] = found[key]._replace(above=count / count.sum(1, keepdims=True))
    return found


def raw_population(
    spec: Spec,
    levels: Levels,
    name: str,
    raw: Mapping[str, Any],
    members: Members,
    xp: Any,
    evidence: Mapping[str, Evidence],
) -> tuple[Any, Any]:
    """Centre and spread of the population that a variable of `members_of` places its members in.

    Parameters
    ----------
    spec, levels, members, xp
        As `parameters` takes them.
    name : str
        One of `members_of`.
    raw : mapping
        What comes before it in `raw_variables`.
    evidence : mapping of Evidence
        Of every variable of `members_of`.

    Returns
    -------
    centre, spread : array
        On the scale where the parameter is free; they broadcast with the variable.
    """
    if name == "contract_raw":
        return population(spec, levels, raw, members, xp)[1:]
    for level, parameter, own, _ in offsets_of(spec, levels):
        if name == f"{own}_raw":
            free = own_values(spec, levels, parameter, raw, members, xp, evidence)
            return offset_population(spec, level, parameter, raw, free, evidence, xp)
    return population_of(spec, levels, name.removesuffix("_offset_raw"), raw, xp)


def parameters(
    spec: Spec,
    levels: Levels,
    raw: Mapping[str, Any],
    members: Members,
    xp: Any,
    evidence: Mapping[str, Evidence] | None = None,
) -> dict[str, Any]:
    """Map what is sampled to parameters in a trader's units.

    Parameters
    ----------
    spec : Spec
        The model.
    levels : Levels
        Levels of the hierarchy in use.
    raw : mapping
        The variables of `raw_variables`, each with the same leading sample dims.
    members : Members
        Where each contract belongs.
    xp : module
        `numpy` or `pytensor.tensor`.
    evidence : mapping of Evidence, optional
        What variables that are not standard normal were sampled in the light of, see `raw_prior`;
        by default nothing.

    Returns
    -------
    dict
        Every parameter with its group axis (underlyings, or one) before its own axes; see
        `dims` for the names.
    """
    evidence = {} if evidence is None else evidence
    natural, free = {}, {}
    for name in parameter_names(spec):
        prior = prior_of(spec, name)
        free[name] = own_values(spec, levels, name, raw, members, xp, evidence)
        if is_pooled(spec, levels, name):
            market = prior.natural(market_value(spec, levels, name, raw, xp), xp)
            natural[f"{name}_market"] = market.squeeze(-1 - len(element_dims(name)))
            natural[f"{name}_between"] = spread_of(spec, name, raw[f"{name}_between_raw"], xp)
        natural[name] = prior.natural(free[name], xp)
    natural = by_regime(spec, natural, xp) | offsets(spec, levels, raw, free, evidence, xp)
    found, centre, spread = population(spec, levels, raw, members, xp)
    own = centre + 0.0 * members.underlying
    if spec.pooling.contracts != "shared":
        known = evidence.get("contract_raw")
        mean, sd = member_prior(spec, "contract_raw", centre, spread, known)
        own = centre + spread / sd * (raw["contract_raw"] - mean)
    return natural | found | {spec.equilibrium.quantity: own}


def dims(spec: Spec, levels: Levels) -> dict[str, tuple[str, ...]]:
    """Dims of every parameter that `parameters` returns."""
    named = {}
    for name in parameter_names(spec):
        element = element_dims(name)
        group = () if is_of_market(spec, name) else ("underlying",)
        named[name] = (*group, *element)
        if is_pooled(spec, levels, name):
            named |= {f"{name}_market": element, f"{name}_between": ()}
    named.pop("volatility_ratio", None)
    named["volatility"] = ("underlying", "regime")
    if spec.spot is not None:
        named.pop("spot_volatility_ratio", None)
        named["spot_volatility"] = ("underlying", "regime")
    named |= population_dims(spec, levels) | offset_dims(spec, levels)
    return named | {spec.equilibrium.quantity: ("contract",)}


def at_regime(natural: Mapping[str, Any], regime: int) -> Mapping[str, Any]:
    """Parameters at the speed of a regime, 0 the calmest, where every regime has its own."""
    if regime == 0:
        return natural
    ratio = natural["speed_ratio"][..., regime - 1]
    return {**natural, "half_life": natural["half_life"] / ratio}


def law_parameters(
    spec: Spec, natural: Mapping[str, Any], group: Any, drive: Any, xp: Any
) -> dict[str, Any]:
    """Parameters of the law for every move.

    Parameters
    ----------
    spec : Spec
        The model.
    natural : mapping
        From `parameters`.
    group : array of int, shape (move,), or slice
        Parameter group of each move.
    drive : array, shape (..., move, covariate)
        Covariates of speed where each move starts; read only if there are any.
    xp : module
        `numpy` or `pytensor.tensor`.
    """
    own = {name: natural[name][..., group] for name in spec.law.parameters}
    if spec.drivers.speed:
        push = (natural["speed_coefficient"][..., group, :] * drive).sum(-1)
        own["half_life"] = own["half_life"] * xp.exp(-push)
    return own


def filter_inputs(
    spec: Spec, natural: Mapping[str, Any], xp: Any, clock: Clock | None = None
) -> dict[str, Any]:
    """Map parameters to what the filter takes besides deviations and moves, in years and logs.

    Without a clock, generators are those at average covariates.

    Returns
    -------
    dict
        ``noise``, ``correlation``, ``tail`` (..., group), ``scale`` (..., group, regime) and
        ``rates`` (..., chain, regime, regime).
    """
    noise = natural["noise"] / DAYS_PER_YEAR
    tail = natural.get("tail", np.inf)
    return {
        "noise": noise,
        "correlation": natural["correlation"],
        "tail": tail * xp.ones_like(noise),
        "scale": natural["volatility"] * (BASIS_POINT * DAYS_PER_YEAR**0.5),
        "rates": _rates(spec, natural, clock, xp),
    }


def spot_inputs(natural: Mapping[str, Any]) -> dict[str, Any]:
    """Map spot's parameters to what the filter takes of them, per root year: (..., group, regime).

    Returns
    -------
    dict
        ``volatility`` and ``with_curve``.
    """
    return {
        "volatility": 0.01 * natural["spot_volatility"],
        "with_curve": natural["spot_correlation"],
    }


def _rates(spec: Spec, natural: Mapping[str, Any], clock: Clock | None, xp: Any) -> Any:
    count = spec.regimes.count
    if spec.regimes.is_stochastic:
        return urn(natural["volatility_half_life"] / DAYS_PER_YEAR, count)
    if count == 1:
        return 0.0 * natural["noise"][..., None, None]
    jump: Any = 1.0 - np.eye(count)
    if count > 2:
        # Odds over the next more volatile regime, multiplied up from the most volatile one.
        weight = xp.exp((natural["jump"][..., None] * np.tri(count - 2, count - 1)).sum(-2))
        weight = weight / weight.sum(-1, keepdims=True)
        # place[k, m, j] is one where the m-th regime other than k is j.
        place = np.stack([np.delete(np.eye(count), k, axis=0) for k in range(count)])
        jump = (weight[..., None] * place).sum(-2)
    stay = natural["stay"]
    if spec.drivers.stay and clock is not None:
        slope = natural["stay_coefficient"][..., clock.owner, :, :]
        longer = (slope * clock.covariates[..., None, :]).sum(-1)
        stay = stay[..., clock.owner, :] * xp.exp(longer)
    return generator(stay / DAYS_PER_YEAR, jump, count)
