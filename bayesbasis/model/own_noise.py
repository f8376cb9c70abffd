"""The filter of quotes with noise of their own as one PyTensor Op."""

from typing import Any

from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.filter_inputs import (
    SCHEDULE,
    filter_version,
    parameters_of,
    schedule_of,
    slopes_of,
)
from bayesbasis.model.likelihood import FilterLogLikelihood
from bayesbasis.process.own_noise import own_noise_sweep


class OwnNoiseLogLikelihood(FilterLogLikelihood):
    """Log likelihood of a panel, of what `FilterLogLikelihood` takes."""

    kernel = staticmethod(own_noise_sweep)


@numba_basic.register_funcify_default_op_cache_key(OwnNoiseLogLikelihood)
def _compile(op: OwnNoiseLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_basic.numba_njit
    def own_noise(*inputs):  # type: ignore[no-untyped-def]
        result = own_noise_sweep(schedule_of(inputs[:SCHEDULE]), parameters_of(inputs[SCHEDULE:]))
        return slopes_of(result.value, result.gradient, inputs[SCHEDULE:])

    return own_noise, filter_version(__name__)
