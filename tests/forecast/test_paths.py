from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.linalg import expm
from scipy.stats import kstest

import bayesbasis as bb
from bayesbasis.model.layout import lay_out
from bayesbasis.process.filter import SETTLED, Parameters, forward, transitions
from bayesbasis.process.quadrature import Steps
from bayesbasis.process.regimes import Regimes

LAST = np.datetime64("2022-07-08", "ns")
HINDSIGHT = "the fit learned its parameters"
BP_PER_DAY = 1e-4 * np.sqrt(365)


@pytest.fixture(scope="module")
def paths(fabricated):
    return bb.forecast(fabricated, seed=1)


@pytest.fixture(scope="module")
def closed(fixed):
    """Paths of one Gaussian regime and one parameter draw, four thousand of them."""
    return bb.forecast(fixed, seed=2)


def parameters_of(fit, draw=0):
    own = fit["posterior"].to_dataset().isel(chain=0, draw=draw)
    return {name: own[name].values for name in own.data_vars}


def phi_and_variance(spec, p, start, end):
    own = {name: p[name] for name in spec.law.parameters}
    return (x[0] for x in spec.law.transition(own, Steps.between([start], [end]), np))


def last_state(spec, p, panel, contract):
    """Filtered level, and scale-free spread, at the last quote of a contract, by hand."""
    own = panel["contract_index"].values == panel["contract"].values.tolist().index(contract)
    tau = panel["tau"].values[own]
    carry = 0.01 * p["carry"][panel["contract"].values.tolist().index(contract)]
    z, noise = panel["basis"].values[own] - carry * tau, p["noise"][0] / 365
    level, spread, before = 0.0, noise, [tau[0] + SETTLED, *tau]
    for i in range(len(z)):
        phi, v = phi_and_variance(spec, p, before[i], tau[i])
        predicted = phi**2 * spread + v
        gain = predicted / (predicted + noise)
        level, spread = phi * level + gain * (z[i] - phi * level), (1 - gain) * predicted
    return level, spread, tau[-1], carry


# What comes out ----------------------------------------------------------------------------------


def test_paths_have_the_documented_dims_and_attrs(paths, fabricated, panel):
    live = panel["contract"].values[panel["expiry"].values > LAST]
    assert paths["contract"].values.tolist() == live.tolist()
    for name in ("basis", "deviation", "regime"):
        assert paths[name].dims == ("chain", "draw", "contract", "step")
    assert paths["carry"].dims == ("chain", "draw", "contract")
    assert paths["regime"].dtype == np.int8
    assert paths["time"].dims == paths["tau"].dims == ("contract", "step")
    assert paths["time"].dtype == "datetime64[ns]"
    assert (paths.sizes["chain"], paths.sizes["draw"]) == (2, 8)
    for name in ("underlying", "venue", "kind", "expiry"):
        expected = panel[name].sel(contract=live)
        np.testing.assert_array_equal(paths[name], expected)
    assert paths.attrs == {
        "origin": "2022-07-08T00:00:00.000000000",
        "card": fabricated.attrs["card"],
        "card_name": "anchored-regimes-2",
        "data_hash": fabricated.attrs["data_hash"],
        "seed": 1,
    }


def test_paths_start_at_the_origin_and_end_at_expiry(paths):
    ended = np.isnan(paths["tau"].values)
    assert ended.any()
    for contract, own in enumerate(ended):
        time, tau = (paths[name].values[contract] for name in ("time", "tau"))
        count = np.sum(~own)
        assert time[0] == LAST
        assert time[count - 1] == paths["expiry"].values[contract]
        assert tau[count - 1] == 0.0
        assert (np.diff(tau[:count]) < 0).all()
        assert own[count:].all()
        assert np.isnat(time[count:]).all()
    for name in ("basis", "deviation"):
        missing = np.isnan(paths[name].values)
        np.testing.assert_array_equal(missing, np.broadcast_to(ended, missing.shape))
    assert (paths["regime"].values[..., ended] == -1).all()
    assert np.isin(paths["regime"].values[..., ~ended], [1, 2]).all()


def test_the_origin_holds_the_last_quote(paths, panel):
    for name in paths["contract"].values:
        own = panel["contract_index"].values == panel["contract"].values.tolist().index(name)
        assert (
            paths["basis"].sel(contract=name).isel(step=0) == panel["basis"].values[own][-1]
        ).all()


def test_at_expiry_the_deviation_is_zero_and_the_quote_is_noise(closed, fixed):
    p = parameters_of(fixed)
    sigma = p["volatility"].item() * BP_PER_DAY
    for _, own in closed.groupby("contract"):
        at_expiry = own.isel(step=int(np.flatnonzero(own["tau"].values.ravel() == 0.0)[0]))
        assert (at_expiry["deviation"] == 0.0).all()
        noise = at_expiry["basis"].values.ravel() / (sigma * np.sqrt(p["noise"].item() / 365))
        assert kstest(noise, "norm").pvalue > 1e-3


# What they say -----------------------------------------------------------------------------------


def test_mean_and_variance_of_paths_are_those_of_the_law(closed, fixed, gaussian, one):
    p = parameters_of(fixed)
    sigma = p["volatility"].item() * BP_PER_DAY
    for name in closed["contract"].values:
        own = closed.sel(contract=name)
        level, spread, tau, carry = last_state(gaussian, p, one, name)
        for step in range(1, own.sizes["step"]):
            end = own["tau"].values[step]
            if not end > 0:
                break
            phi, v = phi_and_variance(gaussian, p, tau, end)
            unknown = spread_after(gaussian, p, [tau, *own["tau"].values[1 : step + 1]], spread)
            z = own["deviation"].values[..., step].ravel()
            quote = own["basis"].values[..., step].ravel() - carry * end
            state = phi**2 * spread + v
            assert_moments(z, phi * level, sigma * np.sqrt(state - unknown))
            assert_moments(quote, phi * level, sigma * np.sqrt(state + p["noise"].item() / 365))


def spread_after(spec, p, tau, spread):
    """Scale-free spread that is left after quotes at these times."""
    noise = p["noise"].item() / 365
    for start, end in pairwise(tau):
        phi, v = phi_and_variance(spec, p, start, end)
        predicted = phi**2 * spread + v
        spread = predicted * noise / (predicted + noise)
    return spread


def assert_moments(values, mean, sd):
    """Compare mean and standard deviation with the truth, in their standard errors."""
    count = len(values)
    np.testing.assert_allclose((values.mean() - mean) / sd, 0, atol=4.5 / count**0.5)
    np.testing.assert_allclose(values.std() / sd, 1, atol=4.5 / (2 * count) ** 0.5)


def test_steps_of_a_path_hang_together_as_the_law_says(closed, fixed, gaussian):
    p, own = parameters_of(fixed), closed.isel(contract=-1)
    z, tau = own["deviation"].values.reshape(-1, own.sizes["step"]), own["tau"].values
    early, late = 5, 30
    phi, _ = phi_and_variance(gaussian, p, tau[early], tau[late])
    slope = np.cov(z[:, early], z[:, late])[0, 1] / z[:, early].var()
    np.testing.assert_allclose(slope, phi, atol=4 * z[:, late].std() / z[:, early].std() / 60)


def test_contracts_of_a_curve_share_their_shocks(closed, fixed, gaussian):
    p = parameters_of(fixed)
    assert closed.sizes["contract"] > 1
    moves = []
    for position in (0, 1):
        own = closed.isel(contract=position)
        z, tau = own["deviation"].values.reshape(-1, own.sizes["step"]), own["tau"].values
        phi, _ = phi_and_variance(gaussian, p, tau[10], tau[11])
        moves.append(z[:, 11] - phi * z[:, 10])
    found = np.corrcoef(moves)[0, 1]
    np.testing.assert_allclose(found, p["correlation"].item(), atol=4.5 * (1 - found**2) / 60)


def test_regimes_start_as_filtered_and_move_as_the_chain_does(fabricate, spec, one):
    fit = fabricate(spec, one, draws=2000, spread=0.0)
    paths = bb.forecast(fit, seed=3)
    regime = paths["regime"].isel(contract=-1).values.reshape(4000, -1)
    filtered = bb.filter_states(fit, draws=1)["regime_filtered"].values[0, 0, -1, 1]
    np.testing.assert_allclose((regime[:, 0] == 2).mean(), filtered, atol=4 * 0.5 / 4000**0.5)
    leave = 365 / parameters_of(fit)["stay"][0]
    rates = np.array([[-leave[0], leave[0]], [leave[1], -leave[1]]])
    days = np.diff(paths["time"].isel(contract=-1).values).astype(float) / 86_400e9
    whole = np.flatnonzero(days == 1.0)
    before, after = regime[:, whole].ravel(), regime[:, whole + 1].ravel()
    moves = expm(rates / 365)
    for k in (1, 2):
        count = (before == k).sum()
        np.testing.assert_allclose(
            (after[before == k] == 2).mean(), moves[k - 1, 1], atol=2.5 / count**0.5
        )


def test_the_wild_regime_moves_more_by_its_ratio(fabricate, spec, one):
    fit = fabricate(spec, one, draws=2000, spread=0.0)
    paths = bb.forecast(fit, seed=4).isel(contract=-1)
    p = parameters_of(fit)
    z, regime = (paths[name].values.reshape(4000, -1) for name in ("deviation", "regime"))
    tau, tail = paths["tau"].values, p["tail"].item()
    step = 20
    phi, v = phi_and_variance(spec, p, tau[step], tau[step + 1])
    move = (z[:, step + 1] - phi * z[:, step]) / np.sqrt(v)
    for k in (1, 2):
        own = move[regime[:, step + 1] == k] / (p["volatility"][0, k - 1] * BP_PER_DAY)
        assert kstest(own, "t", args=(tail,)).pvalue > 1e-3


@pytest.mark.parametrize("shared_by", ["underlying", "venue", "market"])
def test_chains_of_regimes_are_shared_by_whom_the_card_says(fabricate, spec, panel, shared_by):
    card = replace(spec, regimes=Regimes(count=2, shared_by=shared_by))
    paths = bb.forecast(fabricate(card, panel, draws=50), seed=5)
    regime, owner = paths["regime"].transpose("contract", ...).values, paths["underlying"].values
    for i in range(len(owner)):
        for j in range(i):
            alive = (regime[i] > 0) & (regime[j] > 0)
            same = (regime[i] == regime[j])[alive].all()
            assert same == (shared_by != "underlying" or owner[i] == owner[j])


# What is known at the origin ---------------------------------------------------------------------


def test_an_origin_in_the_past_warns_of_hindsight(fabricated):
    with pytest.warns(UserWarning, match=HINDSIGHT) as caught:
        bb.forecast(fabricated, "2022-05-02T12:00", seed=1)
    assert [str(warning.message) for warning in caught] == [
        "the fit learned its parameters from quotes up to 2022-07-08T00:00:00, after the origin "
        "2022-05-02T12:00:00: states and carry use earlier quotes alone, parameters do not. For an "
        "honest backtest fit bayesbasis.known_at(panel, origin)."
    ]
    assert caught[0].filename == __file__


def test_an_origin_in_the_past_knows_nothing_of_the_future(fabricated, panel):
    origin = np.datetime64("2022-05-02", "ns")
    later = panel["time"].values > origin
    shaken = panel["basis"].values + later * 0.05 * np.cos(np.arange(later.size))
    changed = panel.assign(basis=panel["basis"].copy(data=shaken), spot=panel["spot"] * (1 + later))
    cut = bb.known_at(panel, origin)
    runs = []
    for quotes in (None, changed, cut):
        with pytest.warns(UserWarning, match=HINDSIGHT):
            runs.append(bb.forecast(fabricated, origin, seed=6, panel=quotes))
    xr.testing.assert_identical(runs[0], runs[1])
    xr.testing.assert_identical(runs[0], runs[2])
    earlier = panel["basis"].copy(data=panel["basis"].values + ~later * 0.001)
    with pytest.warns(UserWarning, match=HINDSIGHT):
        other = bb.forecast(fabricated, origin, seed=6, panel=panel.assign(basis=earlier))
    assert not np.allclose(other["carry"], runs[0]["carry"])


def test_contracts_listed_after_the_origin_are_not_forecast(fabricated, panel):
    with pytest.warns(UserWarning, match=HINDSIGHT):
        past = bb.forecast(fabricated, "2022-03-01", seed=1)
    index, time = panel["contract_index"].values, panel["time"].values
    listed = np.array([time[index == c].min() for c in range(panel.sizes["contract"])])
    expected = panel["contract"].values[listed <= np.datetime64("2022-03-01")]
    assert past["contract"].values.tolist() == expected.tolist()


def test_a_fit_of_what_was_known_forecasts_without_a_warning(fabricate, spec, panel):
    known = bb.known_at(panel, "2022-05-02")
    paths = bb.forecast(fabricate(spec, known), seed=1)
    assert paths.attrs["origin"].startswith("2022-05-02")


@pytest.mark.parametrize(
    "origin",
    [
        "2022-07-09",
        "2022-07-09T00:00Z",
        datetime(2022, 7, 9),
        datetime(2022, 7, 9, tzinfo=UTC),
        pd.Timestamp("2022-07-09"),
        pd.Timestamp("2022-07-09 02:00", tz="Europe/Berlin"),
        np.datetime64("2022-07-09"),
    ],
)
def test_an_origin_may_be_written_in_any_way_that_is_an_instant(fabricated, origin):
    paths = bb.forecast(fabricated, origin, seed=1, horizon="2D", draws=2)
    assert (paths["time"].isel(step=0) == np.datetime64("2022-07-09", "ns")).all()


def test_a_stale_quote_is_carried_to_the_origin(fixed, gaussian, one):
    origin = LAST + np.timedelta64(9, "D")
    paths = bb.forecast(fixed, origin, seed=7)
    p = parameters_of(fixed)
    sigma = p["volatility"].item() * BP_PER_DAY
    for name in paths["contract"].values:
        level, spread, tau, carry = last_state(gaussian, p, one, name)
        own = paths.sel(contract=name).isel(step=0)
        end = own["tau"].item()
        np.testing.assert_allclose(end, tau - 9 / 365, atol=1e-12)
        phi, v = phi_and_variance(gaussian, p, tau, end)
        unknown = spread_after(gaussian, p, [tau, end], spread)
        z = own["deviation"].values.ravel()
        quote = own["basis"].values.ravel() - carry * end
        state = phi**2 * spread + v
        assert_moments(z, phi * level, sigma * np.sqrt(state - unknown))
        # Nothing was quoted at the origin, so the quote there is uncertain.
        assert_moments(quote, phi * level, sigma * np.sqrt(state + p["noise"].item() / 365))


def test_a_listing_with_one_quote_draws_its_carry_from_both(fixed, gaussian, prices):
    newer = pd.concat(
        [
            prices[prices["underlying"] == "BTC"],
            prices.tail(1).assign(
                underlying="BTC", contract="BTC-NEW", expiry=pd.Timestamp("2023-03-31T08:00Z")
            ),
        ]
    )
    panel, _ = bb.make_panel(newer, bb.Cleaning(min_rows=1))
    carry = 100 * bb.forecast(fixed, seed=8, panel=panel)["carry"].sel(contract="BTC-NEW")
    mean, covariance, contracts = exact_carry(fixed, gaussian, panel)
    own = contracts.index("BTC-NEW")
    standard = (carry.values.ravel() - mean[own]) / np.sqrt(covariance[own, own])
    assert kstest(standard, "norm").pvalue > 1e-3


def test_a_listing_with_quotes_draws_its_carry_from_population_and_quotes(fixed, gaussian):
    prices, _ = bb.simulate_market(seed=3, quarters=5, underlyings=["BTC"])
    newer = prices[prices["time"] <= "2022-11-01"]
    panel, _ = bb.make_panel(newer)
    name = panel["contract"].values[-1]
    assert name not in fixed["constant_data"]["contract"].values
    paths = bb.forecast(fixed, seed=9, panel=panel)
    assert (paths["time"].isel(step=0) == np.datetime64("2022-11-01", "ns")).all()
    mean, covariance, contracts = exact_carry(fixed, gaussian, panel)
    drawn = 100 * paths["carry"].values.reshape(4000, -1)
    for position, contract in enumerate(paths["contract"].values):
        own = contracts.index(contract)
        sd = np.sqrt(covariance[own, own])
        assert kstest((drawn[:, position] - mean[own]) / sd, "norm").pvalue > 1e-3


def exact_carry(fit, spec, panel):
    """Gaussian posterior of the carry that the fit does not know, in % a year.

    The log likelihood is a quadratic of it: three points a pair tell which.
    """
    seen = fit["constant_data"].to_dataset()
    last = {
        name: seen["time"].values[seen["contract_index"].values == c].max()
        for c, name in enumerate(seen["contract"].values)
    }
    names = panel["contract"].values.tolist()
    here = [
        panel["time"].values[panel["contract_index"].values == c].max() for c in range(len(names))
    ]
    fresh = [c for c, name in enumerate(names) if last.get(name) != here[c]]
    p, layout = parameters_of(fit), lay_out(spec, panel)
    known = dict(zip(fit["posterior"]["contract"].values, p["carry"], strict=True))
    base = np.array([0.0 if c in fresh else known[name] for c, name in enumerate(names)])
    tables = [
        spec.law.transition({n: p[n] for n in spec.law.parameters}, steps, np)
        for steps in layout.moves
    ]
    phi, variance = (np.concatenate(both) for both in zip(*tables, strict=True))

    def likelihood(carry):
        full = base.copy()
        full[fresh] = carry
        given = Parameters(
            layout.basis - 0.01 * full[layout.contract] * layout.tau,
            phi,
            variance,
            p["noise"] / 365,
            p["correlation"],
            np.array([np.inf]),
            p["volatility"] * BP_PER_DAY,
            np.zeros((1, 1, 1)),
        )
        return forward(
            layout.schedule, given, transitions(layout.schedule, given)
        ).log_density.sum()

    start, units = np.full(len(fresh), p["carry_mean"].item()), np.eye(len(fresh))
    middle = likelihood(start)
    up, down = ([likelihood(start + sign * unit) for unit in units] for sign in (1, -1))
    slope = (np.array(up) - down) / 2
    curvature = np.diag(2 * middle - np.array(up) - down)
    for i in range(len(fresh)):
        for j in range(i):
            both = likelihood(start + units[i] + units[j])
            curvature[i, j] = curvature[j, i] = -(both - up[i] - up[j] + middle)
    precision = curvature + np.eye(len(fresh)) / p["carry_between_contracts"] ** 2
    mean = start + np.linalg.solve(precision, slope)
    return mean, np.linalg.inv(precision), [names[c] for c in fresh]


def test_carry_of_a_contract_without_newer_quotes_is_that_of_the_fit(fabricated, paths):
    expected = 0.01 * fabricated["posterior"]["carry"].sel(contract=paths["contract"])
    np.testing.assert_allclose(paths["carry"], expected, rtol=1e-14)


# What one may ask for ----------------------------------------------------------------------------


def test_contracts_may_be_chosen(fabricated, paths):
    names = paths["contract"].values[[2, 0]].tolist()
    chosen = bb.forecast(fabricated, contracts=names, seed=1)
    assert sorted(chosen["contract"].values) == sorted(names)


def test_the_horizon_ends_the_paths(fabricated):
    paths = bb.forecast(fabricated, horizon="10D", seed=1)
    assert paths.sizes["step"] == 11
    assert (paths["time"].isel(step=-1) == LAST + np.timedelta64(10, "D")).all()
    assert (paths["tau"] > 0).all()
    same = bb.forecast(fabricated, horizon=np.timedelta64(10, "D"), seed=1)
    xr.testing.assert_identical(paths, same)


def test_a_horizon_beyond_expiry_ends_at_expiry(fabricated, paths):
    xr.testing.assert_identical(bb.forecast(fabricated, horizon="9999D", seed=1), paths)


def test_instants_may_be_chosen_and_lead_to_the_same_place(closed, fixed):
    chosen = closed["time"].values[0, [9, 3]]
    paths = bb.forecast(fixed, times=[*chosen, LAST], seed=3)
    np.testing.assert_array_equal(paths["time"][0], sorted([LAST, *chosen]))
    for step, same in ((1, 3), (2, 9)):
        one, other = (
            x["basis"].isel(contract=0) for x in (paths.isel(step=step), closed.isel(step=same))
        )
        np.testing.assert_allclose(one.std(), other.std(), rtol=0.05)
        np.testing.assert_allclose(one.mean(), other.mean(), atol=0.06 * float(other.std()))


def test_instants_before_the_origin_are_an_error(fixed):
    with pytest.raises(ValueError, match="none of the 1 times lies after the origin 2022-07-08"):
        bb.forecast(fixed, times=[LAST], seed=1)


def test_weekends_are_skipped_where_nothing_is_quoted_then(fabricate, gaussian, prices):
    weekdays = prices[prices["time"].dt.day_of_week < 5]
    panel, _ = bb.make_panel(weekdays[weekdays["underlying"] == "BTC"])
    paths = bb.forecast(fabricate(gaussian, panel), seed=1).isel(contract=-1)
    days = pd.DatetimeIndex(paths["time"].values).day_of_week
    assert days.max() == 4
    assert paths["time"].values[0] == LAST


def test_fewer_draws_are_spread_over_the_chains(fabricated):
    paths = bb.forecast(fabricated, draws=4, seed=1)
    assert paths["draw"].values.tolist() == [0, 7]
    expected = 0.01 * fabricated["posterior"]["carry"].sel(
        contract=paths["contract"], draw=paths["draw"]
    )
    np.testing.assert_allclose(paths["carry"], expected, rtol=1e-14)


def test_the_same_seed_gives_the_same_paths(fabricated, paths):
    xr.testing.assert_identical(bb.forecast(fabricated, seed=1), paths)
    other = bb.forecast(fabricated, seed=2)
    assert not np.allclose(other["basis"].isel(step=3), paths["basis"].isel(step=3))


def test_a_quote_hours_before_expiry_is_forecast_to_expiry(fabricate, gaussian):
    prices, _ = bb.simulate_market(seed=3, quarters=1, underlyings=["BTC"])
    panel, _ = bb.make_panel(prices)
    paths = bb.forecast(fabricate(gaussian, panel), seed=1)
    assert paths.sizes["step"] == 2
    np.testing.assert_allclose(365 * 24 * paths["tau"].values, [[8.0, 0.0]])
    assert (paths["deviation"].isel(step=1) == 0).all()


# What one may not --------------------------------------------------------------------------------


def message_of(call):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is checked
        call()
    return str(caught.value)


def test_an_origin_after_every_expiry_is_an_error(fabricated):
    assert message_of(lambda: bb.forecast(fabricated, "2025-01-01", seed=1)) == (
        "no contract is live at 2025-01-01T00:00:00: the last expires at 2022-12-30T08:00:00. "
        "Take an earlier origin or a newer panel."
    )


def test_an_origin_before_every_quote_is_an_error(fabricated):
    with (
        pytest.warns(UserWarning, match=HINDSIGHT),
        pytest.raises(ValueError, match="no quote is known at 2021-01-01"),
    ):
        bb.forecast(fabricated, "2021-01-01", seed=1)


@pytest.mark.parametrize(
    ("contracts", "start"),
    [
        (["BTC-25MAR22"], "BTC-25MAR22 cannot be forecast from 2022-07-08T00:00:00; live there: "),
        (["DOGE-1"], "DOGE-1 cannot be forecast from 2022-07-08T00:00:00; live there: "),
        ([], "no contract cannot be forecast from 2022-07-08T00:00:00; live there: "),
    ],
)
def test_contracts_that_are_not_live_are_an_error(fabricated, paths, contracts, start):
    message = message_of(lambda: bb.forecast(fabricated, contracts=contracts, seed=1))
    assert message == start + ", ".join(paths["contract"].values)


@pytest.mark.parametrize("horizon", ["0D", "-3D"])
def test_a_horizon_must_be_positive(fabricated, horizon):
    assert message_of(lambda: bb.forecast(fabricated, horizon=horizon, seed=1)) == (
        f"horizon is '{horizon}'; give a positive time such as '30D'"
    )


def test_one_of_two_underlyings_is_forecast_with_its_own_parameters(fabricated, panel, prices):
    alone, _ = bb.make_panel(prices[prices["underlying"] == "ETH"])
    paths = bb.forecast(fabricated, seed=1, panel=alone)
    assert set(paths["underlying"].values) == {"ETH"}
    both = bb.forecast(fabricated, seed=1)
    # The noise at expiry is that of ETH, not of the first underlying.
    noise = fabricated["posterior"]["noise"].sel(underlying="ETH")
    sigma = fabricated["posterior"]["volatility"].sel(underlying="ETH") * BP_PER_DAY
    spread = sigma.isel(regime=-1) * np.sqrt(noise / 365)
    own = paths.isel(contract=0)
    at_expiry = own.isel(step=int(np.flatnonzero(own["tau"].values == 0.0)[0]))["basis"]
    assert (np.abs(at_expiry) < 8 * spread).all()
    np.testing.assert_allclose(
        paths["carry"].values, both["carry"].sel(contract=paths["contract"]).values
    )


def test_venues_are_told_apart_when_one_is_missing_at_the_origin(fabricate, gaussian, prices):
    labelled = prices.assign(venue=np.where(prices["underlying"] == "BTC", "a", "b"))
    panel, _ = bb.make_panel(labelled)
    fit = fabricate(gaussian, panel, draws=500)
    eth = labelled[labelled["underlying"] == "ETH"]
    # An hour before expiry a quote says next to nothing of carry.
    last = eth.tail(1)
    soon = last["time"].max() + pd.Timedelta("1h")
    new = last.assign(contract="ETH-NEW", expiry=soon, futures=last["spot"])
    alone, _ = bb.make_panel(pd.concat([eth, new]), bb.Cleaning(min_rows=1))
    carry = 100 * bb.forecast(fit, seed=1, panel=alone)["carry"].sel(contract="ETH-NEW")
    p = fit["posterior"].to_dataset()
    centre = p["carry_mean"] + p["carry_venue"].sel(venue="b")
    centre = centre + p["carry_underlying"].sel(underlying="ETH")
    standard = ((carry - centre) / p["carry_between_contracts"]).values.ravel()
    assert kstest(standard, "norm").pvalue > 1e-3
