import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

import bayesbasis as bb
from bayesbasis.trade.risk import losses, parameter_share


@pytest.fixture(scope="module")
def trades(paths):
    one = bb.cash_and_carry(paths, costs=bb.Costs(financing=0.05), notional=10)
    other = bb.cash_and_carry(paths, "reverse", contracts=["BTC-B"], exit="5D")
    return bb.book(one, other)


def fabricated(pnl, repeats=1, equity=None):
    """Trades of given profits, shape (draw, trade)."""
    draws, count = pnl.shape
    equity = pnl[..., None] * np.linspace(0, 1, 5) if equity is None else equity
    days = np.arange(equity.shape[-1]) * np.timedelta64(1, "D")
    time = np.tile(np.datetime64("2024-01-01", "ns") + days, (count, 1))
    return xr.Dataset(
        {
            "pnl": (("chain", "draw", "trade"), pnl[None]),
            "equity": (("chain", "draw", "trade", "step"), equity[None]),
            "holding": (("chain", "draw", "trade"), np.full((1, draws, count), len(days) - 1.0)),
            "regime": (("chain", "draw", "trade"), np.ones((1, draws, count), int)),
        },
        {
            "trade": [f"t{i}" for i in range(count)],
            "draw": np.repeat(np.arange(draws // repeats), repeats),
            "notional": ("trade", np.ones(count)),
            "time": (("trade", "step"), time),
        },
    )


# Value at risk and shortfall ---------------------------------------------------------------------


def test_the_measures_of_a_normal_loss_are_known_and_so_are_their_errors():
    rng = np.random.default_rng(1)
    tables = [bb.risk_table(fabricated(rng.standard_normal((4000, 1))), 0.95) for _ in range(60)]
    var, es = norm.ppf(0.95), norm.pdf(norm.ppf(0.95)) / 0.05
    for name, truth in (("value_at_risk", var), ("expected_shortfall", es)):
        found = np.array([table[name].values[0] for table in tables])
        error = np.mean([table[f"{name}_error"].values[0] for table in tables])
        assert abs(found.mean() - truth) < 4 * error / np.sqrt(60) + 0.005
        assert found.std(ddof=1) == pytest.approx(error, rel=0.3)


def test_measures_are_those_of_the_worst_paths(trades):
    table = bb.risk_table(trades, 0.95)
    pnl = trades["pnl"].values.reshape(-1, 3)
    total = np.sort(pnl.sum(1))[:50]
    assert table["value_at_risk"].sel(trade="book").item() == pytest.approx(-total[-1])
    assert table["expected_shortfall"].sel(trade="book").item() == pytest.approx(-total.mean())


def test_contributions_add_up_to_the_shortfall_of_the_book(trades):
    table = bb.risk_table(trades, 0.95)
    own = table["contribution"].values
    assert own[:-1].sum() == pytest.approx(own[-1], rel=1e-12)
    assert own[-1] == pytest.approx(table["expected_shortfall"].values[-1], rel=1e-12)


def test_a_book_is_not_the_sum_of_its_parts(trades):
    """Two of these trades are on opposite sides of one contract."""
    table = bb.risk_table(trades, 0.95)["expected_shortfall"].values
    assert table[-1] < table[:-1].sum()


def test_a_coherent_measure_never_punishes_diversification():
    rng = np.random.default_rng(3)
    for _ in range(20):
        loss = rng.standard_t(2, (500, 2))
        both = losses(np.column_stack([loss, loss.sum(1)]), 0.97)[1]
        assert both[2] <= both[0] + both[1] + 1e-12


# Drawdown and time under water -------------------------------------------------------------------


def test_drawdown_and_time_under_water_by_hand():
    equity = np.array([[[0.0, 2.0, 1.0, -1.0, 3.0]], [[0.0, -1.0, -2.0, 0.5, 1.0]]])
    table = bb.risk_table(fabricated(equity[..., -1], equity=equity), 0.5)
    one = table.sel(trade="t0")
    assert one["drawdown"].sel(measure="mean").item() == pytest.approx((3 + 2) / 2)
    assert one["under_water"].item() == pytest.approx((2 + 2) / 2)


def test_nothing_is_under_water_after_its_exit(trades):
    table = bb.risk_table(trades, 0.9)
    held = trades["holding"].mean(("chain", "draw")).values
    assert (table["under_water"].values[:-1] <= held + 1e-9).all()
    assert table["under_water"].values[-1] <= held.max() + 1e-9


# Regimes and scenarios ---------------------------------------------------------------------------


def test_the_tail_is_told_by_the_regime_at_entry(trades):
    table = bb.risk_table(trades, 0.95)["shortfall_by_regime"]
    regime = trades["regime"].values[..., 0].ravel()
    pnl = trades["pnl"].values.reshape(-1, 3)
    for k in (1, 2):
        mine = -pnl[regime == k]
        own = losses(np.column_stack([mine, mine.sum(1)]), 0.95)[1]
        np.testing.assert_allclose(table.sel(regime=k), own)


def test_scenarios_stand_beside_what_is_expected(paths, trades):
    dear = bb.book(
        bb.cash_and_carry(paths, costs=bb.Costs(financing=0.15), notional=10),
        bb.cash_and_carry(paths, "reverse", contracts=["BTC-B"], exit="5D"),
    )
    table = bb.risk_table(trades, 0.95, scenarios={"as is": trades, "financing 15 %": dear})
    np.testing.assert_array_equal(
        table["scenario_shortfall"].sel(scenario="as is"), table["expected_shortfall"]
    )
    lost = table["scenario_pnl"].sel(scenario="as is") - table["scenario_pnl"].isel(scenario=1)
    expected = 0.1 * np.array([20, 30]) / 365 * 10 * 40_000
    np.testing.assert_allclose(lost.values[:2], expected, rtol=1e-9)
    assert lost.values[2] == 0


def test_a_scenario_has_the_same_trades(trades):
    with pytest.raises(ValueError, match="scenario 'worse' has other trades"):
        bb.risk_table(trades, 0.9, scenarios={"worse": trades.isel(trade=[0])})


# Parameters and process --------------------------------------------------------------------------


def test_the_share_of_parameters_is_found(trades):
    rng = np.random.default_rng(2)
    draws, repeats = 400, 10
    known = np.repeat(rng.normal(0, 0.5, (draws, 1)), repeats, axis=0)
    pnl = known + rng.standard_normal((draws * repeats, 1))
    table = bb.risk_table(fabricated(pnl, repeats), 0.9)
    error = table["parameter_share_error"].values[0]
    assert abs(table["parameter_share"].values[0] - 0.2) < 4 * error
    assert 0.005 < error < 0.03
    assert "parameter_share" not in bb.risk_table(trades, 0.9)


def test_its_error_is_the_scatter_of_its_estimates():
    rng = np.random.default_rng(4)
    label = np.repeat(np.arange(200), 5)
    found = []
    for _ in range(200):
        values = np.repeat(rng.normal(0, 0.8, 200), 5) + rng.standard_normal(1000)
        found.append(parameter_share(values[:, None], label))
    share, error = np.array(found)[:, :, 0].T
    assert share.std() == pytest.approx(error.mean(), rel=0.2)


# Sizing ------------------------------------------------------------------------------------------


def test_the_growth_optimum_of_a_bet_is_kelly_s():
    """Win one with probability 0.6, lose one else: stake a fifth."""
    pnl = np.where(np.arange(1000) < 600, 1.0, -1.0)[:, None]
    found = bb.growth_leverage(fabricated(pnl))
    assert found["leverage"].values[0] == pytest.approx(0.2, abs=1e-9)
    assert found["growth"].values[0] == pytest.approx(0.6 * np.log(1.2) + 0.4 * np.log(0.8))
    assert found.attrs["distribution"] == "bootstraps of the paths"
    low, high = found["leverage_quantile"].values[[0, -1], 0]
    # The standard error of 2p - 1 is that of 2p.
    assert high - low == pytest.approx(2 * 1.645 * 2 * np.sqrt(0.24 / 1000), rel=0.25)


def test_a_trade_that_cannot_lose_takes_all_that_is_looked_at_and_a_bad_one_nothing():
    found = bb.growth_leverage(fabricated(np.tile([0.01, -0.01], (50, 1))), most=30)
    np.testing.assert_allclose(found["leverage"].values[:2], [30, 0], atol=1e-9)


def test_draws_with_many_paths_spread_the_optimum_over_the_posterior():
    rng = np.random.default_rng(5)
    good = np.repeat(rng.choice([0.2, 0.05], 20), 400)
    pnl = (good + rng.standard_normal(8000))[:, None]
    found = bb.growth_leverage(fabricated(pnl, repeats=400))
    assert found.attrs["distribution"] == "posterior draws"
    # The better half of the draws would stake more than what all agree on, the other half less.
    low, high = found["leverage_quantile"].sel(quantile=[0.25, 0.75]).values[:, 0]
    assert low < found["leverage"].values[0] < high


# Errors ------------------------------------------------------------------------------------------


def test_a_level_is_a_probability_that_leaves_some_paths(trades):
    with pytest.raises(ValueError, match="level is 99"):
        bb.risk_table(trades, 99)
    with pytest.raises(ValueError, match="forecast more draws"):
        bb.risk_table(trades, 0.9999)
