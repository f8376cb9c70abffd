"""The filter under JAX, for samplers that are written in it.

Imported only when such a sampler is asked for: PyTensor's JAX dispatch switches double precision on
as it loads, and JAX is no dependency of the package.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.jax.dispatch import jax_funcify

from bayesbasis.model.filter_inputs import INPUTS
from bayesbasis.model.likelihood import FilterLogLikelihood
from bayesbasis.process.filter import Parameters, Schedule
from bayesbasis.process.jax_filter import log_likelihood, plan

_SCHEDULE = len(Schedule._fields)


@jax_funcify.register(FilterLogLikelihood)
def _filter_under_jax(op: FilterLogLikelihood, node: Apply, **_: Any) -> Any:
    """Evaluate value and slopes in JAX, on whatever device it runs."""

    def both(schedule: Schedule, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        layout = plan(schedule)
        value, slopes = jax.value_and_grad(
            lambda given: log_likelihood(schedule, layout, _parameters(given))
        )(inputs)
        return (value, *slopes)

    def filter_log_likelihood(*inputs: Any) -> tuple[Any, ...]:
        schedule = _data(inputs[:_SCHEDULE])

        @jax.custom_vjp
        def call(*given: Any) -> tuple[Any, ...]:
            return both(schedule, given)

        def forward(*given: Any) -> Any:
            outputs = both(schedule, given)
            return outputs, outputs[1:]

        def backward(slopes: Any, cotangents: Any) -> Any:
            return tuple(cotangents[0] * slope for slope in slopes)

        # JAX need not differentiate the slopes, which are outputs too.
        call.defvjp(forward, backward)
        return call(*inputs[_SCHEDULE:])

    return filter_log_likelihood


def _parameters(inputs: tuple[Any, ...]) -> Parameters:
    """Join the two kinds of moves, as the numba kernels' Op does."""
    given = dict(zip(INPUTS, inputs, strict=True))
    for name in ("phi", "variance"):
        given[name] = jnp.concatenate([given.pop(f"{name}_easy"), given.pop(f"{name}_hard")])
    return Parameters(**given)


def _data(inputs: tuple[Any, ...]) -> Schedule:
    if any(isinstance(x, jax.core.Tracer) for x in inputs):
        raise TypeError(
            "under JAX the schedule of a panel is part of the program: replace the data containers "
            "by constants before compiling, as pymc.sampling.jax.get_jaxified_graph does"
        )
    return Schedule(*(np.asarray(x) for x in inputs))
