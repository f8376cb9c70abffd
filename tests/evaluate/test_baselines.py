import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.evaluate.baselines import BASELINES, forecast_baseline
from bayesbasis.evaluate.history import Past, histories
from bayesbasis.evaluate.textbook import _filter_level, _fit_ou, _Key, _local_level

ORIGIN = "2022-10-10"
DAY = np.timedelta64(1, "D")
YEAR = 365.0


@pytest.fixture(scope="module")
def times(market):
    start = np.datetime64(ORIGIN)
    time = np.unique(market["time"].values)
    return time[(time > start) & (time <= start + 60 * DAY)]


@pytest.fixture(scope="module")
def past(market):
    known = bb.known_at(market, ORIGIN)
    live = int(np.flatnonzero(known["expiry"].values > np.datetime64(ORIGIN))[0])
    return Past(histories(known)["BTC"], live)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_has_a_name_and_paths_like_a_fit_s(name, market, times):
    paths = forecast_baseline(BASELINES[name], market, ORIGIN, times, seed=1, draws=50)
    assert paths.attrs["card_name"] == BASELINES[name].name == name
    assert paths["basis"].dims == ("chain", "draw", "contract", "step")
    assert paths["time"].dims == paths["tau"].dims == ("contract", "step")
    known = bb.known_at(market, ORIGIN)
    live = known["contract"].values[known["expiry"].values > np.datetime64(ORIGIN)]
    assert paths["contract"].values.tolist() == live.tolist()
    ahead = np.isfinite(paths["tau"].values)
    assert (np.isfinite(paths["basis"].values) == ahead).all()
    last = [known["basis"].values[known["contract_index"].values == c][-1] for c in range(5)[-3:]
            if c < known.sizes["contract"]]  # fmt: skip
    assert set(paths["basis"].values[0, 0, :, 0]) <= set(last)
    again = forecast_baseline(BASELINES[name], market, ORIGIN, times, seed=1, draws=50)
    np.testing.assert_array_equal(paths["basis"], again["basis"])


@pytest.mark.parametrize("name", BASELINES)
def test_no_baseline_looks_ahead(name, market, times):
    planted = market.copy(deep=True)
    later = planted["time"].values > np.datetime64(ORIGIN)
    planted["basis"].values[later] += 1.0
    one, other = (
        forecast_baseline(BASELINES[name], panel, ORIGIN, times, seed=1, draws=20)["basis"]
        for panel in (market, planted)
    )
    np.testing.assert_array_equal(one, other)


def test_analogues_are_the_moves_of_the_same_length_that_began_nearby(past):
    left = past.tau - 5 / YEAR
    start, end, before, after = next(past.analogues(np.array([left])))
    np.testing.assert_allclose(before - after, 5 / YEAR, rtol=1e-9)
    assert (abs(before - past.tau) <= 10 / YEAR).all()
    by_hand = 0
    for tau, basis in zip(past.history.tau, past.history.basis, strict=True):
        for i in range(len(tau) - 5):
            if abs(tau[i] - past.tau) <= 10 / YEAR:
                by_hand += 1
                assert (start == basis[i]).any()
                assert (end == basis[i + 5]).any()
    assert len(start) == by_hand > 20


def test_moves_nobody_has_seen_are_an_error(past):
    with pytest.raises(ValueError, match="no contract has been quoted for 36"):
        list(past.analogues(np.array([past.tau - 1.0])))


def test_the_straight_line_holds_the_errors_it_made(past):
    tau = past.tau - np.array([1.0, 20.0]) / YEAR
    paths = BASELINES["straight-line"].simulate(past, tau, 4000, np.random.default_rng(1))
    for step, (start, end, before, after) in enumerate(past.analogues(tau)):
        errors = paths[:, step] - past.basis * tau[step] / past.tau
        np.testing.assert_allclose(np.unique(errors), np.unique(end - start * after / before))


def test_no_change_has_its_median_at_today_s_basis(past):
    tau = past.tau - np.array([3.0]) / YEAR
    paths = BASELINES["no-change"].simulate(past, tau, 20_000, np.random.default_rng(1))
    assert abs((paths > past.basis).mean() - 0.5) < 0.02


def test_ou_by_maximum_likelihood_recovers_its_parameters():
    rng, speed, carry, scale = np.random.default_rng(2), 20.0, 0.08, 0.02
    tau = np.linspace(0.5, 0.01, 400)
    phi = np.exp(-speed * (tau[0] - tau[1]))
    sd = scale * np.sqrt((1 - phi**2) / (2 * speed))
    contracts = []
    for _ in range(12):
        z = np.zeros(400)
        for i in range(1, 400):
            z[i] = phi * z[i - 1] + sd * rng.standard_normal()
        contracts.append(z + carry * tau)
    time = tuple(np.arange(400).astype("datetime64[D]").astype("datetime64[ns]") for _ in contracts)
    history = type(_any_history())(
        tuple(range(12)), time, (tau,) * 12, tuple(contracts), tau[0] - tau[1]
    )
    found = _fit_ou(_Key(history))
    np.testing.assert_allclose(found, (speed, carry, scale), rtol=0.1)


def _any_history():
    prices, _ = bb.simulate_market(seed=1, underlyings=["BTC"], quarters=1)
    return histories(bb.make_panel(prices)[0])["BTC"]


def test_the_local_level_is_filtered_as_statsmodels_does(past):
    own, noise, walk = past.own[1] * 1e3, 0.3, 0.1
    level, spread = _filter_level(own, (noise, walk))
    theirs = _local_level(own).filter([noise, walk])
    np.testing.assert_allclose(level, theirs.filtered_state[0, -1], rtol=1e-6)
    np.testing.assert_allclose(spread, theirs.filtered_state_cov[0, 0, -1], rtol=1e-6)


def test_no_contract_to_forecast_is_an_error(market):
    with pytest.raises(ValueError, match="no contract is live at"):
        forecast_baseline(BASELINES["no-change"], market, "2024-01-01", [], seed=1)
