"""Facts about figures, tables and pages of perpetuals, which have no date to end at."""

import json
import re
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import bayesbasis as bb
from bayesbasis.cli import app
from bayesbasis.inference.funding import assemble_funding, funding_shapes
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.sampling import assemble
from bayesbasis.model.funding_market import simulate_funding
from bayesbasis.report.console import live_view
from bayesbasis.report.desk import desk
from bayesbasis.report.figures import plot_bands
from bayesbasis.report.funding_section import dated_table, funding_section
from bayesbasis.report.tables import bands_table, live_table
from bayesbasis.trade.funding import funding_leg
from bayesbasis.trade.orders import Order, Orders, put_on, suit

DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="module")
def mixed(report_prices):
    """Dated contracts of BTC, and a perpetual quoted at the same times."""
    rng = np.random.default_rng(0)
    own = report_prices.drop_duplicates("time").assign(contract="BTC-PERP", kind="perpetual")
    own["expiry"] = pd.to_datetime([pd.NaT] * len(own), utc=True)
    own["futures"] = own["spot"] * np.exp(3e-4 * rng.standard_normal(len(own)))
    both = pd.concat([report_prices.assign(kind="dated"), own], ignore_index=True)
    return bb.known_at(bb.make_panel(both)[0], "2022-03-10")


@pytest.fixture(scope="module")
def fit(mixed):
    spec = bb.load_card("anchored-regimes-2")
    flat = 0.3 * np.random.default_rng(0).standard_normal((2, 8, log_posterior(spec, mixed).size))
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 8), bool))})
    return assemble(spec, mixed, flat, stats, seed=0, started=perf_counter())


@pytest.fixture(scope="module")
def bands(fit):
    return bb.bands(bb.forecast(fit, horizon="30D", seed=1, spot=False))


def test_a_live_table_looks_a_week_ahead_of_a_perpetual(fit, mixed, bands):
    states, half_lives = bb.filter_states(fit), bb.half_life(fit, [0.1, 0.2])
    table = live_table(mixed, bands, states, half_lives).set_index("contract")
    own = table.loc["BTC-PERP"]
    week = bands.sel(contract="BTC-PERP", prob=0.9)
    at = np.flatnonzero(week["time"].values - week["time"].values[0] == 7 * DAY)[0]
    expected = 1e4 * week["interval"].isel(step=at).values
    np.testing.assert_allclose([own["lower"], own["upper"]], expected)
    assert np.isnan(own["days"])
    medians = fit["posterior"]["half_life"].median(("chain", "draw"))
    assert own["half_life"] == pytest.approx(float(medians.sel(underlying="BTC perpetual")))
    shown = live_view(table.reset_index(), origin=bands.attrs["origin"], prob=0.9)
    assert list(shown.columns[1].cells)[-1] == "none"


def test_a_table_of_bands_has_all_its_steps(bands):
    table = bands_table(bands)
    own = table[table["contract"] == "BTC-PERP"]
    assert len(own) == bands.sizes["step"]
    assert own["days"].isna().all()
    assert own["lower_90"].notna().all()


def test_a_figure_of_bands_says_perpetual_and_refuses_days_to_expiry(bands, mixed):
    titles = [ax.get_title(loc="left") for ax in plot_bands(bands, mixed).axes]
    assert any("BTC-PERP, perpetual" in title for title in titles)
    said = 'perpetuals have no time to expiry to draw along: give x="time"'
    with pytest.raises(ValueError, match=f"^{said}$"):
        plot_bands(bands, x="tau")


def test_a_page_shows_them_beside_dated_contracts(fit, bands, mixed, tmp_path):
    found = bb.mispricing(fit)
    where = bb.write_report(tmp_path / "page.html", fit=fit, bands=bands, mispricing=found)
    text = where.read_text()
    assert "BTC-PERP" in text
    assert "perpetual" in text
    assert "nan days" not in text


def test_a_desk_trades_them_for_their_funding(fit, tmp_path):
    """Dated contracts to expiry and the perpetual for two weeks, in one book and on one page."""
    file = tmp_path / "trades.toml"
    file.write_text(
        'level = 0.95\nfunding = "deribit"\n[[trade]]\nexit = "expiry"\n'
        '[[trade]]\ncontract = "BTC-PERP"\nexit = "14D"\n'
    )
    found = desk(fit, bb.read_orders(file), draws=16, repeats=20)
    trades = found["trades"]
    assert trades["contract"].values.tolist().count("BTC-PERP") == 1
    gap = (trades["attribution"].sum("component") - trades["pnl"]) / trades["notional"]
    assert np.abs(gap).max() < 1e-12
    funding = trades["attribution"].sel(component="funding")
    dated = trades["contract"].values != "BTC-PERP"
    assert (funding.isel(trade=np.flatnonzero(dated)) == 0).all()
    assert np.abs(funding.isel(trade=np.flatnonzero(~dated))).max() > 0
    assert (trades["holding"].isel(trade=np.flatnonzero(~dated)) == 14).all()
    text = bb.write_report(tmp_path / "page.html", fit=fit, **found).read_text()
    assert "BTC-PERP cash-and-carry to 14D" in text
    assert not re.search(r">\s*nan\b", text, re.IGNORECASE)


def test_a_book_of_perpetuals_needs_an_exit(fit):
    paths = bb.forecast(fit, horizon="20D", seed=1, draws=4, contracts=["BTC-PERP"])
    with pytest.raises(ValueError, match="only perpetuals are live") as caught:
        put_on(paths, Orders(funding="binance"))
    assert str(caught.value) == (
        "only perpetuals are live, and they never expire: BTC-PERP. Give a trade an exit such as "
        "'14D'"
    )


@pytest.fixture(scope="module")
def funding_fit():
    """Two venues' funding of the forty days before the report, fitted without sampling."""
    spec = bb.FundingSpec(levels=3, swings=2)
    paid = simulate_funding(
        seed=1, days=40, start="2022-01-29", venues=("binance", "bybit"), underlyings=["BTC"]
    )
    history, _ = bb.make_funding(paid)
    size = sum(int(np.prod(shape)) for shape in funding_shapes(spec, history).values())
    flat = 0.1 * np.random.default_rng(1).standard_normal((2, 20, size))
    stats = xr.Dataset(coords={"chain": np.arange(2), "draw": np.arange(20)})
    return assemble_funding(spec, history, flat, stats, seed=1, started=perf_counter())


@pytest.fixture(scope="module")
def funded(fit, funding_fit):
    orders = Orders(
        (Order(contract="BTC-PERP", exit="14D"),), funding="binance", horizon="30D", level=0.9
    )
    return desk(fit, orders, funding=funding_fit, draws=16, repeats=5)


def test_a_desk_takes_funding_from_a_fit_of_it(funded):
    """A short perpetual receives what the forecast of its venue says, settlement by settlement."""
    trades, ahead = funded["trades"], funded["funding"]
    leg = funding_leg(
        ahead.sel(contract="binance:BTC-PERP"),
        close=np.datetime64(ahead.attrs["origin"]) + 14 * DAY,
    )
    received = trades["attribution"].sel(component="funding") / trades["notional"]
    draws = leg.sum("step").values.ravel()
    spread = draws[np.arange(received.size) * draws.size // received.size]
    # Draw by draw, for sums of both signs have a mean of about nil; rates are paid on the mark.
    assert np.corrcoef(received.values.ravel(), spread)[0, 1] > 0.95
    assert np.abs(received.values.ravel() - spread).mean() < 0.2 * np.abs(spread).mean()
    assert np.abs(received).max() > 0


def test_a_page_puts_funding_beside_the_dated_basis(fit, funded, tmp_path):
    page = bb.write_report(tmp_path / "page.html", fit=fit, **funded).read_text()
    assert '<section id="funding"' in page
    assert "binance:BTC-PERP, cumulative" in page
    ahead, bands = funded["funding"], funded["bands"]
    table = dated_table(ahead, bands)
    assert set(table["perpetual"]) == set(ahead["contract"].values)
    row = table.iloc[0]
    one = bands.sel(contract=row["against"])
    expected = 1e4 * np.expm1(float(one["median"].isel(step=0)))
    assert row["locked in (bp)"] == pytest.approx(expected)
    total = ahead["funding"].where(ahead["time"] <= one["expiry"]).sum("step")
    own = total.sel(contract=row["perpetual"])
    assert row["expected (bp)"] == pytest.approx(1e4 * float(own.mean()))
    assert row["P(pays more)"] == pytest.approx(float((1e4 * own > expected).mean()))


def test_a_page_says_by_how_much_sums_of_funding_were_recalibrated(funded, funding_fit):
    record = bb.hindcast_funding(funding_fit, every="5D", horizon="10D", draws=20)
    ahead = bb.recalibrate_funding(funded["funding"], record)
    section = funding_section(ahead, funded["bands"])
    assert f"of the width as simulated that is {ahead.attrs['recalibrated']}." in section.words
    assert "recalibrated" not in funding_section(funded["funding"], funded["bands"]).words
    upper = bb.funding_outlook(ahead)["cumulative"].sel(value="upper")
    np.testing.assert_allclose(section.tables["Outlook"]["95 % (bp)"], 1e4 * upper)
    assert len(section.pictures) == ahead.sizes["contract"]


def test_perpetuals_alone_are_held_for_thirty_days(fit, mixed, funding_fit, tmp_path):
    """Without a file of trades, and with no horizon said."""
    alone = mixed.isel(contract=mixed["expiry"].isnull().values)
    assert suit(Orders(), mixed) == Orders()
    assert suit(Orders(), alone) == Orders((Order(exit="30D"),), horizon="30D")
    kept = Orders((Order(exit="3D"), Order(contract="BTC-PERP")), horizon="9D")
    assert suit(kept, alone) == kept


def test_the_command_line_takes_a_fit_of_funding(fit, funding_fit, tmp_path):
    """End to end from two files: the outlook that the report shows is the forecast's own."""
    saved = bb.save(fit, tmp_path / "fit.nc")
    paid = bb.save(funding_fit, tmp_path / "funding.nc")
    trades = tmp_path / "trades.toml"
    trades.write_text(
        'level = 0.9\nfunding = "binance"\nhorizon = "30D"\n[[trade]]\nexit = "14D"\n'
    )
    few = ["--trades", str(trades), "--draws", "8", "--repeats", "4"]
    page, data = tmp_path / "page.html", tmp_path / "page.json"
    for out, words in ((page, []), (data, ["--format", "json"])):
        arguments = ["report", str(saved), "--funding", str(paid), "--out", str(out), *few, *words]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert '<section id="funding"' in page.read_text("utf-8")
    tables = json.loads(data.read_text("utf-8"))["sections"]["funding"]
    rows = {row["perpetual"]: row for row in tables["Outlook"]}
    assert set(rows) == {"binance:BTC-PERP", "bybit:BTC-PERP"}
    assert all(row["5 % (bp)"] < row["funding (bp)"] < row["95 % (bp)"] for row in rows.values())
    against = tables["Perpetual against dated, to its expiry"]
    assert {row["perpetual"] for row in against} == set(rows)


def test_the_command_line_refuses_a_fit_of_something_else(fit, tmp_path):
    saved = bb.save(fit, tmp_path / "fit.nc")
    words = ["report", str(saved), "--funding", str(saved), "--out", str(tmp_path / "r.html")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "a fit of 'anchored-regimes-2' is no fit of funding" in " ".join(result.stderr.split())
