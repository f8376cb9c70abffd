"""Panels and points that every measurement shares, and the table it goes into."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray

import bayesbasis as bb
from bayesbasis.inference.posterior import LogPosterior, log_posterior
from bayesbasis.model.spec import Spec

type Add = Callable[[str, str, str], None]
type Run = Callable[..., list[float]]


@pytest.fixture(scope="session")
def row() -> Iterator[Add]:
    """Add a row to the table, which is printed at the end: run pytest with ``-s``."""
    rows: list[tuple[str, str, str]] = []
    yield lambda what, value, note="": rows.append((what, value, note))
    if rows:
        width = [max(map(len, column)) for column in zip(*rows, strict=True)]
        print("\n")
        for what, value, note in rows:
            print(f"{what:<{width[0]}}  {value:>{width[1]}}  {note}".rstrip())


@pytest.fixture(scope="session")
def spec() -> Spec:
    return bb.load_card("anchored-regimes-2")


@pytest.fixture(scope="session")
def panel() -> xr.Dataset:
    """8,000 quotes on 2,000 days: eight contracts, each listed 1,000 days, staggered."""
    prices, _ = bb.simulate_market(seed=1, underlyings=["BTC"], quarters=22, listed_days=1000)
    return _panel(_staggered(prices, contracts=8, days=1000))


@pytest.fixture(scope="session")
def small_panel() -> xr.Dataset:
    """Quotes like those of the real BTC panel: the front quarter alone, day by day."""
    prices, _ = bb.simulate_market(seed=2, underlyings=["BTC"], quarters=13, listed_days=90)
    return _panel(prices)


@pytest.fixture(scope="session")
def target(spec: Spec, panel: xr.Dataset) -> LogPosterior:
    return log_posterior(spec, panel)


@pytest.fixture(scope="session")
def point(target: LogPosterior) -> NDArray[np.float64]:
    return 0.3 * np.random.default_rng(3).standard_normal(target.size)


@pytest.fixture(scope="session")
def in_a_process() -> Run:
    """Run code in a fresh interpreter, with caches of its own, and return the numbers it prints."""

    def run(code: str, caches: Path, *arguments: str, **environment: str) -> list[float]:
        flags = {
            "NUMBA_CACHE_DIR": str(caches / "numba"),
            "PYTENSOR_FLAGS": f"base_compiledir={caches / 'pytensor'}",
            "PYTHONPATH": os.pathsep.join([str(Path(bb.__file__).parents[1]), *sys.path]),
        }
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | flags | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [float(number) for number in done.stdout.split()]

    return run


def _staggered(prices: pd.DataFrame, *, contracts: int, days: int) -> pd.DataFrame:
    listed = prices.groupby("contract", sort=False).size()
    full = listed.index[listed == days]
    chosen = full[np.linspace(0, len(full) - 1, contracts).round().astype(int)]
    return prices[prices["contract"].isin(chosen)]


def _panel(prices: pd.DataFrame) -> xr.Dataset:
    panel, audit = bb.make_panel(prices)
    assert audit.loc[audit["action"] == "dropped", "rows"].sum() == 0
    return panel
