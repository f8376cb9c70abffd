"""Bands: what the paths say at every step."""

from collections.abc import Sequence
from typing import Literal

import arviz as az
import numpy as np
import xarray as xr


def bands(
    paths: xr.Dataset,
    prob: Sequence[float] = (0.5, 0.9),
    kind: Literal["eti", "hdi"] = "eti",
    *,
    variable: Literal["basis", "deviation"] = "basis",
) -> xr.Dataset:
    """Posterior predictive bands of every contract, by step.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`.
    prob : sequence of float
        Probabilities of the bands, each in (0, 1).
    kind : {"eti", "hdi"}
        Equal-tailed or highest-density intervals.
    variable : {"basis", "deviation"}
        The quoted basis, or the deviation from equilibrium.

    Returns
    -------
    xarray.Dataset
        ``interval`` (contract, step, prob, bound), ``median``, ``mean`` and, for the basis,
        ``equilibrium``, the posterior mean of the fair basis (contract, step). Coords ``time`` and
        ``tau`` (years) give calendar time and time to expiry of every step.

    Raises
    ------
    ValueError
        If a probability is not in (0, 1), or kind or variable is unknown.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> bands = bb.bands(paths, prob=(0.5, 0.9), kind="hdi")  # doctest: +SKIP
    """
    levels = np.atleast_1d(np.asarray(prob, dtype=float))
    if not levels.size or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"prob is {prob!r}; probabilities lie between 0 and 1, such as (0.5, 0.9)")
    if kind not in ("eti", "hdi"):
        raise ValueError(f"kind is {kind!r}; choose 'eti' (equal-tailed) or 'hdi'")
    if variable not in ("basis", "deviation"):
        raise ValueError(f"variable is {variable!r}; choose 'basis' or 'deviation'")
    values, sample = paths[variable], ["chain", "draw"]
    interval = _equal_tailed(values, levels) if kind == "eti" else _densest(values, levels)
    result = xr.Dataset(
        {
            "interval": interval.assign_coords(prob=levels, bound=["lower", "upper"]),
            "median": values.median(sample),
            "mean": values.mean(sample),
        }
    )
    if variable == "basis":
        # A constant carry says it all; a curve that moves with spot has paths of its own.
        moving = "equilibrium" in paths
        fair = paths["equilibrium"] if moving else paths["carry"] * paths["tau"]
        result["equilibrium"] = fair.mean(sample)
    for name in result.data_vars:
        result[name].attrs = {"units": "1", "long_name": f"{name} of the {values.long_name}"}
    names = ("origin", "card", "card_name", "data_hash", "seed", "recalibrated")
    kept = {name: paths.attrs[name] for name in names if name in paths.attrs}
    return result.assign_attrs(interval_kind=kind, variable=variable, **kept)


def _equal_tailed(values: xr.DataArray, levels: np.ndarray) -> xr.DataArray:
    tails = np.stack([(1 - levels) / 2, (1 + levels) / 2], axis=1)
    quantiles = values.quantile(tails.ravel(), ["chain", "draw"], skipna=False)
    stacked = quantiles.values.reshape(*tails.shape, *quantiles.shape[1:])
    return xr.DataArray(
        np.moveaxis(stacked, (0, 1), (-2, -1)),
        dims=("contract", "step", "prob", "bound"),
        coords={
            name: c for name, c in values.coords.items() if not {"chain", "draw"} & set(c.dims)
        },
    )


def _densest(values: xr.DataArray, levels: np.ndarray) -> xr.DataArray:
    each = [az.hdi(values, prob=float(p), dim=["chain", "draw"], skipna=False) for p in levels]
    joined = xr.concat(each, dim="prob").rename(ci_bound="bound").drop_vars("bound")
    return joined.transpose("contract", "step", "prob", "bound")
