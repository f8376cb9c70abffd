import numpy as np
import pandas as pd
import pytest

from bayesbasis.data.exchanges import ExchangeError, read_exchange
from bayesbasis.data.funding import make_funding, read_funding
from bayesbasis.data.panel import known_at, panel_hash
from bayesbasis.data.schema import PriceError


def history(hours, rates=1e-4, *, venue="okx", underlying="BTC", contract="BTC-PERP"):
    time = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.asarray(hours, float), "h")
    labels = {"venue": venue, "underlying": underlying, "contract": contract}
    return pd.DataFrame({"time": time, "funding_rate": rates} | labels)


def said(audit, check):
    rows = audit[(audit["check"] == check) & (audit["rows"] > 0)]
    return dict(zip(rows["contract"], rows["detail"], strict=True))


def every(interval, count, start=0.0):
    return start + interval * np.arange(count)


def test_rates_stand_under_separate_names():
    made, _ = make_funding(history(every(8, 6), 2e-4))
    assert made["funding_rate"].values == pytest.approx(2e-4)
    assert made["rate_hour"].values == pytest.approx(2.5e-5)
    assert made["apr_simple"].values == pytest.approx(2e-4 * 1095)
    assert made["apr_compounded"].values == pytest.approx(1.0002**1095 - 1)
    assert all("long_name" in made[name].attrs for name in made.variables)


def test_one_basis_point_per_eight_hours_is_ten_point_nine_five_percent():
    made, _ = make_funding(history(every(8, 5)))
    assert float(made["apr_simple"][0]) == pytest.approx(0.1095)


def test_intervals_are_inferred_and_their_changes_dated():
    hours = [*every(8, 10), *(76 + every(4, 10)), *(113 + every(1, 12))]
    made, audit = make_funding(history(hours))
    np.testing.assert_array_equal(made["interval"].values, [8.0] * 10 + [4.0] * 10 + [1.0] * 12)
    assert said(audit, "interval") == {
        "BTC-PERP": "8 h, 4 h from 2024-01-04 04:00, 1 h from 2024-01-05 17:00"
    }
    assert float(made["interval_now"][0]) == 1.0


def test_gaps_are_counted_and_do_not_change_the_interval():
    made, audit = make_funding(history([*every(8, 10), *(104 + every(8, 10))]))
    assert (made["interval"] == 8).all()
    assert said(audit, "gap") == {"BTC-PERP": "3 settlements missing, the longest gap 32 h"}


def test_a_gap_in_an_hourly_history_is_no_change_of_interval():
    made, audit = make_funding(history([*every(1, 10), *(13 + every(1, 10))], venue="hyperliquid"))
    assert (made["interval"] == 1).all()
    assert said(audit, "gap") == {"BTC-PERP": "3 settlements missing, the longest gap 4 h"}


def test_late_settlements_are_reported_and_belong_to_their_slot():
    hours = every(8, 12)
    hours[5] += 2
    made, audit = make_funding(history(hours))
    assert (made["interval"] == 8).all()
    assert said(audit, "shifted clock") == {
        "BTC-PERP": "by +2.0 to +2.0 h off the contract's hours"
    }
    on_time = pd.Timestamp("2024-01-01") + pd.to_timedelta(every(8, 12), "h")
    np.testing.assert_array_equal(made["scheduled"].values, on_time.to_numpy("datetime64[ns]"))
    assert made["time"].values[5] != made["scheduled"].values[5]


def test_a_clock_that_is_not_the_venues_is_reported():
    _, audit = make_funding(history(every(8, 12, start=3)))
    assert said(audit, "other hours") == {"BTC-PERP": "settles at 03, 11, 19 UTC, unlike its venue"}
    _, audit = make_funding(history(every(8, 12, start=4), venue="bitmex"))
    assert said(audit, "other hours") == {}


def test_duplicates_keep_the_last_and_missing_rates_go():
    rates = [1e-4, 1e-4, 3e-4, np.nan, 1e-4]
    made, audit = make_funding(history([0, 8, 8, 16, 24], rates))
    np.testing.assert_allclose(made["funding_rate"].values, [1e-4, 3e-4, 1e-4])
    assert said(audit, "duplicate") == {"BTC-PERP": "1 with another rate"}
    assert said(audit, "missing rate") == {"BTC-PERP": "no finite rate"}
    assert audit.attrs == {"rows_in": 5, "rows_out": 3}


def test_every_rate_says_what_it_says_of_the_premium():
    rates = [1e-4, 3e-4, -2e-4, 0.00375, -0.00375]
    made, audit = make_funding(history(every(8, 5), rates))
    np.testing.assert_allclose(made["premium_lower"].values, [-4e-4, 8e-4, -7e-4, 0.00425, -np.inf])
    np.testing.assert_allclose(made["premium_upper"].values, [6e-4, 8e-4, -7e-4, np.inf, -0.00425])
    assert said(audit, "at the cap") == {"BTC-PERP": "cap 0.375 %"}
    assert said(audit, "at the interest rate") == {"BTC-PERP": "20.0 % of its settlements"}
    assert said(audit, "negative") == {"BTC-PERP": "40.0 % of its settlements"}


def test_shorter_intervals_say_the_same_of_the_premium_per_eight_hours():
    made, _ = make_funding(history(every(4, 6), 1.5e-4))
    np.testing.assert_allclose(made["premium_lower"].values, 8e-4)
    made, _ = make_funding(history(every(4, 6), 0.5e-4))
    np.testing.assert_allclose(made["premium_upper"].values, 6e-4)


def test_a_contract_that_runs_against_the_others_is_named():
    rng = np.random.default_rng(1)
    rates = 1e-4 * rng.standard_normal(300)
    tables = [
        history(every(8, 300), rates * sign, venue=venue, contract=venue)
        for venue, sign in (("okx", 1), ("binance", 1.2), ("bitmex", -1))
    ]
    _, audit = make_funding(pd.concat(tables))
    assert list(said(audit, "sign")) == ["bitmex"]


def test_percent_is_suspected():
    _, audit = make_funding(history(every(8, 50), 0.1))
    assert "divide by 100" in said(audit, "unit")["BTC-PERP"]


def test_one_name_on_two_venues_becomes_two():
    both = pd.concat([history(every(8, 5)), history(every(8, 5), venue="bitmex")])
    made, _ = make_funding(both)
    assert made["contract"].values.tolist() == ["bitmex:BTC-PERP", "okx:BTC-PERP"]
    assert (made["kind"] == "perpetual").all()


def test_rules_are_those_of_the_day_and_users_bring_their_own():
    text = 'venue = "mine"\n[[funding]]\nsince = 2023-01-01\ninterest = 0.0001\nclamp = 0.0005\n'
    text += "[[funding]]\nsince = 2024-01-03\ninterest = 0.0002\nclamp = 0.0005\n"
    table = history(every(8, 12), 2e-4, venue="mine")
    made, _ = make_funding(table, exchanges=[read_exchange(text)])
    width = made["premium_upper"].values - made["premium_lower"].values
    np.testing.assert_allclose(width, [0.0] * 6 + [1e-3] * 6, atol=1e-15)
    assert float(made["interest"][0]) == 0.0002
    with pytest.raises(ExchangeError, match="venue 'mine'"):
        make_funding(table)


def test_a_history_is_known_up_to_a_time_and_has_a_fingerprint():
    made, _ = make_funding(history(every(8, 12)))
    past = known_at(made, "2024-01-02T00:00Z")
    assert past.sizes["obs"] == 4
    assert panel_hash(past) != panel_hash(made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"funding_rate": "high"}, "column 'funding_rate', contract 'BTC-PERP', row 0"),
        ({"venue": ""}, "column 'venue', contract 'BTC-PERP', row 0 .*the cell is empty"),
        ({"time": "2024-01-01 00:00"}, "carries no time zone"),
        ({"funding_rate": np.nan}, "no settlement of 3 has a rate"),
    ],
)
def test_what_cannot_be_read_is_named(change, message):
    with pytest.raises(PriceError, match=message):
        make_funding(history(every(8, 3)).assign(**change))


def test_other_numbers_are_kept_as_covariates_in_the_order_of_settlements():
    frame = history(every(8, 3)).assign(carry=[1, 2, 3], note="text").iloc[::-1]
    made, _ = make_funding(frame)
    assert made["carry"].values.tolist() == [1.0, 2.0, 3.0]
    assert made["carry"].dims == ("obs",)
    assert "note" not in made


def test_a_covariate_with_the_name_of_a_variable_is_refused():
    with pytest.raises(PriceError, match="the column 'interval' has the name of a variable"):
        make_funding(history(every(8, 3)).assign(interval=1.0))


def test_a_missing_column_is_guessed():
    with pytest.raises(PriceError, match="'funding_rate': missing; did you mean 'fundingRate'"):
        read_funding(history(every(8, 3)).rename(columns={"funding_rate": "fundingRate"}))


@pytest.mark.real
def test_the_real_history(real_data):
    made, audit = make_funding(real_data("funding-history.parquet"))
    assert (made.sizes["obs"], made.sizes["contract"]) == (48_004, 14)
    hourly = made["interval_now"].values == 1
    assert set(made["venue"].values[hourly]) == {"dydx"}
    shares = audit[audit["check"] == "at the interest rate"].set_index("contract")["detail"]
    assert shares["binance:BTC-USDT-PERP"].startswith("41.5 %")
    assert shares["gate:ETH-USDT-PERP"].startswith("53.6 %")
    assert said(audit, "gap")["htx:BTC-USDT-PERP"].startswith("2 settlements missing")
