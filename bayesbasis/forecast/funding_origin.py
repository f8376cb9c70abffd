"""What is known of funding at the origin of a forecast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.model.funding_layout import FundingLayout
from bayesbasis.model.funding_parameters import chains, shifts
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.process.censored import Chains, track

Array = NDArray[Any]

_DAY = np.timedelta64(24, "h")
# What the filter knew longer ago than this has left the state of the chains.
_MEMORY_DAYS = 180
# A contract that has not settled for this long is no longer live.
_LIVE_DAYS = 3


def recent_settlements(known: xr.Dataset, start: np.datetime64) -> xr.Dataset:
    """Keep the settlements that say anything of the present."""
    recent = known["time"].values > start - _MEMORY_DAYS * _DAY
    return known.isel(obs=recent)


def live_contracts(history: xr.Dataset, origin: np.datetime64) -> Array:
    """Positions of the contracts that settled in the last days before an origin."""
    before = origin - history["time"].values
    recent = (before >= 0 * _DAY) & (before < _LIVE_DAYS * _DAY)
    return np.unique(history["contract_index"].values[recent])


def contracts_to_forecast(
    known: xr.Dataset, start: np.datetime64, contracts: Sequence[str] | None, fit: xr.DataTree
) -> list[int]:
    """Positions of the contracts to forecast: fitted, and live; those named, if any are."""
    names = known["contract"].values.astype(str).tolist()
    alive = live_contracts(known, start).tolist()
    fitted = set(fit["posterior"].to_dataset()["contract"].values.astype(str))
    alive = [k for k in alive if names[k] in fitted]
    if contracts is None:
        if not alive:
            raise ValueError(
                f"no fitted contract has settled in the {_LIVE_DAYS} days to {start:.19}"
            )
        return alive
    bad = [name for name in contracts if name not in {names[k] for k in alive}]
    if bad or not contracts:
        raise ValueError(
            f"{', '.join(bad) or 'no contract'} cannot be forecast from {start:.19}; "
            f"live there: {', '.join(names[k] for k in alive) or 'none'}"
        )
    return [names.index(name) for name in contracts]


def natural_at(posterior: xr.Dataset, known: xr.Dataset) -> dict[str, Array]:
    """Parameters of every draw, contracts as in the history; those never fitted are missing."""
    fitted = posterior["contract"].values.astype(str).tolist()
    names = known["contract"].values.astype(str)
    place = np.array([fitted.index(name) if name in fitted else 0 for name in names])
    natural = {}
    for name, variable in posterior.data_vars.items():
        own = tuple(dim for dim in variable.dims if dim not in ("chain", "draw"))
        value = variable.transpose("chain", "draw", *own).values
        value = value.reshape(-1, *value.shape[2:])
        natural[str(name)] = value[:, place] if own == ("contract",) else value
    return natural


@dataclass(frozen=True, eq=False)
class LastEvent:
    """The last event of a chain: when it was, and the state's distribution, (draw, state)."""

    time: np.datetime64
    probability: Array


def filter_chains(
    spec: FundingSpec, layout: FundingLayout, natural: dict[str, Array]
) -> list[Chains]:
    """What the filter takes, draw by draw."""
    inputs = chains(spec, natural, layout.cells, layout.gap_days, np)
    inputs["shift"] = shifts(
        natural, inputs["memory"], layout.settlements.cell, layout.before, layout.covariates
    )
    return [
        Chains(*(np.ascontiguousarray(inputs[name][d]) for name in Chains._fields))
        for d in range(len(natural["level"]))
    ]


def last_states(
    spec: FundingSpec, layout: FundingLayout, natural: dict[str, Array]
) -> dict[int, LastEvent]:
    """Filter the settlements known at the origin under every draw; by group of chains."""
    ends = np.flatnonzero(np.append(np.diff(layout.event_underlying) != 0, True))
    found = []
    for one in filter_chains(spec, layout, natural):
        found.append(track(layout.settlements, one).filtered[ends])
    states = np.stack(found, axis=1)
    return {
        int(layout.event_underlying[end]): LastEvent(layout.event_time[end], states[i])
        for i, end in enumerate(ends)
    }
