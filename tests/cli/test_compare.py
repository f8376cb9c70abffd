import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner, Result

import bayesbasis as bb
from bayesbasis.cli import app
from bayesbasis.cli.compare import spread_words


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def prices(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    frame, _ = bb.simulate_market(seed=4, underlyings=["BTC"], quarters=4)
    frame.to_csv(path, index=False)
    return path


FAST = ("--models", "straight-line", "no-change", "--no-baselines", "--horizon", "20d")
WHEN = ("--origins", "2022-09-01,2022-10-01,2022-11-01")


def test_models_are_words_up_to_the_next_option():
    words = ["p.csv", "--models", "a", "b", "c", "--horizon", "60d"]
    flat = ["--models", "a", "--models", "b", "--models", "c"]
    assert spread_words(words, "--models") == ["p.csv", *flat, "--horizon", "60d"]
    assert spread_words(["p.csv", *flat], "--models") == ["p.csv", *flat]


def test_a_comparison_is_a_page_a_table_or_scores(prices, tmp_path):
    page, table, scores = (tmp_path / f"comparison.{x}" for x in ("html", "csv", "nc"))
    store = ("--store", tmp_path / "store")
    for out in (page, table, scores):
        result = run("compare", prices, *FAST, *WHEN, *store, "--out", out)
        assert result.exit_code == 0, result.output
    found = pd.read_csv(table)
    assert sorted(found["model"]) == ["no-change", "straight-line"]
    assert found["crps"].is_monotonic_increasing
    assert f"{found['model'][0]} less {found['model'][1]}: -" in result.stdout
    html = page.read_text(encoding="utf-8")
    assert "2 models compared" in html
    assert html.count("<svg") == 4
    assert "http-equiv" in html
    assert 'src="http' not in html
    # Every table has a row a model, the best first.
    first = re.findall(r"<th>model</th>.*?<tbody>\s*<tr>\s*<td>(.*?)</td>", html, re.DOTALL)
    assert first == [found["model"][0]] * 4
    # Figures take the colours of the page, which has to have them.
    assert set(re.findall(r"var\((--\w+)\)", html)) <= set(re.findall(r"(--\w+):", html))
    with xr.open_dataset(scores, engine="h5netcdf") as kept:
        mean = 1e4 * kept["crps"].sel(model=found["model"][0]).mean()
        np.testing.assert_allclose(found["crps"][0], mean)
        assert kept.sizes["window"] == 3


def test_a_backtest_is_a_row_a_model_and_quote(prices, tmp_path):
    out = tmp_path / "scores.parquet"
    result = run("backtest", prices, *FAST, *WHEN, "--out", out)
    assert result.exit_code == 0, result.output
    table = pd.read_parquet(out)
    assert set(table["model"]) == {"straight-line", "no-change"}
    assert {"covered_90", "forecast_5", "pinball_50", "crps", "days"} <= set(table.columns)
    assert len(table) == 2 * len(table[["origin", "contract", "time"]].drop_duplicates())


def test_paths_are_draws_times_repeats(prices, tmp_path):
    tables = []
    for effort in (("--draws", "20", "--repeats", "3"), ("--draws", "60")):
        out = tmp_path / f"{len(effort)}.csv"
        result = run("backtest", prices, *FAST, *WHEN, *effort, "--out", out)
        assert result.exit_code == 0, result.output
        tables.append(pd.read_csv(out))
    np.testing.assert_array_equal(tables[0]["crps"], tables[1]["crps"])


def test_windows_that_fail_are_said(prices, tmp_path):
    when = ("--origins", "2022-01-10,2022-11-01")
    result = run("backtest", prices, *FAST, *when, "--out", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.output
    assert "no-change failed at 2022-01-10: no contract has been quoted for" in result.stderr


def test_what_is_wrong_is_one_line(prices, tmp_path):
    for words, said in (
        (("--models", "our", "--out", tmp_path / "c.html"), "no card is named 'our'"),
        (("--models", "ou", "--out", tmp_path / "c.txt"), "use .html or .csv or .nc"),
    ):
        result = run("compare", prices, *words)
        assert result.exit_code == 2
        assert said in result.stderr
        assert "Traceback" not in result.output
