"""Fitting: a posterior, and what it would have said of its own past."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from os import PathLike
from typing import Any

import xarray as xr

from bayesbasis.forecast.funding_hindcast import hindcast_funding
from bayesbasis.forecast.hindcast import NothingToLookBackOn, hindcast
from bayesbasis.inference.funding import sample_funding
from bayesbasis.inference.sampling import sample
from bayesbasis.model.cards import load_card
from bayesbasis.model.funding_cards import load_funding_card
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.model.spec import Spec


def fit(
    spec: Spec | str | PathLike[str],
    panel: xr.Dataset,
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int,
    sampler: Mapping[str, Any] | None = None,
    start: xr.DataTree | None = None,
    progress: bool = True,
    hindcasts: bool = True,
) -> xr.DataTree:
    """Sample the posterior of a panel, diagnose it, and look back on the panel with it.

    Parameters
    ----------
    spec : Spec, str or path
        The model, or its card, as `load_card` takes it.
    panel : xarray.Dataset
        From `make_panel`.
    draws, tune, chains : int
        Draws kept and discarded per chain, and chains; they run in parallel.
    seed : int
        Same seed, card and data give the same draws, on any number of cores.
    sampler : mapping, optional
        ``{"backend": "nutpie"}`` by default; ``"pymc"``, ``"numpyro"`` or ``"blackjax"`` call
        `pymc.sample`, and ``"jax"`` is NumPyro. The last three run in JAX alone, on its GPU if it
        has one. Every other key goes to the sampler, for instance ``target_accept``: unless given,
        0.95, and 0.8 with a start.
    start : xarray.DataTree, optional
        An earlier fit of the same model to other quotes, such as yesterday's: chains begin in its
        posterior and on its scales, and need a fraction of the tuning; hindcasts of quotes that it
        knew are taken over. nutpie only.
    progress : bool
        Show a progress bar.
    hindcasts : bool
        Whether to look back, as `hindcast` does by default, so that `forecast` knows how wide its
        bands should be. It takes about a tenth of a second for each 30 days of the panel.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` (dims chain, draw and the parameters' own), ``sample_stats``,
        ``log_likelihood`` (one-step log densities by event), ``constant_data`` (the panel),
        ``start`` (what the next fit may start from) and ``hindcast``, unless left out or the panel
        is shorter than 60 days or has no dated contract.
        Attrs: ``card``, ``data_hash``, ``seed``, ``versions``, ``wall_time_s`` (of sampling),
        ``hindcast_s``, ``diagnosis`` and of it the worst ``r_hat`` and ``ess_bulk``, and the
        ``divergences``.

    Raises
    ------
    ValueError
        If draws, tune or chains is not positive, the backend is unknown or not installed, or there
        is a start and the backend cannot take one.
    CardError
        If there is no such card.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> prices, truth = bb.simulate_market(seed=1)
    >>> panel, audit = bb.make_panel(prices)
    >>> fit = bb.fit(bb.load_card("anchored"), panel, seed=1, progress=False)  # doctest: +SKIP
    """
    tree = sample(
        load_card(spec), panel, draws=draws, tune=tune, chains=chains, seed=seed, sampler=sampler,
        start=start, progress=progress,
    )  # fmt: skip
    look_back = partial(hindcast, earlier=_record_of(start, tree))
    return _looked_back(tree, look_back, seed) if hindcasts else tree


def fit_funding(
    spec: FundingSpec | str | PathLike[str],
    history: xr.Dataset,
    *,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    seed: int,
    start: xr.DataTree | None = None,
    sampler: Mapping[str, Any] | None = None,
    progress: bool = True,
    hindcasts: bool = True,
) -> xr.DataTree:
    """Sample the posterior of a funding history, diagnose it, and look back on it.

    Parameters
    ----------
    spec : FundingSpec, str or path
        The model, or its card, as `load_funding_card` takes it.
    history : xarray.Dataset
        From `make_funding`.
    draws, tune, chains : int
        Draws kept and discarded per chain, and chains. They begin around the highest of the modes
        that twelve climbs find, and walk in the coordinates of the posterior's curvature there.
    seed : int
        Same seed, card and data give the same draws.
    start : xarray.DataTree, optional
        An earlier fit of the same card, in rolling refits: one climb begins at its mode, and there
        are no others. Contracts that it did not know begin where the market was.
    sampler : mapping, optional
        Goes to nutpie, for instance ``{"target_accept": 0.9}``. ``{"backend": "laplace"}`` draws
        from the Gaussian at the posterior mode instead: seconds instead of minutes, for rolling
        refits; the diagnosis then says so.
    progress : bool
        Show a progress bar.
    hindcasts : bool
        Whether to look back, as `hindcast_funding` does by default, so that `forecast_funding`
        knows how far sums should spread.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior``, ``sample_stats``, ``constant_data`` (the history) and ``hindcast``,
        unless left out or the history is shorter than 60 days; and ``mode``, for a later fit to
        start from. Attrs: ``card``, ``card_name``,
        ``data_hash``, ``seed``, ``versions``, ``wall_time_s`` (of sampling), ``hindcast_s``,
        ``diagnosis`` and ``modes``: log density where each climb ended, the highest first. Chains
        do not visit a mode ten lower, and if two climbs out of twelve do not end on the highest,
        another seed may find a higher one.

    Raises
    ------
    ValueError
        If draws, tune or chains is not positive, or the start is of another card.
    CardError
        If there is no such card.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> history, audit = bb.make_funding("funding.parquet")  # doctest: +SKIP
    >>> fit = bb.fit_funding(bb.FundingSpec(), history, seed=1)  # doctest: +SKIP
    """
    tree = sample_funding(
        load_funding_card(spec), history, draws=draws, tune=tune, chains=chains, seed=seed,
        start=start, sampler=sampler, progress=progress,
    )  # fmt: skip
    return _looked_back(tree, hindcast_funding, seed) if hindcasts else tree


def _looked_back(tree: xr.DataTree, look_back: Callable[..., xr.Dataset], seed: int) -> xr.DataTree:
    """Put a fit's hindcasts beside it. Where there is no past to look back on, bands stay."""
    started = time.perf_counter()
    with suppress(NothingToLookBackOn):
        tree["hindcast"] = xr.DataTree(look_back(tree, seed=seed))
        tree.attrs["hindcast_s"] = time.perf_counter() - started
    return tree


def _record_of(start: xr.DataTree | None, fit: xr.DataTree) -> xr.Dataset | None:
    """Hindcasts of an earlier fit, if it has any and is of the same card."""
    if start is None or "hindcast" not in start.children:
        return None
    record = start["hindcast"].to_dataset()
    return record if record.attrs["card"] == fit.attrs["card"] else None
