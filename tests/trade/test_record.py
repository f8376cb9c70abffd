import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.trade.record import realised, reliability


@pytest.fixture(scope="module")
def quotes(paths):
    """The fifth path of the forecast came true, and was quoted every day but one."""
    rows = []
    for contract in range(2):
        one = paths.isel(chain=0, draw=5, contract=contract)
        live = np.flatnonzero(one["tau"].values > 0)
        live = live[live != 7]
        rows.append(
            xr.Dataset(
                {
                    "basis": ("obs", one["basis"].values[live]),
                    "spot": ("obs", one["spot"].values[live]),
                    "contract_index": ("obs", np.full(len(live), contract)),
                    "time": ("obs", one["time"].values[live]),
                }
            )
        )
    panel = xr.concat(rows, "obs").set_coords(["time", "contract_index"])
    return panel.assign_coords(contract=paths["contract"].values)


def test_what_came_true_earns_what_its_path_did(paths, quotes):
    seen = realised(paths, quotes)
    for exit in ("9D", "15D"):
        found = bb.cash_and_carry(seen, exit=exit)["pnl"].values[0, 0]
        expected = bb.cash_and_carry(paths, exit=exit)["pnl"].values[0, 5]
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_day_without_a_quote_has_the_one_before(paths, quotes):
    seen = realised(paths, quotes)
    np.testing.assert_array_equal(seen["basis"].isel(step=7), seen["basis"].isel(step=6))


def test_at_expiry_the_basis_is_gone(paths, quotes):
    seen = realised(paths, quotes)
    assert seen["basis"].values[0, 0, 0, 20] == 0
    assert seen["spot"].values[0, 0, 0, 20] == seen["spot"].values[0, 0, 0, 19]


def test_where_quotes_end_nothing_is_known(paths, quotes):
    early = quotes.isel(obs=np.flatnonzero(quotes["time"].values < np.datetime64("2024-03-08")))
    seen = realised(paths, early)
    assert np.isnan(bb.cash_and_carry(seen, exit="15D")["pnl"]).all()
    assert np.isfinite(bb.cash_and_carry(seen, exit="4D")["pnl"]).all()


def test_odds_that_are_right_are_reliable_and_score_by_their_spread():
    rng = np.random.default_rng(1)
    odds = rng.beta(1, 1, 40_000)
    found = reliability(odds, rng.random(40_000) < odds)
    score = (found["realised"] - found["predicted"]) / found["error"]
    assert (np.abs(score) < 4).all()
    assert found["count"].sum() == 40_000
    assert found.attrs["brier"] == pytest.approx(1 / 6, abs=0.004)
    assert found.attrs["brier_base"] == pytest.approx(1 / 4, abs=0.001)


def test_predictions_and_outcomes_come_in_pairs():
    with pytest.raises(ValueError, match="2 predictions and 1 outcomes"):
        reliability([0.1, 0.2], [True])
