"""Half-lives: how long a deviation takes to halve."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayesbasis.inference.draws import natural_draws
from bayesbasis.model.cards import read_card
from bayesbasis.process.laws import DAYS_PER_YEAR, Law
from bayesbasis.process.quadrature import Steps

Array = NDArray[Any]

_BISECTIONS = 60


def half_life(fit: xr.DataTree, tau: ArrayLike | None = None) -> xr.Dataset:
    """Time in which the expected deviation halves, from every time to expiry.

    The smallest ``Δ`` with ``φ(τ → τ - Δ) = 1/2``, found by bisection to the last bit; infinite
    where expiry comes first.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.
    tau : array-like, optional
        Times to expiry in years, positive; by default 1 to 120 days.

    Returns
    -------
    xarray.Dataset
        ``half_life`` in days, dims chain, draw, underlying, tau.

    Raises
    ------
    ValueError
        If a time to expiry is not positive.
    """
    spec = read_card(fit.attrs["card"])
    posterior = fit["posterior"].to_dataset()
    start = np.atleast_1d(np.arange(1.0, 121.0) / DAYS_PER_YEAR if tau is None else tau).astype(
        float
    )
    if not (start > 0).all():
        raise ValueError(f"tau holds {start.min():g}; times to expiry are positive, in years")
    natural = natural_draws(spec, posterior)
    days = DAYS_PER_YEAR * _halving_time(spec.law, natural, start)
    # A law may have no parameters, and then every draw agrees.
    days = np.broadcast_to(days, (*natural["noise"].shape, len(start)))
    sizes = (posterior.sizes["chain"], posterior.sizes["draw"])
    return xr.Dataset(
        {
            "half_life": (
                ("chain", "draw", "underlying", "tau"),
                days.reshape(*sizes, *days.shape[1:]),
                {"units": "day", "long_name": "time in which a deviation halves"},
            )
        },
        {
            "chain": posterior["chain"].values,
            "draw": posterior["draw"].values,
            "underlying": posterior["noise"]["underlying"].values,
            "tau": ("tau", start, {"units": "year", "long_name": "time to expiry"}),
        },
    )


def _halving_time(law: Law, natural: Mapping[str, Array], start: Array) -> Array:
    """Bisect for the halving time in years, shape (draw, underlying, tau)."""
    own = {name: natural[name][..., None] for name in law.parameters}
    shape = np.broadcast_shapes(start.shape, *(value.shape for value in own.values()))
    low, high = np.zeros(shape), np.broadcast_to(start, shape)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        slow = _phi(law, own, start, middle) > 0.5
        low, high = np.where(slow, middle, low), np.where(slow, high, middle)
    at_expiry = _phi(law, own, start, np.broadcast_to(start, shape))
    return np.where(at_expiry > 0.5, np.inf, 0.5 * (low + high))


def _phi(law: Law, own: Mapping[str, Array], start: Array, elapsed: Array) -> Array:
    """Evaluate ``φ`` alone; it needs no quadrature grid."""
    return law.transition(own, Steps.without_grid(start, start - elapsed), np)[0]
