import numpy as np
import pytest
import scoringrules
import xarray as xr
from scipy.stats import norm

import bayesbasis as bb
from bayesbasis.evaluate.scores import energy_score, outcomes, score

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


# Scores quote by quote ---------------------------------------------------------------------------


@pytest.fixture
def ensemble(paths, panel):
    """Outcomes and draws of the quotes that are scored."""
    observed = outcomes(paths, panel).values
    scored = np.isfinite(observed)
    draws = paths["basis"].values.reshape(-1, 3, 5)[:, scored].T
    return scored, observed[scored], draws


def test_scores_of_gaussian_paths_are_the_closed_forms(paths, panel, ensemble):
    scored, y, _ = ensemble
    scores = score(paths, panel, levels=(0.9,), quantiles=(0.25,)).squeeze(drop=True)
    found = {name: scores[name].values[scored] for name in scores.data_vars}
    normal = norm(MEAN, SPREAD)
    lower, upper, quarter = normal.ppf(0.05), normal.ppf(0.95), normal.ppf(0.25)
    width = upper - lower
    below, above = np.maximum(lower - y, 0), np.maximum(y - upper, 0)
    np.testing.assert_allclose(found["crps"], scoringrules.crps_normal(y, MEAN, SPREAD), rtol=0.05)
    # In the bulk: a kernel is wider than the density, and so heavier far out.
    bulk = abs(y - MEAN) < 2 * SPREAD
    np.testing.assert_allclose(found["log_score"][bulk], normal.logpdf(y[bulk]), atol=0.06)
    np.testing.assert_allclose(found["pit"], normal.cdf(y), atol=0.01)
    np.testing.assert_allclose(found["error"], MEAN - y, atol=2e-4)
    np.testing.assert_allclose(found["width"], width, rtol=0.02)
    np.testing.assert_array_equal(found["covered"], (lower <= y) & (y <= upper))
    np.testing.assert_allclose(found["interval_score"], width + 20 * (below + above), rtol=0.05)
    pinball = np.where(y < quarter, 0.75, 0.25) * abs(quarter - y)
    np.testing.assert_allclose(found["pinball"], pinball, rtol=0.05)


def test_scores_agree_with_other_libraries(paths, panel, ensemble):
    properscoring = pytest.importorskip("properscoring", reason="properscoring is not installed")
    scored, y, draws = ensemble
    scores = score(paths, panel)
    np.testing.assert_allclose(
        # It has no fair estimator: the difference of two draws is a part in 20,000 smaller.
        scores["crps"].values[scored],
        properscoring.crps_ensemble(y, draws),
        rtol=1e-3,
    )
    # Its normal density is cut after five digits.
    np.testing.assert_allclose(
        scores["log_score"].values[scored], -scoringrules.logs_ensemble(y, draws), atol=2e-5
    )
    np.testing.assert_array_equal(scores["crps"], bb.crps(paths, panel))


def test_twice_the_mean_pinball_loss_over_all_quantiles_is_the_crps(paths, panel):
    fine = np.arange(0.0025, 1, 0.005)
    scores = score(paths, panel, quantiles=fine)
    twice = 2 * scores["pinball"].mean("quantile", skipna=False)
    np.testing.assert_allclose(twice, scores["crps"], rtol=0.02)


def test_scores_carry_horizon_level_and_what_is_missing(paths, panel):
    scores = score(paths, panel)
    missing = np.isnan(outcomes(paths, panel).values)
    for name in ("crps", "log_score", "pit"):
        assert scores[name].dims == ("contract", "step")
        np.testing.assert_array_equal(np.isnan(scores[name]), missing)
    assert scores["covered"].dims == ("contract", "step", "level")
    assert scores["level"].values.tolist() == [0.5, 0.8, 0.9, 0.95]
    np.testing.assert_array_equal(scores["horizon"][0], [0, 1, 2, 3, 4])
    assert all("long_name" in scores[name].attrs for name in scores.data_vars)


def test_the_regime_of_a_forecast_is_the_likeliest_at_its_origin(paths, panel):
    regime = np.ones((4, 5000, 3, 5), np.int8)
    regime[:3, :, 0] = 2
    scores = score(paths.assign(regime=(paths["basis"].dims, regime)), panel)
    assert scores["regime"].values.tolist() == [2, 1, 1]


def test_probabilities_of_scores_lie_between_0_and_1(paths, panel):
    with pytest.raises(ValueError, match=r"levels is \(0.5, 1.0\); probabilities"):
        score(paths, panel, levels=(0.5, 1.0))


def test_the_energy_score_of_one_contract_is_its_crps(paths, panel):
    named = paths.isel(draw=slice(50)).assign_coords(underlying=("contract", ["x", "y", "z"]))
    energy = energy_score(named, panel)
    assert energy.dims == ("underlying", "step")
    np.testing.assert_allclose(energy, bb.crps(named, panel), rtol=1e-9)


def test_the_energy_score_of_many_paths_is_that_of_two_thousand(paths, panel):
    named = paths.assign_coords(underlying=("contract", ["x", "y", "z"]))
    assert named.sizes["chain"] * named.sizes["draw"] == 20_000
    np.testing.assert_array_equal(
        energy_score(named, panel), energy_score(named.isel(draw=slice(0, None, 10)), panel)
    )


def test_the_energy_score_sees_whether_contracts_move_together(paths, panel):
    """The truth: one shock moves all. Forecasts have the right margins; one has no dependence."""
    few = paths.isel(draw=slice(100), contract=[0, 1]).assign_coords(
        underlying=("contract", ["x", "x"])
    )
    rng = np.random.default_rng(6)
    shock = rng.standard_normal((4, 100, 1, 5))
    together = few.assign(basis=few["basis"] * 0 + MEAN + SPREAD * shock)
    gain = []
    for _ in range(60):
        truth = panel.copy()
        truth["basis"] = ("obs", np.full(10, MEAN + SPREAD * rng.standard_normal()))
        both = [energy_score(x, truth).sel(underlying="x")[2:4].mean() for x in (together, few)]
        gain.append(float(both[1] - both[0]))
    assert np.mean(gain) > 2 * np.std(gain) / np.sqrt(60)


def fit_of(density, sizes, first=0):
    return xr.DataTree.from_dict(
        {
            "log_likelihood": xr.Dataset(
                {"basis": (("chain", "draw", "event"), density)},
                {
                    "event_size": ("event", sizes),
                    "event_first": ("event", np.broadcast_to(first, len(sizes))),
                },
            )
        }
    )


def test_log_score_is_that_of_the_posterior_mean_density():
    density = np.random.default_rng(3).normal(3.0, 1.0, (2, 50, 4))
    expected = np.log(np.exp(density).mean((0, 1))).sum() / 7
    np.testing.assert_allclose(bb.log_score(fit_of(density, [1, 2, 1, 3])), expected, rtol=1e-12)


def test_first_quotes_of_contracts_do_not_count():
    density = np.random.default_rng(3).normal(3.0, 1.0, (2, 50, 4))
    kept = bb.log_score(fit_of(density[..., [1, 3]], [2, 3]))
    assert bb.log_score(fit_of(density, [1, 2, 1, 3], first=[1, 0, 2, 0])) == kept


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
