"""From standard normals to parameters: priors, pooling and ordering, stated once.

The functions are plain arithmetic over an array namespace. The graph calls them with PyTensor;
after sampling, the same functions turn raw draws into parameters with NumPy, all draws at once.
Arrays may carry any leading sample dims.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesbasis.model.covariates import Clock
from bayesbasis.model.levels import (
    Evidence,
    Levels,
    Members,
    contract_raw_prior,
    population,
    population_dims,
)
from bayesbasis.model.offsets import offset_dims, offsets
from bayesbasis.model.priors import Horseshoe, Prior, seen_through
from bayesbasis.model.spec import Spec
from bayesbasis.model.spot import SPOT_PARAMETERS, spot_parameters
from bayesbasis.model.volatility import by_regime
from bayesbasis.process.regimes import generator, urn

BASIS_POINT = 1e-4
DAYS_PER_YEAR = 365.0

_ELEMENTS = {
    "volatility_ratio": ("higher_regime",),
    "speed_ratio": ("higher_regime",),
    "stay": ("regime",),
    "jump": ("regime", "other"),
    "coefficient": ("covariate",),
    "speed_coefficient": ("speed_covariate",),
    "stay_coefficient": ("regime", "stay_covariate"),
    "spot_volatility_ratio": ("higher_regime",),
    "spot_correlation": ("regime",),
}
_OWN_BETWEEN = ("coefficient", "speed_coefficient", "stay_coefficient")
_MARKET_ONLY = ("tail", "jump")
_CHAIN = ("stay", "stay_coefficient", "volatility_half_life")


def parameter_names(spec: Spec) -> tuple[str, ...]:
    """Names of the parameters that a model has besides what contracts have of their own."""
    count = spec.regimes.count
    names = [
        *spec.law.parameters,
        *spec.equilibrium.parameters,
        "volatility",
        "noise",
        "correlation",
    ]
    if spec.regimes.is_stochastic:
        names += ["volatility_spread", "volatility_half_life"]
    else:
        names += ["volatility_ratio", "stay"] if count > 1 else []
        names += ["jump"] if count > 2 else []
        names += ["speed_ratio"] if spec.regimes.has_speeds else []
    names += ["speed_coefficient"] if spec.drivers.speed else []
    names += ["stay_coefficient"] if spec.drivers.stay else []
    names += ["tail"] if spec.shocks.distribution == "student-t" else []
    if spec.spot is not None:
        names += spot_parameters(count)
    return tuple(names)


def prior_of(spec: Spec, name: str) -> Prior:
    """Prior of a parameter: of spot's in its own record, of all others in `Priors`."""
    prior: Prior = (
        getattr(spec.spot, SPOT_PARAMETERS[name])
        if name in SPOT_PARAMETERS
        else getattr(spec.priors, name)
    )
    return prior


def is_pooled(spec: Spec, levels: Levels, name: str) -> bool:
    """Say whether each underlying has its own value of a parameter, around the market's."""
    apart = is_of_market(spec, name) or name in (*spec.pooling.shared, *spec.pooling.independent)
    return levels.underlyings and not apart


def _is_independent(spec: Spec, levels: Levels, name: str) -> bool:
    return levels.underlyings and name in spec.pooling.independent


def raw_variables(spec: Spec, levels: Levels) -> dict[str, tuple[str, ...]]:
    """Names and dims of what a model samples: standard normals, but for ``contract_raw``."""
    raw: dict[str, tuple[str, ...]] = {}
    for name in parameter_names(spec):
        element = _ELEMENTS.get(name, ())
        alone = ("underlying",) if _is_independent(spec, levels, name) else ()
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


def parameters(
    spec: Spec,
    levels: Levels,
    raw: Mapping[str, Any],
    members: Members,
    xp: Any,
    evidence: Evidence | None = None,
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
    evidence : Evidence, optional
        What ``contract_raw`` was sampled in the light of; see `contract_raw_prior`.

    Returns
    -------
    dict
        Every parameter with its group axis (underlyings, or one) before its own axes; see
        `dims` for the names.
    """
    natural = {}
    for name in parameter_names(spec):
        axis = -1 - len(_ELEMENTS.get(name, ()))
        prior = prior_of(spec, name)
        free = _free(spec, name, raw, xp)
        if not _is_independent(spec, levels, name):
            free = xp.expand_dims(free, axis)
        if is_pooled(spec, levels, name):
            natural[f"{name}_market"] = prior.natural(free, xp).squeeze(axis)
            between = spread_of(spec, name, raw[f"{name}_between_raw"], xp)
            natural[f"{name}_between"] = between
            for _ in range(-axis):
                between = between[..., None]
            free = free + between * raw[f"{name}_offset_raw"]
        elif levels.underlyings and name in spec.pooling.shared and not is_of_market(spec, name):
            # Every underlying has a contract, so that the last one's position tells their number.
            same = xp.zeros((members.underlying.max() + 1,))
            free = free + same[(..., *[None] * (-1 - axis))]
        natural[name] = prior.natural(free, xp)
    natural = by_regime(spec, natural, xp) | offsets(spec, levels, raw, xp)
    found, centre, spread = population(spec, levels, raw, members, xp)
    own = centre + 0.0 * members.underlying
    if spec.pooling.contracts != "shared":
        mean, sd = contract_raw_prior(spec, centre, spread, evidence)
        own = centre + spread / sd * (raw["contract_raw"] - mean)
    return natural | found | {spec.equilibrium.quantity: own}


def spread_of(spec: Spec, name: str, normal: Any, xp: Any) -> Any:
    """Spread of a parameter between underlyings, on the scale where it is free."""
    if name in _OWN_BETWEEN:
        return seen_through(getattr(spec.priors, f"{name}_between"), normal, xp)
    return prior_of(spec, name).scale * seen_through(spec.priors.between_underlyings, normal, xp)


def _free(spec: Spec, name: str, raw: Mapping[str, Any], xp: Any) -> Any:
    """Market's parameter on the scale where it is free."""
    prior, normal = prior_of(spec, name), raw[f"{name}_raw"]
    if not isinstance(prior, Horseshoe):
        return prior.location + prior.scale * normal
    local, over, top, below = (
        raw[f"{name}_{part}_raw"] for part in ("local", "local_over", "global", "global_over")
    )
    element = (..., *[None] * len(_ELEMENTS[name]))
    return prior.shrunk(normal, local, over, top[element], below[element], xp)


def dims(spec: Spec, levels: Levels) -> dict[str, tuple[str, ...]]:
    """Dims of every parameter that `parameters` returns."""
    named = {}
    for name in parameter_names(spec):
        element = _ELEMENTS.get(name, ())
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


def is_of_market(spec: Spec, name: str) -> bool:
    """Say whether the whole market has one value: a chain that is not an underlying's does.

    So do tails, unless the card makes them each underlying's own.
    """
    if name in _MARKET_ONLY:
        return name not in spec.pooling.independent
    return name in _CHAIN and spec.regimes.shared_by != "underlying"
