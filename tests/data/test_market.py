import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayesbasis.data.market import Market, simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.data.prices import read_prices
from bayesbasis.process.laws import OrnsteinUhlenbeck

CALM = Market(volatility=(8.0,), stay=(10.0,), spot_volatility=(50.0,), tail=np.inf)


@pytest.fixture(scope="module")
def simulated():
    return simulate_market(seed=1)


def tau_of(prices):
    return ((prices["expiry"] - prices["time"]) / pd.Timedelta(days=365)).to_numpy()


def basis_of(prices):
    return np.log(prices["futures"] / prices["spot"]).to_numpy()


@pytest.mark.parametrize("frequency", ["daily", "hourly"])
def test_prices_are_in_the_schema_and_nothing_of_them_is_dropped(frequency):
    prices, _ = simulate_market(seed=2, quarters=2, frequency=frequency)
    pd.testing.assert_frame_equal(read_prices(prices)[list(prices)], prices, check_dtype=False)
    panel, audit = make_panel(prices)
    assert panel.sizes["obs"] == len(prices)
    assert audit.loc[audit["action"] == "dropped", "rows"].sum() == 0


def test_without_noise_the_basis_is_carry_and_deviation():
    prices, truth = simulate_market(Market(noise=1e-15), seed=1)
    carry = truth["carry"].sel(contract=prices["contract"].to_numpy()).values
    expected = 0.01 * carry * tau_of(prices) + truth["deviation"].values
    np.testing.assert_allclose(basis_of(prices), expected, atol=1e-12)


def test_contracts_enter_with_the_spread_that_convergence_leaves():
    """Ornstein-Uhlenbeck: the stationary variance, σ² / (2κ), plus noise."""
    market = dataclasses.replace(CALM, law=OrnsteinUhlenbeck(), half_life=10.0, correlation=0.0)
    prices, truth = simulate_market(
        market, seed=8, underlyings=[f"U{i}" for i in range(60)], quarters=10, listed_days=2
    )
    entry = ~prices.duplicated("contract")
    stationary = (8.0 * 1e-4) ** 2 * 10.0 / (2 * np.log(2))
    spread = np.mean(truth["deviation"].values[entry] ** 2)
    np.testing.assert_allclose(spread, stationary, rtol=0.15)


def test_states_of_the_truth_belong_to_the_rows(simulated):
    prices, truth = simulated
    path = truth["regime_path"].sel(
        underlying=xr.DataArray(prices["underlying"].to_numpy(), dims="row"),
        time=xr.DataArray(prices["time"].dt.tz_localize(None).to_numpy(), dims="row"),
    )
    np.testing.assert_array_equal(truth["regime_at"].values, path.values)
    assert set(np.unique(path)) == {1, 2}
    assert truth.sizes["row"] == len(prices)


def test_contracts_overlap_and_end_on_the_last_friday_of_each_quarter():
    prices, truth = simulate_market(seed=3, underlyings=["BTC"], quarters=5)
    expiry = prices.drop_duplicates("contract").set_index("contract")["expiry"]
    assert expiry.dt.strftime("%a %H:%M").eq("Fri 08:00").all()
    assert expiry.index.tolist() == truth["contract"].values.tolist()
    assert expiry.dt.strftime("%Y-%m-%d").tolist() == [
        "2022-03-25", "2022-06-24", "2022-09-30", "2022-12-30", "2023-03-31",
    ]  # fmt: skip
    tau = tau_of(prices)
    assert tau.min() > 0
    assert tau.max() <= 182 / 365
    # Before the last quarter two contracts are live on any day.
    live = prices.groupby("time").size()
    assert live[live.index < expiry.iloc[-2]].eq(2).mean() > 0.95


def test_regimes_are_occupied_in_proportion_to_their_stays():
    market = Market(stay=(12.0, 4.0))
    _, truth = simulate_market(
        market, seed=4, underlyings=[f"U{i}" for i in range(8)], quarters=24, listed_days=2
    )
    path = truth["regime_path"].values
    # 8 paths of 2,190 days; occupancy decorrelates over 2 · 12·4/(12+4) = 6 days: sd 0.8 %.
    np.testing.assert_allclose((path == 2).mean(), 4 / 16, atol=0.03)
    leaves = (np.diff(path, axis=1) != 0)[path[:, :-1] == 1].mean()
    np.testing.assert_allclose(leaves, 0.25 * -np.expm1(-(1 / 12 + 1 / 4)), rtol=0.1)


def test_innovations_have_the_volatility_of_their_regime():
    # Ornstein-Uhlenbeck with a long half-life: the daily move is the volatility, √day to √day.
    market = Market(
        law=OrnsteinUhlenbeck(), half_life=1e6, volatility=(5.0, 20.0), tail=np.inf, noise=1e-12
    )
    prices, truth = simulate_market(market, seed=5, quarters=8)
    contract = prices["contract"].to_numpy()
    same = contract[1:] == contract[:-1]
    move, regime = np.diff(truth["deviation"].values)[same], truth["regime_at"].values[1:][same]
    for k, volatility in enumerate(market.volatility, start=1):
        spread = np.sqrt(np.mean(move[regime == k] ** 2)) * 1e4
        np.testing.assert_allclose(spread, volatility, rtol=0.08)


def test_shocks_are_correlated_along_the_curve_and_not_between_underlyings():
    market = dataclasses.replace(CALM, law=OrnsteinUhlenbeck(), half_life=1e6, correlation=0.8)
    prices, truth = simulate_market(market, seed=6, quarters=8)
    wide = prices.assign(z=truth["deviation"].values).pivot(
        index="time", columns="contract", values="z"
    )
    moves = wide.diff()
    paired = moves["BTC-24JUN22"].corr(moves["BTC-25MAR22"])
    np.testing.assert_allclose(paired, 0.8, atol=0.15)
    across = moves["ETH-24JUN22"].corr(moves["BTC-24JUN22"])
    np.testing.assert_allclose(across, 0.0, atol=0.25)


def test_the_basis_converges():
    prices, truth = simulate_market(CALM, seed=7, quarters=12)
    days = tau_of(prices) * 365
    deviation = np.abs(truth["deviation"].values)
    assert deviation[days < 2].mean() < 0.5 * deviation[days > 60].mean()
    assert np.abs(basis_of(prices)[days < 1]).max() < 0.003


def test_carry_is_drawn_around_that_of_its_underlying():
    market = Market(carry_mean=8.0, carry_between_underlyings=2.0, carry_between_contracts=4.0)
    _, truth = simulate_market(
        market, seed=8, underlyings=[f"U{i}" for i in range(60)], quarters=10, listed_days=2
    )
    carry = truth["carry"].values.reshape(60, 10)
    np.testing.assert_allclose(carry.mean(), 8.0, atol=3 * np.hypot(2, 4 / np.sqrt(10)) / 60**0.5)
    np.testing.assert_allclose(carry.std(axis=1, ddof=1).mean(), 4.0, rtol=0.1)
    between = carry.mean(axis=1).var(ddof=1) - 4.0**2 / 10
    np.testing.assert_allclose(np.sqrt(between), 2.0, rtol=0.4)


def test_spot_moves_with_the_volatility_of_the_regime():
    market = Market(tail=np.inf, spot_volatility=(20.0, 120.0))
    prices, truth = simulate_market(market, seed=9, quarters=12, underlyings=["BTC"])
    spot = prices.drop_duplicates("time").set_index("time")["spot"].sort_index()
    daily = np.diff(np.log(spot.to_numpy()))
    regime = truth["regime_path"].sel(underlying="BTC").values[1 : len(spot)]
    for k, volatility in enumerate(market.spot_volatility, start=1):
        spread = 100 * daily[regime == k].std() * np.sqrt(365)
        np.testing.assert_allclose(spread, volatility, rtol=0.12)


def test_hourly_quotes_are_an_hour_apart():
    prices, _ = simulate_market(
        seed=10, underlyings=["BTC"], quarters=1, listed_days=20, frequency="hourly"
    )
    assert prices["time"].diff().dropna().eq(pd.Timedelta(hours=1)).all()
    assert len(prices) == 20 * 24


def test_the_same_seed_gives_the_same_market():
    first, second = (simulate_market(seed=11, quarters=1) for _ in range(2))
    pd.testing.assert_frame_equal(first[0], second[0])
    assert first[1].identical(second[1])
    other, _ = simulate_market(seed=12, quarters=1)
    assert not np.allclose(other["spot"], first[0]["spot"])


def test_truth_names_every_parameter_in_the_units_of_priors(simulated):
    _, truth = simulated
    for name in ("half_life", "anchor", "noise", "correlation", "tail", "carry_mean"):
        assert truth[name].item() == getattr(Market(), name)
    np.testing.assert_array_equal(truth["volatility"], Market().volatility)
    np.testing.assert_array_equal(truth["stay"], Market().stay)
    assert truth.attrs["law"] == "anchored"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frequency": "weekly"}, "frequency is 'weekly'; choose 'daily' or 'hourly'"),
        ({"quarters": 0}, "quarters is 0; it must be at least 1"),
        ({"listed_days": 0}, "listed_days is 0; it must be at least 1"),
        ({"underlyings": []}, "underlyings is empty; name at least one"),
    ],
)
def test_what_cannot_be_simulated_is_an_error(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is checked
        simulate_market(seed=1, **arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"stay": (10.0,)},
            "volatility, stay and spot_volatility have 2, 1 and 2 regimes; give each the same",
        ),
        (
            {"volatility": (20.0, 5.0)},
            "volatility is (20.0, 5.0); regimes go from calm to wild",
        ),
    ],
)
def test_a_market_without_sense_is_an_error(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is checked
        Market(**arguments)
    assert str(caught.value) == message
