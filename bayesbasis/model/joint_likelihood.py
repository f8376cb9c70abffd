"""The filter of basis and spot as one PyTensor Op; see `likelihood`, whose twin it is."""

from functools import cache
from typing import Any

import numba
import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.numba.cache import _call_cached_ptr
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.likelihood import INPUTS
from bayesbasis.model.sweep_op import SweepOp, address_of, compiled, plain, version_of
from bayesbasis.process.filter import Parameters, Schedule
from bayesbasis.process.joint import Returns, joint_sweep

SPOT_INPUTS = ("volatility", "with_curve")
"""What the Op takes after `INPUTS`: the fields of `Returns` but its data, which come first."""


class JointLogLikelihood(SweepOp):
    """Log likelihood of basis and spot: `Schedule`, moves of spot, `INPUTS`, `SPOT_INPUTS`."""

    data = len(Schedule._fields) + 1
    parameters = INPUTS + SPOT_INPUTS

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        *schedule, move = inputs[: self.data]
        given = dict(zip(INPUTS + SPOT_INPUTS, inputs[self.data :], strict=True))
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
    name = f"bayesbasis_joint_sweep_{version_of(__name__)}"

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
                plain(previous), plain(step), plain(group), plain(first), plain(start),
                plain(stop), plain(gap), plain(chain), plain(gap_length), plain(gap_chain),
            ),
            Parameters(
                plain(deviation), phi, variance, plain(noise), plain(correlation),
                plain(tail), plain(scale), plain(rates),
            ),
            Returns(plain(spot_move), plain(volatility), plain(with_curve)),
        )  # fmt: skip
        g, x = result.gradient, result.by_returns
        return (
            np.asarray(result.value), g.deviation, g.phi[:easy], g.phi[easy:], g.variance[:easy],
            g.variance[easy:], g.noise, g.correlation, g.tail, g.scale, g.rates, x.volatility,
            x.with_curve,
        )  # fmt: skip

    return joint_log_likelihood, version_of(__name__)
