"""The filter as one PyTensor Op: value and every gradient in one sweep of numba kernels."""

import hashlib
import inspect
import sys
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.cache import _call_cached_ptr
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.ahead import SIGNATURE, sweep_address
from bayesbasis.process.filter import Parameters, Schedule
from bayesbasis.process.kernels import STAMP

_SCHEDULE = len(Schedule._fields)
INPUTS = (
    "deviation", "phi_easy", "phi_hard", "variance_easy", "variance_hard",
    "noise", "correlation", "tail", "scale", "rates",
)  # fmt: skip
"""What the Op takes after the schedule: `Parameters`, the moves in the two parts of `Layout`."""


class FilterLogLikelihood(Op):
    """Log likelihood of a panel, of the fields of `Schedule` and then of `INPUTS`.

    The first output is the value. The others are its gradient by each of `INPUTS`, which the same
    sweep yields; they are what the pullback returns, and no graph should use them otherwise.
    """

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        """Check ranks and types, and say what comes out."""
        variables = [pt.as_tensor_variable(x) for x in inputs]
        parameters = variables[_SCHEDULE:]
        return Apply(self, variables, [pt.dscalar(), *(x.type() for x in parameters)])

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        schedule, given = inputs[:_SCHEDULE], dict(zip(INPUTS, inputs[_SCHEDULE:], strict=True))
        easy = len(given["phi_easy"])
        for name in ("phi", "variance"):
            given[name] = np.concatenate([given.pop(f"{name}_easy"), given.pop(f"{name}_hard")])
        result = sweep(Schedule(*schedule), Parameters(**given))
        slopes = result.gradient._asdict()
        for name in ("phi", "variance"):
            slopes[f"{name}_easy"], slopes[f"{name}_hard"] = np.split(slopes[name], [easy])
        output_storage[0][0] = np.asarray(result.value)
        for storage, name in zip(output_storage[1:], INPUTS, strict=True):
            storage[0] = slopes[name]

    def pullback(
        self,
        inputs: list[Variable],
        outputs: list[Variable],
        cotangents: list[Variable],
    ) -> list[Variable]:
        """Scale the gradient by the cotangent of the value."""
        for name, cotangent in zip(INPUTS, cotangents[1:], strict=True):
            if not isinstance(cotangent.type, DisconnectedType):
                raise NotImplementedError(f"second derivatives of the filter, by {name}")
        slopes = [cotangents[0] * slope for slope in outputs[1:]]
        return [disconnected_type() for _ in range(_SCHEDULE)] + slopes

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Integers are data: no gradient flows to them."""
        width = len(node.outputs)
        return [[i >= _SCHEDULE] * width for i in range(len(node.inputs))]


def kernel_version() -> int:
    """Version of the compiled code: a hash of the source of the kernels and of this room."""
    source = STAMP + inspect.getsource(sys.modules[__name__])
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:8])


def _plain(x: Any) -> Any:
    """Return an array as the kernels are compiled for: in C order, writeable, of 64 bits."""


@numba.extending.overload(_plain)
def _plain_in_numba(x):  # type: ignore[no-untyped-def]
    # PyMC keeps integers in 32 bits, and constants may not be written to.
    wide = np.int64 if isinstance(x.dtype, numba.types.Integer) else np.float64
    if x.dtype == numba.from_dtype(np.dtype(wide)) and x.layout == "C" and x.mutable:
        return lambda x: x
    return lambda x: np.ascontiguousarray(x).astype(wide)


@numba_basic.register_funcify_default_op_cache_key(FilterLogLikelihood)
def _compile(op: FilterLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    # Each level of the graph's code would compile the kernels into itself once more. Called through
    # their address, they are compiled once, and loaded once.
    kernels = numba.types.FunctionType(SIGNATURE)
    name = f"bayesbasis_sweep_{kernel_version()}"

    @numba_basic.numba_njit
    def address():  # type: ignore[no-untyped-def]
        with numba.objmode(pointer=numba.types.intp):
            pointer = sweep_address()
        return pointer  # noqa: RET504

    @numba_basic.numba_njit
    def filter_log_likelihood(*inputs):  # type: ignore[no-untyped-def]
        (previous, step, group, first, start, stop, gap, chain, gap_length, gap_chain,
         deviation, phi_easy, phi_hard, variance_easy, variance_hard,
         noise, correlation, tail, scale, rates) = inputs  # fmt: skip
        # The two kinds of moves are joined here: in the graph it would cost thirty nodes to learn
        # how to take the gradient apart again.
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
        )  # fmt: skip
        g = result.gradient
        return (
            np.asarray(result.value), g.deviation, g.phi[:easy], g.phi[easy:], g.variance[:easy],
            g.variance[easy:], g.noise, g.correlation, g.tail, g.scale, g.rates,
        )  # fmt: skip

    return filter_log_likelihood, kernel_version()
