import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesbasis as bb

FREE = bb.Costs(fee_bp=0)
DEAR = bb.Costs(
    spot=bb.Fee(8, 10),
    futures=bb.Fee(2, 5),
    slippage_bp=1,
    financing=0.06,
    storage=0.01,
    borrow=0.09,
)
EXITS = ("expiry", "2024-03-11", "9D", bb.When(deviation=5e-4))


def test_a_trade_by_hand_to_the_cent(paths):
    """Ten coins, sold at the future and bought at spot, held to expiry."""
    trades = bb.cash_and_carry(paths, costs=DEAR, notional=10)
    spot, basis = paths["spot"].values[1, 7, 0], paths["basis"].values[1, 7, 0]
    futures = spot * np.exp(basis)
    start, end = 0, 20
    gross = (spot[end] - spot[start]) + (futures[start] - futures[end])
    fees = spot[start] * 0.0011 + futures[start] * 0.0006
    fees += spot[end] * 0.0011 + futures[end] * 0.0005
    financing = spot[start] * 0.07 * 20 / 365
    expected = 10 * (gross - fees - financing)
    assert trades["pnl"].values[1, 7, 0] == pytest.approx(expected, abs=0.005)
    parts = trades["attribution"].isel(chain=1, draw=7, trade=0)
    assert parts.sel(component="fees").item() == pytest.approx(-10 * fees, abs=0.005)
    assert parts.sel(component="financing").item() == pytest.approx(-10 * financing, abs=0.005)
    assert trades["holding"].values[1, 7, 0] == pytest.approx(20)


def test_an_inverse_trade_is_the_value_of_coin_and_contract(paths):
    """One coin as margin, and its worth in quote currency sold at the futures price."""
    trades = bb.cash_and_carry(paths, costs=FREE, kind="inverse")
    spot, basis = paths["spot"].values[0, 3, 1], paths["basis"].values[0, 3, 1]
    futures = spot * np.exp(basis)
    coin = 1 + futures[0] * (1 / futures[-1] - 1 / futures[0])
    assert trades["pnl"].values[0, 3, 1] == pytest.approx(coin * spot[-1] - spot[0], rel=1e-9)


@pytest.mark.parametrize("kind", ["linear", "inverse"])
@pytest.mark.parametrize("direction", ["cash-and-carry", "reverse"])
@pytest.mark.parametrize("exit", EXITS, ids=str)
def test_the_attribution_adds_up_to_the_profit(paths, kind, direction, exit):
    funded = paths.assign(funding=1e-4 * paths["deviation"] / 0.004)
    trades = bb.cash_and_carry(
        funded, direction, exit=exit, costs=DEAR, kind=kind, notional=1.0, unit="quote"
    )
    difference = trades["attribution"].sum("component") - trades["pnl"]
    assert np.abs(difference).max() < 1e-12
    end = trades["equity"].isel(step=-1)
    np.testing.assert_allclose(end, trades["pnl"], atol=1e-15)


def test_the_reverse_earns_the_opposite_before_costs(paths):
    there, back = (
        bb.cash_and_carry(paths, direction, costs=FREE)["pnl"]
        for direction in ("cash-and-carry", "reverse")
    )
    np.testing.assert_allclose(there, -back, rtol=1e-12)


def test_without_a_deviation_all_is_carry(paths):
    fair = paths["carry"] * paths["tau"]
    calm = paths.assign(basis=fair.transpose(*paths["basis"].dims), deviation=0 * fair)
    parts = bb.cash_and_carry(calm, costs=FREE)["attribution"]
    np.testing.assert_allclose(parts.sel(component="convergence"), 0, atol=1e-9)
    linear = paths["carry"].values * np.array([20, 30]) / 365
    np.testing.assert_allclose(parts.sel(component="carry") / 40_000, np.expm1(linear), rtol=1e-9)


def test_funding_goes_to_whoever_is_short(paths):
    paid = paths.assign(funding=xr.full_like(paths["basis"], 1e-4).where(paths["step"] > 0, 0))
    flat = paid.assign(spot=xr.full_like(paths["spot"], 100.0))
    for direction, sign in (("cash-and-carry", 1), ("reverse", -1)):
        parts = bb.cash_and_carry(flat, direction, exit="9D")["attribution"]
        worth = 100 * np.exp(flat["basis"].isel(step=slice(1, 10))).sum("step")
        np.testing.assert_allclose(parts.sel(component="funding"), sign * 1e-4 * worth, rtol=1e-9)


# Exits -------------------------------------------------------------------------------------------


def test_a_rule_ends_a_trade_when_its_deviation_is_gone(paths):
    trades = bb.cash_and_carry(paths, exit=bb.When(deviation=1e-3))
    z = paths["deviation"].values[..., 0, :21]
    inside = z[..., 1:] <= 1e-3
    first = np.where(inside.any(-1), 1 + inside.argmax(-1), 20)
    np.testing.assert_allclose(trades["holding"].isel(trade=0), first)
    assert 1 < first.mean() < 20
    # The second contract is cheap: nothing is left to converge, and the first look says so.
    assert (trades["holding"].isel(trade=1) < 1.5).mean() > 0.95


def test_the_reverse_waits_for_the_other_side(paths):
    trades = bb.cash_and_carry(paths, "reverse", exit=bb.When(deviation=1e-3))
    z = paths["deviation"].values[..., 1, :]
    inside = z[..., 1:] >= -1e-3
    first = np.where(inside.any(-1), 1 + inside.argmax(-1), 30)
    np.testing.assert_allclose(trades["holding"].isel(trade=1), first)


def test_a_date_ends_all_trades_together_but_none_after_expiry(paths):
    early = bb.cash_and_carry(paths, exit="2024-03-11T08:00")["holding"]
    np.testing.assert_allclose(early, 10)
    late = bb.cash_and_carry(paths, exit="25D")["holding"]
    np.testing.assert_allclose(late.mean(("chain", "draw")), [20, 25])


def test_equity_is_marked_until_the_exit_and_still_after_it(paths):
    trades = bb.cash_and_carry(paths, exit="9D", costs=DEAR, unit="quote")
    equity = trades["equity"].values
    np.testing.assert_array_equal(equity[..., 10:], np.repeat(equity[..., 9:10], 21, axis=-1))
    opening = 0.0011 + 0.0006 * np.exp(paths["basis"].values[..., 0])
    np.testing.assert_allclose(equity[..., 0], -opening, rtol=1e-9)


def test_an_exit_at_settlement_pays_its_own_fee(paths):
    gratis = bb.Costs(fee_bp=5, settlement_bp=0)
    full = bb.Costs(fee_bp=5)
    saved = [
        bb.cash_and_carry(paths, exit=exit, costs=gratis)["pnl"]
        - bb.cash_and_carry(paths, exit=exit, costs=full)["pnl"]
        for exit in ("expiry", "9D")
    ]
    end = paths["spot"].values[:, :, [0, 1], [20, 30]]
    np.testing.assert_allclose(saved[0], 5e-4 * end, rtol=1e-6)
    assert (saved[1] == 0).all()


# Summaries ---------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.01, 0.03), st.sampled_from(["linear", "inverse"]), st.booleans())
def test_at_its_break_even_a_trade_is_expected_to_earn_nothing(make_paths, entry, kind, back):
    paths = make_paths(draws=20)
    direction = "reverse" if back else "cash-and-carry"
    say = {"direction": direction, "kind": kind, "costs": DEAR, "unit": "quote"}
    table = bb.trade_table(bb.cash_and_carry(paths, entry=entry, **say))
    for trade in range(2):
        even = table["break_even"].values[trade]
        pnl = bb.cash_and_carry(paths, entry=even, **say)["pnl"].isel(trade=trade)
        assert abs(pnl.mean()) < 1e-12


def test_a_table_sums_up_the_draws(paths):
    trades = bb.cash_and_carry(paths, costs=DEAR, notional=1e6, unit="quote", margin=0.2)
    table = bb.trade_table(trades)
    pnl = trades["pnl"].values.reshape(-1, 2)
    np.testing.assert_allclose(table["profit"], (pnl > 0).mean(0))
    np.testing.assert_allclose(table["pnl_bp"], pnl.mean(0) / 100)
    np.testing.assert_allclose(
        table["pnl_quantile"].sel(quantile=0.05).values, np.quantile(pnl, 0.05, axis=0)
    )
    yearly = pnl.mean(0) / np.array([20, 30]) * 365
    np.testing.assert_allclose(table["return_on_capital"], yearly / 1.2e6)
    np.testing.assert_allclose(table["return_on_margin"], yearly / 0.2e6)
    np.testing.assert_allclose(table["attribution_bp"].sum("component"), table["pnl_bp"])
    assert all(table[name].attrs["units"] for name in table.data_vars)


def test_a_book_keeps_trades_of_one_forecast_side_by_side(paths, make_paths):
    one, other = bb.cash_and_carry(paths), bb.cash_and_carry(paths, "reverse", exit="5D")
    both = bb.book(one, other)
    assert both["trade"].values.tolist() == [
        "BTC-A cash-and-carry",
        "BTC-B cash-and-carry",
        "BTC-A reverse to 5D",
        "BTC-B reverse to 5D",
    ]
    assert bb.book(one, one)["trade"].values[-1] == "BTC-B cash-and-carry (2)"
    np.testing.assert_array_equal(both["pnl"].isel(trade=slice(2)), one["pnl"])
    with pytest.raises(ValueError, match="share their paths"):
        bb.book(one, bb.cash_and_carry(make_paths(seed=1)))


def test_chosen_contracts_alone_are_traded(paths):
    assert bb.cash_and_carry(paths, contracts=["BTC-B"])["contract"].values.tolist() == ["BTC-B"]


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"direction": "short"}, "direction is 'short'; choose 'cash-and-carry' or 'reverse'"),
        ({"kind": "quanto"}, "kind is 'quanto'; choose 'linear' or 'inverse'"),
        ({"unit": "lots"}, "unit is 'lots'; choose 'coin' or 'quote'"),
        ({"notional": -1}, "notional is -1; give a positive size and choose the direction"),
        (
            {"exit": "2024-01-01"},
            "exit '2024-01-01' is not after the origin 2024-03-01T08:00:00; give a later one",
        ),
    ],
)
def test_what_is_not_known_is_an_error_that_says_what_is(paths, change, said):
    with pytest.raises(ValueError, match=r".") as caught:
        bb.cash_and_carry(paths, **change)
    assert str(caught.value) == said


def test_paths_without_a_spot_say_where_it_comes_from(paths):
    with pytest.raises(ValueError, match="spot=True"):
        bb.cash_and_carry(paths.drop_vars("spot"))


def test_paths_that_end_early_cannot_be_held_to_expiry(paths):
    short = paths.isel(step=slice(15))
    with pytest.raises(ValueError, match="days before expiry"):
        bb.cash_and_carry(short)
    with pytest.raises(ValueError, match="end before the exit"):
        bb.cash_and_carry(short, exit="18D")


def test_nobody_gains_by_slipping_or_pays_a_fee_of_no_kind():
    with pytest.raises(ValueError, match="slippage_bp"):
        bb.Costs(slippage_bp=-1)
    with pytest.raises(ValueError, match="liquidity"):
        bb.Costs(liquidity="both")
