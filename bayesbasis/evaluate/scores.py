"""Scores of forecasts: how good, how honest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scoringrules
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[Any]

LEVELS = (0.5, 0.8, 0.9, 0.95)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)
_DAY = np.timedelta64(1, "D")
_MOST_CURVES = 2000
# Of each variable of `score`: its dims besides contract and step, units, and what it is.
_MEASURES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "outcome": ((), "1", "quoted log basis"),
    "crps": ((), "1", "continuous ranked probability score"),
    "log_score": ((), "1", "log predictive density at the quote"),
    "pit": ((), "1", "probability integral transform"),
    "error": ((), "1", "median forecast less quote"),
    "forecast": (("quantile",), "1", "quantile of the forecast"),
    "pinball": (("quantile",), "1", "pinball loss"),
    "interval_score": (("level",), "1", "interval score"),
    "covered": (("level",), "1", "quote inside the equal-tailed interval (1) or not (0)"),
    "width": (("level",), "1", "width of the equal-tailed interval"),
}


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
    were fitted to, and is no leave-one-out. Events with a contract's first quote, which nothing
    foretold, do not count.
    """
    density = fit["log_likelihood"].to_dataset()["basis"]
    density = density.isel(event=np.flatnonzero(density["event_first"].values == 0))
    values = density.stack(sample=("chain", "draw")).transpose("sample", "event").values
    best = values.max(axis=0)
    mean = best + np.log(np.exp(values - best).mean(axis=0))
    return float(mean.sum() / density["event_size"].values.sum())


def score(
    paths: xr.Dataset,
    panel: xr.Dataset,
    *,
    levels: Sequence[float] = LEVELS,
    quantiles: Sequence[float] = QUANTILES,
) -> xr.Dataset:
    r"""Score forecast paths against what was quoted, quote by quote.

    With forecast :math:`X`, quote :math:`y`, quantiles :math:`q_p` and the equal-tailed interval
    :math:`(l, u)` of probability :math:`1 - \alpha`,

    .. math::
        \mathrm{CRPS} &= \mathrm{E}|X - y| - \tfrac12 \mathrm{E}|X - X'| \\
        \mathrm{PIT} &= P(X < y) + \tfrac12 P(X = y) \\
        \mathrm{pinball}_p &= (1_{y < q_p} - p)(q_p - y) \\
        \mathrm{interval}_\alpha &= (u - l) + \tfrac{2}{\alpha}\big((l - y)^+ + (y - u)^+\big)

    and the log score is :math:`\ln p(y)` of a Gaussian kernel density with Silverman's bandwidth.

    Parameters
    ----------
    paths : xarray.Dataset
        From `bayesbasis.forecast` or a baseline: ``basis`` (chain, draw, contract, step).
    panel : xarray.Dataset
        Quotes, of which those at the times of the paths count.
    levels : sequence of float
        Probabilities of the equal-tailed intervals.
    quantiles : sequence of float
        Probabilities of the pinball losses.

    Returns
    -------
    xarray.Dataset
        Dims contract, step and, where they apply, level and quantile: ``outcome``, ``crps``,
        ``log_score`` (greater is better), ``pit``, ``error``, ``forecast`` (quantiles),
        ``pinball``, ``interval_score``, ``covered`` and ``width``, in log units; missing where
        nothing was quoted. Coords ``time``, ``tau`` (years), ``horizon`` (days) and, of forecasts
        that have regimes, ``regime``: the likeliest one at the origin, by contract.

    Raises
    ------
    ValueError
        If a probability is not in (0, 1).

    References
    ----------
    Gneiting & Raftery (2007), doi 10.1198/016214506000001437.

    Examples
    --------
    >>> scores = score(paths, panel)  # doctest: +SKIP
    >>> scores["crps"].mean("contract")  # doctest: +SKIP
    """
    for name, given in (("levels", levels), ("quantiles", quantiles)):
        values = np.asarray(given, dtype=float)
        if not values.size or not ((values > 0) & (values < 1)).all():
            raise ValueError(f"{name} is {given!r}; probabilities lie between 0 and 1")
    observed = outcomes(paths, panel)
    scored = np.isfinite(observed.values)
    y, x = observed.values[scored], _ensemble(paths)[scored]
    kernels = _measure(y, np.sort(x, axis=-1), np.asarray(levels), np.asarray(quantiles))
    result = xr.Dataset(coords=_coords(paths, observed, levels, quantiles))
    for name, (own, units, text) in _MEASURES.items():
        whole = np.full(observed.shape + kernels[name].shape[1:], np.nan)
        whole[scored] = kernels[name]
        result[name] = (("contract", "step", *own), whole, {"units": units, "long_name": text})
    return result


def energy_score(paths: xr.Dataset, panel: xr.Dataset) -> xr.DataArray:
    r"""Energy score of the whole curve of an underlying, step by step.

    .. math:: \mathrm{E}\|X - y\| - \tfrac12 \mathrm{E}\|X - X'\|

    over the contracts :math:`y` quoted at a time: unlike the CRPS it sees whether they move
    together as forecast.

    Parameters
    ----------
    paths, panel : xarray.Dataset
        As for `score`.

    Returns
    -------
    xarray.DataArray
        Dims underlying, step, in log units; missing where nothing was quoted. Smaller is better;
        of a curve of one contract it is the CRPS. It takes time as the square of the number of
        paths: of more than 2,000 as many are used, evenly spread.

    References
    ----------
    Gneiting & Raftery (2007), doi 10.1198/016214506000001437.
    """
    observed, ensemble = outcomes(paths, panel).values, _ensemble(paths)
    ensemble = ensemble[..., :: -(-ensemble.shape[-1] // _MOST_CURVES)]
    owner = paths["underlying"].values.astype(str)
    names = np.unique(owner)
    score = np.full((len(names), observed.shape[1]), np.nan)
    for row, name in enumerate(names):
        for step in range(observed.shape[1]):
            curve = np.flatnonzero((owner == name) & np.isfinite(observed[:, step]))
            if curve.size:
                fan = ensemble[curve, step].T
                score[row, step] = scoringrules.es_ensemble(
                    observed[curve, step], fan, estimator="fair"
                )
    attrs = {"units": "1", "long_name": "energy score of the curve's log basis"}
    return xr.DataArray(score, {"underlying": names}, ("underlying", "step"), attrs=attrs)


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
    scored = np.isfinite(observed.values)
    values = np.full(observed.shape, np.nan)
    values[scored] = scoringrules.crps_ensemble(
        observed.values[scored], _ensemble(paths)[scored], estimator="pwm"
    )
    attrs = {"units": "1", "long_name": "continuous ranked probability score of the log basis"}
    return observed.copy(data=values).assign_attrs(attrs)


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


def _ensemble(paths: xr.Dataset) -> Array:
    """Forecasts in shape (contract, step, sample)."""
    stacked = paths["basis"].stack(sample=("chain", "draw"))
    return stacked.transpose("contract", "step", "sample").values


def _coords(
    paths: xr.Dataset, observed: xr.DataArray, levels: Sequence[float], quantiles: Sequence[float]
) -> dict[str, Any]:
    time = paths["time"].values
    named = ("contract", "underlying", "time", "tau")
    coords: dict[str, Any] = {name: paths[name] for name in named if name in paths.coords}
    days = (time - time[:, :1]) / _DAY
    coords["horizon"] = (("contract", "step"), days, {"units": "day", "long_name": "horizon"})
    coords |= {"level": np.asarray(levels, float), "quantile": np.asarray(quantiles, float)}
    if "regime" in paths:
        first = paths["regime"].isel(step=0).transpose("contract", ...).values
        likeliest = [np.bincount(row.ravel().clip(0)).argmax() for row in first]
        coords["regime"] = ("contract", likeliest, {"long_name": "likeliest regime at the origin"})
    return coords


def _measure(y: Array, x: Array, levels: Array, quantiles: Array) -> dict[str, Array]:
    """Every score of quotes, shape (quote,), and sorted ensembles, shape (quote, sample)."""
    tails = np.stack([(1 - levels) / 2, (1 + levels) / 2])
    median, *cuts = np.quantile(x, [0.5, *tails.ravel(), *quantiles], axis=-1)
    lower, upper, at = np.split(np.reshape(cuts, (-1, len(y))).T, [len(levels), 2 * len(levels)], 1)
    seen = y[:, None]
    below, ties = (x < seen).mean(-1), (x == seen).mean(-1)
    return {
        "outcome": y,
        "crps": scoringrules.crps_ensemble(y, x, estimator="pwm", sorted_ensemble=True),
        "log_score": _log_density(y, x),
        "pit": below + 0.5 * ties,
        "error": median - y,
        "forecast": at,
        "pinball": scoringrules.quantile_score(seen, at, quantiles),
        # It drops axes of length one.
        "interval_score": scoringrules.interval_score(y, lower, upper, 1 - levels).reshape(
            lower.shape
        ),
        "covered": ((lower <= seen) & (seen <= upper)).astype(float),
        "width": upper - lower,
    }


def _log_density(y: Array, x: Array) -> Array:
    """Gaussian kernel density with Silverman's bandwidth; in logs, so that no tail is zero."""
    low, high = np.quantile(x, [0.25, 0.75], axis=-1)
    spread = np.minimum(x.std(-1), (high - low) / 1.34)
    # Half the sample may be one value: then its standard deviation is all there is.
    spread = np.where(spread > 0, spread, x.std(-1))
    width = 1.06 * np.maximum(spread, 1e-12) * x.shape[-1] ** -0.2
    scaled = (y[:, None] - x) / width[:, None]
    kernel = -0.5 * scaled**2 - _HALF_LOG_TWO_PI - np.log(width)[:, None]
    return logsumexp(kernel, axis=-1) - np.log(x.shape[-1])
