"""The filter of regimes with speeds of their own as one PyTensor Op."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.filter_inputs import (
    INPUTS,
    SCHEDULE,
    TABLES,
    divided,
    filter_version,
    joined,
    parameters_of,
    schedule_of,
    slopes_of,
)
from bayesbasis.model.sweep_op import SweepOp
from bayesbasis.process.filter import Schedule
from bayesbasis.process.paced import Paced, paced_sweep

PACED_INPUTS = (*INPUTS, "pace_easy", "pace_hard")
_TABLES = (*TABLES, "pace")


class PacedLogLikelihood(SweepOp):
    """Log likelihood of a panel, of the fields of `Schedule` and then of `PACED_INPUTS`.

    As `FilterLogLikelihood`, with ``φ`` of the wilder regimes, (regime - 1, move), behind.
    """

    data = SCHEDULE
    parameters = PACED_INPUTS

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        """Call the kernels."""
        given = dict(zip(PACED_INPUTS, inputs[SCHEDULE:], strict=True))
        result = paced_sweep(Schedule(*inputs[:SCHEDULE]), Paced(**joined(given, _TABLES)))
        slopes = result.sweep.gradient._asdict() | {"pace": result.by_pace}
        slopes = divided(slopes, len(given["phi_easy"]), _TABLES)
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
        p = parameters_of(inputs[SCHEDULE:-2])
        pace_easy, pace_hard = inputs[-2], inputs[-1]
        easy = pace_easy.shape[1]
        pace = np.empty((len(pace_easy), easy + pace_hard.shape[1]))
        pace[:, :easy], pace[:, easy:] = pace_easy, pace_hard
        result = paced_sweep(
            schedule_of(inputs[:SCHEDULE]),
            Paced(
                p.deviation, p.phi, p.variance, p.noise, p.correlation, p.tail, p.scale, p.rates,
                pace,
            ),
        )  # fmt: skip
        slopes = slopes_of(result.sweep.value, result.sweep.gradient, inputs[SCHEDULE:-2])
        by_pace = result.by_pace
        return (*slopes, by_pace[:, :easy].copy(), by_pace[:, easy:].copy())

    return paced, filter_version(__name__)
