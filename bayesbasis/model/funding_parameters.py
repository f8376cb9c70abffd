"""From standard normals to what the funding filter takes, stated once for graph and draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.process.ladder import climb, occupancy, rungs

DAY_HOURS = 24.0


def own_names(spec: FundingSpec) -> tuple[str, ...]:
    """Parameters that every contract has of its own, around the market's; the centre first."""
    drift = ("drift",) if spec.drifts > 1 else ()
    swing = ("swing",) if spec.swings > 1 else ()
    return ("centre", "level", *drift, *swing, "noise", "memory")


def market_names(spec: FundingSpec) -> dict[str, tuple[str, ...]]:
    """Names and dims of the parameters that the market shares."""
    names: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("skew", "slow_half_life", "growth", "width"), ()
    )
    if spec.drifts > 1:
        names |= {"drift_stretch": ()}
    if spec.swings > 1:
        names |= {"fast_share": ()}
    if spec.regimes > 1:
        names |= {"volatility_ratio": (), "stay": ("regime",)}
    if spec.covariates:
        names |= {"coefficient": ("covariate",)}
    return names


def funding_raw(spec: FundingSpec) -> dict[str, tuple[str, ...]]:
    """Names and dims of what a funding model samples, in deviations of the priors.

    A contract settles thousands of times, and tells its own parameters: so these are sampled
    themselves (``*_contract_raw``), with the prior of `own_prior`. Offsets from the market would
    have to follow it, along a curve no wider than what settlements leave open.
    """
    raw = {f"{name}_raw": dims for name, dims in market_names(spec).items()}
    raw |= {"centre_between_raw": (), "between_raw": ("own",)}
    raw |= {f"{name}_raw": () for name in own_names(spec)}
    return raw | {f"{name}_contract_raw": ("contract",) for name in own_names(spec)}


def funding_dims(spec: FundingSpec) -> dict[str, tuple[str, ...]]:
    """Dims of every parameter that `funding_parameters` returns."""
    named = dict(market_names(spec)) | {"centre_between": (), "between": ("own",)}
    named |= {f"{name}_market": () for name in own_names(spec)}
    named |= {"drift_half_life": ()} if spec.drifts > 1 else {}
    named |= {"fast_half_life": ()} if spec.swings > 1 else {}
    return named | dict.fromkeys(own_names(spec), ("contract",))


def funding_parameters(spec: FundingSpec, raw: Mapping[str, Any], xp: Any) -> dict[str, Any]:
    """Map what is sampled to parameters in a trader's units, with any leading sample dims.

    Parameters
    ----------
    spec : FundingSpec
        The model.
    raw : mapping
        The variables of `funding_raw`.
    xp : module
        `numpy` or `pytensor.tensor`.

    Returns
    -------
    dict
        By the names of `funding_dims`.
    """
    shared = (*market_names(spec), "centre_between", "between")
    natural = {name: _seen(spec, name, raw[f"{name}_raw"], xp) for name in shared}
    if spec.drifts > 1:
        natural["drift_half_life"] = natural["drift_stretch"] * natural["slow_half_life"]
    if spec.swings > 1:
        natural["fast_half_life"] = natural["fast_share"] * natural["slow_half_life"]
    for name in own_names(spec):
        prior = getattr(spec.priors, name)
        for label, own in ((f"{name}_market", f"{name}_raw"), (name, f"{name}_contract_raw")):
            natural[label] = prior.natural(prior.location + prior.scale * raw[own], xp)
    return natural


def own_prior(
    spec: FundingSpec, raw: Mapping[str, Any], natural: Mapping[str, Any], xp: Any
) -> Any:
    r"""Log density of contracts' own parameters around the market's, less that of standard normals.

    .. math:: \sum_j \tfrac12 u_j^2 - \tfrac12 \left(\frac{u_j - m_j}{s_j}\right)^2 - \ln s_j

    with ``u`` the ``*_contract_raw``, ``m`` the market's, and ``s`` the spread between contracts,
    all in deviations of the parameter's prior; shape (...,).
    """
    total = 0.0
    for place, name in enumerate(own_names(spec)):
        spread = natural["between"][..., place - 1] if place else natural["centre_between"]
        sd = (spread / getattr(spec.priors, name).scale)[..., None]
        own = raw[f"{name}_contract_raw"]
        away = (own - raw[f"{name}_raw"][..., None]) / sd
        total = total + (0.5 * own**2 - 0.5 * away**2 - xp.log(sd)).sum(-1)
    return total


def state_values(
    spec: FundingSpec, natural: Mapping[str, Any], xp: Any
) -> tuple[Any, Any, Any, Any]:
    r"""Slow level, drift and fast premium of every state in their units, and its relative noise.

    .. math:: \frac{e^{a x} - 1}{a}, \qquad e^{g x} r^{\text{wild}}

    with rung ``x``, skew ``a``, growth ``g`` and ratio ``r``: near the middle the level is ``x``
    itself, far above it grows like an exponential. States run over rungs of the drift, slow rungs,
    fast rungs, then regimes; shape (..., state).
    """
    axes = rungs(spec.drifts), rungs(spec.levels), rungs(spec.swings), np.arange(spec.regimes)
    drift, slow, fast, regime = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    skew = natural["skew"][..., None]
    level = (xp.exp(skew * slow) - 1.0) / skew
    relative = xp.exp(natural["growth"][..., None] * slow)
    if spec.regimes > 1:
        relative = relative * natural["volatility_ratio"][..., None] ** regime
    return level, drift + 0.0 * level, relative * fast, relative


def chains(
    spec: FundingSpec,
    natural: Mapping[str, Any],
    cell_contract: Any,
    cell_hours: Any,
    cell_clamp: Any,
    gap_days: Any,
    xp: Any,
) -> dict[str, Any]:
    """What the filter takes, by the fields of `Chains`, for every draw; `shifts` has the rest.

    Parameters
    ----------
    spec : FundingSpec
        The model.
    natural : mapping
        From `funding_parameters`.
    cell_contract, cell_hours : array, shape (cell,)
        Contract and settlement interval of each row of the filter's parameters.
    cell_clamp : array, shape (cell,)
        Half-width of the dead zone by the rule, bp per 8 hours.
    gap_days : array, shape (gap,)
        Times between events.
    xp : module
        `numpy` or `pytensor.tensor`.
    """
    level, drift, swing, relative = (x[..., None, :] for x in state_values(spec, natural, xp))
    own = {name: natural[name][..., cell_contract][..., None] for name in own_names(spec)}
    memory = xp.exp(-np.log(2.0) / DAY_HOURS * cell_hours / own["memory"][..., 0])
    resting = own["centre"] + own["level"] * level
    if spec.drifts > 1:
        resting = resting + own["drift"] * drift
    if spec.swings > 1:
        resting = resting + own["swing"] * swing
    volatility, rest = _regime_moves(spec, natural, gap_days, xp)
    speed = 0.0 * natural["growth"]
    if spec.swings > 1:
        speed = np.log(2.0) / natural["fast_half_life"]
    inner = climb(speed, gap_days, spec.swings, xp)[..., :, None, :, None]
    inner = inner * volatility[..., None, :, None, :]
    places = spec.swings * spec.regimes
    over = np.outer(occupancy(spec.drifts), occupancy(spec.levels))
    within = np.outer(over, occupancy(spec.swings)).ravel()
    start = within[:, None] * rest[..., None, :]
    return {
        "location": (1.0 - memory[..., None]) * resting,
        "scale": own["noise"] * relative,
        "memory": memory,
        "widening": (natural["width"][..., None] - 1.0) * cell_clamp,
        "slow": _slow_moves(spec, natural, gap_days, xp),
        "inner": inner.reshape((*inner.shape[:-4], places, places)),
        "start": start.reshape((*start.shape[:-2], spec.states)),
    }


def shifts(natural: Mapping[str, Any], memory: Any, cell: Any, before: Any, covariates: Any) -> Any:
    r"""What is known of each premium beforehand, bp per 8 hours, shape (..., obs).

    .. math:: \varphi f_- + (1 - \varphi)\, \beta^\top x

    Memory decays to the resting premium, which covariates move by ``β`` a standard deviation.

    Parameters
    ----------
    natural : mapping
        From `funding_parameters`.
    memory : array, shape (..., cell)
        Share of the last funding that stays, from `chains`.
    cell : array, shape (obs,)
        Which row of the filter's parameters holds.
    before : array, shape (obs,)
        Last funding, bp per 8 hours.
    covariates : array, shape (obs, covariate)
        Standardised.
    """
    stays = memory[..., cell]
    return stays * before + (1.0 - stays) * driven(natural, covariates)


def driven(natural: Mapping[str, Any], covariates: Any) -> Any:
    """What covariates, shape (row, covariate), add to resting premia, shape (..., row), bp."""
    if "coefficient" not in natural:
        return covariates.sum(-1)  # of none
    return (natural["coefficient"][..., None, :] * covariates).sum(-1)


def _slow_moves(spec: FundingSpec, natural: Mapping[str, Any], gap_days: Any, xp: Any) -> Any:
    """Transition matrices of drift and slow level, two independent ladders, over every gap."""
    slow = climb(np.log(2.0) / natural["slow_half_life"], gap_days, spec.levels, xp)
    if spec.drifts == 1:
        return slow
    drift = climb(np.log(2.0) / natural["drift_half_life"], gap_days, spec.drifts, xp)
    both = drift[..., :, None, :, None] * slow[..., None, :, None, :]
    places = spec.drifts * spec.levels
    return both.reshape((*both.shape[:-4], places, places))


def _regime_moves(
    spec: FundingSpec, natural: Mapping[str, Any], gap_days: Any, xp: Any
) -> tuple[Any, Any]:
    """Transition matrices of the regimes over every gap, and where they rest."""
    if spec.regimes == 1:
        one = 1.0 + 0.0 * natural["growth"][..., None]
        return one[..., None, None] + 0.0 * gap_days[:, None, None], one
    stay = natural["stay"]
    rest = stay / stay.sum(-1, keepdims=True)
    decay = xp.exp(-(1.0 / stay).sum(-1)[..., None] * gap_days)[..., None, None]
    settled = rest[..., None, None, :] + np.zeros((2, 1))
    return settled + decay * (np.eye(2) - settled), rest


def _seen(spec: FundingSpec, name: str, raw: Any, xp: Any) -> Any:
    prior = getattr(spec.priors, name)
    return prior.natural(prior.location + prior.scale * raw, xp)
