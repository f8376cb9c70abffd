"""Whether ranks are uniform: simultaneous bands of their distribution, and what deviates.

References
----------
Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv 1804.06788; Säilynoja, Bürkner & Vehtari
(2022), doi 10.1007/s11222-022-10090-6.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

Array = NDArray[Any]

_SIMULATIONS = 4000


@lru_cache(maxsize=8)
def _uniform_extremes(count: int, largest: int) -> Array:
    """Pointwise tail probabilities at their smallest, for ranks that are uniform; sorted."""
    rng = np.random.default_rng(0)
    ranks = rng.integers(0, largest + 1, (_SIMULATIONS, count))
    return np.sort([_extreme(row, largest) for row in ranks])


def _points(largest: int) -> Array:
    """Ranks at which the distribution is looked at; the last, where it is one, says nothing."""
    return np.arange(largest)


def _extreme(ranks: Array, largest: int) -> float:
    """Smallest two-sided tail probability of the empirical distribution over all ranks."""
    below = np.searchsorted(np.sort(ranks), _points(largest), side="right")
    chance = (_points(largest) + 1) / (largest + 1)
    lower = binom.cdf(below, len(ranks), chance)
    upper = binom.sf(below - 1, len(ranks), chance)
    return float(2.0 * np.minimum(lower, upper).min())


def simultaneous_bands(count: int, largest: int, prob: float = 0.95) -> tuple[Array, Array, Array]:
    """Where the whole empirical distribution of uniform ranks lies with a probability.

    Parameters
    ----------
    count : int
        How many ranks there are.
    largest : int
        Ranks run from 0 to this.
    prob : float
        Probability that the distribution lies within the bands everywhere.

    Returns
    -------
    chance, lower, upper : ndarray, shape (largest,)
        Cumulative probability, and the bands of the empirical one.

    Examples
    --------
    >>> chance, lower, upper = simultaneous_bands(200, 99)
    >>> bool((lower <= chance).all() and (chance <= upper).all())
    True
    """
    extremes = _uniform_extremes(count, largest)
    level = extremes[int((1.0 - prob) * len(extremes))]
    chance = (_points(largest) + 1) / (largest + 1)
    lower = binom.ppf(level / 2.0, count, chance) / count
    upper = binom.ppf(1.0 - level / 2.0, count, chance) / count
    return chance, lower, upper


def uniformity(ranks: Array, largest: int) -> float:
    """Probability that uniform ranks stray as far from uniform, anywhere, as these.

    Parameters
    ----------
    ranks : ndarray of int, shape (n,)
        From 0 to `largest`.
    largest : int
        The largest rank there can be.

    Returns
    -------
    float
        A p-value.
    """
    extremes = _uniform_extremes(len(ranks), largest)
    # The observed ranks count as one more simulation, so the value is never zero.
    found = np.searchsorted(extremes, _extreme(np.asarray(ranks), largest), side="right")
    return float((found + 1) / (len(extremes) + 1))


def verdicts(ranks: dict[str, Array], largest: int) -> pd.DataFrame:
    """Judge the ranks of every quantity.

    Parameters
    ----------
    ranks : dict of ndarray of int, shape (n,)
        How many of `largest` posterior draws lie below the truth, replication by replication.
    largest : int
        The largest rank there can be.

    Returns
    -------
    pandas.DataFrame
        A row a quantity: ``p`` of uniformity; ``mean`` rank and ``spread`` of ranks, both 1 if
        uniform; ``verdict``, which is "calibrated" unless ``p`` is below 5 %, and holds a doubt
        back until it is below 5 % over the number of quantities.
    """
    rows = []
    for name, values in ranks.items():
        own = np.asarray(values)
        middle, uniform = 0.5 * largest, np.sqrt(largest * (largest + 2) / 12.0)
        mean, spread = own.mean() / middle, np.sqrt(np.mean((own - middle) ** 2)) / uniform
        p = uniformity(own, largest)
        error = uniform / middle / np.sqrt(len(own))
        tilt = abs(mean - 1.0) / error
        if tilt > 2.0:
            why = "posterior too low" if mean > 1.0 else "posterior too high"
        else:
            why = "posterior too narrow" if spread > 1.0 else "posterior too wide"
        verdict = "calibrated"
        if p < 0.05:
            verdict = why if p < 0.05 / len(ranks) else f"doubtful: {why}?"
        rows.append(
            {"quantity": name, "ranks": len(own), "p": p, "mean": mean, "spread": spread}
            | {"verdict": verdict}
        )
    return pd.DataFrame(rows)
