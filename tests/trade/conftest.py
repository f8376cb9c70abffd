"""Paths with a spot that no model made, in a few lines of NumPy."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

STEPS = 31
ORIGIN = np.datetime64("2024-03-01T08:00", "ns")
DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="session")
def make_paths() -> Callable[..., xr.Dataset]:
    """Two contracts of one coin, of 20 and 30 days; spot shares its shocks with the basis."""

    def make(draws: int = 500, seed: int = 0, chains: int = 2) -> xr.Dataset:
        rng = np.random.default_rng(seed)
        shape = (chains, draws, 2, STEPS)
        days = np.array([20.0, 30.0])[:, None] - np.arange(STEPS)
        ended = days < 0
        tau = np.where(ended, np.nan, days / 365)
        regime = np.repeat(rng.integers(1, 3, (chains, draws, 1, 1)), 2, axis=2)
        regime = np.broadcast_to(regime, shape).astype(np.int8)
        shock = rng.standard_normal((chains, draws, 1, STEPS)) * regime[:, :, :1]
        own = rng.standard_normal(shape)
        z = np.zeros(shape)
        z[..., 0] = [0.004, -0.002]
        for t in range(1, STEPS):
            z[..., t] = 0.9 * z[..., t - 1] + 0.0008 * (0.6 * shock[..., t] + 0.8 * own[..., t])
        carry = 0.08 + 0.01 * rng.standard_normal(shape[:3])
        moves = 0.02 * (0.3 * shock + 0.95 * rng.standard_normal(shock.shape))
        spot = 40_000 * np.exp(np.cumsum(np.where(np.arange(STEPS) == 0, 0.0, moves), axis=-1))
        left = np.where(ended, 0.0, tau)
        basis = carry[..., None] * left + z * (left > 0)
        dims = ("chain", "draw", "contract", "step")
        time = np.where(ended, np.datetime64("NaT", "ns"), ORIGIN + np.arange(STEPS) * DAY)
        values = {
            "basis": basis,
            "deviation": z * (left > 0),
            "spot": np.broadcast_to(spot, shape),
            "spot_scale": np.broadcast_to(np.where(np.arange(STEPS) == 0, 0.0, 0.02), shape),
        }
        variables = {name: (dims, np.where(ended, np.nan, v)) for name, v in values.items()}
        variables["regime"] = (dims, np.where(ended, -1, regime))
        variables["carry"] = (dims[:3], carry)
        variables["tail"] = (dims[:3], np.full(shape[:3], np.inf))
        return xr.Dataset(
            variables,
            {
                "chain": np.arange(chains),
                "draw": np.arange(draws),
                "contract": ["BTC-A", "BTC-B"],
                "underlying": ("contract", ["BTC", "BTC"]),
                "step": np.arange(STEPS),
                "time": (("contract", "step"), time),
                "tau": (("contract", "step"), tau),
            },
            {"origin": str(ORIGIN), "seed": seed, "card": "", "card_name": "c", "data_hash": "h"},
        )

    return make


@pytest.fixture(scope="session")
def paths(make_paths) -> xr.Dataset:
    return make_paths()
