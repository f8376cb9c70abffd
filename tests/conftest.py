"""What every test may ask for."""

import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.sampling import assemble

mpl.use("agg")

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Path of a file of real prices, or a skip where there are none.

    They lie in ``$BAYESBASIS_DATA``, or in ``shared/data`` beside the repository.
    """
    folder = Path(os.environ.get("BAYESBASIS_DATA", BESIDE))

    def path(name: str) -> Path:
        if not (folder / name).is_file():
            pytest.skip(f"no real prices: {name} is not in {folder} (set BAYESBASIS_DATA)")
        return folder / name

    return path


@pytest.fixture(scope="session")
def fabricate() -> Callable[..., xr.DataTree]:
    """Stand in for `bayesbasis.fit`: random raw draws, all else as in a real fit.

    Draws lie around the centre of the priors, by `spread`; how to sample is ignored.
    """

    def make(spec, panel, *, chains=2, draws=8, seed=0, spread=0.3, **_):
        rng = np.random.default_rng(seed)
        flat = spread * rng.standard_normal((chains, draws, log_posterior(spec, panel).size))
        stats = {"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}
        return assemble(spec, panel, flat, xr.Dataset(stats), seed=seed, started=perf_counter())

    return make
