"""Fitting a funding model: from a history to a posterior that knows where it came from."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.data.counts import at_least_one
from bayesbasis.data.panel import panel_hash
from bayesbasis.inference.compiled import Compiled, compile_once
from bayesbasis.inference.diagnostics import diagnose
from bayesbasis.inference.modes import Gaussian, gaussian_at, modes, starting_places
from bayesbasis.inference.posterior import LogPosterior
from bayesbasis.inference.sampling import sample_nutpie, versions
from bayesbasis.inference.threads import one_thread
from bayesbasis.model.funding_cards import write_funding_card
from bayesbasis.model.funding_graph import build_funding, funding_arrays, funding_coords
from bayesbasis.model.funding_layout import lay_out_funding
from bayesbasis.model.funding_parameters import funding_dims, funding_parameters, funding_raw
from bayesbasis.model.funding_spec import FundingSpec

Array = NDArray[Any]

_UNITS = {
    "floor": ("bp", "least resting premium, from the dead zone's near edge, per 8 hours"),
    "level": ("bp", "premium above the floor at the middle of the slow level, per 8 hours"),
    "skew": ("1", "slow level by its standard deviation, in logs"),
    "width": ("1", "width of the dead zone as premia see it, over that of the rule"),
    "slow_half_life": ("day", "half-life of the slow level"),
    "drift": ("bp", "one standard deviation of the drift, per 8 hours"),
    "drift_stretch": ("1", "half-life of the drift over that of the slow level"),
    "drift_half_life": ("day", "half-life of the drift"),
    "tail": ("1", "growth of fast premium and noise with its standard deviations, in logs"),
    "growth": ("1", "growth of noise with the slow level"),
    "swing": ("bp", "one standard deviation of the fast premium, per 8 hours"),
    "fast_half_life": ("day", "half-life of the fast premium"),
    "volatility_ratio": ("1", "volatility of the wild regime over the calm one"),
    "stay": ("day", "expected stay in a regime"),
    "noise": ("bp", "scale of a contract's own premium, per 8 hours"),
    "coefficient": ("bp", "resting premium per standard deviation of the covariate"),
    "memory": ("day", "half-life of the last premium in the next"),
    "fast_share": ("1", "half-life of the fast premium over that of the slow level"),
}
_UNSAMPLED = "not sampled: the Gaussian at the posterior mode stands in for the posterior"


@one_thread()
def sample_funding(
    spec: FundingSpec,
    history: xr.Dataset,
    *,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    seed: int,
    start: xr.DataTree | None = None,
    sampler: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Sample the posterior of a funding model and diagnose it.

    Parameters
    ----------
    spec, history, draws, tune, chains, seed, start, sampler, progress
        As `bayesbasis.fit_funding` takes them.

    Returns
    -------
    xarray.DataTree
        As `bayesbasis.fit_funding` gives it, without hindcasts.
    """
    at_least_one(draws=draws, tune=tune, chains=chains)
    started = time.perf_counter()
    target = funding_posterior(spec, history)
    run = {"draws": draws, "tune": tune, "chains": chains, "seed": seed, "progress": progress}
    options = {"target_accept": 0.8, "adaptation": "draw_diag"} | dict(sampler or {})
    backend = options.pop("backend", "nutpie")
    if backend not in ("laplace", "nutpie"):
        raise ValueError(f"unknown sampler backend {backend!r}; choose nutpie or laplace")
    if start is None:
        # Which rungs of a level fall on which premia is a mode of its own; fine ladders have few.
        places = starting_places(target.size, seed)
    else:
        places = _join(spec, history, earlier_mode(spec, history, start))[None]
    found, heights = modes(target, places)
    begin = gaussian_at(target, found[0])
    if backend == "nutpie":
        flat, stats = sample_nutpie(target, run, options, begin)
    else:
        flat, stats = _draw(begin, draws, chains, seed)
    tree = assemble_funding(spec, history, flat, stats, seed=seed, started=started)
    tree.attrs["modes"] = json.dumps(heights.round(2).tolist())
    tree["mode"] = xr.DataTree(_mode(spec, history, found[0]))
    return tree


def earlier_mode(spec: FundingSpec, history: xr.Dataset, start: xr.DataTree) -> dict[str, Array]:
    """Where an earlier fit had its mode; contracts that it did not know are like the market.

    Raises
    ------
    ValueError
        If the earlier fit is not of the same card, or left no mode behind.
    """
    if "mode" not in start.children or start.attrs["card"] != write_funding_card(spec):
        raise ValueError(
            f"start is a fit of {start.attrs.get('card_name')!r} that a fit of {spec.name!r} "
            "cannot start from; give one that fit_funding made of the same card"
        )
    mode = start["mode"].to_dataset()
    names = history["contract"].values.astype(str).tolist()
    place = {}
    for name, dims in funding_raw(spec).items():
        own = mode[name]
        if "contract" in dims:
            market = mode[name.replace("_contract_raw", "_raw")]
            own = own.reindex(contract=names).fillna(market)
        place[name] = own.values
    return place


def assemble_funding(
    spec: FundingSpec,
    history: xr.Dataset,
    flat: Array,
    stats: xr.Dataset,
    *,
    seed: int,
    started: float,
) -> xr.DataTree:
    """Turn raw draws, shape (chain, draw, size), into a fit: parameters, diagnosis, provenance."""
    natural = funding_parameters(spec, _split(spec, history, flat), np)
    coords = funding_coords(spec, history)
    variables = {}
    for name, dims in funding_dims(spec).items():
        base = name.removesuffix("_market").removesuffix("_between")
        units, long_name = _UNITS.get(base, ("1", name))
        attrs = {"units": units, "long_name": long_name}
        variables[name] = (("chain", "draw", *dims), natural[name], attrs)
    used = {dim for dims in funding_dims(spec).values() for dim in dims}
    posterior = xr.Dataset(
        variables,
        {"chain": np.arange(flat.shape[0]), "draw": np.arange(flat.shape[1])}
        | {dim: np.array(labels) for dim, labels in coords.items() if dim in used},
    )
    tree = xr.DataTree.from_dict(
        {"posterior": posterior, "sample_stats": stats, "constant_data": history}
    )
    tree.attrs = {
        "card": write_funding_card(spec),
        "card_name": spec.name,
        "data_hash": panel_hash(history),
        "seed": seed,
        "versions": json.dumps(versions()),
    }
    sampled = "lp" in stats
    tree.attrs["diagnosis"] = str(diagnose(tree)) if sampled else _UNSAMPLED
    tree.attrs["wall_time_s"] = time.perf_counter() - started
    return tree


def funding_posterior(spec: FundingSpec, history: xr.Dataset) -> LogPosterior:
    """Compile the posterior of a funding history, or take what was compiled for another.

    Parameters
    ----------
    spec : FundingSpec
        The model.
    history : xarray.Dataset
        From `make_funding`.
    """
    compiled = _compile(spec, _Example(history))
    arrays = funding_arrays(lay_out_funding(spec, history))
    coords = funding_coords(spec, history)
    sizes = {name: np.asarray(len(labels)) for name, labels in coords.items()}
    shapes = funding_shapes(spec, history)
    return LogPosterior(
        compiled.evaluate,
        {name: shapes[name] for name in compiled.variables},
        tuple((sizes | arrays)[name] for name in compiled.data),
    )


class _Example:
    """A history to build a graph on. All are alike: the graph does not depend on the data."""

    def __init__(self, history: xr.Dataset) -> None:
        self.history = history

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Example)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=8)
def _compile(spec: FundingSpec, example: _Example) -> Compiled:
    def graph() -> tuple[pm.Model, Any]:
        model = build_funding(spec, example.history)
        return model, model.logp(vars=model.potentials)

    return compile_once((replace(spec, name="", summary=""),), graph)


def funding_shapes(spec: FundingSpec, history: xr.Dataset) -> dict[str, tuple[int, ...]]:
    """Shape of each variable of the flat vector, in order."""
    coords = funding_coords(spec, history)
    return {
        name: tuple(len(coords[dim]) for dim in dims) for name, dims in funding_raw(spec).items()
    }


def _mode(spec: FundingSpec, history: xr.Dataset, flat: Array) -> xr.Dataset:
    """What a later fit may start from."""
    coords = funding_coords(spec, history)
    pieces = _split(spec, history, flat)
    variables = {name: (dims, pieces[name]) for name, dims in funding_raw(spec).items()}
    used = {dim for dims, _ in variables.values() for dim in dims}
    return xr.Dataset(variables, {dim: coords[dim] for dim in coords if dim in used})


def _join(spec: FundingSpec, history: xr.Dataset, pieces: Mapping[str, Array]) -> Array:
    return np.concatenate([np.ravel(pieces[name]) for name in funding_shapes(spec, history)])


def _split(spec: FundingSpec, history: xr.Dataset, flat: Array) -> dict[str, Array]:
    pieces, first = {}, 0
    for name, shape in funding_shapes(spec, history).items():
        size = int(np.prod(shape))
        pieces[name] = flat[..., first : first + size].reshape(flat.shape[:-1] + shape)
        first += size
    return pieces


def _draw(gaussian: Gaussian, draws: int, chains: int, seed: int) -> tuple[Array, xr.Dataset]:
    """Draw from the Gaussian at the mode, without statistics of a sampler."""
    normal = np.random.default_rng(seed).standard_normal((chains, draws, len(gaussian.centre)))
    coords = {"chain": np.arange(chains), "draw": np.arange(draws)}
    return gaussian.colour(normal), xr.Dataset(coords=coords)
