"""Valuation: which contracts are rich and which are cheap, and how sure that is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr

from bayesbasis.data.panel import instant, known_at, lives
from bayesbasis.forecast.origin import Origin, path_groups, states_at
from bayesbasis.inference.draws import transitions
from bayesbasis.inference.states import thin
from bayesbasis.model.cards import read_card
from bayesbasis.model.hierarchy import filter_inputs
from bayesbasis.model.layout import Layout
from bayesbasis.model.offsets import by_cell
from bayesbasis.model.spec import Spec
from bayesbasis.process.equilibria import PREMIUM_SPAN
from bayesbasis.process.filter import SETTLED
from bayesbasis.process.quadrature import ENDLESS
from bayesbasis.process.regimes import stationary

Array = NDArray[Any]


def mispricing(
    fit: xr.DataTree,
    at: str | datetime | np.datetime64 | None = None,
    *,
    panel: xr.Dataset | None = None,
    financing: float | Mapping[str, float] | None = None,
    draws: int | None = None,
    seed: int = 1,
) -> xr.Dataset:
    r"""Price every live contract against the model's equilibrium, and against observed carry.

    .. math:: z = \hat z + σ_k \sqrt{P}\, ε, \qquad
              \text{score} = \frac{\hat z}{\bar σ \sqrt{v(τ + 5 → τ)}}

    with the filtered deviation ``ẑ``, its variance ``σ_k² P`` and, below the line, the spread of
    deviations at this time to expiry, regimes averaged out: a score of 2 is as far from fair value
    as one contract in twenty.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.
    at : str or datetime, optional
        Instant, UTC; by default that of the last quote.
    panel : xarray.Dataset, optional
        Newer quotes; by default those of the fit.
    financing : float or mapping, optional
        Observed cost of carry per year, continuously compounded (``r + u - q - y``); of each
        underlying, if a mapping.
    draws : int, optional
        Posterior draws to use; by default all.
    seed : int
        Seed of the regimes, and of carry that the fit does not know.

    Returns
    -------
    xarray.Dataset
        Dims chain, draw, contract: ``deviation`` of the quote from the equilibrium and
        ``annualised``, the same per year (log units); ``z_score``. By contract: ``basis``,
        ``tau``, ``rich``, P(the contract is above fair value), ``rank``, 1 the richest by median
        score, and ``richest``, P(no live contract has a higher score); ``excess`` and
        ``excess_annualised`` over observed carry, where it is given.

    Raises
    ------
    ValueError
        If no contract is live, or the financing of an underlying is missing.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> found = bb.mispricing(fit, financing=0.05)  # doctest: +SKIP
    """
    spec = read_card(fit.attrs["card"])
    quotes = fit["constant_data"].to_dataset() if panel is None else panel
    start = quotes["time"].values.max().astype("datetime64[ns]") if at is None else instant(at)
    known = known_at(quotes, start)
    live = np.flatnonzero(lives(known, start))
    if not live.size:
        raise ValueError(f"no contract is live at {start:.19}: take an earlier instant")
    posterior = fit["posterior"].to_dataset()
    posterior = posterior if draws is None else thin(posterior, draws)
    state = states_at(fit, spec, known, posterior, start, np.random.default_rng(seed))
    found = _values(spec, state.layout, state, live)
    result = _dataset(known, live, state, posterior, found)
    if financing is not None:
        excess = result["basis"] - _financing(result, financing) * result["tau"]
        result["excess"] = excess.assign_attrs(units="1", long_name="basis above observed carry")
        result["excess_annualised"] = (excess / result["tau"]).assign_attrs(
            units="1/year", long_name="basis above observed carry, per year"
        )
    return result.assign_attrs(origin=str(start), card_name=fit.attrs["card_name"])


def _values(spec: Spec, layout: Layout, state: Origin, live: Array) -> dict[str, Array]:
    """Deviation, score and P(rich) of every draw and live contract."""
    inputs = filter_inputs(spec, state.natural, np)
    groups, shape = path_groups(spec, layout), (len(inputs["noise"]), len(live))
    deviation, score, rich = np.empty(shape), np.empty(shape), np.empty(shape)
    whole = by_cell(spec, state.natural, layout.cells, np)
    for column, contract in enumerate(live):
        u = layout.contract_underlying[contract]
        group, path = u * layout.levels.underlyings, layout.contract_path[contract]
        cell = layout.contract_cell[contract]
        tau, level = state.tau[[contract]], state.level[:, contract]
        scale = inputs["scale"][:, group]
        now = np.take_along_axis(scale, state.regime[:, [path]], axis=1)[:, 0]
        often = np.stack(
            [stationary(np.ascontiguousarray(a)) for a in inputs["rates"][:, groups[path]]]
        )
        usual = np.sqrt((often * scale**2).sum(1))
        settled = transitions(spec, whole, tau + SETTLED, tau, cell)[1][:, 0]
        settled = settled / state.units.noise[:, cell]
        deviation[:, column] = state.basis[contract] - state.fair[:, contract]
        score[:, column] = level / (usual * np.sqrt(settled))
        rich[:, column] = ndtr(level / (now * np.sqrt(state.spread[:, contract])))
    return {"deviation": deviation, "z_score": score, "rich": rich}


def _dataset(
    known: xr.Dataset, live: Array, state: Origin, posterior: xr.Dataset, found: dict[str, Array]
) -> xr.Dataset:
    sizes = posterior.sizes["chain"], posterior.sizes["draw"], len(live)
    dims = ("chain", "draw", "contract")
    score, tau = found["z_score"], state.tau[live]
    span = np.where(tau >= ENDLESS, PREMIUM_SPAN, tau)
    tau = np.where(tau >= ENDLESS, np.nan, tau)
    order = np.argsort(np.argsort(-np.median(score, axis=0), kind="stable"))
    richest = np.bincount(score.argmax(1), minlength=len(live)) / len(score)
    said = {
        "deviation": (dims, found["deviation"].reshape(sizes), "quote above fair basis", "1"),
        "annualised": (
            dims,
            (found["deviation"] / span).reshape(sizes),
            "quote above fair basis, per year",
            "1/year",
        ),
        "z_score": (dims, score.reshape(sizes), "deviation in its usual spreads", "1"),
        "basis": (("contract",), state.basis[live], "log basis as quoted", "1"),
        "tau": (("contract",), tau, "time to expiry at the quote", "year"),
        "rich": (("contract",), found["rich"].mean(0), "P(above fair value)", "1"),
        "rank": (("contract",), order + 1, "rank by median score, 1 the richest", "1"),
        "richest": (("contract",), richest, "P(highest score of all live contracts)", "1"),
    }
    names = ("contract", "underlying", "venue", "kind", "expiry")
    chosen = known.isel(contract=live)
    coords: dict[str, Any] = {name: chosen[name] for name in names}
    coords |= {name: posterior[name].values for name in ("chain", "draw")}
    return xr.Dataset(
        {
            name: (own, value, {"long_name": text, "units": units})
            for name, (own, value, text, units) in said.items()
        },
        coords,
    )


def _financing(result: xr.Dataset, financing: float | Mapping[str, float]) -> xr.DataArray | float:
    if not isinstance(financing, Mapping):
        return float(financing)
    names = result["underlying"].values.astype(str)
    missing = sorted(set(names) - set(financing))
    if missing:
        raise ValueError(
            f"financing says nothing of {', '.join(missing)}; give a rate of every live underlying"
        )
    return xr.DataArray([float(financing[name]) for name in names], dims="contract")
