import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.data.panel import known_at
from bayesbasis.evaluate.sbc import replication, small_market
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.layout import lay_out
from bayesbasis.model.levels import population


@pytest.fixture(scope="module", params=["one underlying", "two underlyings and venues"])
def case(request, spec, panel, market_panel):
    """Compiled target, its panel, and a point."""
    chosen = panel if request.param == "one underlying" else market_panel
    target = log_posterior(spec, chosen)
    return target, chosen, 0.5 * np.random.default_rng(1).standard_normal(target.size)


def four_point_slope(function, x, direction, step=1e-3):
    def at(multiple):
        return function(x + multiple * step * direction)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def slow_density(model):
    """Log density of a model without compiled code around the Op, term by term."""
    terms = model.compile_fn(model.logp(sum=False), mode="FAST_COMPILE")
    return lambda variables: sum(np.sum(term) for term in terms(variables))


def test_gradient_is_that_of_finite_differences(case):
    target, _, point = case
    _, gradient = target(point)
    slopes = [four_point_slope(lambda x: target(x)[0], point, unit) for unit in np.eye(target.size)]
    scale = np.abs(slopes).max()
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8 * scale)


def test_value_is_that_of_the_pymc_model(case, spec):
    target, panel, point = case
    model = bb.build(spec, panel)
    density = slow_density(model)
    for scale in (0.0, 1.0, -0.5):
        value, _ = target(scale * point)
        variables = target.split(scale * point)
        assert set(variables) == {v.name for v in model.value_vars}
        np.testing.assert_allclose(value, density(variables), rtol=1e-11)


def test_centring_changes_the_coordinates_and_not_the_model(spec, market_panel):
    """Densities of the same carry differ by the Jacobian of the coordinates alone."""
    own = bb.build(spec, market_panel)
    names = [v.name for v in own.value_vars]
    flat = 0.5 * np.random.default_rng(2).standard_normal(log_posterior(spec, market_panel).size)
    point = log_posterior(spec, market_panel).split(flat)
    layout = lay_out(spec, market_panel)
    _, centre, spread = population(spec, layout.levels, point, layout.members, np)
    standard = point["contract_raw"]
    densities = []
    for centring in (0.0, 0.5, 1.0):
        card = replace(spec, pooling=replace(spec.pooling, centring=centring))
        model = bb.build(card, market_panel)
        assert [v.name for v in model.value_vars] == names
        raw = centring * centre + spread**centring * standard
        density = slow_density(model)(point | {"contract_raw": raw})
        densities.append(density + len(raw) * centring * np.log(spread.item()))
    np.testing.assert_allclose(densities[1:], densities[0], rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("centring", [0.5, 1.0])
def test_gradient_is_that_of_finite_differences_when_centred(spec, panel, centring):
    card = replace(spec, pooling=replace(spec.pooling, centring=centring))
    target = log_posterior(card, panel)
    point = 0.5 * np.random.default_rng(3).standard_normal(target.size)
    value, gradient = target(point)
    slopes = [four_point_slope(lambda x: target(x)[0], point, unit) for unit in np.eye(target.size)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8 * np.abs(slopes).max())
    density = slow_density(bb.build(card, panel))
    np.testing.assert_allclose(value, density(target.split(point)), rtol=1e-11)


def test_vectors_are_cut_into_the_variables(case):
    target, _, point = case
    pieces = target.split(np.stack([[point, 2 * point]]))
    assert list(pieces) == list(target.shapes)
    for name, piece in pieces.items():
        assert piece.shape == (1, 2, *target.shapes[name])
    joined = np.concatenate([piece.reshape(2, -1) for piece in pieces.values()], axis=1)
    np.testing.assert_array_equal(joined, [point, 2 * point])


def test_a_panel_of_another_length_takes_the_compiled_code(spec, panel):
    first = log_posterior(spec, panel)
    first(np.zeros(first.size))
    shorter = known_at(panel, "2022-03-01")
    assert shorter.sizes["contract"] < panel.sizes["contract"]
    second = log_posterior(spec, shorter)
    assert second.evaluate is first.evaluate
    assert second.size < first.size
    started = time.perf_counter()
    value, _ = second(np.zeros(second.size))
    assert time.perf_counter() - started < 1.0
    density = slow_density(bb.build(spec, shorter))
    np.testing.assert_allclose(value, density(second.split(np.zeros(second.size))), rtol=1e-11)


def test_panels_do_not_mix_when_they_share_code(spec, panel):
    point = np.full(log_posterior(spec, panel).size, 0.2)
    alone = log_posterior(spec, panel)(point)[0]
    shifted = panel.assign(basis=panel["basis"] + 1e-3)
    assert log_posterior(spec, shifted)(point)[0] != alone
    assert log_posterior(spec, panel)(point)[0] == alone


def test_a_renamed_model_takes_the_compiled_code(spec, panel):
    renamed = replace(spec, name="mine", summary="the same")
    assert log_posterior(renamed, panel).evaluate is log_posterior(spec, panel).evaluate


def test_threads_get_the_values_of_one_thread(case):
    target, _, point = case
    points = [point * scale for scale in np.linspace(-1, 1, 40)]
    alone = [target(x) for x in points]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(target, points))
    for (value, gradient), (other, slope) in zip(alone, together, strict=True):
        assert value == other
        np.testing.assert_array_equal(gradient, slope)


def test_hopeless_points_are_refused_by_value_not_by_a_crash(case):
    target, _, point = case
    for scale in (50.0, -50.0):
        value, gradient = target(scale * np.ones_like(point))
        assert not np.isfinite(value) or value < -1e3
        assert gradient.shape == point.shape


def test_a_panel_without_a_move_is_an_error(spec, panel):
    first = np.flatnonzero(np.diff(panel["contract_index"].values, prepend=-1))
    with pytest.raises(ValueError, match="no move to learn from"):
        log_posterior(spec, panel.isel(obs=first))


def test_a_climb_does_not_leave_where_the_density_overflows():
    # In this market a step of L-BFGS goes to where scales overflow.
    spec, panel = bb.load_card("anchored-regimes"), small_market()
    target = log_posterior(spec, replication(spec, panel, [1, 6])[0])
    start = np.zeros(target.size)
    top = target.climb(start, 200)
    assert np.linalg.norm(target(top)[1]) < 1e-3 * np.linalg.norm(target(start)[1])
    places, heights = target.path(start, 200)
    np.testing.assert_array_equal(places[[0, -1]], [start, top])
    np.testing.assert_array_equal(heights, [target(place)[0] for place in places])
    assert (np.diff(heights) >= 0.0).all()
    far = np.full(target.size, 1e3)
    assert not np.isfinite(target(far)[0])
    np.testing.assert_array_equal(target.climb(far, 200), far)
