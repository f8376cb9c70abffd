"""Fits that nobody had to wait for, and paths that no model made."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.model.spec import Spec
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks


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


@pytest.fixture(scope="session")
def assert_says_the_same() -> Callable[..., None]:
    """Compare a fit and its paths with those of a model that is the same in other words."""

    def close(one: xr.Dataset, other: xr.Dataset) -> None:
        for name in other.data_vars:
            if np.issubdtype(other[name].dtype, np.number):
                np.testing.assert_allclose(
                    one[name].values, other[name].values, rtol=2e-6, atol=1e-12, err_msg=name
                )

    def check(
        one: tuple[xr.DataTree, xr.Dataset], other: tuple[xr.DataTree, xr.Dataset], origin: str
    ) -> None:
        (fit, paths), (same, plain) = one, other
        assert np.isfinite(plain["spot"]).any()
        close(paths, plain)
        close(bb.convergence(paths), bb.convergence(plain))
        close(bb.mispricing(fit, origin), bb.mispricing(same, origin))
        close(bb.filter_states(fit), bb.filter_states(same))

    return check
