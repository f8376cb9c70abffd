"""Facts about the gradient of the filter: it is what finite differences say."""

import numpy as np
import pytest

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters

MARKETS = {
    "two regimes": {},
    "one regime": {"regimes": 1},
    "three regimes": {"regimes": 3},
    "gaussian": {"gaussian": True},
    "one gaussian regime": {"gaussian": True, "regimes": 1},
    "four gaussian regimes": {"gaussian": True, "regimes": 4},
    "a curve of five": {"contracts": 5},
    "one contract each": {"contracts": 1},
    "one chain for the market": {"market": True},
    "parameters shared by underlyings": {"pooled": False, "regimes": 3},
}
every_market = pytest.mark.parametrize("options", MARKETS.values(), ids=list(MARKETS))


def richardson(function, step):
    """Derivative at zero, to sixth order in `step`."""

    def central(h):
        return (function(h) - function(-h)) / (2.0 * h)

    a, b, c = central(step), central(step / 2), central(step / 4)
    return (64 * c - 20 * b + a) / 45.0


def directions(name, value):
    """Moves of every entry in its own units; of a generator those that keep its rows at zero."""
    for index in np.ndindex(value.shape):
        move = np.zeros_like(value)
        move[index] = np.abs(value).mean() if name == "deviation" else value[index]
        if name == "rates":
            chain, start, end = index
            if start == end:
                continue
            move[chain, start, start] = -move[index]
        yield move


def assert_gradient(schedule, parameters, names=Parameters._fields, rtol=1e-6):
    gradient = sweep(schedule, parameters).gradient
    for name in names:
        value = getattr(parameters, name)
        if name == "tail" and np.isinf(value).any():
            np.testing.assert_array_equal(gradient.tail, 0.0)
            continue
        found, expected = [], []
        for move in directions(name, value):

            def score(h, move=move, name=name, value=value):
                return sweep(schedule, parameters._replace(**{name: value + h * move})).value

            expected.append(richardson(score, 0.01))
            found.append((getattr(gradient, name) * move).sum())
        if not found:
            continue
        scale = np.abs(expected).max()
        np.testing.assert_allclose(
            found, expected, rtol=rtol, atol=1e-8 * scale + 1e-9, err_msg=name
        )


@every_market
@pytest.mark.parametrize("seed", range(2))
def test_every_slope_is_a_finite_difference(market, options, seed):
    case = market(seed, times=12, **options)
    assert_gradient(case.schedule, case.parameters)


@pytest.mark.parametrize("gaussian", [False, True], ids=["student-t", "gaussian"])
def test_slopes_stay_right_without_noise(market, gaussian):
    """The likelihood is smooth through zero noise, so differences can be taken across it."""
    case = market(3, gaussian=gaussian)
    p = case.parameters._replace(noise=np.zeros_like(case.parameters.noise))
    assert_gradient(case.schedule, p, [n for n in Parameters._fields if n != "noise"])
    gradient = sweep(case.schedule, p).gradient.noise
    for u in range(len(p.noise)):

        def score(h, u=u):
            noise = p.noise.copy()
            noise[u] = h
            return sweep(case.schedule, p._replace(noise=noise)).value

        np.testing.assert_allclose(gradient[u], richardson(score, 1e-5), rtol=1e-6)


@pytest.mark.parametrize("gaussian", [False, True], ids=["student-t", "gaussian"])
def test_slopes_stay_right_after_a_jump_of_fifty_deviations(market, gaussian):
    case = market(4, gaussian=gaussian, contracts=3)
    p = case.parameters
    jumped = p.deviation.copy()
    jumped[len(jumped) // 2] += 50.0 * p.scale.max() * np.sqrt(p.variance.max())
    assert_gradient(case.schedule, p._replace(deviation=jumped))


@pytest.mark.parametrize("gaussian", [False, True], ids=["student-t", "gaussian"])
def test_slopes_stay_right_with_regimes_a_thousand_times_apart(market, gaussian):
    case = market(5, gaussian=gaussian, times=20)
    p = case.parameters
    scale = p.scale[:, :1] * np.array([0.01, 10.0])
    calm = np.random.default_rng(0).random(len(p.deviation)) < 0.5
    deviation = np.where(calm, 1e-3, 1.0) * p.deviation
    names = ["scale", "correlation", "tail", "rates", "noise"]
    assert_gradient(case.schedule, p._replace(scale=scale, deviation=deviation), names)


def test_slopes_stay_right_over_a_long_series(market):
    case = market(6, times=8000, contracts=3)
    assert len(case.schedule.event_start) > 12_000
    assert_gradient(
        case.schedule, case.parameters, ["noise", "correlation", "tail", "scale", "rates", "phi"]
    )


def test_the_value_is_the_sum_of_one_step_densities(market):
    case = market(7, times=30)
    result = sweep(case.schedule, case.parameters)
    np.testing.assert_allclose(result.value, result.states.log_density.sum(), rtol=1e-13)


def test_smoothed_probabilities_sum_to_one(market):
    case = market(8, times=200, regimes=3)
    result = sweep(case.schedule, case.parameters)
    np.testing.assert_allclose((result.states.filtered * result.future).sum(-1), 1.0, rtol=1e-10)


def test_a_sweep_leaves_its_arguments_alone(market):
    case = market(9, times=30)
    before = [x.copy() for x in (*case.schedule, *case.parameters)]
    sweep(case.schedule, case.parameters)
    for was, now in zip(before, (*case.schedule, *case.parameters), strict=True):
        np.testing.assert_array_equal(was, now)
