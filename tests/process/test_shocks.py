"""Facts about shocks shared by the curve."""

import numpy as np
import pytest
from scipy.special import digamma as scipy_digamma
from scipy.stats import multivariate_normal, multivariate_t

from bayesbasis.process.shocks import digamma, normaliser, quadratic_form

RHO = [0.0, 0.05, 0.5, 0.93, 0.999]
TAILS = [2.01, 4.0, 30.0, 1e4, np.inf]


def equicorrelation(count, rho):
    return (1.0 - rho) * np.eye(count) + rho


def log_density(shocks, nu, rho):
    """What the normaliser and the quadratic form make of standardised shocks."""
    count = len(shocks)
    constant = normaliser(np.array([nu]), np.array([rho]), count)[0][0, count]
    q = quadratic_form(shocks.sum(), (shocks**2).sum(), count, rho)
    return constant - (0.5 * q if np.isinf(nu) else 0.5 * (nu + count) * np.log1p(q / nu))


def test_digamma_is_that_of_scipy():
    x = np.concatenate([np.linspace(0.01, 12.0, 400), np.geomspace(12.0, 1e8, 100)])
    np.testing.assert_allclose([digamma(y) for y in x], scipy_digamma(x), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rho", RHO)
@pytest.mark.parametrize("nu", TAILS)
@pytest.mark.parametrize("count", [1, 2, 3, 8, 40])
def test_shocks_have_the_multivariate_density_with_one_correlation(count, nu, rho):
    shocks = 2.0 * np.random.default_rng(count).standard_normal(count)
    shape = equicorrelation(count, rho)
    if np.isinf(nu):
        expected = multivariate_normal(cov=shape).logpdf(shocks)
    else:
        expected = multivariate_t(shape=shape, df=nu).logpdf(shocks)
    np.testing.assert_allclose(log_density(shocks, nu, rho), expected, rtol=1e-9)


@pytest.mark.parametrize("rho", RHO)
@pytest.mark.parametrize("count", [1, 2, 5, 30])
def test_the_quadratic_form_is_the_mahalanobis_square(count, rho):
    shocks = np.random.default_rng(count).standard_normal(count)
    q = quadratic_form(shocks.sum(), (shocks**2).sum(), count, rho)
    expected = shocks @ np.linalg.solve(equicorrelation(count, rho), shocks)
    np.testing.assert_allclose(q, expected, rtol=1e-10)


def test_the_normaliser_slopes_are_finite_differences():
    nu, rho, largest = np.array([2.5, 7.0, 60.0]), np.array([0.02, 0.6, 0.97]), 12
    _, by_tail, by_correlation = normaliser(nu, rho, largest)

    def difference(h_nu, h_rho, step):
        values = [normaliser(nu + k * h_nu, rho + k * h_rho, largest)[0] for k in (-2, -1, 1, 2)]
        return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)

    np.testing.assert_allclose(by_tail, difference(1e-3, 0.0, 1e-3), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(by_correlation, difference(0.0, 1e-4, 1e-4), rtol=1e-7, atol=1e-9)


def test_gaussian_shocks_have_no_slope_by_the_tail():
    value, by_tail, _ = normaliser(np.array([np.inf]), np.array([0.3]), 4)
    np.testing.assert_array_equal(by_tail, 0.0)
    nearly = normaliser(np.array([1e9]), np.array([0.3]), 4)[0]
    np.testing.assert_allclose(nearly, value, rtol=1e-6)


def test_every_underlying_has_its_own_row_and_no_contract_no_density():
    value, *_ = normaliser(np.array([3.0, 9.0]), np.array([0.1, 0.8]), 3)
    for u, (nu, rho) in enumerate([(3.0, 0.1), (9.0, 0.8)]):
        alone = normaliser(np.array([nu]), np.array([rho]), 3)[0]
        np.testing.assert_array_equal(value[u], alone[0])
    np.testing.assert_array_equal(value[:, 0], 0.0)
