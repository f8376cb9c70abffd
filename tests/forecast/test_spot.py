"""Facts about forecasts under an equilibrium that reads spot."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.forecast.spot import spot_alone, spot_past
from bayesbasis.inference.sampling import named_draws
from bayesbasis.model.cards import write_card
from bayesbasis.model.hierarchy import raw_variables
from bayesbasis.model.layout import lay_out
from bayesbasis.model.priors import LogitNormal
from bayesbasis.process.equilibria import MeanRevertingSpot
from bayesbasis.process.spot import gathered

ORIGIN = "2022-06-01"
FIFTY = {"noise": np.ones((50, 2))}


@pytest.fixture(scope="module")
def spot_card(gaussian):
    return replace(gaussian, equilibrium=MeanRevertingSpot())


@pytest.fixture(scope="module")
def spot_fit(fabricate, spot_card, panel):
    return fabricate(spot_card, bb.known_at(panel, ORIGIN), draws=200, spread=0.0)


@pytest.fixture(scope="module")
def paths(spot_fit):
    return bb.forecast(spot_fit, seed=1)


def test_the_basis_is_its_equilibrium_and_a_deviation_that_vanish_at_expiry(paths):
    noise = paths["basis"] - paths["equilibrium"] - paths["deviation"]
    at_end = paths.isel(contract=0, step=int(paths["tau"][0].notnull().sum()) - 1)
    np.testing.assert_allclose(at_end["equilibrium"], 0.0, atol=1e-15)
    np.testing.assert_allclose(at_end["deviation"], 0.0, atol=1e-15)
    # What is left is quote noise, which knows neither spot nor the deviation.
    later = noise.isel(step=slice(1, None))
    assert abs(float(later.mean())) < 4 * float(later.std()) / later.notnull().sum() ** 0.5


def test_the_equilibrium_is_wide_where_spot_is_unknown(paths):
    spread = paths["equilibrium"].std(["chain", "draw"]).isel(contract=-1)
    assert float(spread[0]) < 1e-12  # the level is that of the fit, spot that of the last quote
    assert float(spread[20]) > float(spread[2]) > 0


def test_a_level_takes_the_place_of_carry(paths):
    assert "carry" not in paths
    assert paths["level"].dims == ("chain", "draw", "contract")
    np.testing.assert_allclose(
        bb.bands(paths)["equilibrium"], paths["equilibrium"].mean(["chain", "draw"])
    )


def test_contracts_of_an_underlying_see_the_same_spot(paths, spot_fit, panel):
    """Two curves of one spot, whose levels are known: one gives the other."""
    natural = spot_fit["posterior"].to_dataset().isel(chain=0, draw=0)
    speed = np.log(2) * 365 / natural["spot_half_life"].values
    btc = paths.isel(contract=np.flatnonzero(paths["underlying"].values == "BTC"), step=10)
    weight = 1 - np.exp(-speed * btc["tau"])
    implied = btc["level"] - btc["equilibrium"] / weight
    np.testing.assert_allclose(implied[..., 0], implied[..., 1], rtol=1e-8)


def test_levels_count_from_the_mean_spot_of_the_panel_that_was_fitted(spot_fit, spot_card, panel):
    fitted = spot_fit["constant_data"].to_dataset()
    own, newer = lay_out(spot_card, fitted), lay_out(spot_card, panel, fitted)
    seen = own.order >= 0
    for u in range(2):
        mine = seen & (own.contract_underlying[own.contract] == u)
        assert abs(own.log_spot[mine].mean()) < 1e-12
    times = panel["time"].values[newer.order]
    first = (newer.order >= 0) & (times <= np.datetime64(ORIGIN))
    np.testing.assert_array_equal(np.sort(newer.log_spot[first]), np.sort(own.log_spot[seen]))
    assert not np.allclose(newer.log_spot, lay_out(spot_card, panel).log_spot)


def test_spot_starts_at_its_last_quote_and_is_simulated_per_underlying(spot_card, panel):
    layout = lay_out(spot_card, panel)
    last = panel["time"].values.max()
    times = last + np.arange(4) * np.timedelta64(1, "D")
    rng = np.random.default_rng(0)
    for u in range(2):
        path = spot_alone(spot_past(spot_card, layout, panel, u, times, FIFTY, rng), rng).log_spot
        assert path.shape == (50, 4)
        own = layout.contract_underlying[layout.contract] == u
        at = (panel["time"].values[layout.order] == last) & (layout.order >= 0)
        np.testing.assert_allclose(path[:, 0], layout.log_spot[own & at][0])
        assert path[:, 1].std() > 0


def test_too_little_spot_to_learn_from_says_so(spot_card, panel):
    few = bb.known_at(panel, panel["time"].values.min() + np.timedelta64(3, "D"))
    layout = lay_out(spot_card, few)
    with pytest.raises(ValueError, match=r"BTC has 4 times with a spot price .* at least 10"):
        spot_past(
            spot_card, layout, few, 0, few["time"].values[-1:], FIFTY, np.random.default_rng(0)
        )


def test_fair_value_at_the_origin_is_that_of_the_spot_there(spot_fit):
    found, paths = bb.mispricing(spot_fit, seed=1), bb.forecast(spot_fit, seed=1)
    fair = found["basis"] - found["deviation"]
    np.testing.assert_allclose(
        fair, paths["equilibrium"].isel(step=0).transpose(*fair.dims), atol=1e-12
    )


def test_paths_hold_the_spot_that_their_equilibrium_reads(paths, spot_fit):
    """Price and level give the curve back; without spot everything else is the same."""
    fitted = spot_fit["constant_data"].to_dataset()
    own = fitted["underlying"].values[fitted["contract_index"].values] == "BTC"
    centre = np.log(fitted["spot"].values[own]).mean()
    natural = spot_fit["posterior"].to_dataset().isel(chain=0, draw=0)
    speed = np.log(2) * 365 / float(natural["spot_half_life"].sel(underlying="BTC"))
    btc = paths.isel(contract=np.flatnonzero(paths["underlying"].values == "BTC"))
    weight = 1 - np.exp(-speed * btc["tau"])
    fair = -weight * (np.log(btc["spot"]) - centre - btc["level"])
    np.testing.assert_allclose(
        fair.transpose(*btc["equilibrium"].dims), btc["equilibrium"], atol=1e-12
    )
    assert (btc["spot_scale"].isel(step=slice(1, 5)) > 0).all()
    without = bb.forecast(spot_fit, seed=1, spot=False)
    assert without.identical(paths.drop_vars(["spot", "spot_scale"]))


def test_a_reverting_spot_is_traded_like_any_other(paths):
    trades = bb.cash_and_carry(paths, costs=bb.Costs(fee_bp=3.0, financing=0.02))
    gap = (trades["attribution"].sum("component") - trades["pnl"]) / trades["notional"]
    assert np.abs(gap).max() < 1e-12
    # In the money of the day of entry: the basis locked in, less what is left of it at expiry.
    last = np.isfinite(paths["tau"].values).sum(1) - 1
    at = xr.DataArray(last, dims="contract")
    value = np.expm1(paths["basis"]) * paths["spot"]
    gross = trades["attribution"].sel(component=["convergence", "carry"]).sum("component")
    expected = value.isel(step=0) - value.isel(step=at)
    np.testing.assert_allclose(gross, expected, atol=1e-9 * float(paths["spot"].max()))
    found = bb.margin(paths, leverage=(2, 20))
    assert (found["liquidation"].sel(leverage=20) >= found["liquidation"].sel(leverage=2)).all()


def at_the_centre(spec, known, draws):
    """A fit whose draws are all medians of the priors, without compiling anything."""
    layout = lay_out(spec, known)
    raw = {
        name: np.zeros((1, draws, *(len(layout.coords[dim]) for dim in own)))
        for name, own in raw_variables(spec, layout.levels).items()
    }
    groups = {"posterior": named_draws(spec, layout, raw), "constant_data": known}
    fit = xr.DataTree.from_dict(groups)
    fit.attrs = {"card": write_card(spec), "card_name": "together", "data_hash": ""}
    return fit


def test_estimated_together_a_reverting_spot_moves_with_its_curve(spot_card, panel):
    """Shocks of curve and spot have the correlation that the posterior has."""
    together = replace(spot_card, spot=bb.Spot(correlation=LogitNormal(0.7, 0.1, -1.0, 1.0)))
    fit = at_the_centre(together, bb.known_at(panel, ORIGIN), draws=1600)
    paths = bb.forecast(fit, seed=1)
    one = paths.isel(contract=np.flatnonzero(paths["underlying"].values == "BTC")[-1:]).squeeze()
    spot, basis = (
        values.isel(step=1) - values.isel(step=0)
        for values in (np.log(one["spot"]), one["deviation"])
    )
    found = np.corrcoef(spot.values.ravel(), basis.values.ravel())[0, 1]
    # Two contracts share the mean shock: each has less of it in common with spot.
    rho = float(fit["posterior"]["correlation"][0, 0, 0])
    assert found == pytest.approx(0.7 * np.sqrt((1 + rho) / 2), abs=0.05)


def test_what_futures_see_through_passes_in_spot_too(spot_card, panel):
    """A shock of spot is half gone after a week where the curve says so."""
    curve = replace(spot_card, equilibrium=MeanRevertingSpot(transient=True))
    layout = lay_out(curve, panel)
    last = panel["time"].values.max()
    days = np.array([0, 1, 60]) * np.timedelta64(1, "D")
    parts = {"transient_half_life": np.full((50, 2), 7.0), "transient_share": np.full((50, 2), 0.6)}
    rng = np.random.default_rng(0)
    whole = spot_past(spot_card, layout, panel, 0, last + days, FIFTY, rng).reversion
    split = spot_past(curve, layout, panel, 0, last + days, FIFTY | parts, rng).reversion
    np.testing.assert_allclose(split.passing, (7.0, 0.6))
    assert whole.passing.share == 0.0
    ahead = np.array([60.0]) / 365
    soon = np.array([1e-3]) / 365
    spread = [float(np.median(x.volatility * gathered(x, ahead)[:, 0])) for x in (whole, split)]
    assert spread[1] < 0.75 * spread[0]
    np.testing.assert_allclose(gathered(split, soon), gathered(whole, soon), rtol=1e-3)
