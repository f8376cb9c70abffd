"""Facts about series that revert."""

import numpy as np
import pytest
from scipy import integrate, stats

from bayesbasis.process.spot import (
    Passing,
    Reversion,
    gathered,
    learn_reversion,
    simulate_reversion,
)

DAY = 1 / 365


def simulated(half_life, mean, volatility, steps, seed, gap=DAY):
    rng = np.random.default_rng(seed)
    truth = Reversion(
        np.array([half_life]), np.array([mean]), np.array([volatility]), rng.standard_normal(4_000)
    )
    gaps = np.full(steps, gap)
    return simulate_reversion(truth, mean, gaps, rng)[0], np.cumsum(gaps)


def test_paths_have_the_moments_of_the_process():
    rng, draws = np.random.default_rng(1), 40_000
    half_life, mean, volatility, start, years = 60.0, 3.0, 0.8, 3.5, 0.25
    shocks = stats.t(6).ppf((np.arange(4_000) + 0.5) / 4_000)
    past = Reversion(
        np.full(draws, half_life),
        np.full(draws, mean),
        np.full(draws, volatility),
        shocks / shocks.std(),
    )
    path = simulate_reversion(past, start, np.full(50, years / 50), rng)[:, -1]
    alpha = np.log(2) * 365 / half_life
    expected = mean + (start - mean) * np.exp(-alpha * years)
    variance = volatility**2 * (1 - np.exp(-2 * alpha * years)) / (2 * alpha)
    assert abs(path.mean() - expected) < 4 * np.sqrt(variance / draws)
    np.testing.assert_allclose(path.var(), variance, rtol=0.03)


def test_the_posterior_covers_the_truth_as_often_as_it_says():
    hits, rng = [], np.random.default_rng(3)
    for seed in range(150):
        half_life = 100.0 * 2.0 ** rng.standard_normal()
        value, time = simulated(half_life, 2.0, 0.7, 500, seed)
        found = learn_reversion(value, time, 400, rng)
        for draws, true in (
            (found.half_life, half_life),
            (found.mean, 2.0),
            (found.volatility, 0.7),
        ):
            low, high = np.quantile(draws, [0.05, 0.95])
            hits.append(low <= true <= high)
    shares = np.reshape(hits, (-1, 3)).mean(0)
    # Two standard errors of 150 trials at 0.9 are 0.05.
    assert (np.abs(shares - 0.9) < 0.06).all(), shares


def test_the_step_of_the_clock_does_not_matter():
    value, time = simulated(40.0, 1.0, 0.5, 3_000, 7)
    rng = np.random.default_rng(8)
    fine = learn_reversion(value, time, 4_000, rng)
    coarse = learn_reversion(value[::3], time[::3], 4_000, rng)
    np.testing.assert_allclose(fine.volatility.mean(), coarse.volatility.mean(), rtol=0.05)
    np.testing.assert_allclose(np.median(fine.half_life), np.median(coarse.half_life), rtol=0.3)


def test_shocks_are_standard_and_keep_their_skewness():
    rng = np.random.default_rng(9)
    skewed = rng.exponential(size=2_000) - 1.0
    value = np.cumsum(0.02 * skewed)
    found = learn_reversion(value, np.arange(2_000) * DAY, 10, rng)
    assert abs(found.shocks.mean()) < 1e-12
    np.testing.assert_allclose(found.shocks.std(), 1.0, rtol=1e-12)
    assert stats.skew(found.shocks) > 1.5


def test_a_series_that_never_moves_stays():
    rng = np.random.default_rng(0)
    found = learn_reversion(np.full(50, 2.0), np.arange(50) * DAY, 20, rng)
    path = simulate_reversion(found, 2.0, np.full(5, DAY), rng)
    np.testing.assert_allclose(path, 2.0, atol=1e-6)


def test_a_passing_part_is_a_sum_of_two_processes_on_one_shock():
    """Against the integral of the squared response to a shock, and against small steps."""
    passing, years = Passing(8.0, 0.6), 30.0 / 365
    past = Reversion(np.array([150.0]), np.zeros(1), np.ones(1), np.array([-1.0, 1.0]), passing)
    alpha, beta = np.log(2) * 365 / 150.0, np.log(2) * 365 / 8.0

    def response(u):
        return 0.4 * np.exp(-alpha * u) + 0.6 * np.exp(-beta * u)

    area, _ = integrate.quad(lambda u: response(u) ** 2, 0.0, years)
    np.testing.assert_allclose(gathered(past, np.array([years]))[0, 0] ** 2, area, rtol=1e-9)
    draws, rng = 20_000, np.random.default_rng(4)
    many = past._replace(half_life=np.full(draws, 150.0), mean=np.zeros(draws))
    fine = simulate_reversion(many, 0.0, np.full(60, years / 60), rng)[:, -1]
    np.testing.assert_allclose(fine.var(), area, rtol=0.03)


def test_a_passing_part_is_learned_with_the_rest():
    rng, passing = np.random.default_rng(6), Passing(6.0, 0.5)
    shocks = stats.norm.ppf((np.arange(4_000) + 0.5) / 4_000)
    truth = Reversion(np.array([120.0]), np.array([2.0]), np.array([0.7]), shocks, passing)
    value = simulate_reversion(truth, 2.0, np.full(3_000, DAY), rng)[0]
    time = np.arange(1, 3_001) * DAY
    found = learn_reversion(value, time, 2_000, rng, passing=passing)
    for draws, true in ((found.half_life, 120.0), (found.mean, 2.0), (found.volatility, 0.7)):
        low, high = np.quantile(draws, [0.005, 0.995])
        assert low < true < high
    # Taken as one process, its shocks seem to last longer in small steps than they do.
    whole = learn_reversion(value, time, 2_000, rng)
    month = np.array([30.0]) / 365
    moved = np.std(value[30:] - value[:-30])
    of_whole, of_both = (
        float(np.median(x.volatility * gathered(x, month)[:, 0])) for x in (whole, found)
    )
    assert abs(of_both / moved - 1.0) < abs(of_whole / moved - 1.0)


@pytest.mark.parametrize("start", [-1.0, 2.0])
def test_no_time_is_no_move(start):
    rng = np.random.default_rng(0)
    past = Reversion(np.ones(3), np.zeros(3), np.ones(3), np.array([-1.0, 1.0]))
    np.testing.assert_array_equal(simulate_reversion(past, start, np.zeros(2), rng), start)
