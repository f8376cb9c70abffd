import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayesbasis as bb
from bayesbasis.cli import app
from bayesbasis.report.tables import update_table

FEW = ("--draws", "8", "--repeats", "4")


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def saved(fit, tmp_path_factory):
    return bb.save(fit, tmp_path_factory.mktemp("fit") / "fit.nc")


@pytest.fixture(scope="module")
def orders(saved):
    file = saved.with_name("trades.toml")
    file.write_text('level = 0.9\n[costs]\nfinancing = 0.04\n[[trade]]\nexit = "4D"\n')
    return file


@pytest.mark.parametrize("format", ["html", "md", "json"])
def test_a_report_is_written_in_every_format(saved, orders, tmp_path, format):
    out = tmp_path / f"report.{format}"
    result = run("report", saved, "--trades", orders, "--out", out, "--format", format, *FEW)
    assert result.exit_code == 0, result.output
    text = out.read_text("utf-8")
    assert "BTC-25MAR22 cash-and-carry" in text
    if format == "json":
        assert set(json.loads(text)["sections"]) >= {"mispricing", "trades", "risk", "margin"}


def test_a_report_of_an_earlier_instant_says_that_the_fit_knows_better(saved, orders, tmp_path):
    out = tmp_path / "report.json"
    say = ("--origin", "2022-02-20", "--trades", orders, "--out", out, "--format", "json", *FEW)
    result = run("report", saved, *say)
    assert result.exit_code == 0, result.output
    assert "learned its parameters from quotes up to" in " ".join(result.stderr.split())
    assert json.loads(out.read_text("utf-8"))["about"]["origin"].startswith("2022-02-20")


def test_a_report_needs_a_known_format_and_known_trades(saved, tmp_path):
    assert run("report", saved, "--format", "pdf").exit_code == 2
    bad = tmp_path / "trades.toml"
    bad.write_text("[[trade]]\nsize = 3\n")
    result = run("report", saved, "--trades", bad, "--out", tmp_path / "r.html")
    assert result.exit_code == 2
    assert "trade.size is not known" in " ".join(result.stderr.split())


def test_a_record_of_past_trades_goes_into_the_report(saved, orders, tmp_path):
    record, out = tmp_path / "record.csv", tmp_path / "r.json"
    pd.DataFrame({"odds": [0.15, 0.25, 0.85], "earned": [0, 1, 1]}).to_csv(record, index=False)
    say = ("--trades", orders, "--record", record, "--out", out, "--format", "json", *FEW)
    assert run("report", saved, *say).exit_code == 0
    rows = json.loads(out.read_text("utf-8"))["sections"]["record"]["Reliability"]
    assert [row["realised"] for row in rows] == [0, 1, 1]
    pd.DataFrame({"odds": [0.1]}).to_csv(record, index=False)
    result = run("report", saved, *say)
    assert result.exit_code == 2
    assert "it needs odds and earned" in " ".join(result.stderr.split())


def test_watch_outlives_a_file_that_is_half_written(saved, tmp_path):
    file = tmp_path / "prices.csv"
    file.write_text("time,underlying\n2022-01-01T00:00Z,BTC\n")
    result = run("watch", file, "--fit", saved, "--looks", "1", "--every", "0.1")
    assert result.exit_code == 0
    assert "not updated" in result.stderr


def test_watch_shows_quotes_as_they_come(saved, report_prices, tmp_path):
    file = tmp_path / "prices.csv"
    report_prices[report_prices["time"] <= "2022-03-20"].to_csv(file, index=False)
    result = run("watch", file, "--fit", saved, "--looks", "1")
    assert result.exit_code == 0, result.output
    assert "Quotes up to 2022-03-20" in result.stdout
    assert "BTC-24JUN22" in result.stdout


def test_the_table_of_an_update_is_in_basis_points_and_by_rank(fit, report_panel):
    now = bb.update(fit, report_panel, draws=8)
    table = update_table(now)
    assert isinstance(table, pd.DataFrame)
    assert (np.diff(table["z_score"]) <= 0).all()
    one = now.sel(contract=table["contract"][0])
    assert table["basis"][0] == pytest.approx(1e4 * one["basis"].item())
    assert table["lower"][0] < table["upper"][0]
