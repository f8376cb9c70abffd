"""Fits that nobody had to wait for: random raw draws, everything else as in a real fit."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.sampling import assemble
from bayesbasis.model.spec import Spec

type Fabricate = Callable[..., xr.DataTree]


@pytest.fixture(scope="session")
def fabricate() -> Fabricate:
    """Make a fit of random draws around the centre of the priors."""

    def make(
        spec: Spec,
        panel: xr.Dataset,
        *,
        chains: int = 2,
        draws: int = 8,
        seed: int = 0,
        spread: float = 0.3,
    ) -> xr.DataTree:
        rng = np.random.default_rng(seed)
        flat = spread * rng.standard_normal((chains, draws, log_posterior(spec, panel).size))
        stats = {"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}
        return assemble(spec, panel, flat, xr.Dataset(stats), seed=seed, started=perf_counter())

    return make


@pytest.fixture(scope="session")
def spec() -> Spec:
    return bb.load_card("anchored-regimes-2")


@pytest.fixture(scope="session")
def panel() -> xr.Dataset:
    """One underlying, two contracts at a time, 300-odd quotes."""
    prices, _ = bb.simulate_market(seed=1, underlyings=["BTC"], quarters=3)
    return bb.make_panel(prices)[0]


@pytest.fixture(scope="session")
def market_panel() -> xr.Dataset:
    """Two underlyings on two venues, quoted at irregular times."""
    rng = np.random.default_rng(7)
    prices, _ = bb.simulate_market(seed=2, quarters=2)
    prices["venue"] = np.where(prices["underlying"] == "BTC", "cme", "deribit")
    return bb.make_panel(prices[rng.random(len(prices)) < 0.6])[0]


@pytest.fixture(scope="session")
def fabricated(fabricate, spec, panel) -> xr.DataTree:
    return fabricate(spec, panel)
