"""How much quotes say of contracts' carry, and so in which coordinates a fit is sampled with ease.

References
----------
Papaspiliopoulos, Roberts and Sköld (2007), doi 10.1214/088342307000000014.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.inference.draws import filtered_draws, natural_draws
from bayesbasis.model.cards import read_card
from bayesbasis.model.layout import lay_out

Array = NDArray[Any]


def suggest_centring(fit: xr.DataTree, *, draws: int = 10) -> float:
    """Say which `Pooling.centring` a fit, sampled badly or well, should be done again with.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`; a short one of whatever centring will do.
    draws : int
        Posterior draws to look at, spread evenly over the chains.

    Returns
    -------
    float
        1 where quotes say more of most contracts' carry, or level, than its population does, and 0
        where they say less; the model is the same.

    Raises
    ------
    ValueError
        If draws is not positive, or contracts' carry is not pooled, so that there is no population.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> prices, truth = bb.simulate_market(seed=1)
    >>> panel, audit = bb.make_panel(prices)
    >>> fit = bb.fit(bb.load_card("ou"), panel, seed=1, progress=False)  # doctest: +SKIP
    >>> bb.suggest_centring(fit)  # doctest: +SKIP
    0.0
    """
    return float(np.median(information(fit, draws)) > 1.0)


def information(fit: xr.DataTree, draws: int) -> Array:
    """Precision of what quotes say of each contract's carry, over that of its population.

    Returns
    -------
    ndarray, shape (draw, contract)
        What quotes lose in log likelihood, in all, as the carry moves by one standard deviation of
        its population either way: the ratio of precisions where the likelihood is Gaussian. Other
        contracts and parameters stay where they are.
    """
    spec = read_card(fit.attrs["card"])
    if draws < 1:
        raise ValueError(f"draws is {draws}; it must be at least 1")
    if spec.pooling.contracts != "pooled":
        raise ValueError(
            f"pooling.contracts is {spec.pooling.contracts!r}; centring means something only where "
            "contracts are 'pooled'"
        )
    layout = lay_out(spec, fit["constant_data"].to_dataset())
    natural = natural_draws(spec, fit["posterior"].to_dataset())
    quantity = spec.equilibrium.quantity
    total, contracts = natural[quantity].shape
    away = np.concatenate([np.zeros((1, contracts)), np.eye(contracts), -np.eye(contracts)])
    found = []
    for d in np.unique(np.linspace(0, total - 1, draws).round().astype(int)):
        one = {name: np.repeat(value[[d]], len(away), axis=0) for name, value in natural.items()}
        spread = one[f"{quantity}_between_contracts"][:, None]
        one[quantity] = one[quantity] + spread * away
        value = np.array([result.value for _, result in filtered_draws(spec, layout, one)])
        up, down = value[1:].reshape(2, contracts)
        found.append(2.0 * value[0] - up - down)
    return np.array(found)
