"""The filter under JAX, for samplers that are written in it.

Imported only when such a sampler is asked for: PyTensor's JAX dispatch switches double precision on
as it loads, and JAX is no dependency of the package.
"""

from typing import Any

import jax
import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.jax.dispatch import jax_funcify

from bayesbasis.model.likelihood import INPUTS, FilterLogLikelihood


@jax_funcify.register(FilterLogLikelihood)
def _filter_under_jax(op: FilterLogLikelihood, node: Apply, **_: Any) -> Any:
    """Call the numba kernels from JAX; their gradient is that of the function JAX sees."""

    def on_host(*inputs: Any) -> tuple[Any, ...]:
        storage: list[list[Any]] = [[None] for _ in node.outputs]
        op.perform(node, [np.asarray(x) for x in inputs], storage)
        return tuple(cell[0] for cell in storage)

    def call(*inputs: Any) -> Any:
        slopes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs[-len(INPUTS) :]]
        value = jax.ShapeDtypeStruct((), slopes[0].dtype)
        outputs = (value, *slopes)
        return jax.pure_callback(on_host, outputs, *inputs, vmap_method="sequential")

    def forward(*inputs: Any) -> Any:
        outputs = call(*inputs)
        return outputs, (inputs[: -len(INPUTS)], outputs[1:])

    def backward(kept: Any, cotangents: Any) -> Any:
        data, slopes = kept
        # Schedules are data: integers have no gradient, and that of times is nobody's business.
        none = [
            np.zeros(x.shape, jax.dtypes.float0)
            if x.dtype.kind in "iu"
            else jax.numpy.zeros_like(x)
            for x in data
        ]
        return (*none, *(cotangents[0] * slope for slope in slopes))

    function = jax.custom_vjp(call)
    function.defvjp(forward, backward)
    return function
