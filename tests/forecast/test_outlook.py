import numpy as np
import pytest
import xarray as xr

from bayesbasis.forecast.outlook import (
    cumulative_funding,
    funding_bands,
    funding_outlook,
    funding_table,
)
from bayesbasis.trade.costs import Costs
from bayesbasis.trade.funding import (
    against_dated,
    break_even,
    funding_leg,
    funding_spread,
    round_trip,
)

BP = 1e-4


@pytest.fixture
def paths():
    """Two contracts, four draws; the second settles twice only and accrues continuously."""
    one = BP * np.array([[1, 1, 1], [2, 1, 1], [-1, -1, -2], [3, 4, 5]])
    two = BP * np.array([[1, 1, np.nan], [0, 0, np.nan], [4, 4, np.nan], [2, 2, np.nan]])
    origin = np.datetime64("2024-01-01T00:00", "ns")
    times = origin + np.array([[8, 16, 24], [8, 16, 0]]) * np.timedelta64(1, "h")
    times[1, 2] = np.datetime64("NaT", "ns")
    funding = np.stack([one, two], axis=1)[None]
    return xr.Dataset(
        {
            "funding": (
                ("chain", "draw", "contract", "step"), funding, {"long_name": "funding"},
            ),
            "premium": (
                ("chain", "draw", "contract", "step"), funding + BP, {"long_name": "premium"},
            ),
        },
        {
            "contract": ["a", "b"],
            "step": [1, 2, 3],
            "time": (("contract", "step"), times),
            "interval_hours": ("contract", [8.0, 8.0]),
            "interest": ("contract", [BP, BP]),
            "clamp": ("contract", [5 * BP, 0.0]),
            "plain": ("contract", [False, True]),
            "continuous": ("contract", [False, True]),
        },
        {"origin": str(origin), "horizon": "1D", "card": "", "seed": 1},
    )  # fmt: skip


def test_cumulative_funding_adds_up_what_settles_in_time(paths):
    total = cumulative_funding(paths).sel(chain=0)
    np.testing.assert_allclose(total.sel(contract="a"), BP * np.array([3, 4, -4, 12]))
    np.testing.assert_allclose(total.sel(contract="b"), BP * np.array([2, 0, 8, 4]))
    half = cumulative_funding(paths, "16h").sel(chain=0, contract="a")
    np.testing.assert_allclose(half, BP * np.array([2, 3, -2, 7]))
    with pytest.raises(ValueError, match="the paths reach from the origin to 1 days"):
        cumulative_funding(paths, "2D")


def test_the_outlook_counts_draws(paths):
    outlook = funding_outlook(paths)
    one = outlook.sel(contract="a")
    assert float(one["cumulative"].sel(value="mean")) == pytest.approx(BP * 15 / 4)
    assert float(one["apr"].sel(value="mean")) == pytest.approx(365 * BP * 15 / 4)
    assert float(one["negative"]) == 0.25
    assert float(one["negative_share"]) == 0.25
    assert float(one["outside_next"]) == 0.75
    assert float(one["outside_share"]) == pytest.approx(1 - 5 / 12)
    assert float(one["reverts"]) == 0.5
    two = outlook.sel(contract="b")
    assert np.isnan(two["outside_share"])
    assert float(two["negative"]) == 0.0
    table = funding_table(outlook)
    assert table["contract"].tolist() == ["a", "b"]
    assert table["mean_bp"][0] == pytest.approx(3.75)


def test_time_to_revert_is_that_of_the_first_settlement_at_the_interest_rate(paths):
    first = paths.isel(draw=[0, 1, 1])
    assert float(funding_outlook(first).sel(contract="a")["revert_days"]) == pytest.approx(2 / 3)


def test_bands_of_settlements(paths):
    bands = funding_bands(paths, prob=(0.5,))
    values = paths["funding"].values[0, :, 0, 0]
    expected = np.quantile(values, [0.25, 0.75])
    np.testing.assert_allclose(bands["interval"].values[0, 0, 0], expected)
    assert np.isnan(bands["median"].values[1, 2])
    assert funding_bands(paths, variable="premium").attrs["variable"] == "premium"
    with pytest.raises(ValueError, match="probabilities lie between 0 and 1"):
        funding_bands(paths, prob=(90,))


def test_shorts_receive_what_longs_pay(paths):
    np.testing.assert_array_equal(funding_leg(paths), paths["funding"])
    np.testing.assert_array_equal(funding_leg(paths, "long"), -paths["funding"])


def test_an_early_close_forfeits_the_interval_unless_it_accrues(paths):
    leg = funding_leg(paths, close="2024-01-01T12:00").sel(chain=0)
    np.testing.assert_allclose(leg.sel(contract="a").sum("step"), BP * np.array([1, 2, -1, 3]))
    np.testing.assert_allclose(leg.sel(contract="b").sum("step"), BP * np.array([1.5, 0, 6, 3]))


def test_break_even_counts_settlements(paths):
    result = break_even(paths, 3 * BP)
    first = result["settlements"].sel(chain=0, contract="a").values
    np.testing.assert_array_equal(first, [3, 2, np.inf, 1])
    np.testing.assert_allclose(result["within"].sel(contract="a"), [0.25, 0.5, 0.75])
    assert np.isnan(result["within"].sel(contract="b").values[2])
    assert round_trip(Costs(fee_bp=5)) == pytest.approx(20 * BP)
    assert break_even(paths, Costs(fee_bp=5)).attrs["costs"] == pytest.approx(20 * BP)


def test_a_perpetual_against_a_dated_future(paths):
    result = against_dated(paths, 3.5 * BP, "2024-01-02T00:00")
    assert float(result["pays_more"].sel(contract="a")) == 0.5
    assert float(result["pays_more"].sel(contract="b")) == 0.5
    assert float(result["expected"].sel(contract="a")) == pytest.approx(3.75 * BP)
    with pytest.raises(ValueError, match="look further ahead"):
        against_dated(paths, 0.0, "2024-02-01")


def test_spreads_are_taken_draw_by_draw(paths):
    spread = funding_spread(paths, "a", "b").sel(chain=0)
    np.testing.assert_allclose(spread, BP * np.array([1, 4, -12, 8]), atol=1e-18)
    with pytest.raises(ValueError, match="'c' is not in the paths; there are a, b"):
        funding_spread(paths, "a", "c")
