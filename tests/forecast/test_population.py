"""Facts about underlyings and venues that a fit has never seen."""

from dataclasses import replace

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.forecast.population import align
from bayesbasis.inference.draws import natural_draws
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Pooling
from bayesbasis.model.underlyings import parameter_names
from bayesbasis.process.regimes import Regimes

ORIGIN = "2022-06-01"
DRAWS = 4000


def renamed(panel, names):
    """The same quotes under other names of underlyings."""
    old = panel["underlying"].values.astype(str)
    return panel.assign_coords(underlying=("contract", [names.get(x, x) for x in old]))


def aligned(fit, spec, panel, seed=0):
    layout = lay_out(spec, panel, fit["constant_data"].to_dataset())
    natural = natural_draws(spec, fit["posterior"].to_dataset())
    return layout, natural, align(fit, spec, layout, natural, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def two(fabricate, spec, panel):
    return fabricate(spec, bb.known_at(panel, ORIGIN), chains=1, draws=DRAWS, spread=0.3)


@pytest.fixture(scope="module")
def lone(fabricate, spec, one):
    return fabricate(spec, bb.known_at(one, ORIGIN), chains=1, draws=DRAWS, spread=0.0)


def test_a_stranger_lies_around_the_market_by_the_spread_that_was_learned(two, spec, panel):
    layout, natural, found = aligned(two, spec, renamed(panel, {"ETH": "SOL"}))
    assert layout.underlyings == ["BTC", "SOL"]
    for name in ("half_life", "noise", "correlation", "volatility_exponent"):
        prior = getattr(spec.priors, name)
        np.testing.assert_array_equal(found[name][:, 0], natural[name][:, 0])
        away = prior.free(found[name][:, 1], np) - prior.free(natural[f"{name}_market"], np)
        z = away / natural[f"{name}_between"]
        assert abs(z.mean()) < 4 / DRAWS**0.5, name
        np.testing.assert_allclose(z.std(), 1.0, rtol=0.05, err_msg=name)
    offset = found["carry_underlying"][:, 1] / natural["carry_between_underlyings"]
    np.testing.assert_allclose(offset.std(), 1.0, rtol=0.05)
    assert (np.diff(found["volatility"], axis=-1) > 0).all()


def test_beside_a_lone_underlying_the_spread_comes_from_its_prior(lone, spec, panel):
    _, natural, found = aligned(lone, spec, panel)
    assert set(natural) <= set(found)
    for name in ("half_life", "noise"):
        away = np.log(found[name][:, 1] / natural[name][:, 0])
        assert abs(np.median(away)) < 0.03
        # Half of |N(0, s²)| with ln s ~ N(ln 0.2, ln 2²) lies below 0.127: deviations of the prior.
        prior = getattr(spec.priors, name)
        np.testing.assert_allclose(np.median(np.abs(away)) / prior.scale, 0.127, rtol=0.1)
    np.testing.assert_array_equal(found["carry_underlying"][:, 0], 0.0)
    assert found["carry_underlying"][:, 1].std() > 2.0


def test_a_forecast_of_a_stranger_is_wider_than_that_of_one_who_is_known(lone, two, panel):
    """Told the same quotes: ETH as the fit of BTC alone sees it."""
    strange = bb.forecast(lone, ORIGIN, seed=1, panel=panel, draws=400)
    known = bb.forecast(two, ORIGIN, seed=1, panel=panel, draws=400)
    assert set(strange["underlying"].values) == {"BTC", "ETH"}
    assert strange["basis"].sizes == known["basis"].sizes
    spread = strange["half_life"].std(["chain", "draw"])
    eth = strange["underlying"].values == "ETH"
    assert (spread.values[eth] > 1.0).all()
    assert (spread.values[~eth] < 1e-9).all()


def test_a_strange_venue_has_a_carry_of_its_own_kind(fabricate, spec, panel):
    owner = panel["underlying"].values.astype(str)
    split = panel.assign_coords(venue=("contract", np.where(owner == "BTC", "cme", "deribit")))
    fit = fabricate(spec, bb.known_at(split, ORIGIN), chains=1, draws=DRAWS, spread=0.3)
    moved = split.assign_coords(venue=("contract", np.where(owner == "BTC", "cme", "okx")))
    _, natural, found = aligned(fit, spec, moved)
    np.testing.assert_array_equal(found["carry_venue"][:, 0], natural["carry_venue"][:, 0])
    offset = found["carry_venue"][:, 1] / natural["carry_between_venues"]
    np.testing.assert_allclose(offset.std(), 1.0, rtol=0.05)
    np.testing.assert_array_equal(found["half_life"], natural["half_life"])


@pytest.mark.parametrize("independent", [(), ("carry_kind",)], ids=["pooled", "independent"])
def test_a_strange_kind_of_contract_has_an_offset_from_its_level(
    fabricate, spec, panel, independent
):
    card = replace(spec, pooling=Pooling(kinds=True, independent=independent))
    first = np.arange(panel.sizes["contract"]) % 2 == 0
    here, there = (
        panel.assign_coords(kind=("contract", np.where(first, "monthly", other)))
        for other in ("quarterly", "weekly")
    )
    fit = fabricate(card, bb.known_at(here, ORIGIN), chains=1, draws=DRAWS, spread=0.3)
    layout, natural, found = aligned(fit, card, there)
    assert layout.coords["kind"] == ["monthly", "weekly"]
    np.testing.assert_array_equal(found["carry_kind"][:, 0], natural["carry_kind"][:, 0])
    spread = 20.0 if independent else natural["carry_between_kinds"]
    np.testing.assert_allclose((found["carry_kind"][:, 1] / spread).std(), 1.0, rtol=0.05)
    paths = bb.forecast(fit, ORIGIN, seed=1, panel=there, draws=50)
    assert np.isfinite(paths["carry"]).all()


@pytest.mark.parametrize(
    "regimes",
    [Regimes(1), Regimes(3), Regimes(5, volatility="stochastic"), Regimes(2, "market")],
    ids=["one", "three", "stochastic", "of the market"],
)
def test_strangers_have_every_parameter_whatever_the_regimes(fabricate, spec, panel, regimes):
    card = replace(spec, regimes=regimes)
    fit = fabricate(card, bb.known_at(panel, ORIGIN), chains=1, draws=20, spread=0.3)
    _, natural, found = aligned(fit, card, renamed(panel, {"BTC": "SOL"}))
    assert found["volatility"].shape == (20, 2, regimes.count)
    # Known first: ETH keeps what it had.
    np.testing.assert_allclose(found["volatility"][:, 0], natural["volatility"][:, 1])
    for name in set(parameter_names(card)) - {"volatility_ratio", "tail", "jump"}:
        assert found[name].shape[1] == natural[name].shape[1]
        assert np.isfinite(found[name]).all()


@pytest.mark.parametrize("contracts", ["shared", "independent"])
def test_contracts_listed_later_share_carry_or_keep_their_own(fabricate, spec, panel, contracts):
    card = replace(spec, pooling=Pooling(contracts=contracts))
    fit = fabricate(card, bb.known_at(panel, "2022-03-01"), chains=1, draws=30, spread=0.3)
    paths = bb.forecast(fit, ORIGIN, seed=1, panel=panel)
    carry = paths["carry"].isel(chain=0)
    btc = np.flatnonzero(paths["underlying"].values == "BTC")
    assert len(btc) == 2
    same = np.allclose(carry.isel(contract=btc[0]), carry.isel(contract=btc[1]))
    assert same == (contracts == "shared")


def test_what_is_shared_is_shared_with_strangers_and_the_independent_know_no_one(
    fabricate, spec, panel
):
    pooling = Pooling(shared=("noise",), independent=("half_life",))
    card = replace(spec, pooling=pooling)
    fit = fabricate(card, bb.known_at(panel, ORIGIN), chains=1, draws=DRAWS, spread=0.3)
    _, natural, found = aligned(fit, card, renamed(panel, {"ETH": "SOL"}))
    np.testing.assert_array_equal(found["noise"][:, 1], natural["noise"][:, 0])
    z = np.log(found["half_life"][:, 1] / 20.0) / np.log(4.0)
    np.testing.assert_allclose([z.mean(), z.std()], [0.0, 1.0], atol=0.06)
