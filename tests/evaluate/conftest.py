"""Fits that nobody had to wait for."""

import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.model.spec import Spec


@pytest.fixture(scope="session")
def spec() -> Spec:
    return bb.load_card("anchored-regimes-2")


@pytest.fixture(scope="session")
def market() -> xr.Dataset:
    """One underlying, two contracts at a time, five quarters of days."""
    prices, _ = bb.simulate_market(seed=5, underlyings=["BTC"], quarters=5)
    return bb.make_panel(prices)[0]
