"""Facts about covariates joined to prices."""

import numpy as np
import pandas as pd
import pytest

from bayesbasis.data.covariates import join_covariates
from bayesbasis.data.schema import PriceError


def stamps(*texts):
    return pd.to_datetime(list(texts), utc=True, format="mixed")


PRICES = pd.DataFrame(
    {
        "time": stamps("2024-01-04 12:00", "2024-01-02", "2024-01-03"),
        "underlying": ["BTC", "BTC", "ETH"],
        "futures": [1.0, 2.0, 3.0],
    },
    index=[10, 20, 30],
)
DAYS = pd.DataFrame(
    {
        "date": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]),
        "rate": [5.0, np.nan, 7.0],
        "fear": [1.0, 2.0, 3.0],
        "note": ["a", "b", "c"],
    }
)


def test_a_row_gets_what_was_known_at_its_time_and_keeps_its_place():
    found = join_covariates(PRICES, DAYS)
    # The value dated a day is known when that day is over.
    assert found["fear"].tolist() == [3.0, 1.0, 2.0]
    assert found["rate"].tolist() == [7.0, 5.0, 5.0]  # what is missing is skipped
    assert found.index.tolist() == [10, 20, 30]
    pd.testing.assert_frame_equal(found[list(PRICES)], PRICES)
    assert "note" not in found


def test_no_row_sees_the_future():
    rng = np.random.default_rng(0)
    times = pd.date_range("2024-01-01", periods=300, freq="7h", tz="UTC")
    prices = pd.DataFrame({"time": rng.permutation(times)})
    table = pd.DataFrame({"time": times[::5], "x": np.arange(60.0)})
    found = join_covariates(prices, table, delay="2h")
    for time, x in zip(found["time"], found["x"], strict=True):
        known = table["time"] + pd.Timedelta("2h") <= time
        assert np.isnan(x) if not known.any() else x == table["x"][known].iloc[-1]


def test_values_by_underlying_and_not_older_than_they_may_be():
    table = pd.DataFrame(
        {
            "time": stamps("2024-01-01", "2024-01-02"),
            "underlying": ["BTC", "ETH"],
            "x": [1.0, 2.0],
        }
    )
    found = join_covariates(PRICES, table, ["x"], delay="0s", by=["underlying"])
    assert found["x"].tolist() == [1.0, 1.0, 2.0]
    fresh = join_covariates(PRICES, table, delay="0s", by=["underlying"], within="36h")
    assert fresh["x"].tolist()[1:] == [1.0, 2.0]
    assert np.isnan(fresh["x"].iloc[0])


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (DAYS.drop(columns="date"), None, "no column time or date, only rate, fear, note"),
        (DAYS, ["rates"], "no column 'rates', only date, rate, fear, note"),
        (DAYS.rename(columns={"rate": "futures"}), None, "a column 'futures' already"),
    ],
)
def test_tables_that_do_not_fit_say_why(table, columns, message):
    with pytest.raises(PriceError, match=message):
        join_covariates(PRICES, table, columns)
