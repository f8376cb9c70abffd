"""The model as a PyMC graph."""

from collections.abc import Mapping
from dataclasses import fields, replace
from os import PathLike
from typing import Any

import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.model.cards import load_card
from bayesbasis.model.covariates import Clock
from bayesbasis.model.filter_inputs import INPUTS
from bayesbasis.model.hierarchy import (
    dims,
    filter_inputs,
    law_parameters,
    parameters,
    raw_population,
    raw_variables,
    spot_inputs,
)
from bayesbasis.model.joint_likelihood import SPOT_INPUTS, JointLogLikelihood
from bayesbasis.model.layout import Layout, lay_out
from bayesbasis.model.levels import Cells, Evidence, Members, member_prior
from bayesbasis.model.likelihood import FilterLogLikelihood
from bayesbasis.model.offsets import by_cell, units
from bayesbasis.model.own_noise import OwnNoiseLogLikelihood
from bayesbasis.model.paced import paced_log_likelihood
from bayesbasis.model.spec import Spec
from bayesbasis.process.equilibria import Quotes, fair_basis
from bayesbasis.process.filter import Schedule
from bayesbasis.process.quadrature import Steps

# Moves that a small quadrature grid resolves, and those of the last hours before expiry.
_KINDS = ("easy", "hard")


def build(
    spec: Spec | str | PathLike[str],
    panel: xr.Dataset,
    evidence: Mapping[str, Evidence] | None = None,
) -> pm.Model:
    """Build the model of a panel.

    Every parameter is a deterministic map of standard normals (``*_raw``), the scale on which NUTS
    is at ease; members of populations, such as ``contract_raw``, are centred in the light of
    evidence, or carry as `Pooling` says.
    The likelihood is one potential, ``log_likelihood``. All data live in containers, so another
    panel of the same shape of hierarchy fits the same graph.

    Parameters
    ----------
    spec : Spec, str or path
        The model, or its card, as `load_card` takes it.
    panel : xarray.Dataset
        From `make_panel`.
    evidence : mapping of Evidence, optional
        What members of populations are sampled in the light of, from `gather_evidence`; by default
        nothing. The model is the same, only its coordinates are not.

    Returns
    -------
    pymc.Model
        With named dims ``contract``, ``underlying``, ``venue``, ``kind``, ``regime`` and coords.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> prices, truth = bb.simulate_market(seed=1)
    >>> panel, audit = bb.make_panel(prices)
    >>> model = bb.build(bb.load_card("anchored-regimes"), panel)
    >>> model["half_life"].ndim
    1
    """
    spec = load_card(spec)
    layout = lay_out(spec, panel)
    if evidence is not None:
        layout = replace(layout, evidence=evidence)
    with pm.Model(coords=layout.coords) as model:
        data = {name: pm.Data(name, value) for name, value in data_arrays(layout).items()}
        members = Members(*(data[f"contract_{level}"] for level in Members._fields))
        known = {
            name: Evidence(*(data.get(f"evidence_{name}_{field}") for field in Evidence._fields))
            for name in layout.evidence
        }
        raw: dict[str, Any] = {}
        for name, names in raw_variables(spec, layout.levels).items():
            mean, sd = 0.0, 1.0
            if name in known:
                whole = raw_population(spec, layout.levels, name, raw, members, pt, known)
                mean, sd = member_prior(spec, name, *whole, known[name])
            raw[name] = pm.Normal(name, mean, sd, dims=names, shape=_static_shape(names, layout))
        natural = parameters(spec, layout.levels, raw, members, pt, known)
        for name, names in dims(spec, layout.levels).items():
            value = natural[name]
            extra = range(value.ndim - len(names))
            pm.Deterministic(name, value.squeeze(tuple(extra)) if extra else value, dims=names)
        pm.Potential("log_likelihood", _log_likelihood(spec, layout, natural, data))
    return model


def _static_shape(names: tuple[str, ...], layout: Layout) -> tuple[int | None, ...] | None:
    """Return the shape of a variable, unless it grows with the panel.

    What PyTensor knows at compile time it need not check at run time.
    """
    growing = {"contract", "venue", "kind"} | (
        {"underlying"} if layout.levels.underlyings else set()
    )
    if growing & set(names):
        return None
    return tuple(len(layout.coords[name]) for name in names)


def data_arrays(layout: Layout) -> dict[str, NDArray[Any]]:
    """Name every array that the graph reads, as `build` names its data containers."""
    arrays = {
        "contract_underlying": layout.contract_underlying,
        "contract_venue": layout.contract_venue,
        "contract_kind": layout.contract_kind,
        "contract_index": layout.contract,
        "basis": layout.basis,
        "tau": layout.tau,
        "log_spot": layout.log_spot,
        "observed": layout.observed,
        "covariates": layout.covariates,
    }
    for name, known in layout.evidence.items():
        arrays |= {
            f"evidence_{name}_{field}": value
            for field, value in known._asdict().items()
            if value is not None
        }
    both = zip(_KINDS, layout.moves, layout.move_group, layout.move_drive, strict=True)
    for kind, moves, group, drive in both:
        arrays |= {f"{kind}_{f.name}": getattr(moves, f.name) for f in fields(Steps)}
        arrays |= {f"{kind}_group": group, f"{kind}_drive": drive}
    if layout.clock is not None:
        arrays |= {f"clock_{name}": value for name, value in layout.clock._asdict().items()}
    if layout.levels.apart:
        arrays |= {f"cell_{name}": value for name, value in layout.cells._asdict().items()}
        arrays |= {"quote_cell": layout.quote_cell, "cell_quotes": layout.cell_quotes}
    if layout.spot_move is not None:
        arrays["spot_move"] = layout.spot_move
    return arrays | layout.schedule._asdict()


def _log_likelihood(
    spec: Spec, layout: Layout, natural: dict[str, Any], data: dict[str, Any]
) -> Any:
    # Parameters that all underlyings share broadcast; there is nothing to gather.
    group = data["group"] if layout.levels.underlyings else slice(None)
    read = (data[name] for name in ("log_spot", "covariates", "observed"))
    quotes = Quotes(data["tau"], data["contract_index"], group, *read)
    fair = fair_basis(spec.equilibrium, natural, quotes, pt)
    clock = None
    if layout.clock is not None:
        clock = Clock(*(data[f"clock_{name}"] for name in Clock._fields))
    inputs = filter_inputs(spec, natural, pt, clock) | {"deviation": data["basis"] - fair}
    inputs |= _moves(spec, layout, natural, data)
    if not layout.levels.apart:
        return _filtered(spec, natural, data, inputs)
    measure = units(spec, natural, _cells(data), pt)
    inputs["deviation"] /= measure.size[data["quote_cell"]]
    for kind in _KINDS:
        inputs[f"variance_{kind}"] /= measure.noise[data[f"{kind}_group"]]
    jacobian = (data["cell_quotes"] * pt.log(measure.size)).sum()
    return _filtered(spec, natural, data, inputs) - jacobian


def _cells(data: dict[str, Any]) -> Cells:
    return Cells(*(data[f"cell_{level}"] for level in Cells._fields))


def _moves(
    spec: Spec, layout: Layout, natural: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    """What the law says of every distinct move."""
    tables: dict[str, Any] = {}
    whole = by_cell(spec, natural, _cells(data), pt) if layout.levels.apart else natural
    gathers = layout.levels.underlyings or layout.levels.apart
    for kind in _KINDS:
        group = data[f"{kind}_group"] if gathers else slice(None)
        own = law_parameters(spec, whole, group, data[f"{kind}_drive"], pt)
        steps = Steps(**{f.name: data[f"{kind}_{f.name}"] for f in fields(Steps)})
        transition = spec.law.transition(own, steps, pt)
        tables[f"phi_{kind}"], tables[f"variance_{kind}"] = transition
        if spec.regimes.has_speeds:
            wilder = own | {"half_life": own["half_life"] / whole["speed_ratio"][group].T}
            tables[f"pace_{kind}"] = spec.law.transition(wilder, steps, pt)[0]
    return tables


def _filtered(
    spec: Spec, natural: dict[str, Any], data: dict[str, Any], inputs: dict[str, Any]
) -> Any:
    """Log likelihood of what the filter takes."""
    if spec.regimes.has_speeds:
        return paced_log_likelihood(data, inputs)
    schedule, curve = [data[name] for name in Schedule._fields], [inputs[name] for name in INPUTS]
    if spec.shocks.noise == "own":
        return OwnNoiseLogLikelihood()(*schedule, *curve)[0]
    if spec.spot is None:
        return FilterLogLikelihood()(*schedule, *curve)[0]
    spot = spot_inputs(natural)
    beside = [spot[name] for name in SPOT_INPUTS]
    return JointLogLikelihood()(*schedule, data["spot_move"], *curve, *beside)[0]
