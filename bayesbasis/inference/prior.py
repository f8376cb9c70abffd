"""Draws from the prior, in the shape of a posterior."""

from dataclasses import replace

import numpy as np
import xarray as xr

from bayesbasis.inference.sampling import named_draws
from bayesbasis.model.hierarchy import raw_variables
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Spec


def prior_draws(spec: Spec, panel: xr.Dataset, *, draws: int = 1000, seed: int) -> xr.Dataset:
    """Draw the parameters that a model has on a panel from their prior.

    Parameters
    ----------
    spec : Spec
        The model.
    panel : xarray.Dataset
        From `make_panel`. It says which contracts, underlyings and venues there are; its prices
        are not read.
    draws : int
        How many.
    seed : int
        Seed of the draws.

    Returns
    -------
    xarray.Dataset
        As the ``posterior`` of a fit, with one chain.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> prices, truth = bb.simulate_market(seed=1)
    >>> panel, audit = bb.make_panel(prices)
    >>> prior = prior_draws(bb.load_card("anchored"), panel, seed=2)
    >>> bool((prior["half_life"] > 0).all())
    True
    """
    # Centring changes what is sampled, not the prior; without it all of it is standard normal.
    plain = replace(spec, pooling=replace(spec.pooling, centring=0.0))
    layout, rng = lay_out(plain, panel), np.random.default_rng(seed)
    shapes = {
        name: tuple(len(layout.coords[dim]) for dim in own)
        for name, own in raw_variables(plain, layout.levels).items()
    }
    raw = {name: rng.standard_normal((1, draws, *shape)) for name, shape in shapes.items()}
    return named_draws(plain, layout, raw)
