"""Stacking: one forecast made of several, each with the weight it has earned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesbasis.evaluate.summary import common_points
from bayesbasis.forecast.paths import forecast

Array = NDArray[Any]

_ROUNDS = 5000
_ENOUGH = 1e-10


def stacking_weights(scores: xr.Dataset) -> "pd.Series[float]":
    r"""Weights of the mixture with the greatest log score out of sample.

    .. math:: \max_w \sum_n \ln \sum_m w_m\, p_m(y_n), \qquad w_m \ge 0,\ \sum_m w_m = 1

    The objective is concave; the updates of expectation maximisation climb it without a step size.

    Parameters
    ----------
    scores : xarray.Dataset
        From `backtest`.

    Returns
    -------
    pandas.Series
        By model, summing to one.

    References
    ----------
    Yao, Vehtari, Simpson & Gelman (2018), doi 10.1214/17-BA1091.
    """
    common = common_points(scores)
    density = common["log_score"].transpose("model", "point").values
    return pd.Series(best_mixture(density), common["model"].values, name="weight")


def best_mixture(density: Array) -> Array:
    """Weights of the best mixture of log densities, shape (model, quote)."""
    weight = np.full(len(density), 1 / len(density))
    before = -np.inf
    for _ in range(_ROUNDS):
        joint = np.log(np.maximum(weight, 1e-300))[:, None] + density
        total = logsumexp(joint, axis=0)
        weight = np.exp(joint - total).mean(axis=1)
        now = total.mean()
        if now - before < _ENOUGH:
            break
        before = now
    return weight / weight.sum()


def stack(
    forecasts: Mapping[str, xr.DataTree | xr.Dataset],
    weights: Mapping[str, float],
    *,
    seed: int,
    draws: int = 1000,
) -> xr.Dataset:
    """Mix paths of several models.

    Parameters
    ----------
    forecasts : mapping
        Fits, which are forecast to expiry, or paths of the same contracts at the same times.
    weights : mapping
        Weight of each, as of `stacking_weights`; those of others are left out of account.
    seed : int
        Seed of the choice of paths, and of forecasts of fits.
    draws : int
        Paths of the mixture.

    Returns
    -------
    xarray.Dataset
        Paths with one chain; coord ``model`` (draw) says where each comes from. Holds the
        variables that all have.

    Raises
    ------
    ValueError
        If weights are missing or negative, or paths are not of the same contracts and times.
    """
    share = np.array([weights.get(name, np.nan) for name in forecasts], dtype=float)
    if not (np.isfinite(share).all() and (share >= 0).all() and share.sum() > 0):
        raise ValueError(
            f"weights are {dict(weights)}; give one of each of {', '.join(forecasts)}, "
            "none of them negative"
        )
    paths = {
        name: forecast(x, seed=seed) if isinstance(x, xr.DataTree) else x
        for name, x in forecasts.items()
    }
    first = next(iter(paths.values()))
    for name, other in paths.items():
        same = all(first[c].equals(other[c]) for c in ("contract", "time"))
        if not same:
            raise ValueError(
                f"the paths of {name!r} are of other contracts or times than the first"
            )
    rng = np.random.default_rng(seed)
    counts = _apportion(share / share.sum(), draws)
    names = [v for v in first.data_vars if all(v in other for other in paths.values())]
    chosen = []
    for (name, own), count in zip(paths.items(), counts, strict=True):
        flat = own[names].stack(sample=("chain", "draw"), create_index=False)
        rows = rng.choice(flat.sizes["sample"], count, replace=count > flat.sizes["sample"])
        part = flat.isel(sample=rows).drop_vars(["chain", "draw"]).rename(sample="draw")
        chosen.append(part.assign_coords(model=("draw", np.full(count, name))))
    mixed = xr.concat(chosen, "draw", coords="minimal", compat="override", combine_attrs="override")
    mixed = mixed.expand_dims(chain=[0]).assign_coords(draw=np.arange(draws))
    mixed = mixed.transpose("chain", "draw", "contract", ...)
    return mixed.assign_attrs(first.attrs | {"card_name": "stacked", "seed": seed})


def _apportion(share: Array, total: int) -> Array:
    """Whole numbers that sum to the total, by largest remainders."""
    exact = share * total
    whole = np.floor(exact).astype(int)
    rest = total - whole.sum()
    whole[np.argsort(whole - exact, kind="stable")[:rest]] += 1
    return whole
