"""Covariates in the future: their last values, a scenario, or simulated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.model.covariates import column_values, columns, standards
from bayesbasis.model.layout import Layout
from bayesbasis.model.spec import Spec
from bayesbasis.process.spot import learn_reversion, simulate_reversion

Array = NDArray[Any]
Scenario = Mapping[str, float | str | pd.Series] | pd.DataFrame | xr.Dataset

SIMULATE = "simulate"
_YEAR_NS = 365 * 86_400 * 10**9
_LEAST = 10


@dataclass(frozen=True)
class Future:
    """What covariates will be.

    Parameters
    ----------
    values : dict of ndarray, shape (draw or 1, contract, step)
        By column and live contract; standardised but for carry that is observed.
    last : dict of ndarray, shape (contract,)
        At the last quote of each.
    """

    values: dict[str, Array]
    last: dict[str, Array]

    def at_steps(self, names: tuple[str, ...], tau: Array) -> Array:
        """Columns at every step, shape (draw or 1, contract, step, column)."""
        if not names:
            return np.zeros((1, *tau.shape, 0))
        return np.stack(np.broadcast_arrays(*(self.values[name] for name in names)), axis=-1)

    def before_steps(self, names: tuple[str, ...], tau: Array) -> Array:
        """Columns where the move into every step starts; into the first, at the last quote."""
        here = self.at_steps(names, tau)
        first = [np.broadcast_to(self.last[name][:, None], (*here.shape[:2], 1)) for name in names]
        lead = np.stack(first, axis=-1) if names else here[:, :, :1]
        return np.concatenate([lead, here[:, :, :-1]], axis=2)


def future(
    spec: Spec,
    layout: Layout,
    fitted: xr.Dataset,
    known: xr.Dataset,
    live: Array,
    times: Array,
    scenario: Scenario | None,
    draws: int,
    rng: Generator,
) -> Future:
    """Lay out the covariates of a card along a grid of times.

    Parameters
    ----------
    spec, layout : Spec, Layout
        The model, and the quotes known at the origin.
    fitted, known : xarray.Dataset
        Panel of the fit, whose means and deviations count, and that of the origin.
    live : ndarray of int
        Contracts.
    times : ndarray of datetime64[ns], shape (step,)
        The origin, and the grid after it.
    scenario : mapping, pandas.DataFrame or xarray.Dataset, optional
        See `forecast`.
    draws : int
        How many, for what is simulated.
    rng : numpy.random.Generator
        Source of randomness.

    Raises
    ------
    ValueError
        If a scenario names what the card does not read, or does not cover the grid.
    """
    names = list(dict.fromkeys(name for own in columns(spec).values() for name in own))
    fixed = [spec.equilibrium.fixed] if spec.equilibrium.fixed else []
    raw = [*names, *fixed]
    given = _by_column(scenario)
    strange = sorted(set(given) - set(raw))
    if strange:
        raise ValueError(
            f"the scenario gives {', '.join(strange)}, which the card does not read; "
            f"it reads {', '.join(raw) or 'no covariate'}"
        )
    owner = known["underlying"].values.astype(str)[live]
    values, last = {}, {}
    for name in raw:
        mean, sd = (0.0, 1.0) if name not in names else (x[0] for x in standards(fitted, (name,)))
        here = _last_values(known, name)[live]
        if name not in given:
            ahead = np.broadcast_to(here[:, None], (1, len(live), len(times)))
        elif isinstance(given[name], str):
            moved = _simulated(known, name, given[name], owner, times, draws, rng)
            ahead = here[:, None] + moved
        else:
            ahead = _given(name, given[name], owner, times)
        values[name], last[name] = (ahead - mean) / sd, (here - mean) / sd
    return Future(values, last)


def _by_column(scenario: Scenario | None) -> dict[str, Any]:
    """Columns of a scenario: numbers, words, or frames with columns time, value, underlying."""
    if scenario is None:
        return {}
    if isinstance(scenario, xr.Dataset):
        scenario = scenario.to_dataframe()
    if not isinstance(scenario, pd.DataFrame):
        return dict(scenario)
    frame = scenario if "time" in scenario else scenario.reset_index(names="time")
    shared = [name for name in ("time", "underlying") if name in frame]
    return {
        str(name): frame[[*shared, name]].rename(columns={name: "value"})
        for name in frame
        if name not in shared
    }


def _last_values(known: xr.Dataset, name: str) -> Array:
    """Value at the last quote of every contract of a panel."""
    index = known["contract_index"].values
    return column_values(known, (name,))[np.append(np.diff(index) != 0, True), 0]


def _given(name: str, given: Any, owner: Array, times: Array) -> Array:
    """Values of a scenario along the grid, shape (1, contract, step)."""
    if isinstance(given, int | float):
        return np.full((1, len(owner), len(times)), float(given))
    if isinstance(given, pd.Series):
        given = pd.DataFrame({"time": given.index, "value": given.to_numpy()})
    ahead = np.empty((1, len(owner), len(times)))
    for u in np.unique(owner):
        own = given[given["underlying"] == u] if "underlying" in given else given
        ahead[0, owner == u] = _as_of(name, str(u), own.dropna(subset=["value"]), times)
    return ahead


def _as_of(name: str, underlying: str, own: pd.DataFrame, times: Array) -> Array:
    utc = pd.to_datetime(own["time"], utc=True).dt.tz_localize(None)
    stamps, value = utc.to_numpy("datetime64[ns]"), own["value"].to_numpy(float)
    order = np.argsort(stamps, kind="stable")
    stamps, value = stamps[order], value[order]
    after = times[1:]
    missing = after if not len(stamps) else after[(after < stamps[0]) | (after > stamps[-1])]
    if len(missing):
        raise ValueError(
            f"the scenario has no {name!r} of {underlying} at {missing[0]:.19}"
            f"{f' and {len(missing) - 1} later steps' if len(missing) > 1 else ''}; extend it over "
            f"{after[0]:.19} to {after[-1]:.19}, give one number, leave it out to hold its last "
            f"value, or say {name}={SIMULATE!r}"
        )
    return value[np.maximum(np.searchsorted(stamps, times, side="right") - 1, 0)]


def _simulated(
    known: xr.Dataset,
    name: str,
    word: str,
    owner: Array,
    times: Array,
    draws: int,
    rng: Generator,
) -> Array:
    """Simulate how far a column of every underlying moves from now, (draw, contract, step)."""
    if word != SIMULATE:
        raise ValueError(
            f"the scenario says {name}={word!r}; give a number, a series over time, or {SIMULATE!r}"
        )
    ahead = np.empty((draws, len(owner), len(times)))
    quoted = known["underlying"].values.astype(str)[known["contract_index"].values]
    for u in np.unique(owner):
        mine = quoted == u
        when, at = np.unique(known["time"].values[mine].astype("datetime64[ns]"), return_index=True)
        series = column_values(known, (name,))[mine, 0][at]
        if len(when) < _LEAST:
            raise ValueError(
                f"{name!r} of {u} has {len(when)} values at the origin; simulating it needs "
                f"{_LEAST}: leave it out to hold its last value"
            )
        years = (when - when[0]).astype(np.int64) / _YEAR_NS
        past = learn_reversion(series, years, draws, rng, spread=3.0 * max(series.std(), 1e-12))
        gaps = np.diff(np.concatenate([when[-1:], times])).astype(np.int64) / _YEAR_NS
        path = simulate_reversion(past, float(series[-1]), gaps, rng)
        ahead[:, owner == u] = path[:, None] - series[-1]
    return ahead
