"""Facts about the vectorised logarithm and exponential."""

import math

import numpy as np
import pytest

from bayesbasis.process.elementary import exp_in_place, log_in_place

ACCURACY = 2e-15


def in_place(kernel, values):
    out = np.array(values, float)
    kernel(out)
    return out


def grid(seed=0):
    return np.random.default_rng(seed)


def test_the_logarithm_is_right_to_two_parts_in_1e15_over_all_normal_doubles():
    exponents = grid().uniform(np.log(2.3e-308), np.log(1.7e308), 200_000)
    near_one = 1.0 + grid().uniform(-0.5, 1.0, 200_000)
    x = np.concatenate([np.exp(exponents), near_one])
    error = np.abs(in_place(log_in_place, x) - np.log(x))
    assert (error / np.maximum(1.0, np.abs(np.log(x)))).max() < ACCURACY


def test_the_logarithm_keeps_its_relative_accuracy_next_to_one():
    x = 1.0 + np.concatenate([2.0 ** -np.arange(1.0, 53.0), -(2.0 ** -np.arange(2.0, 54.0))])
    np.testing.assert_allclose(in_place(log_in_place, x), np.log(x), rtol=1e-14)


def test_the_logarithm_of_one_is_zero_and_of_powers_of_two_exact():
    powers = np.arange(-1022, 1024)
    logs = in_place(log_in_place, np.ldexp(1.0, powers))
    np.testing.assert_allclose(logs, powers * math.log(2.0), rtol=3e-16)
    assert logs[powers == 0] == 0.0


@pytest.mark.parametrize("edge", [math.sqrt(0.5), math.sqrt(2.0), 2.0, 0.5])
def test_the_logarithm_has_no_seam_where_the_range_is_reduced(edge):
    ulps = np.spacing(edge) * np.arange(-50, 51)
    np.testing.assert_allclose(in_place(log_in_place, edge + ulps), np.log(edge + ulps), rtol=2e-15)


def test_the_exponential_is_right_to_two_parts_in_1e15():
    x = np.concatenate([grid().uniform(-708.0, 700.0, 300_000), grid().uniform(-1, 1, 100_000)])
    np.testing.assert_allclose(in_place(exp_in_place, x), np.exp(x), rtol=ACCURACY)


def test_the_exponential_has_no_seam_where_the_range_is_reduced():
    seams = (np.arange(-1000, 1000) + 0.5) * math.log(2.0)
    x = (seams[:, None] + 1e-13 * np.arange(-3, 4)).ravel()
    x = np.append(x[np.abs(x) < 690], 0.0)
    np.testing.assert_allclose(in_place(exp_in_place, x), np.exp(x), rtol=ACCURACY)
    assert in_place(exp_in_place, [0.0])[0] == 1.0


def test_the_exponential_of_the_hopeless_is_the_smallest_normal_double_not_zero():
    floor = in_place(exp_in_place, [-709.0, -1e4, -1e300, -np.inf])
    np.testing.assert_allclose(floor, np.exp(-708.0), rtol=1e-14)
    assert (floor >= np.finfo(float).tiny).all()


def test_nothing_is_fine_too():
    assert in_place(log_in_place, []).size == in_place(exp_in_place, []).size == 0
