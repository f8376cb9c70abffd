"""The filter as one PyTensor Op: value and every gradient in one sweep of numba kernels."""

from typing import Any

import numba
import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.numba.cache import _call_cached_ptr
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.filter_inputs import (
    INPUTS,
    SCHEDULE,
    divided,
    filter_version,
    joined,
    parameters_of,
    schedule_of,
    slopes_of,
)
from bayesbasis.model.sweep_op import SweepOp
from bayesbasis.process.adjoint import sweep
from bayesbasis.process.ahead import SIGNATURE, sweep_address
from bayesbasis.process.filter import Parameters, Schedule


class FilterLogLikelihood(SweepOp):
    """Log likelihood of a panel, of the fields of `Schedule` and then of `INPUTS`."""

    data = SCHEDULE
    parameters = INPUTS
    kernel = staticmethod(sweep)

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        given = dict(zip(INPUTS, inputs[SCHEDULE:], strict=True))
        result = self.kernel(Schedule(*inputs[:SCHEDULE]), Parameters(**joined(given)))
        slopes = divided(result.gradient._asdict(), len(given["phi_easy"]))
        output_storage[0][0] = np.asarray(result.value)
        for storage, name in zip(output_storage[1:], INPUTS, strict=True):
            storage[0] = slopes[name]


def kernel_version() -> int:
    """Version of the compiled code."""
    return filter_version(__name__)


@numba_basic.register_funcify_default_op_cache_key(FilterLogLikelihood)
def _compile(op: FilterLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    kernels = numba.types.FunctionType(SIGNATURE)
    name = f"bayesbasis_sweep_{kernel_version()}"

    @numba_basic.numba_njit
    def address():  # type: ignore[no-untyped-def]
        with numba.objmode(pointer=numba.types.intp):
            pointer = sweep_address()
        return pointer  # noqa: RET504

    @numba_basic.numba_njit
    def filter_log_likelihood(*inputs):  # type: ignore[no-untyped-def]
        function = _call_cached_ptr(address, kernels, name)
        result = function(schedule_of(inputs[:SCHEDULE]), parameters_of(inputs[SCHEDULE:]))
        return slopes_of(result.value, result.gradient, inputs[SCHEDULE:])

    return filter_log_likelihood, kernel_version()
