"""Facts about prior predictive bands."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.model.covariates import with_stand_ins
from bayesbasis.model.priors import LogitNormal, LogNormal, Normal, Priors
from bayesbasis.model.spec import Spec
from bayesbasis.process.laws import OrnsteinUhlenbeck
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks

ORIGIN = "2022-11-20"


@pytest.fixture(scope="module")
def panel():
    prices, _ = bb.simulate_market(seed=2, quarters=5)
    return bb.make_panel(prices)[0]


@pytest.mark.parametrize("card", bb.list_cards())
def test_every_card_has_a_prior_to_expiry(panel, card):
    spec = bb.load_card(card)
    bands = bb.prior_bands(spec, with_stand_ins(spec, panel), ORIGIN, seed=1, draws=60)
    assert bands["interval"].dims == ("contract", "step", "prob", "bound")
    alive = np.isfinite(bands["tau"])
    assert np.isfinite(bands["interval"].where(alive, 0.0)).all()
    assert (
        (bands["interval"].sel(bound="lower") <= bands["interval"].sel(bound="upper"))
        .where(alive, True)
        .all()
    )


def test_the_dataset_is_that_of_bands(panel, fabricate):
    spec = bb.load_card("anchored-regimes")
    prior = bb.prior_bands(spec, panel, ORIGIN, seed=1, draws=30)
    known = bb.known_at(panel, ORIGIN)
    posterior = bb.bands(bb.forecast(fabricate(spec, known), ORIGIN, seed=1))
    assert set(prior.data_vars) == set(posterior.data_vars)
    assert prior.sizes == posterior.sizes
    assert set(prior.attrs) == set(posterior.attrs)
    for name in ("time", "tau", "contract"):
        xr.testing.assert_equal(prior[name], posterior[name])


def test_no_price_is_read(panel):
    spec = bb.load_card("anchored-regimes")
    other = panel.assign(basis=panel["basis"] + 0.2, futures=panel["futures"] * np.exp(0.2))
    one, two = (bb.prior_bands(spec, x, ORIGIN, seed=3, draws=40) for x in (panel, other))
    xr.testing.assert_equal(one, two)


def test_a_prior_that_is_nearly_a_point_has_the_bands_of_its_closed_form(panel):
    """Ornstein-Uhlenbeck long after its start: normal with the stationary variance, and noise."""
    point = 1.0 + 1e-9
    priors = Priors(
        carry_mean=Normal(10.0, 1e-9),
        carry_between_venues=LogNormal(1e-9, point),
        carry_between_underlyings=LogNormal(1e-9, point),
        carry_between_contracts=LogNormal(1e-9, point),
        half_life=LogNormal(10.0, point),
        volatility=LogNormal(5.0, point),
        noise=LogNormal(2.0, point),
        correlation=LogitNormal(0.5, 1e-9),
        between_underlyings=LogNormal(1e-9, point),
    )
    spec = Spec(OrnsteinUhlenbeck(), regimes=Regimes(1), shocks=Shocks("gaussian"), priors=priors)
    bands = bb.prior_bands(spec, panel, ORIGIN, seed=4, prob=(0.9,), draws=4000)
    # The first quote's predictive spread: stationary diffusion and noise, in days of diffusion.
    sd = 5.0 * np.sqrt(10.0 / (2.0 * np.log(2.0)) + 2.0)
    found = bands.isel(step=0)
    width = 1e4 * found["interval"].sel(prob=0.9).diff("bound").squeeze()
    np.testing.assert_allclose(width, 2 * 1.6449 * sd, rtol=0.05)
    fair = 1e4 * 0.1 * found["tau"]
    np.testing.assert_allclose(1e4 * found["median"], fair, atol=4 * 1.25 * sd / np.sqrt(4000))
    np.testing.assert_allclose(1e4 * found["equilibrium"], fair, rtol=1e-6)


def test_narrower_priors_have_narrower_bands(panel):
    wide = bb.load_card("anchored")
    narrow = replace(wide, priors=replace(wide.priors, volatility=LogNormal(10.0, 1.1)))
    widths = [
        bb.prior_bands(spec, panel, ORIGIN, seed=5, prob=(0.9,), variable="deviation", draws=400)
        for spec in (wide, narrow)
    ]
    wide_width, narrow_width = (
        w["interval"].isel(step=0, prob=0).diff("bound").values for w in widths
    )
    assert (narrow_width < 0.7 * wide_width).all()


def test_a_contract_that_is_not_live_is_refused(panel):
    with pytest.raises(ValueError, match="cannot be forecast from 2022-11-20"):
        bb.prior_bands(bb.load_card("ou"), panel, ORIGIN, ["BTC-31MAR23X"], seed=1)
