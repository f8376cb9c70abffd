"""Hindcasts: what a fit would have said at instants of the past, beside what came."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.data.panel import is_perpetual, known_at, lives, select
from bayesbasis.forecast.calendar import positive_time
from bayesbasis.forecast.intervals import bands
from bayesbasis.forecast.paths import simulate_from

Array = NDArray[Any]

# Of everything that paths carry along, what a point is known by.
_LABELS = ("contract", "origin", "time", "tau", "prob", "bound")
# Regimes of longer ago say nothing of today's; contracts that live on need all their quotes.
_MEMORY = np.timedelta64(90, "D")
# Daily quotes all count; of hourly ones so many, spread evenly.
_MOST_INSTANTS = 64


class NothingToLookBackOn(ValueError):
    """No past is long enough for a hindcast."""


def hindcast(
    fit: xr.DataTree,
    every: str | np.timedelta64 = "30D",
    horizon: str | np.timedelta64 = "60D",
    *,
    prob: Sequence[float] = (0.5, 0.9),
    draws: int = 100,
    seed: int = 1,
    earlier: xr.Dataset | None = None,
) -> xr.Dataset:
    """Forecast the fit's own past, from origin after origin.

    States rest on quotes at or before each origin, parameters on all of the fit's quotes: this is
    no test of a model, which is `backtest`. It says how far bands of many steps, made of shocks
    that were learned one step ahead, hold what they say; see `recalibrate`. `fit` keeps the
    hindcasts that it is not told to leave out, and `forecast` goes by them.

    Of quotes at or before an origin, those of contracts that live on count, and those of the last
    90 days: enough to tell regimes and each contract's carry. Where there are more than 64 times
    of quotes within the horizon, 64 of them are looked at.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`, with dated contracts. Perpetuals are left out.
    every : str or numpy.timedelta64
        Time from one origin to the next; the first lies `horizon` after the first quote.
    horizon : str or numpy.timedelta64
        How far to look.
    prob : sequence of float
        Probabilities of the bands to keep, equal-tailed.
    draws : int
        Posterior draws to use.
    seed : int
        Seed of the simulation.
    earlier : xarray.Dataset, optional
        Hindcasts of an earlier fit of the same card, such as yesterday's. What an origin saw then
        is taken over, not forecast again, if the same was quoted within its horizon.

    Returns
    -------
    xarray.Dataset
        A ``point`` is a quote seen from an origin: ``outcome``, ``median`` and ``interval`` (prob,
        bound), log basis; coords ``contract``, ``origin``, ``time`` and ``tau`` (years).

    Raises
    ------
    NothingToLookBackOn
        If no dated contract was quoted long enough; it is a ValueError.
    ValueError
        If a time is not positive, or the earlier record is of another card, horizon or bands.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> record = bb.hindcast(fit, every="7D")  # doctest: +SKIP
    >>> bb.band_factors(record)  # doctest: +SKIP
    """
    panel = fit["constant_data"].to_dataset()
    apart, length = positive_time("every", every), positive_time("horizon", horizon)
    attrs = provenance(fit, length, seed)
    if earlier is not None:
        _refuse_unlike(earlier, attrs, prob)
    looks = _looks(fit, panel, apart, length, prob, draws, seed, earlier)
    seen = [look.reset_coords()[["outcome", "median", "interval", *_LABELS]] for look in looks]
    if not seen:
        first, last = panel["time"].values.min(), panel["time"].values.max()
        raise NothingToLookBackOn(
            f"there is nothing to look back on: no dated contract was quoted later than {length} "
            f"after the first quote, {first:.19}; the last is of {last:.19}. Give a shorter "
            "horizon or a longer panel."
        )
    return xr.concat(seen, "point").set_coords(_LABELS).assign_attrs(attrs)


def _refuse_unlike(earlier: xr.Dataset, attrs: Mapping[str, Any], prob: Sequence[float]) -> None:
    """Refuse a record whose points cannot stand beside those of this one."""
    if earlier.attrs["card"] != attrs["card"]:
        raise ValueError(
            f"the fit is of {attrs['card_name']!r}, the earlier record of "
            f"{earlier.attrs['card_name']!r} or another card of that name: leave it out"
        )
    asked = attrs["horizon"], [float(p) for p in prob]
    found = earlier.attrs["horizon"], earlier["prob"].values.tolist()
    if asked != found:
        raise ValueError(
            f"the earlier record has horizon {found[0]} and bands {found[1]}; asked for are "
            f"{asked[0]} and {asked[1]}: leave it out, or ask for the same"
        )


def provenance(fit: xr.DataTree, horizon: np.timedelta64, seed: int) -> dict[str, Any]:
    """What a record says of where it comes from."""
    kept = {name: fit.attrs[name] for name in ("card", "card_name", "data_hash")}
    return kept | {"horizon": str(pd.Timedelta(horizon)), "seed": seed}


def _looks(
    fit: xr.DataTree,
    panel: xr.Dataset,
    every: np.timedelta64,
    length: np.timedelta64,
    prob: Sequence[float],
    draws: int,
    seed: int,
    earlier: xr.Dataset | None,
) -> Iterator[xr.Dataset]:
    """Yield what every origin saw coming, and what came."""
    time, index = panel["time"].values.astype("datetime64[ns]"), panel["contract_index"].values
    for origin in np.arange(time.min() + length, time.max(), every):
        known = known_at(panel, origin)
        live = known["contract"].values[lives(known, origin) & ~is_perpetual(known)].astype(str)
        ahead = (time > origin) & (time <= origin + length)
        ahead &= np.isin(panel["contract"].values.astype(str), live)[index]
        ahead &= np.isin(time, _spread(np.unique(time[ahead])))
        if not ahead.any():
            continue
        quoted = panel["contract"].values[index[ahead]].astype(str)
        outcome = panel["basis"].values[ahead]
        before = _taken_over(earlier, origin, quoted, time[ahead], outcome)
        if before is not None:
            yield before
            continue
        paths = simulate_from(
            fit, _recent(known, live, origin), origin, list(live), times=time[ahead], seed=seed,
            draws=draws, spot=False,
        )  # fmt: skip
        seen = bands(paths, prob)[["median", "interval"]]
        step = 1 + np.searchsorted(np.unique(time[ahead]), time[ahead])
        points = seen.sel(contract=xr.DataArray(quoted, dims="point")).isel(
            step=xr.DataArray(step, dims="point")
        )
        yield points.assign(outcome=("point", outcome)).assign_coords(
            origin=("point", np.full(len(step), origin))
        )


def _taken_over(
    earlier: xr.Dataset | None, origin: np.datetime64, contract: Array, time: Array, outcome: Array
) -> xr.Dataset | None:
    """Take what an origin saw from an earlier record, if the same came then."""
    if earlier is None:
        return None
    own = earlier.isel(point=np.flatnonzero(earlier["origin"].values == origin))
    then = own["contract"].values.astype(str), own["time"].values, own["outcome"].values
    came = zip(then, (contract, time, outcome), strict=True)
    return own if all(np.array_equal(old, new) for old, new in came) else None


def _spread(times: Array) -> Array:
    """Keep the most instants that are looked at, spread evenly."""
    kept = np.linspace(0, len(times) - 1, min(len(times), _MOST_INSTANTS))
    return times[np.round(kept).astype(int)]


def _recent(known: xr.Dataset, live: Array, origin: np.datetime64) -> xr.Dataset:
    """Keep the quotes that tell of states at the origin."""
    name = known["contract"].values.astype(str)[known["contract_index"].values]
    return select(known, np.isin(name, live) | (known["time"].values > origin - _MEMORY))
