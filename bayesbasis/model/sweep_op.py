"""What the Ops of filters share: one sweep of numba kernels yields value and every gradient."""

import hashlib
import inspect
import sys
from typing import Any, ClassVar

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from bayesbasis.process.kernels import STAMP


class SweepOp(Op):
    """Log likelihood of data and of parameters, in this order.

    The first output is the value. The others are its gradient by each of the parameters, which the
    same sweep yields; they are what the pullback returns, and no graph should use them otherwise.
    """

    __props__ = ()
    data: ClassVar[int]
    """How many inputs are data."""
    parameters: ClassVar[tuple[str, ...]]
    """Names of those that follow."""

    def make_node(self, *inputs: Any) -> Apply:
        """Check ranks and types, and say what comes out."""
        variables = [pt.as_tensor_variable(x) for x in inputs]
        return Apply(self, variables, [pt.dscalar(), *(x.type() for x in variables[self.data :])])

    def pullback(
        self, inputs: list[Variable], outputs: list[Variable], cotangents: list[Variable]
    ) -> list[Variable]:
        """Scale the gradient by the cotangent of the value."""
        for name, cotangent in zip(self.parameters, cotangents[1:], strict=True):
            if not isinstance(cotangent.type, DisconnectedType):
                raise NotImplementedError(f"second derivatives of the filter, by {name}")
        slopes = [cotangents[0] * slope for slope in outputs[1:]]
        return [disconnected_type() for _ in range(self.data)] + slopes

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """No gradient flows to the data."""
        return [[i >= self.data] * len(node.outputs) for i in range(len(node.inputs))]


def version_of(*rooms: str) -> int:
    """Version of compiled code: a hash of the source of the kernels, of rooms and of this one."""
    sources = (inspect.getsource(sys.modules[name]) for name in (__name__, *rooms))
    return int.from_bytes(hashlib.sha256("".join([STAMP, *sources]).encode()).digest()[:8])


def compiled(kernel: Any, signature: tuple[Any, ...]) -> Any:
    """Compile a kernel for arguments of these types, or load what was compiled."""
    kernel.compile(signature)
    return kernel.overloads[signature]


def address_of(code: Any) -> int:
    """Address of compiled code, which differs from process to process.

    Each level of a graph's code would compile a kernel into itself once more. Called through its
    address, it is compiled once, and loaded once.
    """
    return int(code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name))


def plain(x: Any) -> Any:
    """Return an array as kernels are compiled for: in C order, writeable, of 64 bits."""


@numba.extending.overload(plain)
def _plain_in_numba(x):  # type: ignore[no-untyped-def]
    # PyMC keeps integers in 32 bits, and constants may not be written to.
    wide = np.int64 if isinstance(x.dtype, numba.types.Integer) else np.float64
    if x.dtype == numba.from_dtype(np.dtype(wide)) and x.layout == "C" and x.mutable:
        return lambda x: x
    return lambda x: np.ascontiguousarray(x).astype(wide)
