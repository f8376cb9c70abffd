import numpy as np
import pytest

from bayesbasis.report.tables import bands_table, live_table


@pytest.fixture
def table(market):
    return live_table(market.panel, market.bands, market.states, market.half_lives)


def test_a_row_stands_for_each_live_contract_in_order(table, market):
    assert table["contract"].tolist() == market.bands["contract"].values.tolist()
    np.testing.assert_allclose(table["days"], [25, 25, 65, 65])


def test_the_basis_is_the_last_quote_known_at_the_origin(table, market):
    panel, origin = market.panel, np.datetime64(market.bands.attrs["origin"])
    at_origin = np.flatnonzero(panel["time"].values == origin)
    np.testing.assert_allclose(table["basis"], panel["basis"].values[at_origin] * 1e4)


def test_the_band_is_read_at_the_days_before_expiry_that_were_asked_for(market):
    table = live_table(
        market.panel, market.bands, market.states, market.half_lives, prob=0.5, days_left=5
    )
    step = 20
    interval = market.bands["interval"].sel(prob=0.5).isel(contract=0, step=step) * 1e4
    np.testing.assert_allclose(market.bands["tau"].values[0, step] * 365, 5)
    np.testing.assert_allclose(table.loc[0, ["lower", "upper"]].astype(float), interval)


def test_a_contract_nearer_to_expiry_than_the_band_has_none(market):
    table = live_table(market.panel, market.bands, market.states, market.half_lives, days_left=30)
    assert table["lower"].isna().tolist() == [True, True, False, False]


def test_the_regime_is_the_likeliest_when_the_origin_was_reached(table, market):
    states, origin = market.states, np.datetime64(market.bands.attrs["origin"])
    now = (states["event_time"].values == origin) & (states["event_underlying"].values == "ETH")
    mean = states["regime_filtered"].values[:, :, now].mean((0, 1))[0]
    row = table[table["underlying"] == "ETH"].iloc[0]
    assert row["regime"] == mean.argmax() + 1
    np.testing.assert_allclose(row["probability"], mean.max())


def test_a_probability_that_the_bands_lack_is_an_error_that_names_those_they_have(market):
    with pytest.raises(ValueError, match=r"no 0\.8 interval, only \[0\.5, 0\.9\]"):
        live_table(market.panel, market.bands, market.states, market.half_lives, prob=0.8)


def test_bands_laid_out_hold_each_living_step_once_in_basis_points(market):
    table = bands_table(market.bands)
    alive = np.isfinite(market.bands["tau"].values)
    assert len(table) == alive.sum()
    assert not table.duplicated(["contract", "time"]).any()
    upper = market.bands["interval"].sel(prob=0.9, bound="upper").values
    np.testing.assert_allclose(table["upper_90"], upper[alive] * 1e4)
    np.testing.assert_allclose(table.groupby("contract")["days"].min(), 0, atol=1e-12)
