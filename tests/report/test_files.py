import pandas as pd
import pytest

from bayesbasis.report.files import replacing, write_bands


def test_a_file_takes_its_place_only_once_it_is_whole(tmp_path):
    target = tmp_path / "bands.csv"
    target.write_text("old")
    with pytest.raises(TypeError), replacing(target) as whole:
        whole.write_text(target)  # fails once the file is open
    assert target.read_text() == "old"
    with replacing(target) as whole:
        whole.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_bands_go_to_a_table_by_the_suffix(market, tmp_path):
    write_bands(market.bands, tmp_path / "bands.csv")
    write_bands(market.bands, tmp_path / "bands.parquet")
    csv = pd.read_csv(tmp_path / "bands.csv", parse_dates=["time"])
    parquet = pd.read_parquet(tmp_path / "bands.parquet")
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False)


def test_an_unknown_suffix_is_an_error_that_names_those_known(market, tmp_path):
    with pytest.raises(ValueError, match=r"\.csv, \.parquet, \.nc"):
        write_bands(market.bands, tmp_path / "bands.xlsx")
