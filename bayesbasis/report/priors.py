"""Figures of prior against posterior: what the quotes have taught."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from bayesbasis.report.style import (
    BASIS_POINTS,
    BLUE,
    DAYS_PER_YEAR,
    GREY,
    headline,
    label,
    legend,
    panel_title,
    per_cent,
    small_multiples,
    unit_text,
)

Array = NDArray[Any]

_POINTS = 300


def plot_prior_posterior(prior: xr.Dataset, posterior: xr.Dataset) -> Figure:
    """Draw the prior and the posterior density of every parameter but those of single contracts.

    Parameters
    ----------
    prior : xarray.Dataset
        From `prior_draws`.
    posterior : xarray.Dataset
        Of a fit of the same model to the same panel.

    Returns
    -------
    Figure
        A panel a parameter and element; parameters that are positive on a logarithmic axis.
    """
    pairs = _elements(prior, posterior)
    figure, panels = small_multiples(len(pairs), columns=4)
    for axes, (name, (before, after, unit)) in zip(panels, pairs.items(), strict=True):
        # A correlation is positive too, but one is as far from it as zero.
        logarithmic = before.min() > 0 and before.max() > 1
        _draw_density(axes, before, logarithmic, color=GREY, fill=True, label="prior")
        _draw_density(axes, after, logarithmic, color=BLUE, fill=False, label="posterior")
        if logarithmic:
            _logarithmic_axis(axes)
        axes.set_yticks([])
        axes.set_ylim(bottom=0)
        axes.spines["left"].set_visible(False)
        panel_title(axes, name if unit in ("", "1") else f"{name} ({unit})")
    headline(figure, "What the quotes have taught of each parameter")
    legend(figure, panels)
    return figure


def plot_prior_bands(prior: xr.Dataset, posterior: xr.Dataset) -> Figure:
    """Draw the widest posterior band of every contract within that of the prior.

    Parameters
    ----------
    prior : xarray.Dataset
        From `prior_bands`.
    posterior : xarray.Dataset
        From `bands`, at the same origin.

    Returns
    -------
    Figure
        A panel a contract of the posterior, basis in bp, days to expiry counted down.

    Raises
    ------
    ValueError
        If the prior lacks a contract, or the two share no probability.
    """
    shared = sorted(set(prior["prob"].values) & set(posterior["prob"].values))
    missing = sorted(set(posterior["contract"].values) - set(prior["contract"].values))
    if missing or not shared:
        lacking = f"no band of {', '.join(missing)}" if missing else "no probability in common"
        raise ValueError(f"the prior bands have {lacking} with the posterior's; draw both alike")
    figure, panels = small_multiples(posterior.sizes["contract"])
    for axes, contract in zip(panels, posterior["contract"].values, strict=True):
        for bands, color, name in ((prior, GREY, "prior"), (posterior, BLUE, "posterior")):
            own = bands.sel(contract=contract, prob=shared[-1])
            days = DAYS_PER_YEAR * own["tau"].values
            lower, upper = (BASIS_POINTS * own["interval"].sel(bound=b) for b in ("lower", "upper"))
            named = f"{name}, {per_cent(shared[-1])}"
            axes.fill_between(days, lower, upper, color=color, alpha=0.35, lw=0, label=named)
            axes.plot(days, BASIS_POINTS * own["median"], color=color, lw=1.2)
        axes.invert_xaxis()
        panel_title(axes, str(contract))
    label(figure, panels, x="days to expiry", y="basis (bp)")
    headline(figure, "Bands before the quotes, and after")
    legend(figure, panels)
    return figure


def _elements(prior: xr.Dataset, posterior: xr.Dataset) -> dict[str, tuple[Array, Array, str]]:
    """Draws of every element of every parameter that is not a contract's own, and its unit."""
    pairs = {}
    for key, values in posterior.data_vars.items():
        own = [dim for dim in values.dims if dim not in ("chain", "draw")]
        if "contract" in own:
            continue
        before, after = (_rows(draws[key], own) for draws in (prior, posterior))
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            name = f"{key}[{i + 1}]" if len(after) > 1 else str(key)
            pairs[name] = (old, new, unit_text(values.attrs.get("units", "")))
    return pairs


def _rows(values: xr.DataArray, own: list[Any]) -> Array:
    """One row of draws an element."""
    stacked = values.transpose(*own, "chain", "draw").values
    return stacked.reshape(-1, values.sizes["chain"] * values.sizes["draw"])


def _logarithmic_axis(axes: Axes) -> None:
    """Write few plain numbers on a logarithmic axis, however short it is."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    subs = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_density(
    axes: Axes, draws: Array, logarithmic: bool, *, color: str, fill: bool, label: str
) -> None:
    """Draw a kernel density, of the logarithm where the axis is logarithmic."""
    scale = np.log(draws) if logarithmic else draws
    low, high = np.quantile(scale, [0.002, 0.998])
    grid = np.linspace(low, high, _POINTS)
    density = gaussian_kde(scale)(grid)
    x, height = (np.exp(grid) if logarithmic else grid), density / density.max()
    if fill:
        axes.fill_between(x, 0, height, color=color, alpha=0.35, lw=0, label=label)
    else:
        axes.plot(x, height, color=color, lw=1.6, label=label)
