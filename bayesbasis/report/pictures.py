"""Figures of trades, narrow enough for a phone, and as SVG that takes the page's colours."""

import io
import re

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from bayesbasis.forecast.funding_recalibration import stretch_sums
from bayesbasis.report.figures import draw_bands, draw_quotes
from bayesbasis.report.style import (
    BASIS_POINTS,
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    date_axis,
    name_axes,
    new_figure,
    per_cent,
    per_cent_axis,
    tints,
)

SIZE = (4.4, 3.0)
LINES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
COLOURS = {
    "convergence": BLUE,
    "carry": GREEN,
    "funding": PURPLE,
    "financing": ORANGE,
    "fees": VERMILLION,
}


def picture_bands(one: xr.Dataset, panel: xr.Dataset | None) -> Figure:
    """Draw the bands of one contract to expiry, over what was quoted so far.

    Parameters
    ----------
    one : xarray.Dataset
        From `bands`, of one contract.
    panel : xarray.Dataset, optional
        Quotes.
    """
    figure, ax = _one()
    one = one.isel(step=np.flatnonzero(~np.isnat(one["time"].values)))
    draw_bands(ax, one, "time")
    if panel is not None:
        draw_quotes(ax, one, panel, "time", None)
    date_axis(ax, ticks=5)
    name_axes(ax, y="basis (bp)")
    _legend(figure, ax)
    return figure


def picture_funding(one: xr.Dataset) -> Figure:
    """Draw the bands of one perpetual's cumulative funding.

    Parameters
    ----------
    one : xarray.Dataset
        From `forecast_funding`, of one contract.
    """
    figure, ax = _one()
    one = one.isel(step=np.flatnonzero(~np.isnat(one["time"].values)))
    ahead = one["time"] - np.datetime64(one.attrs["origin"])
    total = BASIS_POINTS * stretch_sums(one["funding"].cumsum("step"), one, ahead)
    time = np.concatenate([[np.datetime64(one.attrs["origin"])], one["time"].values])
    probs = (0.9, 0.5)
    for prob, shade in zip(probs, tints(len(probs)), strict=True):
        edges = total.quantile([(1 - prob) / 2, (1 + prob) / 2], ("chain", "draw")).values
        low, high = np.pad(edges, ((0, 0), (1, 0)))
        ax.fill_between(time, low, high, step="post", color=shade, lw=0, label=per_cent(prob))
    median = np.concatenate([[0.0], total.median(("chain", "draw")).values])
    ax.step(time, median, color=BLUE, lw=1.4, where="post", label="median")
    ax.axhline(0, color=INK, linewidth=0.9)
    date_axis(ax, ticks=5)
    name_axes(ax, y="cumulative funding (bp)")
    _legend(figure, ax)
    return figure


def picture_profit(trades: xr.Dataset, trade: int) -> Figure:
    """Draw the distribution of one trade's profit, losses told apart.

    Parameters
    ----------
    trades : xarray.Dataset
        From `cash_and_carry`.
    trade : int
        Position of the trade.
    """
    figure, ax = _one()
    one = trades.isel(trade=trade)
    profit = one["pnl"].values.ravel() / float(one["notional"]) * BASIS_POINTS
    low, high = np.quantile(profit, [0.005, 0.995])
    # Zero is an edge: no bin holds losses and profits.
    width = (high - low) / 40 or 1.0
    edges = width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)
    shown = np.clip(profit, low, high)
    weight = np.full(profit.shape, 1.0 / profit.size)
    for mine, colour, name in ((profit <= 0, VERMILLION, "loss"), (profit > 0, BLUE, "profit")):
        if mine.any():
            ax.hist(shown[mine], edges.tolist(), weights=weight[mine], color=colour, label=name)
    ax.axvline(0, color=INK, linewidth=0.9)
    ax.axvline(profit.mean(), color=INK, linewidth=1.1, linestyle=(0, (4, 2)), label="mean")
    name_axes(ax, x="profit (bp of notional)", y="share of paths")
    per_cent_axis(ax.yaxis)
    _legend(figure, ax)
    return figure


def picture_attribution(table: xr.Dataset) -> Figure:
    """Draw where the expected profit of every trade comes from.

    Parameters
    ----------
    table : xarray.Dataset
        From `trade_table`.
    """
    names = table["contract"].values.astype(str)
    if len(set(names)) < len(names):
        names = np.char.replace(table["trade"].values.astype(str), " cash-and-carry", "")
    figure, ax = _one(height=1.6 + 0.32 * len(names))
    rows = np.arange(len(names))
    up, down = np.zeros(len(names)), np.zeros(len(names))
    for component in table["component"].values.astype(str):
        value = table["attribution_bp"].sel(component=component).values
        if not value.any():
            continue
        left = np.where(value >= 0, up, down)
        ax.barh(rows, value, 0.6, left=left, color=COLOURS[component], label=component)
        up, down = up + np.maximum(value, 0), down + np.minimum(value, 0)
    ax.plot(table["pnl_bp"].values, rows, "D", color=INK, ms=4.5, label="profit")
    ax.axvline(0, color=INK, linewidth=0.9)
    ax.set_yticks(rows, [_literal(name) for name in names])
    ax.invert_yaxis()
    name_axes(ax, x="expected (bp of notional)")
    _legend(figure, ax)
    return figure


def picture_liquidation(margins: xr.Dataset) -> Figure:
    """Draw how often the future is liquidated, by leverage.

    Parameters
    ----------
    margins : xarray.Dataset
        From `margin`.
    """
    figure, ax = _one()
    leverage = margins["leverage"].values
    for row, name in enumerate(margins["contract"].values.astype(str)[: len(LINES)]):
        one = margins.isel(contract=row)
        chance, error = one["liquidation"].values, one["liquidation_error"].values
        ax.plot(leverage, chance, "o-", color=LINES[row], lw=1.5, ms=3.5, label=_literal(name))
        low, high = chance - 2 * error, chance + 2 * error
        ax.fill_between(leverage, np.maximum(low, 0), high, color=LINES[row], alpha=0.2, lw=0)
    alpha = margins.attrs["alpha"]
    ax.axhline(alpha, color=GREY, lw=1.0, ls=":", label=f"borne: {per_cent(alpha)}")
    ax.set_xscale("log")
    ax.set_xticks(leverage, [f"{level:g}" for level in leverage])
    ax.minorticks_off()
    ax.set_ylim(0, 1)
    per_cent_axis(ax.yaxis)
    name_axes(ax, x="leverage of the future", y="P(liquidation)")
    _legend(figure, ax)
    return figure


def picture_convergence(found: xr.Dataset) -> Figure:
    """Draw how surely every contract has converged, by days from the origin.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergence`.
    """
    figure, ax = _one()
    for row, name in enumerate(found["contract"].values.astype(str)[: len(LINES)]):
        one = found.isel(contract=row)
        live = ~np.isnat(one["time"].values)
        days = (one["time"].values[live] - one["time"].values[0]) / np.timedelta64(1, "D")
        ax.plot(days, one["converged"].values[live], color=LINES[row], lw=1.6, label=_literal(name))
    ax.set_ylim(0, 1.02)
    per_cent_axis(ax.yaxis)
    name_axes(ax, x="days from now", y="P(converged)")
    _legend(figure, ax)
    return figure


def picture_reliability(record: xr.Dataset) -> Figure:
    """Draw how often trades earned a profit against how often they were said to.

    Parameters
    ----------
    record : xarray.Dataset
        Dim bin: ``predicted``, ``realised`` and ``count``.
    """
    figure, ax = _one()
    ax.plot([0, 1], [0, 1], color=GREY, lw=1.0, ls=":", label="calibrated")
    size = 12 + 150 * record["count"].values / max(record["count"].values.max(), 1)
    ax.scatter(
        record["predicted"].values, record["realised"].values, s=size, color=BLUE, label="trades"
    )
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(-0.03, 1.03)
    for axis in (ax.xaxis, ax.yaxis):
        per_cent_axis(axis)
    name_axes(ax, x="predicted P(profit)", y="share that earned")
    _legend(figure, ax)
    return figure


def svg(figure: Figure, name: str) -> str:
    """Turn a figure into SVG for a page: text is text, ink and grid take the page's colours.

    Parameters
    ----------
    figure : Figure
    name : str
        Salt of the ids inside, so that figures of one page do not share any.
    """
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    target = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Generic families: a page that loads no font has no other that it can count on.
    text = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", text)
    for tint, share in _shares().items():
        text = text.replace(tint, f"color-mix(in srgb, var(--accent) {share:.0%}, var(--paper))")
    text = text.replace(BLUE.lower(), "var(--accent)")
    text = text.replace(INK.lower(), "currentColor").replace(PALE.lower(), "var(--line)")
    return re.sub(r'id="([\w.]+_\d+)"', rf'id="{name}-\1"', text)


def _shares() -> dict[str, float]:
    """Share of blue in every tint of a band, which is mixed with paper, whatever its colour."""
    blue = to_rgb(BLUE)[0]
    each = [tint for count in range(1, 6) for tint in tints(count)]
    return {to_hex(tint): (1 - tint[0]) / (1 - blue) for tint in each}


def _one(*, height: float = SIZE[1]) -> tuple[Figure, Axes]:
    figure, (ax,) = new_figure(1, 1, size=(SIZE[0], height))
    return figure, ax


def _legend(figure: Figure, ax: Axes, *, most: int = 3) -> None:
    handles, names = ax.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(most, len(names)),
        frameon=False,
        fontsize=8,
        handlelength=1.5,
        columnspacing=1.2,
        labelcolor=INK,
    )


def _literal(name: str) -> str:
    """Keep a name from being read as mathematics."""
    return name.replace("$", r"\$")
