"""Facts about funding and carry as covariates of each other."""

import numpy as np
import pandas as pd
import pytest

import bayesbasis as bb
from bayesbasis.data.links import carry_covariate, funding_covariate


def test_funding_is_the_mean_a_year_of_what_was_paid_in_the_window():
    frame = bb.simulate_funding(seed=1, days=20, venues=["okx", "bybit"], underlyings=["BTC"])
    history, _ = bb.make_funding(frame)
    table = funding_covariate(history, "2D")
    last = table.iloc[-1]
    paid = frame[(frame["time"] > last["time"] - pd.Timedelta("2D"))]
    expected = 100 * paid.groupby("time")["funding_rate"].mean().mean() * 1095
    assert last["underlying"] == "BTC"
    assert last["funding"] == pytest.approx(expected)


def test_nothing_of_the_future_is_in_it():
    frame = bb.simulate_funding(seed=1, days=20, venues=["okx"], underlyings=["BTC", "ETH"])
    whole = funding_covariate(bb.make_funding(frame)[0])
    early = funding_covariate(bb.make_funding(frame[frame["time"] < "2024-01-12"])[0])
    joined = early.merge(whole, on=["time", "underlying"], suffixes=("", "_later"))
    assert len(joined) == len(early)
    np.testing.assert_allclose(joined["funding"], joined["funding_later"])


def test_carry_is_the_median_of_the_curve_far_from_expiry():
    panel, _ = bb.make_panel(bb.simulate_market(seed=1, underlyings=["BTC"], quarters=3)[0])
    table = carry_covariate(panel, 20.0)
    row = table.iloc[len(table) // 2]
    own = pd.to_datetime(panel["time"].values, utc=True) == row["time"]
    far = own & (panel["tau"].values * 365 >= 20)
    implied = 100 * panel["basis"].values[far] / panel["tau"].values[far]
    assert row["dated_carry"] == pytest.approx(np.median(implied))


def test_there_is_no_carry_without_dated_contracts():
    prices, _ = bb.simulate_market(seed=1, underlyings=["BTC"], quarters=1)
    prices["kind"], prices["expiry"] = "perpetual", pd.to_datetime([pd.NaT] * len(prices), utc=True)
    said = "no dated contract is quoted 7 days or more before its expiry"
    with pytest.raises(ValueError, match=f"^{said}"):
        carry_covariate(bb.make_panel(prices)[0])


@pytest.mark.parametrize(
    ("card", "column"), [("funding-carry", "funding"), ("premium-carry", "dated_carry")]
)
def test_a_card_reads_each(card, column):
    assert bb.load_card(card).equilibrium.covariates == (column,)


def test_carry_of_perpetuals_follows_that_of_dated_contracts_in_the_graph():
    dated, _ = bb.simulate_market(seed=1, underlyings=["BTC"], quarters=2)
    own = dated.drop_duplicates("time").assign(contract="BTC-PERP", kind="perpetual")
    own["expiry"] = pd.to_datetime([pd.NaT] * len(own), utc=True)
    own["futures"] = own["spot"] * (1 + 1e-4)
    table = carry_covariate(bb.make_panel(dated)[0])
    prices = bb.join_covariates(own, table, by=["underlying"], delay="0s")
    panel, _ = bb.make_panel(prices.dropna(subset=["dated_carry"]))
    model = bb.build(bb.load_card("premium-carry"), panel)
    assert "coefficient" in model.named_vars
