import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner, Result

import bayesbasis as bb
from bayesbasis.cli import app
from bayesbasis.cli.basis import repeat_flag


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def assert_one_line(result: Result, code: int) -> str:
    """Check that a command ended with `code` and one line of complaint, and return that line."""
    assert result.exit_code == code
    complaints = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert complaints == result.stderr.splitlines()[-1:]
    assert "Traceback" not in result.output
    return complaints[0]


@pytest.fixture(scope="module")
def prices(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    frame, _ = bb.simulate_market(seed=1, quarters=3)
    frame[frame["time"] < "2022-09-01"].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def fitted(prices) -> Path:
    path = prices.with_name("fit.nc")
    sampler = ("--draws", "40", "--tune", "100", "--chains", "2", "--seed", "3")
    result = run("fit", prices, "--model", "anchored-regimes", "--out", path, *sampler)
    assert result.exit_code == 0, result.output
    return path


def test_the_version_is_the_package_s():
    assert run("--version").stdout == f"bayesbasis {bb.__version__}\n"


@pytest.mark.parametrize("command", ["demo", "audit", "fit", "forecast", "models", "calibrate"])
def test_help_tells_what_each_command_does(command):
    assert command in run("--help").stdout
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_help_imports_nothing_heavy():
    code = "import sys, bayesbasis.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pymc", "numba", "pandas", "xarray", "matplotlib"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["--prob", "0.5", "0.9"], ["--prob", "0.5", "--prob", "0.9"]),
        (["--prob", "0.5", "--prob", "0.9"], ["--prob", "0.5", "--prob", "0.9"]),
        (["--prob", "0.5", "0.9", "fit.nc"], ["--prob", "0.5", "--prob", "0.9", "fit.nc"]),
        (["--prob", "0.5", "--seed", "2"], ["--prob", "0.5", "--seed", "2"]),
        (["fit.nc", "--prob"], ["fit.nc", "--prob"]),
        ([], []),
    ],
)
def test_one_prob_takes_all_the_numbers_that_follow_it(given, read):
    assert repeat_flag(given, "--prob") == read


def test_an_audit_counts_rows_in_and_out(prices):
    result = run("audit", prices)
    assert result.exit_code == 0
    assert "rows in" in result.stdout
    assert "isolated spike" in result.stdout


def test_prices_that_are_not_there_are_one_line_and_code_2(tmp_path):
    assert "nowhere.csv" in assert_one_line(run("audit", tmp_path / "nowhere.csv"), 2)


def test_prices_without_an_expiry_are_one_line_and_code_2(prices, tmp_path):
    bad = tmp_path / "bad.csv"
    pd.read_csv(prices).drop(columns="expiry").to_csv(bad, index=False)
    assert "expiry" in assert_one_line(run("audit", bad), 2)


def test_an_unknown_card_is_one_line_and_code_2(prices, tmp_path):
    result = run("fit", prices, "--model", "anchored-regime", "--out", tmp_path / "fit.nc")
    assert "anchored-regimes" in assert_one_line(result, 2)


def test_a_traceback_is_there_for_the_asking(tmp_path):
    result = run("--traceback", "audit", tmp_path / "nowhere.csv")
    assert isinstance(result.exception, ValueError)


def test_work_that_fails_is_one_line_and_code_1(prices, tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the sampler\ngave up")

    monkeypatch.setattr(bb, "fit", fail)
    result = run("fit", prices, "--out", tmp_path / "fit.nc")
    assert assert_one_line(result, 1) == "error: the sampler gave up"


def test_a_folder_that_is_not_there_is_said_before_the_work_begins(prices, tmp_path):
    started = time.perf_counter()
    result = run("fit", prices, "--out", tmp_path / "nowhere" / "fit.nc")
    assert "no folder" in assert_one_line(result, 2)
    assert time.perf_counter() - started < 1


def test_a_forecast_needs_a_fit(tmp_path):
    broken = tmp_path / "fit.nc"
    assert_one_line(run("forecast", broken, "--out", tmp_path / "bands.csv"), 2)
    broken.write_text("no fit at all")
    assert_one_line(run("forecast", broken, "--out", tmp_path / "bands.csv"), 2)


def test_bands_of_an_unknown_kind_are_one_line_and_code_2(tmp_path):
    result = run("forecast", tmp_path / "fit.nc", "--out", tmp_path / "bands.xlsx")
    assert ".csv or .parquet or .nc" in assert_one_line(result, 2)


def test_bands_are_the_same_in_every_format(fitted, tmp_path):
    files = {suffix: tmp_path / f"bands{suffix}" for suffix in (".csv", ".parquet", ".nc")}
    for out in files.values():
        result = run("forecast", fitted, "--prob", "0.5", "0.9", "--out", out)
        assert result.exit_code == 0, result.output
    csv, parquet = pd.read_csv(files[".csv"]), pd.read_parquet(files[".parquet"])
    assert csv.columns.tolist() == parquet.columns.tolist()
    np.testing.assert_allclose(csv["lower_90"], parquet["lower_90"])
    assert (csv["lower_90"] <= csv["lower_50"]).all()
    with xr.open_dataset(files[".nc"], engine="h5netcdf") as bands:
        lower = bands["interval"].sel(prob=0.9, bound="lower").values
    np.testing.assert_allclose(csv["lower_90"], 1e4 * lower[np.isfinite(lower)])


def test_a_forecast_sums_up_every_live_contract(fitted, tmp_path):
    out = tmp_path / "bands.csv"
    result = run("forecast", fitted, "--out", out)
    for contract in pd.read_csv(out)["contract"].unique():
        assert contract in result.stdout


def test_bands_are_as_simulated_on_request(fitted, tmp_path):
    for name, flags in (("plain", ["--as-simulated"]), ("moved", [])):
        result = run("forecast", fitted, *flags, "--out", tmp_path / f"{name}.csv")
        assert result.exit_code == 0, result.output
    plain, moved = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("plain", "moved"))
    np.testing.assert_allclose(plain["median"], moved["median"], atol=1e-6)
    assert np.abs(plain["lower_90"] - moved["lower_90"]).max() > 1e-3


@pytest.mark.slow
def test_the_demo_leaves_bands_a_fit_and_pictures(tmp_path):
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    pictures = {"bands.png", "regimes.png", "half-life.png"}
    assert written == {"prices.csv", "fit.nc", "bands.csv", *pictures}
