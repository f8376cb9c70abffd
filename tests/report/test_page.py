"""The report, from numbers to a page; what a browser makes of it is in test_browser.py."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.report.pictures import picture_bands, svg
from bayesbasis.report.sections import bands_section
from bayesbasis.report.style import number_text, per_cent

NASTY = "<script>alert('$x$|&')</script>"


class Page(HTMLParser):
    """Collect tags, attributes and the text of cells."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self._inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag in ("td", "th")
        if self._inside:
            self.cells.append("")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self._inside:
            self.cells[-1] += data


def read(path):
    return Page(path.read_text("utf-8"))


def test_the_page_says_what_the_datasets_say(page, desk_found):
    text = read(page).cells
    table = bb.trade_table(desk_found["trades"])
    assert f"{table['pnl_bp'].values[0]:.1f}" in text
    assert per_cent(table["profit"].values[1], 1) in text
    assert f"{desk_found['risk']['expected_shortfall'].values[-1]:,.2f}" in text
    assert per_cent(desk_found["mispricing"]["rich"].values[0], 0) in text
    wild = desk_found["spot"]["volatility"].sel(regime=2).median()
    assert f"{float(wild):.0f}" in text


def test_the_page_says_how_bands_were_recalibrated(desk_found):
    bands = desk_found["bands"]
    plain = bands_section(bands, None).words
    assert "as simulated" not in plain
    said = bands_section(bands.assign_attrs(recalibrated="0.900 at 4 d, 1.100 at 10 d"), None).words
    assert said == (
        f"{plain} They are as wide as forecasts of the fit's own past say; of the width as "
        "simulated that is 0.900 at 4 d, 1.100 at 10 d before expiry."
    )


def test_every_colour_of_the_page_is_defined(page):
    html = page.read_text("utf-8")
    used = set(re.findall(r"var\((--\w+)\)", html))
    assert "--accent" in used
    assert used <= set(re.findall(r"(--\w+):", html))


def test_the_page_reaches_for_nothing(page):
    for tag, attrs in read(page).tags:
        assert tag not in ("script", "iframe", "object", "embed")
        for name in ("src", "href", "xlink:href", "action"):
            value = attrs.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, name, value)
        assert "url(http" not in (attrs.get("style") or "")


def test_the_page_is_small_and_its_ids_are_its_own(page):
    assert page.stat().st_size < 3_000_000
    ids = [attrs["id"] for _, attrs in read(page).tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_every_figure_has_words_for_those_who_cannot_see_it(page):
    tags = read(page).tags
    labels = [a["aria-label"] for _, a in tags if a.get("role") == "img"]
    drawn = [tag for tag, _ in tags if tag == "svg"]
    assert len(labels) == len(drawn) > 5
    assert all(len(label) > 40 for label in labels)


def test_all_sections_are_there_and_linked(page):
    tags = read(page).tags
    ids = {a.get("id") for tag, a in tags if tag == "section"}
    links = {a["href"].removeprefix("#") for tag, a in tags if tag == "a"}
    assert ids == links
    expected = "bands regime mispricing convergence trades risk margin growth record provenance"
    assert ids == set(expected.split())


def test_a_nasty_name_stays_text(fit, desk_found, tmp_path):
    renamed = {
        key: value.assign_coords(
            contract=np.where(np.arange(value.sizes["contract"]) == 0, NASTY, "B")
        )
        for key, value in desk_found.items()
        if key in ("bands", "mispricing", "convergence", "margin")
    }
    trades = desk_found["trades"]
    names = np.where(np.arange(trades.sizes["trade"]) == 0, NASTY, "B")
    trades = trades.assign_coords(trade=names, contract=("trade", names))
    path = bb.write_report(tmp_path / "r.html", fit=fit, trades=trades, **renamed)
    page = read(path)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert NASTY in page.cells
    for text in re.findall(r"<svg.*?</svg>", path.read_text("utf-8"), re.DOTALL):
        ET.fromstring(text)


def test_figures_take_the_colours_of_the_page(desk_found):
    text = svg(picture_bands(desk_found["bands"].isel(contract=0), None), "x")
    assert "currentColor" in text
    assert "var(--line)" in text
    assert "#262626" not in text
    for share in (20, 50):
        assert f"color-mix(in srgb, var(--accent) {share}%, var(--paper))" in text
    assert "<metadata" not in text
    assert ET.fromstring(text).tag.endswith("svg")


def test_json_holds_the_numbers_unrounded(fit, desk_found, tmp_path):
    path = bb.write_report(tmp_path / "r.json", fit=fit, **desk_found)
    content = json.loads(path.read_text("utf-8"))
    table = bb.trade_table(desk_found["trades"])
    first = content["sections"]["trades"]["Trades"][0]
    assert first["profit (bp)"] == table["pnl_bp"].values[0]
    assert content["about"]["data_hash"] == fit.attrs["data_hash"]
    assert content["about"]["card"] == fit.attrs["card"]
    assert [row["contract"] for row in content["live"]] == desk_found["bands"][
        "contract"
    ].values.tolist()


def test_markdown_has_a_table_for_every_table(fit, desk_found, tmp_path):
    text = bb.write_report(tmp_path / "r.md", fit=fit, **desk_found).read_text("utf-8")
    for title in ("Richest first", "Trades", "Risk, in quote currency", "Liquidation", "Kelly"):
        assert f"### {title}\n\n| " in text
    widths = [
        {line.replace(r"\|", "").count("|") for line in block.splitlines()}
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    ]
    assert all(len(width) == 1 for width in widths)


def test_what_is_not_given_is_left_out(fit, desk_found, tmp_path):
    path = bb.write_report(tmp_path / "r.html", fit=fit, bands=desk_found["bands"])
    ids = {a.get("id") for tag, a in read(path).tags if tag == "section"}
    assert ids == {"bands", "provenance"}


def test_missing_and_infinite_numbers_are_shown_as_what_they_are(fit, desk_found, tmp_path):
    found = desk_found["convergence"].copy()
    found["half_life"] = xr.full_like(found["half_life"], np.inf)
    found["near_expiry"] = xr.full_like(found["near_expiry"], np.nan)
    path = bb.write_report(
        tmp_path / "r.html", fit=fit, bands=desk_found["bands"], convergence=found
    )
    assert {"∞", "–"} <= set(read(path).cells)
    path = bb.write_report(
        tmp_path / "r.json", fit=fit, bands=desk_found["bands"], convergence=found
    )
    rows = json.loads(path.read_text("utf-8"))["sections"]["convergence"]["Convergence"]
    assert rows[0]["half-life (days)"] is None


def test_what_rounds_to_nothing_has_no_sign():
    shown = [number_text(form, x) for form in ("{:+.1f}", "{:.0%}") for x in (0.004, -0.004, -0.06)]
    assert shown == ["0.0", "0.0", "-0.1", "0 %", "0 %", "-6 %"]


def test_a_place_or_format_that_is_not_there_is_an_error(fit, desk_found, tmp_path):
    with pytest.raises(ValueError, match="use html, md or json"):
        bb.write_report(tmp_path / "r.pdf", fit=fit, bands=desk_found["bands"])
    with pytest.raises(FileNotFoundError, match="does not exist"):
        bb.write_report(tmp_path / "no" / "r.html", fit=fit, bands=desk_found["bands"])


# Orders and updates ------------------------------------------------------------------------------


def test_orders_are_read_from_toml(tmp_path):
    file = tmp_path / "trades.toml"
    file.write_text(
        """
level = 0.95
[costs]
financing = 0.04
futures = { maker = 2, taker = 5 }
[[trade]]
contract = "BTC-A"
exit = { deviation_bp = 5 }
[[trade]]
direction = "reverse"
exit = "14D"
"""
    )
    orders = bb.read_orders(file)
    assert orders.level == 0.95
    assert orders.costs == bb.Costs(financing=0.04, futures=bb.Fee(2, 5))
    assert orders.trades[0].exit == bb.When(deviation=5e-4)
    assert (orders.trades[1].direction, orders.trades[1].exit) == ("reverse", "14D")


def test_the_trades_of_the_readme_can_be_read(tmp_path):
    readme = Path(__file__).resolve().parents[2] / "README.md"
    (text,) = re.findall(r"```toml\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    (tmp_path / "trades.toml").write_text(text, "utf-8")
    orders = bb.read_orders(tmp_path / "trades.toml")
    assert orders.trades[0].exit == bb.When(deviation=5e-4)
    assert orders.costs.leg("spot") == 10e-4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("levels = 0.9", "levels is not known"),
        ("[costs]\nfee = 5", r"costs\.fee is not known"),
        ("[[trade]]\nsize = 5", r"trade\.size is not known"),
        ("[[trade]]\nexit = { bp = 5 }", "an exit rule is"),
        ("level = ", "is not TOML"),
    ],
)
def test_orders_that_mean_nothing_say_where(tmp_path, text, said):
    file = tmp_path / "trades.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        bb.read_orders(file)


def test_no_orders_are_a_cash_and_carry_in_every_contract(tmp_path, desk_found):
    with pytest.raises(FileNotFoundError, match="no trades at"):
        bb.read_orders(tmp_path / "none.toml")
    assert (desk_found["trades"]["direction"] == "cash-and-carry").all()


def test_an_update_says_what_forecast_and_mispricing_say(fit, report_panel):
    now = bb.update(fit, report_panel, draws=16, prob=0.8, seed=3)
    found = bb.mispricing(fit, panel=report_panel, draws=16, seed=3)
    paths = bb.forecast(fit, panel=report_panel, draws=16, seed=3)
    np.testing.assert_allclose(now["z_score"], found["z_score"].median(["chain", "draw"]))
    expected = bb.bands(paths, prob=(0.8,))["interval"]
    np.testing.assert_allclose(now["interval"], expected)
    np.testing.assert_allclose(now["regime_probability"].sum("regime"), 1)
    np.testing.assert_allclose(now["fair"] + now["deviation"], now["basis"])


def test_an_update_reads_contracts_that_the_fit_has_never_seen(fit, report_prices):
    later, _ = bb.make_panel(report_prices)
    later = bb.known_at(later, "2022-09-01")
    now = bb.update(fit, later, draws=4)
    seen = set(fit["constant_data"]["contract"].values.tolist())
    assert set(now["contract"].values.tolist()) - seen
    assert pd.Timestamp(now.attrs["origin"]) == pd.Timestamp(later["time"].values.max())


def test_a_shock_moves_a_contract_and_dies_out(fit):
    paths = bb.forecast(fit, seed=1, draws=8)
    moved = bb.shock(paths, by=0.004)
    extra = (moved["basis"] - paths["basis"]).isel(contract=-1).values
    live = np.isfinite(paths["tau"].isel(contract=-1).values)
    assert (extra[..., 0] == 0).all()
    assert (np.abs(extra[..., 1] - 0.004) < 0.002).all()
    assert (np.diff(extra[..., 1:][..., live[1:]], axis=-1) < 0).all()
    np.testing.assert_allclose(extra[..., live][..., -1], 0, atol=1e-15)
