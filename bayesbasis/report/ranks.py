"""Figures of calibration by simulation: where truths rank among posterior draws."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bayesbasis.evaluate.uniformity import simultaneous_bands
from bayesbasis.report.style import (
    BLUE,
    INK,
    PALE,
    headline,
    label,
    panel_title,
    per_cent,
    small_multiples,
)

_PROB = 0.95


def plot_ranks(ranks: Mapping[str, ArrayLike], largest: int) -> Figure:
    """Draw how far the distribution of every quantity's ranks strays from the uniform one.

    Where a curve leaves the grey band the ranks are not uniform. A curve above zero on the left
    and below it on the right is a posterior too narrow, the reverse one too wide; above zero
    throughout is a posterior too high, below it one too low.

    Parameters
    ----------
    ranks : mapping of array-like of int, shape (n,)
        By quantity, from 0 to `largest`.
    largest : int
        Posterior draws that the truth was ranked among.

    Returns
    -------
    Figure
        A panel a quantity, with 95 % simultaneous bands.
    """
    figure, panels = small_multiples(len(ranks), columns=4)
    for axes, (name, values) in zip(panels, ranks.items(), strict=True):
        own = np.asarray(values)
        chance, lower, upper = simultaneous_bands(len(own), largest, _PROB)
        found = (own[:, None] <= np.arange(largest)).mean(axis=0)
        axes.fill_between(chance, lower - chance, upper - chance, color=PALE, step="mid", lw=0)
        axes.axhline(0.0, color=INK, lw=0.6)
        axes.step(chance, found - chance, where="mid", color=BLUE, lw=1.4)
        axes.set_xlim(0, 1)
        panel_title(axes, name)
    label(figure, panels, x="rank as a share", y="share of ranks below, less that if uniform")
    count = len(np.asarray(next(iter(ranks.values()))))
    headline(
        figure, f"{count} truths among {largest} posterior draws; grey: uniform, {per_cent(_PROB)}"
    )
    return figure
