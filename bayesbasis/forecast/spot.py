"""Paths of spot, for equilibria that read it."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.model.layout import Layout
from bayesbasis.model.spec import Spec
from bayesbasis.process.spot import learn_reversion, simulate_reversion

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9
_LEAST = 10


def spot_paths(
    spec: Spec, layout: Layout, known: xr.Dataset, times: Array, draws: int, rng: Generator
) -> dict[int, Array]:
    """Simulate spot from its last quote to the origin and along the grid.

    Logarithmic spot is taken as Ornstein-Uhlenbeck under its own speed, level and volatility, which
    are not those that futures price in: they are learned from the quotes known at the origin,
    with their uncertainty, and its shocks are drawn from its past ones. Shocks are independent of
    those of the deviations.

    Parameters
    ----------
    spec : Spec
        The model.
    layout : Layout
        Of the known quotes.
    known : xarray.Dataset
        Panel of the quotes known at the origin.
    times : ndarray of datetime64[ns], shape (step,)
        The origin, and the grid after it.
    draws : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of ndarray, shape (draw, step)
        Logarithm of spot over its reference, by position of the underlying.

    Raises
    ------
    ValueError
        If an underlying has too few quotes to learn from.
    """
    seen = layout.order >= 0
    quoted = known["time"].values.astype("datetime64[ns]")[layout.order[seen]]
    owner = layout.contract_underlying[layout.contract[seen]]
    log_spot = layout.log_spot[seen]
    prior = spec.priors.spot_half_life
    median = float(prior.natural(np.asarray(prior.location), np))
    factor = float(np.exp(prior.scale))
    paths = {}
    for u, name in enumerate(layout.underlyings):
        when, at = np.unique(quoted[owner == u], return_index=True)
        if len(when) < _LEAST:
            raise ValueError(
                f"{name} has {len(when)} times with a spot price at the origin; a forecast under "
                f"{spec.equilibrium.name} simulates spot and needs at least {_LEAST}"
            )
        series = log_spot[owner == u][at]
        years = (when - when[0]).astype(np.int64) / _YEAR_NS
        past = learn_reversion(series, years, draws, rng, half_life=(median, factor))
        gaps = np.diff(np.concatenate([when[-1:], times])).astype(np.int64) / _YEAR_NS
        paths[u] = simulate_reversion(past, float(series[-1]), gaps, rng)
    return paths
