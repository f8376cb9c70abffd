"""The filter of regimes with speeds of their own as one PyTensor Op."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.likelihood import INPUTS
from bayesbasis.model.sweep_op import SweepOp, plain, version_of
from bayesbasis.process.filter import Schedule
from bayesbasis.process.paced import Paced, paced_sweep

_SCHEDULE = len(Schedule._fields)
PACED_INPUTS = (*INPUTS, "pace_easy", "pace_hard")
_TABLES = ("phi", "variance", "pace")


class PacedLogLikelihood(SweepOp):
    """Log likelihood of a panel, of the fields of `Schedule` and then of `PACED_INPUTS`.

    As `FilterLogLikelihood`, with ``φ`` of the wilder regimes, (regime - 1, move), behind.
    """

    data = _SCHEDULE
    parameters = PACED_INPUTS

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        given = dict(zip(PACED_INPUTS, inputs[_SCHEDULE:], strict=True))
        easy = len(given["phi_easy"])
        for name in _TABLES:
            both = [given.pop(f"{name}_{kind}") for kind in ("easy", "hard")]
            given[name] = np.concatenate(both, axis=-1)
        result = paced_sweep(Schedule(*inputs[:_SCHEDULE]), Paced(**given))
        slopes = result.sweep.gradient._asdict() | {"pace": result.by_pace}
        for name in _TABLES:
            parts = np.split(slopes[name], [easy], axis=-1)
            slopes |= {f"{name}_easy": parts[0], f"{name}_hard": parts[1]}
        output_storage[0][0] = np.asarray(result.sweep.value)
        for storage, name in zip(output_storage[1:], PACED_INPUTS, strict=True):
            storage[0] = slopes[name]


def paced_log_likelihood(data: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    """Log likelihood of the arrays of a graph."""
    schedule = (data[name] for name in Schedule._fields)
    return PacedLogLikelihood()(*schedule, *(inputs[name] for name in PACED_INPUTS))[0]


@numba_basic.register_funcify_default_op_cache_key(PacedLogLikelihood)
def _compile(op: PacedLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_basic.numba_njit
    def paced(*inputs):  # type: ignore[no-untyped-def]
        (previous, step, group, first, start, stop, gap, chain, gap_length, gap_chain,
         deviation, phi_easy, phi_hard, variance_easy, variance_hard,
         noise, correlation, tail, scale, rates, pace_easy, pace_hard) = inputs  # fmt: skip
        easy = len(phi_easy)
        moves = easy + len(phi_hard)
        phi, variance = np.empty(moves), np.empty(moves)
        pace = np.empty((pace_easy.shape[0], moves))
        for i in range(moves):
            phi[i] = phi_easy[i] if i < easy else phi_hard[i - easy]
            variance[i] = variance_easy[i] if i < easy else variance_hard[i - easy]
            for k in range(len(pace)):
                pace[k, i] = pace_easy[k, i] if i < easy else pace_hard[k, i - easy]
        result = paced_sweep(
            Schedule(
                plain(previous), plain(step), plain(group), plain(first), plain(start),
                plain(stop), plain(gap), plain(chain), plain(gap_length), plain(gap_chain),
            ),
            Paced(
                plain(deviation), phi, variance, plain(noise), plain(correlation),
                plain(tail), plain(scale), plain(rates), pace,
            ),
        )  # fmt: skip
        g, by_pace = result.sweep.gradient, result.by_pace
        return (
            np.asarray(result.sweep.value), g.deviation, g.phi[:easy], g.phi[easy:],
            g.variance[:easy], g.variance[easy:], g.noise, g.correlation, g.tail, g.scale, g.rates,
            by_pace[:, :easy].copy(), by_pace[:, easy:].copy(),
        )  # fmt: skip

    return paced, version_of(__name__)
