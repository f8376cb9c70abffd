import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayesbasis.forecast.calendar import grid, rhythm


def panel(time, expiry="2024-03-29T08:00"):
    time = pd.DatetimeIndex(time).values.astype("datetime64[ns]")
    expiry = np.atleast_1d(np.array(expiry, "datetime64[ns]"))
    return xr.Dataset(
        coords={
            "time": ("obs", time),
            "contract_index": ("obs", np.zeros(len(time), int)),
            "expiry": ("contract", expiry),
        }
    )


def instant(text):
    return np.datetime64(text, "ns")


def test_the_grid_runs_from_the_origin_to_the_end_in_the_rhythm_of_the_panel():
    daily = panel(pd.date_range("2024-02-01", "2024-03-20"))
    times = grid(daily, np.array([0]), instant("2024-03-20"), instant("2024-03-29T08:00"))
    np.testing.assert_array_equal(times[:-1], pd.date_range("2024-03-20", "2024-03-29").values)
    assert times[-1] == instant("2024-03-29T08:00")
    assert times.dtype == "datetime64[ns]"


def test_weekends_are_left_out_where_the_market_keeps_them():
    weekdays = panel(pd.bdate_range("2024-01-01 16:00", "2024-03-13 16:00"))
    start, end = instant("2024-03-13T16:00"), instant("2024-03-29T08:00")
    days = pd.DatetimeIndex(grid(weekdays, np.array([0]), start, end)).day_of_week
    assert days.max() == 4
    assert len(days) == 1 + 11 + 1


def test_an_expiry_at_a_weekend_is_kept():
    weekdays = panel(pd.bdate_range("2024-01-01", "2024-03-13"), "2024-03-16")
    times = grid(weekdays, np.array([0]), instant("2024-03-13"), instant("2024-03-16"))
    np.testing.assert_array_equal(
        times, np.array(["2024-03-13", "2024-03-14", "2024-03-15", "2024-03-16"], "datetime64[ns]")
    )


def test_a_market_that_trades_at_weekends_forecasts_them():
    daily = panel(pd.date_range("2024-02-01", "2024-03-13"))
    times = grid(daily, np.array([0]), instant("2024-03-13"), instant("2024-03-29T08:00"))
    assert pd.DatetimeIndex(times).day_of_week.max() == 6


def test_expiries_on_the_way_are_on_the_grid():
    daily = panel(
        pd.date_range("2024-02-01", "2024-03-13"), ["2024-03-15T08:00", "2024-03-20T08:00"]
    )
    end = instant("2024-03-20T08:00")
    times = grid(daily, np.array([0, 1]), instant("2024-03-13"), end)
    assert instant("2024-03-15T08:00") in times
    assert (np.diff(times) > np.timedelta64(0, "ns")).all()
    alone = grid(daily, np.array([1]), instant("2024-03-13"), end)
    assert instant("2024-03-15T08:00") not in alone


def test_an_hourly_market_is_forecast_by_the_hour():
    hourly = panel(pd.date_range("2024-03-20", "2024-03-28", freq="h"))
    times = grid(hourly, np.array([0]), instant("2024-03-28"), instant("2024-03-29T08:00"))
    np.testing.assert_array_equal(np.diff(times), np.timedelta64(3600 * 10**9, "ns"))
    assert len(times) == 33


@pytest.mark.parametrize(("lost", "expected"), [(0.0, 1), (0.3, 1)])
def test_gaps_do_not_change_the_rhythm(lost, expected):
    days = pd.date_range("2023-01-01", "2024-03-01")
    kept = days[np.random.default_rng(1).random(len(days)) >= lost]
    assert rhythm(panel(kept)) == np.timedelta64(expected, "D")


def test_a_panel_of_single_quotes_has_a_rhythm_of_days():
    assert rhythm(panel(["2024-03-01"])) == np.timedelta64(1, "D")


def test_an_origin_less_than_a_step_from_the_end_goes_straight_there():
    daily = panel(pd.date_range("2024-02-01", "2024-03-29"))
    start, end = instant("2024-03-29"), instant("2024-03-29T08:00")
    np.testing.assert_array_equal(grid(daily, np.array([0]), start, end), [start, end])
