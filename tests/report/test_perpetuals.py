"""Facts about figures, tables and pages of perpetuals, which have no date to end at."""

import re
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.sampling import assemble
from bayesbasis.report.console import live_view
from bayesbasis.report.desk import desk
from bayesbasis.report.figures import plot_bands
from bayesbasis.report.tables import bands_table, live_table
from bayesbasis.trade.orders import Orders, put_on

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
