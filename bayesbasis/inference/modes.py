"""Modes of a density that has several, and the Gaussian at the highest."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesbasis.inference.posterior import LogPosterior

Array = NDArray[np.float64]

# Where climbs begin, in prior deviations: from farther out they end on lower modes.
_SPREAD = 0.5
# They need about a hundred steps.
_STEPS = 300
_SLOPE_STEP = 1e-4
# On the market with most modes, two climbs of three reach the highest.
_CLIMBS = 12
# A mode so many nats lower holds next to nothing of a posterior, unless it is far wider.
_LOWER = 10.0


@dataclass(frozen=True, eq=False)
class Gaussian:
    r"""Normal distribution :math:`N(m, L L^\top)`, as a start of chains: see `Start`.

    Parameters
    ----------
    centre : ndarray, shape (size,)
        Mean ``m``.
    factor : ndarray, shape (size, size)
        Any ``L``.
    """

    centre: Array
    factor: Array

    def initial(self, seed: int) -> Array:
        """Draw a position, on the scale of `whiten`."""
        return np.random.default_rng(seed).standard_normal(len(self.centre))

    def whiten(
        self, target: Callable[[Array], tuple[float, Array]]
    ) -> Callable[[Array], tuple[float, Array]]:
        """Turn a density of the vector into one of the whitened vector, constant left out."""

        def whitened(flat: Array) -> tuple[float, Array]:
            value, slope = target(self.colour(flat))
            return value, slope @ self.factor

        return whitened

    def colour(self, flat: Array) -> Array:
        """Turn whitened vectors, shape (..., size), back."""
        return self.centre + flat @ self.factor.T


def starting_places(size: int, seed: int) -> Array:
    """Places to climb from, shape (climb, size): the middle of the prior, and around it."""
    places = _SPREAD * np.random.default_rng(seed).standard_normal((_CLIMBS, size))
    places[0] = 0.0
    return places


def modes(target: LogPosterior, places: Array) -> tuple[Array, Array]:
    """Climb from several places.

    Parameters
    ----------
    target : LogPosterior
        The density.
    places : ndarray, shape (climb, size)
        Where climbs begin.

    Returns
    -------
    found : ndarray, shape (climb, size)
        Where they end, the highest first.
    heights : ndarray, shape (climb,)
        Log density there.
    """
    found = np.array([target.climb(place, _STEPS) for place in places])
    heights = np.array([target(place)[0] for place in found])
    order = np.argsort(-np.where(np.isfinite(heights), heights, -np.inf))
    return found[order], heights[order]


def beginnings(target: LogPosterior, seed: int) -> Array:
    """Places for chains to begin, shape (place, size): below the highest mode, or others like it.

    A chain that wanders in by itself may stay on a low mode. So chains begin on the way up to a
    high one: half a nat below it for every dimension, which is as high as the bulk of a posterior
    lies, and where slopes tell of scales.

    Parameters
    ----------
    target : LogPosterior
        The density.
    seed : int
        Of `starting_places`, where climbs begin.

    Returns
    -------
    ndarray
        The middle of the prior, if the density is finite at none of these.
    """
    paths = [target.path(place, _STEPS) for place in starting_places(target.size, seed)]
    paths = [(way, heights) for way, heights in paths if np.isfinite(heights[-1])]
    if not paths:
        return np.zeros((1, target.size))
    lowest = max(heights[-1] for _, heights in paths) - _LOWER
    found = []
    for way, heights in paths:
        if heights[-1] >= lowest:
            found.append(way[np.searchsorted(heights, heights[-1] - 0.5 * target.size)])
    return np.array(found)


def gaussian_at(target: LogPosterior, mode: Array) -> Gaussian:
    """Approximate a density at its mode, its curvature by differences of the gradient.

    Where the density curves less than a standard normal prior, that of the prior is taken.

    Parameters
    ----------
    target : LogPosterior
        The density.
    mode : ndarray, shape (size,)
        From `modes`.
    """
    slopes = np.array(
        [
            (target(mode + step)[1] - target(mode - step)[1]) / (2.0 * _SLOPE_STEP)
            for step in _SLOPE_STEP * np.eye(target.size)
        ]
    )
    values, vectors = np.linalg.eigh(-0.5 * (slopes + slopes.T))
    return Gaussian(mode, vectors / np.sqrt(np.maximum(values, 1.0)))
