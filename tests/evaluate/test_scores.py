import numpy as np
import pytest
import scoringrules
import xarray as xr

import bayesbasis as bb
from bayesbasis.evaluate.scores import outcomes

START = np.datetime64("2024-01-01", "ns")
DAY = np.timedelta64(1, "D")
MEAN, SPREAD = 0.02, 0.005


def days(*offsets):
    return START + np.array(offsets) * DAY


@pytest.fixture
def panel():
    """Contract B is quoted daily, A on some days, C is not forecast."""
    time = np.concatenate([days(0, 2, 3), days(0, 1, 2, 3, 4), days(1, 2)])
    return xr.Dataset(
        {"basis": ("obs", np.arange(10) * 0.001)},
        {
            "time": ("obs", time),
            "contract_index": ("obs", [0, 0, 0, 1, 1, 1, 1, 1, 2, 2]),
            "contract": ["A", "B", "C"],
        },
    )


@pytest.fixture
def paths():
    """Gaussian paths of B, of A that expires after three days, and of one never quoted."""
    rng = np.random.default_rng(1)
    time = np.tile(days(0, 1, 2, 3, 4), (3, 1))
    time[1, 4] = np.datetime64("NaT", "ns")
    basis = MEAN + SPREAD * rng.standard_normal((4, 5000, 3, 5))
    basis[..., 1, 4] = np.nan
    tau = np.where(np.isnat(time), np.nan, (days(9) - time) / (365 * DAY))
    return xr.Dataset(
        {"basis": (("chain", "draw", "contract", "step"), basis)},
        {
            "contract": ["B", "A", "D"],
            "time": (("contract", "step"), time),
            "tau": (("contract", "step"), tau),
        },
    )


def test_outcomes_are_the_quotes_at_the_times_of_the_paths(paths, panel):
    observed = outcomes(paths, panel)
    assert observed.dims == ("contract", "step")
    nan = np.nan
    expected = [
        [nan, 0.004, 0.005, 0.006, 0.007],
        [nan, nan, 0.001, 0.002, nan],
        [nan, nan, nan, nan, nan],
    ]
    np.testing.assert_array_equal(observed, expected)
    assert observed["contract"].values.tolist() == ["B", "A", "D"]
    np.testing.assert_array_equal(observed["tau"], paths["tau"])


def test_outcomes_do_not_depend_on_the_order_of_contracts(paths, panel):
    turned = outcomes(paths.isel(contract=[2, 0, 1]), panel)
    np.testing.assert_array_equal(turned, outcomes(paths, panel).isel(contract=[2, 0, 1]))


def test_crps_of_gaussian_paths_is_the_closed_form(paths, panel):
    score, observed = bb.crps(paths, panel), outcomes(paths, panel)
    expected = scoringrules.crps_normal(observed.values, MEAN, SPREAD)
    np.testing.assert_allclose(score, expected, rtol=0.05)
    np.testing.assert_array_equal(np.isnan(score), np.isnan(observed))
    assert score.attrs["units"] == "1"


def test_crps_is_the_mean_distance_less_half_the_spread(paths, panel):
    few = paths.isel(draw=slice(25))
    score, observed = bb.crps(few, panel), outcomes(few, panel)
    draws = few["basis"].values.reshape(100, 3, 5)
    for at in np.argwhere(np.isfinite(observed.values)):
        own, y = draws[:, *at], observed.values[tuple(at)]
        spread = np.abs(own[:, None] - own).sum() / (100 * 99)
        expected = np.abs(own - y).mean() - 0.5 * spread
        np.testing.assert_allclose(score.values[tuple(at)], expected, rtol=1e-9)


def test_a_sharper_honest_forecast_scores_better(paths, panel):
    truth = panel.copy()
    truth["basis"] = ("obs", MEAN + 1e-4 * np.random.default_rng(2).standard_normal(10))
    blurred = paths.assign(basis=MEAN + 3 * (paths["basis"] - MEAN))
    sharp, blunt = (bb.crps(x, truth).values for x in (paths, blurred))
    scored = np.isfinite(sharp)
    assert (sharp[scored] < blunt[scored]).all()


def fit_of(density, sizes):
    return xr.DataTree.from_dict(
        {
            "log_likelihood": xr.Dataset(
                {"basis": (("chain", "draw", "event"), density)},
                {"event_size": ("event", sizes)},
            )
        }
    )


def test_log_score_is_that_of_the_posterior_mean_density():
    density = np.random.default_rng(3).normal(3.0, 1.0, (2, 50, 4))
    expected = np.log(np.exp(density).mean((0, 1))).sum() / 7
    np.testing.assert_allclose(bb.log_score(fit_of(density, [1, 2, 1, 3])), expected, rtol=1e-12)


def test_log_score_neither_over_nor_underflows():
    density = np.random.default_rng(4).normal(0.0, 1.0, (2, 50, 3))
    sizes = [1, 1, 1]
    base = bb.log_score(fit_of(density, sizes))
    for shift in (1e4, -1e4):
        np.testing.assert_allclose(bb.log_score(fit_of(density + shift, sizes)), base + shift)


def test_log_score_of_one_draw_is_the_log_likelihood_a_quote():
    density = np.random.default_rng(5).normal(5.0, 1.0, (1, 1, 6))
    expected = density.sum() / 9
    np.testing.assert_allclose(bb.log_score(fit_of(density, [1, 2, 1, 2, 1, 2])), expected)
