"""Fits that nobody had to wait for, and paths that no model made."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.sampling import assemble
from bayesbasis.model.spec import Spec
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks

type Fabricate = Callable[..., xr.DataTree]


@pytest.fixture(scope="session")
def fabricate() -> Fabricate:
    """Make a fit of random draws around the priors' centre; `spread` 0 puts all there."""

    def make(
        spec: Spec,
        panel: xr.Dataset,
        *,
        chains: int = 2,
        draws: int = 8,
        spread: float = 0.3,
    ) -> xr.DataTree:
        flat = np.random.default_rng(0).standard_normal(
            (chains, draws, log_posterior(spec, panel).size)
        )
        stats = {"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}
        return assemble(
            spec, panel, spread * flat, xr.Dataset(stats), seed=0, started=perf_counter()
        )

    return make


@pytest.fixture(scope="session")
def spec() -> Spec:
    return bb.load_card("anchored-regimes-2")


@pytest.fixture(scope="session")
def gaussian() -> Spec:
    """One Gaussian regime: everything about it has a closed form."""
    card = bb.load_card("anchored")
    return replace(card, regimes=Regimes(count=1), shocks=Shocks("gaussian"))


@pytest.fixture(scope="session")
def prices() -> pd.DataFrame:
    """Two underlyings, of each two contracts at a time, daily to 8 July 2022."""
    prices, _ = bb.simulate_market(seed=3, quarters=4)
    return prices[prices["time"] <= "2022-07-08"]


@pytest.fixture(scope="session")
def panel(prices) -> xr.Dataset:
    return bb.make_panel(prices)[0]


@pytest.fixture(scope="session")
def one(prices) -> xr.Dataset:
    """BTC alone."""
    return bb.make_panel(prices[prices["underlying"] == "BTC"])[0]


@pytest.fixture(scope="session")
def fabricated(fabricate, spec, panel) -> xr.DataTree:
    return fabricate(spec, panel)


@pytest.fixture(scope="session")
def fixed(fabricate, gaussian, one) -> xr.DataTree:
    """4,000 draws that are all the same."""
    return fabricate(gaussian, one, draws=2000, spread=0.0)
