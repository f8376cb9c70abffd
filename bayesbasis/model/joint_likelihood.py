"""The filter of basis and spot as one PyTensor Op; see `likelihood`, whose twin it is."""

import hashlib
import inspect
import sys
from functools import cache
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.cache import _call_cached_ptr
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.likelihood import INPUTS, _plain
from bayesbasis.process.filter import Parameters, Schedule
from bayesbasis.process.joint import Returns, joint_sweep
from bayesbasis.process.kernels import STAMP

_DATA = len(Schedule._fields) + 1
SPOT_INPUTS = ("volatility", "with_curve")
"""What the Op takes after `INPUTS`: the fields of `Returns` but its data, which come first."""


class JointLogLikelihood(Op):
    """Log likelihood of basis and spot: of `Schedule`, the moves of spot, `INPUTS`, `SPOT_INPUTS`.

    The first output is the value, the others its gradient by all but the data, as of
    `FilterLogLikelihood`.
    """

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        """Check ranks and types, and say what comes out."""
        variables = [pt.as_tensor_variable(x) for x in inputs]
        return Apply(self, variables, [pt.dscalar(), *(x.type() for x in variables[_DATA:])])

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        *schedule, move = inputs[:_DATA]
        given = dict(zip(INPUTS + SPOT_INPUTS, inputs[_DATA:], strict=True))
        easy, spot = len(given["phi_easy"]), [given.pop(name) for name in SPOT_INPUTS]
        for name in ("phi", "variance"):
            given[name] = np.concatenate([given.pop(f"{name}_easy"), given.pop(f"{name}_hard")])
        result = joint_sweep(Schedule(*schedule), Parameters(**given), Returns(move, *spot))
        slopes = result.gradient._asdict() | result.by_returns._asdict()
        for name in ("phi", "variance"):
            slopes[f"{name}_easy"], slopes[f"{name}_hard"] = np.split(slopes[name], [easy])
        output_storage[0][0] = np.asarray(result.value)
        for storage, name in zip(output_storage[1:], INPUTS + SPOT_INPUTS, strict=True):
            storage[0] = slopes[name]

    def pullback(
        self, inputs: list[Variable], outputs: list[Variable], cotangents: list[Variable]
    ) -> list[Variable]:
        """Scale the gradient by the cotangent of the value."""
        for name, cotangent in zip(INPUTS + SPOT_INPUTS, cotangents[1:], strict=True):
            if not isinstance(cotangent.type, DisconnectedType):
                raise NotImplementedError(f"second derivatives of the filter, by {name}")
        slopes = [cotangents[0] * slope for slope in outputs[1:]]
        return [disconnected_type() for _ in range(_DATA)] + slopes

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """No gradient flows to the data."""
        return [[i >= _DATA] * len(node.outputs) for i in range(len(node.inputs))]


def kernel_version() -> int:
    """Version of the compiled code: a hash of the source of the kernels and of this room."""
    source = STAMP + inspect.getsource(sys.modules[__name__])
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:8])


@cache
def _compiled_sweep() -> Any:
    """Compile the kernels for plain arrays, or load what was compiled."""
    ranks = {"scale": 2, "rates": 3, "volatility": 2, "with_curve": 2}
    whole = [name for name in Schedule._fields if name != "gap_length"]

    def array(name: str) -> Any:
        return numba.types.Array(
            numba.int64 if name in whole else numba.float64, ranks.get(name, 1), "C"
        )

    records = (Schedule, Parameters, Returns)
    arrays = [tuple(array(name) for name in record._fields) for record in records]
    signature = tuple(map(numba.types.NamedTuple, arrays, records))
    joint_sweep.compile(signature)
    return joint_sweep.overloads[signature]


def joint_sweep_address() -> int:
    """Address of the compiled kernels, which differs from process to process."""
    compiled = _compiled_sweep()
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name))


@numba_basic.register_funcify_default_op_cache_key(JointLogLikelihood)
def _compile(op: JointLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    # As in `likelihood`: called through their address, the kernels are compiled once.
    kernels = numba.types.FunctionType(_compiled_sweep().signature)
    name = f"bayesbasis_joint_sweep_{kernel_version()}"

    @numba_basic.numba_njit
    def address():  # type: ignore[no-untyped-def]
        with numba.objmode(pointer=numba.types.intp):
            pointer = joint_sweep_address()
        return pointer  # noqa: RET504

    @numba_basic.numba_njit
    def joint_log_likelihood(*inputs):  # type: ignore[no-untyped-def]
        (previous, step, group, first, start, stop, gap, chain, gap_length, gap_chain, spot_move,
         deviation, phi_easy, phi_hard, variance_easy, variance_hard,
         noise, correlation, tail, scale, rates, volatility, with_curve) = inputs  # fmt: skip
        easy = len(phi_easy)
        moves = easy + len(phi_hard)
        phi, variance = np.empty(moves), np.empty(moves)
        for i in range(moves):
            phi[i] = phi_easy[i] if i < easy else phi_hard[i - easy]
            variance[i] = variance_easy[i] if i < easy else variance_hard[i - easy]
        function = _call_cached_ptr(address, kernels, name)
        result = function(
            Schedule(
                _plain(previous), _plain(step), _plain(group), _plain(first), _plain(start),
                _plain(stop), _plain(gap), _plain(chain), _plain(gap_length), _plain(gap_chain),
            ),
            Parameters(
                _plain(deviation), phi, variance, _plain(noise), _plain(correlation),
                _plain(tail), _plain(scale), _plain(rates),
            ),
            Returns(_plain(spot_move), _plain(volatility), _plain(with_curve)),
        )  # fmt: skip
        g, x = result.gradient, result.by_returns
        return (
            np.asarray(result.value), g.deviation, g.phi[:easy], g.phi[easy:], g.variance[:easy],
            g.variance[easy:], g.noise, g.correlation, g.tail, g.scale, g.rates, x.volatility,
            x.with_curve,
        )  # fmt: skip

    return joint_log_likelihood, kernel_version()
