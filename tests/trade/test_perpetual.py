"""Funding of the perpetual leg: who receives it, when, and what it adds up to."""

from datetime import date

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.data.exchanges import Exchange
from bayesbasis.data.funding_rules import FundingRule
from bayesbasis.trade.funding import funding_leg
from bayesbasis.trade.perpetual import held_shares

HOUR = np.timedelta64(1, "h")
ORIGIN = np.datetime64("2024-03-01T06:00", "ns")
PLAIN = FundingRule(since=date(2020, 1, 1), rule="plain", interest=0.0001)


@pytest.fixture(scope="module")
def perpetual(make_paths):
    """One contract without a date, looked at every two hours for four days."""
    paths = make_paths(draws=40).isel(contract=[1])
    steps = paths.sizes["step"]
    time = ORIGIN + 2 * HOUR * np.arange(steps)
    paths = paths.assign(equilibrium=0.0 * paths["basis"]).drop_vars("carry")
    paths = paths.assign(basis=paths["deviation"])
    tau = paths["tau"].copy(data=np.full((1, steps), np.nan))
    return paths.assign_coords(time=(("contract", "step"), time[None]), tau=tau)


def forecast_of(perpetual, *, continuous, rate=2e-4, name="BTC-B"):
    """Paths of funding every 8 hours, of ten draws that each pay a rate of their own."""
    due = np.datetime64("2024-03-01T08:00", "ns") + 8 * HOUR * np.arange(12)
    shape = (1, 10, 1, len(due))
    rates = rate * np.arange(1, 11)[None, :, None, None] * np.ones(shape)
    return xr.Dataset(
        {"funding": (("chain", "draw", "contract", "step"), rates)},
        {
            "contract": [name],
            "time": (("contract", "step"), due[None]),
            "interval_hours": ("contract", [8.0]),
            "continuous": ("contract", [continuous]),
        },
        {"origin": str(ORIGIN)},
    )


@pytest.mark.parametrize("continuous", [False, True])
def test_a_leg_closed_early_receives_what_its_venue_pays(perpetual, continuous):
    """Two computations of what a short receives until it is closed at every possible step."""
    found = forecast_of(perpetual, continuous=continuous)
    funded = bb.with_funding(perpetual, found)
    assert funded["funding"].isel(step=0).max() == 0
    for step in range(1, perpetual.sizes["step"]):
        close = perpetual["time"].values[0, step]
        total = funded["funding"].isel(step=slice(step + 1), contract=0).sum("step").values
        # Six of the eight hours of the first interval were over when the trade was put on.
        before = 0.75 * found["funding"].values[0, :, 0, 0] if continuous else 0.0
        leg = funding_leg(found, close=close).sum("step").values[0, :, 0] - before
        np.testing.assert_allclose(np.unique(total.round(12)), np.unique(leg.round(12)), atol=1e-12)


@pytest.mark.parametrize("kind", ["linear", "inverse"])
@pytest.mark.parametrize("direction", ["cash-and-carry", "reverse"])
@pytest.mark.parametrize("exit", ["37h", "2D", bb.When(deviation=5e-4)], ids=str)
@pytest.mark.parametrize("venue", ["binance", "deribit"])
def test_the_attribution_of_a_perpetual_adds_up(perpetual, kind, direction, exit, venue):
    funded = bb.with_funding(perpetual, venue)
    costs = bb.Costs(spot=bb.Fee(2, 4), futures=bb.Fee(1, 2), financing=0.03, borrow=0.05)
    trades = bb.cash_and_carry(funded, direction, exit=exit, kind=kind, costs=costs)
    gap = (trades["attribution"].sum("component") - trades["pnl"]) / trades["notional"]
    assert np.abs(gap).max() < 1e-12
    assert np.abs(trades["attribution"].sel(component="funding")).max() > 0
    assert (trades["holding"] <= 60 / 24 + 1e-9).all()


def test_funding_by_hand_to_the_cent(perpetual):
    """Short ten coins for 19 hours: settlements of 08, 16 and 00 o'clock on the worth of each."""
    rule = Exchange("mine", (PLAIN,))
    funded = bb.with_funding(perpetual, rule)
    trades = bb.cash_and_carry(funded, exit="19h", notional=10, costs=bb.Costs(fee_bp=0))
    basis, spot = (perpetual[name].values[1, 7, 0] for name in ("basis", "spot"))
    # Premia of 04, 12 and 20 o'clock: before the entry that of the entry; on the grid the others.
    expected = 0.0
    for paid, measured in ((1, 0), (5, 3), (9, 7)):
        rate = np.expm1(basis[measured]) + 0.0001
        expected += 10 * rate * spot[paid] * np.exp(basis[paid])
    got = trades["attribution"].sel(component="funding").isel(chain=1, draw=7, trade=0).item()
    assert got == pytest.approx(expected, abs=0.005)
    assert trades["holding"].isel(chain=1, draw=7, trade=0).item() == pytest.approx(20 / 24)


def test_continuous_shares_of_an_interval_add_up_to_the_time_it_was_held():
    rng = np.random.default_rng(0)
    instants = np.sort(rng.integers(0, 10**15, 40))
    settlements = np.arange(1, 40) * 28_800 * 10**9
    share = held_shares(instants, settlements, 8.0, True)
    assert (share >= 0).all()
    overlap = np.minimum(instants[-1], settlements) - np.maximum(
        instants[0], settlements - 28_800 * 10**9
    )
    np.testing.assert_allclose(share.sum(0), np.clip(overlap / 28_800e9, 0, 1), atol=1e-12)
    whole = held_shares(instants, settlements, 8.0, False)
    inside = (settlements > instants[0]) & (settlements <= instants[-1])
    np.testing.assert_array_equal(whole.sum(0), inside.astype(float))


def test_margins_of_a_perpetual_need_an_exit_and_no_expiry(perpetual):
    found = bb.margin(perpetual, leverage=(2, 50), exit="2D")
    assert (found["liquidation"].sel(leverage=50) >= found["liquidation"].sel(leverage=2)).all()
    with pytest.raises(ValueError, match="never expires") as caught:
        bb.margin(perpetual)
    assert str(caught.value) == (
        "BTC-B is a perpetual and never expires: choose an exit such as '14D', or other contracts"
    )


def test_what_cannot_be_paid_is_said(perpetual, paths):
    with pytest.raises(ValueError, match="hold no perpetual"):
        bb.with_funding(paths, "binance")
    with pytest.raises(ValueError, match="earns funding, and the paths have none"):
        bb.cash_and_carry(perpetual, exit="2D")
    other = forecast_of(perpetual, continuous=False, name="binance BTC")
    with pytest.raises(ValueError, match="no funding of BTC-B is forecast") as caught:
        bb.with_funding(perpetual, other)
    assert str(caught.value) == (
        "no funding of BTC-B is forecast; there is binance BTC. Say which with names={'BTC-B': ...}"
        ", or name a venue with funding = '...' in a file of trades"
    )
    named = bb.with_funding(perpetual, other, names={"BTC-B": "binance BTC"})
    assert named["funding"].max() == pytest.approx(2e-3)
    with pytest.raises(ValueError, match=r"ends at 2024-03-01T16:00:00, before the path"):
        bb.with_funding(perpetual, named_short(other), names={"BTC-B": "binance BTC"})


def named_short(funding):
    return funding.isel(step=slice(2))


def test_dated_contracts_beside_it_earn_none(perpetual, make_paths):
    dated = make_paths(draws=40).isel(contract=[0])
    time = perpetual["time"].values
    dated = dated.assign(equilibrium=0.0 * dated["basis"]).drop_vars("carry")
    both = xr.concat(
        [dated.assign_coords(time=(("contract", "step"), time)), perpetual], dim="contract"
    )
    funded = bb.with_funding(both, "binance")["funding"]
    assert (funded.sel(contract="BTC-A") == 0).all()
    assert (np.abs(funded.sel(contract="BTC-B").sum("step")) > 0).all()


def test_what_came_true_of_a_perpetual_earns_what_its_path_did(perpetual):
    one = perpetual.isel(chain=0, draw=5, contract=0)
    quotes = xr.Dataset(
        {name: ("obs", one[name].values) for name in ("basis", "spot")},
        {
            "time": ("obs", one["time"].values),
            "contract_index": ("obs", np.zeros(one.sizes["step"], int)),
            "contract": ["BTC-B"],
        },
    )
    seen = bb.with_funding(bb.realised(perpetual, quotes), "binance")
    found = bb.cash_and_carry(seen, exit="37h")["pnl"].item()
    expected = bb.cash_and_carry(bb.with_funding(perpetual, "binance"), exit="37h")["pnl"]
    assert found == pytest.approx(expected.values[0, 5, 0], rel=1e-9)
