"""Warm starts: what one fit leaves behind so that the next of its kind need not search again."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.model.hierarchy import raw_variables
from bayesbasis.model.layout import Layout
from bayesbasis.model.spec import Spec

Array = NDArray[Any]

_POSITIONS = 16


@dataclass(frozen=True)
class Start:
    """Where chains begin, and the scale of each direction.

    Parameters
    ----------
    positions : ndarray, shape (position, size)
        Draws of an earlier posterior; every chain begins at one of them.
    centre, scale : ndarray, shape (size,)
        Mean and standard deviation of that posterior.
    """

    positions: Array
    centre: Array
    scale: Array

    def initial(self, seed: int) -> Array:
        """Pick a position, on the scale of `whiten`."""
        row = np.random.default_rng(seed).integers(len(self.positions))
        return (self.positions[row] - self.centre) / self.scale

    def whiten(
        self, target: Callable[[Array], tuple[float, Array]]
    ) -> Callable[[Array], tuple[float, Array]]:
        """Turn a density of the vector into one of the whitened vector, constant left out."""

        def whitened(flat: Array) -> tuple[float, Array]:
            value, slope = target(self.colour(flat))
            return value, slope * self.scale

        return whitened

    def colour(self, flat: Array) -> Array:
        """Turn whitened vectors back."""
        return self.centre + self.scale * flat


def labels(spec: Spec, layout: Layout) -> list[str]:
    """Name of every entry of the flat vector, such as ``contract_raw[BTC-26MAR21]``."""
    named = []
    for name, dims in raw_variables(spec, layout.levels).items():
        members = product(*(layout.coords[dim] for dim in dims))
        named += [f"{name}[{','.join(map(str, row))}]" for row in members]
    return named


def remember(names: list[str], flat: Array) -> xr.Dataset:
    """Keep of the draws, shape (chain, draw, size), what the next fit can start from."""
    draws = flat.reshape(-1, flat.shape[-1])
    rows = np.linspace(0, len(draws) - 1, min(_POSITIONS, len(draws))).astype(int)
    return xr.Dataset(
        {
            "positions": (("position", "variable"), draws[rows]),
            "centre": ("variable", draws.mean(0)),
            "scale": ("variable", draws.std(0)),
        },
        {"variable": names},
    )


def recall(start: xr.Dataset, names: list[str]) -> Start:
    """Match what an earlier fit left behind to a model of other contracts.

    An entry that is new takes the centre and the spread of its kind: a contract listed since is
    like those before it. Scales stay between a hundredth and ten prior standard deviations.
    """
    known = {name: row for row, name in enumerate(start["variable"].values.astype(str))}
    kinds = np.array([name.split("[")[0] for name in known])
    positions, centre, scale = (start[n].values for n in ("positions", "centre", "scale"))
    found = np.empty((len(positions), len(names))), np.empty(len(names)), np.empty(len(names))
    for column, name in enumerate(names):
        own = [known[name]] if name in known else np.flatnonzero(kinds == name.split("[")[0])
        middle = centre[own].mean() if len(own) else 0.0
        spread = np.hypot(np.sqrt((scale[own] ** 2).mean()), centre[own].std()) if len(own) else 1.0
        found[1][column], found[2][column] = middle, np.clip(spread, 0.01, 10.0)
        found[0][:, column] = positions[:, known[name]] if name in known else middle
    return Start(*found)
