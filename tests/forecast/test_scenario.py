"""Facts about covariates in forecasts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesbasis as bb
from bayesbasis.model.priors import Normal, Priors
from bayesbasis.model.spec import Drivers
from bayesbasis.process.equilibria import CostOfCarry

ORIGIN = "2022-06-01"


@pytest.fixture(scope="module")
def driven(gaussian):
    """Carry rises by 7 % a year per standard deviation, in every draw of a fit without spread."""
    priors = replace(Priors(), coefficient=Normal(7.0, 1.0), speed_coefficient=Normal(1.0, 1.0))
    return replace(
        gaussian,
        equilibrium=CostOfCarry(covariates=("rate",), fixed="lent"),
        drivers=Drivers(speed=("fear",)),
        priors=priors,
    )


@pytest.fixture(scope="module")
def driven_panel(prices):
    rng = np.random.default_rng(1)
    columns = {name: rng.standard_normal(len(prices)) for name in ("rate", "fear", "lent")}
    return bb.make_panel(prices.assign(**columns))[0]


@pytest.fixture(scope="module")
def fit(fabricate, driven, driven_panel):
    return fabricate(driven, bb.known_at(driven_panel, ORIGIN), draws=100, spread=0.0)


def last_values(fit, name):
    known = fit["constant_data"].to_dataset()
    index = known["contract_index"].values
    return known[name].values[np.append(np.diff(index) != 0, True)]


def carries(paths):
    """Fair carry along the paths, % a year."""
    return (100 * paths["equilibrium"] / paths["tau"]).mean(["chain", "draw"])


def test_covariates_keep_their_last_values_unless_told(fit):
    paths = bb.forecast(fit, seed=1)
    fair = carries(paths)
    np.testing.assert_allclose(fair[:, 5], fair[:, 0], rtol=1e-9)
    known = fit["constant_data"].to_dataset()
    live = np.isin(known["contract"].values, paths["contract"].values)
    z = (last_values(fit, "rate") - known["rate"].values.mean()) / known["rate"].values.std()
    own = 100 * paths["carry"].mean(["chain", "draw"]).values
    expected = own + 7.0 * z[live] + last_values(fit, "lent")[live]
    np.testing.assert_allclose(fair[:, 0], expected, rtol=1e-9)


def test_a_scenario_moves_the_curve_by_its_coefficient(fit):
    sd = fit["constant_data"].to_dataset()["rate"].values.std()
    low, high = (carries(bb.forecast(fit, seed=1, covariates={"rate": x})) for x in (1.0, 1.0 + sd))
    np.testing.assert_allclose((high - low)[:, 1:20], 7.0, rtol=1e-9)


def test_scenarios_are_the_same_however_they_are_said(fit):
    paths = bb.forecast(fit, seed=1)
    times = pd.DatetimeIndex(paths["time"].values.max(axis=0))
    wave = pd.Series(np.sin(np.arange(len(times))), index=times, name="rate")
    frame = wave.to_frame().rename_axis("time")
    by_name = pd.concat([frame.reset_index().assign(underlying=name) for name in ("BTC", "ETH")])
    found = [
        bb.forecast(fit, seed=1, covariates=given)["equilibrium"]
        for given in ({"rate": wave}, frame, by_name, frame.to_xarray())
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_simulated_covariates_start_where_they_are_and_widen_the_curve(fit):
    held = bb.forecast(fit, seed=1)
    paths = bb.forecast(fit, seed=1, covariates={"rate": "simulate"})
    np.testing.assert_allclose(paths["equilibrium"][..., 0], held["equilibrium"][..., 0])
    assert (paths["equilibrium"].std(["chain", "draw"])[:, 10] > 1e-4).all()
    np.testing.assert_array_equal(paths["deviation"], held["deviation"])


def test_fear_that_speeds_convergence_does_so_along_the_path(fit):
    """ln speed rises by 1 a standard deviation: deviations of a Gaussian law decay faster."""
    calm, fast = (
        bb.forecast(fit, seed=1, covariates={"fear": x}).isel(step=slice(1, 25))
        for x in (-2.0, 2.0)
    )
    spread = [p["deviation"].std(["chain", "draw"]).mean("step") for p in (calm, fast)]
    assert (spread[1] < spread[0]).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rates": 1.0}, r"the scenario gives rates, which the card does not read; it reads rate"),
        ({"rate": "guess"}, "says rate='guess'; give a number, a series over time, or 'simulate'"),
        (
            {"rate": pd.Series([1.0], pd.to_datetime(["2022-06-02"], utc=True))},
            r"no 'rate' of BTC at 2022-06-03.* later steps; extend it over 2022-06-02.*simulate",
        ),
        (
            pd.DataFrame({"time": pd.to_datetime(["2022-06-02"]), "rate": [np.nan]}),
            "no 'rate' of BTC at 2022-06-02",
        ),
    ],
)
def test_scenarios_that_do_not_reach_say_what_to_do(fit, given, message):
    with pytest.raises(ValueError, match=message):
        bb.forecast(fit, seed=1, covariates=given)


def test_a_card_without_covariates_reads_none(fabricated):
    with pytest.raises(ValueError, match=r"gives x, .* it reads no covariate"):
        bb.forecast(fabricated, seed=1, covariates={"x": 1.0})


def test_regimes_last_as_long_as_their_covariates_say(fabricate, spec, driven_panel):
    """A stay times e^2 at one end of the covariate, over e^2 at the other."""
    priors = replace(Priors(), stay_coefficient=Normal(2.0, 1.0))
    card = replace(spec, drivers=Drivers(stay=("fear",)), priors=priors)
    fit = fabricate(card, bb.known_at(driven_panel, ORIGIN), draws=150, spread=0.0)
    sd = fit["constant_data"].to_dataset()["fear"].values.std()
    mean = fit["constant_data"].to_dataset()["fear"].values.mean()
    moved = []
    for x in (-1.0, 1.0):
        paths = bb.forecast(fit, seed=1, covariates={"fear": mean + x * sd}, contracts=None)
        regime = paths["regime"].isel(contract=0, step=slice(0, 22)).values
        moved.append((np.diff(regime, axis=-1) != 0).mean())
    expected = [1 - np.exp(-np.exp(-2.0 * x) / 15.0) for x in (-1.0, 1.0)]
    np.testing.assert_allclose(moved, expected, rtol=0.35)
