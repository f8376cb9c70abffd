"""Facts about forecasts where venues have parameters of their own."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.evaluate.future import leave_future_out
from bayesbasis.forecast.population import align
from bayesbasis.inference.draws import natural_draws
from bayesbasis.inference.states import pointwise
from bayesbasis.model.cards import read_card, write_card
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Pooling
from bayesbasis.model.spot import Spot
from bayesbasis.model.volatility import pooled_volatility
from bayesbasis.process.regimes import Regimes

ORIGIN = "2022-06-01"
APART = ("half_life", "anchor", "volatility_exponent", "volatility", "noise")


@pytest.fixture(scope="module", params=["regimes", "speeds", "stochastic", "spot"])
def card(request, spec):
    regimes = {
        "regimes": Regimes(2),
        "speeds": Regimes(2, speed="own"),
        "stochastic": Regimes(4, volatility="stochastic"),
        "spot": Regimes(2),
    }[request.param]
    spot = Spot() if request.param == "spot" else None
    pooling = Pooling(venues=False, by_venue=APART)
    return replace(spec, regimes=regimes, spot=spot, pooling=pooling)


@pytest.fixture(scope="module")
def split(panel):
    """BTC on one venue, ETH on another."""
    owner = panel["underlying"].values.astype(str)
    return panel.assign_coords(venue=("contract", np.where(owner == "BTC", "cme", "deribit")))


@pytest.fixture(scope="module")
def fit(fabricate, card, split):
    return fabricate(card, bb.known_at(split, ORIGIN), chains=1, draws=40, spread=0.4)


@pytest.fixture(scope="module")
def same(fit, card):
    """The same fit of a model that knows underlyings alone: venues are in their parameters."""
    spec = replace(card, pooling=Pooling(venues=False))
    posterior = fit["posterior"].to_dataset()
    # Underlyings and venues are in one order: of BTC that of the first venue, and so on.
    offset = {
        name: posterior[f"{name}_venue"].rename(venue="underlying").drop_vars("underlying")
        for name in APART
    }
    moved = {}
    for name in APART:
        prior, value = getattr(spec.priors, name), posterior[name]
        moved[name] = prior.natural(prior.free(value, np) + offset[name], np)
        moved[name] = moved[name].transpose(*value.dims).assign_attrs(value.attrs)
    dropped = [name for name in posterior if "venue" in str(name)]
    tree = fit.copy()
    tree["posterior"] = xr.DataTree(posterior.assign(moved).drop_vars(dropped))
    tree.attrs["card"] = write_card(spec)
    return tree


def test_what_venues_add_is_what_underlyings_would_be(fit, same, split, assert_says_the_same):
    """Two underlyings on a venue each: offsets of venues are parameters of underlyings."""
    now = {"panel": split, "seed": 5}
    paths, plain = (bb.forecast(tree, ORIGIN, **now) for tree in (fit, same))
    assert_says_the_same((fit, paths), (same, plain), ORIGIN)
    end = np.datetime64("2022-07-01")
    scores = [leave_future_out(tree, split, end, seed=3) for tree in (fit, same)]
    np.testing.assert_allclose(*scores, rtol=1e-8)
    spec, known = read_card(fit.attrs["card"]), fit["constant_data"].to_dataset()
    plain = read_card(same.attrs["card"])
    both = (
        pointwise(own, lay_out(own, known), tree["posterior"].to_dataset())
        for own, tree in ((spec, fit), (plain, same))
    )
    scores = [own.to_dataarray() for own in both]
    assert ("spot" in scores[0]["variable"]) == (spec.spot is not None)
    np.testing.assert_allclose(*scores, rtol=1e-8, atol=1e-9)


def test_one_shock_moves_a_venue_of_twice_the_volatility_twice_as_far(fabricate, spec, one):
    pooling = Pooling(venues=False, by_venue=("volatility",))
    card = replace(spec, regimes=Regimes(1), pooling=pooling)
    names = np.where(np.arange(one.sizes["contract"]) % 2, "cme", "deribit")
    split = one.assign_coords(venue=("contract", names))
    tree = fabricate(card, bb.known_at(split, ORIGIN), chains=1, draws=50, spread=0.0)
    moved = []
    for times in (1.0, 2.0, 3.0):
        values = tree["posterior"].to_dataset()
        values["volatility_venue"] = values["volatility_venue"] + np.log([1.0, times])
        tree["posterior"] = xr.DataTree(values)
        moved.append(bb.forecast(tree, ORIGIN, panel=split, seed=1, draws=50))
        tree["posterior"] = xr.DataTree(
            values.assign(volatility_venue=0.0 * values.volatility_venue)
        )
    wild = moved[0]["venue"].values == "deribit"
    for name in ("deviation", "basis", "shock_scale"):
        single, double, triple = (x[name].transpose("contract", ...).values for x in moved)
        np.testing.assert_array_equal(single[~wild], double[~wild])
        step = double[wild] - single[wild]
        np.testing.assert_allclose(triple[wild] - double[wild], step, rtol=1e-4, atol=1e-12)
        assert np.nanmax(np.abs(step)) > 1e-3


def test_a_strange_venue_draws_its_offsets_from_the_population(fabricate, spec, split):
    card = replace(spec, pooling=Pooling(by_venue=APART, independent=("noise_venue",)))
    tree = fabricate(card, bb.known_at(split, ORIGIN), chains=1, draws=4000, spread=0.3)
    moved = split.assign_coords(venue=("contract", np.where(split["venue"] == "cme", "cme", "okx")))
    layout = lay_out(card, moved, tree["constant_data"].to_dataset())
    natural = natural_draws(card, tree["posterior"].to_dataset())
    found = align(tree, card, layout, natural, np.random.default_rng(0))
    assert layout.coords["venue"] == ["cme", "okx"]
    for name in APART:
        own = f"{name}_venue"
        np.testing.assert_array_equal(found[own][:, 0], natural[own][:, 0])
        spread = natural.get(f"{name}_between_venues", np.log(5.0))
        np.testing.assert_allclose((found[own][:, 1] / spread).std(), 1.0, rtol=0.05)
    with pytest.raises(ValueError, match=r"okx.*the fit knows cme, deribit"):
        leave_future_out(tree, moved, np.datetime64("2022-07-01"), seed=1)


def test_beside_a_lone_venue_offsets_come_from_the_prior(fabricate, spec, split):
    card = replace(spec, pooling=Pooling(venues=False, by_venue=("volatility",)))
    alone = split.assign_coords(venue=("contract", ["cme"] * split.sizes["contract"]))
    tree = fabricate(card, bb.known_at(alone, ORIGIN), chains=1, draws=4000, spread=0.0)
    assert "volatility_venue" not in tree["posterior"]
    layout = lay_out(card, split, tree["constant_data"].to_dataset())
    natural = natural_draws(card, tree["posterior"].to_dataset())
    found = align(tree, card, layout, natural, np.random.default_rng(0))
    np.testing.assert_array_equal(found["volatility_venue"][:, 0], 0.0)
    # Half of |N(0, s²)| with ln s ~ N(ln 0.2, ln 2²) lies below 0.127: deviations of the prior.
    away = np.abs(found["volatility_venue"][:, 1]) / card.priors.volatility.scale
    np.testing.assert_allclose(np.median(away), 0.127, rtol=0.1)
    assert pooled_volatility(card, found["volatility"], np).shape == (4000, 2)
    paths = bb.forecast(tree, ORIGIN, panel=split, seed=1, draws=50)
    assert np.isfinite(paths["basis"].isel(step=1)).all()
