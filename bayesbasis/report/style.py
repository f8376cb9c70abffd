"""The look that all figures share: colours, units and axes."""

import math
import re
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

BASIS_POINTS = 1e4
DAYS_PER_YEAR = 365.0

# Okabe and Ito's palette: told apart by every kind of colour vision, and in print.
BLUE = "#0072B2"
SKY = "#56B4E9"
ORANGE = "#E69F00"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
GREY = "#8C8C8C"
PALE = "#E3E3E3"
INK = "#262626"


def new_figure(
    rows: int,
    columns: int,
    *,
    size: tuple[float, float],
    heights: Sequence[float] | None = None,
    share_x: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Open a figure of `rows` × `columns` dressed panels, in reading order.

    pyplot does not keep it, so a notebook shows it once, where it is a cell's last line.

    Parameters
    ----------
    rows, columns : int
        Shape of the grid.
    size : tuple of float
        Width and height, inches.
    heights : sequence of float, optional
        Relative heights of the rows; equal by default.
    share_x : bool, default False
        Whether the panels of a column share their horizontal axis.

    Returns
    -------
    Figure
    list of Axes
    """
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=size,
        squeeze=False,
        sharex="col" if share_x else False,
        height_ratios=heights,
        layout="constrained",
        dpi=150,
    )
    plt.close(figure)
    panels = list(grid.flat)
    for axes in panels:
        dress(axes)
    return figure, panels


def small_multiples(count: int, *, columns: int = 3) -> tuple[Figure, list[Axes]]:
    """Open a figure of `count` equal panels, row by row, the last row left ragged.

    Parameters
    ----------
    count : int
        Number of panels, at least one.
    columns : int, default 3
        Most panels in a row.

    Returns
    -------
    Figure
    list of Axes
        One a panel, in reading order.
    """
    columns = 2 if count == 4 else min(count, columns)
    rows = math.ceil(count / columns)
    size = (7.0, 4.2) if count == 1 else (3.4 * columns, 2.35 * rows + 0.9)
    figure, panels = new_figure(rows, columns, size=size)
    for spare in panels[count:]:
        spare.remove()
    return figure, panels[:count]


def dress(axes: Axes) -> None:
    """Take away what is no data: two spines, strong lines, black ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=GREY, linewidth=0.7)
    axes.tick_params(color=GREY, labelcolor=INK, labelsize=8, width=0.7, length=3)
    axes.grid(visible=True, color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def headline(figure: Figure, text: str) -> None:
    """Say what the figure shows."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=10.5, fontweight="bold", color=INK)


def panel_title(axes: Axes, text: str) -> None:
    """Name one panel."""
    axes.set_title(text, loc="left", fontsize=9, color=INK)


def date_axis(axes: Axes, *, ticks: int = 6) -> None:
    """Write dates briefly, each to be read alone: a day with its month; the year in the corner."""
    locator = AutoDateLocator(minticks=ticks // 2, maxticks=ticks)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(
            locator,
            formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
            zero_formats=["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
            offset_formats=["", "%Y", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M"],
        )
    )
    axes.xaxis.get_offset_text().set(size=8, color=INK)


def per_cent(share: float, digits: int | None = None) -> str:
    """Write a share as text does, as exactly as it is or rounded.

    Examples
    --------
    >>> per_cent(0.9), per_cent(0.995), per_cent(0.8768, 1)
    ('90 %', '99.5 %', '87.7 %')
    """
    return f"{100 * share:g} %" if digits is None else number_text(f"{{:.{digits}%}}", share)


def number_text(form: str, value: float) -> str:
    """Write a number by a Python format; what rounds to nothing has no sign.

    Examples
    --------
    >>> number_text("{:.0%}", 0.88), number_text("{:.1f}", -0.04), number_text("{:.1f}", np.inf)
    ('88 %', '0.0', '∞')
    """
    if np.isinf(value):
        return "∞"
    text = form.format(value).replace("%", " %")
    return text.lstrip("+-") if text.strip("+-0. %") == "" else text


def per_cent_axis(axis: Axis) -> None:
    """Write the shares along an axis in per cent."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: per_cent(share)))


def unit_text(units: str) -> str:
    """Write units as a trader does.

    Examples
    --------
    >>> unit_text("bp/day**0.5")
    'bp/√day'
    """
    return re.sub(r"(\w+)\*\*0\.5", r"√\1", units)


def tints(count: int) -> list[tuple[float, float, float]]:
    """Shades of blue for `count` nested bands, from the widest (palest) to the narrowest."""
    blue = np.array(to_rgb(BLUE))
    strengths = np.linspace(0.2, 0.5, count) if count > 1 else [0.3]
    return [to_rgb(tuple(1 - strength * (1 - blue))) for strength in strengths]


def name_axes(axes: Axes, *, x: str = "", y: str = "") -> None:
    """Name what one panel shows along its axes."""
    if x:
        axes.set_xlabel(x, fontsize=9, color=INK)
    if y:
        axes.set_ylabel(y, fontsize=9, color=INK)


def label(figure: Figure, panels: Sequence[Axes], *, x: str = "", y: str = "") -> None:
    """Name the axes once: `x` under the lowest panel of each column, `y` at the left."""
    figure.supylabel(y, fontsize=9, color=INK)
    grid = panels[0].get_gridspec()
    for axes in panels[-grid.ncols :] if grid is not None else ():
        name_axes(axes, x=x)


def legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Explain every labelled artist once, under the panels, in rows of equal length."""
    named = {
        name: handle
        for axes in panels
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    rows = math.ceil(len(named) * 1.4 / figure.get_figwidth())
    figure.legend(
        handles=list(named.values()),
        labels=list(named),
        loc="outside lower center",
        ncols=math.ceil(len(named) / rows),
        frameon=False,
        fontsize=8.5,
        handlelength=1.8,
        labelcolor=INK,
    )
