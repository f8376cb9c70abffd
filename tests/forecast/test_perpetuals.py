"""Facts about forecasts of perpetuals: a horizon, no date, and bands that stop widening."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesbasis as bb
from bayesbasis.evaluate.baselines import BASELINES, forecast_baseline
from bayesbasis.process.equilibria import PREMIUM_SPAN
from bayesbasis.process.laws import rate
from bayesbasis.process.regimes import Regimes

DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="module")
def mixed(prices):
    """BTC, dated, and its perpetual, quoted at the same times."""
    dated = prices[prices["underlying"] == "BTC"].assign(kind="dated")
    rng = np.random.default_rng(5)
    own = dated.drop_duplicates("time").assign(contract="BTC-PERP", kind="perpetual", expiry=pd.NaT)
    own["futures"] = own["spot"] * np.exp(3e-4 * rng.standard_normal(len(own)))
    own["expiry"] = pd.to_datetime(own["expiry"], utc=True)
    return bb.make_panel(pd.concat([dated, own], ignore_index=True))[0]


@pytest.fixture(scope="module")
def perpetual(mixed):
    return bb.data.panel.select(mixed, np.isnan(mixed["tau"].values))


@pytest.fixture(scope="module")
def fit(fabricate, spec, mixed):
    return fabricate(spec, mixed)


@pytest.fixture(scope="module")
def paths(fit):
    return bb.forecast(fit, horizon="40D", seed=1)


def test_a_perpetual_needs_a_horizon(fabricate, spec, perpetual):
    fit = fabricate(spec, perpetual)
    said = r"^a perpetual has no expiry to go to; give a horizon such as '30D'$"
    with pytest.raises(ValueError, match=said):
        bb.forecast(fit, seed=1)
    assert bb.forecast(fit, horizon="10D", seed=1).sizes["step"] == 11
    times = perpetual["time"].values.max() + np.array([1, 3]) * DAY
    assert bb.forecast(fit, times=times, seed=1, spot=False).sizes["step"] == 3


def test_an_update_of_perpetuals_looks_thirty_days_ahead(fabricate, spec, perpetual):
    now = bb.update(fabricate(spec, perpetual), perpetual)
    assert now.sizes["step"] == 31
    assert np.isfinite(now["interval"].values).all()


def test_beside_dated_contracts_it_goes_to_their_last_expiry(fit, mixed):
    paths = bb.forecast(fit, seed=1, spot=False)
    last = mixed["expiry"].values[~np.isnat(mixed["expiry"].values)].max()
    one = paths.sel(contract="BTC-PERP")
    assert one["time"].values[-1] == last
    assert np.isnan(one["tau"].values).all()
    assert np.isfinite(one["basis"].values).all()


def test_it_has_no_date_and_runs_to_the_horizon(paths):
    one = paths.sel(contract="BTC-PERP")
    assert np.isnat(one["expiry"].values)
    assert np.isnan(one["tau"].values).all()
    assert (one["time"].values[-1] - one["time"].values[0]) == 40 * DAY
    for name in ("basis", "deviation", "spot", "shock_scale", "equilibrium"):
        assert np.isfinite(one[name].values).all(), name


def test_its_fair_premium_is_the_carry_of_eight_hours(paths):
    one = paths.sel(contract="BTC-PERP")
    fair = (one["carry"] * PREMIUM_SPAN).values
    np.testing.assert_allclose(
        one["equilibrium"].transpose("step", ...).values, fair[None].repeat(one.sizes["step"], 0)
    )
    bands = bb.bands(paths).sel(contract="BTC-PERP")
    np.testing.assert_allclose(bands["equilibrium"].values, fair.mean())


def test_its_deviation_decays_by_its_half_life_and_spreads_to_its_stationary_variance(
    fabricate, gaussian, perpetual
):
    one = replace(gaussian, regimes=Regimes(count=1))
    fit = fabricate(one, perpetual, draws=4000, spread=0.0)
    paths = bb.forecast(
        fit,
        horizon="400D",
        seed=1,
        times=perpetual["time"].values[-1] + np.array([5, 20, 400]) * DAY,
        spot=False,
    )
    own = fit["posterior"].to_dataset().isel(chain=0, draw=0)
    kappa = rate(float(own["half_life"].squeeze()))
    sigma = float(own["volatility"].squeeze()) * 1e-4 * 365**0.5
    z = paths["deviation"].isel(contract=0).stack(sample=("chain", "draw"))
    start = z.isel(step=0)
    years = np.array([5, 20, 400]) / 365
    # At the origin the deviation is known as the filter knows it.
    spread = start.std().item() ** 2
    mean = start.mean().item() * np.exp(-kappa * years)
    variance = sigma**2 * -np.expm1(-2 * kappa * years) / (2 * kappa) + spread * np.exp(
        -2 * kappa * years
    )
    error = np.sqrt(variance / z.sizes["sample"])
    assert (abs(z.mean("sample").values[1:] - mean) < 4 * error + 2e-6).all()
    np.testing.assert_allclose(z.std("sample").values[-1] ** 2, variance[-1], rtol=0.06)


def test_its_half_life_is_the_one_of_the_law_at_any_time(fit):
    found = bb.half_life(fit, [0.01, 0.5]).sel(underlying="BTC perpetual")["half_life"]
    own = fit["posterior"]["half_life"].sel(underlying="BTC perpetual")
    for tau in (0, 1):
        np.testing.assert_allclose(found.isel(tau=tau).values, own.values)


def test_convergence_halves_it_in_its_half_life(paths, fit):
    found = bb.convergence(paths).sel(contract="BTC-PERP")
    own = fit["posterior"]["half_life"].sel(underlying="BTC perpetual")
    np.testing.assert_allclose(found["half_life"].values, own.values, rtol=1e-9)
    assert np.isnan(found["near_expiry"].values).all()
    assert (np.diff(found["touched"].values) >= 0).all()


def test_it_is_priced_a_year_by_its_eight_hours(fit):
    found = bb.mispricing(fit).sel(contract="BTC-PERP")
    assert np.isnan(found["tau"].values)
    ratio = found["annualised"] / found["deviation"]
    np.testing.assert_allclose(ratio.values, 1095.0)
    assert np.isfinite(found["z_score"].values).all()


@pytest.mark.parametrize("name", ["no-change", "straight-line", "historical-moves"])
def test_baselines_forecast_it_too(mixed, name):
    start = mixed["time"].values.max() - 20 * DAY
    times = start + np.array([1, 7]) * DAY
    paths = forecast_baseline(BASELINES[name], mixed, start, times, seed=1, draws=50)
    one = paths.sel(contract="BTC-PERP")
    assert np.isnan(one["tau"].values).all()
    assert np.isfinite(one["basis"].values).all()
