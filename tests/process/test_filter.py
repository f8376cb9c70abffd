"""Facts about the filter: its likelihood and its states, each computed a second way."""

from collections import defaultdict
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import gammaln, logsumexp
from scipy.stats import multivariate_normal, multivariate_t, norm, t

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters, Schedule, backward, forward, transitions
from bayesbasis.process.laws import Anchored
from bayesbasis.process.quadrature import Steps
from bayesbasis.process.regimes import stationary

DAY = 1.0 / 365
SHORT = {
    "one regime": {"regimes": 1},
    "two regimes": {"regimes": 2, "times": 8},
    "three regimes": {"regimes": 3, "times": 6},
    "gaussian": {"gaussian": True},
    "three gaussian regimes": {"regimes": 3, "times": 6, "gaussian": True},
    "a curve of four": {"contracts": 4},
    "one contract each": {"contracts": 1},
    "one chain for the market": {"market": True, "times": 5},
    "the same, gaussian, three regimes": {
        "market": True, "times": 4, "regimes": 3, "gaussian": True
    },
    "parameters shared by underlyings": {"pooled": False},
    "one underlying": {"underlyings": 1, "contracts": 3},
}  # fmt: skip
every_market = pytest.mark.parametrize("options", SHORT.values(), ids=list(SHORT))


class Event(NamedTuple):
    path: int
    time: float
    group: int
    chain: int
    error: np.ndarray
    spread: np.ndarray


def kalman(case):
    """Run the scale-free recursion contract by contract; the events of each path, in order."""
    p, s = case.parameters, case.schedule
    state, events = {}, defaultdict(list)
    for i, q in enumerate(case.quotes):
        f = p.noise[s.group[i]]
        if q.contract not in state:
            state[q.contract] = (p.deviation[i], f)
            continue
        level, spread = state[q.contract]
        mean = p.phi[q.move] * level
        predicted = p.phi[q.move] ** 2 * spread + p.variance[q.move]
        error = p.deviation[i] - mean
        gain = predicted / (predicted + f)
        state[q.contract] = (mean + gain * error, (1.0 - gain) * predicted)
        key = (q.path, q.time, q.underlying, s.group[i])
        events[key].append((error, predicted + f))
    paths = defaultdict(list)
    chains = len(p.rates)
    for (path, time, _, group), rows in events.items():
        error, spread = np.array(rows).T
        paths[path].append(Event(path, time, group, path if chains > 1 else 0, error, spread))
    return list(paths.values()), state


def covariance(event, rho):
    count, root = len(event.error), np.sqrt(event.spread)
    return ((1.0 - rho) * np.eye(count) + rho) * np.outer(root, root)


def emissions(case, events):
    """Log density of every event in every regime, from scipy's distributions."""
    p = case.parameters
    table = np.empty((len(events), p.scale.shape[1]))
    for row, event in zip(table, events, strict=True):
        shape = covariance(event, p.correlation[event.group])
        nu = p.tail[event.group]
        for k, sigma in enumerate(p.scale[event.group]):
            law = (
                multivariate_normal(cov=sigma**2 * shape)
                if np.isinf(nu)
                else multivariate_t(shape=sigma**2 * shape, df=nu)
            )
            row[k] = law.logpdf(event.error)
    return table


def joint(case, events, scores):
    """Every path of regimes, and the log of its joint density with the events scored."""
    p, count = case.parameters, scores.shape[1]
    paths = np.array(list(product(range(count), repeat=len(scores))))
    weight = np.log(stationary(p.rates[events[0].chain]))[paths[:, 0]] + scores[0, paths[:, 0]]
    for n in range(1, len(scores)):
        move = expm(p.rates[events[n].chain] * (events[n].time - events[n - 1].time))
        with np.errstate(divide="ignore"):
            weight += np.log(move)[paths[:, n - 1], paths[:, n]] + scores[n, paths[:, n]]
    return paths, weight


def probabilities(paths, weight, position, count):
    return np.array(
        [np.exp(logsumexp(weight[paths[:, position] == k])) for k in range(count)]
    ) / np.exp(logsumexp(weight))


def dense_scores(case, events):
    """Log density of every event in every regime, from dense linear algebra, sizes in batches."""
    p, sizes = case.parameters, np.array([len(event.error) for event in events])
    table = np.empty((len(events), p.scale.shape[1]))
    for n in np.unique(sizes):
        rows = np.flatnonzero(sizes == n)
        group = np.array([events[row].group for row in rows])
        shape = np.stack(
            [covariance(events[row], p.correlation[events[row].group]) for row in rows]
        )
        error = np.stack([events[row].error for row in rows])[..., None]
        distance = (error * np.linalg.solve(shape, error)).sum((1, 2))
        distance = distance[:, None] / p.scale[group] ** 2
        table[rows] = -n * np.log(p.scale[group]) - 0.5 * np.linalg.slogdet(shape)[1][:, None]
        nu = p.tail[group][:, None]
        if np.isinf(nu).any():
            table[rows] += -0.5 * n * np.log(2 * np.pi) - 0.5 * distance
        else:
            table[rows] += gammaln((nu + n) / 2) - gammaln(nu / 2) - n / 2 * np.log(nu * np.pi)
            table[rows] -= (nu + n) / 2 * np.log1p(distance / nu)
    return table


def long_run(case, events):
    """Log density of every event of one path, regimes filtered in logarithms."""
    rates, known, densities = case.parameters.rates[events[0].chain], {}, []
    scores = dense_scores(case, events)
    filtered = predicted = np.log(stationary(rates))
    for n, event in enumerate(events):
        if n:
            gap = event.time - events[n - 1].time
            if gap not in known:
                with np.errstate(divide="ignore"):
                    known[gap] = np.log(expm(rates * gap))
            predicted = np.logaddexp.reduce(filtered[:, None] + known[gap], axis=0)
        densities.append(np.logaddexp.reduce(predicted + scores[n]))
        filtered = predicted + scores[n] - densities[-1]
    return np.array(densities)


def run(case):
    table = transitions(case.schedule, case.parameters)
    states = forward(case.schedule, case.parameters, table)
    return states, backward(case.schedule, table, states)


def single(z, phi, variance, *, regimes=1, tail=np.inf, noise=0.1 * DAY, scale=None, stay=10 * DAY):
    """One contract quoted every day."""
    n = len(z)
    rates = (np.ones((regimes, regimes)) - regimes * np.eye(regimes)) / stay
    whole = np.arange(n, dtype=np.int64)
    schedule = Schedule(
        previous=whole - 1,
        step=np.minimum(whole - 1, len(phi) - 1),
        group=np.zeros(n, np.int64),
        first=whole[:1],
        event_start=whole[1:],
        event_stop=whole[1:] + 1,
        gap=np.minimum(whole[1:] - 2, 0),
        chain=np.zeros(n - 1, np.int64),
        gap_length=np.array([DAY]),
        gap_chain=np.zeros(1, np.int64),
    )
    scale = np.ones((1, regimes)) if scale is None else np.atleast_2d(np.asarray(scale, float))
    parameters = Parameters(
        deviation=np.asarray(z, float),
        phi=np.asarray(phi, float),
        variance=np.asarray(variance, float),
        noise=np.array([noise]),
        correlation=np.array([0.5]),
        tail=np.array([tail]),
        scale=scale,
        rates=rates[None],
    )
    return schedule, parameters


def assert_all_finite(result):
    assert np.isfinite(result.value)
    for name, slope in result.gradient._asdict().items():
        assert np.isfinite(slope).all(), name
    for name, state in result.states._asdict().items():
        assert np.isfinite(state).all(), name


@every_market
@pytest.mark.parametrize("seed", range(3))
def test_the_likelihood_is_the_sum_over_all_paths_of_regimes(market, options, seed):
    case = market(seed, **options)
    expected = sum(
        logsumexp(joint(case, events, emissions(case, events))[1]) for events in kalman(case)[0]
    )
    np.testing.assert_allclose(sweep(case.schedule, case.parameters).value, expected, rtol=1e-10)


@every_market
def test_one_step_densities_are_ratios_of_sums_over_paths(market, options):
    case = market(5, **options)
    states, _ = run(case)
    expected = []
    for events in kalman(case)[0]:
        scores = emissions(case, events)
        partial = [logsumexp(joint(case, events, scores[: n + 1])[1]) for n in range(len(scores))]
        expected.append(np.diff(partial, prepend=0.0))
    np.testing.assert_allclose(states.log_density, np.concatenate(expected), rtol=1e-8, atol=1e-9)


@every_market
def test_filtered_and_smoothed_probabilities_are_shares_of_the_sum_over_paths(market, options):
    case = market(6, **options)
    count = case.parameters.scale.shape[1]
    filtered, smoothed = [], []
    for events in kalman(case)[0]:
        scores = emissions(case, events)
        paths, weight = joint(case, events, scores)
        for n in range(len(events)):
            filtered.append(probabilities(*joint(case, events, scores[: n + 1]), n, count))
            smoothed.append(probabilities(paths, weight, n, count))
    states, future = run(case)
    np.testing.assert_allclose(states.filtered, filtered, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(states.filtered * future, smoothed, rtol=1e-8, atol=1e-12)


@every_market
def test_levels_and_spreads_are_those_of_the_kalman_filter(market, options):
    case = market(7, **options)
    states, _ = run(case)
    last = {q.contract: i for i, q in enumerate(case.quotes)}
    for contract, (level, spread) in kalman(case)[1].items():
        np.testing.assert_allclose(states.level[last[contract]], level, rtol=1e-12)
        np.testing.assert_allclose(states.spread[last[contract]], spread, rtol=1e-12)


@pytest.mark.parametrize("gaussian", [False, True], ids=["student-t", "gaussian"])
@pytest.mark.parametrize(
    "options",
    [{"regimes": 1}, {"regimes": 2}, {"regimes": 3}, {"regimes": 4, "market": True}],
    ids=["one", "two", "three", "four, market"],
)
def test_a_long_series_agrees_with_logarithms_throughout(market, options, gaussian):
    case = market(8, times=1500, contracts=3, gaussian=gaussian, **options)
    expected = np.concatenate([long_run(case, events) for events in kalman(case)[0]])
    assert len(expected) > 2500
    result = sweep(case.schedule, case.parameters)
    np.testing.assert_allclose(result.states.log_density, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(result.value, expected.sum(), rtol=1e-11)


def test_one_gaussian_regime_is_the_dense_normal_density_of_all_quotes():
    """Given the first, which says where the deviation is up to its noise."""
    rng = np.random.default_rng(9)
    tau = np.sort(rng.uniform(0.002, 0.6, 40))[::-1]
    f, sigma = 0.7 * DAY, 0.3
    own = {"half_life": np.array([9.0]), "anchor": np.array([0.8])}
    own["volatility_exponent"] = np.array([0.6])

    def move(start, end):
        return Anchored().transition(own, Steps.between(start, end), np)

    z = 0.02 * rng.standard_normal(len(tau))
    phi, variance = move(tau[:-1], tau[1:])
    to_here, v_here = move(tau[0], tau[1:])
    state = to_here**2 * f + v_here
    cov = np.diag(state)
    for m in range(len(state)):
        for n in range(m + 1, len(state)):
            cov[m, n] = cov[n, m] = state[m] * move(tau[m + 1], tau[n + 1])[0][0]
    dense = multivariate_normal(to_here * z[0], sigma**2 * (cov + f * np.eye(len(state))))
    given = single(z, phi, variance, noise=f, scale=[sigma])
    np.testing.assert_allclose(sweep(*given).value, dense.logpdf(z[1:]), rtol=1e-10)


def test_the_order_of_contracts_within_an_event_does_not_matter(market):
    case = market(10, contracts=4)
    s, p = case.schedule, case.parameters
    row = int(np.argmax(s.event_stop - s.event_start))
    first = s.event_start[row]
    swap = np.arange(len(s.previous))
    swap[[first, first + 1]] = swap[[first + 1, first]]
    moved = s._replace(
        previous=np.where(s.previous[swap] < 0, -1, swap[s.previous[swap]]), step=s.step[swap]
    )
    np.testing.assert_allclose(
        sweep(moved, p._replace(deviation=p.deviation[swap])).value, sweep(s, p).value, rtol=1e-13
    )


def test_units_of_the_basis_add_a_constant_a_quote(market):
    case = market(11)
    s, p = case.schedule, case.parameters
    scored = (s.previous >= 0).sum()
    in_points = p._replace(deviation=1e4 * p.deviation, scale=1e4 * p.scale)
    expected = sweep(s, p).value - scored * np.log(1e4)
    np.testing.assert_allclose(sweep(s, in_points).value, expected, rtol=1e-12)


def test_a_regime_like_another_changes_nothing(market):
    one = market(12, regimes=1)
    p = one.parameters
    rates = np.array([[-30.0, 30.0], [9.0, -9.0]])
    twins = p._replace(
        scale=np.repeat(p.scale, 2, axis=1), rates=np.tile(rates, (len(p.rates), 1, 1))
    )
    np.testing.assert_allclose(
        sweep(one.schedule, twins).value, sweep(one.schedule, p).value, rtol=1e-12
    )


def test_a_jump_of_fifty_deviations_has_the_density_of_its_mixture():
    z = np.array([0.0, 0.0, 50.0, 50.0])
    # Without noise every innovation has variance σ² v, and the filter sits on the last quote.
    for tail in (np.inf, 4.0):
        for scale in ([1.0], [1.0, 3.0]):
            given = single(z, [1.0], [1.0], noise=0.0, tail=tail, regimes=len(scale), scale=scale)
            result = sweep(*given)
            assert_all_finite(result)
            law = norm if np.isinf(tail) else t(tail)
            scores = np.array([law.logpdf(np.diff(z) / sigma) - np.log(sigma) for sigma in scale]).T
            log_p = np.log(stationary(given[1].rates[0]))
            move = np.log(expm(given[1].rates[0] * DAY)) if len(scale) > 1 else np.zeros((1, 1))
            expected = []
            for n, score in enumerate(scores):
                log_p = logsumexp(log_p[:, None] + move, axis=0) + score if n else log_p + score
                expected.append(logsumexp(log_p))
                log_p = log_p - expected[-1]
            np.testing.assert_allclose(result.states.log_density, expected, rtol=1e-12)


@pytest.mark.parametrize("tail", [np.inf, 5.0], ids=["gaussian", "student-t"])
@pytest.mark.parametrize("ratio", [1e3, 1e6])
def test_regimes_a_thousand_times_apart_are_safe(tail, ratio):
    rng = np.random.default_rng(13)
    calm = np.repeat(rng.random(60) < 0.5, 50)
    moves = np.where(calm, 1.0, ratio) * rng.standard_normal(3000)
    z = np.concatenate([[0.0], np.cumsum(moves)])
    given = single(z, [1.0], [1.0], noise=1e-12, tail=tail, regimes=2, scale=[1.0, ratio])
    result = sweep(*given)
    assert_all_finite(result)
    law = norm if np.isinf(tail) else t(tail)
    scores = np.array([law.logpdf(moves / x) - np.log(x) for x in (1.0, ratio)]).T
    best = scores.max(axis=1)
    # Within what the regimes themselves can cost: ln P(stay) a day and ln P(switch) a switch.
    assert best.sum() - 1500.0 < result.value < best.sum()
    right = (result.states.filtered[:, 0] > 0.5) == calm
    assert right.mean() > 0.98


@pytest.mark.parametrize("regimes", [1, 2])
def test_a_hundred_thousand_steps_are_safe_and_score_what_theory_says(regimes):
    rng, count, phi, v, f, sigma = np.random.default_rng(14), 100_000, 0.99, 1.0, 0.3, 0.5
    z = np.zeros(count + 1)
    shocks = sigma * np.sqrt(v) * rng.standard_normal(count)
    for n, shock in enumerate(shocks):
        z[n + 1] = phi * z[n] + shock
    quotes = z + sigma * np.sqrt(f) * rng.standard_normal(count + 1)
    # A second regime that is never far from the first costs nothing that matters.
    scale = [sigma, 1.0001 * sigma][:regimes]
    result = sweep(*single(quotes, [phi], [v], noise=f, regimes=regimes, scale=scale))
    assert_all_finite(result)
    # The innovation variance settles where P = f P⁻ / (P⁻ + f) and P⁻ = φ² P + v.
    predicted = v
    for _ in range(200):
        predicted = phi**2 * predicted * f / (predicted + f) + v
    entropy = 0.5 * np.log(2 * np.pi * np.e * sigma**2 * (predicted + f))
    error = 4.0 * np.sqrt(0.5 / count)
    np.testing.assert_allclose(result.value / count, -entropy, atol=error)


@pytest.mark.parametrize("variance", [1e-9, 1e-3, 1e6])
def test_a_curve_of_a_thousand_contracts_neither_over_nor_underflows(variance):
    contracts = 1000
    rows = np.arange(contracts, dtype=np.int64)
    z = np.sqrt(variance) * np.random.default_rng(15).standard_normal(contracts)
    schedule = Schedule(
        previous=np.concatenate([np.full(contracts, -1), rows]),
        step=np.concatenate([np.full(contracts, -1), np.zeros(contracts, np.int64)]),
        group=np.zeros(2 * contracts, np.int64),
        first=rows,
        event_start=np.array([contracts]),
        event_stop=np.array([2 * contracts]),
        gap=np.array([-1]),
        chain=np.array([0]),
        gap_length=np.empty(0),
        gap_chain=np.empty(0, np.int64),
    )
    parameters = Parameters(
        deviation=np.concatenate([np.zeros(contracts), z]),
        phi=np.ones(1),
        variance=np.array([variance]),
        noise=np.zeros(1),
        correlation=np.zeros(1),
        tail=np.array([np.inf]),
        scale=np.ones((1, 1)),
        rates=np.zeros((1, 1, 1)),
    )
    result = sweep(schedule, parameters)
    assert_all_finite(result)
    expected = norm.logpdf(z, scale=np.sqrt(variance)).sum()
    np.testing.assert_allclose(result.value, expected, rtol=1e-12)


@pytest.mark.parametrize("gaussian", [False, True], ids=["student-t", "gaussian"])
def test_as_noise_fades_the_value_settles_on_that_without(market, gaussian):
    case = market(16, gaussian=gaussian)
    s, p = case.schedule, case.parameters

    def at(noise):
        return sweep(s, p._replace(noise=np.full_like(p.noise, noise)))

    without = at(0.0)
    assert_all_finite(without)
    for noise in (1e-8, 1e-12, 1e-100, 1e-300):
        near = at(noise)
        assert_all_finite(near)
        np.testing.assert_allclose(near.value, without.value, atol=1e4 * noise + 1e-9)
        np.testing.assert_allclose(
            near.gradient.noise, without.gradient.noise, rtol=1e5 * noise + 1e-9
        )


def test_a_chain_that_hardly_moves_and_one_that_hardly_stays_are_safe():
    z = 0.1 * np.random.default_rng(17).standard_normal(500)
    for stay in (1e6, 1e-7):
        given = single(z, [0.9], [DAY], tail=5.0, regimes=2, scale=[1.0, 3.0], stay=stay)
        assert_all_finite(sweep(*given))
