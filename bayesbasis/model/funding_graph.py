"""The funding model as a PyMC graph: its filter as one Op, and the model around it."""

import hashlib
import inspect
import sys
from functools import cache
from typing import Any

import numba
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.cache import _call_cached_ptr
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.funding_layout import FundingLayout, lay_out_funding
from bayesbasis.model.funding_parameters import (
    chains,
    funding_dims,
    funding_parameters,
    funding_raw,
    own_names,
)
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.model.likelihood import _plain
from bayesbasis.process.censored import Chains, Settlements, settlement_sweep
from bayesbasis.process.kernels import STAMP

_DATA = len(Settlements._fields)
_RANKS = {"location": 2, "scale": 2, "memory": 1, "widening": 1, "slow": 3, "inner": 3, "start": 1}


class FundingLogLikelihood(Op):
    """Log likelihood of a funding history, of the fields of `Settlements` and then of `Chains`.

    The first output is the value, the others its gradient by each of the fields of `Chains`.
    """

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        """Check ranks and types, and say what comes out."""
        variables = [pt.as_tensor_variable(x) for x in inputs]
        return Apply(self, variables, [pt.dscalar(), *(x.type() for x in variables[_DATA:])])

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        given = [np.ascontiguousarray(x, dtype=float) for x in inputs[_DATA:]]
        value, slopes = settlement_sweep(Settlements(*inputs[:_DATA]), Chains(*given))
        output_storage[0][0] = np.asarray(value)
        for storage, slope in zip(output_storage[1:], slopes, strict=True):
            storage[0] = slope

    def pullback(
        self, inputs: list[Variable], outputs: list[Variable], cotangents: list[Variable]
    ) -> list[Variable]:
        """Scale the gradient by the cotangent of the value."""
        for name, cotangent in zip(Chains._fields, cotangents[1:], strict=True):
            if not isinstance(cotangent.type, DisconnectedType):
                raise NotImplementedError(f"second derivatives of the funding filter, by {name}")
        slopes = [cotangents[0] * slope for slope in outputs[1:]]
        return [disconnected_type() for _ in range(_DATA)] + slopes

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Settlements are data: no gradient flows to them."""
        return [[i >= _DATA] * len(node.outputs) for i in range(len(node.inputs))]


def kernel_version() -> int:
    """Version of the compiled code: a hash of the source of the kernels and of this room."""
    source = STAMP + inspect.getsource(sys.modules[__name__])
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:8])


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
    settlement_sweep.compile(signature)
    return settlement_sweep.overloads[signature]


def settlement_sweep_address() -> int:
    """Address of the compiled kernels, which differs from process to process."""
    compiled = _compiled_sweep()
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name))


@numba_basic.register_funcify_default_op_cache_key(FundingLogLikelihood)
def _compile(op: FundingLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    # As in `likelihood`: called through their address, the kernels are compiled once.
    kernels = numba.types.FunctionType(_compiled_sweep().signature)
    name = f"bayesbasis_settlement_sweep_{kernel_version()}"

    @numba_basic.numba_njit
    def address():  # type: ignore[no-untyped-def]
        with numba.objmode(pointer=numba.types.intp):
            pointer = settlement_sweep_address()
        return pointer  # noqa: RET504

    @numba_basic.numba_njit
    def funding_log_likelihood(*inputs):  # type: ignore[no-untyped-def]
        (start, stop, gap, cell, lower, upper, lower_side, upper_side, before,
         location, scale, memory, widening, slow, inner, begin) = inputs  # fmt: skip
        function = _call_cached_ptr(address, kernels, name)
        value, g = function(
            Settlements(
                _plain(start), _plain(stop), _plain(gap), _plain(cell), _plain(lower),
                _plain(upper), _plain(lower_side), _plain(upper_side), _plain(before),
            ),
            Chains(
                _plain(location), _plain(scale), _plain(memory), _plain(widening), _plain(slow),
                _plain(inner), _plain(begin),
            ),
        )  # fmt: skip
        return (
            np.asarray(value), g.location, g.scale, g.memory, g.widening, g.slow, g.inner, g.start,
        )  # fmt: skip

    return funding_log_likelihood, kernel_version()


def build_funding(spec: FundingSpec, history: xr.Dataset) -> pm.Model:
    """Build the model of a funding history.

    Every parameter is a map of standard normals (``*_raw``); the likelihood is one potential,
    ``log_likelihood``. All data live in containers.

    Parameters
    ----------
    spec : FundingSpec
        The model.
    history : xarray.Dataset
        From `make_funding`.

    Returns
    -------
    pymc.Model
        With named dims ``contract``, ``regime`` and ``own``.
    """
    layout = lay_out_funding(history, spec.shared_by)
    with pm.Model(coords=funding_coords(spec, history)) as model:
        data = {name: pm.Data(name, value) for name, value in funding_arrays(layout).items()}
        raw = {
            name: pm.Normal(name, 0.0, 1.0, dims=dims) for name, dims in funding_raw(spec).items()
        }
        natural = funding_parameters(spec, raw, pt)
        for name, dims in funding_dims(spec).items():
            pm.Deterministic(name, natural[name], dims=dims)
        names = ("cell_contract", "cell_hours", "cell_clamp", "gap_days")
        where = tuple(data[name] for name in names)
        inputs = chains(spec, natural, where[0], where[1], where[2], where[3], pt)
        value, *_ = FundingLogLikelihood()(
            *(data[name] for name in Settlements._fields), *(inputs[x] for x in Chains._fields)
        )
        pm.Potential("log_likelihood", value)
    return model


def funding_coords(spec: FundingSpec, history: xr.Dataset) -> dict[str, list[Any]]:
    """Coordinates of the model's dims."""
    return {
        "contract": history["contract"].values.tolist(),
        "regime": list(range(1, spec.regimes + 1)),
        "own": list(own_names(spec)[1:]),
    }


def funding_arrays(layout: FundingLayout) -> dict[str, NDArray[Any]]:
    """Name every array that the graph reads, as `build_funding` names its data containers."""
    return layout.settlements._asdict() | {
        "cell_contract": layout.cell_contract,
        "cell_hours": layout.cell_hours,
        "cell_clamp": layout.cell_clamp,
        "gap_days": layout.gap_days,
    }
