"""The funding model as a PyMC graph: its filter as one Op, and the model around it."""

from functools import cache
from typing import Any

import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray
from pytensor.graph.basic import Apply
from pytensor.link.numba.cache import _call_cached_ptr
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.funding_layout import FundingLayout, lay_out_funding
from bayesbasis.model.funding_parameters import (
    Cells,
    chains,
    funding_dims,
    funding_parameters,
    funding_raw,
    own_names,
    own_prior,
    shifts,
)
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.model.sweep_op import SweepOp, address_of, compiled, plain, version_of
from bayesbasis.process.censored import Chains, Settlements, settlement_sweep

_RANKS = {"location": 2, "scale": 2, "shift": 1, "widening": 1, "slow": 3, "inner": 3, "start": 1}


class FundingLogLikelihood(SweepOp):
    """Log likelihood of a funding history, of the fields of `Settlements` and then of `Chains`."""

    data = len(Settlements._fields)
    parameters = Chains._fields

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        given = [np.ascontiguousarray(x, dtype=float) for x in inputs[self.data :]]
        value, slopes = settlement_sweep(Settlements(*inputs[: self.data]), Chains(*given))
        output_storage[0][0] = np.asarray(value)
        for storage, slope in zip(output_storage[1:], slopes, strict=True):
            storage[0] = slope


@cache
def _compiled_sweep() -> Any:
    """Compile the kernels for plain arrays, or load what was compiled."""
    counts = ("event_start", "event_stop", "gap", "cell")
    arrays = [
        tuple(
            numba.types.Array(numba.int64 if name in counts else numba.float64, 1, "C")
            for name in Settlements._fields
        ),
        tuple(numba.types.Array(numba.float64, _RANKS[name], "C") for name in Chains._fields),
    ]
    signature = tuple(map(numba.types.NamedTuple, arrays, (Settlements, Chains)))
    return compiled(settlement_sweep, signature)


def settlement_sweep_address() -> int:
    """Address of the compiled kernels, which differs from process to process."""
    return address_of(_compiled_sweep())


@numba_basic.register_funcify_default_op_cache_key(FundingLogLikelihood)
def _compile(op: FundingLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    kernels = numba.types.FunctionType(_compiled_sweep().signature)
    name = f"bayesbasis_settlement_sweep_{version_of(__name__)}"

    @numba_basic.numba_njit
    def address():  # type: ignore[no-untyped-def]
        with numba.objmode(pointer=numba.types.intp):
            pointer = settlement_sweep_address()
        return pointer  # noqa: RET504

    @numba_basic.numba_njit
    def funding_log_likelihood(*inputs):  # type: ignore[no-untyped-def]
        (start, stop, gap, cell, lower, upper, lower_side, upper_side,
         location, scale, shift, widening, slow, inner, begin) = inputs  # fmt: skip
        function = _call_cached_ptr(address, kernels, name)
        value, g = function(
            Settlements(
                plain(start), plain(stop), plain(gap), plain(cell), plain(lower),
                plain(upper), plain(lower_side), plain(upper_side),
            ),
            Chains(
                plain(location), plain(scale), plain(shift), plain(widening), plain(slow),
                plain(inner), plain(begin),
            ),
        )  # fmt: skip
        return (
            np.asarray(value), g.location, g.scale, g.shift, g.widening, g.slow, g.inner, g.start,
        )  # fmt: skip

    return funding_log_likelihood, version_of(__name__)


def build_funding(spec: FundingSpec, history: xr.Dataset) -> pm.Model:
    """Build the model of a funding history.

    Every parameter is a map of standard normals (``*_raw``). Two potentials: ``log_likelihood``,
    and ``own_prior``, which puts contracts' own (``*_contract_raw``) around the market's. All data
    live in containers.

    Parameters
    ----------
    spec : FundingSpec
        The model.
    history : xarray.Dataset
        From `make_funding`.

    Returns
    -------
    pymc.Model
        With named dims ``contract``, ``regime``, ``own`` and ``covariate``.
    """
    layout = lay_out_funding(spec, history)
    with pm.Model(coords=funding_coords(spec, history)) as model:
        data = {name: pm.Data(name, value) for name, value in funding_arrays(layout).items()}
        raw = {
            name: pm.Normal(name, 0.0, 1.0, dims=dims) for name, dims in funding_raw(spec).items()
        }
        natural = funding_parameters(spec, raw, pt)
        for name, dims in funding_dims(spec).items():
            pm.Deterministic(name, natural[name], dims=dims)
        cells = Cells(*(data[f"cell_{name}"] for name in Cells._fields))
        inputs = chains(spec, natural, cells, data["gap_days"], pt)
        known = tuple(data[name] for name in ("cell", "before", "covariates"))
        inputs |= {"shift": shifts(natural, inputs["memory"], *known)}
        value, *_ = FundingLogLikelihood()(
            *(data[name] for name in Settlements._fields), *(inputs[x] for x in Chains._fields)
        )
        pm.Potential("log_likelihood", value)
        pm.Potential("own_prior", own_prior(spec, raw, natural, pt))
    return model


def funding_coords(spec: FundingSpec, history: xr.Dataset) -> dict[str, list[Any]]:
    """Coordinates of the model's dims."""
    return {
        "contract": history["contract"].values.tolist(),
        "regime": list(range(1, spec.regimes + 1)),
        "own": list(own_names(spec)[1:]),
        "covariate": list(spec.covariates),
    }


def funding_arrays(layout: FundingLayout) -> dict[str, NDArray[Any]]:
    """Name every array that the graph reads, as `build_funding` names its data containers."""
    cells = {f"cell_{name}": value for name, value in layout.cells._asdict().items()}
    return (
        layout.settlements._asdict()
        | cells
        | {
            "gap_days": layout.gap_days,
            "before": layout.before,
            "covariates": layout.covariates,
        }
    )
