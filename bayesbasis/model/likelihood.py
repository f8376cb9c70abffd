"""The filter as one PyTensor Op: value and every gradient in one sweep of numba kernels."""

from typing import Any

import numba
import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.numba.cache import _call_cached_ptr
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.sweep_op import SweepOp, plain, version_of
from bayesbasis.process.adjoint import sweep
from bayesbasis.process.ahead import SIGNATURE, sweep_address
from bayesbasis.process.filter import Parameters, Schedule

_SCHEDULE = len(Schedule._fields)
INPUTS = (
    "deviation", "phi_easy", "phi_hard", "variance_easy", "variance_hard",
    "noise", "correlation", "tail", "scale", "rates",
)  # fmt: skip
"""What the Op takes after the schedule: `Parameters`, the moves in the two parts of `Layout`."""


class FilterLogLikelihood(SweepOp):
    """Log likelihood of a panel, of the fields of `Schedule` and then of `INPUTS`."""

    data = _SCHEDULE
    parameters = INPUTS
    kernel = staticmethod(sweep)

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        schedule, given = inputs[:_SCHEDULE], dict(zip(INPUTS, inputs[_SCHEDULE:], strict=True))
        easy = len(given["phi_easy"])
        for name in ("phi", "variance"):
            given[name] = np.concatenate([given.pop(f"{name}_easy"), given.pop(f"{name}_hard")])
        result = self.kernel(Schedule(*schedule), Parameters(**given))
        slopes = result.gradient._asdict()
        for name in ("phi", "variance"):
            slopes[f"{name}_easy"], slopes[f"{name}_hard"] = np.split(slopes[name], [easy])
        output_storage[0][0] = np.asarray(result.value)
        for storage, name in zip(output_storage[1:], INPUTS, strict=True):
            storage[0] = slopes[name]


def kernel_version() -> int:
    """Version of the compiled code."""
    return version_of(__name__)


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
                plain(previous), plain(step), plain(group), plain(first), plain(start),
                plain(stop), plain(gap), plain(chain), plain(gap_length), plain(gap_chain),
            ),
            Parameters(
                plain(deviation), phi, variance, plain(noise), plain(correlation),
                plain(tail), plain(scale), plain(rates),
            ),
        )  # fmt: skip
        g = result.gradient
        return (
            np.asarray(result.value), g.deviation, g.phi[:easy], g.phi[easy:], g.variance[:easy],
            g.variance[easy:], g.noise, g.correlation, g.tail, g.scale, g.rates,
        )  # fmt: skip

    return filter_log_likelihood, kernel_version()
