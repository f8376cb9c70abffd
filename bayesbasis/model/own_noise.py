"""The filter of quotes with noise of their own as one PyTensor Op."""

from typing import Any

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.likelihood import FilterLogLikelihood
from bayesbasis.model.sweep_op import plain, version_of
from bayesbasis.process.filter import Parameters, Schedule
from bayesbasis.process.own_noise import own_noise_sweep


class OwnNoiseLogLikelihood(FilterLogLikelihood):
    """Log likelihood of a panel, of what `FilterLogLikelihood` takes."""

    kernel = staticmethod(own_noise_sweep)


@numba_basic.register_funcify_default_op_cache_key(OwnNoiseLogLikelihood)
def _compile(op: OwnNoiseLogLikelihood, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_basic.numba_njit
    def own_noise(*inputs):  # type: ignore[no-untyped-def]
        (previous, step, group, first, start, stop, gap, chain, gap_length, gap_chain,
         deviation, phi_easy, phi_hard, variance_easy, variance_hard,
         noise, correlation, tail, scale, rates) = inputs  # fmt: skip
        easy = len(phi_easy)
        moves = easy + len(phi_hard)
        phi, variance = np.empty(moves), np.empty(moves)
        for i in range(moves):
            phi[i] = phi_easy[i] if i < easy else phi_hard[i - easy]
            variance[i] = variance_easy[i] if i < easy else variance_hard[i - easy]
        result = own_noise_sweep(
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

    return own_noise, version_of(__name__)
