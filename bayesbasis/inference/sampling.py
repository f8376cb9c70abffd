"""Sampling: from a specification and a panel to a posterior that knows where it came from."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import xarray as xr
from numpy.typing import NDArray
from nutpie.compiled_pyfunc import from_pyfunc

import bayesbasis
from bayesbasis.data.counts import at_least_one
from bayesbasis.data.panel import panel_hash
from bayesbasis.inference.centring import gather_evidence
from bayesbasis.inference.diagnostics import diagnose
from bayesbasis.inference.modes import Gaussian, beginnings
from bayesbasis.inference.posterior import LogPosterior, log_posterior
from bayesbasis.inference.states import pointwise
from bayesbasis.inference.threads import one_thread
from bayesbasis.inference.warm import Start, labels, recall, remember
from bayesbasis.model.cards import write_card
from bayesbasis.model.graph import build
from bayesbasis.model.hierarchy import dims, parameters
from bayesbasis.model.layout import Layout, lay_out
from bayesbasis.model.levels import Evidence
from bayesbasis.model.spec import Spec

Array = NDArray[Any]

_UNITS = {
    "half_life": ("day", "half-life of the expiry-free mean reversion"),
    "anchor": ("1", "pull of expiry γ"),
    "volatility_exponent": ("1", "volatility exponent η in time to expiry"),
    "slack": ("day", "time after expiry at which the bridge is pinned ε"),
    "volatility": ("bp/day**0.5", "volatility 30 days from expiry"),
    "speed_ratio": ("1", "speed of mean reversion over that in the calmest regime"),
    "volatility_spread": ("1", "standard deviation of the logarithm of volatility"),
    "volatility_half_life": ("day", "half-life of the logarithm of volatility"),
    "stay": ("day", "expected stay in a regime"),
    "jump": ("1", "log odds of the calmer of two regimes jumped to"),
    "coefficient": ("%/year", "carry per standard deviation of the covariate"),
    "speed_coefficient": ("1", "logarithm of speed per standard deviation of the covariate"),
    "stay_coefficient": ("1", "logarithm of stays per standard deviation of the covariate"),
    "noise": ("day", "quote noise, in days of diffusion 30 days from expiry"),
    "correlation": ("1", "correlation of shocks across the curve"),
    "tail": ("1", "degrees of freedom of shocks"),
    "carry": ("%/year", "carry"),
    "level": ("%", "level above the mean spot of the panel"),
    "transient_half_life": ("day", "half-life of the transient part of spot"),
    "transient_share": ("1", "share of a move of spot that is transient"),
    "spot_half_life": ("day", "half-life of spot that futures price in"),
    "spot_volatility": ("%/year**0.5", "volatility of spot"),
    "spot_correlation": ("1", "correlation of spot with the mean shock of the curve"),
}
# Where half-lives are long, carry is hardly identified; careful steps cost little and get there.
_TARGET_ACCEPT = 0.95
# Chains that begin in the bulk, and on its scales, have no way to feel for.
_WARM_TARGET_ACCEPT = 0.8
# Shocks that a curve shares pin down differences of carry, not its level: an ellipsoid that a
# diagonal metric cannot round off.
_ADAPTATION = "low_rank"
_JAX_BACKENDS = {"jax": "numpyro", "numpyro": "numpyro", "blackjax": "blackjax"}
_KEPT_STATS = {
    "diverging": "diverging",
    "depth": "tree_depth",
    "tree_depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "reached_max_treedepth": "reached_max_treedepth",
    "energy": "energy",
    "n_steps": "n_steps",
    "step_size": "step_size",
    "mean_tree_accept": "acceptance_rate",
    "acceptance_rate": "acceptance_rate",
    "logp": "lp",
    "lp": "lp",
}


@one_thread()
def sample(
    spec: Spec,
    panel: xr.Dataset,
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int,
    sampler: Mapping[str, Any] | None = None,
    start: xr.DataTree | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Sample the posterior of a panel and diagnose it.

    Parameters
    ----------
    spec, panel, draws, tune, chains, seed, sampler, start, progress
        As `bayesbasis.fit` takes them.

    Returns
    -------
    xarray.DataTree
        As `bayesbasis.fit` gives it, without hindcasts.
    """
    at_least_one(draws=draws, tune=tune, chains=chains)
    started = time.perf_counter()
    target_accept = _TARGET_ACCEPT if start is None else _WARM_TARGET_ACCEPT
    options = {"target_accept": target_accept} | dict(sampler or {})
    backend = options.pop("backend", "nutpie")
    run = {"draws": draws, "tune": tune, "chains": chains, "seed": seed, "progress": progress}
    if start is not None and backend != "nutpie":
        raise ValueError(f"sampler backend {backend!r} takes no start; leave it out or use nutpie")
    if backend not in ("nutpie", "pymc", *_JAX_BACKENDS):
        raise ValueError(
            f"unknown sampler backend {backend!r}; choose nutpie, pymc, jax, numpyro or blackjax"
        )
    if backend in _JAX_BACKENDS:
        _check_jax(spec, backend)
        _teach_jax(_JAX_BACKENDS[backend])
    evidence = gather_evidence(spec, panel)
    if backend == "nutpie":
        warm = None if start is None else _recall(start, spec, panel)
        target = log_posterior(spec, panel, evidence)
        flat, stats = sample_nutpie(target, run, options, warm)
    else:
        flat, stats = _sample_pymc(spec, panel, evidence, backend, run, options)
    return assemble(spec, panel, flat, stats, seed=seed, started=started, evidence=evidence)


def assemble(
    spec: Spec,
    panel: xr.Dataset,
    flat: Array,
    stats: xr.Dataset,
    *,
    seed: int,
    started: float,
    evidence: Mapping[str, Evidence] | None = None,
) -> xr.DataTree:
    """Turn raw draws into a fit: parameters, one-step densities, diagnosis and provenance.

    Parameters
    ----------
    spec, panel
        What was fitted.
    flat : ndarray, shape (chain, draw, size)
        Draws of the standard normals, in the order of `LogPosterior.shapes`.
    stats : xarray.Dataset
        Sampler statistics, dims chain and draw.
    seed : int
        Seed of the run.
    started : float
        `time.perf_counter` at the start.
    evidence : mapping of Evidence, optional
        What members of populations were sampled in the light of.
    """
    layout = lay_out(spec, panel)
    if evidence is not None:
        layout = replace(layout, evidence=evidence)
    posterior = named_draws(spec, layout, log_posterior(spec, panel).split(flat))
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "sample_stats": stats,
            "log_likelihood": pointwise(spec, layout, posterior),
            "constant_data": panel,
            "start": remember(labels(spec, layout), flat),
        }
    )
    tree.attrs = {
        "card": write_card(spec),
        "card_name": spec.name,
        "data_hash": panel_hash(panel),
        "seed": seed,
        "versions": json.dumps(versions()),
    }
    diagnosis = diagnose(tree)
    tree.attrs |= {"diagnosis": str(diagnosis), **diagnosis.worst}
    tree.attrs["wall_time_s"] = time.perf_counter() - started
    return tree


def named_draws(spec: Spec, layout: Layout, raw: Mapping[str, Array]) -> xr.Dataset:
    """Parameters with names, dims and units, given draws of what is sampled.

    Parameters
    ----------
    spec, layout
        The model, and the panel as it sees it.
    raw : mapping of ndarray, shape (chain, draw, ...)
        The variables of `raw_variables`.
    """
    natural = parameters(spec, layout.levels, raw, layout.members, np, layout.evidence)
    variables, quantity = {}, spec.equilibrium.quantity
    for name, own in dims(spec, layout.levels).items():
        value = natural[name]
        # A parameter of the whole market has a group axis of length one that no dim names.
        value = value.reshape(value.shape[:2] + value.shape[value.ndim - len(own) :])
        base = name.removesuffix("_market").removesuffix("_between")
        base = quantity if base.startswith(f"{quantity}_") else base
        units, long_name = _UNITS.get(base, ("1", base))
        attrs = {"units": "1" if name.endswith("_between") else units, "long_name": long_name}
        variables[name] = (("chain", "draw", *own), value, attrs)
    chains, draws = raw["noise_raw"].shape
    coords = {"chain": np.arange(chains), "draw": np.arange(draws)}
    used = {dim for own, *_ in variables.values() for dim in own}
    coords |= {dim: np.array(labels) for dim, labels in layout.coords.items() if dim in used}
    return xr.Dataset(variables, coords)


def _recall(start: xr.DataTree, spec: Spec, panel: xr.Dataset) -> Start:
    return recall(start["start"].to_dataset(), labels(spec, lay_out(spec, panel)))


def sample_nutpie(
    target: LogPosterior,
    run: Mapping[str, Any],
    options: Mapping[str, Any],
    start: Start | Gaussian | None,
) -> tuple[Array, xr.Dataset]:
    """Run NUTS on a log density of a flat vector; draws (chain, draw, size) and statistics."""
    # The first call links the code; done here, it is not done once in every thread.
    target(np.zeros(target.size))
    initial = _initial(target, run["seed"]) if start is None else start.initial
    compiled = from_pyfunc(
        ndim=target.size,
        make_logp_fn=lambda: target if start is None else start.whiten(target),
        make_expand_fn=lambda *_: lambda flat: {"raw": flat},
        expanded_dtypes=[np.dtype("float64")],
        expanded_shapes=[(target.size,)],
        expanded_names=["raw"],
        dims={"raw": ("variable",)},
        coords={"variable": np.arange(target.size)},
        make_initial_point_fn=initial,
    )
    options = {"adaptation": _ADAPTATION} | dict(options)
    tree = nutpie.sample(
        compiled,
        draws=run["draws"],
        tune=run["tune"],
        chains=run["chains"],
        seed=run["seed"],
        progress_bar=run["progress"],
        save_warmup=False,
        **options,
    )
    flat = tree["posterior"]["raw"].values
    stats = _statistics(tree["sample_stats"].to_dataset())
    return (flat, stats) if start is None else (start.colour(flat), stats)


def _initial(target: LogPosterior, seed: int) -> Callable[[int], Array]:
    """Give every chain, by its own seed, a place to begin."""
    places = beginnings(target, seed)
    return lambda own: places[own % len(places)]


def _sample_pymc(
    spec: Spec,
    panel: xr.Dataset,
    evidence: Mapping[str, Evidence],
    backend: str,
    run: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[Array, xr.Dataset]:
    with build(spec, panel, evidence) as model:
        tree = pm.sample(
            draws=run["draws"],
            tune=run["tune"],
            chains=run["chains"],
            random_seed=run["seed"],
            progressbar=run["progress"],
            nuts_sampler=_JAX_BACKENDS.get(backend, backend),
            compute_convergence_checks=False,
            **options,
        )
    posterior = tree["posterior"]
    raw = [posterior[x.name].values for x in model.free_RVs]
    flat = np.concatenate([x.reshape(*x.shape[:2], -1) for x in raw], axis=-1)
    return flat, _statistics(tree["sample_stats"].to_dataset())


def _check_jax(spec: Spec, backend: str) -> None:
    """Refuse what JAX has no filter for."""
    if spec.spot is not None:
        raise ValueError(
            f"sampler backend {backend!r} cannot estimate spot together with the basis; "
            "use nutpie or pymc, or a card without [spot]"
        )
    for part, value in (("regimes.speed", spec.regimes.speed), ("shocks.noise", spec.shocks.noise)):
        if value == "own":
            raise ValueError(
                f"sampler backend {backend!r} has no filter for {part} = 'own'; use nutpie or pymc"
            )


def _teach_jax(backend: str) -> None:
    """Register the filter with JAX, which is no dependency of this package."""
    if find_spec("jax") is None or find_spec(backend) is None:
        raise ValueError(f"sampler backend {backend!r} needs JAX: pip install jax {backend}")
    import_module("bayesbasis.model.jax_dispatch")


def _statistics(stats: xr.Dataset) -> xr.Dataset:
    """Keep the statistics that diagnosis reads, under ArviZ's names."""
    kept = {old: new for old, new in _KEPT_STATS.items() if old in stats}
    return stats[list(kept)].rename({old: new for old, new in kept.items() if old != new})


def versions() -> dict[str, str]:
    """Versions of this package and of those a fit depends on."""
    packages = ("pymc", "pytensor", "nutpie", "numpy", "numba", "xarray", "arviz")
    return {"bayesbasis": bayesbasis.__version__} | {name: version(name) for name in packages}
