"""How much quotes say of each member, and so in which coordinates a fit is sampled with ease.

References
----------
Papaspiliopoulos, Roberts and Sköld (2007), doi 10.1214/088342307000000014.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.inference.draws import filter_parameters
from bayesbasis.inference.posterior import LogPosterior, log_posterior
from bayesbasis.model.hierarchy import parameters, raw_population
from bayesbasis.model.layout import Layout, lay_out
from bayesbasis.model.levels import Evidence, raw_prior
from bayesbasis.model.offsets import units
from bayesbasis.model.spec import Spec
from bayesbasis.process.conditional import carry_information
from bayesbasis.process.paced import plain, run_filter

Array = NDArray[Any]

_STEPS, _ROUNDS = 200, 2
# A mode has shorter half-lives than the bulk, and quotes say more of carry there.
_SHARE = 0.25
_SLOPE_STEP = 1e-4


def gather_evidence(spec: Spec, panel: xr.Dataset) -> Mapping[str, Evidence]:
    r"""Estimate what quotes say of each member of a population by themselves.

    Members are contracts with their carry, or level, and underlyings, venues, kinds and contracts
    with their offsets of other parameters. At the mode of the posterior, or near it, and given all
    other parameters and members there:

    .. math:: p = \frac{J_{ii}}{4}, \qquad \hat c = c + \frac{1}{J_{ii}} \frac{∂ \ln L}{∂ c}

    with the information ``J``: of carry the expected one of `carry_information`, of other
    parameters the curvature of the likelihood, or nothing where it bends upwards. Where nothing is
    known yet, the mode is far from the bulk: spreads are large there. In the light of what is known
    there it is not, so that it is looked for twice. What is found says how members are sampled, not
    what the model is, and need not be exact: on Bitcoin a quarter and a half of ``J`` do about as
    well for carry, and all of it well enough.

    Parameters
    ----------
    spec : Spec
        The model.
    panel : xarray.Dataset
        From `make_panel`.

    Returns
    -------
    mapping of Evidence
        By variable, see `members_of`. All zeros where the search for the mode fails; of carry,
        where the card chooses a centring.
    """
    layout = lay_out(spec, panel)
    found = nothing = layout.evidence
    if not _sought(spec, nothing):
        return nothing
    for _ in range(_ROUNDS):
        target = log_posterior(spec, panel, found)
        raw = target.split(target.climb(np.zeros(target.size), _STEPS))
        found = {**nothing, **dict(_evidence_at(spec, panel, layout, found, raw))}
        if not all(np.isfinite(x).all() for own in found.values() for x in own[:2]):
            return nothing
    return found


def _sought(spec: Spec, evidence: Mapping[str, Evidence]) -> list[str]:
    """Say of which variables evidence is of use."""
    chosen = spec.pooling.centring is not None
    return [name for name in evidence if not (chosen and name == "contract_raw")]


def _evidence_at(
    spec: Spec,
    panel: xr.Dataset,
    layout: Layout,
    known: Mapping[str, Evidence],
    raw: Mapping[str, Array],
) -> Iterator[tuple[str, Evidence]]:
    """Evidence at one point, whose coordinates know of other evidence."""
    sought = _sought(spec, known)
    if "contract_raw" in sought:
        yield "contract_raw", _carry_evidence(spec, layout, known, raw)
    if set(sought) - {"contract_raw"}:
        yield from _offset_evidence(spec, panel, layout, known, raw, sought)


def _carry_evidence(
    spec: Spec, layout: Layout, known: Mapping[str, Evidence], raw: Mapping[str, Array]
) -> Evidence:
    """Evidence of carry, or level, by the filter's sensitivity to it."""
    draw = {name: value[None] for name, value in raw.items()}
    natural = parameters(spec, layout.levels, draw, layout.members, np, known)
    (p,) = filter_parameters(spec, layout, natural)
    own = {name: value[0] for name, value in natural.items()}
    size = units(spec, natural, layout.cells, np).size[0, layout.quote_cell]
    loading = spec.equilibrium.curve(own, layout.quotes, np)[1] / size
    result, contracts = run_filter(layout.schedule, p), len(layout.contract_cell)
    own_noise = spec.shocks.noise == "own"
    score, information = carry_information(
        layout.schedule, plain(p), result, loading, layout.contract, contracts, own_noise
    )
    score, precision = _SHARE * score, _SHARE * np.diag(information)
    return Evidence(precision, precision * own[spec.equilibrium.quantity] + score)


def _offset_evidence(
    spec: Spec,
    panel: xr.Dataset,
    layout: Layout,
    known: Mapping[str, Evidence],
    raw: Mapping[str, Array],
    names: list[str],
) -> Iterator[tuple[str, Evidence]]:
    """Evidence of other parameters, by differences of the slope of a density without evidence."""
    target = log_posterior(spec, panel)
    whole, standard = {}, dict(raw)
    for name in names:
        centre, spread = raw_population(spec, layout.levels, name, raw, layout.members, np, known)
        mean, sd = raw_prior(centre, spread, known[name])
        whole[name], standard[name] = (centre, spread), (raw[name] - mean) / sd
    flat = np.concatenate([standard[name].ravel() for name in target.shapes])
    slope, place = target.split(target(flat)[1]), target.split(np.arange(target.size))
    # Carry has evidence of its own.
    for name in (other for other in names if other != "contract_raw"):
        (centre, spread), x = whole[name], standard[name]
        curvature = np.reshape([_curvature(target, flat, i) for i in place[name].ravel()], x.shape)
        # Of the density less that of a standard normal, by the parameter.
        information = np.maximum(curvature - 1.0, 0.0) / spread**2
        score = np.where(information > 0.0, (slope[name] + x) / spread, 0.0)
        precision = _SHARE * information
        pull = precision * (centre + spread * x) + _SHARE * score
        yield name, known[name]._replace(precision=precision, pull=pull)


def _curvature(target: LogPosterior, flat: Array, i: int) -> float:
    """How much a log density bends down along one direction."""
    step = np.zeros_like(flat)
    step[i] = _SLOPE_STEP
    bend = target(flat + step)[1][i] - target(flat - step)[1][i]
    return float(-bend / (2.0 * _SLOPE_STEP))
