"""What a model says of convergence before it has seen a quote."""

from collections.abc import Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.data.panel import countdown, known_at, panel_hash
from bayesbasis.forecast.calendar import grid
from bayesbasis.forecast.intervals import bands
from bayesbasis.forecast.origin import Origin, path_groups
from bayesbasis.forecast.paths import end_of, live_contracts, origin_of
from bayesbasis.forecast.simulated import simulate_paths
from bayesbasis.inference.draws import natural_draws
from bayesbasis.inference.prior import prior_draws
from bayesbasis.model.cards import load_card, write_card
from bayesbasis.model.hierarchy import filter_inputs
from bayesbasis.model.layout import lay_out
from bayesbasis.model.offsets import units
from bayesbasis.model.spec import Spec
from bayesbasis.process.filter import SETTLED
from bayesbasis.process.regimes import stationary

Array = NDArray[Any]


def prior_bands(
    spec: Spec | str | PathLike[str],
    panel: xr.Dataset,
    origin: str | datetime | np.datetime64 | None = None,
    contracts: Sequence[str] | None = None,
    horizon: str | np.timedelta64 | None = None,
    *,
    seed: int,
    prob: Sequence[float] = (0.5, 0.9),
    kind: Literal["eti", "hdi"] = "eti",
    variable: Literal["basis", "deviation"] = "basis",
    draws: int = 1000,
) -> xr.Dataset:
    """Prior predictive bands of live contracts: where the card alone puts the basis.

    Parameters are drawn from the priors, and every contract comes from fair value long before; no
    price is read. Beside the `bands` of a fit at the same origin they show what quotes have taught.

    Parameters
    ----------
    spec : Spec, str or path
        The model, or its card, as `load_card` takes it.
    panel : xarray.Dataset
        From `make_panel`: which contracts there are, and when they are quoted.
    origin, contracts, horizon
        As in `forecast`.
    seed : int
        Seed of the draws.
    prob, kind, variable
        As in `bands`.
    draws : int
        Draws of the parameters; one path each.

    Returns
    -------
    xarray.Dataset
        As `bands`.

    Raises
    ------
    ValueError
        If no contract is live at the origin, or a named one is not.
    CardError
        If there is no such card.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> prices, truth = bb.simulate_market(seed=1)
    >>> panel, audit = bb.make_panel(prices)
    >>> bands = bb.prior_bands(bb.load_card("anchored"), panel, "2022-12-01", seed=1, draws=50)
    >>> bands["interval"].dims
    ('contract', 'step', 'prob', 'bound')
    """
    spec, start = load_card(spec), origin_of(panel, origin)
    known = known_at(panel, start)
    live = live_contracts(known, start, contracts)
    prior, rng = prior_draws(spec, known, draws=draws, seed=seed), np.random.default_rng([seed, 1])
    times = grid(known, live, start, end_of(known, live, start, horizon))
    state = _before_any_quote(spec, known, prior, start, rng)
    paths = simulate_paths(spec, known, live, state, times, prior, rng).assign_attrs(
        origin=str(start),
        card=write_card(spec),
        card_name=spec.name,
        data_hash=panel_hash(panel),
        seed=seed,
    )
    return bands(paths, prob, kind, variable=variable)


def _before_any_quote(
    spec: Spec, known: xr.Dataset, prior: xr.Dataset, start: np.datetime64, rng: Generator
) -> Origin:
    """States that no quote has told anything of: at fair value, `SETTLED` years before."""
    layout, natural = lay_out(spec, known), natural_draws(spec, prior)
    inputs = filter_inputs(spec, natural, np)
    groups = path_groups(spec, layout)
    regime = np.empty((len(inputs["noise"]), len(groups)), np.int64)
    for path, group in enumerate(groups):
        rates = np.ascontiguousarray(inputs["rates"][:, group])
        cumulative = np.cumsum([stationary(own) for own in rates], axis=-1)
        regime[:, path] = (rng.random(len(rates))[:, None] > cumulative[:, :-1]).sum(-1)
    unseen = np.zeros((len(regime), known.sizes["contract"]))
    owner = layout.contract_underlying if layout.levels.underlyings else 0
    return Origin(
        layout=layout,
        natural=natural,
        level=unseen,
        spread=unseen + np.atleast_2d(inputs["noise"][:, owner].T).T,
        tau=countdown(known["expiry"].values, start) + SETTLED,
        basis=np.full(known.sizes["contract"], np.nan),
        fair=unseen,
        regime=regime,
        units=units(spec, natural, layout.cells, np),
    )
