"""Figures and tables of funding: what perpetuals paid, and what they will pay."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.table import Table

from bayesbasis.forecast.outlook import cumulative_funding, funding_bands
from bayesbasis.report.style import (
    BASIS_POINTS,
    BLUE,
    GREY,
    INK,
    VERMILLION,
    date_axis,
    headline,
    label,
    legend,
    new_figure,
    panel_title,
    per_cent,
    small_multiples,
    tints,
)

_HOURS_PER_YEAR = 8760.0
_PROBS = (0.9, 0.5)


def plot_funding(paths: xr.Dataset, history: xr.Dataset, *, days: float = 45.0) -> Figure:
    """Plot past funding and the bands of every settlement ahead, a panel a perpetual.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    history : xarray.Dataset
        From `make_funding`.
    days : float
        How much of the past to show.

    Returns
    -------
    Figure
        Rates in percent a year, simple.
    """
    bands = funding_bands(paths, prob=_PROBS)
    figure, panels = small_multiples(paths.sizes["contract"])
    origin = np.datetime64(paths.attrs["origin"])
    shades = tints(len(_PROBS))
    for axes, name in zip(panels, paths["contract"].values.astype(str), strict=True):
        own = bands.sel(contract=name)
        yearly = 100.0 * _HOURS_PER_YEAR / float(own["interval_hours"])
        seen = ~np.isnat(own["time"].values)
        time = own["time"].values[seen]
        for prob, shade in zip(_PROBS, shades, strict=True):
            edges = own["interval"].sel(prob=prob).transpose("bound", "step").values[:, seen]
            low, high = yearly * edges
            axes.fill_between(time, low, high, step="post", color=shade, lw=0, label=per_cent(prob))
        axes.step(time, yearly * own["median"].values[seen], color=BLUE, lw=1.2, where="post",
                  label="median")  # fmt: skip
        past = _past(history, name, origin, days)
        axes.plot(past["time"], 100.0 * past["apr_simple"], color=INK, lw=0.7, label="paid")
        axes.axvline(origin.astype("datetime64[us]").item(), color=GREY, lw=0.8)
        panel_title(axes, name)
        date_axis(axes, ticks=5)
    headline(figure, f"Funding, paid and forecast from {paths.attrs['origin'][:10]}")
    label(figure, panels, y="funding, % a year (simple)")
    legend(figure, panels)
    return figure


def plot_cumulative(paths: xr.Dataset, history: xr.Dataset) -> Figure:
    """Plot the distribution of cumulative funding over the horizon, a row a perpetual.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    history : xarray.Dataset
        From `make_funding`: what was paid over as long a time before is marked.

    Returns
    -------
    Figure
        In bp of the notional.
    """
    total = BASIS_POINTS * cumulative_funding(paths)
    days = pd.Timedelta(paths.attrs["horizon"]).total_seconds() / 86_400
    names = paths["contract"].values.astype(str).tolist()
    figure, panels = new_figure(1, 1, size=(7.0, 1.6 + 0.32 * len(names)))
    axes, rows = panels[0], np.arange(len(names))[::-1]
    origin = np.datetime64(paths.attrs["origin"])
    for prob, shade in zip(_PROBS, tints(len(_PROBS)), strict=True):
        low, high = total.quantile([(1 - prob) / 2, (1 + prob) / 2], ("chain", "draw")).values
        axes.barh(rows, high - low, left=low, height=0.55, color=shade, label=per_cent(prob))
    axes.plot(total.median(("chain", "draw")), rows, "|", color=BLUE, ms=11, mew=2, label="median")
    paid = [_past(history, name, origin, days)["funding_rate"].sum() for name in names]
    axes.plot(BASIS_POINTS * np.array(paid), rows, "o", color=VERMILLION, ms=4,
              label=f"paid in the last {days:g} days")  # fmt: skip
    axes.axvline(0.0, color=GREY, lw=0.8)
    axes.set_yticks(rows, names)
    headline(figure, f"Funding of the next {days:g} days from {paths.attrs['origin'][:10]}")
    label(figure, panels, x="cumulative funding that longs pay, bp of the notional")
    legend(figure, panels)
    return figure


def outlook_view(outlook: xr.Dataset) -> Table:
    """Show what `funding_outlook` sums up as a table for the terminal."""
    days = pd.Timedelta(outlook.attrs["within"]).total_seconds() / 86_400
    view = Table(
        "perpetual",
        *("funding", "band", "a year", "P(negative)", "off interest", "reverts"),
        title=f"Funding of {days:g} days from {outlook.attrs['origin'][:16].replace('T', ' ')} UTC",
        caption=(
            f"mean and {per_cent(outlook.attrs['prob'])} band in bp of the notional, paid by "
            "longs; a year: % simple\noff interest: expected share of settlements; reverts: days "
            "to the interest rate, median"
        ),
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    view.columns[0].no_wrap = True
    for column in view.columns[1:]:
        column.justify = "right"
    for name in outlook["contract"].values:
        row = outlook.sel(contract=name)
        mean, lower, upper = (
            float(row["cumulative"].sel(value=value)) * BASIS_POINTS
            for value in ("mean", "lower", "upper")
        )
        wait = float(row["revert_days"])
        view.add_row(
            str(name),
            f"{mean:.0f}",
            f"{lower:.0f} to {upper:.0f}",
            f"{100 * float(row['apr'].sel(value='mean')):.1f}",
            per_cent(float(row["negative"]), 0),
            "" if np.isnan(wait) else per_cent(float(row["outside_share"]), 0),
            "" if np.isnan(wait) else (f"{wait:.1f}" if np.isfinite(wait) else "later"),
        )
    return view


def _past(
    history: xr.Dataset, name: str, origin: np.datetime64, days: float
) -> dict[str, np.ndarray]:
    """Settlements of a contract in the days up to the origin."""
    index = history["contract"].values.astype(str).tolist().index(name)
    time = history["time"].values
    begin = origin - np.timedelta64(round(86_400 * days), "s")
    own = (history["contract_index"].values == index) & (time > begin) & (time <= origin)
    return {key: history[key].values[own] for key in ("time", "funding_rate", "apr_simple")}
