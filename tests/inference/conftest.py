"""Fits that nobody had to wait for: random raw draws, everything else as in a real fit."""

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.model.spec import Spec


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
