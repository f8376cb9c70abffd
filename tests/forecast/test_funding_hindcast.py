"""Facts about hindcasts of cumulative funding, and about bands as wide as these say."""

import time

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.inference.funding import assemble_funding, funding_shapes
from bayesbasis.model.funding_spec import FundingSpec

SPEC = FundingSpec(levels=3, swings=2)
DAY = np.timedelta64(1, "D")
PROB = np.array([0.5, 0.9])


@pytest.fixture(scope="module")
def fit():
    """Make a fit without sampling: draws near the middle of the priors."""
    frame = bb.simulate_funding(seed=1, days=60, venues=("binance", "bybit"), underlyings=["BTC"])
    history, _ = bb.make_funding(frame)
    size = sum(int(np.prod(shape)) for shape in funding_shapes(SPEC, history).values())
    flat = 0.1 * np.random.default_rng(1).standard_normal((2, 20, size))
    stats = xr.Dataset(coords={"chain": np.arange(2), "draw": np.arange(20)})
    return assemble_funding(SPEC, history, flat, stats, seed=1, started=time.perf_counter())


@pytest.fixture(scope="module")
def record(fit):
    return bb.hindcast_funding(fit, every="10D", horizon="10D", draws=20, seed=4)


def record_of(outcomes, card="card"):
    """Make a record whose forecasts are all standard normal, a row of outcomes a contract."""
    names = np.repeat(list(outcomes), [len(x) for x in outcomes.values()])
    count = len(names)
    bounds = np.array([[-0.6745, -1.6449], [0.6745, 1.6449]])[..., None] * np.ones(count)
    origin = np.concatenate([np.arange(len(x)) * DAY for x in outcomes.values()])
    return xr.Dataset(
        {
            "outcome": ("point", np.concatenate(list(outcomes.values()))),
            "median": ("point", np.zeros(count)),
            "interval": (("bound", "prob", "point"), bounds),
        },
        {
            "contract": ("point", names),
            "origin": ("point", np.datetime64("2024-01-01", "ns") + origin),
            "prob": PROB,
            "bound": ["lower", "upper"],
        },
        {"card": card, "card_name": "mine"},
    )


def test_a_hindcast_of_funding_is_the_forecast_of_its_origin(fit, record):
    history = fit["constant_data"].to_dataset()
    origins = np.unique(record["origin"].values)
    assert (np.diff(origins) == 10 * DAY).all()
    assert origins[-1] == history["time"].values.max() - 10 * DAY
    assert origins[0] >= history["time"].values.min() + 10 * DAY
    names = history["contract"].values[history["contract_index"].values]
    # From the last origin Binance, which pays an interval before Bybit, has one settlement too few.
    assert record.sizes["point"] == 2 * len(origins) - 1
    for origin in origins[[0, -2]]:
        paths = bb.forecast_funding(fit, "10D", seed=4, origin=origin, draws=20)
        total = bb.cumulative_funding(paths)
        for name in paths["contract"].values:
            at = (record["origin"].values == origin) & (record["contract"].values == name)
            point = record.isel(point=int(np.flatnonzero(at)[0]))
            own = total.sel(contract=name).values
            np.testing.assert_array_equal(point["interval"].sel(bound="lower", prob=0.9),
                                          np.quantile(own, (1.0 - 0.9) / 2.0))  # fmt: skip
            time = history["time"].values
            due = (names == name) & (time > origin) & (time <= origin + 10 * DAY)
            assert float(point["outcome"]) == pytest.approx(
                history["funding_rate"].values[due].sum()
            )


def test_what_is_paid_later_changes_no_band(fit, record):
    origin = np.unique(record["origin"].values)[-1]
    planted = fit["constant_data"].to_dataset().copy(deep=True)
    later = planted["time"].values > origin
    planted["funding_rate"].values[later] += 0.001
    planted["premium_lower"].values[later] = planted["premium_upper"].values[later] = 0.0016
    other = fit.copy()
    other["constant_data"] = xr.DataTree(planted)
    moved = bb.hindcast_funding(other, every="10D", horizon="10D", draws=20, seed=4)
    at = record["origin"].values == origin
    assert at.any()
    np.testing.assert_array_equal(moved["interval"][..., at], record["interval"][..., at])
    assert (moved["outcome"].values[at] > record["outcome"].values[at]).all()


def test_bands_of_a_contract_that_failed_widen_by_more():
    rng = np.random.default_rng(1)
    right, wild = rng.standard_normal(400), 3.0 * rng.standard_normal(400)
    factors = bb.funding_factors(record_of({"calm": right, "wild": wild}))
    assert float(factors.sel(contract="calm")) == pytest.approx(1.0, abs=0.15)
    assert float(factors.sel(contract="wild")) == pytest.approx(3.0, rel=0.15)
    assert 1.2 < float(factors.sel(contract="")) < 2.5
    assert factors["origins"].values.tolist() == [400, 400, 400]


def test_narrow_bands_have_no_say_in_funding_either():
    outcomes = np.random.default_rng(3).standard_normal(400)
    calm = np.where(np.abs(outcomes) < 1.0, 0.1 * outcomes, outcomes)
    rows = (bb.funding_factors(record_of({"a": x})) for x in (outcomes, calm))
    np.testing.assert_allclose(*rows)


def test_little_evidence_moves_little():
    rng = np.random.default_rng(2)
    many, few = rng.standard_normal(200), np.array([4.0, -4.0])
    factors = bb.funding_factors(record_of({"few": few, "many": many}))
    assert 1.0 < float(factors.sel(contract="few")) < 1.4


def test_recalibrated_sums_keep_their_median_and_strangers_get_the_factor_of_all(fit, record):
    paths = bb.forecast_funding(fit, "10D", seed=1)
    known = record.isel(point=record["contract"].values == "binance:BTC-PERP")
    again = bb.recalibrate_funding(paths, known)
    total, moved = bb.cumulative_funding(paths), bb.cumulative_funding(again)
    factors = bb.funding_factors(known)
    for name, label in (("binance:BTC-PERP", "binance:BTC-PERP"), ("bybit:BTC-PERP", "")):
        own, new = (x.sel(contract=name) for x in (total, moved))
        assert float(new.median()) == pytest.approx(float(own.median()))
        assert float(new.std() / own.std()) == pytest.approx(float(factors.sel(contract=label)))
        assert f"{float(factors.sel(contract=label)):.3f} of {name}" in again.attrs["recalibrated"]
    xr.testing.assert_identical(again["funding"].drop_vars("sum_factor"), paths["funding"])


def test_a_factor_of_sums_grows_in_over_the_first_week(fit, record):
    paths = bb.forecast_funding(fit, "10D", seed=1)
    again = bb.recalibrate_funding(paths, record)
    factor = again["sum_factor"].values
    for days, power in ((3.5, 0.5), (7, 1.0), (9, 1.0)):
        plain, moved = (bb.cumulative_funding(x, f"{days}D") for x in (paths, again))
        ratio = (moved.std(("chain", "draw")) / plain.std(("chain", "draw"))).values
        np.testing.assert_allclose(ratio, factor**power)


def test_paths_are_recalibrated_once_and_by_their_own_record(fit, record):
    paths = bb.forecast_funding(fit, "10D", seed=1)
    with pytest.raises(ValueError, match="take both from one fit"):
        bb.recalibrate_funding(paths, record.assign_attrs(card="other"))
    again = bb.recalibrate_funding(paths, record)
    with pytest.raises(ValueError, match=r"from bayesbasis.forecast_funding\(fit, recalibrated"):
        bb.recalibrate_funding(again, record)


def test_a_forecast_goes_by_the_hindcasts_of_its_fit_unless_told_not_to(fit, record):
    plain = bb.forecast_funding(fit, "10D", seed=1)
    knowing = fit.copy()
    knowing["hindcast"] = xr.DataTree(record)
    moved = bb.forecast_funding(knowing, "10D", seed=1)
    xr.testing.assert_identical(moved, bb.recalibrate_funding(plain, record))
    xr.testing.assert_identical(
        bb.forecast_funding(knowing, "10D", seed=1, recalibrated=False), plain
    )
    # Nor does a hindcast: it would recalibrate what it is to judge.
    xr.testing.assert_identical(
        bb.hindcast_funding(knowing, every="10D", horizon="10D", draws=20, seed=4), record
    )


def test_an_outlook_and_what_a_dated_contract_is_compared_with_are_recalibrated(fit, record):
    paths = bb.forecast_funding(fit, "10D", seed=1)
    again = bb.recalibrate_funding(paths, record)
    plain, moved = bb.funding_outlook(paths), bb.funding_outlook(again)
    upper = bb.cumulative_funding(again).quantile(0.95, ("chain", "draw")).values
    np.testing.assert_allclose(moved["cumulative"].sel(value="upper"), upper)
    np.testing.assert_array_equal(moved["outside_share"], plain["outside_share"])
    end = np.datetime64(paths.attrs["origin"]) + 10 * DAY
    total = bb.cumulative_funding(again)
    more = bb.against_dated(again, 0.002, end)["pays_more"]
    np.testing.assert_allclose(more, (total > np.expm1(0.002)).mean(("chain", "draw")))


def test_a_fit_looks_back_unless_told_not_to_or_too_short():
    frame = bb.simulate_funding(seed=1, days=70, venues=["okx"], underlyings=["BTC"])
    history, _ = bb.make_funding(frame)
    run = {"draws": 20, "chains": 1, "seed": 1, "sampler": {"backend": "laplace"}}
    fit = bb.fit_funding(SPEC, history, **run)
    xr.testing.assert_identical(fit["hindcast"].to_dataset(), bb.hindcast_funding(fit, seed=1))
    assert fit.attrs["hindcast_s"] > 0
    assert "hindcast" not in bb.fit_funding(SPEC, history, hindcasts=False, **run).children
    early = bb.known_at(history, history["time"].values.min() + 50 * DAY)
    assert "hindcast" not in bb.fit_funding(SPEC, early, **run).children


def test_a_history_too_short_to_look_back_on_is_refused(fit):
    with pytest.raises(ValueError, match="there is nothing to look back on: settlements run from"):
        bb.hindcast_funding(fit, horizon="40D")
    with pytest.raises(ValueError, match="every is '-1D'; give a positive time"):
        bb.hindcast_funding(fit, every="-1D")
