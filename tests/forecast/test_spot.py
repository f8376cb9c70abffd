"""Facts about forecasts under an equilibrium that reads spot."""

from dataclasses import replace

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.forecast.spot import spot_paths
from bayesbasis.model.layout import lay_out
from bayesbasis.process.equilibria import MeanRevertingSpot

ORIGIN = "2022-06-01"


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
    found = spot_paths(spot_card, layout, panel, times, 50, np.random.default_rng(0))
    assert set(found) == {0, 1}
    for u, path in found.items():
        assert path.shape == (50, 4)
        own = layout.contract_underlying[layout.contract] == u
        at = (panel["time"].values[layout.order] == last) & (layout.order >= 0)
        np.testing.assert_allclose(path[:, 0], layout.log_spot[own & at][0])
        assert path[:, 1].std() > 0


def test_too_little_spot_to_learn_from_says_so(spot_card, panel):
    few = bb.known_at(panel, panel["time"].values.min() + np.timedelta64(3, "D"))
    layout = lay_out(spot_card, few)
    with pytest.raises(ValueError, match=r"BTC has 4 times with a spot price .* at least 10"):
        spot_paths(spot_card, layout, few, few["time"].values[-1:], 5, np.random.default_rng(0))


def test_fair_value_at_the_origin_is_that_of_the_spot_there(spot_fit):
    found, paths = bb.mispricing(spot_fit, seed=1), bb.forecast(spot_fit, seed=1)
    fair = found["basis"] - found["deviation"]
    np.testing.assert_allclose(
        fair, paths["equilibrium"].isel(step=0).transpose(*fair.dims), atol=1e-12
    )
