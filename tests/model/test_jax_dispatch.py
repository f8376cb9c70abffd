"""Facts about the model under JAX: no numba, no callback, the same posterior."""

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.process.regimes import Regimes

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install bayesbasis[jax]")


@pytest.fixture(scope="module")
def panel():
    prices, _ = bb.simulate_market(seed=4, quarters=2, listed_days=60)
    return bb.make_panel(prices)[0]


@pytest.fixture(scope="module")
def under_jax(panel):
    """Log posterior of the default card under JAX, a function of the model's variables."""
    from pymc.sampling.jax import get_jaxified_logp  # noqa: PLC0415

    import bayesbasis.model.jax_dispatch  # noqa: F401, PLC0415

    return get_jaxified_logp(bb.build(bb.load_card("anchored-regimes"), panel), negative_logp=True)


def test_posterior_and_gradient_are_those_under_numba(panel, under_jax):
    target = log_posterior(bb.load_card("anchored-regimes"), panel)
    flat = 0.3 * np.random.default_rng(1).standard_normal(target.size)
    wanted, wanted_slopes = target(flat)
    pieces = [jax.numpy.asarray(x) for x in target.split(flat).values()]
    value, slopes = jax.jit(jax.value_and_grad(under_jax))(pieces)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    slopes = np.concatenate([np.ravel(x) for x in slopes])
    np.testing.assert_allclose(slopes, wanted_slopes, rtol=1e-7, atol=1e-9 * abs(wanted))


def test_offsets_of_venues_and_contracts_are_those_under_numba(panel):
    from pymc.sampling.jax import get_jaxified_logp  # noqa: PLC0415

    import bayesbasis.model.jax_dispatch  # noqa: F401, PLC0415

    names = np.where(np.arange(panel.sizes["contract"]) % 2, "east", "west")
    panel = panel.assign_coords(venue=("contract", names))
    pooling = Pooling(by_venue=("half_life", "noise"), by_contract=("volatility", "noise"))
    spec = Spec(regimes=Regimes(2), pooling=pooling)
    target = log_posterior(spec, panel)
    flat = 0.3 * np.random.default_rng(1).standard_normal(target.size)
    wanted, wanted_slopes = target(flat)
    pieces = [jax.numpy.asarray(x) for x in target.split(flat).values()]
    logp = get_jaxified_logp(bb.build(spec, panel), negative_logp=True)
    value, slopes = jax.jit(jax.value_and_grad(logp))(pieces)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    slopes = np.concatenate([np.ravel(x) for x in slopes])
    np.testing.assert_allclose(slopes, wanted_slopes, rtol=1e-7, atol=1e-9 * abs(wanted))


def test_nothing_calls_back_to_the_host(panel, under_jax):
    target = log_posterior(bb.load_card("anchored-regimes"), panel)
    pieces = [jax.numpy.asarray(x) for x in target.split(np.zeros(target.size)).values()]
    program = str(jax.make_jaxpr(jax.value_and_grad(under_jax))(pieces))
    assert "scan" in program
    assert "callback" not in program


def test_the_schedule_must_be_a_constant(panel):
    import pytensor  # noqa: PLC0415

    model = bb.build(bb.load_card("ou"), panel)
    value = model.logp(vars=model.potentials)
    code = pytensor.function(model.value_vars, value, mode="JAX", on_unused_input="ignore")
    point = model.initial_point()
    with pytest.raises(TypeError, match="the schedule of a panel is part of the program"):
        code(**point)
