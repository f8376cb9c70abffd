import numpy as np
import pytest
from scipy.special import erfc

import bayesbasis as bb
from bayesbasis.forecast.passage import (
    crossing,
    decays,
    own_parameters,
    passed,
    touched,
)
from bayesbasis.process.laws import Anchored
from bayesbasis.process.quadrature import Steps
from bayesbasis.process.simulation import move_scale

SIGMA = 0.02
DRAWS = 20_000


@pytest.fixture(scope="module")
def law():
    """An anchored law of which a fine path and its coarse look are both exact."""
    return {
        "half_life": np.array([10.0]),
        "anchor": np.array([0.7]),
        "volatility_exponent": np.array([0.5]),
    }


def moves(law, tau):
    phi, v = Anchored().transition(law, Steps.between(tau[:-1], tau[1:]), np)
    return np.append(1.0, phi), np.append(0.0, v)


def simulate(law, tau, start, rng, tail=np.inf, draws=DRAWS):
    phi, v = moves(law, tau)
    path = np.full((draws, len(tau)), start)
    for t in range(1, len(tau)):
        root = 1.0 if np.isinf(tail) else np.sqrt(tail / rng.chisquare(tail, draws))
        shock = SIGMA * np.sqrt(v[t]) * root * rng.standard_normal(draws)
        path[:, t] = phi[t] * path[:, t - 1] + shock
    return path, phi, SIGMA * np.sqrt(v)


# Closed forms ------------------------------------------------------------------------------------


def test_touching_is_the_reflection_formula_for_one_gaussian_regime(law):
    tau = np.linspace(40, 1, 30) / 365
    phi, v = moves(law, tau)
    found = touched(np.array([0.004]), phi[None], SIGMA * np.sqrt(v)[None], np.ones((1, 30)))[0]
    far_phi, far_v = Anchored().transition(law, Steps.between(tau[:1].repeat(29), tau[1:]), np)
    expected = erfc(0.004 * far_phi / (SIGMA * np.sqrt(2 * far_v)))
    np.testing.assert_allclose(found[1:], expected, rtol=1e-9)
    assert found[0] == 0


def test_touching_is_sure_at_expiry_and_for_a_deviation_of_zero():
    phi, scale = np.array([[1.0, 0.5, 0.0]]), np.array([[0.0, 0.1, 0.0]])
    assert touched(np.array([0.2]), phi, scale, np.ones((1, 3)))[0, -1] == 1
    assert (touched(np.array([0.0]), phi, scale, np.ones((1, 3))) == 1).all()


@pytest.mark.parametrize("tail", [np.inf, 4.0])
def test_simulated_touching_agrees_with_the_closed_form(law, tail):
    rng = np.random.default_rng(1)
    tau = np.linspace(40, 0.5, 12) / 365
    path, phi, scale = simulate(law, tau, 0.004, rng, tail)
    shape = path.shape
    simulated = passed(
        path,
        np.broadcast_to(phi, shape),
        np.broadcast_to(scale, shape),
        np.full((DRAWS, 1), tail),
        0.0,
    )
    mixing = np.ones(shape) if np.isinf(tail) else tail / rng.chisquare(tail, shape)
    closed = touched(path[:, 0], np.broadcast_to(phi, shape), np.broadcast_to(scale, shape), mixing)
    error = np.sqrt((simulated.var(0) + closed.var(0)) / DRAWS)
    assert (np.abs(simulated.mean(0) - closed.mean(0))[1:] < 4 * error[1:]).all()
    # Looking at the steps alone misses a good part of it.
    seen = np.maximum.accumulate(path <= 0, axis=1).mean(0)
    assert (closed.mean(0) - seen)[1:].min() > 0.01


def test_crossings_that_a_coarse_look_misses_are_found_by_the_bridge(law):
    rng = np.random.default_rng(2)
    fine = np.linspace(30, 10, 20 * 64 + 1) / 365
    path, *_ = simulate(law, fine, 0.004, rng, draws=6000)
    truth = (path.min(1) <= 0.001).mean()
    coarse = path[:, ::64]
    phi, v = moves(law, fine[::64])
    shape = coarse.shape
    found = passed(
        coarse,
        np.broadcast_to(phi, shape),
        np.broadcast_to(SIGMA * np.sqrt(v), shape),
        np.full((len(path), 1), np.inf),
        0.001,
    )[:, -1].mean()
    missed = (coarse.min(1) <= 0.001).mean()
    assert truth - missed > 0.01
    # The fine look itself misses about a tenth of what the coarse one does.
    assert abs(found - truth) < 4 * np.sqrt(0.25 / len(path)) * 0.5 + 0.1 * (truth - missed)


def test_a_heavy_tail_tends_to_the_gaussian_crossing():
    grid = np.random.default_rng(3).uniform(0.1, 2, (2, 50))
    ones = np.ones(50)
    gauss = crossing(*grid, 0.9 * ones, 0.8 * ones, np.full(50, np.inf))
    np.testing.assert_allclose(gauss, np.exp(-2 * 0.9 * grid[0] * grid[1] / 0.64), rtol=1e-12)
    heavy = crossing(*grid, 0.9 * ones, 0.8 * ones, np.full(50, 1e9))
    np.testing.assert_allclose(heavy, gauss, rtol=1e-6)


def test_opposite_sides_have_crossed_and_a_still_path_has_not():
    one = np.ones(1)
    assert crossing(one, -one, one, one, 5 * one) == 1
    assert crossing(one, one, one, 0 * one, 5 * one) == 0


def test_moves_of_the_filtered_deviation_settle_the_variance_of_the_process(law):
    """What the filter has learned and what it has yet to learn add up to what moved."""
    tau = np.linspace(60, 2, 40) / 365
    phi, v = moves(law, tau)
    noise, spread = 0.002, 0.001
    scale = move_scale(np.array(spread), phi, v, np.array(noise))
    learned, left, total = 0.0, spread, spread
    for t in range(len(tau)):
        total = phi[t] ** 2 * total + v[t]
        learned = phi[t] ** 2 * learned + scale[t] ** 2
        predicted = phi[t] ** 2 * left + v[t]
        left = noise * predicted / (predicted + noise) if t else spread
        np.testing.assert_allclose(learned + left, total, rtol=1e-12)


# The verb ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(fabricated):
    return bb.forecast(fabricated, seed=1)


def test_what_comes_out_is_laid_out_by_contract_and_step(paths):
    found = bb.convergence(paths, within=1e-3)
    live = np.isfinite(paths["tau"].values)
    for name in ("near", "touched", "converged"):
        assert found[name].dims == ("contract", "step")
        np.testing.assert_array_equal(np.isfinite(found[name].values), live)
        assert (found[f"{name}_error"].values[live] >= 0).all()
        assert found[name].attrs["units"] == "1"
    assert found["half_life"].dims == ("contract", "chain", "draw")
    assert found["half_life"].attrs["units"] == "day"
    assert found["converged_by_regime"].dims == ("contract", "regime", "step")
    assert found["near_expiry"].dims == ("contract", "days_left")
    for name in ("touched", "converged"):
        chance = found[name].values
        assert (np.diff(chance, axis=1)[live[:, 1:]] >= 0).all()
    last = live.sum(1) - 1
    assert (found["converged"].values[np.arange(len(last)), last] == 1).all()


def test_half_lives_are_those_of_the_fit(paths, fabricated):
    found = bb.convergence(paths)["half_life"]
    for contract in paths["contract"].values:
        tau = paths["tau"].sel(contract=contract).values[0]
        own = paths["underlying"].sel(contract=contract).item()
        expected = bb.half_life(fabricated, [tau])["half_life"].sel(underlying=own).values[..., 0]
        np.testing.assert_array_equal(found.sel(contract=contract).values, expected)


def test_touching_in_paths_of_one_gaussian_regime_is_closed_form(fixed):
    """And the simulation with crossings agrees with it."""
    paths = bb.forecast(fixed, seed=2)
    found = bb.convergence(paths, within=1e-9)
    for contract in range(paths.sizes["contract"]):
        one = paths.isel(contract=contract)
        live = np.flatnonzero(np.isfinite(one["tau"].values))[1:-1]
        both = found.isel(contract=contract, step=live)
        error = 4 * np.maximum(both["converged_error"].values, 1e-3)
        assert (np.abs(both["converged"].values - both["touched"].values) < error).all()
        # Draws have all the same parameters.
        z = one["deviation"].values[..., 0].ravel()
        own = own_parameters(Anchored(), one.isel(chain=[0], draw=[0]))
        phi = decays(Anchored(), own, one["tau"].values[: live[-1] + 1], 1)[0]
        scale = one["shock_scale"].values[0, 0, : live[-1] + 1].astype(float)
        total = 0.0
        for t in live:
            total = phi[t] ** 2 * total + scale[t] ** 2
        expected = erfc(np.abs(z) * np.prod(phi) / np.sqrt(2 * total)).mean()
        np.testing.assert_allclose(both["touched"].values[-1], expected, rtol=1e-5)


def test_times_to_convergence_are_where_its_probability_says(paths):
    found = bb.convergence(paths, within=1e-3)
    one = found.isel(contract=0)
    live = np.isfinite(one["tau"].values)
    days = 365 * (one["tau"].values[0] - one["tau"].values[live])
    for quantile, time in zip(found["quantile"].values, one["time_to_convergence"], strict=True):
        reached = np.interp(time, days, one["converged"].values[live])
        assert reached == pytest.approx(max(quantile, one["converged"].values[0]), abs=1e-9)


def test_a_horizon_before_convergence_leaves_its_time_open(fabricated):
    paths = bb.forecast(fabricated, horizon="2D", seed=1)
    found = bb.convergence(paths, within=1e-9)
    assert np.isinf(found["time_to_convergence"].sel(quantile=0.95)).all()


def test_the_basis_nears_zero_as_expiry_does(paths):
    near = bb.convergence(paths, within=0.01, days_left=(20, 1))["near_expiry"]
    by_hand = paths["basis"].isel(contract=0)
    tau = 365 * paths["tau"].values[0]
    step = np.flatnonzero(tau >= 1)[-1]
    expected = (np.abs(by_hand.isel(step=step)) <= 0.01).mean().item()
    assert near.isel(contract=0).sel(days_left=1).item() == expected
    assert (near.sel(days_left=1) >= near.sel(days_left=20)).all()


def test_a_fit_is_forecast_from_its_last_quote(fabricated):
    of_fit = bb.convergence(fabricated, within=1e-3, seed=5)
    of_paths = bb.convergence(bb.forecast(fabricated, seed=5), within=1e-3, seed=5)
    assert of_fit.identical(of_paths)


def test_a_regime_that_never_was_is_missing(fabricate, spec, one):
    fit = fabricate(spec, one)
    paths = bb.forecast(fit, seed=1)
    found = bb.convergence(paths)
    share = paths["regime"].isel(contract=0, step=0).values.ravel()
    total = sum(
        (share == k).mean() * found["converged_by_regime"].isel(contract=0).sel(regime=k)
        for k in np.unique(share)
    )
    converged = found["converged"].isel(contract=0)
    np.testing.assert_allclose(total, converged, rtol=1e-12)


def test_a_level_must_be_positive(paths):
    with pytest.raises(ValueError, match="within") as caught:
        bb.convergence(paths, within=0)
    assert str(caught.value) == "within is 0; give a positive deviation such as 5e-4 (5 bp)"


def test_paths_that_do_not_say_how_they_moved_are_an_error(paths):
    with pytest.raises(ValueError, match="paths lack") as caught:
        bb.convergence(paths.drop_vars("shock_scale"))
    assert str(caught.value) == ("the paths lack shock_scale: take them from bayesbasis.forecast")
