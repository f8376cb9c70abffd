import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesbasis as bb
from bayesbasis.evaluate.backtesting import backtest
from bayesbasis.report import tracking
from bayesbasis.report.render import to_html
from bayesbasis.report.versus import comparison_section


@pytest.fixture(scope="module")
def found():
    prices, _ = bb.simulate_market(seed=4, underlyings=["BTC"], quarters=4)
    panel, _ = bb.make_panel(prices)
    origins = pd.to_datetime(["2022-09-01", "2022-10-01", "2022-11-01"])
    models = ["straight-line", "no-change"]
    return bb.compare(backtest(models, panel, origins, "15D", draws=20, progress=False))


def test_a_comparison_knows_its_models_and_its_data(found):
    assert found.cards == {"straight-line": "StraightLine()", "no-change": "NoChange()"}
    assert found.scores.attrs["horizon"] == "15 days 00:00:00"
    assert len(found.scores.attrs["data_hash"]) == 64


@pytest.mark.filterwarnings("default")
def test_a_comparison_is_logged_with_a_run_a_model(found, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    before = os.environ.get("MLFLOW_ALLOW_FILE_STORE")
    run = tracking.log_comparison(found, tmp_path / "runs", experiment="basis")
    assert os.environ.get("MLFLOW_ALLOW_FILE_STORE") == before
    with tracking._file_store_allowed("file:"):
        client = mlflow.MlflowClient((tmp_path / "runs").as_uri())
        place = client.get_experiment_by_name("basis").experiment_id
        runs = client.search_runs([place])
        kept = {file.path for file in client.list_artifacts(run)}
        inner = {r.info.run_name: r for r in runs if r.info.run_id != run}
        card = Path(client.download_artifacts(inner["no-change"].info.run_id, "card.toml"))
        assert card.read_text() == "NoChange()"
    assert {"scores.nc", "comparison.html", "Coverage.png", "Calibration.png"} <= kept
    assert set(inner) == set(found.table.index)
    crps = inner["no-change"].data.metrics["crps"]
    np.testing.assert_allclose(crps, found.table.loc["no-change", "crps"])
    assert all(r.data.tags["mlflow.parentRunId"] == run for r in inner.values())


@pytest.mark.filterwarnings("default")
def test_a_fit_is_logged_whole(fabricate, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    prices, _ = bb.simulate_market(seed=4, underlyings=["BTC"], quarters=4)
    panel, _ = bb.make_panel(prices)
    fit = fabricate(bb.load_card("ou"), panel, draws=50)
    run = tracking.log_fit(fit, tmp_path / "runs", experiment="basis")
    with tracking._file_store_allowed("file:"):
        client = mlflow.MlflowClient((tmp_path / "runs").as_uri())
        kept = client.get_run(run).data
        card, draws = (client.download_artifacts(run, name) for name in ("card.toml", "fit.nc"))
    assert bb.load_card(card) == bb.load_card("ou")
    assert bb.load(draws)["posterior"].to_dataset().equals(fit["posterior"].to_dataset())
    assert kept.params["data_hash"] == fit.attrs["data_hash"]
    np.testing.assert_allclose(kept.metrics["r_hat_max"], bb.diagnose(fit).table["r_hat"].max())


def test_without_mlflow_it_says_what_to_install(found, monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'bayesbasis\[mlflow\]'"):
        tracking.log_comparison(found, tmp_path)


def test_a_report_may_hold_a_comparison(found):
    section = comparison_section(found)
    assert section.tables["Scores"]["model"].tolist() == found.table.index.tolist()
    np.testing.assert_allclose(section.tables["Scores"]["CRPS"], found.table["crps"])
    columns = {str(name) for table in section.tables.values() for name in table.columns[1:]}
    assert columns == set(section.formats)
    about = dict.fromkeys(("title", "card_name", "card", "diagnosis"), "x")
    html = to_html(about, (section.tables["Scores"], {}), [section])
    assert html.count("<svg") == len(section.pictures) == 4
    assert "Out of sample" in html
