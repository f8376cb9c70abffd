"""Hindcasts of funding: what a fit would have said of its sums in the past, beside what came."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.forecast.calendar import positive_time
from bayesbasis.forecast.funding import forecast_funding
from bayesbasis.forecast.funding_origin import live_contracts
from bayesbasis.forecast.hindcast import NothingToLookBackOn, provenance
from bayesbasis.forecast.outlook import cumulative_funding

# A sum with more settlements missing than this is no outcome.
_LEAST_SHARE = 0.97


def hindcast_funding(
    fit: xr.DataTree,
    every: str | np.timedelta64 = "30D",
    horizon: str | np.timedelta64 = "30D",
    *,
    prob: Sequence[float] = (0.5, 0.9),
    draws: int = 60,
    seed: int = 1,
) -> xr.Dataset:
    """Forecast cumulative funding from origin after origin in the fit's own past.

    Like `hindcast`: states rest on settlements at or before each origin, parameters on all of the
    fit's. `fit_funding` keeps these hindcasts unless it is told to leave them out, and
    `forecast_funding` goes by them; see `recalibrate_funding`.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_funding`.
    every : str or numpy.timedelta64
        Time from one origin to the next; the last lies `horizon` before the last settlement, the
        first not nearer than that to the first settlement.
    horizon : str or numpy.timedelta64
        Over how long funding is summed.
    prob : sequence of float
        Probabilities of the bands to keep, equal-tailed.
    draws : int
        Posterior draws to use.
    seed : int
        Seed of the simulation.

    Returns
    -------
    xarray.Dataset
        A ``point`` is a contract seen from an origin: ``outcome``, ``median`` and ``interval``
        (prob, bound), fractions that longs pay; coords ``contract`` and ``origin``.

    Raises
    ------
    NothingToLookBackOn
        If the history is not two horizons long; it is a ValueError.
    ValueError
        If a time is not positive.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> record = bb.hindcast_funding(fit, every="7D")  # doctest: +SKIP
    >>> bb.funding_factors(record)  # doctest: +SKIP
    """
    history = fit["constant_data"].to_dataset()
    apart, length = positive_time("every", every), positive_time("horizon", horizon)
    first, last = history["time"].values.min(), history["time"].values.max()
    origins = np.arange(last - length, first + length - np.timedelta64(1, "ns"), -apart)[::-1]
    seen = [
        look
        for origin in origins
        if len(live_contracts(history, origin))
        for look in _looks(fit, history, origin, length, prob, draws, seed)
    ]
    if not seen:
        raise NothingToLookBackOn(
            f"there is nothing to look back on: settlements run from {first:.19} to {last:.19}, "
            f"and forecasts over {pd.Timedelta(length)} need twice that. Give a shorter horizon."
        )
    return xr.concat(seen, "point").assign_attrs(provenance(fit, length, seed))


def _looks(
    fit: xr.DataTree,
    history: xr.Dataset,
    origin: np.datetime64,
    length: np.timedelta64,
    prob: Sequence[float],
    draws: int,
    seed: int,
) -> Iterator[xr.Dataset]:
    """Yield what was seen from one origin, contract by contract, and what came."""
    paths = forecast_funding(fit, length, seed=seed, origin=origin, draws=draws, recalibrated=False)
    total = cumulative_funding(paths)
    levels = np.asarray(prob, dtype=float)
    tails = np.stack([(1.0 - levels) / 2.0, (1.0 + levels) / 2.0])
    ahead = (history["time"].values > origin) & (history["time"].values <= origin + length)
    names = history["contract"].values.astype(str)[history["contract_index"].values]
    for name in paths["contract"].values.astype(str):
        paid = history["funding_rate"].values[ahead & (names == name)]
        due = int(paths["time"].sel(contract=name).notnull().sum())
        if not due or len(paid) < _LEAST_SHARE * due:
            continue
        own = total.sel(contract=name).values
        yield xr.Dataset(
            {
                "outcome": ("point", [paid.sum()]),
                "median": ("point", [np.median(own)]),
                "interval": (("bound", "prob", "point"), np.quantile(own, tails)[..., None]),
            },
            {
                "contract": ("point", [name]),
                "origin": ("point", [origin]),
                "prob": levels,
                "bound": ["lower", "upper"],
            },
        )
