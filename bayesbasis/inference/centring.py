"""How much quotes say of contracts' carry, and so in which coordinates a fit is sampled with ease.

References
----------
Papaspiliopoulos, Roberts and Sköld (2007), doi 10.1214/088342307000000014.
"""

import numpy as np
import xarray as xr

from bayesbasis.inference.draws import filter_parameters
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.hierarchy import parameters
from bayesbasis.model.layout import Layout, lay_out
from bayesbasis.model.levels import Evidence
from bayesbasis.model.offsets import units
from bayesbasis.model.spec import Spec
from bayesbasis.process.conditional import carry_information
from bayesbasis.process.paced import plain, run_filter

_STEPS, _ROUNDS = 200, 2
# A mode has shorter half-lives than the bulk, and quotes say more of carry there.
_SHARE = 0.25


def gather_evidence(spec: Spec, panel: xr.Dataset) -> Evidence:
    r"""Estimate what the quotes of each contract say of its carry, or level, by themselves.

    At the mode of the posterior, or near it, and given all other parameters and contracts there:

    .. math:: p = \frac{J_{ii}}{4}, \qquad \hat c = c + \frac{1}{J_{ii}} \frac{∂ \ln L}{∂ c}

    with the expected information ``J`` of `carry_information`. Where nothing is known yet, the mode
    is far from the bulk: spreads are large there. In the light of what is known there it is not,
    so that it is looked for twice. What is found says how carry is sampled, not what the model is,
    and need not be exact: on Bitcoin a quarter and a half of ``J`` do about as well, and all of it
    well enough.

    Parameters
    ----------
    spec : Spec
        The model.
    panel : xarray.Dataset
        From `make_panel`.

    Returns
    -------
    Evidence
        None at all, all zeros, where the card chooses a centring, contracts share one carry, or
        the search for the mode fails.
    """
    layout = lay_out(spec, panel)
    found = nothing = layout.evidence
    if spec.pooling.centring is not None or spec.pooling.contracts == "shared":
        return nothing
    for _ in range(_ROUNDS):
        target = log_posterior(spec, panel, found)
        mode = target.climb(np.zeros(target.size), _STEPS)
        found = _evidence_at(spec, layout, found, target.split(mode[None]))
        if not all(np.isfinite(array).all() for array in found):
            return nothing
    return found


def _evidence_at(
    spec: Spec, layout: Layout, known: Evidence, raw: dict[str, np.ndarray]
) -> Evidence:
    """Evidence at one point, whose coordinates know of other evidence."""
    natural = parameters(spec, layout.levels, raw, layout.members, np, known)
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
