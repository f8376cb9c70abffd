"""Facts about laws of convergence."""

from itertools import pairwise

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.integrate import quad

from bayesbasis.model.priors import Priors
from bayesbasis.process.laws import LAWS, REFERENCE_TAU, Anchored, OrnsteinUhlenbeck, rate
from bayesbasis.process.quadrature import Steps

MINUTE = 1.0 / (365 * 24 * 60)
NEVER = 1e15  # a half-life of this many days pulls at nothing

every_law = pytest.mark.parametrize("law", [law() for law in LAWS.values()], ids=list(LAWS))


def arguments(law, shape, seed=0):
    """Parameters of a law from the middle of their priors."""
    rng = np.random.default_rng(seed)
    priors = {name: getattr(Priors(), name) for name in law.parameters}
    normals = {name: 0.7 * rng.standard_normal(shape) for name in priors}
    return {n: p.natural(p.location + p.scale * normals[n], np) for n, p in priors.items()}


def times(count, seed=0):
    """Three times to expiry in falling order, from two years to an hour."""
    hours = np.exp(np.random.default_rng(seed).uniform(0.0, np.log(2 * 8760), (3, count)))
    return -np.sort(-hours, axis=0) / 8760


def anchored(half_life, gamma, eta):
    given = (("half_life", half_life), ("anchor", gamma), ("volatility_exponent", eta))
    return {name: np.atleast_1d(np.asarray(value, float)) for name, value in given}


def transition(parameters, start, end, law=None):
    return (law or Anchored()).transition(parameters, Steps.between(start, end), np)


def integral(kappa, gamma, eta, start, end):
    """``v`` of the anchored law by adaptive integration in the time since ``end``."""

    def density(s):
        u = end + s
        pull = -2.0 * kappa * s + 2.0 * gamma * np.log(end / u)
        return np.exp(pull + 2.0 * eta * np.log(u / REFERENCE_TAU))

    edges = np.concatenate([[0.0], (start - end) * 2.0 ** -np.arange(30.0, -1.0, -1.0)])
    parts = [
        quad(density, a, b, epsabs=0.0, epsrel=1e-11)[0]
        for a, b in pairwise(edges)
        if density(a) > 1e-200
    ]
    return sum(parts)


@every_law
def test_two_moves_are_one(law):
    start, middle, end = times(200)
    own = arguments(law, 200)
    phi_1, v_1 = transition(own, start, middle, law)
    phi_2, v_2 = transition(own, middle, end, law)
    phi, v = transition(own, start, end, law)
    np.testing.assert_allclose(phi, phi_1 * phi_2, rtol=1e-11)
    np.testing.assert_allclose(v, phi_2**2 * v_1 + v_2, rtol=1e-8)


@every_law
def test_a_deviation_shrinks_and_spreads(law):
    start, _, end = times(200)
    phi, v = transition(arguments(law, 200), start, end, law)
    assert ((phi >= 0) & (phi < 1)).all()
    assert (v > 0).all()


@every_law
def test_the_pull_is_the_speed_of_a_short_move(law):
    tau = np.array([0.01, 0.1, 0.5])
    own = arguments(law, 3)
    elapsed = 1e-7 * tau
    phi, _ = transition(own, tau + elapsed / 2, tau - elapsed / 2, law)
    np.testing.assert_allclose(-np.log(phi) / elapsed, law.pull(own, tau), rtol=1e-7)


@every_law
def test_draws_of_parameters_broadcast_against_moves(law):
    start, _, end = times(7)
    own = arguments(law, (4, 3, 1))
    phi, v = transition(own, start, end, law)
    assert phi.shape == v.shape == (4, 3, 7)
    one = {name: value[2, 1] for name, value in own.items()}
    for all_draws, alone in zip((phi, v), transition(one, start, end, law), strict=True):
        np.testing.assert_allclose(all_draws[2, 1], alone, rtol=1e-14)


@every_law
def test_numpy_and_pytensor_evaluate_the_same_law(law):
    start, _, end = times(50)
    steps, own = Steps.between(start, end), arguments(law, 50)
    symbols = {name: pt.dvector(name) for name in own}
    code = pytensor.function(
        list(symbols.values()), law.transition(symbols, steps, pt), mode="FAST_COMPILE"
    )
    for compiled, plain in zip(code(*own.values()), law.transition(own, steps, np), strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-12)


@every_law
def test_simulated_paths_have_the_mean_and_the_variance_of_the_law(law):
    """Euler's scheme in 800 steps: its bias is far below the standard errors of 20,000 paths."""
    paths, count, start, end = 20_000, 800, 0.25, 0.05
    own = {name: value[:1] for name, value in arguments(law, 1, seed=3).items()}
    eta = own.get("volatility_exponent", np.zeros(1))
    grid = np.linspace(start, end, count + 1)
    step, rng = grid[0] - grid[1], np.random.default_rng(1)
    z = np.ones(paths)
    for tau in 0.5 * (grid[1:] + grid[:-1]):
        shock = rng.standard_normal(paths) * np.sqrt(step) * (tau / REFERENCE_TAU) ** eta
        z = z * (1.0 - law.pull(own, tau) * step) + shock
    phi, v = transition(own, start, end, law)
    np.testing.assert_allclose(z.mean(), phi[0], atol=3.5 * np.sqrt(v[0] / paths))
    np.testing.assert_allclose(z.var(ddof=1), v[0], rtol=3.5 * np.sqrt(2.0 / paths))


@pytest.mark.parametrize("half_life", [1.0, 20.0, 365.0])
@pytest.mark.parametrize("gamma", [0.01, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("eta", [-0.49, 0.0, 1.5])
def test_nothing_of_an_anchored_deviation_is_left_at_expiry(half_life, gamma, eta):
    phi, v = transition(anchored(half_life, gamma, eta), [0.5, 1e-3], [0.0, 0.0])
    np.testing.assert_array_equal(phi, 0.0)
    np.testing.assert_array_equal(v, 0.0)


def test_an_anchored_deviation_vanishes_steadily_on_the_way_to_expiry():
    end = 10.0 ** -np.arange(2.0, 9.0)
    phi, v = transition(anchored(20.0, 0.8, 0.3), 0.3, end)
    assert (np.diff(phi) < 0).all()
    assert (np.diff(v) < 0).all()
    assert phi[-1] < 1e-5
    assert v[-1] < 1e-8


def test_what_an_unanchored_deviation_keeps_at_expiry_is_its_stationary_spread():
    kappa = rate(5.0)
    phi, v = transition({"half_life": np.array([5.0])}, 3.0, 0.0, OrnsteinUhlenbeck())
    np.testing.assert_allclose(v, 1.0 / (2.0 * kappa), rtol=1e-14)
    np.testing.assert_allclose(phi, 0.5 ** (3.0 * 365 / 5.0), rtol=1e-12)


def test_half_of_a_deviation_is_left_after_a_half_life():
    for half_life in (0.5, 7.0, 300.0):
        start, end = 2.0, 2.0 - half_life / 365
        phi, _ = transition({"half_life": np.array([half_life])}, start, end, OrnsteinUhlenbeck())
        np.testing.assert_allclose(phi, 0.5, rtol=1e-13)


def test_without_an_anchor_it_is_ornstein_uhlenbeck():
    start, _, end = times(100)
    half_life = np.exp(np.random.default_rng(4).uniform(0.0, np.log(365.0), 100))
    kappa, elapsed = np.log(2.0) * 365 / half_life, start - end
    phi, v = transition(anchored(half_life, 0.0, 0.0), start, end)
    np.testing.assert_allclose(phi, np.exp(-kappa * elapsed), rtol=1e-12)
    np.testing.assert_allclose(v, -np.expm1(-2 * kappa * elapsed) / (2 * kappa), rtol=1e-8)
    twin = transition({"half_life": half_life}, start, end, OrnsteinUhlenbeck())
    np.testing.assert_allclose(twin[0], phi, rtol=1e-14)
    np.testing.assert_allclose(twin[1], v, rtol=1e-8)


def test_with_a_unit_anchor_alone_it_is_the_brownian_bridge():
    start, _, end = times(100)
    phi, v = transition(anchored(NEVER, 1.0, 0.0), start, end)
    np.testing.assert_allclose(phi, end / start, rtol=1e-12)
    np.testing.assert_allclose(v, (start - end) * end / start, rtol=1e-8)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9, 2.0, 5.0])
def test_with_an_anchor_alone_it_is_the_scaled_bridge(gamma):
    start, _, end = times(100)
    phi, v = transition(anchored(NEVER, gamma, 0.0), start, end)
    power = 2.0 * gamma - 1.0
    expected = (
        end * np.log(start / end)
        if gamma == 0.5
        else end / power * -np.expm1(power * np.log(end / start))
    )
    np.testing.assert_allclose(phi, (end / start) ** gamma, rtol=1e-12)
    np.testing.assert_allclose(v, expected, rtol=1e-8)


def test_with_unit_anchor_and_exponent_the_implied_carry_is_ornstein_uhlenbeck():
    start, _, end = times(100)
    half_life = np.exp(np.random.default_rng(5).uniform(0.0, np.log(365.0), 100))
    kappa, elapsed = np.log(2.0) * 365 / half_life, start - end
    phi, v = transition(anchored(half_life, 1.0, 1.0), start, end)
    expected = end**2 * -np.expm1(-2.0 * kappa * elapsed) / (2.0 * kappa)
    np.testing.assert_allclose(phi, np.exp(-kappa * elapsed) * end / start, rtol=1e-12)
    np.testing.assert_allclose(v, expected / (30 / 365) ** 2, rtol=1e-8)


def test_volatility_is_quoted_thirty_days_from_expiry():
    """A short move there spreads as a Brownian motion does, whatever the exponent."""
    start, end = (30 + 1e-4) / 365, (30 - 1e-4) / 365
    for eta in (-0.5, 0.0, 1.5):
        _, v = transition(anchored(20.0, 1.0, eta), start, end)
        np.testing.assert_allclose(v, start - end, rtol=1e-4)


def hard_cases():
    """Every corner of the promised box, and points within it."""
    box = [(1.0, 365.0), (0.0, 5.0), (-0.5, 1.5)]
    corners = np.array(np.meshgrid(*box)).reshape(3, -1)
    moves = [(1.0, MINUTE), (2 * MINUTE, MINUTE), (1.0, 1.0 - MINUTE), (1.0, 0.5)]
    moves += [(1 / 365, 1 / 8760), (30 / 365, 29 / 365), (0.25, 1 / 365), (10 * MINUTE, MINUTE)]
    cases = [(*corner, *move) for corner in corners.T for move in moves]
    rng = np.random.default_rng(6)
    for _ in range(120):
        end, length = np.exp(rng.uniform(np.log(MINUTE), np.log(0.5), 2))
        half_life = np.exp(rng.uniform(0.0, np.log(365.0)))
        cases.append((half_life, rng.uniform(0, 5), rng.uniform(-0.5, 1.5), end + length, end))
    return np.array(cases).T


def test_the_variance_is_right_to_eight_digits_over_the_whole_box():
    half_life, gamma, eta, start, end = hard_cases()
    expected = np.array(
        [integral(*case) for case in zip(rate(half_life), gamma, eta, start, end, strict=True)]
    )
    parameters = anchored(half_life, gamma, eta)
    # Together on the grid that suits all, and each on the smallest grid that suits itself.
    _, together = transition(parameters, start, end)
    alone = [
        transition({n: x[i : i + 1] for n, x in parameters.items()}, start[i], end[i])[1][0]
        for i in range(len(start))
    ]
    np.testing.assert_allclose(together, expected, rtol=1e-8)
    np.testing.assert_allclose(alone, expected, rtol=1e-8)


def test_the_independent_integral_is_itself_right():
    """Where a closed form exists, the reference above meets it."""
    _, gamma, _, start, end = hard_cases()
    for g, a, c in zip(gamma, start, end, strict=True):
        power = 2.0 * g - 1.0
        closed = -c * np.expm1(power * np.log(c / a)) / power
        np.testing.assert_allclose(integral(0.0, g, 0.0, a, c), closed, rtol=1e-10)


def test_laws_are_registered_under_their_names():
    assert {name: law.name for name, law in LAWS.items()} == {name: name for name in LAWS}
