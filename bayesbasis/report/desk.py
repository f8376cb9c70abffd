"""All that a desk's report says, from a fit and the trades to put on."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from bayesbasis.data.panel import instant, known_at, lives
from bayesbasis.forecast.convergence import convergence
from bayesbasis.forecast.funding import forecast_funding
from bayesbasis.forecast.intervals import bands
from bayesbasis.forecast.leg import spot_leg
from bayesbasis.forecast.live import regime_now
from bayesbasis.forecast.paths import forecast
from bayesbasis.forecast.stress import shock
from bayesbasis.forecast.valuation import mispricing
from bayesbasis.report.style import per_cent
from bayesbasis.trade.costs import BASIS_POINT
from bayesbasis.trade.margins import margin
from bayesbasis.trade.orders import Orders, put_on, suit, traded
from bayesbasis.trade.risk import risk_table
from bayesbasis.trade.sizing import growth_leverage

_DAY = np.timedelta64(1, "D")


def desk(
    fit: xr.DataTree,
    orders: Orders,
    *,
    origin: str | datetime | np.datetime64 | None = None,
    panel: xr.Dataset | None = None,
    funding: xr.DataTree | None = None,
    history: xr.Dataset | None = None,
    draws: int = 200,
    repeats: int = 20,
    seed: int = 1,
) -> dict[str, Any]:
    """Compute what `write_report` takes besides the fit.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.
    orders : Orders
        From `read_orders`.
    origin : str or datetime, optional
        Instant, UTC; by default that of the last quote.
    panel : xarray.Dataset, optional
        Newer quotes.
    funding : xarray.DataTree, optional
        From `fit_funding`: its forecast pays the perpetuals, and is reported.
    history : xarray.Dataset, optional
        Newer settlements than those of that fit, from `make_funding`.
    draws, repeats : int
        Posterior draws, and paths of each.
    seed : int
        Seed of the forecasts.

    Returns
    -------
    dict
        Keyword arguments of `write_report`.
    """
    quotes = fit["constant_data"].to_dataset() if panel is None else panel
    orders = suit(orders, _live(quotes, origin))
    say: dict[str, Any] = {"origin": origin, "panel": panel, "seed": seed, "draws": draws}
    say["horizon"] = orders.horizon
    paths = forecast(fit, repeats=repeats, **say)
    paid = None if funding is None else _funding(funding, history, paths, seed)
    financing = orders.costs.financing
    found = mispricing(fit, paths.attrs["origin"], panel=panel, financing=financing, seed=seed)
    known = known_at(quotes, paths.attrs["origin"])
    put = partial(put_on, orders=orders, funding=paid)
    trades = put(paths)
    wildest = int(paths["regime"].max())
    stressed = {"as it is": trades}
    if wildest > 1:
        wild = forecast(fit, repeats=repeats, regime=wildest, **say)
        stressed[f"starts in regime {wildest}"] = put(wild)
    for sign, word in ((1, "up"), (-1, "down")):
        moved = shock(paths, sign * BASIS_POINT * orders.shock_bp)
        stressed[f"basis {word} {orders.shock_bp:g} bp at once"] = put_on(
            moved, orders, funding=paid
        )
    dear = replace(orders.costs, financing=financing + orders.widening)
    stressed[f"financing + {per_cent(orders.widening)}"] = put(paths, costs=dear)
    return {
        "bands": bands(paths, prob=(0.5, 0.9)),
        "trades": trades,
        "states": _regimes(paths),
        "spot": spot_leg(fit, panel=known, draws=draws, seed=seed) if "spot" in paths else None,
        "mispricing": found,
        "convergence": convergence(paths, BASIS_POINT * orders.within_bp),
        "risk": risk_table(trades, orders.level, scenarios=stressed),
        "margin": _margins(paths, orders),
        "growth": growth_leverage(trades),
        "panel": panel,
        "funding": paid,
    }


def _live(quotes: xr.Dataset, origin: str | datetime | np.datetime64 | None) -> xr.Dataset:
    """Contracts that live after the origin."""
    start = quotes["time"].values.max() if origin is None else instant(origin)
    known = known_at(quotes, start)
    return known[["expiry"]].isel(contract=np.flatnonzero(lives(known, start)))


def _funding(
    fit: xr.DataTree, history: xr.Dataset | None, paths: xr.Dataset, seed: int
) -> xr.Dataset:
    """Funding ahead, from the origin of the paths until they end."""
    start = np.datetime64(paths.attrs["origin"])
    # The settlement of the interval in which they end comes after.
    length = np.nanmax(paths["time"].values) - start + _DAY
    return forecast_funding(fit, length, seed=seed, origin=start, history=history)


def _margins(paths: xr.Dataset, orders: Orders) -> xr.Dataset:
    """Liquidation of every traded contract, as its first order trades it."""
    each: dict[str, xr.Dataset] = {}
    for order in orders.trades:
        own = paths.sel(contract=traded(paths, order))
        found = margin(
            own,
            order.direction,
            kind=order.kind,
            exit=order.exit,
            maintenance=orders.maintenance,
            alpha=orders.alpha,
        )
        for name in own["contract"].values.astype(str):
            each.setdefault(name, found.sel(contract=[name]))
    return xr.concat(
        list(each.values()), dim="contract", data_vars="minimal", combine_attrs="override"
    )


def _regimes(paths: xr.Dataset) -> xr.Dataset:
    """Regime of every underlying at the origin, laid out as `filter_states` does."""
    chance = regime_now(paths)
    names = paths["underlying"].values.astype(str)
    first = np.unique(names, return_index=True)[1]
    return xr.Dataset(
        {
            "regime_filtered": (
                ("chain", "draw", "event", "regime"),
                chance.values[None, None, first],
            )
        },
        {
            "regime": chance["regime"].values,
            "event_underlying": ("event", names[first]),
        },
    )
