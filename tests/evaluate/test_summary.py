import numpy as np
import pytest
import xarray as xr

from bayesbasis.evaluate.summary import bucket_of, differences, summarise

CONTRACTS = np.repeat(["A", "B", "C", "D"], [30, 20, 40, 10])
DAYS = np.concatenate([np.linspace(n, 0.5, n) for n in (30, 20, 40, 10)]) * 2


def scores_of(crps, **more):
    """Scores of models, shape (model, point)."""
    crps = np.asarray(crps, dtype=float)
    names = [f"m{i}" for i in range(len(crps))]
    data = {"crps": (("model", "point"), crps)} | more
    coords = {
        "model": names,
        "contract": ("point", CONTRACTS),
        "tau": ("point", DAYS / 365),
        "horizon": ("point", np.arange(100.0)),
    }
    return xr.Dataset(data, coords)


@pytest.fixture
def scores():
    return scores_of(np.random.default_rng(1).gamma(2.0, 1.0, (3, 100)))


def test_a_mean_is_that_of_the_quotes(scores):
    found = summarise(scores, measures=["crps"])
    np.testing.assert_allclose(found["crps"], scores["crps"].mean("point"))
    assert found["quotes"] == 100


@pytest.mark.parametrize("by", ["bucket", "horizon", "contract"])
def test_groups_part_the_quotes(scores, by):
    found = summarise(scores, by, measures=["crps"])
    assert found["quotes"].sum() == 100
    total = (found["crps"] * found["quotes"]).sum(by)
    np.testing.assert_allclose(total, scores["crps"].sum("point"))


def test_buckets_are_those_of_time_to_expiry(scores):
    found = summarise(scores, "bucket", measures=["crps"])
    edges = [0, 7, 14, 30, 60, np.inf]
    for i, bucket in enumerate(found["bucket"].values):
        inside = (edges[i] < DAYS) & (edges[i + 1] >= DAYS)
        assert found["quotes"].sel(bucket=bucket) == inside.sum()
    assert bucket_of(np.array([7.0, 7.1, 60.0, 61.0])).tolist() == [0, 1, 3, 4]


def test_the_standard_error_is_that_of_contracts_not_of_quotes():
    """Quotes of one contract are all alike: 400 contracts of 5 quotes say as much as 400 quotes."""
    rng = np.random.default_rng(2)
    level = rng.standard_normal(400)
    scores = xr.Dataset(
        {"crps": (("model", "point"), 5 + np.repeat(level, 5)[None])},
        {"model": ["m"], "contract": ("point", np.repeat(np.arange(400).astype(str), 5))},
    )
    found = summarise(scores, measures=["crps"])
    np.testing.assert_allclose(found["crps_se"], level.std() / np.sqrt(400), rtol=0.08)


def test_one_contract_has_no_standard_error(scores):
    one = scores.isel(point=CONTRACTS == "A")
    assert np.isnan(summarise(one, measures=["crps"])["crps_se"]).all()


def test_only_quotes_that_every_model_forecast_count(scores):
    gappy = scores.copy(deep=True)
    gappy["crps"].values[1, :50] = np.nan
    found = summarise(gappy, measures=["crps"])
    assert found["quotes"] == 50
    np.testing.assert_allclose(found["crps"], scores["crps"][:, 50:].mean("point"))
    gappy["crps"].values[1] = np.nan
    assert summarise(gappy, measures=["crps"])["model"].values.tolist() == ["m0", "m2"]
    gappy["crps"].values[0, :50], gappy["crps"].values[2, 50:] = np.nan, np.nan
    with pytest.raises(ValueError, match="no quote was forecast by every model"):
        summarise(gappy, measures=["crps"])


def test_groups_by_regime_are_those_of_the_first_model_that_has_any(scores):
    regime = np.full((3, 100), np.nan)
    regime[1] = np.where(np.arange(100) < 30, 2, 1)
    found = summarise(
        scores.assign(regime=(("model", "point"), regime)), "regime", measures=["crps"]
    )
    assert found["regime"].values.tolist() == [1, 2]
    assert found["quotes"].values.tolist() == [70, 30]
    with pytest.raises(ValueError, match="no model has regimes"):
        summarise(scores.assign(regime=(("model", "point"), regime * np.nan)), "regime")


def test_differences_are_paired():
    """Contracts differ a lot, models by a constant: the difference is certain."""
    hard = np.repeat([1.0, 5.0, 9.0, 2.0], [30, 20, 40, 10])
    found = differences(scores_of([hard, hard + 0.5]))
    at = found.sel(model="m1", other="m0")
    np.testing.assert_allclose([at["lower"], at["difference"], at["upper"]], 0.5)
    np.testing.assert_allclose(found["difference"], -found["difference"].values.T)


def test_an_unknown_grouping_is_an_error(scores):
    with pytest.raises(ValueError, match="by is 'week'; choose 'bucket'"):
        summarise(scores, "week", measures=["crps"])
