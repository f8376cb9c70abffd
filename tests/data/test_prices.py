"""Facts about reading prices."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from bayesbasis.data.prices import PriceError, read_prices


def table(**columns):
    """Return four honest quotes of one contract with some columns replaced."""
    honest = {
        "time": pd.date_range("2024-01-02", periods=4, tz="UTC"),
        "underlying": "BTC",
        "venue": "deribit",
        "contract": "A",
        "expiry": pd.Timestamp("2024-03-29T08:00Z"),
        "futures": [101.0, 102.0, 103.0, 104.0],
        "spot": [100.0, 101.0, 102.0, 103.0],
    }
    return pd.DataFrame(honest | columns)


def fails(message, source, timezone=None):
    """Assert that reading `source` raises PriceError with exactly this message."""
    with pytest.raises(PriceError, match=f"^{re.escape(message)}$"):
        read_prices(source, timezone=timezone)


ROW = (
    "the row holds time=2024-01-0{day} 00:00:00+00:00, expiry=2024-03-29 08:00:00+00:00, "
    "futures={futures}, spot={spot}. "
)


# What is read -----------------------------------------------------------------------------------


def test_types_are_those_of_the_schema():
    dtypes = read_prices(table(futures=[1, 2, 3, 4], volume=[1, 2, 3, 4])).dtypes.astype(str)
    utc = "datetime64[ns, UTC]"
    text = dict.fromkeys(("underlying", "venue", "contract", "kind"), "str")
    numbers = dict.fromkeys(("futures", "spot", "volume"), "float64")
    assert dtypes.to_dict() == {"time": utc, "expiry": utc} | text | numbers


def test_what_was_read_reads_the_same_again():
    once = read_prices(table(note="x", depth=3))
    pd.testing.assert_frame_equal(read_prices(once), once)


def test_the_input_is_never_changed():
    frame = table(time=["2024-01-02T00:00Z"] * 4, futures=["1", "2", "3", "4"])
    before = frame.copy(deep=True)
    read_prices(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_rows_keep_their_order_and_lose_their_index():
    frame = table().iloc[[2, 0, 3, 1]]
    read = read_prices(frame)
    assert read["futures"].tolist() == [103.0, 101.0, 104.0, 102.0]
    assert read.index.tolist() == [0, 1, 2, 3]


def test_time_may_be_the_index():
    pd.testing.assert_frame_equal(read_prices(table().set_index("time")), read_prices(table()))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_files_and_frames_read_alike_to_the_last_bit(tmp_path, suffix):
    rng = np.random.default_rng(1)
    frame = table(contract="0624", futures=rng.lognormal(size=4), spot=rng.lognormal(size=4))
    path = tmp_path / f"prices{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_prices(path), read_prices(frame), check_exact=True)
    pd.testing.assert_frame_equal(read_prices(str(path)), read_prices(frame), check_exact=True)


@pytest.mark.parametrize(
    "written",
    [
        "2024-01-02T05:00:00Z",
        "2024-01-02 05:00:00 UTC",
        "2024-01-02T00:00:00-05:00",
        "2024-01-02T10:30+0530",
        "20240102T050000Z",
        "2024-01-02T05Z",
    ],
)
def test_offsets_in_text_name_one_instant(written):
    read = read_prices(table(time=[written] * 4))
    assert (read["time"] == pd.Timestamp("2024-01-02T05:00Z")).all()


def test_zones_may_differ_from_row_to_row():
    cells = ["2024-01-02T05:00Z", pd.Timestamp("2024-01-02T00:00", tz="America/New_York")]
    read = read_prices(table(time=pd.Series(cells * 2, dtype=object)))
    assert (read["time"] == pd.Timestamp("2024-01-02T05:00Z")).all()


@pytest.mark.parametrize("as_text", [True, False])
def test_a_named_zone_gives_local_times_their_instants(as_text):
    local = pd.to_datetime(["2024-01-02", "2024-03-08", "2024-03-11", "2024-03-12"])
    time = local.strftime("%Y-%m-%dT%H:%M:%S") if as_text else local
    read = read_prices(table(time=time), timezone="America/New_York")
    assert read["time"].dt.hour.tolist() == [5, 5, 4, 4]
    assert (read["expiry"] == pd.Timestamp("2024-03-29T08:00Z")).all()


def test_a_date_alone_is_its_midnight():
    read = read_prices(table(expiry="2024-03-29"), timezone="UTC")
    assert (read["expiry"] == pd.Timestamp("2024-03-29T00:00Z")).all()


@pytest.mark.parametrize("dtype", ["object", "str", "Float64", "float64[pyarrow]", "float32"])
def test_prices_of_any_numeric_storage_become_floats(dtype):
    cells = pd.Series(["1.5", "2", None, "4"] if dtype in {"object", "str"} else [1.5, 2, None, 4])
    read = read_prices(table(futures=cells.astype(dtype)))
    np.testing.assert_array_equal(read["futures"], [1.5, 2.0, np.nan, 4.0])


@pytest.mark.parametrize("contract", [240329, pd.Categorical(["240329"] * 4)])
def test_labels_become_text(contract):
    assert read_prices(table(contract=contract))["contract"].tolist() == ["240329"] * 4


def test_perpetuals_are_kept_without_expiry():
    frame = pd.concat([table(), table(contract="P", expiry=pd.NaT)], ignore_index=True)
    frame["kind"] = ["dated"] * 4 + ["perpetual"] * 4
    read = read_prices(frame)
    assert read["kind"].tolist() == frame["kind"].tolist()
    assert read["expiry"].isna().sum() == 4


def test_reading_prices_is_what_imports_pandera():
    code = "import sys, bayesbasis.data.panel; sys.exit('pandera' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What is refused: files --------------------------------------------------------------------------


def test_missing_file_suggests_its_neighbour(tmp_path):
    (tmp_path / "btc-quarter.parquet").touch()
    path = str(tmp_path / "btc_quarter.parquet")
    fails(f"{path!r}: no such file; did you mean 'btc-quarter.parquet'?", path)


def test_missing_file_without_neighbours(tmp_path):
    path = str(tmp_path / "nowhere" / "x.csv")
    fails(f"{path!r}: no such file.", path)


def test_unknown_suffix_names_the_known_ones(tmp_path):
    path = tmp_path / "prices.xlsx"
    path.touch()
    fails(
        f"{str(path)!r}: unknown suffix '.xlsx', expected one of '.csv', '.csv.gz', '.parquet'. "
        "Convert the file, or pass a pandas.DataFrame.",
        path,
    )


def test_empty_file_is_refused(tmp_path):
    path = tmp_path / "prices.csv"
    path.touch()
    fails(f"{str(path)!r}: cannot be read as .csv: No columns to parse from file", path)


def test_broken_parquet_is_refused(tmp_path):
    path = tmp_path / "prices.parquet"
    path.write_bytes(b"not parquet at all")
    with pytest.raises(PriceError, match=r"cannot be read as \.parquet: "):
        read_prices(path)


def test_other_objects_are_refused():
    fails("prices must be a path or a pandas.DataFrame, got list", [])


# What is refused: columns ------------------------------------------------------------------------


def test_header_without_rows_is_refused():
    fails(
        "no rows: a price table has one row a quote, with 'time', 'underlying', 'venue', "
        "'contract', 'expiry', 'futures', 'spot'.",
        table().iloc[:0],
    )


def test_missing_column_suggests_its_like():
    fails(
        "column 'spot': missing; did you mean ' Spot'? Needed are 'time', 'underlying', 'venue', "
        "'contract', 'expiry', 'futures', 'spot', found are 'time', 'underlying', 'venue', "
        "'contract', 'expiry', 'futures', ' Spot'. Rename or add it.",
        table().rename(columns={"spot": " Spot"}),
    )


def test_missing_expiry_column_is_named():
    with pytest.raises(PriceError, match=r"^column 'expiry': missing\. Needed are 'time', "):
        read_prices(table().drop(columns="expiry"))


def test_column_that_appears_twice_is_named():
    frame = pd.concat([table(), table()[["spot"]]], axis=1)
    fails("column 'spot': appears twice. Keep one of them.", frame)


ZONE_REMEDY = (
    "Pass timezone='UTC', or the IANA name of the zone it was written in such as "
    "'America/Chicago', or write the offset: 2024-03-29T08:00:00Z."
)


@pytest.mark.parametrize("as_text", [True, False])
def test_timestamps_without_zone_are_refused(as_text):
    time = pd.date_range("2024-01-02T09:30", periods=4)
    shown = "2024-01-02 09:30:00"
    fails(
        f"column 'time', contract 'A', row 0 (counted from 0): {shown} carries no time zone, so "
        f"its instant is ambiguous; the row holds time={shown}, expiry=2024-03-29 08:00:00+00:00, "
        f"futures=101.0, spot=100.0. {ZONE_REMEDY}",
        table(time=time.strftime("%Y-%m-%d %H:%M:%S") if as_text else time),
    )


def test_expiry_without_zone_is_refused():
    with pytest.raises(PriceError, match=r"^column 'expiry', .* 2024-03-29 carries no time zone"):
        read_prices(table(expiry="2024-03-29"))


def test_some_timestamps_without_zone_are_refused():
    time = ["2024-01-02T00:00Z", "2024-01-03T00:00Z", "2024-01-04", "2024-01-05"]
    fails(
        "column 'time', contract 'A', row 2 (counted from 0): 2024-01-04, unlike others of the "
        "column, carries no time zone, so its instant is ambiguous; the row holds "
        "time=2024-01-04, expiry=2024-03-29 08:00:00+00:00, futures=103.0, spot=102.0. "
        f"{ZONE_REMEDY}",
        table(time=time),
    )


@pytest.mark.parametrize("local", ["2024-11-03T01:30:00", "2024-03-10T02:30:00"])
def test_hours_that_happen_twice_or_never_are_refused(local):
    fails(
        f"column 'time', contract 'A', row 1 (counted from 0): {local} happens twice or never in "
        f"America/New_York, where the clocks change; the row holds time={local}, "
        "expiry=2025-03-29 08:00:00+00:00, futures=102.0, spot=101.0. "
        "Write the offset, such as 2024-11-03T01:30:00-05:00.",
        table(
            time=["2024-01-02T00:00:00", local, local, local],
            expiry=pd.Timestamp("2025-03-29T08:00Z"),
        ),
        timezone="America/New_York",
    )


def test_unknown_zone_suggests_its_like():
    fails(
        "timezone 'Amercia/Chicago': not an IANA name; did you mean 'America/Chicago'? "
        "Pass one such as 'UTC'.",
        table(),
        timezone="Amercia/Chicago",
    )


def test_words_are_no_timestamps():
    fails(
        "column 'time', contract 'A', row 1 (counted from 0): '03/01/2024' is not a timestamp; "
        "the row holds time=03/01/2024, expiry=2024-03-29 08:00:00+00:00, futures=102.0, "
        "spot=101.0. Write ISO 8601 with an offset, such as 2024-03-29T08:00:00Z.",
        table(time=["2024-01-02T00:00Z", "03/01/2024", "x", None]),
    )


def test_numbers_are_no_timestamps():
    fails(
        "column 'time', contract 'A', row 0 (counted from 0): 1704153600000 is not a timestamp; "
        "the row holds time=1704153600000, expiry=2024-03-29 08:00:00+00:00, futures=101.0, "
        "spot=100.0. If it counts milliseconds from 1970, convert it: "
        "pd.to_datetime(prices['time'], unit='ms', utc=True).",
        table(time=1_704_153_600_000),
    )


@pytest.mark.parametrize("as_text", [True, False])
def test_expiry_at_the_end_of_days_is_refused(as_text):
    shown = "9999-12-31 00:00:00+00:00"
    fails(
        f"column 'expiry', contract 'A', row 0 (counted from 0): {shown} is not between the years "
        f"1678 and 2261; the row holds time=2024-01-02 00:00:00+00:00, expiry={shown}, "
        "futures=101.0, spot=100.0. Leave the expiry of a perpetual empty and set its kind to "
        "'perpetual'.",
        table(expiry=shown if as_text else pd.Timestamp(shown)),
    )


def test_first_cell_of_text_among_prices_is_named():
    fails(
        "column 'futures', contract 'A', row 2 (counted from 0): '1,034.5' is not a number; "
        + ROW.format(day=4, futures="1,034.5", spot=102.0)
        + "Write plain numbers such as 1234.5, and leave the cell empty where there is none.",
        table(futures=["1034.5", None, "1,034.5", "n.a."]),
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (True, "True is not a number"),
        (1 + 2j, r"\(1\+2j\) is not a number"),
        (pd.Timestamp("2024-01-02"), r"Timestamp\('2024-01-02 00:00:00'\) is not a number"),
    ],
)
def test_other_types_are_no_prices(wrong, said):
    with pytest.raises(PriceError, match=rf"^column 'spot', contract 'A', row 0 .*: {said}; "):
        read_prices(table(spot=wrong))


def test_fractions_are_no_names():
    fails(
        "column 'contract', contract '1.5', row 0 (counted from 0): 1.5 is not a name; "
        + ROW.format(day=2, futures=101.0, spot=100.0)
        + "Write names as text.",
        table(contract=1.5),
    )


# What is refused: rows ---------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["time", "underlying", "venue", "contract"])
def test_empty_cells_are_refused(column):
    frame = table()
    frame.loc[2, column] = None
    contract = "nan" if column == "contract" else "A"
    row = ROW.format(day=4, futures=103.0, spot=102.0)
    fails(
        f"column {column!r}, contract {contract!r}, row 2 (counted from 0): the cell is empty; "
        + (row.replace("2024-01-04 00:00:00+00:00", "NaT") if column == "time" else row)
        + f"Fill it, or drop such rows: prices[prices[{column!r}].notna()].",
        frame,
    )


def test_unknown_kind_is_refused():
    fails(
        "column 'kind', contract 'A', row 0 (counted from 0): kind 'option' is not one of "
        "('dated', 'daily', 'weekly', 'biweekly', 'monthly', 'quarterly', 'perpetual'); "
        + ROW.format(day=2, futures=101.0, spot=100.0)
        + "Say 'dated' for futures that expire, or how often they do, and 'perpetual' for those "
        "that do not.",
        table(kind="option"),
    )


def test_dated_contract_without_expiry_is_refused():
    frame = table()
    frame.loc[1, "expiry"] = pd.NaT
    fails(
        "column 'expiry', contract 'A', row 1 (counted from 0): a dated contract has no expiry; "
        "the row holds time=2024-01-03 00:00:00+00:00, expiry=NaT, futures=102.0, spot=101.0. "
        "Give its settlement instant in every row, or set its kind to 'perpetual'.",
        frame,
    )


def test_perpetual_with_an_expiry_is_refused():
    fails(
        "column 'expiry', contract 'A', row 0 (counted from 0): a perpetual has an expiry; "
        + ROW.format(day=2, futures=101.0, spot=100.0)
        + "Leave the expiry of a perpetual empty, or set its kind to 'dated'.",
        table(kind="perpetual"),
    )


def test_contract_that_is_perpetual_at_times_is_refused():
    frame = table(kind="dated")
    frame.loc[1, "kind"], frame.loc[1, "expiry"] = "perpetual", pd.NaT
    fails(
        "column 'kind', contract 'A', row 1 (counted from 0): the contract is dated in some rows "
        "and perpetual in others; the row holds time=2024-01-03 00:00:00+00:00, expiry=NaT, "
        "futures=102.0, spot=101.0. Let it be one or the other, or give two names to two "
        "contracts.",
        frame,
    )


def test_contract_with_two_expiries_is_refused():
    frame = table()
    frame.loc[2:, "expiry"] = pd.Timestamp("2024-06-28T08:00Z")
    fails(
        "column 'expiry', contract 'A', row 2 (counted from 0): the contract has two expiries, "
        "2024-03-29 08:00:00+00:00 and 2024-06-28 08:00:00+00:00; the row holds "
        "time=2024-01-04 00:00:00+00:00, expiry=2024-06-28 08:00:00+00:00, futures=103.0, "
        "spot=102.0. Give each contract one settlement instant, or two names to two contracts.",
        frame,
    )


def test_contract_name_shared_by_two_venues_is_refused():
    fails(
        "column 'contract', contract 'A', row 2 (counted from 0): the contract is listed for "
        "'BTC' on 'okx' and for 'BTC' on 'bybit'; "
        + ROW.format(day=4, futures=103.0, spot=102.0)
        + "Tell them apart by name: prices['contract'] = prices['venue'] + ':' + "
        "prices['contract'].",
        table(venue=["okx", "okx", "bybit", "bybit"]),
    )


@pytest.mark.parametrize("expiry", ["2024-01-01 08:00:00+00:00", "2024-01-02 00:00:00+00:00"])
def test_expiry_not_after_the_first_quote_is_refused(expiry):
    frame = pd.concat([table(contract="B"), table(expiry=pd.Timestamp(expiry))])
    fails(
        "column 'expiry', contract 'A', row 4 (counted from 0): the contract's first quote, "
        "2024-01-02 00:00:00+00:00, is not before its expiry; the row holds "
        f"time=2024-01-02 00:00:00+00:00, expiry={expiry}, futures=101.0, spot=100.0. "
        "Check that expiry and time are the right way round and in the right zones.",
        frame,
    )


def test_table_without_a_single_usable_row_is_refused():
    fails(
        "column 'futures', contract 'A', row 0 (counted from 0): no row of the table has a "
        "positive futures and spot price; "
        + ROW.format(day=2, futures=0.0, spot=100.0)
        + "Check that the prices are in these columns and were read as numbers.",
        table(futures=[0.0, -1.0, np.inf, 5.0], spot=[100.0, 100.0, 100.0, np.nan]),
    )


@pytest.mark.real
def test_real_perpetuals_read_and_funding_lacks_prices(real_data):
    assert (read_prices(real_data("perp-daily.parquet"))["kind"] == "perpetual").all()
    with pytest.raises(PriceError, match=r"^column 'expiry': missing\. "):
        read_prices(real_data("funding-history.parquet"))
