"""Facts about the anchored law alone, above all its quadrature."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from bayesbasis.process.laws import REFERENCE_TAU, Anchored, rate
from bayesbasis.process.quadrature import Steps

MINUTE = 1.0 / (365 * 24 * 60)


def anchored(half_life, gamma, eta):
    given = (("half_life", half_life), ("anchor", gamma), ("volatility_exponent", eta))
    return {name: np.atleast_1d(np.asarray(value, float)) for name, value in given}


def transition(parameters, start, end):
    return Anchored().transition(parameters, Steps.between(start, end), np)


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
