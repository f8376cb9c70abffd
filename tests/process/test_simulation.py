"""Facts about simulation: its moments are those of the model, and the filter agrees."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import kstest, t

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters
from bayesbasis.process.laws import Anchored
from bayesbasis.process.quadrature import Steps
from bayesbasis.process.regimes import stationary
from bayesbasis.process.simulation import (
    shared_shocks,
    simulate_deviations,
    simulate_regimes,
    step_regimes,
    transition_matrices,
)

DAY = 1.0 / 365
ERRORS = 4.0  # standard errors that a seed may be off by
RATES = np.array([[-30.0, 20.0, 10.0], [50.0, -60.0, 10.0], [5.0, 95.0, -100.0]])


def assert_mean(sample, expected):
    """Compare a mean with its truth, in its own standard errors."""
    error = sample.std(ddof=1, axis=0) / np.sqrt(len(sample))
    np.testing.assert_array_less(np.abs(sample.mean(0) - expected) / error, ERRORS)


def test_moves_between_regimes_are_as_frequent_as_the_matrix_says():
    rng = np.random.default_rng(0)
    moves = np.array([[[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.3, 0.3, 0.4]]])
    for start in range(3):
        before = np.full((1, 50_000), start)
        after = step_regimes(before, moves, rng)[0]
        for end in range(3):
            p = moves[0, start, end]
            error = np.sqrt(p * (1 - p) / len(after))
            np.testing.assert_allclose((after == end).mean(), p, atol=ERRORS * error)


def test_every_draw_moves_by_its_own_matrix():
    stay, swap = np.eye(2), 1.0 - np.eye(2)
    before = np.tile(np.arange(2), (2, 3, 5))
    after = step_regimes(before, np.stack([stay, swap]), np.random.default_rng(1))
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1], 1 - before[1])


def test_transition_matrices_are_exponentials():
    rates = np.stack([RATES, 0.1 * RATES])
    matrices = transition_matrices(rates, 3 * DAY)
    np.testing.assert_allclose(matrices, [expm(a * 3 * DAY) for a in rates], rtol=1e-11)


def test_regimes_are_where_the_generator_takes_them():
    draws, gaps = 40_000, np.array([1.0, 1.0, 3.0, 0.25]) * DAY
    start = np.repeat(np.arange(3), draws)
    rates = np.tile(RATES, (len(start), 1, 1))
    path = simulate_regimes(start, rates, gaps, np.random.default_rng(2))
    assert path.shape == (len(start), 5)
    assert path.dtype == np.int8
    np.testing.assert_array_equal(path[:, 0], start)
    for n in range(1, 5):
        expected = expm(RATES * gaps[:n].sum())
        for k in range(3):
            shares = (path[start == k, n][:, None] == np.arange(3)).mean(0)
            error = np.sqrt(expected[k] * (1 - expected[k]) / draws)
            assert (np.abs(shares - expected[k]) < ERRORS * error).all()


def test_stays_are_exponential_with_the_mean_of_the_generator():
    """Watched every five minutes, a regime is kept as long as it should."""
    gap, steps, draws = DAY / 288, 4000, 300
    start = np.random.default_rng(3).choice(3, draws, p=stationary(RATES))
    path = simulate_regimes(
        start, np.tile(RATES, (draws, 1, 1)), np.full(steps, gap), np.random.default_rng(4)
    )
    moves = expm(RATES * gap)
    for k in range(3):
        here = path[:, :-1] == k
        p, count = moves[k, k], here.sum()
        error = np.sqrt(p * (1 - p) / count)
        np.testing.assert_allclose((path[:, 1:] == k)[here].mean(), p, atol=ERRORS * error)
    shares = (path[..., None] == np.arange(3)).mean(1)
    assert_mean(shares, stationary(RATES))


@pytest.mark.parametrize("rho", [0.0, 0.6, 1.0])
def test_shocks_are_standard_normals_with_one_correlation(rho):
    draws = 100_000
    shocks, root = shared_shocks(
        np.full(draws, rho), np.full(draws, np.inf), 3, np.random.default_rng(5)
    )
    np.testing.assert_array_equal(root, np.ones((draws, 1)))
    products = shocks[:, :, None] * shocks[:, None, :]
    error = np.sqrt(2.0 / draws)
    expected = (1 - rho) * np.eye(3) + rho
    np.testing.assert_allclose(products.mean(0), expected, atol=ERRORS * error)
    np.testing.assert_allclose(shocks.mean(0), 0.0, atol=ERRORS / np.sqrt(draws))


def test_scaled_by_their_root_shocks_are_student_t():
    draws, nu, rho = 200_000, 12.0, 0.5
    shocks, root = shared_shocks(
        np.full(draws, rho), np.full(draws, nu), 2, np.random.default_rng(6)
    )
    assert root.shape == (draws, 1)
    scaled = root * shocks
    assert kstest(scaled[:, 0], t(nu).cdf).pvalue > 1e-3
    assert_mean(root[:, 0] ** 2, nu / (nu - 2))
    assert_mean(root[:, 0] ** 4, nu**2 / ((nu - 2) * (nu - 4)))
    assert_mean(scaled[:, 0] * scaled[:, 1], rho * nu / (nu - 2))
    # The root is shared: squares move together even beyond what correlation explains.
    square = nu**2 / ((nu - 2) * (nu - 4)) * (1 + 2 * rho**2)
    assert_mean(scaled[:, 0] ** 2 * scaled[:, 1] ** 2, square)


def test_draws_may_differ_in_correlation_and_tail():
    rho, nu = np.array([0.0, 1.0] * 20_000), np.array([np.inf, 5.0] * 20_000)
    shocks, root = shared_shocks(rho, nu, 2, np.random.default_rng(7))
    np.testing.assert_array_equal(shocks[1::2, 0], shocks[1::2, 1])
    assert abs(np.corrcoef(shocks[::2].T)[0, 1]) < ERRORS / np.sqrt(20_000)
    np.testing.assert_array_equal(root[::2], 1.0)
    assert (root[1::2] != 1.0).all()


def law_steps(tau):
    own = {"half_life": 12.0, "anchor": 0.7, "volatility_exponent": 0.4}
    own = {name: np.array([value]) for name, value in own.items()}
    return Anchored().transition(own, Steps.between(tau[:-1], tau[1:]), np)


@pytest.mark.parametrize("tail", [np.inf, 9.0], ids=["gaussian", "student-t"])
def test_deviations_have_the_mean_and_the_variance_of_the_law(tail):
    draws, sigma, rho, f, p0 = 60_000, 0.3, 0.6, 2 * DAY, 1.5 * DAY
    tau = np.array([30.0, 29.0, 26.0, 14.0, 13.5]) * DAY
    phi, v = law_steps(tau)
    level = np.array([0.03, -0.01])
    paths, quotes = simulate_deviations(
        np.tile(level, (draws, 1)),
        np.full((draws, 2), p0),
        np.tile(phi, (draws, 2, 1)),
        np.tile(v, (draws, 2, 1)),
        np.full((draws, len(phi)), sigma),
        np.full(draws, rho),
        np.full(draws, tail),
        np.full(draws, f),
        np.random.default_rng(8),
    )
    inflation, spread = 1.0 if np.isinf(tail) else tail / (tail - 2), p0
    for n in range(len(phi)):
        far_phi, far_v = law_steps(tau[[0, n + 1]])
        predicted = phi[n] ** 2 * spread + v[n]
        spread = predicted * f / (predicted + f)
        state = far_phi**2 * p0 + far_v
        # The deviation splits into what the filter knows and what it does not.
        for values, variance in ((quotes, state + f), (paths, state - spread)):
            centred = values[..., n] - far_phi * level
            assert_mean(centred, 0.0)
            assert_mean(centred**2, inflation * sigma**2 * variance)
            assert_mean(centred[:, :1] * centred[:, 1:], rho * inflation * sigma**2 * variance)


def test_where_nothing_moves_the_state_stays():
    draws, p0, f, sigma = 50_000, 3 * DAY, 2 * DAY, 0.2
    still = np.array([1.0, 0.9]), np.array([0.0, DAY])
    phi, v = (np.tile(x, (draws, 1, 1)) for x in still)
    paths, quotes = simulate_deviations(
        np.full((draws, 1), 0.02),
        np.full((draws, 1), p0),
        phi,
        v,
        np.full((draws, 2), sigma),
        np.full(draws, 0.5),
        np.full(draws, np.inf),
        np.full(draws, f),
        np.random.default_rng(9),
    )
    np.testing.assert_array_equal(paths[..., 0], 0.02)
    error = quotes[:, 0, 1] - 0.9 * 0.02
    assert_mean(error, 0.0)
    assert_mean(error**2, sigma**2 * (0.81 * p0 + DAY + f))


def test_a_seed_gives_the_same_paths():
    def run(seed):
        rng = np.random.default_rng(seed)
        path = simulate_regimes(np.zeros(50, int), np.tile(RATES, (50, 1, 1)), np.full(9, DAY), rng)
        return path, *shared_shocks(np.full(50, 0.3), np.full(50, 5.0), 2, rng)

    for first, again, other in zip(run(1), run(1), run(2), strict=True):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


def test_simulations_and_the_filter_are_the_same_model(daily_curve):
    """The expected score is zero at the truth, for every parameter, when and only when they are.

    The likelihood is that of all quotes given the first, and the first regime comes from the
    stationary distribution.
    """
    draws, contracts, days, f = 3000, 3, 12, 0.7 * DAY
    tau = np.arange(90.0, 90.0 - days - 1, -1.0) * DAY
    phi, v = law_steps(tau)
    rates, rng = RATES, np.random.default_rng(10)
    truth = Parameters(
        deviation=np.empty(0),
        phi=phi,
        variance=v,
        noise=np.array([f]),
        correlation=np.array([0.6]),
        tail=np.array([6.0]),
        scale=np.array([[0.1, 0.4, 1.2]]),
        rates=rates[None],
    )
    start = rng.choice(3, draws, p=stationary(rates))
    regime = simulate_regimes(start, np.tile(rates, (draws, 1, 1)), np.full(days - 1, DAY), rng)
    _, quotes = simulate_deviations(
        np.full((draws, contracts), 0.01),
        np.full((draws, contracts), f),
        np.tile(phi, (draws, contracts, 1)),
        np.tile(v, (draws, contracts, 1)),
        truth.scale[0][regime],
        np.full(draws, 0.6),
        np.full(draws, 6.0),
        np.full(draws, f),
        rng,
    )
    schedule = daily_curve(contracts, days)
    scores = []
    for path in quotes:
        all_days = np.concatenate([np.full((contracts, 1), 0.01), path], axis=1)
        given = truth._replace(deviation=np.ascontiguousarray(all_days.T).ravel())
        g = sweep(schedule, given).gradient
        by_rates = g.rates[0] - np.diag(g.rates[0])[:, None]
        off = ~np.eye(3, dtype=bool)
        scores.append(
            np.concatenate(
                [
                    g.phi,
                    g.variance,
                    g.noise,
                    g.correlation,
                    g.tail,
                    g.scale.ravel(),
                    by_rates[off],
                ]
            )
        )
    assert_mean(np.array(scores), 0.0)
