"""Figures of a comparison: calibration, coverage, skill and where it was earned."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    headline,
    label,
    legend,
    name_axes,
    new_figure,
    panel_title,
    per_cent,
)

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, INK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
STYLES = ("-", "--", "-.", ":")
# Skill below this says nothing more.
_FLOOR = -150.0
# Bars as tall as this leave the grey band far behind; taller ones say how tall they are.
_TALLEST = 4.0


def plot_pit(histogram: xr.Dataset, models: Sequence[str] | None = None) -> Figure:
    """Draw PIT histograms, a row a model, a column a bucket of time to expiry.

    Parameters
    ----------
    histogram : xr.Dataset
        From :func:`bayesbasis.evaluate.calibration.pit_histogram`.
    models : sequence of str, optional
        Which models; all by default.

    Returns
    -------
    Figure
        Bars that leave the grey band say that the forecast is not calibrated: a hill that it is
        too wide, a valley that it is too narrow, a slope that it is biased.
    """
    names = list(histogram["model"].values if models is None else models)
    seen = histogram.isel(bucket=np.flatnonzero(histogram["quotes"].values > 0))
    columns = seen.sizes["bucket"]
    size = (2.1 * columns + 0.6, 1.45 * len(names) + 0.8)
    figure, axes = new_figure(len(names), columns, size=size)
    top = min(1.15 * float(np.nanmax([seen["density"].max(), seen["upper"].max()])), _TALLEST)
    for place, ax in enumerate(axes):
        row, column = divmod(place, columns)
        one = seen.sel(model=names[row]).isel(bucket=column)
        _draw_pit(ax, one, top)
        quotes = f"{int(one['quotes'])} quotes"
        panel_title(ax, f"{one['bucket'].item()}, {quotes}" if row == 0 else "")
        if column == 0:
            ax.set_ylabel(fill(names[row], 16), fontsize=8.5, color=INK)
    label(figure, axes, x="PIT", y="density, flat if calibrated")
    headline(figure, "How often quotes fell where, by time to expiry")
    legend(figure, axes[:1])
    return figure


def plot_coverage(covered: xr.Dataset) -> Figure:
    """Draw how many quotes fell inside intervals of each probability, by time to expiry.

    Parameters
    ----------
    covered : xr.Dataset
        From :func:`bayesbasis.evaluate.calibration.coverage`.

    Returns
    -------
    Figure
        A panel a bucket; above the grey line, intervals are wider than they say.
    """
    seen = covered.isel(bucket=np.flatnonzero(covered["quotes"].values > 0))
    figure, axes = new_figure(
        1, seen.sizes["bucket"], size=(2.35 * seen.sizes["bucket"] + 0.6, 3.4)
    )
    level, place = 100 * seen["level"].values, np.arange(seen.sizes["level"])
    shift = np.linspace(-0.3, 0.3, seen.sizes["model"])
    for column, ax in enumerate(axes):
        one = seen.isel(bucket=column)
        ax.hlines(level, place - 0.42, place + 0.42, color=GREY, linewidth=1.2, label="nominal")
        for number, name in enumerate(one["model"].values):
            own = 100 * one.sel(model=name)
            ax.errorbar(
                place + shift[number],
                own["covered"].values,
                yerr=np.nan_to_num(own["covered_se"].values),
                fmt=MARKERS[number % len(MARKERS)],
                color=COLOURS[number % len(COLOURS)],
                ms=3.6,
                elinewidth=0.8,
                label=str(name),
            )
        ax.set_ylim(min(20, 100 * float(np.nanmin(seen["covered"])) - 4), 104)
        ax.set_xticks(place, [f"{x:g}" for x in level])
        ax.grid(visible=False, axis="x")
        panel_title(ax, f"{one['bucket'].item()}, {int(one['quotes'])} quotes")
    label(figure, axes, x="interval (%)", y="quotes inside (%), ± one standard error")
    for ax in axes:
        name_axes(ax, x="interval (%)")
    headline(figure, "Coverage against nominal, by time to expiry")
    legend(figure, axes[:1])
    return figure


def plot_skill(found: xr.Dataset) -> Figure:
    """Draw the skill of every model over a reference, by time to expiry.

    Parameters
    ----------
    found : xr.Dataset
        From :func:`bayesbasis.evaluate.calibration.skill`, by bucket.

    Returns
    -------
    Figure
        Per cent of the reference's CRPS saved, with 95 % intervals over contracts.
    """
    reference = found.attrs["reference"]
    seen = found.isel(bucket=np.flatnonzero(found["skill"].notnull().any("model").values))
    names = [name for name in seen["model"].values if name != reference]
    figure, (ax,) = new_figure(1, 1, size=(8.0, 4.0))
    place = np.arange(seen.sizes["bucket"])
    shift = np.linspace(-0.3, 0.3, len(names)) if len(names) > 1 else [0.0]
    for number, name in enumerate(names):
        own = 100 * seen.sel(model=name)
        # What is off the chart is written at its edge.
        middle = own["skill"].where(own["skill"] >= _FLOOR).values
        error = [middle - own["lower"].values, own["upper"].values - middle]
        ax.errorbar(
            place + shift[number],
            middle,
            yerr=np.maximum(np.nan_to_num(error), 0),
            fmt=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            ms=5,
            elinewidth=1.0,
            label=str(name),
        )
    ax.axhline(0, color=INK, linewidth=0.9)
    ax.set_xticks(place, seen["bucket"].values)
    ax.set_xlim(-0.5, len(place) - 0.5)
    lowest = float(np.nanmin(100 * seen["skill"].sel(model=names), initial=0.0))
    ax.set_ylim(max(lowest - 15, _FLOOR), 100)
    _name_what_is_off_the_chart(ax, 100 * seen["skill"].sel(model=names), place, shift)
    name_axes(ax, x="time to expiry when quoted", y=f"CRPS saved against {reference} (%)")
    headline(figure, f"Skill over {reference}, by days to expiry (95 % intervals over contracts)")
    legend(figure, [ax])
    return figure


def plot_score_differences(found: xr.Dataset) -> Figure:
    """Draw when each model did better or worse than a reference.

    Parameters
    ----------
    found : xr.Dataset
        From :func:`bayesbasis.evaluate.calibration.score_differences`.

    Returns
    -------
    Figure
        Above, the difference in CRPS origin by origin; below, its running sum. Down is better.
    """
    reference = found.attrs["reference"]
    names = [name for name in found["model"].values if name != reference]
    figure, (above, below) = new_figure(2, 1, size=(9.0, 5.4), share_x=True)
    for number, name in enumerate(names):
        own = BASIS_POINTS * found.sel(model=name)
        look: dict[str, Any] = {
            "color": COLOURS[number % len(COLOURS)],
            "linestyle": STYLES[number // len(COLOURS) % len(STYLES)],
            "marker": MARKERS[number % len(MARKERS)],
            "ms": 3,
            "linewidth": 1.0,
            "label": str(name),
        }
        above.plot(found["origin"].values, own["difference"].values, **look)
        below.plot(found["origin"].values, own["cumulative"].values, **look)
    for ax, text in ((above, "of each origin"), (below, "summed so far")):
        ax.axhline(0, color=INK, linewidth=0.9)
        name_axes(ax, y="CRPS difference (bp)")
        panel_title(ax, text)
    date_axis(below, ticks=9)
    name_axes(below, x="origin")
    headline(figure, f"CRPS less that of {reference}, over time (below zero: better)")
    legend(figure, [above])
    return figure


def _name_what_is_off_the_chart(
    ax: Axes, value: xr.DataArray, place: np.ndarray, shift: Sequence[float] | np.ndarray
) -> None:
    """Write, at the lower edge, the values that lie below it."""
    for number, row in enumerate(value.transpose("model", ...).values):
        for column, at in enumerate(row):
            if at < _FLOOR:
                ax.text(
                    place[column] + shift[number],
                    _FLOOR + 4,
                    f"{at:.0f}",
                    rotation=90,
                    ha="center",
                    va="bottom",
                    fontsize=7,
                    color=COLOURS[number % len(COLOURS)],
                )


def _draw_pit(ax: Axes, one: xr.Dataset, top: float) -> None:
    left, width = one["edge"].values, 1 / one.sizes["bin"]
    edges = np.append(left, 1.0)
    lower, upper = (np.append(one[n].values, one[n].values[-1]) for n in ("lower", "upper"))
    name = f"{per_cent(one.attrs.get('prob', 0.95))} simultaneous band"
    if np.isfinite(lower).all():
        ax.fill_between(edges, lower, upper, step="post", color=PALE, linewidth=0, label=name)
    ax.bar(left, one["density"].values, width, align="edge", color=BLUE, alpha=0.75, linewidth=0)
    for edge in (lower, upper):
        ax.step(edges, edge, where="post", color=GREY, linewidth=0.8)
    ax.axhline(1, color=INK, linewidth=0.8, label="calibrated")
    for at, density in zip(left, one["density"].values, strict=True):
        if density > top:
            ax.text(
                at + width / 2, 0.96 * top, f"{density:.1f}",
                rotation=90, ha="center", va="top", fontsize=7, color="white",
            )  # fmt: skip
    ax.set_ylim(0, top)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1])
