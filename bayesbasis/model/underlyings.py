"""Parameters of underlyings: their names, their priors, and who has one of its own."""

from collections.abc import Mapping
from typing import Any

from bayesbasis.model.levels import Evidence, Levels, Members, offset
from bayesbasis.model.priors import Horseshoe, Prior, seen_through
from bayesbasis.model.spec import Spec
from bayesbasis.model.spot import SPOT_PARAMETERS, spot_parameters

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


def element_dims(name: str) -> tuple[str, ...]:
    """Dims of a parameter beside its group's: of one number a group, none."""
    return _ELEMENTS.get(name, ())


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


def is_independent(spec: Spec, levels: Levels, name: str) -> bool:
    """Say whether each underlying has its own value, with nothing around it."""
    return levels.underlyings and name in spec.pooling.independent


def is_of_market(spec: Spec, name: str) -> bool:
    """Say whether the whole market has one value: a chain that is not an underlying's does.

    So do tails, unless the card makes them each underlying's own.
    """
    if name in _MARKET_ONLY:
        return name not in spec.pooling.independent
    return name in _CHAIN and spec.regimes.shared_by != "underlying"


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
    element = (..., *[None] * len(element_dims(name)))
    return prior.shrunk(normal, local, over, top[element], below[element], xp)


def market_value(spec: Spec, levels: Levels, name: str, raw: Mapping[str, Any], xp: Any) -> Any:
    """Value of the market on the free scale, its group axis of length one; or of independents."""
    free = _free(spec, name, raw, xp)
    return free if is_independent(spec, levels, name) else xp.expand_dims(free, _axis(name))


def population_of(
    spec: Spec, levels: Levels, name: str, raw: Mapping[str, Any], xp: Any
) -> tuple[Any, Any]:
    """Centre and spread of a pooled parameter of underlyings, on the scale where it is free."""
    spread = spread_of(spec, name, raw[f"{name}_between_raw"], xp)
    for _ in range(-_axis(name)):
        spread = spread[..., None]
    return market_value(spec, levels, name, raw, xp), spread


def own_values(
    spec: Spec,
    levels: Levels,
    name: str,
    raw: Mapping[str, Any],
    members: Members,
    xp: Any,
    evidence: Mapping[str, Evidence],
) -> Any:
    """Value of every group on the scale where the parameter is free, (..., group, ...).

    Parameters
    ----------
    spec, levels, raw, members, xp, evidence
        As `bayesbasis.model.hierarchy.parameters` takes them.
    name : str
        Name of the parameter.
    """
    if is_pooled(spec, levels, name):
        centre, spread = population_of(spec, levels, name, raw, xp)
        key = f"{name}_offset_raw"
        return centre + offset(centre, spread, raw[key], evidence.get(key))
    free = market_value(spec, levels, name, raw, xp)
    if levels.underlyings and name in spec.pooling.shared and not is_of_market(spec, name):
        # Every underlying has a contract, so that the last one's position tells their number.
        same = xp.zeros((members.underlying.max() + 1,))
        free = free + same[(..., *[None] * (-1 - _axis(name)))]
    return free


def _axis(name: str) -> int:
    """Group axis of a parameter."""
    return -1 - len(element_dims(name))
