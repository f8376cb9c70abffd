import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.evaluate.backtesting import backtest, choose_origins, name_models
from bayesbasis.evaluate.baselines import NoChange, StraightLine
from bayesbasis.forecast import fitting

ORIGINS = pd.date_range("2022-09-01", "2022-12-01", freq="MS")
SMALL = {"horizon": "20D", "draws": 8, "progress": False}


@pytest.fixture
def no_sampling(monkeypatch, fabricate):
    """Replace sampling, and count the fits, by their last quote and where they started."""
    fits = []

    def stand_in(spec, panel, **kwargs):
        fits.append((panel["time"].values.max(), kwargs["start"] is not None, kwargs["tune"]))
        return fabricate(spec, panel, **kwargs)

    monkeypatch.setattr(fitting, "sample", stand_in)
    return fits


def run(market, models=("straight-line",), origins=ORIGINS, **kwargs):
    return backtest(models, market, origins, **(SMALL | kwargs))


def test_a_point_is_a_quote_forecast_from_an_origin(market):
    scores = run(market, ["straight-line", "no-change"])
    assert scores["crps"].dims == ("model", "point")
    assert scores["covered"].dims == ("model", "point", "level")
    assert scores["model"].values.tolist() == ["straight-line", "no-change"]
    np.testing.assert_array_equal(scores["window"], ORIGINS.values)
    ahead = scores["time"] - scores["origin"]
    assert (ahead > np.timedelta64(0, "D")).all()
    assert (ahead <= np.timedelta64(20, "D")).all()
    np.testing.assert_allclose(scores["horizon"], ahead / np.timedelta64(1, "D"))
    for point in (0, 57, -1):
        at = scores.isel(point=point)
        contract = market["contract"].values.tolist().index(at["contract"].item())
        own = (market["contract_index"].values == contract) & (
            market["time"].values == at["time"].values
        )
        np.testing.assert_array_equal(at["outcome"], market["basis"].values[own][0])
        np.testing.assert_allclose(at["tau"], market["tau"].values[own][0])
    assert np.isfinite(scores["crps"]).all()
    assert np.isfinite(scores["energy"]).all()
    assert (scores["failure"] == "").all()


def test_repeats_are_more_paths_of_the_same_fits(market, spec, no_sampling):
    few, many, most = (
        run(market, [spec], ORIGINS[:1], repeats=repeats)["crps"] for repeats in (1, 50, 1000)
    )
    assert len(set(no_sampling)) == 1
    # Fifty times as many paths, an error a seventh as large.
    assert abs(many - most).mean() < 0.25 * abs(few - most).mean()


def test_every_quote_of_a_window_is_scored(market):
    scores = run(market, origins=["2022-10-01"])
    start = np.datetime64("2022-10-01")
    known = bb.known_at(market, start)["contract"].values
    time, of = market["time"].values, market["contract"].values[market["contract_index"].values]
    due = (time > start) & (time <= start + np.timedelta64(20, "D")) & np.isin(of, known)
    assert scores.sizes["point"] == due.sum()


def test_a_planted_future_value_changes_nothing_before_it(market, spec, no_sampling):
    moment = np.datetime64("2022-11-10", "ns")
    planted = market.copy(deep=True)
    planted["basis"].values[planted["time"].values >= moment] += 0.05
    one, other = (run(panel, [spec, "straight-line"]) for panel in (market, planted))
    past = one["origin"].values < moment
    assert past.any()
    assert not past.all()
    # From origins before it, forecasts are the same, and so are scores of earlier quotes.
    xr.testing.assert_identical(
        one["forecast"].isel(point=past), other["forecast"].isel(point=past)
    )
    earlier = one["time"].values < moment
    for name in ("crps", "log_score", "pit", "covered", "outcome"):
        xr.testing.assert_identical(one[name].isel(point=earlier), other[name].isel(point=earlier))
    assert not one["crps"].equals(other["crps"])
    early = one["event_time"].values < moment
    xr.testing.assert_identical(one["elpd"].isel(event=early), other["elpd"].isel(event=early))


def test_models_are_fitted_to_what_was_known_each_starting_from_the_one_before(
    market, spec, no_sampling
):
    run(market, [spec], tune=60, warm_tune=20)
    assert [str(last)[:10] for last, *_ in no_sampling] == [str(o)[:10] for o in ORIGINS]
    assert [rest for _, *rest in no_sampling] == [[False, 60]] + 3 * [[True, 20]]


def test_blocks_start_from_scratch(market, spec, no_sampling):
    run(market, [spec], block=2)
    assert [warm for _, warm, _ in no_sampling] == [False, True, False, True]


def test_one_fit_may_serve_several_origins(market, spec, no_sampling):
    scores = run(market, [spec], refit=2)
    assert [str(last)[:10] for last, *_ in no_sampling] == ["2022-09-01", "2022-11-01"]
    assert np.isfinite(scores["crps"]).all()


def test_a_rolling_window_forgets(market, spec, fabricate, monkeypatch):
    first = []

    def stand_in(spec, panel, **kwargs):
        first.append(panel["time"].values.min())
        return fabricate(spec, panel, **kwargs)

    monkeypatch.setattr(fitting, "sample", stand_in)
    run(market, [spec], refit="rolling", history="60D")
    assert all(o - f < np.timedelta64(60, "D") for o, f in zip(ORIGINS.values, first, strict=True))


def test_a_window_that_fails_is_recorded_and_the_others_go_on(market, spec, fabricate, monkeypatch):
    def sometimes(spec, panel, **kwargs):
        if panel["time"].values.max() == np.datetime64("2022-10-01"):
            raise RuntimeError("the sampler\ngave up")
        return fabricate(spec, panel, **kwargs)

    monkeypatch.setattr(fitting, "sample", sometimes)
    scores = run(market, [spec, "no-change"])
    failure = scores["failure"].sel(model=spec.name).values.tolist()
    assert failure == ["", "the sampler gave up", "", ""]
    lost = scores["origin"].values == np.datetime64("2022-10-01")
    assert np.isnan(scores["crps"].sel(model=spec.name).values[lost]).all()
    assert np.isfinite(scores["crps"].sel(model=spec.name).values[~lost]).all()
    assert np.isfinite(scores["crps"].sel(model="no-change")).all()


def test_a_run_that_was_killed_resumes_with_the_same_numbers(
    market, spec, fabricate, monkeypatch, tmp_path
):
    class Killed(BaseException):
        pass

    fits = []

    def mortal(spec, panel, **kwargs):
        if len(fits) == 2:
            raise Killed
        fits.append(0)
        return fabricate(spec, panel, **kwargs)

    monkeypatch.setattr(fitting, "sample", fabricate)
    whole = run(market, [spec])
    monkeypatch.setattr(fitting, "sample", mortal)
    with pytest.raises(Killed):
        run(market, [spec], store=tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    assert len(kept) == 2
    assert all(name.endswith(".nc") for name in kept)
    fits.clear()
    monkeypatch.setattr(fitting, "sample", lambda *a, **k: (fits.append(0), fabricate(*a, **k))[1])
    resumed = run(market, [spec], store=tmp_path)
    assert len(fits) == 2
    timed = ["window_s", "fit_s", "compile_s", "peak_mb"]
    xr.testing.assert_equal(resumed.drop_vars(timed), whole.drop_vars(timed))


def test_a_window_on_disk_is_not_run_again_unless_something_changed(
    market, spec, no_sampling, tmp_path
):
    origins = ORIGINS[:1]
    run(market, [spec], origins, store=tmp_path)
    # Quotes after the window, or other models beside it, do not matter to it.
    run(bb.known_at(market, "2022-11-01"), [spec, "no-change"], origins, store=tmp_path)
    assert len(no_sampling) == 1
    for change in ({"seed": 2}, {"horizon": "21D"}, {"draws": 9}):
        run(market, **({"models": [spec], "origins": origins, "store": tmp_path} | change))
    moved = market.copy(deep=True)
    moved["basis"].values[0] += 1e-6
    run(moved, [spec], origins, store=tmp_path)
    assert len(no_sampling) == 5


def test_models_are_named_and_found():
    named = name_models(["ou", "no-change", StraightLine()])
    assert list(named) == ["ou", "no-change", "straight-line"]
    assert named["no-change"] == NoChange()
    assert list(name_models({"mine": "ou"})) == ["mine"]
    with pytest.raises(ValueError, match="two models are named 'ou'"):
        name_models(["ou", "ou"])
    with pytest.raises(ValueError, match="there is no model to test"):
        name_models([])
    with pytest.raises(ValueError, match="no card is named 'ouu'; did you mean 'ou'"):
        name_models(["ouu"])


def test_origins_by_frequency_leave_time_to_learn(market):
    chosen = choose_origins(market, "MS")
    assert str(chosen[0])[:10] == "2022-04-01"
    assert chosen[-1] < market["time"].values.max()
    with pytest.raises(ValueError, match="origin 2021-01-01T00:00:00 is not between"):
        choose_origins(market, ["2021-01-01"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"refit": "rolling"}, "a rolling refit needs a history"),
        ({"history": "60D"}, "any other takes none"),
        ({"refit": 0}, "refit is 0; choose"),
        ({"horizon": "-1D"}, "horizon is '-1D'; give a positive time"),
        ({"processes": 0}, "processes is 0; it must be at least 1"),
        ({"draws": 0}, "draws is 0; it must be at least 1"),
        ({"repeats": 0}, "repeats is 0; it must be at least 1"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(market, wrong, message):
    with pytest.raises(ValueError, match=message):
        run(market, **wrong)


def test_forecasts_spread_as_hindcasts_say_unless_told_not_to(market, spec, no_sampling):
    plain, moved = (
        run(market, [spec], draws=40, refit=4, hindcasts=on).isel(model=0) for on in (False, True)
    )
    # Random draws are far from any truth: bands have to move, and medians must not.
    half = {"quantile": 0.5}
    xr.testing.assert_allclose(plain["forecast"].sel(half), moved["forecast"].sel(half))
    ratio = moved["width"].sel(level=0.9) / plain["width"].sel(level=0.9)
    assert (np.abs(np.log(ratio)) > 0.02).mean() > 0.8
    # Densities of single steps are the model's own.
    np.testing.assert_array_equal(plain["elpd"], moved["elpd"])
