"""Facts about the filter in JAX: it is the filter of the kernels, gradient and all."""

import numpy as np
import pytest

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install bayesbasis[jax]")

slow = pytest.mark.slow
CASES = [
    pytest.param({"regimes": 1, "gaussian": True}, id="gaussian, one regime"),
    pytest.param({"regimes": 3, "market": True}, id="three regimes, a chain for the market"),
    pytest.param({"regimes": 2, "times": 30}, id="two regimes", marks=slow),
    pytest.param({"contracts": 7, "times": 12}, id="a wide curve", marks=slow),
    pytest.param({"regimes": 2, "pooled": False}, id="parameters shared", marks=slow),
    pytest.param({"underlyings": 1, "contracts": 1}, id="one contract", marks=slow),
    pytest.param({"underlyings": 1, "contracts": 1, "times": 3}, id="few quotes", marks=slow),
]


def value_and_slopes(schedule, parameters):
    from bayesbasis.process.jax_filter import log_likelihood, plan  # noqa: PLC0415

    with jax.enable_x64(True):
        given = Parameters(*map(jax.numpy.asarray, parameters))
        layout = plan(schedule)
        return jax.jit(jax.value_and_grad(lambda p: log_likelihood(schedule, layout, p)))(given)


@pytest.mark.parametrize("options", CASES)
def test_value_and_gradient_are_those_of_the_kernels(market, options):
    case = market(3, **options)
    expected = sweep(case.schedule, case.parameters)
    value, slopes = value_and_slopes(case.schedule, case.parameters)
    np.testing.assert_allclose(value, expected.value, rtol=1e-12)
    for name, slope, wanted in zip(Parameters._fields, slopes, expected.gradient, strict=True):
        size = np.abs(wanted).max(initial=1e-300)
        np.testing.assert_allclose(slope, wanted, rtol=1e-8, atol=1e-10 * size, err_msg=name)


@pytest.mark.slow
def test_a_long_panel_neither_over_nor_underflows(market):
    case = market(5, times=3000, regimes=2, underlyings=1, contracts=2)
    calm = case.parameters._replace(scale=1e-6 * case.parameters.scale)
    expected = sweep(case.schedule, calm)
    value, slopes = value_and_slopes(case.schedule, calm)
    np.testing.assert_allclose(value, expected.value, rtol=1e-12)
    np.testing.assert_allclose(slopes.scale, expected.gradient.scale, rtol=1e-8)
