import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from bayesbasis.evaluate.calibration import coverage, pit_histogram, score_differences, skill
from bayesbasis.evaluate.comparison import compare

LEVELS = np.array([0.5, 0.8, 0.9, 0.95])


def backtest_of(spreads, contracts=60, quotes=20, bias=0.0, seed=1):
    """Scores of Gaussian forecasts of standard normal quotes, independent between contracts."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(contracts * quotes)
    rows = {name: [] for name in ("crps", "log_score", "pit", "error", "covered", "width")}
    for s in spreads:
        x = (y - bias) / s
        rows["crps"].append(s * (x * (2 * norm.cdf(x) - 1) + 2 * norm.pdf(x) - 1 / np.sqrt(np.pi)))
        rows["log_score"].append(norm(bias, s).logpdf(y))
        rows["pit"].append(norm.cdf(x))
        rows["error"].append(bias - y)
        half = s * norm.ppf((1 + LEVELS) / 2)
        rows["covered"].append((abs(y - bias)[:, None] <= half).astype(float))
        rows["width"].append(np.tile(2 * half, (len(y), 1)))
    dims = {"covered": ("model", "point", "level"), "width": ("model", "point", "level")}
    data = {n: (dims.get(n, ("model", "point")), 1e-4 * np.array(v) if n in ("crps", "width") else
            np.array(v)) for n, v in rows.items()}  # fmt: skip
    names = [f"sd {s:g}" for s in spreads]
    origin = np.datetime64("2024-01-01", "ns") + np.repeat(np.arange(contracts) % 12, quotes) * (
        np.timedelta64(30, "D")
    )
    days = np.tile(np.linspace(1, 80, quotes), contracts)
    coords = {
        "model": names,
        "level": LEVELS,
        "contract": ("point", np.repeat([f"C{i:03d}" for i in range(contracts)], quotes)),
        "tau": ("point", days / 365),
        "horizon": ("point", days),
        "origin": ("point", origin),
        "window": np.unique(origin),
    }
    windows = len(coords["window"])
    window = {
        n: (("model", "window"), np.ones((len(names), windows)))
        for n in ("r_hat", "ess_bulk", "divergences", "fit_s", "compile_s", "window_s", "peak_mb")
    }
    warm = np.tile(np.arange(windows) > 0, (len(names), 1)).astype(float)
    failure = np.full((len(names), windows), "")
    more = {"warm": (("model", "window"), warm), "failure": (("model", "window"), failure)}
    energy = (("model", "curve"), data["crps"][1])
    return xr.Dataset(data | window | more | {"energy": energy}, coords)


def test_a_calibrated_forecast_stays_in_the_band_and_a_wide_or_narrow_one_leaves_it():
    found = pit_histogram(backtest_of([1.0, 2.0, 0.5]), prob=0.995)
    inside = ((found["lower"] <= found["density"]) & (found["density"] <= found["upper"])).all(
        "bin"
    )
    assert inside.sel(model="sd 1").all()
    assert not inside.sel(model="sd 2").any()
    assert not inside.sel(model="sd 0.5").any()
    np.testing.assert_allclose(found["density"].mean("bin"), 1.0)
    assert found["quotes"].sum() == 1200


def test_the_band_holds_all_bins_as_often_as_it_says():
    """With independent quotes, over many backtests."""
    held = []
    for seed in range(40):
        scores = backtest_of([1.0], contracts=80, quotes=5, seed=seed)
        found = pit_histogram(scores, bins=5, prob=0.9, resamples=300)
        inside = (found["lower"] <= found["density"]) & (found["density"] <= found["upper"])
        seen = found["quotes"].values > 0
        held += inside.all("bin").values[0, seen].tolist()
    assert 0.82 <= np.mean(held) <= 0.97


def test_the_band_is_wider_where_quotes_of_a_contract_are_alike():
    scores = backtest_of([1.0])
    alike = scores.copy(deep=True)
    first = alike["pit"].values.reshape(1, 60, 20)[:, :, :1]
    alike["pit"].values[:] = np.broadcast_to(first, (1, 60, 20)).reshape(1, -1)
    one, other = (pit_histogram(x)["upper"].isel(bucket=3).mean() for x in (scores, alike))
    assert other - 1 > 1.5 * (one - 1)


def test_few_contracts_have_no_band():
    found = pit_histogram(backtest_of([1.0], contracts=2))
    assert np.isnan(found["upper"]).all()
    assert np.isfinite(found["density"]).all()


def test_coverage_of_a_calibrated_forecast_is_nominal():
    found = coverage(backtest_of([1.0]))
    assert (abs(found["covered"] - found["level"]) < 4 * found["covered_se"]).all()


def test_skill_is_the_share_of_the_reference_s_score_that_is_saved():
    scores = backtest_of([1.0, 3.0])
    found = skill(scores, "sd 3").sel(model="sd 1")
    mean = scores["crps"].mean("point").values
    assert abs(found["skill"].mean() - (1 - mean[0] / mean[1])) < 0.05
    assert (found["lower"] < found["skill"]).all()
    assert (found["skill"] < found["upper"]).all()
    np.testing.assert_allclose(skill(scores, "sd 3")["skill"].sel(model="sd 3"), 0.0)
    with pytest.raises(ValueError, match="no model 'sd 7' to compare with, only sd 1, sd 3"):
        skill(scores, "sd 7")


def test_score_differences_add_up_over_time():
    scores = backtest_of([1.0, 3.0])
    found = score_differences(scores, "sd 3")
    assert found.sizes["origin"] == 12
    gap = (scores["crps"][0] - scores["crps"][1]).mean()
    np.testing.assert_allclose(found["difference"].sel(model="sd 1").mean(), gap)
    np.testing.assert_allclose(found["cumulative"][:, -1], found["difference"].sum("origin"))


# The table --------------------------------------------------------------------------------------


def test_the_table_puts_the_best_model_first_with_errors_and_weights():
    scores = backtest_of([3.0, 1.0, 0.4])
    found = compare(scores)
    assert found.table.index[0] == "sd 1"
    row = found.table.loc["sd 1"]
    np.testing.assert_allclose(row["crps"], 1e4 * scores["crps"].mean("point").values[1])
    assert 0 < row["crps_se"] < row["crps"]
    assert abs(row["coverage_90"] - 0.9) < 4 * row["coverage_90_se"]
    np.testing.assert_allclose(found.table["weight"].sum(), 1.0)
    assert row["weight"] > 0.8
    assert (row["first_s"], row["next_s"], row["failed"]) == (1.0, 1.0, 0)
    pair = found.pairs.set_index(["model", "other"]).loc[("sd 1", "sd 3")]
    assert pair["lower"] < pair["difference"] < pair["upper"] < 0
    assert len(found.pairs) == 6
    assert found.buckets["crps"].shape == (3, 5)
    text = str(found)
    assert "1,200 quotes of 60 contracts forecast from 12 origins" in text
    assert "sd 1 less sd 3: -" in text


def test_a_comparison_needs_something_to_test_on():
    with pytest.raises(ValueError, match="there is no panel to test on"):
        compare(["ou"])
