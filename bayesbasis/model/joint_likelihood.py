"""The filter of basis and spot as one PyTensor Op; see `likelihood`, whose twin it is."""

from functools import cache
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
from bayesbasis.model.sweep_op import SweepOp, address_of, compiled, plain
from bayesbasis.process.filter import Parameters, Schedule
from bayesbasis.process.joint import Returns, joint_sweep

_DATA = SCHEDULE + 1
SPOT_INPUTS = ("volatility", "with_curve")
"""What the Op takes after `INPUTS`: the fields of `Returns` but its data, which come first."""


class JointLogLikelihood(SweepOp):
    """Log likelihood of basis and spot: `Schedule`, moves of spot, `INPUTS`, `SPOT_INPUTS`."""

    data = _DATA
    parameters = INPUTS + SPOT_INPUTS

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        *schedule, move = inputs[: self.data]
        given = dict(zip(self.parameters, inputs[self.data :], strict=True))
        easy, spot = len(given["phi_easy"]), [given.pop(name) for name in SPOT_INPUTS]
        parameters = Parameters(**joined(given))
        result = joint_sweep(Schedule(*schedule), parameters, Returns(move, *spot))
        slopes = divided(result.gradient._asdict(), easy) | result.by_returns._asdict()
        output_storage[0][0] = np.asarray(result.value)
        for storage, name in zip(output_storage[1:], self.parameters, strict=True):
            storage[0] = slopes[name]


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
    return compiled(joint_sweep, tuple(map(numba.types.NamedTuple, arrays, records)))


def joint_sweep_address() -> int:
    """Address of the compiled kernels, which differs from process to process."""
    return address_of(_compiled_sweep())


@numba_basic.register_funcify_default_op_cache_key(JointLogLikelihood)
def _compile(op: JointLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    kernels = numba.types.FunctionType(_compiled_sweep().signature)
    name = f"bayesbasis_joint_sweep_{filter_version(__name__)}"

    @numba_basic.numba_njit
    def address():  # type: ignore[no-untyped-def]
        with numba.objmode(pointer=numba.types.intp):
            pointer = joint_sweep_address()
        return pointer  # noqa: RET504

    @numba_basic.numba_njit
    def joint_log_likelihood(*inputs):  # type: ignore[no-untyped-def]
        function = _call_cached_ptr(address, kernels, name)
        move, volatility, with_curve = inputs[SCHEDULE], inputs[-2], inputs[-1]
        result = function(
            schedule_of(inputs[:SCHEDULE]),
            parameters_of(inputs[_DATA:-2]),
            Returns(plain(move), plain(volatility), plain(with_curve)),
        )
        slopes = slopes_of(result.value, result.gradient, inputs[_DATA:-2])
        return (*slopes, result.by_returns.volatility, result.by_returns.with_curve)

    return joint_log_likelihood, filter_version(__name__)
