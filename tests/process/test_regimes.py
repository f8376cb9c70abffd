"""Facts about the chain of regimes."""

import re

import numpy as np
import pytest
from scipy.linalg import expm, expm_frechet, null_space
from scipy.stats import binom

from bayesbasis.process.exponential import exponential
from bayesbasis.process.regimes import (
    Regimes,
    generator,
    solve,
    stationary,
    stationary_adjoint,
    urn,
    urn_grid,
)

COUNTS = [1, 2, 3, 4]
every_count = pytest.mark.parametrize("count", COUNTS)
every_gap = pytest.mark.parametrize("gap", [0.0, 1e-9, 1 / 8760, 1 / 365, 0.1, 1.0])


def chain(count, seed=0):
    """Stays from hours to months, and uneven jumps."""
    rng = np.random.default_rng(seed)
    jump = rng.uniform(0.05, 1.0, (count, count)) * (1.0 - np.eye(count))
    jump = jump / np.maximum(jump.sum(-1, keepdims=True), 1e-300)
    stay = np.exp(rng.uniform(np.log(0.2 / 365), np.log(200 / 365), count))
    return stay, jump, np.asarray(generator(stay, jump, count))


def richardson(function, x, step):
    """Derivative to sixth order of a function of one number."""

    def central(h):
        return (function(x + h) - function(x - h)) / (2.0 * h)

    a, b, c = central(step), central(step / 2), central(step / 4)
    return (64.0 * (4 * c - b) / 3 / 4 - (4 * b - a) / 3) / 15.0


@pytest.mark.parametrize("count", [2, 3, 4])
def test_rows_of_a_generator_sum_to_zero_and_say_how_long_and_whither(count):
    stay, jump, rates = chain(count)
    np.testing.assert_allclose(rates.sum(-1), 0.0, atol=1e-12 * np.abs(rates).max())
    np.testing.assert_allclose(-1.0 / np.diag(rates), stay, rtol=1e-14)
    off = ~np.eye(count, dtype=bool)
    np.testing.assert_allclose((rates * stay[:, None])[off], jump[off], rtol=1e-14)


def test_one_regime_has_nowhere_to_go():
    np.testing.assert_array_equal(generator(np.array([[3.0]]), np.zeros((1, 1)), 1), [[[0.0]]])


def test_generators_of_many_draws_are_made_at_once():
    chains = [chain(3, seed) for seed in range(5)]
    together = generator(np.stack([c[0] for c in chains]), np.stack([c[1] for c in chains]), 3)
    np.testing.assert_array_equal(together, np.stack([c[2] for c in chains]))


@pytest.mark.parametrize("count", [3, 5, 9, 10])
@pytest.mark.parametrize("elapsed", [1e-3, 0.1, 1.0, 4.0])
def test_the_urn_moves_like_an_ornstein_uhlenbeck_process(count, elapsed):
    """Mean and variance given any point of the grid, after any time in half-lives: exactly."""
    half_life, x = 0.07, urn_grid(count)
    moves = expm(urn(np.array(half_life), count) * half_life * elapsed)
    decay = 0.5**elapsed
    np.testing.assert_allclose(moves @ x, decay * x, atol=1e-12)
    variance = moves @ x**2 - (moves @ x) ** 2
    np.testing.assert_allclose(variance, 1 - decay**2, rtol=1e-10)


@pytest.mark.parametrize("count", [3, 5, 9, 10])
def test_the_urn_is_binomial_and_that_is_what_the_grid_costs(count):
    rates, x = urn(np.array(0.1), count), urn_grid(count)
    np.testing.assert_allclose(rates.sum(-1), 0.0, atol=1e-12)
    often = stationary(rates)
    np.testing.assert_allclose(often, binom.pmf(np.arange(count), count - 1, 0.5), rtol=1e-10)
    np.testing.assert_allclose([often @ x, often @ x**2], [0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(often @ x**4 - 3.0, -2.0 / (count - 1), rtol=1e-9)
    np.testing.assert_allclose(np.diff(x), 2.0 / np.sqrt(count - 1), rtol=1e-12)


@pytest.mark.parametrize("count", [12, 16, 20])
def test_more_points_make_the_grid_finer_and_little_is_lost_at_its_ends(count):
    """From ten points on the urn is cut at three deviations: inside, drift and diffusion hold."""
    rates, x = urn(np.array(np.log(2.0)), count), urn_grid(count)
    np.testing.assert_allclose([x[0], x[-1]], [-3.0, 3.0])
    np.testing.assert_allclose(rates.sum(-1), 0.0, atol=1e-12)
    assert (rates[~np.eye(count, dtype=bool)] >= 0.0).all()
    drift = rates @ x
    diffusion = rates @ x**2 - 2.0 * x * drift
    np.testing.assert_allclose(drift[1:-1], -x[1:-1], atol=1e-12)
    np.testing.assert_allclose(diffusion[1:-1], 2.0, rtol=1e-12)
    often = stationary(rates)
    np.testing.assert_allclose([often @ x, often @ x**2], [0.0, 1.0], atol=0.016)
    correlation = (often * x) @ expm(0.5 * rates) @ x / (often @ x**2)
    np.testing.assert_allclose(correlation, np.exp(-0.5), rtol=0.008)


def test_urns_of_many_draws_are_made_at_once():
    half_lives = np.array([[0.1], [0.3]])
    together = urn(half_lives, 5)
    assert together.shape == (2, 1, 5, 5)
    np.testing.assert_array_equal(together[1, 0], urn(np.array(0.3), 5))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 0}, "regimes.count is 0; a model needs at least one regime"),
        ({"shared_by": "all"}, "choose 'underlying', 'venue' or 'market'"),
        ({"volatility": "rough"}, "choose 'switching' or 'stochastic'"),
        (
            {"volatility": "stochastic", "count": 2},
            "regimes.count is 2; stochastic volatility needs a grid of",
        ),
    ],
)
def test_regimes_that_cannot_be_say_what_can(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Regimes(**given)


@every_count
@every_gap
@pytest.mark.parametrize("seed", range(3))
def test_the_exponential_is_that_of_scipy(count, gap, seed):
    rates = chain(count, seed)[2]
    value, slope = exponential(rates, np.zeros((count, count)), gap)
    np.testing.assert_allclose(value, expm(rates * gap), rtol=1e-10, atol=1e-13)
    np.testing.assert_array_equal(slope, 0.0)


@every_count
@every_gap
def test_transition_probabilities_are_probabilities(count, gap):
    for seed in range(20):
        value, _ = exponential(chain(count, seed)[2], np.zeros((count, count)), gap)
        assert (value >= 0.0).all()
        np.testing.assert_allclose(value.sum(-1), 1.0, rtol=1e-10)


@every_count
def test_two_gaps_are_one(count):
    rates, still = chain(count)[2], np.zeros((count, count))
    first, second, both = (exponential(rates, still, gap)[0] for gap in (0.013, 0.2, 0.213))
    np.testing.assert_allclose(first @ second, both, rtol=1e-11)


@every_count
@every_gap
def test_the_derivative_of_the_exponential_is_that_of_frechet(count, gap):
    rates = chain(count)[2]
    direction = np.random.default_rng(1).standard_normal((count, count))
    expected = expm_frechet(rates * gap, direction * gap, compute_expm=False)
    slope = exponential(rates, direction, gap)[1]
    np.testing.assert_allclose(slope, expected, rtol=1e-9, atol=1e-11 * gap)


@every_count
def test_the_adjoint_of_the_exponential_is_the_derivative_at_the_transpose(count):
    rng = np.random.default_rng(2)
    rates, gap = chain(count)[2], 0.03
    direction, cotangent = rng.standard_normal((2, count, count))
    forward = (cotangent * exponential(rates, direction, gap)[1]).sum()
    back = (exponential(np.ascontiguousarray(rates.T), cotangent, gap)[1] * direction).sum()
    np.testing.assert_allclose(forward, back, rtol=1e-11)


@every_count
@pytest.mark.parametrize("seed", range(5))
def test_the_stationary_distribution_is_the_null_space(count, seed):
    rates = chain(count, seed)[2]
    expected = null_space(rates.T / max(-rates.min(), 1.0))[:, 0]
    np.testing.assert_allclose(stationary(rates), expected / expected.sum(), rtol=1e-9)


@every_count
def test_the_stationary_distribution_is_where_the_chain_ends(count):
    rates = chain(count)[2]
    value = exponential(rates, np.zeros((count, count)), 100.0)[0]
    np.testing.assert_allclose(value, np.tile(stationary(rates), (count, 1)), rtol=1e-6)


def test_the_stationary_distribution_outlives_rates_far_apart():
    stay = np.array([1e4, 1e-6])
    rates = generator(stay, 1.0 - np.eye(2), 2)
    np.testing.assert_allclose(stationary(rates), stay / stay.sum(), rtol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_adjoint_of_the_stationary_distribution_is_a_finite_difference(count):
    stay, jump, rates = chain(count)
    cotangent = np.random.default_rng(3).standard_normal(count)
    slope = stationary_adjoint(rates, cotangent)
    for k in range(count):

        def score(log_stay, k=k):
            moved = stay.copy()
            moved[k] = np.exp(log_stay)
            return cotangent @ stationary(generator(moved, jump, count))

        expected = richardson(score, np.log(stay[k]), 0.02)
        np.testing.assert_allclose((slope[k] * -rates[k]).sum(), expected, rtol=1e-7, atol=1e-10)


def test_the_adjoint_of_a_lone_regime_is_finite():
    slope = stationary_adjoint(np.zeros((1, 1)), np.ones(1))
    assert np.isfinite(slope).all()


@every_count
def test_linear_systems_are_solved_with_pivoting(count):
    rng = np.random.default_rng(4)
    for _ in range(10):
        matrix, right = rng.standard_normal((count, count)), rng.standard_normal(count)
        if count > 1:
            matrix[0, 0] = 0.0
        x = right.copy()
        solve(matrix.copy(), x)
        np.testing.assert_allclose(matrix @ x, right, rtol=1e-8, atol=1e-11)
