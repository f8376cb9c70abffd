"""Facts about the filter of quotes with noise of their own."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.conditional import carry_information
from bayesbasis.process.filter import Parameters
from bayesbasis.process.own_noise import OwnNoise, own_noise_sweep
from bayesbasis.process.paced import plain, run_filter
from bayesbasis.process.replication import replicate
from bayesbasis.process.simulation import simulate_deviations

MARKETS = {
    "two regimes": {},
    "three regimes": {"regimes": 3},
    "gaussian": {"gaussian": True},
    "one regime": {"regimes": 1},
    "a curve of five": {"contracts": 5},
    "one chain for the market": {"market": True, "regimes": 3},
    "parameters shared by underlyings": {"pooled": False},
}
every_market = pytest.mark.parametrize("options", MARKETS.values(), ids=list(MARKETS))


def assert_same(found, expected):
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
    np.testing.assert_allclose(found.states.filtered, expected.states.filtered, rtol=1e-9)
    np.testing.assert_allclose(found.future, expected.future, rtol=1e-9)
    for name in Parameters._fields:
        one, other = getattr(found.gradient, name), getattr(expected.gradient, name)
        atol = 1e-10 * np.abs(other).max() + 1e-12
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=atol)


@pytest.mark.parametrize("gaussian", [False, True], ids=["student-t", "gaussian"])
def test_with_one_contract_at_a_time_it_is_the_filter(market, gaussian):
    case = market(1, times=15, contracts=1, gaussian=gaussian)
    assert_same(own_noise_sweep(*case[1:]), sweep(*case[1:]))


def test_without_noise_it_is_the_filter(market):
    case = market(1, times=15, contracts=4)
    p = case.parameters._replace(noise=0.0 * case.parameters.noise)
    found, expected = own_noise_sweep(case.schedule, p), sweep(case.schedule, p)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
    for name in ("deviation", "scale", "correlation", "tail", "rates"):
        one, other = getattr(found.gradient, name), getattr(expected.gradient, name)
        atol = 1e-10 * np.abs(other).max() + 1e-12
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=atol)


@every_market
def test_every_slope_is_a_finite_difference(market, options):
    case = market(1, times=8, **options)
    p = case.parameters
    gradient = own_noise_sweep(case.schedule, p).gradient
    for name in Parameters._fields:
        value, slope = getattr(p, name), getattr(gradient, name)
        if np.isinf(value).any():
            continue
        for index in np.ndindex(value.shape):
            move = np.zeros_like(value)
            move[index] = 1e-4 * (np.abs(value).mean() if name == "deviation" else value[index])
            if name == "rates":
                # Rows of a generator sum to zero.
                if index[1] == index[2]:
                    continue
                move[index[0], index[1], index[1]] = -move[index]
            up, down = (
                own_noise_sweep(case.schedule, p._replace(**{name: value + way * move})).value
                for way in (1.0, -1.0)
            )
            np.testing.assert_allclose(
                (slope * move).sum(), 0.5 * (up - down), rtol=1e-4, atol=1e-9, err_msg=name
            )


@pytest.mark.parametrize("gaussian", [False, True], ids=["student-t", "gaussian"])
def test_densities_are_those_of_moves_that_are_shared_and_noise_that_is_not(market, gaussian):
    """With one regime every event has a density of SciPy's, of a covariance written out."""
    case = market(2, times=12, contracts=4, regimes=1, gaussian=gaussian)
    s, p = case.schedule, case.parameters
    found = own_noise_sweep(s, p).states
    level, spread = p.deviation.copy(), p.noise[s.group]
    for t, (start, stop) in enumerate(zip(s.event_start, s.event_stop, strict=True)):
        rows, u = np.arange(start, stop), s.group[start]
        before, move = s.previous[rows], s.step[rows]
        phi, v, f = p.phi[move], p.variance[move], p.noise[u]
        shared = np.where(np.eye(len(rows)), 1.0, p.correlation[u]) * np.sqrt(np.outer(v, v))
        covariance = shared + np.diag(phi**2 * spread[before] + f)
        mean, shape = phi * level[before], p.scale[u, 0] ** 2 * covariance
        law = multivariate_normal(mean, shape)
        if not gaussian:
            law = multivariate_t(mean, shape, df=p.tail[u])
        np.testing.assert_allclose(found.log_density[t], law.logpdf(p.deviation[rows]), rtol=1e-9)
        gain = 1.0 - f / np.diag(covariance)
        level[rows], spread[rows] = mean + gain * (p.deviation[rows] - mean), f * gain


def test_a_quote_at_expiry_that_nothing_moved_has_finite_slopes(market):
    case = market(3, contracts=3)
    variance = case.parameters.variance.copy()
    variance[0] = 0.0
    result = own_noise_sweep(case.schedule, case.parameters._replace(variance=variance))
    for slope in result.gradient:
        assert np.isfinite(slope).all()


def test_a_draw_is_filtered_as_it_asks(market):
    case = market(4, regimes=3, contracts=3)
    p = OwnNoise(*case.parameters)
    assert plain(p) == case.parameters
    assert run_filter(case.schedule, p).value == own_noise_sweep(*case[1:]).value
    assert run_filter(case.schedule, p).value != sweep(*case[1:]).value


def test_what_quotes_say_of_carry_is_the_curvature_of_a_gaussian_density(market):
    case = market(6, times=12, contracts=4, regimes=1, gaussian=True, underlyings=1)
    s, p = case.schedule, case.parameters
    tau = np.array([0.9 + 0.1 * q.contract - q.time for q in case.quotes])
    column = np.array([q.contract for q in case.quotes], np.int64)

    def at(carry):
        own = p._replace(deviation=p.deviation - carry[column] * tau)
        return carry_information(s, own, own_noise_sweep(s, own), tau, column, 4, True)

    _, information = at(np.zeros(4))
    # The density is quadratic in carry, so that a difference of any size is a derivative.
    slopes = [at(move)[0] - at(-move)[0] for move in 0.1 * np.eye(4)]
    np.testing.assert_allclose(information, -np.array(slopes) / 0.2, rtol=1e-8)


def mean_scores(schedule, truth, panels):
    """Mean slope by every parameter over panels, and its standard error."""
    scores = []
    for quotes in panels:
        g = own_noise_sweep(schedule, plain(truth)._replace(deviation=quotes)).gradient
        # Rows of a generator sum to zero: a rate grows at the cost of the stay.
        rates = g.rates - np.diagonal(g.rates, axis1=1, axis2=2)[..., None]
        scores.append(np.concatenate([np.ravel(x) for x in g._replace(rates=rates)[1:]]))
    return np.mean(scores, axis=0), np.std(scores, axis=0) / np.sqrt(len(scores))


def test_the_score_of_replicated_quotes_is_zero_on_average(market):
    """What is simulated is what is scored: when and only when they are one model."""
    case = market(3, times=20, contracts=3)
    rng, p = np.random.default_rng(0), OwnNoise(*case.parameters)
    truth = p._replace(deviation=np.zeros_like(p.deviation))
    panels = [replicate(case.schedule, truth, rng) for _ in range(400)]
    mean, error = mean_scores(case.schedule, truth, panels)
    np.testing.assert_array_less(np.abs(mean), 4.5 * error + 1e-9)


def test_forecasts_run_the_filter_forward(daily_curve):
    draws, contracts, days, f, day = 1500, 3, 8, 0.7 / 365, 1.0 / 365
    rng, shape = np.random.default_rng(5), (draws, contracts, days)
    truth = OwnNoise(
        deviation=np.empty(0),
        phi=np.full(days, 0.9),
        variance=np.full(days, day),
        noise=np.array([f]),
        correlation=np.array([0.9]),
        tail=np.array([6.0]),
        scale=np.array([[0.2]]),
        rates=np.zeros((1, 1, 1)),
    )
    start = np.full(shape[:2], 0.02)
    _, quotes = simulate_deviations(
        start,
        np.full(shape[:2], f),
        np.full(shape, 0.9),
        np.full(shape, day),
        np.full((draws, days), 0.2),
        np.full(draws, 0.9),
        np.full(draws, 6.0),
        np.full(draws, f),
        rng,
        own_noise=True,
    )
    panels = np.concatenate([start[..., None], quotes], axis=2).transpose(0, 2, 1).copy()
    mean, error = mean_scores(daily_curve(contracts, days), truth, panels.reshape(draws, -1))
    np.testing.assert_array_less(np.abs(mean), 4.5 * error + 1e-9)
