"""Forecasts of funding: posterior predictive premia and settlements of every perpetual."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.data.funding_rules import BASE_HOURS
from bayesbasis.data.panel import instant, known_at
from bayesbasis.forecast.funding_origin import (
    LastEvent,
    contracts_to_forecast,
    last_states,
    natural_at,
    recent_settlements,
)
from bayesbasis.forecast.funding_recalibration import recalibrate_funding
from bayesbasis.inference.states import thin
from bayesbasis.model.covariates import standardised
from bayesbasis.model.funding_cards import read_funding_card
from bayesbasis.model.funding_layout import (
    BASIS_POINTS,
    cells_of,
    lay_out_funding,
    premium_told,
)
from bayesbasis.model.funding_parameters import chains, driven
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.process.premia import Rules, as_quoted, draw_rows, simulate_premia, simulate_states

Array = NDArray[Any]

_HOUR = np.timedelta64(3_600_000_000_000, "ns")
_DAY = np.timedelta64(24, "h")


def forecast_funding(
    fit: xr.DataTree,
    horizon: str | np.timedelta64 = "30D",
    *,
    seed: int,
    origin: str | datetime | np.datetime64 | None = None,
    history: xr.Dataset | None = None,
    contracts: Sequence[str] | None = None,
    draws: int | None = None,
    recalibrated: bool = True,
) -> xr.Dataset:
    """Posterior predictive paths of every settlement within a horizon.

    Per posterior draw: state of the chains at the origin from the filter, their future exactly,
    premia from the state and the last premium, and funding by the venue's rule. Venues of one
    chain share its path.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_funding`.
    horizon : str or numpy.timedelta64
        How far, such as ``"30D"``.
    seed : int
        Same seed, fit and data give the same paths.
    origin : str, datetime or numpy.datetime64, optional
        Now (UTC); the last settlement by default. What settled later is not used.
    history : xarray.Dataset, optional
        Newer settlements than the fit's, of the same contracts.
    contracts : sequence of str, optional
        All that are live by default.
    draws : int, optional
        Posterior draws to use, spread evenly over the chains; all by default.
    recalibrated : bool
        Whether sums spread as far as the fit's hindcasts say, if it has any; see
        `recalibrate_funding`.

    Returns
    -------
    xarray.Dataset
        Dims chain, draw, contract, step: ``funding`` (of one interval, a fraction) and ``premium``
        (per 8 hours); missing after a contract's last step. Coords ``time`` (contract, step),
        ``interval_hours`` (contract), ``interest``, ``clamp``, ``underlying``, ``venue``; and
        ``sum_factor``, if recalibrated.

    Raises
    ------
    ValueError
        If the fit is not one of funding, the horizon is not positive or ends before any settlement,
        or a contract is unknown, not live, or was not fitted.
    """
    if "funding_rate" not in fit["constant_data"]:
        raise ValueError(
            f"a fit of {fit.attrs['card_name']!r} is no fit of funding; use one that "
            "fit_funding or `bayesbasis funding` made"
        )
    spec = read_funding_card(fit.attrs["card"])
    quotes = fit["constant_data"].to_dataset() if history is None else history
    start = quotes["time"].values.max() if origin is None else instant(origin)
    length = np.timedelta64(pd.Timedelta(horizon).to_timedelta64(), "ns")
    if length <= np.timedelta64(0, "ns"):
        raise ValueError(f"horizon is {horizon!r}; give a positive time such as '30D'")
    known = recent_settlements(known_at(quotes, start), start)
    live = contracts_to_forecast(known, start, contracts, fit)
    posterior = fit["posterior"].to_dataset()
    if draws is not None:
        posterior = thin(posterior, draws)
    natural = natural_at(posterior, known)
    rng = np.random.default_rng(seed)
    fitted = fit["constant_data"].to_dataset()
    layout = lay_out_funding(spec, known, fitted)
    drive = driven(natural, _last_covariates(known, fitted, spec.covariates))
    due = {k: _due(known, k, start, start + length) for k in live}
    if not any(len(times) for times, _ in due.values()):
        raise ValueError(f"no contract settles within {horizon} of {start:.19}; look further ahead")
    filtered = last_states(spec, layout, natural)
    count = len(natural["level"])
    steps = max(len(times) for times, _ in due.values())
    arrays = {name: np.full((count, len(live), steps), np.nan) for name in ("premium", "funding")}
    for group, last in filtered.items():
        members = [i for i, k in enumerate(live) if layout.contract_underlying[k] == group]
        if members:
            own = [live[i] for i in members]
            simulated = _simulate(
                spec, known, own, [due[k] for k in own], last, natural, drive, rng
            )
            for i, (premium, funding) in zip(members, simulated, strict=True):
                arrays["premium"][:, i, : premium.shape[1]] = premium
                arrays["funding"][:, i, : funding.shape[1]] = funding
    paths = _dataset(known, live, [due[k][0] for k in live], posterior, arrays)
    kept = {name: fit.attrs[name] for name in ("card", "card_name", "data_hash")}
    paths = paths.assign_attrs(
        origin=str(start), horizon=str(pd.Timedelta(length)), seed=seed, **kept
    )
    if recalibrated and "hindcast" in fit.children:
        return recalibrate_funding(paths, fit["hindcast"].to_dataset())
    return paths


def _own(known: xr.Dataset, contract: int) -> xr.Dataset:
    return known[["funding_rate", "scheduled", "interval"]].isel(
        obs=np.flatnonzero(known["contract_index"].values == contract)
    )


def _due(
    known: xr.Dataset, contract: int, start: np.datetime64, end: np.datetime64
) -> tuple[Array, Array]:
    """Settlements ahead of a contract, and when their rates are measured."""
    hours = float(known["interval_now"].values[contract])
    late = float(known["lag_intervals"].values[contract]) * hours
    last = _own(known, contract)["scheduled"].values[-1]
    step = (hours * _HOUR).astype(_HOUR.dtype)
    count = max(int((end - last) // step), 0)
    times = last + step * np.arange(1, count + 1)
    times = times[times > start]
    return times, times - (late * _HOUR).astype(_HOUR.dtype)


def _simulate(
    spec: FundingSpec,
    known: xr.Dataset,
    members: list[int],
    due: list[tuple[Array, Array]],
    last: LastEvent,
    natural: dict[str, Array],
    drive: Array,
    rng: Generator,
) -> list[tuple[Array, Array]]:
    """Premium and funding of each member, shape (draw, step), as fractions."""
    # A rate measured before the chain's last event is taken as measured there.
    measured = [np.maximum(times, last.time) for _, times in due]
    grid = np.unique(np.concatenate([[last.time], *measured]))
    places = [np.searchsorted(grid, times) for times in measured]
    days, gap = np.unique(np.diff(grid) / _DAY, return_inverse=True)
    hours = known["interval_now"].values[members].astype(float)
    gap_days = days if len(days) else np.ones(1)
    cells = cells_of(known, np.array(members), hours, 0.0 * hours)
    inputs = chains(spec, natural, cells, gap_days, np)
    rules = _rules(known, members, hours, inputs["widening"])
    moves = inputs["slow"], inputs["inner"]
    begin = draw_rows(last.probability, rng)
    states = simulate_states(begin, moves, np.concatenate([[-1], gap]), rng)
    # Two rates of one contract may fall on the last event; each is a step of its own there.
    rank = [np.arange(len(p)) - np.searchsorted(p, p) for p in places]
    most = 1 + max((int(r.max(initial=0)) for r in rank), default=0)
    rows = np.arange(len(grid)).repeat(most)
    wanted = np.zeros((len(rows), len(members)), dtype=bool)
    at = [p * most + r for p, r in zip(places, rank, strict=True)]
    for column, row in enumerate(at):
        wanted[row, column] = True
    told = premium_told(known) * BASIS_POINTS
    before = [told[known["contract_index"].values == k][-1] for k in members]
    pulled = (1.0 - inputs["memory"]) * drive[..., members]
    premium, funding = simulate_premia(
        states[rows],
        wanted,
        np.array(before),
        inputs["location"] + pulled[..., None],
        inputs["scale"],
        inputs["guess"],
        inputs["memory"],
        rules,
        rng,
    )
    premium = as_quoted(premium, rules.interest, rules.clamp, rules.widening)
    share = hours / BASE_HOURS / BASIS_POINTS
    return [
        (premium[row, :, i].T / BASIS_POINTS, funding[row, :, i].T * share[i])
        for i, row in enumerate(at)
    ]


def _last_covariates(known: xr.Dataset, fitted: xr.Dataset, names: tuple[str, ...]) -> Array:
    """Covariates at the last settlement of every contract, standardised; they stay there."""
    values = np.zeros((known.sizes["contract"], len(names)))
    values[known["contract_index"].values] = standardised(known, fitted, names)
    return values


def _rules(known: xr.Dataset, members: list[int], hours: Array, widening: Array) -> Rules:
    own = known.isel(contract=members)
    return Rules(
        own["interest"].values * BASIS_POINTS,
        own["clamp"].values * BASIS_POINTS,
        own["cap"].values * BASIS_POINTS * BASE_HOURS / hours,
        own["plain"].values.astype(bool),
        widening,
    )


def _dataset(
    known: xr.Dataset,
    live: list[int],
    times: list[Array],
    posterior: xr.Dataset,
    arrays: dict[str, Array],
) -> xr.Dataset:
    steps = arrays["funding"].shape[-1]
    stamps = np.full((len(live), steps), np.datetime64("NaT", "ns"))
    for row, own in zip(stamps, times, strict=True):
        row[: len(own)] = own
    sizes = posterior.sizes["chain"], posterior.sizes["draw"]
    named = {
        "funding": ("1", "funding of one interval, paid by longs"),
        "premium": ("1", "time-weighted premium, per 8 hours"),
    }
    now = known.isel(contract=live)
    on_contract = ("underlying", "venue", "interest", "clamp", "plain", "continuous")
    return xr.Dataset(
        {
            name: (
                ("chain", "draw", "contract", "step"),
                arrays[name].reshape(*sizes, *arrays[name].shape[1:]),
                {"units": units, "long_name": long_name},
            )
            for name, (units, long_name) in named.items()
        },
        {
            "chain": posterior["chain"].values,
            "draw": posterior["draw"].values,
            "contract": now["contract"].values.astype(str),
            "step": np.arange(1, steps + 1),
            "time": (("contract", "step"), stamps),
            "interval_hours": ("contract", now["interval_now"].values, {"units": "hour"}),
            **{name: ("contract", now[name].values) for name in on_contract},
        },
    )
