"""Datasets of the shapes a fit and a forecast have, made in a few lines of NumPy."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.sampling import assemble
from bayesbasis.report.desk import desk
from bayesbasis.trade.orders import Orders

ORIGIN = np.datetime64("2024-03-01T08:00", "ns")
DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")


def make_panel(
    contracts: int, underlyings: tuple[str, ...] = ("BTC",), days: int = 400
) -> xr.Dataset:
    """Daily quotes of contracts that expire every 40 days; the half-life is 10 days."""
    rng = np.random.default_rng(1)
    names, owners, expiries, rows = [], [], [], []
    for number in range(contracts):
        owner = underlyings[number % len(underlyings)]
        expiry = ORIGIN + (25 + 40 * (number // len(underlyings))) * DAY
        time = np.arange(ORIGIN - days * DAY, min(expiry, ORIGIN + 60 * DAY), DAY)
        tau = (expiry - time) / DAY / 365
        z, path = 0.0, []
        for left in tau:
            z = 0.93 * z + 0.0012 * rng.standard_t(4) * min(1.0, left * 6) * (1 + 2 * (number % 2))
            path.append(0.08 * left + z)
        names.append(f"{owner}-{np.datetime_as_string(expiry, unit='D')}-{number}")
        owners.append(owner)
        expiries.append(expiry)
        rows.append((np.full(time.size, number), time, tau, np.array(path)))
    index, time, tau, basis = (np.concatenate(column) for column in zip(*rows, strict=True))
    return xr.Dataset(
        {
            "contract_index": ("obs", index),
            "basis": ("obs", basis),
            "tau": ("obs", tau),
        },
        coords={
            "time": ("obs", time),
            "contract": names,
            "underlying": ("contract", owners),
            "expiry": ("contract", expiries),
        },
    )


def make_bands(panel: xr.Dataset, prob: tuple[float, ...] = (0.5, 0.9)) -> xr.Dataset:
    """Gaussian bands of every contract from ORIGIN, a step a day, NaN after expiry."""
    rng = np.random.default_rng(2)
    contracts = panel.sizes["contract"]
    life = ((panel["expiry"].values - ORIGIN) / DAY).astype(int)
    steps = np.arange(life.max() + 1)
    alive = steps <= life[:, None]
    time = np.where(alive, ORIGIN + steps * DAY, np.datetime64("NaT", "ns"))
    tau = np.where(alive, (life[:, None] - steps) / 365, np.nan)
    fair = 0.08 * tau
    spread = 0.006 * np.sqrt(steps / 30) * np.sqrt(tau * 12) + 0.0002
    median = fair + 0.004 * rng.normal(size=(contracts, 1)) * np.exp(-steps / 14) * tau * 12
    normal = np.array([{0.5: 0.674, 0.8: 1.282, 0.9: 1.645}[level] for level in prob])
    half = spread[..., None] * normal
    return xr.Dataset(
        {
            "interval": (
                ("contract", "step", "prob", "bound"),
                np.stack([median[..., None] - half, median[..., None] + half], axis=-1),
            ),
            "median": (("contract", "step"), median),
            "mean": (("contract", "step"), median),
            "equilibrium": (("contract", "step"), fair),
        },
        coords={
            "contract": panel["contract"].values,
            "underlying": ("contract", panel["underlying"].values),
            "expiry": ("contract", panel["expiry"].values),
            "step": steps,
            "prob": list(prob),
            "bound": ["lower", "upper"],
            "time": (("contract", "step"), time),
            "tau": (("contract", "step"), tau),
        },
        attrs={"origin": str(ORIGIN), "interval_kind": "eti", "variable": "basis"},
    )


def make_states(panel: xr.Dataset, regimes: int = 2) -> xr.Dataset:
    """Smooth random regime probabilities for each day and underlying."""
    rng = np.random.default_rng(3)
    owners = panel["underlying"].values[panel["contract_index"].values]
    events = [
        (underlying, time)
        for underlying in np.unique(owners)
        for time in np.unique(panel["time"].values[owners == underlying])
    ]
    walk = np.cumsum(rng.normal(scale=0.5, size=(1, 4, len(events), regimes)), axis=2)
    probability = np.exp(walk) / np.exp(walk).sum(axis=-1, keepdims=True)
    dims = ("chain", "draw", "event", "regime")
    return xr.Dataset(
        {"regime_filtered": (dims, probability), "regime_smoothed": (dims, probability)},
        coords={
            "regime": np.arange(1, regimes + 1),
            "event_time": ("event", np.array([time for _, time in events])),
            "event_underlying": ("event", [underlying for underlying, _ in events]),
        },
    )


def make_half_lives(underlyings: tuple[str, ...] = ("BTC",)) -> xr.Dataset:
    """Half-lives that shrink with the time that is left."""
    rng = np.random.default_rng(4)
    tau = np.linspace(1, 180, 60) / 365
    pull = rng.lognormal(0, 0.25, size=(2, 100, len(underlyings), 1))
    days = 1 / (1 / (20 * pull) + 1 / (tau * 365 * 0.6))
    return xr.Dataset(
        {"half_life": (("chain", "draw", "underlying", "tau"), days)},
        coords={"underlying": list(underlyings), "tau": tau},
    )


@dataclass(frozen=True)
class Fitted:
    """All that a report is made from."""

    panel: xr.Dataset
    bands: xr.Dataset
    states: xr.Dataset
    half_lives: xr.Dataset


@pytest.fixture(scope="session")
def make_market() -> Callable[..., Fitted]:
    def make(contracts: int, regimes: int = 2) -> Fitted:
        underlyings = ("BTC", "ETH") if contracts > 1 else ("BTC",)
        panel = make_panel(contracts, underlyings)
        return Fitted(
            panel, make_bands(panel), make_states(panel, regimes), make_half_lives(underlyings)
        )

    return make


@pytest.fixture(scope="session")
def market(make_market) -> Fitted:
    return make_market(4)


@pytest.fixture(scope="session")
def report_prices() -> pd.DataFrame:
    """One underlying, two contracts at a time."""
    return bb.simulate_market(seed=1, underlyings=["BTC"], quarters=3)[0]


@pytest.fixture(scope="session")
def report_panel(report_prices) -> xr.Dataset:
    panel, _ = bb.make_panel(report_prices)
    return bb.known_at(panel, "2022-03-10")


@pytest.fixture(scope="session")
def fit(report_panel) -> xr.DataTree:
    """A fit that nobody had to wait for: random draws around the centre of the priors."""
    spec = bb.load_card("anchored-regimes-2")
    size = log_posterior(spec, report_panel).size
    flat = 0.3 * np.random.default_rng(0).standard_normal((2, 8, size))
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 8), bool))})
    return assemble(spec, report_panel, flat, stats, seed=0, started=perf_counter())


@pytest.fixture(scope="session")
def desk_found(fit) -> dict[str, Any]:
    """All that the command line puts into a report, and a record that it does not."""
    found = desk(fit, Orders(level=0.95), draws=16, repeats=20)
    record = {
        "predicted": ("bin", np.array([0.1, 0.5, 0.9])),
        "realised": ("bin", np.array([0.2, 0.4, 0.95])),
        "count": ("bin", np.array([5, 9, 20])),
    }
    return found | {"calibration": xr.Dataset(record)}


@pytest.fixture(scope="session")
def page(fit, desk_found, tmp_path_factory) -> Path:
    return bb.write_report(tmp_path_factory.mktemp("report") / "report.html", fit=fit, **desk_found)
