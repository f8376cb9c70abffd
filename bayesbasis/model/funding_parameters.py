"""From standard normals to what the funding filter takes, stated once for graph and draws."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.process.censored import T_VARIANCE
from bayesbasis.process.ladder import climb, half_rung, occupancy, rungs

DAY_HOURS = 24.0
USUAL_CLAMP = 5.0
"""Half-width of the dead zone on most venues, bp per 8 hours.

Premia of plain rules are folded by this one and not by those of other venues in the table: else
what a contract's parameters mean would hang on what is beside it.
"""


class Cells(NamedTuple):
    """What each row of the filter's parameters holds for, all of shape (cell,).

    Parameters
    ----------
    contract, hours
        Contract and settlement interval.
    middle, clamp
        Middle and half-width of the dead zone by the rule, bp per 8 hours: the premium that pays
        the interest rate, which of a plain rule is nil.
    fold
        Half-width of the dead zone that premia are folded by at rest, bp per 8 hours; nil where
        the rule has one itself.
    hidden
        One where the last premium was not told, or there was none; else nil.
    """

    contract: Any
    hours: Any
    middle: Any
    clamp: Any
    fold: Any
    hidden: Any


def cells_by_rule(
    contract: Any, hours: Any, hidden: Any, interest: Any, clamp: Any, plain: Any
) -> Cells:
    """Make cells by the rules of venues.

    Parameters
    ----------
    contract, hours, hidden : ndarray, shape (cell,)
        As in `Cells`.
    interest, clamp : ndarray, shape (cell,)
        Of the rule, bp per 8 hours; the clamp of a plain one is nil.
    plain : ndarray of bool, shape (cell,)
    """
    middle, fold = np.where(plain, 0.0, interest), np.where(plain, USUAL_CLAMP, 0.0)
    return Cells(contract, hours, middle, clamp, fold, hidden)


def edge(cells: Cells, xp: Any) -> Any:
    """Edge of the dead zone on the side of no funding, from which floors are counted.

    Who finances for less than the interest rate sells the perpetual until it no longer pays that:
    down to where the rate just gives way, on every venue, whatever its rule.
    """
    return cells.middle - xp.sign(cells.middle) * cells.clamp


def folded(lifted: Any, fold: Any, xp: Any) -> Any:
    r"""Where premia rest that demand has lifted by ``y`` from the edge, bp per 8 hours.

    .. math:: s \ln\left(1 + e^{(y - 2w)/s}\right) - s \ln\left(1 + e^{-y/s}\right)

    with the half-width ``w`` of the fold and ``s`` of 1 bp. Who compares venues equalises what they
    pay and not their premia. So at rest a plain rule, whose ``w`` is the usual, pays what the usual
    one does on average, when premia are logistic around where they rest with a scale of ``s``:
    mostly that of ``min(y, 0) + max(y - 2w, 0)``, but without its corners, to which modes cling.
    Without a fold it is ``y``.
    """
    return xp.logaddexp(0.0, lifted - 2.0 * fold) - xp.logaddexp(0.0, -lifted)


def own_names(spec: FundingSpec) -> tuple[str, ...]:
    """Parameters that every contract has of its own, around the market's; the floor first."""
    drift = ("drift",) if spec.drifts > 1 else ()
    swing = ("swing",) if spec.swings > 1 else ()
    return ("floor", "level", *drift, *swing, "noise", "memory")


def market_names(spec: FundingSpec) -> dict[str, tuple[str, ...]]:
    """Names and dims of the parameters that the market shares."""
    names: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("skew", "slow_half_life", "growth", "width"), ()
    )
    if spec.drifts > 1:
        names |= {"drift_stretch": ()}
    if spec.swings > 1:
        names |= {"fast_share": (), "tail": ()}
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
    raw |= {"floor_between_raw": (), "between_raw": ("own",)}
    raw |= {f"{name}_raw": () for name in own_names(spec)}
    return raw | {f"{name}_contract_raw": ("contract",) for name in own_names(spec)}


def funding_dims(spec: FundingSpec) -> dict[str, tuple[str, ...]]:
    """Dims of every parameter that `funding_parameters` returns."""
    named = dict(market_names(spec)) | {"floor_between": (), "between": ("own",)}
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
    shared = (*market_names(spec), "floor_between", "between")
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
    for name, spread in own_spreads(spec, natural).items():
        sd, own = spread[..., None], raw[f"{name}_contract_raw"]
        away = (own - raw[f"{name}_raw"][..., None]) / sd
        total = total + (0.5 * own**2 - 0.5 * away**2 - xp.log(sd)).sum(-1)
    return total


def own_spreads(spec: FundingSpec, natural: Mapping[str, Any]) -> dict[str, Any]:
    """Spread between contracts of each parameter of their own, in deviations of its prior."""
    floor, *others = own_names(spec)
    spreads = {floor: natural["floor_between"]}
    spreads |= {name: natural["between"][..., place] for place, name in enumerate(others)}
    return {name: one / getattr(spec.priors, name).scale for name, one in spreads.items()}


def state_values(
    spec: FundingSpec, natural: Mapping[str, Any], xp: Any
) -> tuple[Any, Any, Any, Any]:
    r"""Slow level, drift and fast premium of every state in their units, and its relative noise.

    .. math:: e^{a x}, \qquad s\,\frac{\sinh(h z)}{h}, \qquad s \cosh(h z),
       \qquad s = e^{g x} r^{\text{wild}}

    with slow rung ``x``, fast rung ``z``, skew ``a``, growth ``g``, tail ``h`` and ratio ``r``:
    far from where it rests, up or down, a premium moves as much more as its slope says. States run
    over rungs of the drift, slow rungs, fast rungs, then regimes; shape (..., state).
    """
    axes = rungs(spec.drifts), rungs(spec.levels), rungs(spec.swings), np.arange(spec.regimes)
    drift, slow, fast, regime = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    skew = natural["skew"][..., None]
    level = xp.exp(skew * slow)
    relative = xp.exp(natural["growth"][..., None] * slow)
    if spec.regimes > 1:
        relative = relative * natural["volatility_ratio"][..., None] ** regime
    if spec.swings == 1:
        return level, drift + 0.0 * level, 0.0 * level, relative
    tail = natural["tail"][..., None]
    swing = relative * xp.sinh(tail * fast) / tail
    return level, drift + 0.0 * level, swing, relative * xp.cosh(tail * fast)


def chains(
    spec: FundingSpec,
    natural: Mapping[str, Any],
    cells: Cells,
    gap_days: Any,
    xp: Any,
) -> dict[str, Any]:
    r"""What the filter takes, by the fields of `Chains`, for every draw; `shifts` has the rest.

    A premium that the dead zone hid is remembered as where its state rests, cut off at the zone's
    edges: ``guess`` is what stays of it, and is in the location of cells that go by it. Noise has,
    besides its own, the variance of what lies between rungs of the fast premium.

    Parameters
    ----------
    spec : FundingSpec
        The model.
    natural : mapping
        From `funding_parameters`.
    cells : Cells
        What each row of the filter's parameters holds for.
    gap_days : array, shape (gap,)
        Times between events.
    xp : module
        `numpy` or `pytensor.tensor`.
    """
    level, drift, swing, relative = (x[..., None, :] for x in state_values(spec, natural, xp))
    own = {name: natural[name][..., cells.contract][..., None] for name in own_names(spec)}
    memory = xp.exp(-np.log(2.0) / DAY_HOURS * cells.hours / own["memory"][..., 0])
    widening = (natural["width"][..., None] - 1.0) * cells.clamp
    lifted = own["floor"] + own["level"] * level
    if spec.drifts > 1:
        lifted = lifted + own["drift"] * drift
    resting = edge(cells, xp)[:, None] + folded(lifted, cells.fold[:, None], xp)
    noise = own["noise"]
    if spec.swings > 1:
        resting = resting + own["swing"] * swing
        # A rung stands for all that is nearer to it than to others: noise has their variance, too.
        reach = (1.0 - memory[..., None]) * own["swing"] * half_rung(spec.swings)
        noise = xp.sqrt(noise**2 + reach**2 / (3.0 * T_VARIANCE))
    half = (widening + cells.clamp)[..., None]
    middle = cells.middle[:, None]
    hidden = xp.minimum(xp.maximum(resting, middle - half), middle + half)
    guess = memory[..., None] * hidden
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
        "location": (1.0 - memory[..., None]) * resting + cells.hidden[:, None] * guess,
        "scale": noise * relative,
        "guess": guess,
        "memory": memory,
        "widening": widening,
        "slow": _slow_moves(spec, natural, gap_days, xp),
        "inner": inner.reshape((*inner.shape[:-4], places, places)),
        "start": start.reshape((*start.shape[:-2], spec.states)),
    }


def shifts(natural: Mapping[str, Any], memory: Any, cell: Any, before: Any, covariates: Any) -> Any:
    r"""What is known of each premium beforehand, bp per 8 hours, shape (..., obs).

    .. math:: \varphi P_- + (1 - \varphi)\, \beta^\top x

    Memory decays to the resting premium, which covariates move by ``β`` a standard deviation.

    Parameters
    ----------
    natural : mapping
        From `funding_parameters`.
    memory : array, shape (..., cell)
        Share of the last premium that stays, from `chains`.
    cell : array, shape (obs,)
        Which row of the filter's parameters holds.
    before : array, shape (obs,)
        Last premium, bp per 8 hours; nil where it is guessed.
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
