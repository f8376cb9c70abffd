"""The record: what trades really earned, and whether their odds were right."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def realised(paths: xr.Dataset, panel: xr.Dataset) -> xr.Dataset:
    """Lay out what happened as if it were one path of a forecast.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`: its contracts and instants.
    panel : xarray.Dataset
        Quotes, those after the origin among them.

    Returns
    -------
    xarray.Dataset
        One chain and one draw: ``basis`` and ``spot`` as last quoted at every instant, the basis
        zero at expiry; ``deviation`` from the posterior mean of the fair basis. `cash_and_carry`
        and `margin` read it like any paths; perpetuals need `with_funding` as those do. Contracts
        whose quotes end before their exit are missing from there on.
    """
    names, tau = panel["contract"].values.astype(str).tolist(), paths["tau"].values
    basis, spot = np.full(tau.shape, np.nan), np.full(tau.shape, np.nan)
    for row, name in enumerate(paths["contract"].values.astype(str)):
        own = np.flatnonzero(panel["contract_index"].values == names.index(name))
        seen, live = panel["time"].values[own], ~np.isnat(paths["time"].values[row])
        at = np.searchsorted(seen, paths["time"].values[row, live], side="right") - 1
        known = (at >= 0) & (
            (at < len(seen) - 1) | (tau[row, live] == 0) | _fresh(paths, row, seen)
        )
        for values, source in ((basis, "basis"), (spot, "spot")):
            quoted = panel[source].values[own][np.maximum(at, 0)]
            values[row, live] = np.where(known, quoted, np.nan)
        basis[row, tau[row] == 0] = 0.0
    fair = (paths["equilibrium"] if "equilibrium" in paths else paths["carry"] * paths["tau"]).mean(
        ("chain", "draw")
    )
    dims = ("chain", "draw", "contract", "step")
    shaped = {"basis": basis, "spot": spot, "deviation": basis - fair.transpose(*dims[2:]).values}
    result = paths.isel(chain=[0], draw=[0])[["regime", "tail"]]
    result["carry"] = (dims[:3], np.zeros((1, 1, len(tau))))
    result["equilibrium"] = (dims, fair.transpose(*dims[2:]).values[None, None])
    return result.assign({name: (dims, value[None, None]) for name, value in shaped.items()})


def reliability(predicted: ArrayLike, happened: ArrayLike, bins: int = 10) -> xr.Dataset:
    """Compare predicted probabilities with how often what they predicted came true.

    Parameters
    ----------
    predicted : array-like
        Probabilities.
    happened : array-like of bool
        Whether it came true, in the same order.
    bins : int
        Bins of equal width; empty ones are left out.

    Returns
    -------
    xarray.Dataset
        Dim bin: ``predicted``, the mean of the bin, ``realised``, ``error``, its binomial standard
        error were the odds right, and ``count``. Attribute ``brier``, the mean square error of the
        probabilities, and ``brier_base``, that of always saying how often it came true.

    References
    ----------
    Murphy & Winkler (1977), doi 10.2307/2346866; Brier (1950),
    doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Examples
    --------
    >>> table = reliability([0.1, 0.1, 0.9, 0.9], [False, False, True, False], bins=2)
    >>> table["realised"].values
    array([0. , 0.5])
    """
    odds, true = np.asarray(predicted, float).ravel(), np.asarray(happened, float).ravel()
    if odds.shape != true.shape or not odds.size:
        raise ValueError(f"{odds.size} predictions and {true.size} outcomes: give one of each")
    place = np.minimum((odds * bins).astype(int), bins - 1)
    used = np.unique(place)
    mean = np.array([odds[place == b].mean() for b in used])
    share = np.array([true[place == b].mean() for b in used])
    count = np.array([(place == b).sum() for b in used])
    variance = np.array([(odds * (1 - odds))[place == b].mean() for b in used])
    return xr.Dataset(
        {
            "predicted": ("bin", mean),
            "realised": ("bin", share),
            "error": ("bin", np.sqrt(variance / count)),
            "count": ("bin", count),
        },
        {"bin": used},
        {
            "brier": float(((odds - true) ** 2).mean()),
            "brier_base": float(true.mean() * (1 - true.mean())),
        },
    )


def _fresh(paths: xr.Dataset, row: int, seen: Array) -> NDArray[np.bool_]:
    """Whether the last quote is less than three steps old, at every live step."""
    time = paths["time"].values[row]
    time = time[~np.isnat(time)]
    step = np.median(np.diff(time).astype(np.int64))
    return (time - seen[-1]).astype(np.int64) < 3 * step
