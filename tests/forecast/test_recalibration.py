"""Facts about hindcasts, and about bands that are made as wide as these say."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

import bayesbasis as bb
from bayesbasis.data.panel import select

DAY = np.timedelta64(1, "D")
PROB = np.array([0.5, 0.9])


@pytest.fixture(scope="module")
def record(fabricated):
    return bb.hindcast(fabricated, every="45D", horizon="30D", seed=4)


def test_a_point_is_a_quote_of_a_contract_that_lived_at_the_origin(record, panel):
    first = panel["time"].values.min()
    since = (record["origin"].values - first - 30 * DAY) / DAY
    np.testing.assert_array_equal(since % 45, 0.0)
    ahead = record["time"].values - record["origin"].values
    assert (ahead > 0 * DAY).all()
    assert (ahead <= 30 * DAY).all()
    names, time = panel["contract"].values[panel["contract_index"].values], panel["time"].values
    due = 0
    for origin in np.unique(record["origin"].values):
        known = np.unique(names[time <= origin])
        due += ((time > origin) & (time <= origin + 30 * DAY) & np.isin(names, known)).sum()
    assert record.sizes["point"] == due
    quoted = pd.Series(panel["basis"].values, pd.MultiIndex.from_arrays([names, time]))
    keys = pd.MultiIndex.from_arrays([record["contract"].values, record["time"].values])
    np.testing.assert_array_equal(record["outcome"], quoted.loc[keys])


def test_a_hindcast_is_the_forecast_of_its_origin(record, fabricated, panel):
    origin = np.unique(record["origin"].values)[2]
    own = record.isel(point=record["origin"].values == origin)
    times = np.unique(own["time"].values)
    # What contracts said that have expired, and long before, tells nothing of today's states.
    name = panel["contract"].values[panel["contract_index"].values]
    heard = np.isin(name, own["contract"]) | (panel["time"].values > origin - 90 * DAY)
    heard &= panel["time"].values <= origin
    with pytest.warns(UserWarning, match="learned its parameters"):
        paths = bb.forecast(
            fabricated, origin, np.unique(own["contract"]).tolist(), times=times, seed=4,
            draws=100, spot=False, panel=select(panel, heard),
        )  # fmt: skip
    seen = bb.bands(paths)
    for i in (0, 40, -1):
        point = own.isel(point=i)
        at = {"contract": point["contract"].item()}
        step = 1 + int(np.searchsorted(times, point["time"].values))
        expected = seen["interval"].sel(at).isel(step=step)
        np.testing.assert_array_equal(point["interval"], expected)
        np.testing.assert_array_equal(point["tau"], seen["tau"].sel(at).isel(step=step))


def test_what_comes_later_changes_no_band(record, fabricated, panel):
    origin = np.unique(record["origin"].values)[-1]
    planted = panel.copy(deep=True)
    planted["basis"].values[planted["time"].values > origin] += 0.05
    fit = fabricated.copy()
    fit["constant_data"] = xr.DataTree(planted)
    other = bb.hindcast(fit, every="45D", horizon="30D", seed=4)
    xr.testing.assert_identical(record["interval"], other["interval"])
    assert not record["outcome"].equals(other["outcome"])


def test_what_an_earlier_record_has_seen_is_not_forecast_again(record, fabricated):
    marked = record.assign(median=record["median"] + 1.0)
    again = bb.hindcast(fabricated, every="45D", horizon="30D", seed=9, earlier=marked)
    xr.testing.assert_identical(again.drop_attrs(), marked.drop_attrs())
    # Of a record that ends halfway through a horizon, what that origin saw is not enough.
    origins = np.unique(record["origin"].values)
    cut = marked.isel(point=marked["time"].values <= origins[2] + 15 * DAY)
    grown = bb.hindcast(fabricated, every="45D", horizon="30D", seed=4, earlier=cut)
    whole = record["origin"].values < origins[2]
    assert 0 < whole.sum() < whole.size
    expected = record.assign(median=record["median"] + whole)
    xr.testing.assert_identical(grown.drop_attrs(), expected.drop_attrs())


def test_what_an_origin_saw_is_forecast_again_where_other_quotes_came(record, fabricated):
    revised = record["origin"].values == np.unique(record["origin"].values)[1]
    other = record.assign(outcome=record["outcome"] + 1e-9 * revised, median=record["median"] + 1.0)
    again = bb.hindcast(fabricated, every="45D", horizon="30D", seed=4, earlier=other)
    xr.testing.assert_identical(again["median"], record["median"] + ~revised)


def test_an_earlier_record_is_of_the_same_kind(record, fabricated):
    other = record.assign_attrs(card="another", card_name="ou")
    said = (
        r"^the fit is of 'anchored-regimes-2', the earlier record of 'ou' or another card of that "
        r"name: leave it out$"
    )
    with pytest.raises(ValueError, match=said):
        bb.hindcast(fabricated, earlier=other)
    said = (
        r"^the earlier record has horizon 30 days 00:00:00 and bands \[0.5, 0.9\]; asked for are "
        r"60 days 00:00:00 and \[0.5, 0.9\]: leave it out, or ask for the same$"
    )
    with pytest.raises(ValueError, match=said):
        bb.hindcast(fabricated, earlier=record)


def test_there_must_be_something_to_look_back_on(fabricated):
    with pytest.raises(ValueError, match=r"^there is nothing to look back on: no dated contract "):
        bb.hindcast(fabricated, horizon="2000D")
    with pytest.raises(ValueError, match=r"^every is '0D'; give a positive time such as '30D'$"):
        bb.hindcast(fabricated, every="0D")


def made_up(too_wide, days, origins, seed=0):
    """Quotes around zero, and bands of a Gaussian `too_wide` times as wide as theirs."""
    rng, each = np.random.default_rng(seed), 50
    bound = too_wide * norm.ppf((1 + PROB) / 2)
    interval = np.broadcast_to(np.stack([-bound, bound], axis=-1), (origins * each, 2, 2))
    return xr.Dataset(
        {
            "outcome": ("point", rng.standard_normal(origins * each)),
            "median": ("point", np.zeros(origins * each)),
            "interval": (("point", "prob", "bound"), interval),
        },
        {
            "prob": PROB,
            "bound": ["lower", "upper"],
            "origin": ("point", np.repeat(np.datetime64("2020-01-01") + np.arange(origins), each)),
            "tau": ("point", np.full(origins * each, days / 365)),
        },
    )


def test_with_much_evidence_bands_become_as_wide_as_they_should():
    record = xr.concat([made_up(2.0, 5, 3000, 1), made_up(0.5, 90, 3000, 2)], "point")
    factors = bb.band_factors(record)
    np.testing.assert_allclose(factors.sel(days=[4, 90]), [0.5, 2.0], rtol=0.02)
    np.testing.assert_array_equal(factors["origins"], [3000, 0, 0, 0, 3000])


def test_with_little_evidence_little_changes():
    record = made_up(2.0, 5, 4)
    distance = np.abs(record["outcome"].values) / (2.0 * norm.ppf(0.95))
    seen = np.log(np.quantile(distance, 0.9))
    factors = bb.band_factors(record)
    # Four origins against twelve of prior: once for all quotes, once more for those of the range.
    np.testing.assert_allclose(np.log(factors.sel(days=42)), seen / 4)
    np.testing.assert_allclose(np.log(factors.sel(days=4)), seen / 4 + 0.75 * seen / 4)


def test_narrow_bands_have_no_say():
    """Where half of all quotes are calm, more are near than any Gaussian would have."""
    record = made_up(1.0, 5, 3000)
    calm = record["outcome"].values.copy()
    calm[::2] *= 0.1
    calm[1::2] *= 1.5
    factor = bb.band_factors(record.assign(outcome=("point", calm))).sel(days=4).item()
    # Of the half that is not calm, four fifths have to lie within.
    np.testing.assert_allclose(factor, 1.5 * norm.ppf(0.9) / norm.ppf(0.95), rtol=0.02)


def test_bands_without_width_teach_nothing():
    record = made_up(1.0, 5, 3)
    flat = record.assign(interval=0.0 * record["interval"])
    with pytest.raises(ValueError, match=r"^the record has no band of any width; take it from "):
        bb.band_factors(flat)
    both = xr.concat([record, flat], "point")
    xr.testing.assert_identical(bb.band_factors(both), bb.band_factors(record))


def test_paths_move_about_their_median(fabricated, record):
    paths = bb.forecast(fabricated, seed=1)
    moved, factors = bb.recalibrate(paths, record), bb.band_factors(record)
    before, after = bb.bands(paths), bb.bands(moved)
    # A step of a day moves a seventh of the way, in logs; from a week on all of it.
    steps = (paths["time"] - paths["time"].isel(step=0)) / DAY
    grown = steps.clip(max=7.0) / 7.0
    xr.testing.assert_allclose(before["median"], after["median"])
    days = before["tau"] * 365
    for name in before["contract"].values:
        own, left = days.sel(contract=name), before["interval"].sel(contract=name, prob=0.9)
        right = after["interval"].sel(contract=name, prob=0.9)
        ratio = (right.diff("bound") / left.diff("bound")).squeeze("bound")
        expected = np.exp(
            grown.sel(contract=name)
            * np.interp(np.log(own.clip(min=1e-3)), np.log(factors["days"]), np.log(factors))
        )
        live = (own > 0.01) & (left.diff("bound").squeeze("bound") > 0)
        np.testing.assert_allclose(ratio[live], expected[live])
    assert moved["basis"].dims == paths["basis"].dims
    xr.testing.assert_identical(moved["regime"], paths["regime"])
    spread, own = (p["deviation"].std(["chain", "draw"]) for p in (moved, paths))
    wider = spread / own
    known = own.notnull() & (own > 0) & (days > 0.01)
    for scale in (moved["shock_scale"] / paths["shock_scale"]).stack(path=("chain", "draw")).T:
        live = known & scale.notnull()
        np.testing.assert_allclose(scale.transpose(*live.dims).values[live], wider.values[live])
    assert bb.convergence(moved)["touched"].notnull().any()


def test_a_fit_that_looked_back_forecasts_as_its_hindcasts_say(fabricated, record):
    fit = fabricated.copy()
    fit["hindcast"] = xr.DataTree(record)
    plain = bb.forecast(fit, seed=1, recalibrated=False)
    xr.testing.assert_identical(plain, bb.forecast(fabricated, seed=1))
    moved = bb.forecast(fit, seed=1)
    xr.testing.assert_identical(moved, bb.recalibrate(plain, record))
    assert bb.bands(moved).attrs["recalibrated"] == moved.attrs["recalibrated"]
    with pytest.raises(ValueError, match=r"^the paths are recalibrated \(\d\.\d+ at 4 d, .*\);"):
        bb.recalibrate(moved, record)


@pytest.mark.parametrize(("days", "looked"), [(45, False), (130, True)])
def test_a_fit_looks_back_if_there_is_a_past(days, looked, panel, spec):
    first = panel["time"].values.min()
    short = bb.known_at(panel, first + days * DAY)
    run = {"draws": 20, "tune": 30, "chains": 1, "seed": 1, "progress": False}
    fit = bb.fit(spec, short, **run)
    assert ("hindcast" in fit.children) == looked
    assert ("hindcast_s" in fit.attrs) == looked
    assert "hindcast" not in bb.fit(spec, short, **run, hindcasts=False).children
    if looked:
        record = fit["hindcast"].to_dataset()
        xr.testing.assert_identical(record, bb.hindcast(fit, seed=1))
        fit["hindcast"] = xr.DataTree(record.assign(median=record["median"] + 1.0))
        later = bb.known_at(panel, first + (days + 10) * DAY)
        warm = bb.fit(spec, later, **run, start=fit)["hindcast"].to_dataset()
        # The horizon of the second origin had not passed then.
        old = warm["origin"].values == warm["origin"].values.min()
        np.testing.assert_array_equal(warm["median"].values > 0.5, old)


def test_paths_and_record_are_of_one_model(fabricated, record):
    paths = bb.forecast(fabricated, seed=1, spot=False)
    other = record.assign_attrs(card="another", card_name="ou")
    said = r"^the paths are of 'anchored-regimes-2', the record of 'ou': take both from one fit$"
    with pytest.raises(ValueError, match=said):
        bb.recalibrate(paths, other)


def test_perpetuals_stay_as_they_are(fabricated, record):
    paths = bb.forecast(fabricated, seed=1, spot=False)
    endless = paths.assign_coords(tau=paths["tau"].where(paths["contract"] != paths["contract"][0]))
    moved = bb.recalibrate(endless, record)
    before, after = (p["basis"].transpose("contract", ...).values for p in (paths, moved))
    np.testing.assert_allclose(after[0], before[0], rtol=1e-12)
    assert np.nanmax(np.abs(after[1] - before[1])) > 1e-5
