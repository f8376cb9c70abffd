import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import bayesbasis as bb
from bayesbasis.cli import app
from bayesbasis.forecast import fitting
from bayesbasis.inference import funding as room
from bayesbasis.report.funding import plot_cumulative, plot_funding


def fabricate(spec, history, *, seed, **_):
    """Stand in for a fit: draws near the middle of the priors."""
    size = sum(int(np.prod(shape)) for shape in room.funding_shapes(spec, history).values())
    flat = 0.1 * np.random.default_rng(seed).standard_normal((2, 40, size))
    stats = xr.Dataset(coords={"chain": [0, 1], "draw": np.arange(40)})
    return room.assemble_funding(spec, history, flat, stats, seed=seed, started=time.perf_counter())


@pytest.fixture
def frame():
    return bb.simulate_funding(seed=1, days=20, venues=["okx"], underlyings=["BTC", "ETH"])


def test_funding_writes_what_it_says(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "sample_funding", fabricate)
    source, out = tmp_path / "history.csv", tmp_path / "out"
    frame.to_csv(source, index=False)
    arguments = ["funding", str(source), "--out", str(out), "--horizon", "5D"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    written = {path.name for path in out.iterdir()}
    assert written == {"audit.csv", "outlook.csv", "fit.nc", "funding.png", "cumulative.png"}
    table = pd.read_csv(out / "outlook.csv")
    assert table["contract"].tolist() == ["okx:BTC-PERP", "okx:ETH-PERP"]
    assert (table["lower_bp"] < table["upper_bp"]).all()
    assert "okx:ETH-PERP" in result.output


def test_bands_are_as_simulated_on_request(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "sample_funding", fabricate)
    frame = bb.simulate_funding(seed=1, days=70, venues=["okx"], underlyings=["BTC", "ETH"])
    source, upper = tmp_path / "history.csv", {}
    frame.to_csv(source, index=False)
    for name, flags in (("plain", ["--as-simulated"]), ("moved", [])):
        out = tmp_path / name
        arguments = ["funding", str(source), "--out", str(out), "--horizon", "5D", *flags]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        fit = bb.load(out / "fit.nc")
        paths = bb.forecast_funding(fit, "5D", seed=1, draws=2000, recalibrated=name == "moved")
        upper[name] = pd.read_csv(out / "outlook.csv")["upper_bp"]
        wanted = bb.funding_outlook(paths)["cumulative"].sel(value="upper")
        np.testing.assert_allclose(upper[name], 1e4 * wanted)
    assert not np.allclose(upper["plain"], upper["moved"])


def test_a_missing_history_ends_in_one_line(tmp_path):
    result = CliRunner().invoke(app, ["funding", str(tmp_path / "none.csv")])
    assert result.exit_code == 2


def test_figures_name_their_units(frame):
    history, _ = bb.make_funding(frame)
    paths = bb.forecast_funding(fabricate(bb.FundingSpec(), history, seed=1), "3D", seed=1)
    figure = plot_funding(paths, history)
    assert figure.get_supylabel() == "funding, % a year (simple)"
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["okx:BTC-PERP", "okx:ETH-PERP"]
    axes = plot_cumulative(paths, history).axes[0]
    assert "bp of the notional" in axes.get_xlabel()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["okx:BTC-PERP", "okx:ETH-PERP"]
