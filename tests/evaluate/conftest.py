"""Fits that nobody had to wait for."""

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
    """Stand in for `bayesbasis.fit`: random draws around the priors' centre, by seed."""

    def make(
        spec: Spec,
        panel: xr.Dataset,
        *,
        draws: int = 8,
        chains: int = 2,
        seed: int = 0,
        **_: object,
    ) -> xr.DataTree:
        rng = np.random.default_rng(seed)
        flat = 0.3 * rng.standard_normal((chains, draws, log_posterior(spec, panel).size))
        stats = {"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}
        return assemble(spec, panel, flat, xr.Dataset(stats), seed=seed, started=perf_counter())

    return make


@pytest.fixture(scope="session")
def spec() -> Spec:
    return bb.load_card("anchored-regimes-2")


@pytest.fixture(scope="session")
def market() -> xr.Dataset:
    """One underlying, two contracts at a time, five quarters of days."""
    prices, _ = bb.simulate_market(seed=5, underlyings=["BTC"], quarters=5)
    return bb.make_panel(prices)[0]
