"""Facts about the panel."""

import re
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayesbasis.data.cleaning import Cleaning
from bayesbasis.data.panel import (
    countdown,
    families,
    is_perpetual,
    known_at,
    lives,
    make_panel,
    panel_hash,
)
from bayesbasis.data.prices import PriceError, read_prices
from bayesbasis.process.quadrature import ENDLESS

SETTLEMENTS = {"B": "2024-03-29T08:00Z", "A": "2024-06-28T08:00Z", "C": "2024-03-29T08:00Z"}


@pytest.fixture
def prices():
    """Return three contracts on two underlyings, shuffled, one listed late."""
    rng = np.random.default_rng(0)
    frames = []
    for name, settlement in SETTLEMENTS.items():
        time = pd.date_range("2024-01-02", periods=20, tz="UTC")[10 * (name == "A") :]
        spot = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, len(time))))
        columns = {
            "time": time,
            "underlying": "BTC" if name == "C" else "ETH",
            "venue": "deribit",
            "contract": name,
            "expiry": pd.Timestamp(settlement),
            "futures": spot * np.exp(0.01 + rng.normal(0, 1e-3, len(time))),
            "spot": spot,
            "volume": rng.integers(1, 9, len(time)),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames).sample(frac=1, random_state=1)


@pytest.fixture
def panel(prices):
    return make_panel(prices)[0]


def test_contracts_are_ordered_by_underlying_venue_expiry_and_name(panel):
    assert panel["contract"].values.tolist() == ["C", "B", "A"]
    assert panel["underlying"].values.tolist() == ["BTC", "ETH", "ETH"]


def test_quotes_are_ordered_by_contract_then_time(panel):
    index, time = panel["contract_index"].values, panel["time"].values
    np.testing.assert_array_equal(index, np.repeat([0, 1, 2], [20, 20, 10]))
    assert (np.diff(time)[np.diff(index) == 0] > np.timedelta64(0, "ns")).all()


def test_every_quote_is_found_where_it_belongs(prices, panel):
    keys = zip(panel["contract"].values[panel["contract_index"]], panel["time"].values, strict=True)
    rows = prices.set_index(["contract", prices["time"].dt.tz_localize(None)]).loc[list(keys)]
    for name in ("futures", "spot", "volume"):
        np.testing.assert_array_equal(panel[name], rows[name].astype(float))


def test_basis_and_tau_are_those_of_plain_arithmetic(panel):
    for i in range(panel.sizes["obs"]):
        quote = panel.isel(obs=i)
        expiry = SETTLEMENTS[str(panel["contract"].values[int(quote["contract_index"])])]
        time = datetime.fromtimestamp(int(quote["time"].astype("int64")) / 1e9, UTC)
        left = datetime.fromisoformat(expiry) - time
        ratio = float(quote["futures"]) / float(quote["spot"])
        np.testing.assert_allclose(quote["tau"], left.total_seconds() / (365 * 86400), rtol=1e-14)
        np.testing.assert_allclose(np.exp(quote["basis"]), ratio, rtol=1e-14)


def test_types_dims_and_coords_are_those_of_the_contract(panel):
    assert dict(panel.sizes) == {"obs": 50, "contract": 3}
    assert set(panel.data_vars) == {"futures", "spot", "basis", "tau", "volume"}
    assert {str(v.dtype) for v in panel.data_vars.values()} == {"float64"}
    assert list(panel.indexes) == ["contract"]
    on = {name: (coord.dims, coord.dtype.kind) for name, coord in panel.coords.items()}
    labels = dict.fromkeys(("contract", "underlying", "venue", "kind"), (("contract",), "U"))
    instants = {"time": (("obs",), "M"), "expiry": (("contract",), "M")}
    assert on == labels | instants | {"contract_index": (("obs",), "i")}
    assert panel["time"].dtype == panel["expiry"].dtype == "datetime64[ns]"


def test_everything_has_a_long_name_and_all_but_instants_a_unit(panel):
    for name, variable in panel.variables.items():
        assert variable.attrs["long_name"], name
        assert ("units" in variable.attrs) == (name not in {"time", "expiry"}), name


def test_a_panel_survives_netcdf(panel, tmp_path):
    panel.to_netcdf(tmp_path / "panel.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "panel.nc", engine="h5netcdf") as loaded:
        assert panel_hash(loaded) == panel_hash(panel)
        xr.testing.assert_equal(loaded.load(), panel)


def test_frame_file_and_read_prices_make_one_panel(prices, panel, tmp_path):
    prices.to_csv(tmp_path / "prices.csv", index=False)
    for source in (read_prices(prices), tmp_path / "prices.csv"):
        xr.testing.assert_identical(make_panel(source)[0], panel)


def test_the_input_is_never_changed(prices):
    before = prices.copy(deep=True)
    make_panel(prices)
    pd.testing.assert_frame_equal(prices, before)


def test_dirt_is_counted_and_contracts_without_rows_leave_the_panel(prices):
    dirty = prices.assign(futures=prices["futures"].where(prices["contract"] != "B", 0.0))
    panel, audit = make_panel(pd.concat([dirty, dirty.iloc[:7]]))
    assert panel["contract"].values.tolist() == ["C", "A"]
    assert np.unique(panel["contract_index"]).tolist() == [0, 1]
    dropped = audit.loc[audit["action"] == "dropped", "rows"].sum()
    assert audit.attrs["rows_in"] == 57 == panel.sizes["obs"] + dropped


def test_zone_is_handed_on(prices):
    local = prices.assign(time=prices["time"].dt.tz_localize(None))
    with pytest.raises(PriceError, match="no time zone"):
        make_panel(local)
    xr.testing.assert_identical(make_panel(local, timezone="UTC")[0], make_panel(prices)[0])


def test_choices_are_obeyed(prices):
    assert make_panel(prices, Cleaning(min_rows=11))[0]["contract"].values.tolist() == ["C", "B"]


def with_perpetual(prices):
    """Contract A as a perpetual."""
    mixed = prices.assign(kind="dated").reset_index(drop=True)
    perpetual = mixed["contract"] == "A"
    mixed.loc[perpetual, "kind"] = "perpetual"
    return mixed.assign(expiry=mixed["expiry"].mask(perpetual))


def test_perpetuals_stand_beside_dated_contracts_without_any_date(prices):
    panel, audit = make_panel(with_perpetual(prices))
    dated, _ = make_panel(prices)
    endless = panel["contract"].values == "A"
    assert np.isnat(panel["expiry"].values).tolist() == endless.tolist()
    own = endless[panel["contract_index"].values]
    assert np.isnan(panel["tau"].values[own]).all()
    assert (panel["tau"].values[~own] > 0).all()
    assert own.sum() == (dated["contract"].values == "A")[dated["contract_index"].values].sum()
    assert audit.attrs["rows_in"] == len(prices)
    assert is_perpetual(panel).tolist() == endless.tolist()
    named = panel["underlying"].values[endless][0]
    assert families(panel)[endless].tolist() == [f"{named} perpetual"]
    assert (families(panel)[~endless] == panel["underlying"].values[~endless]).all()


def test_perpetuals_come_after_the_dated_contracts_of_their_market(prices):
    home = prices.assign(underlying="BTC", venue="x")
    panel, _ = make_panel(with_perpetual(home))
    assert panel["contract"].values[-1] == "A"
    assert panel_hash(panel) == panel_hash(make_panel(with_perpetual(home))[0])
    assert panel_hash(panel) != panel_hash(make_panel(home)[0])


def test_a_countdown_goes_down_in_years_with_or_without_an_expiry(prices):
    time = np.array(["2024-01-01", "2024-01-11"], "datetime64[ns]")
    dated = countdown(np.datetime64("2024-03-01", "ns"), time)
    endless = countdown(np.datetime64("NaT", "ns"), time)
    assert dated.tolist() == [60 / 365, 50 / 365]
    np.testing.assert_allclose(np.diff(endless), -10 / 365, rtol=1e-9)
    assert (endless > ENDLESS).all()


def test_a_perpetual_lives_while_it_is_quoted(prices):
    panel, _ = make_panel(with_perpetual(prices))
    endless = np.flatnonzero(is_perpetual(panel))[0]
    last = panel["time"].values[panel["contract_index"].values == endless].max()
    day = np.timedelta64(1, "D")
    assert lives(panel, last + 29 * day)[endless]
    assert not lives(panel, last + 31 * day)[endless]


@pytest.mark.parametrize("name", ["basis", "tau", "contract_index", "obs"])
def test_a_column_that_would_hide_a_variable_is_refused(prices, name):
    said = (
        f"column {name!r}: the panel has a variable of that name. Drop it or give it another: "
        f"prices.rename(columns={{{name!r}: 'my_{name}'}})."
    )
    with pytest.raises(PriceError, match=f"^{re.escape(said)}$"):
        make_panel(prices.assign(**{name: 1.0}))


def test_a_table_of_which_nothing_is_left_is_refused_with_the_causes(prices):
    frame = prices[prices["contract"] == "A"].iloc[:3].reset_index(drop=True)
    frame.loc[0, "spot"] = np.nan
    frame.loc[1, "spot"] = -1.0
    said = (
        "no row of 3 is left after cleaning: missing price 1, non-positive price 1, contract too "
        "short 1. Mend the prices, or loosen the cleaning."
    )
    with pytest.raises(PriceError, match=f"^{re.escape(said)}$"):
        make_panel(frame)


# known_at ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time",
    [
        "2024-01-05",
        "2024-01-05T00:00Z",
        "2024-01-04T19:00-05:00",
        np.datetime64("2024-01-05"),
        datetime(2024, 1, 5, tzinfo=UTC),
        pd.Timestamp("2024-01-05", tz="UTC"),
    ],
)
def test_the_instant_itself_is_known_and_later_quotes_are_not(prices, time):
    past = known_at(make_panel(prices)[0], time)
    early = make_panel(prices[prices["time"] <= pd.Timestamp("2024-01-05", tz="UTC")])[0]
    xr.testing.assert_identical(past, early)
    assert past["contract"].values.tolist() == ["C", "B"]


def test_contracts_in_the_middle_may_be_unknown(prices):
    late = prices[(prices["contract"] != "B") | (prices["time"] >= "2024-01-15T00:00Z")]
    past = known_at(make_panel(late)[0], "2024-01-13")
    assert past["contract"].values.tolist() == ["C", "A"]
    assert np.unique(past["contract_index"]).tolist() == [0, 1]


def test_a_time_after_everything_changes_nothing(panel):
    xr.testing.assert_identical(known_at(panel, "2030-01-01"), panel)


def test_a_time_before_everything_is_refused(panel):
    said = (
        "no quote is known at 2020-01-01 00:00:00+00:00: the first is of "
        "2024-01-02 00:00:00+00:00. Take a later time."
    )
    with pytest.raises(PriceError, match=f"^{re.escape(said)}$"):
        known_at(panel, "2020-01-01")


def test_no_time_is_refused(panel):
    with pytest.raises(PriceError, match=r"^time must be an instant, got 'NaT'$"):
        known_at(panel, "NaT")


# panel_hash --------------------------------------------------------------------------------------


def test_attributes_storage_and_order_do_not_change_the_hash(panel):
    other = panel[sorted(panel.variables, reverse=True)].copy(deep=True)
    other.attrs["title"] = "x"
    other["tau"].attrs.clear()
    other = other.assign_coords(
        venue=("contract", panel["venue"].values.astype(object)),
        contract_index=("obs", panel["contract_index"].values.astype("int32")),
    )
    assert panel_hash(other) == panel_hash(panel)
    assert re.fullmatch("[0-9a-f]{64}", panel_hash(panel))


@pytest.mark.parametrize("name", ["futures", "time", "contract", "venue", "contract_index"])
def test_any_value_changes_the_hash(panel, name):
    values = panel[name].values.copy()
    values[0] = {"U": "Z", "M": np.datetime64("2000-01-01"), "f": 1.0, "i": 1}[values.dtype.kind]
    changed = panel.assign_coords({name: (panel[name].dims, values)})
    assert panel_hash(changed) != panel_hash(panel)


def test_a_name_changes_the_hash(panel):
    assert panel_hash(panel.rename(volume="depth")) != panel_hash(panel)


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "obs", "contracts"),
    [("btc-quarter", 1150, 13), ("vix", 13670, 100), ("ss-oil", 5633, 82)],
)
def test_real_markets_become_panels(real_data, file, obs, contracts):
    panel, _ = make_panel(real_data(f"{file}.parquet"))
    assert dict(panel.sizes) == {"obs": obs, "contract": contracts}
    assert float(panel["tau"].min()) > 0
    assert (np.diff(panel["contract_index"]) >= 0).all()


@pytest.mark.real
def test_a_spot_that_is_the_nearest_contract_has_a_basis_of_zero(real_data):
    panel, _ = make_panel(real_data("ss-oil.parquet"))
    assert int((panel["basis"] == 0).sum()) > 100
