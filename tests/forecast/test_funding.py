import time
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayesbasis.data.exchanges import load_exchange
from bayesbasis.data.funding import make_funding
from bayesbasis.data.funding_rules import funding_from_premium
from bayesbasis.data.panel import known_at
from bayesbasis.forecast.funding import forecast_funding
from bayesbasis.inference.funding import assemble_funding, funding_shapes
from bayesbasis.inference.storage import load, save
from bayesbasis.model.funding_market import simulate_funding
from bayesbasis.model.funding_spec import FundingSpec

SPEC = FundingSpec(levels=3, swings=2)


def fabricate(history, spec=SPEC, *, chains=2, draws=50, seed=1):
    """Make a fit without sampling: draws near the middle of the priors."""
    size = sum(int(np.prod(shape)) for shape in funding_shapes(spec, history).values())
    flat = 0.1 * np.random.default_rng(seed).standard_normal((chains, draws, size))
    stats = xr.Dataset(coords={"chain": np.arange(chains), "draw": np.arange(draws)})
    return assemble_funding(spec, history, flat, stats, seed=seed, started=time.perf_counter())


@pytest.fixture(scope="module")
def history():
    venues = ("binance", "bybit", "hyperliquid")
    return make_funding(simulate_funding(seed=1, days=20, venues=venues, underlyings=["BTC"]))[0]


@pytest.fixture(scope="module")
def fit(history):
    return fabricate(history)


@pytest.fixture(scope="module")
def paths(fit):
    return forecast_funding(fit, "3D", seed=1)


def test_every_settlement_within_the_horizon_is_there(paths, history):
    last = history["time"].values.max()
    count = np.isfinite(paths["funding"].isel(chain=0, draw=0)).sum("step")
    assert count.to_series().to_dict() == {
        "binance:BTC-PERP": 9, "bybit:BTC-PERP": 9, "hyperliquid:BTC-PERP": 72,
    }  # fmt: skip
    times = paths["time"].values
    seen = ~np.isnat(times)
    assert (times[seen] > last - np.timedelta64(8, "h")).all()
    assert (times[seen] <= last + np.timedelta64(3, "D")).all()
    np.testing.assert_array_equal(seen, np.isfinite(paths["funding"].values[0, 0]))


def test_funding_is_what_the_premium_pays(paths):
    for i, venue in enumerate(paths["venue"].values):
        rule = load_exchange(venue).funding_rule("BTC", np.datetime64("2024-01-21"))
        one = paths.isel(contract=i)
        expected = funding_from_premium(one["premium"].values, rule)
        np.testing.assert_allclose(one["funding"].values, expected, atol=1e-15)


def test_the_same_seed_gives_the_same_paths(fit, paths):
    xr.testing.assert_identical(forecast_funding(fit, "3D", seed=1), paths)
    other = forecast_funding(fit, "3D", seed=2)
    assert not np.array_equal(other["premium"].values, paths["premium"].values, equal_nan=True)


def test_what_settled_after_the_origin_is_not_used(history, fit):
    origin = "2024-01-15T00:00Z"
    known = forecast_funding(fit, "3D", seed=1, origin=origin, history=known_at(history, origin))
    whole = forecast_funding(fit, "3D", seed=1, origin=origin)
    xr.testing.assert_equal(known, whole)
    assert whole["time"].values[0, 0] == np.datetime64("2024-01-15T08:00")


def test_a_fit_that_was_saved_forecasts_the_same(fit, paths, tmp_path):
    again = load(save(fit, tmp_path / "fit.nc"))
    assert again.attrs["card"] == fit.attrs["card"]
    xr.testing.assert_equal(forecast_funding(again, "3D", seed=1), paths)


def test_shared_chains_move_venues_together(history):
    def likeness(shared_by):
        spec = FundingSpec(levels=5, swings=2, shared_by=shared_by)
        paths = forecast_funding(fabricate(history, spec, draws=400), "10D", seed=1)
        total = paths["funding"].sum("step").stack(sample=("chain", "draw")).values
        return np.corrcoef(total[0], total[1])[0, 1]

    assert likeness("underlying") > likeness("contract") + 0.2


def test_fewer_draws_and_contracts_on_request(fit):
    few = forecast_funding(fit, "1D", seed=1, draws=10, contracts=["bybit:BTC-PERP"])
    assert dict(few.sizes) == {"chain": 2, "draw": 5, "contract": 1, "step": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": "-1D"}, "give a positive time"),
        ({"horizon": "1min"}, "no contract settles within 1min"),
        ({"contracts": ["okx"]}, "okx cannot be forecast from 2024-01-21.*live there: binance"),
    ],
)
def test_what_cannot_be_forecast_is_named(fit, change, message):
    with pytest.raises(ValueError, match=message):
        forecast_funding(fit, **{"seed": 1} | change)


def test_premia_follow_the_last_value_of_a_covariate(history):
    spec = replace(SPEC, covariates=("carry",))
    column = np.sin(np.arange(history.sizes["obs"]))
    known = history.assign(carry=("obs", column))
    fit = fabricate(known, spec, draws=200)
    fit["posterior"]["coefficient"][:] = 2.0
    # Chains that could explain the last premium instead, and memory of funding that the dead zone
    # hides, are nearly nothing.
    for name in ("level", "swing", "memory"):
        fit["posterior"][name][:] = 1e-3
    ends = np.append(np.diff(history["contract_index"].values) != 0, True)
    moved = known.assign(carry=("obs", column + 3.0 * column.std() * ends))
    low, high = (forecast_funding(fit, "5D", seed=1, history=x)["premium"] for x in (known, moved))
    np.testing.assert_allclose(1e4 * (high - low).mean(), 2.0 * 3.0, rtol=0.01)


def test_a_fit_from_before_there_were_covariates_forecasts_the_same(fit, paths):
    card = [
        line
        for line in fit.attrs["card"].splitlines()
        if not line.startswith(("covariates =", "coefficient ="))
    ]
    assert len(card) == len(fit.attrs["card"].splitlines()) - 2
    old = fit.copy()
    old.attrs = fit.attrs | {"card": "\n".join(card)}
    assert "coefficient" not in old["posterior"]
    again = forecast_funding(old, "3D", seed=1)
    xr.testing.assert_equal(again, paths)
