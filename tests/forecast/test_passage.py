import numpy as np
import pytest
from scipy.optimize import brentq

import bayesbasis as bb
from bayesbasis.forecast.passage import halving_time
from bayesbasis.process.laws import Anchored, OrnsteinUhlenbeck

TAU = np.array([0.5, 3.0, 7.0, 30.0, 119.0]) / 365


def test_ornstein_uhlenbeck_halves_in_its_half_life_or_not_before_expiry(fabricate, one):
    fit = fabricate(bb.load_card("ou"), one)
    given = fit["posterior"]["half_life"].values[..., None]
    found = bb.half_life(fit, TAU)["half_life"].values
    expected = np.where(given <= 365 * TAU, given, np.inf)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isinf(found).any()
    assert np.isfinite(found).any()


def test_a_bridge_of_power_gamma_halves_where_its_power_says():
    gamma = np.array([0.3, 1.0, 2.5])[:, None]
    parameters = {
        "half_life": np.full((3, 1), 1e15),
        "anchor": gamma,
        "volatility_exponent": np.zeros((3, 1)),
    }
    found = halving_time(Anchored(), parameters, TAU)[:, 0]
    np.testing.assert_allclose(found, TAU * (1 - 2 ** (-1 / gamma)), rtol=1e-12)


def test_the_anchored_law_solves_its_own_equation(fabricated):
    posterior = fabricated["posterior"].to_dataset()
    result = bb.half_life(fabricated, TAU)["half_life"]
    draw = {"chain": 1, "draw": 3, "underlying": 1}
    kappa = np.log(2) / posterior["half_life"].isel(draw).item()
    gamma = posterior["anchor"].isel(draw).item()
    for position, days in enumerate(365 * TAU):
        root = brentq(
            lambda d, days=days: -kappa * d + gamma * np.log1p(-d / days) + np.log(2),
            0,
            days * (1 - 1e-12),
            xtol=1e-14,
        )
        np.testing.assert_allclose(result.isel(draw).values[position], root, rtol=1e-10)


def test_a_deviation_that_outlives_expiry_never_halves():
    found = halving_time(OrnsteinUhlenbeck(), {"half_life": np.array([[10.0]])}, TAU)[0, 0]
    np.testing.assert_array_equal(np.isinf(found), 365 * TAU < 10.0)


def test_the_result_is_laid_out_by_underlying_and_time_to_expiry(fabricated):
    result = bb.half_life(fabricated)
    assert result["half_life"].dims == ("chain", "draw", "underlying", "tau")
    assert result["underlying"].values.tolist() == ["BTC", "ETH"]
    np.testing.assert_allclose(365 * result["tau"], np.arange(1, 121))
    assert result["half_life"].attrs["units"] == "day"
    assert result["tau"].attrs["units"] == "year"
    assert (result["half_life"] > 0).all()
    # Expiry pulls: it takes longer the farther it is.
    assert (result["half_life"].diff("tau") > 0).all()


def test_contracts_halve_as_their_underlying_does_where_they_have_no_law_of_their_own(fabricated):
    paths = bb.forecast(fabricated, seed=1, spot=False)
    own = bb.half_life(paths, TAU)["half_life"]
    for i, name in enumerate(paths["underlying"].values):
        alike = bb.half_life(fabricated, TAU)["half_life"].sel(underlying=name)
        np.testing.assert_allclose(own.isel(contract=i).values, alike.values, rtol=1e-9)


def test_one_time_to_expiry_is_enough(fabricated):
    assert bb.half_life(fabricated, 30 / 365)["half_life"].sizes["tau"] == 1


def test_times_to_expiry_are_positive(fabricated):
    with pytest.raises(ValueError, match="tau") as caught:
        bb.half_life(fabricated, [0.1, 0.0])
    assert str(caught.value) == "tau holds 0; times to expiry are positive, in years"
