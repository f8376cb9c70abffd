"""Figures of a fit and its forecasts: Datasets in, matplotlib figures out.

Each figure is returned, not shown: leave it as the last line of a notebook's cell, or ``savefig``
it. Bases are in basis points, dates in UTC.
"""

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from bayesbasis.data.panel import families
from bayesbasis.report.style import (
    BASIS_POINTS,
    BLUE,
    DAYS_PER_YEAR,
    GREY,
    INK,
    ORANGE,
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
    small_multiples,
    tints,
)

type Horizontal = Literal["time", "tau"]

CALM_TO_WILD = LinearSegmentedColormap.from_list("calm to wild", [SKY, ORANGE, VERMILLION])
# Contracts that trade at one time are neighbours in this cycle, and so told apart.
SHADES = ("#08306B", "#4292C6", "#9ECAE1", "#2171B5")


def plot_bands(
    bands: xr.Dataset,
    panel: xr.Dataset | None = None,
    *,
    x: Horizontal = "time",
    history: float | None = None,
) -> Figure:
    """Draw every live contract's bands to expiry, against what happened.

    Parameters
    ----------
    bands : xr.Dataset
        From :func:`bayesbasis.bands`, dims (contract, step, prob, bound).
    panel : xr.Dataset, optional
        Quotes: those up to the origin are drawn as a line, those after it as dots.
    x : {"time", "tau"}
        Calendar dates, or days to expiry counted down.
    history : float, optional
        Days of quotes before the origin; as many as lie ahead, and at least 14, by default.

    Returns
    -------
    Figure
        One panel a contract, basis in bp.

    Raises
    ------
    ValueError
        Where `x` is neither, `bands` hold no contract, or they are of the deviation and a panel of
        quotes comes with them.
    """
    if x not in ("time", "tau"):
        raise ValueError(f'x is {x!r}: give "time" for dates or "tau" for days to expiry')
    if panel is not None and bands.attrs["variable"] != "basis":
        raise ValueError(
            f"these are bands of the {bands.attrs['variable']}, quotes are of the basis: "
            'leave the panel out, or take bands(paths, variable="basis")'
        )
    if bands.sizes["contract"] == 0:
        raise ValueError("the bands hold no contract: forecast at least one live contract")
    if x == "tau" and np.isnat(bands["expiry"].values).any():
        raise ValueError('perpetuals have no time to expiry to draw along: give x="time"')
    figure, axes = small_multiples(bands.sizes["contract"])
    for index, ax in enumerate(axes):
        one = bands.isel(contract=index)
        one = one.isel(step=np.flatnonzero(~np.isnat(one["time"].values)))
        draw_bands(ax, one, x)
        if panel is not None:
            draw_quotes(ax, one, panel, x, history)
        _draw_horizontal(ax, x)
        panel_title(ax, f"{one['contract'].item()}, {_left(one)}")
    label(
        figure, axes, x="days to expiry" if x == "tau" else "", y=f"{bands.attrs['variable']} (bp)"
    )
    headline(figure, _bands_headline(bands))
    legend(figure, axes)
    return figure


def plot_regimes(states: xr.Dataset, panel: xr.Dataset) -> Figure:
    """Draw the basis over the probability of each volatility regime, smoothed.

    Parameters
    ----------
    states : xr.Dataset
        From :func:`bayesbasis.filter_states`: ``regime_smoothed`` (chain, draw, event, regime).
    panel : xr.Dataset
        The quotes the states were found from.

    Returns
    -------
    Figure
        Two rows an underlying: the basis of its contracts in bp, a line each, and below it the
        posterior mean probabilities, stacked.
    """
    probability = states["regime_smoothed"].mean(("chain", "draw"))
    owner = states["event_underlying"].values
    underlyings = list(dict.fromkeys(owner.tolist()))
    figure, axes = new_figure(
        2 * len(underlyings),
        1,
        size=(9.0, 3.6 * len(underlyings) + 0.9),
        heights=[2.6, 1.0] * len(underlyings),
        share_x=True,
    )
    for row, underlying in enumerate(underlyings):
        above, below = axes[2 * row : 2 * row + 2]
        _draw_contracts(above, panel, underlying)
        _draw_probabilities(below, probability.isel(event=np.flatnonzero(owner == underlying)))
    date_axis(axes[-1], ticks=9)
    headline(figure, "Basis of every contract, over the probability of each volatility regime")
    legend(figure, axes[1:])
    return figure


def plot_half_life(half_lives: xr.Dataset, *, prob: Sequence[float] = (0.5, 0.9)) -> Figure:
    """Draw the law of convergence: the half-life of a deviation, by days to expiry.

    Parameters
    ----------
    half_lives : xr.Dataset
        From :func:`bayesbasis.half_life`: ``half_life`` (chain, draw, underlying or contract, tau)
        in days, ``tau`` in years.
    prob : sequence of float, default (0.5, 0.9)
        Probabilities of the equal-tailed bands.

    Returns
    -------
    Figure
        One panel an underlying, or contract. Above the dotted line, half a deviation would outlive
        the contract.
    """
    half_life = half_lives["half_life"].transpose("chain", "draw", ..., "tau")
    days, owner = half_lives["tau"].values * DAYS_PER_YEAR, half_life.dims[2]
    figure, axes = small_multiples(half_life.sizes[owner])
    for index, ax in enumerate(axes):
        _draw_half_life(ax, days, half_life.isel({owner: index}).values, prob)
        panel_title(ax, str(half_life[owner].values[index]))
    label(figure, axes, x="days to expiry", y="half-life (days)")
    headline(figure, "Half-life of a deviation from the fair basis")
    legend(figure, axes)
    return figure


def draw_bands(ax: Axes, one: xr.Dataset, x: Horizontal) -> None:
    """Draw the bands, median and fair basis of one contract, whose steps all have a time."""
    along = _along(one["time"].values, one["tau"].values, x)
    basis = one[["interval", "median"]] * BASIS_POINTS
    kind = {"hdi": "highest density", "eti": "forecast"}[one.attrs["interval_kind"]]
    levels = np.sort(one["prob"].values)[::-1]
    for level, tint in zip(levels, tints(levels.size), strict=True):
        interval = basis["interval"].sel(prob=level)
        lower, upper = (interval.sel(bound=bound).values for bound in ("lower", "upper"))
        name = f"{per_cent(level)} {kind}"
        ax.fill_between(along, lower, upper, color=tint, linewidth=0, label=name)
    dashes = (0, (4, 2))
    ax.plot(along, basis["median"].values, color=BLUE, linewidth=1.4, label="median")
    fair = one["equilibrium"].values * BASIS_POINTS if "equilibrium" in one else 0 * one["tau"]
    ax.plot(along, fair, color=VERMILLION, linewidth=1.1, linestyle=dashes, label="fair basis")
    ax.axvline(along[0], color=GREY, linewidth=0.8)


def draw_quotes(
    ax: Axes, one: xr.Dataset, panel: xr.Dataset, x: Horizontal, history: float | None
) -> None:
    """Draw what was quoted of one contract: a line up to its origin, dots after it."""
    names = panel["contract"].values[panel["contract_index"].values]
    quotes = panel.isel(obs=np.flatnonzero(names == one["contract"].item()))
    time, origin = quotes["time"].values, one["time"].values[0]
    day = np.timedelta64(1, "D")
    days_back = max((one["time"].values[-1] - origin) / day, 14) if history is None else history
    before = (time <= origin) & ((origin - time) / day <= days_back)
    after = time > origin
    along = _along(time, quotes["tau"].values, x)
    basis = quotes["basis"].values * BASIS_POINTS
    ax.plot(along[before], basis[before], color=GREY, linewidth=1.0, label="quotes so far")
    if after.any():
        size = 2.8 if after.sum() <= 60 else 1.9
        ax.plot(along[after], basis[after], "o", color=INK, ms=size, mew=0, label="what happened")


def _draw_horizontal(ax: Axes, x: Horizontal) -> None:
    if x == "time":
        date_axis(ax)
    else:
        ax.set_xlim(max(ax.get_xlim()), 0)


def _left(one: xr.Dataset) -> str:
    days = one["tau"].values[0] * DAYS_PER_YEAR
    return "perpetual" if np.isnan(days) else f"{days:.0f} days left"


def _along(time: np.ndarray, tau: np.ndarray, x: Horizontal) -> np.ndarray:
    return time if x == "time" else tau * DAYS_PER_YEAR


def _bands_headline(bands: xr.Dataset) -> str:
    origin = np.datetime_as_string(np.datetime64(bands.attrs["origin"]), unit="m")
    count = bands.sizes["contract"]
    contracts = "the live contract" if count == 1 else f"{count} live contracts"
    variable = bands.attrs["variable"].capitalize()
    ends = "" if np.isnat(bands["expiry"].values).all() else ", to expiry"
    return f"{variable} of {contracts}{ends}, as seen on {origin.replace('T', ' ')} UTC"


def _draw_contracts(ax: Axes, panel: xr.Dataset, underlying: str) -> None:
    contracts = np.flatnonzero(families(panel) == underlying)
    contracts = contracts[np.argsort(panel["expiry"].values[contracts], kind="stable")]
    width = 0.9 if contracts.size <= 20 else 0.6
    for contract, shade in zip(contracts, itertools.cycle(SHADES), strict=False):
        mine = np.flatnonzero(panel["contract_index"].values == contract)
        basis = panel["basis"].values[mine] * BASIS_POINTS
        ax.plot(panel["time"].values[mine], basis, color=shade, linewidth=width)
    ax.axhline(0, color=GREY, linewidth=0.7)
    name_axes(ax, y="basis (bp)")
    ax.tick_params(bottom=False)
    panel_title(ax, f"{underlying}, a line a contract")


def _draw_probabilities(ax: Axes, probability: xr.DataArray) -> None:
    names = [f"regime {regime}" for regime in probability["regime"].values]
    if len(names) > 1:
        names[0], names[-1] = f"{names[0]} (calmest)", f"{names[-1]} (wildest)"
    ax.stackplot(
        probability["event_time"].values,
        probability.transpose("regime", "event").values,
        colors=CALM_TO_WILD(np.linspace(0, 1, len(names))),
        labels=names,
        step="post",
        linewidth=0,
    )
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 0.5, 1])
    name_axes(ax, y="P(regime)")
    ax.margins(x=0)


def _draw_half_life(ax: Axes, days: np.ndarray, draws: np.ndarray, prob: Sequence[float]) -> None:
    levels = sorted(prob, reverse=True)
    tails = [(1 + sign * level) / 2 for level in levels for sign in (-1, 1)]
    # Half-lives are infinite where expiry comes first: no quantile may mix two of them.
    found = np.quantile(draws, [*tails, 0.5], axis=(0, 1), method="inverted_cdf")
    top = 1.05 * found[np.isfinite(found)].max(initial=0)
    *edges, median = np.minimum(found, 2 * top)
    for number, (level, tint) in enumerate(zip(levels, tints(len(levels)), strict=True)):
        lower, upper = edges[2 * number : 2 * number + 2]
        name = f"{per_cent(level)} posterior"
        ax.fill_between(days, lower, upper, color=tint, linewidth=0, label=name)
    ax.plot(days, median, color=BLUE, linewidth=1.6, label="median")
    ax.plot(days, days, color=GREY, linewidth=1.0, linestyle=":", label="time left")
    ax.set_ylim(0, top or None)
    ax.set_xlim(days.max(), 0)
