from functools import partial

import numpy as np
import pytest
from scipy.special import logsumexp

from bayesbasis.inference.modes import Gaussian, beginnings, gaussian_at, modes, starting_places
from bayesbasis.inference.posterior import LogPosterior

PEAKS = np.array([[-1.0, 0.5], [0.8, -0.6]])
HEIGHTS = np.array([0.0, 3.0])
SD = np.array([0.1, 0.3])


def evaluate(flat, heights=HEIGHTS):
    """Give a mixture of two Gaussians, with the standard normal that is added taken off."""
    away = (flat - PEAKS) / SD
    each = heights - 0.5 * (away**2).sum(1)
    value = logsumexp(each)
    slope = (np.exp(each - value)[:, None] * -away / SD).sum(0)
    return value + 0.5 * float(flat @ flat), slope + flat


@pytest.fixture
def target():
    return LogPosterior(evaluate, {"flat": (2,)}, ())


def test_of_several_modes_the_highest_comes_first(target):
    places = starting_places(target.size, seed=1)
    assert (places[0] == 0.0).all()
    found, heights = modes(target, places)
    assert (np.diff(heights) <= 0).all()
    np.testing.assert_allclose(found[0], PEAKS[1], atol=1e-4)
    np.testing.assert_allclose(found[-1], PEAKS[0], atol=1e-4)
    assert heights[0] - heights[-1] == pytest.approx(3.0, abs=1e-6)
    np.testing.assert_array_equal(places, starting_places(target.size, seed=1))


@pytest.mark.parametrize(("lower", "reached"), [(3.0, (0, 1)), (30.0, (1,))])
def test_no_chain_begins_below_a_mode_that_is_much_lower(lower, reached):
    two = partial(evaluate, heights=np.array([0.0, lower]))
    target = LogPosterior(two, {"flat": (2,)}, ())
    ends = [target.climb(place, 300) for place in beginnings(target, seed=1)]
    found = {int(np.abs(PEAKS - end).sum(1).argmin()) for end in ends}
    assert found == set(reached)
    # Of a dozen climbs some end on the other.
    assert (len(ends) == 12) == (len(reached) == 2)


def test_chains_begin_as_high_as_a_posterior_lies():
    size = 40
    scale = np.geomspace(0.01, 1.0, size)
    extra = 1.0 / scale**2 - 1.0
    gauss = LogPosterior(lambda x: (-0.5 * (extra * x) @ x, -extra * x), {"x": (size,)}, ())
    places = beginnings(gauss, seed=1)
    assert len(places) == 12
    below = gauss(np.zeros(size))[0] - np.array([gauss(place)[0] for place in places])
    # Half a chi-squared has the mean size / 2, which steps of a climb leap over.
    assert (below <= 0.5 * size + 1e-6).all()
    assert below.max() > 0.1 * size
    np.testing.assert_array_equal(places, beginnings(gauss, seed=1))


def test_where_a_density_is_finite_nowhere_chains_begin_in_the_middle():
    hopeless = LogPosterior(lambda x: (np.nan, x), {"x": (2,)}, ())
    np.testing.assert_array_equal(beginnings(hopeless, seed=1), [[0.0, 0.0]])


def test_the_gaussian_at_a_mode_has_its_centre_and_spread(target):
    gaussian = gaussian_at(target, PEAKS[1])
    covariance = gaussian.factor @ gaussian.factor.T
    np.testing.assert_allclose(covariance, np.diag(SD**2), rtol=1e-4, atol=1e-8)


def test_where_a_density_curves_less_than_its_prior_that_of_the_prior_is_taken():
    flat = LogPosterior(lambda x: (0.45 * float(x @ x), 0.9 * x), {"x": (2,)}, ())
    np.testing.assert_allclose(np.abs(gaussian_at(flat, np.zeros(2)).factor).max(0), [1.0, 1.0])


def test_a_density_in_the_coordinates_of_a_gaussian_has_the_gradient_of_what_it_is(target):
    gaussian = Gaussian(np.array([0.5, -1.0]), np.array([[2.0, 0.0], [0.5, 0.1]]))
    white, point = gaussian.whiten(target), np.array([0.3, -0.7])
    value, slope = white(point)
    assert value == target(gaussian.colour(point))[0]
    numeric = [(white(point + e)[0] - white(point - e)[0]) / 2e-6 for e in 1e-6 * np.eye(2)]
    np.testing.assert_allclose(slope, numeric, rtol=1e-6)
    many = np.array([[point, -point]])
    np.testing.assert_allclose(gaussian.colour(many)[0, 0], gaussian.colour(point))
    assert gaussian.initial(3).shape == (2,)
