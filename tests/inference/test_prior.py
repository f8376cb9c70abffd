"""Facts about draws from the prior."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import kstest

from bayesbasis.inference.prior import prior_draws
from bayesbasis.model.priors import Priors


def test_draws_are_laid_out_as_a_posterior(fabricated, panel, spec):
    prior, posterior = prior_draws(spec, panel, draws=5, seed=1), fabricated["posterior"]
    assert set(prior.data_vars) == set(posterior.data_vars)
    for name, draws in prior.data_vars.items():
        assert draws.dims == posterior[name].dims
        assert draws.attrs == posterior[name].attrs
    assert prior.sizes["chain"] == 1
    assert prior.sizes["draw"] == 5


@pytest.mark.parametrize("name", ["half_life", "anchor", "volatility_exponent", "noise", "tail"])
def test_a_parameter_of_one_underlying_follows_its_prior(panel, spec, name):
    draws = prior_draws(spec, panel, draws=4000, seed=2)[name].values.ravel()
    prior = getattr(Priors(), name)
    normals = np.sort(np.random.default_rng(3).standard_normal(100_000))
    reference = prior.natural(prior.location + prior.scale * normals, np)
    ranks = np.searchsorted(reference, draws) / len(reference)
    assert kstest(ranks, "uniform").pvalue > 1e-3


def test_centring_is_no_part_of_the_prior(market_panel, spec):
    centred = replace(spec, pooling=replace(spec.pooling, centring=1.0))
    one, other = (prior_draws(x, market_panel, draws=9, seed=4) for x in (spec, centred))
    xr.testing.assert_identical(one, other)


def test_prices_are_not_read(panel, spec):
    other = panel.assign(basis=panel["basis"] + 1.0)
    xr.testing.assert_identical(*(prior_draws(spec, x, draws=3, seed=5) for x in (panel, other)))
