"""Sizing: the leverage that would have grown fastest, which is no advice."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.trade.risk import BOOK, draw_labels, flat, with_book

Array = NDArray[Any]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BISECTIONS = 60


def growth_leverage(
    trades: xr.Dataset, *, most: float = 100.0, resamples: int = 200, seed: int = 1
) -> xr.Dataset:
    r"""Find the leverage at which wealth is expected to grow fastest (Kelly's criterion).

    .. math:: L^* = \arg\max_{0 ≤ L ≤ L_{max}} E\,\ln(1 + L X/N)

    with profit ``X`` on notional ``N``. Reported, not advised: it takes the model at its word, and
    most of the trades that the model has never seen lie in the tail that it cares most about.

    Parameters
    ----------
    trades : xarray.Dataset
        From `cash_and_carry` or `book`.
    most : float
        Highest leverage looked at; a trade that lost on no path has no other bound.
    resamples : int
        Bayesian bootstraps of the paths.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    xarray.Dataset
        Dim trade, the book last: ``leverage`` over all paths, parameter uncertainty included;
        ``growth``, expected log growth over the trade at it; ``leverage_quantile`` (quantile): the
        distribution over posterior draws where each has 20 paths or more
        (``forecast(fit, repeats=...)``), else over bootstraps of the paths, as the attribute
        ``distribution`` says.

    References
    ----------
    Kelly (1956), doi 10.1002/j.1538-7305.1956.tb03809.x; Rubin (1981), doi 10.1214/aos/1176345338.
    """
    size = trades["notional"].values
    gain = with_book(flat(trades, "pnl"))
    gain = gain / np.append(size, size.sum())
    even = np.full((len(gain), 1), 1.0 / len(gain))
    best = _optimum(gain, even, most)
    label = draw_labels(trades)
    draws, repeats = np.unique(label, return_counts=True)
    if repeats.min() >= 20:
        each = [_optimum(own := gain[label == d], _even(own), most) for d in draws]
        spread, what = np.stack(each), "posterior draws"
    else:
        rng = np.random.default_rng(seed)
        weights = rng.standard_exponential((resamples, len(gain), 1))
        weights /= weights.sum(1, keepdims=True)
        spread = np.stack([_optimum(gain, w, most) for w in weights])
        what = "bootstraps of the paths"
    growth = (np.log1p(np.maximum(best * gain, -1 + 1e-15)) * even).sum(0)
    text = "growth-optimal leverage"
    return xr.Dataset(
        {
            "leverage": ("trade", best, {"units": "1", "long_name": text}),
            "growth": ("trade", growth, {"units": "1", "long_name": "expected log growth at it"}),
            "leverage_quantile": (
                ("quantile", "trade"),
                np.quantile(spread, QUANTILES, axis=0),
                {"units": "1", "long_name": f"{text} over {what}"},
            ),
        },
        {"trade": [*trades["trade"].values.tolist(), BOOK], "quantile": list(QUANTILES)},
        {"distribution": what, "most": most},
    )


def _even(paths: Array) -> Array:
    return np.full((len(paths), 1), 1.0 / len(paths))


def _optimum(gain: Array, weight: Array, most: float) -> Array:
    """Bisect on the slope of expected log growth, which falls with leverage; (trade,)."""
    worst = -gain.min(0)
    # Ruin on one path is ruin: leverage stays a hair below it.
    ceiling = np.where(worst > 0, np.minimum(most, (1 - 1e-9) / np.maximum(worst, 1e-300)), most)
    low, high = np.zeros_like(ceiling), ceiling.copy()
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        rising = (weight * gain / (1.0 + middle * gain)).sum(0) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return 0.5 * (low + high)
