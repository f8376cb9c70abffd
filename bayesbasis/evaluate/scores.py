"""Scores of forecasts: how good, how honest."""

from typing import Any

import numpy as np
import scoringrules
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[Any]


def log_score(fit: xr.DataTree) -> float:
    r"""One-step log score per quote, of the posterior mean density.

    .. math:: \frac{1}{N} \sum_t \ln \frac{1}{D} \sum_d p_d(y_t \mid y_{<t})

    Parameters
    ----------
    fit : xarray.DataTree
        With group ``log_likelihood``, as `bayesbasis.fit` stores it.

    Returns
    -------
    float
        In nats per scored quote of the log basis; greater is better.

    Notes
    -----
    Densities condition on the past, parameters on all data: this compares models on the panel they
    were fitted to, and is no leave-one-out.
    """
    density = fit["log_likelihood"].to_dataset()["basis"]
    values = density.stack(sample=("chain", "draw")).transpose("sample", "event").values
    best = values.max(axis=0)
    mean = best + np.log(np.exp(values - best).mean(axis=0))
    return float(mean.sum() / density["event_size"].values.sum())


def crps(paths: xr.Dataset, panel: xr.Dataset) -> xr.DataArray:
    r"""Continuous ranked probability score of the forecast basis against what was quoted.

    .. math:: \mathrm{E}|X - y| - \tfrac12 \mathrm{E}|X - X'|

    Parameters
    ----------
    paths : xarray.Dataset
        From `bayesbasis.forecast`.
    panel : xarray.Dataset
        Quotes, of which those at the times of the paths count.

    Returns
    -------
    xarray.DataArray
        Dims contract, step, in log units; missing at the origin and where nothing was quoted.
        Smaller is better.

    References
    ----------
    Gneiting & Raftery (2007), doi 10.1198/016214506000001437.
    """
    observed = outcomes(paths, panel)
    stacked = paths["basis"].stack(sample=("chain", "draw"))
    ensemble = stacked.transpose("contract", "step", "sample").values
    scored = np.isfinite(observed.values)
    score = np.full(observed.shape, np.nan)
    score[scored] = scoringrules.crps_ensemble(
        observed.values[scored], ensemble[scored], estimator="pwm"
    )
    attrs = {"units": "1", "long_name": "continuous ranked probability score of the log basis"}
    return observed.copy(data=score).assign_attrs(attrs)


def outcomes(paths: xr.Dataset, panel: xr.Dataset) -> xr.DataArray:
    """Quoted log basis at the times of forecast paths.

    Parameters
    ----------
    paths : xarray.Dataset
        Or bands: anything with coords ``contract`` and ``time`` (contract, step).
    panel : xarray.Dataset
        Quotes.

    Returns
    -------
    xarray.DataArray
        Dims contract, step; missing at the origin, which is no forecast, and where nothing was
        quoted.
    """
    times, names = paths["time"].values, panel["contract"].values.tolist()
    observed = np.full(times.shape, np.nan)
    for row, name in enumerate(paths["contract"].values):
        if name not in names:
            continue
        own = panel["contract_index"].values == names.index(name)
        quoted, basis = panel["time"].values[own], panel["basis"].values[own]
        _, at, of = np.intersect1d(times[row, 1:], quoted, return_indices=True)
        observed[row, at + 1] = basis[of]
    coords = {name: paths[name] for name in ("contract", "time", "tau")}
    return xr.DataArray(observed, dims=("contract", "step"), coords=coords, name="basis")
