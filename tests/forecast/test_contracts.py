"""Facts about forecasts where contracts have parameters of their own."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.evaluate.future import leave_future_out
from bayesbasis.forecast.population import align
from bayesbasis.inference.draws import natural_draws
from bayesbasis.inference.states import pointwise
from bayesbasis.model.cards import write_card
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Pooling

ORIGIN = "2022-06-01"
APART = ("half_life", "anchor", "volatility", "noise")


@pytest.fixture(scope="module")
def card(spec):
    return replace(spec, pooling=Pooling(venues=False, by_contract=APART))


@pytest.fixture(scope="module")
def fit(fabricate, card, panel):
    return fabricate(card, bb.known_at(panel, ORIGIN), chains=1, draws=40, spread=0.4)


def on_venues_of_their_own(panel):
    names = panel["contract"].values.astype(str)
    return panel.assign_coords(venue=("contract", names))


@pytest.fixture(scope="module")
def same(fit, card):
    """The same fit of a model that knows venues: each contract trades on one of its own."""
    spec = replace(card, pooling=Pooling(venues=False, by_venue=APART))
    posterior, known = fit["posterior"].to_dataset(), fit["constant_data"].to_dataset()
    order = np.argsort(known["contract"].values.astype(str))
    moved = {}
    for name in APART:
        offset = posterior[f"{name}_contract"].isel(contract=order)
        moved[f"{name}_venue"] = offset.rename(contract="venue")
        moved[f"{name}_between_venues"] = posterior[f"{name}_between_contracts"]
    dropped = [f"{name}_{level}" for name in APART for level in ("contract", "between_contracts")]
    tree = fit.copy()
    tree["posterior"] = xr.DataTree(posterior.drop_vars(dropped).assign(moved))
    tree["constant_data"] = xr.DataTree(on_venues_of_their_own(known))
    tree.attrs["card"] = write_card(spec)
    return tree


def test_what_contracts_add_is_what_venues_of_their_own_would(
    fit, same, panel, assert_says_the_same
):
    own = on_venues_of_their_own(panel)
    paths = bb.forecast(fit, ORIGIN, panel=panel, seed=5)
    plain = bb.forecast(same, ORIGIN, panel=own, seed=5)
    assert_says_the_same((fit, paths), (same, plain), ORIGIN)
    # The contracts of these quotes are those of the fit, so that none is drawn.
    end = np.datetime64("2022-06-10")
    assert (bb.known_at(panel, end)["contract"] == fit["posterior"]["contract"]).all()
    scores = [leave_future_out(fit, panel, end, seed=3), leave_future_out(same, own, end, seed=3)]
    np.testing.assert_allclose(*scores, rtol=1e-8)


def test_half_lives_are_those_of_contracts_where_paths_are_asked(fit, panel):
    tau = np.array([5.0, 40.0]) / 365.0
    paths = bb.forecast(fit, ORIGIN, panel=panel, seed=5)
    now, found = bb.convergence(paths)["half_life"], bb.half_life(paths, tau)
    assert found["half_life"].dims == ("chain", "draw", "contract", "tau")
    for i, left in enumerate(paths["tau"].isel(step=0).values):
        exact = bb.half_life(paths, left)["half_life"].isel(contract=i, tau=0)
        np.testing.assert_allclose(exact, now.isel(contract=i), rtol=1e-9)
    alike = bb.half_life(fit, tau)["half_life"].sel(underlying="BTC")
    own = found["half_life"].isel(contract=paths["underlying"].values == "BTC")
    assert (own != alike).all()


def test_a_contract_listed_since_draws_its_offsets_from_the_population(fabricate, card, panel):
    card = replace(card, pooling=replace(card.pooling, independent=("noise_contract",)))
    known = bb.known_at(panel, ORIGIN)
    left = known["contract"].values[-1]
    seen = known.sel(obs=known["contract_index"].values != known.sizes["contract"] - 1)
    seen = seen.isel(contract=slice(None, -1))
    tree = fabricate(card, seen, chains=1, draws=4000, spread=0.3)
    layout = lay_out(card, known, seen)
    natural = natural_draws(card, tree["posterior"].to_dataset())
    found = align(tree, card, layout, natural, np.random.default_rng(0))
    assert layout.coords["contract"][-1] == left
    for name in APART:
        own = f"{name}_contract"
        np.testing.assert_array_equal(found[own][:, :-1], natural[own])
        spread = natural.get(f"{name}_between_contracts", np.log(5.0))
        np.testing.assert_allclose((found[own][:, -1] / spread).std(), 1.0, rtol=0.05)


def test_a_forecast_of_a_contract_never_seen_is_wider(fabricate, card, panel):
    """Of two contracts alike but that the fit has seen one: its offsets are what they are."""
    known = bb.known_at(panel, ORIGIN)
    plain = replace(card, pooling=Pooling(venues=False))
    fits = {
        spec: fabricate(spec, bb.known_at(panel, "2022-01-20"), chains=1, draws=2000, spread=0.0)
        for spec in (plain, card)
    }
    spread = {}
    for spec, tree in fits.items():
        seen = tree["constant_data"]["contract"].values
        paths = bb.forecast(tree, ORIGIN, panel=panel, seed=1, draws=2000, spot=False)
        strange = ~np.isin(paths["contract"].values, seen)
        assert strange.any()
        bands = bb.bands(paths, prob=(0.98,), variable="deviation")["interval"]
        width = bands.diff("bound").isel(bound=0, prob=0, step=slice(5, 20))
        spread[spec] = width.values[strange].mean()
    assert spread[card] > 1.05 * spread[plain]
    end = np.datetime64("2022-06-20")
    scores = leave_future_out(fits[card], panel, end, seed=1)
    assert np.isfinite(scores).all()
    assert known["contract"].values[-1] not in fits[card]["constant_data"]["contract"].values


def test_listings_are_scored_by_the_offsets_that_they_draw(fabricate, card, panel):
    """Where the spread between contracts is nothing, as without a level of contracts."""
    early = bb.known_at(panel, "2022-01-20")
    tree = fabricate(card, early, chains=1, draws=20, spread=0.3)
    posterior = tree["posterior"].to_dataset()
    nothing = {
        name: 0.0 * value for name, value in posterior.items() if str(name).endswith("_contract")
    }
    nothing |= {
        f"{name}_between_contracts": 0.0 * posterior["noise"].isel(underlying=0, drop=True)
        for name in APART
    }
    tree["posterior"] = xr.DataTree(posterior.assign(nothing))
    plain = tree.copy()
    plain["posterior"] = xr.DataTree(posterior.drop_vars(list(nothing)))
    plain.attrs["card"] = write_card(replace(card, pooling=Pooling(venues=False)))
    end = np.datetime64("2022-06-20")
    scores = (leave_future_out(one, panel, end, seed=1) for one in (tree, plain))
    np.testing.assert_allclose(*scores, rtol=1e-9)
    both = (
        pointwise(spec, lay_out(spec, early), one["posterior"].to_dataset())["basis"]
        for spec, one in ((card, tree), (replace(card, pooling=Pooling(venues=False)), plain))
    )
    np.testing.assert_allclose(*both, rtol=1e-9)
