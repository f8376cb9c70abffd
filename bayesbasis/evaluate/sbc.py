"""Simulation-based calibration: the fit must find what the prior drew.

Parameters are drawn from the prior of a card and quotes from the model given them; the posterior
given those quotes must then hold each parameter at every probability as often as it says. A rank is
how many posterior draws lie below the truth, and ranks are uniform if simulation, likelihood and
sampler are all of one model.

References
----------
Talts et al. (2018), arXiv 1804.06788; Modrák et al. (2023), doi 10.1214/23-BA1404, who add the
likelihood itself to what is ranked.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.inference.diagnostics import diagnose
from bayesbasis.inference.draws import filter_parameters, log_units, natural_draws
from bayesbasis.inference.prior import prior_draws
from bayesbasis.inference.sampling import sample
from bayesbasis.model.cards import write_card
from bayesbasis.model.covariates import with_stand_ins
from bayesbasis.model.hierarchy import spot_inputs
from bayesbasis.model.layout import Layout, lay_out
from bayesbasis.model.offsets import units
from bayesbasis.model.spec import Spec
from bayesbasis.process.joint import Returns, joint_sweep
from bayesbasis.process.paced import plain, run_filter
from bayesbasis.process.replication import replicate_with_spot

Array = NDArray[Any]

_YEAR = np.timedelta64(365, "D")
LIKELIHOOD = "log likelihood"
"""Name under which the likelihood of the data is ranked."""


@dataclass(frozen=True)
class Effort:
    """How large the markets are and how long each is sampled.

    Parameters
    ----------
    quarters : int
        Length of the market; two contracts are live at any time.
    share : float
        Share of days that are quoted, at random.
    draws, tune, chains : int
        Of every fit, at first.
    target_accept : float
        Of the sampler, at first.
    ranked : int
        Posterior draws that the truth is ranked among, spread evenly over the chains.
    r_hat : float
        A fit with an R-hat above this, or fewer effective draws than are ranked, has not mixed, and
        is done again.
    doublings : int
        How often at most a fit is done again: each time with twice the draws and twice the tuning,
        and half as far from accepting every step.

    Notes
    -----
    What has not mixed after the last doubling is ranked like the rest, and counted: markets are
    hard to sample because of what was drawn for them, so that leaving them out would tilt ranks.
    """

    quarters: int = 4
    share: float = 0.3
    draws: int = 150
    tune: int = 250
    chains: int = 2
    target_accept: float = 0.9
    ranked: int = 31
    r_hat: float = 1.05
    doublings: int = 2

    def at(self, doubling: int) -> dict[str, Any]:
        """Options of the fit that is done after so many doublings."""
        longer = 2**doubling
        return {
            "draws": self.draws * longer,
            "tune": self.tune * longer,
            "chains": self.chains,
            "sampler": {"target_accept": 1.0 - (1.0 - self.target_accept) / longer},
        }


def small_market(effort: Effort = Effort()) -> xr.Dataset:
    """Panel of one underlying, quoted on random days: what the replications are laid out on."""
    prices, _ = simulate_market(seed=1, underlyings=["BTC"], quarters=effort.quarters)
    kept = np.random.default_rng(1).random(len(prices)) < effort.share
    return make_panel(prices[kept])[0]


def replication(spec: Spec, panel: xr.Dataset, seed: Any) -> tuple[xr.Dataset, dict[str, Array]]:
    """Draw parameters from the prior, and the quotes of a panel given them.

    Parameters
    ----------
    spec : Spec
        The model.
    panel : xarray.Dataset
        Says who is quoted when.
    seed : int or sequence of int
        Seed of the replication.

    Returns
    -------
    panel : xarray.Dataset
        The same with other prices.
    truth : dict of ndarray
        Every quantity that is ranked, flat.
    """
    rng, panel = np.random.default_rng(seed), with_stand_ins(spec, panel)
    prior = prior_draws(spec, panel, draws=1, seed=int(rng.integers(2**32)))
    return quoted(spec, panel, prior, rng)


def quoted(
    spec: Spec, panel: xr.Dataset, prior: xr.Dataset, rng: Generator
) -> tuple[xr.Dataset, dict[str, Array]]:
    """Draw the quotes of a panel given one draw of the parameters; see `replication`."""
    layout = lay_out(spec, panel)
    # Without a basis, deviations are fair values with the sign reversed.
    bare, natural = replace(layout, basis=np.zeros_like(layout.basis)), natural_draws(spec, prior)
    (p,) = filter_parameters(spec, bare, natural)
    x = None
    if layout.spot_move is not None:
        x = Returns(layout.spot_move, **{n: value[0] for n, value in spot_inputs(natural).items()})
    deviation, move = replicate_with_spot(layout.schedule, p, x, rng)
    if x is not None:
        x, panel = x._replace(move=move), _with_moves(panel, layout, move)
        bare = replace(lay_out(spec, panel), basis=bare.basis)
        (p,) = filter_parameters(spec, bare, natural)
    seen = layout.order >= 0
    basis = np.empty(panel.sizes["obs"])
    size = units(spec, natural, layout.cells, np).size[0, layout.quote_cell]
    basis[layout.order[seen]] = (size * (deviation - p.deviation))[seen]
    s, q = layout.schedule, p._replace(deviation=deviation)
    value = run_filter(s, q).value if x is None else joint_sweep(s, plain(q), x).value
    value -= log_units(spec, layout, natural).sum()
    futures = panel["spot"] * np.exp(basis)
    drawn = panel.assign(
        basis=panel["basis"].copy(data=basis), futures=panel["futures"].copy(data=futures)
    )
    truth = {name: x[:, 0] for name, x in _flat(prior).items()}
    return drawn, truth | {LIKELIHOOD: np.array([value])}


def _with_moves(panel: xr.Dataset, layout: Layout, move: Array) -> xr.Dataset:
    """Give a panel the spot that moves lead to from where it begins."""
    event = np.repeat(
        np.arange(len(move)), layout.schedule.event_stop - layout.schedule.event_start
    )
    log_spot = np.empty(len(move))
    order = layout.order[layout.order >= 0]
    seen = panel["spot"].values[order][np.unique(event, return_index=True)[1]]
    for u in range(len(layout.underlyings)):
        own = np.flatnonzero(layout.event_underlying == u)
        own = own[np.argsort(layout.event_time[own], kind="stable")]
        years = np.diff(layout.event_time[own], prepend=layout.event_time[own[:1]]) / _YEAR
        step = np.where(np.isfinite(move[own]), move[own], 0.0) * np.sqrt(years)
        log_spot[own] = np.log(seen[own[0]]) + np.cumsum(step)
    spot = np.empty(panel.sizes["obs"])
    spot[order] = np.exp(log_spot)[event]
    return panel.assign(spot=panel["spot"].copy(data=spot))


def ranks_of(tree: xr.DataTree, truth: Mapping[str, Array], ranked: int) -> dict[str, int]:
    """Rank the truth among draws of a fit, spread evenly over it."""
    posterior = tree["posterior"].to_dataset()
    # Of basis and, where it is part of the model, of spot.
    density = tree["log_likelihood"].to_dataset().to_dataarray()
    likelihood = density.sum(["variable", "event"]).values.reshape(1, -1)
    quantities = _flat(posterior) | {LIKELIHOOD: likelihood}
    total = likelihood.shape[1]
    if total < ranked:
        raise ValueError(f"a fit has {total} draws; ranks among {ranked} need at least as many")
    chosen = np.linspace(0, total - 1, ranked).round().astype(int)
    ranks = {}
    for name, values in quantities.items():
        for i, row in enumerate(values):
            label = f"{name}[{i + 1}]" if len(values) > 1 else name
            ranks[label] = int((row[chosen] < truth[name][i]).sum())
    return ranks


def calibrate(
    spec: Spec, folder: Path, replications: int, *, seed: int = 1, effort: Effort = Effort()
) -> Iterator[dict[str, Any]]:
    """Run replications that a folder does not hold yet, and yield all of them.

    Each is a file of its own, written whole or not at all, so a run that was cut off goes on where
    it was; runs of another card, seed or effort live beside it.

    Parameters
    ----------
    spec : Spec
        The model.
    folder : Path
        Where results are kept.
    replications : int
        How many.
    seed : int
        Seed of the run.
    effort : Effort
        Size of markets and fits.

    Yields
    ------
    dict
        ``ranks`` by quantity, ``mixed``, ``doublings``, ``divergences``, ``min_ess``,
        ``max_r_hat`` and ``seconds``.
    """
    place = folder / run_name(spec, seed, effort)
    place.mkdir(parents=True, exist_ok=True)
    panel = small_market(effort)
    for number in range(replications):
        file = place / f"{number:05d}.json"
        if not file.is_file():
            _write(file, _replicate(spec, panel, [seed, number], effort))
        yield json.loads(file.read_text("utf-8"))


def has_mixed(table: pd.DataFrame, effort: Effort) -> bool:
    """Say whether a fit's chains agree, and hold as many effective draws as are ranked.

    Of a fit that cannot be judged, such as one that never moved, the answer is no.
    """
    r_hat, ess = table["r_hat"].to_numpy(), table["ess_bulk"].to_numpy()
    return bool((r_hat <= effort.r_hat).all() and (ess >= effort.ranked).all())


def gather(results: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """Ranks of every quantity over all replications."""
    return {name: np.array([one["ranks"][name] for one in results]) for name in results[0]["ranks"]}


def run_name(spec: Spec, seed: int, effort: Effort) -> str:
    """Name of the folder of a run: the card's, and a hash of all that its results depend on."""
    card = write_card(replace(spec, name="", summary=""))
    text = json.dumps([card, seed, asdict(effort)])
    return f"{spec.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _replicate(spec: Spec, panel: xr.Dataset, seed: list[int], effort: Effort) -> dict[str, Any]:
    started = perf_counter()
    drawn, truth = replication(spec, panel, seed)
    for doubling in range(effort.doublings + 1):
        tree = sample(
            spec,
            drawn,
            **effort.at(doubling),
            seed=int(np.random.SeedSequence([*seed, doubling]).generate_state(1)[0]),
            progress=False,
        )
        table = diagnose(tree).table
        if is_mixed := has_mixed(table, effort):
            break
    return {
        "seed": seed,
        "ranks": ranks_of(tree, truth, effort.ranked),
        "mixed": is_mixed,
        "doublings": doubling,
        "divergences": int(tree["sample_stats"]["diverging"].sum()),
        "min_ess": float(table["ess_bulk"].min()),
        "max_r_hat": float(table["r_hat"].max()),
        "seconds": perf_counter() - started,
    }


def _flat(draws: xr.Dataset) -> dict[str, Array]:
    """Every element of every parameter, shape (element, draw)."""
    stacked = {
        str(name): x.transpose(..., "chain", "draw").values for name, x in draws.data_vars.items()
    }
    return {name: x.reshape(-1, x.shape[-2] * x.shape[-1]) for name, x in stacked.items()}


def _write(file: Path, result: Mapping[str, Any]) -> None:
    draft = file.with_name(f".{uuid4().hex}")
    draft.write_text(json.dumps(result), encoding="utf-8")
    draft.replace(file)
