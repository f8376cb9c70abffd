"""Facts about the filter of basis and spot together, each computed a second way."""

from itertools import product

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import transitions
from bayesbasis.process.joint import Returns, basis_density, joint_sweep
from bayesbasis.process.regimes import stationary

MARKETS = {
    "two regimes": {},
    "three regimes": {"regimes": 3, "times": 6},
    "gaussian": {"gaussian": True},
    "a curve of four": {"contracts": 4},
    "one contract": {"contracts": 1},
    "one chain for the market": {"market": True, "times": 5},
    "parameters shared by underlyings": {"pooled": False},
    "one regime": {"regimes": 1},
}
every_market = pytest.mark.parametrize("options", MARKETS.values(), ids=list(MARKETS))


def returns(case, seed, missing=0.2):
    """Moves of spot, some of them missing, and parameters, none of them special."""
    rng = np.random.default_rng(seed)
    events, shape = len(case.schedule.event_start), case.parameters.scale.shape
    move = np.where(rng.random(events) < missing, np.inf, rng.standard_t(3, events))
    return Returns(move, rng.uniform(0.3, 2.0, shape), rng.uniform(-0.8, 0.8, shape))


def covariance(case, x, t, k):
    """Of the standardised innovations of an event, and of the move of spot if there is one."""
    p, s = case.parameters, case.schedule
    start = s.event_start[t]
    u, n = s.group[start], s.event_stop[t] - start
    rho, sigma = p.correlation[u], p.scale[u, k]
    matrix = np.full((n + 1, n + 1), sigma**2 * rho)
    np.fill_diagonal(matrix, sigma**2)
    volatility = x.volatility[u, k]
    # What one contract has in common with the mean shock of the curve.
    shared = x.with_curve[u, k] * np.sqrt((1 + rho * (n - 1)) / n)
    matrix[n] = matrix[:, n] = sigma * volatility * shared
    matrix[n, n] = volatility**2
    seen = n + np.isfinite(x.move[t])
    return matrix[:seen, :seen], p.tail[u]


def emissions(case, x):
    """Log density of every event in every regime, from scipy's distributions."""
    s, states = case.schedule, sweep(case.schedule, case.parameters).states
    table = np.empty((len(s.event_start), case.parameters.scale.shape[1]))
    for t, row in enumerate(table):
        own = slice(s.event_start[t], s.event_stop[t])
        value = states.shock[own]
        if np.isfinite(x.move[t]):
            value = np.append(value, x.move[t])
        for k in range(len(row)):
            matrix, nu = covariance(case, x, t, k)
            law = (
                multivariate_normal(cov=matrix)
                if np.isinf(nu)
                else multivariate_t(shape=matrix, df=nu)
            )
            row[k] = law.logpdf(value) + np.log(states.root[own]).sum()
    return table


def chains_of(s):
    """Events of every path of regimes."""
    starts = np.flatnonzero(s.gap < 0)
    return np.split(np.arange(len(s.gap)), starts[1:])


def joint_of_paths(case, events, scores):
    """Every path of regimes, and the log of its joint density with the events scored."""
    s, rates = case.schedule, case.parameters.rates[case.schedule.chain[events[0]]]
    paths = np.array(list(product(range(scores.shape[1]), repeat=len(events))))
    weight = np.log(stationary(rates))[paths[:, 0]] + scores[events[0], paths[:, 0]]
    for n, t in enumerate(events[1:], 1):
        with np.errstate(divide="ignore"):
            move = np.log(expm(rates * s.gap_length[s.gap[t]]))
        weight += move[paths[:, n - 1], paths[:, n]] + scores[t, paths[:, n]]
    return paths, weight


@every_market
@pytest.mark.parametrize("seed", range(2))
def test_the_likelihood_is_the_sum_over_all_paths_of_regimes(market, options, seed):
    case = market(seed, **options)
    x = returns(case, seed)
    scores = emissions(case, x)
    result = joint_sweep(case.schedule, case.parameters, x)
    total = 0.0
    for events in chains_of(case.schedule):
        paths, weight = joint_of_paths(case, events, scores)
        total += logsumexp(weight)
        for n, t in enumerate(events):
            chance = [np.exp(logsumexp(weight[paths[:, n] == k]) - logsumexp(weight))
                      for k in range(scores.shape[1])]  # fmt: skip
            smoothed = result.states.filtered[t] * result.future[t]
            np.testing.assert_allclose(smoothed, chance, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(result.value, total, rtol=1e-10)


def richardson(function, step):
    """Derivative at zero, to sixth order in `step`."""

    def central(h):
        return (function(h) - function(-h)) / (2.0 * h)

    a, b, c = central(step), central(step / 2), central(step / 4)
    return (64 * c - 20 * b + a) / 45.0


@every_market
def test_every_slope_is_a_finite_difference(market, options):
    case = market(3, **{"times": 12} | options)
    p, x = case.parameters, returns(case, 3)
    result, rng = joint_sweep(case.schedule, p, x), np.random.default_rng(0)
    fields = [(p, result.gradient, name) for name in p._fields if name not in ("rates", "tail")]
    fields += [(x, result.by_returns, name) for name in ("volatility", "with_curve")]
    if np.isfinite(p.tail).all():
        fields.append((p, result.gradient, "tail"))
    for whole, slopes, name in fields:
        value = getattr(whole, name)
        # Every entry at once in a direction of its own; by itself an entry may hardly matter.
        for _ in range(3):
            move = value * rng.uniform(-1, 1, value.shape)

            def score(h, whole=whole, name=name, value=value, move=move):
                moved = whole._replace(**{name: value + h * move})
                both = (moved, x) if whole is p else (p, moved)
                return joint_sweep(case.schedule, *both).value

            expected, found = richardson(score, 0.01), (getattr(slopes, name) * move).sum()
            np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7, err_msg=name)


def test_generators_have_the_slopes_that_smoothed_regimes_give(market):
    case = market(4, regimes=3, times=12)
    p, x = case.parameters, returns(case, 4)
    slopes = joint_sweep(case.schedule, p, x).gradient.rates
    for chain, start, end in np.ndindex(p.rates.shape):
        if start == end:
            continue
        move = np.zeros_like(p.rates)
        move[chain, start, end], move[chain, start, start] = 1.0, -1.0

        def score(h, move=move):
            return joint_sweep(case.schedule, p._replace(rates=p.rates + h * move), x).value

        np.testing.assert_allclose((slopes * move).sum(), richardson(score, 0.5), rtol=1e-6)


@every_market
def test_without_spot_it_is_the_filter_of_the_basis(market, options):
    case = market(1, **options)
    x = returns(case, 1, missing=1.1)
    alone = sweep(case.schedule, case.parameters)
    both = joint_sweep(case.schedule, case.parameters, x)
    np.testing.assert_allclose(both.value, alone.value, rtol=1e-12)
    for name, slope in alone.gradient._asdict().items():
        found = getattr(both.gradient, name)
        np.testing.assert_allclose(found, slope, rtol=1e-8, atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(both.by_returns.volatility, 0.0)


@every_market
def test_basis_and_spot_given_basis_add_up_to_both(market, options):
    """The share of the basis is what is expected of it, summed over the regimes to come."""
    case = market(2, **options)
    p, s, x = case.parameters, case.schedule, returns(case, 2)
    states, table = joint_sweep(s, p, x).states, transitions(s, p)
    found = basis_density(s, p, states.filtered, table)
    bare = emissions(case, x._replace(move=np.full_like(x.move, np.inf)))
    for t in range(len(found)):
        before = (
            stationary(p.rates[s.chain[t]])
            if s.gap[t] < 0
            else states.filtered[t - 1] @ expm(p.rates[s.chain[t]] * s.gap_length[s.gap[t]])
        )
        assert found[t] == pytest.approx(logsumexp(bare[t], b=before), rel=1e-9)
    unseen = np.isinf(x.move)
    np.testing.assert_allclose(found[unseen], states.log_density[unseen], rtol=1e-9)
    assert (np.abs(found - states.log_density)[~unseen] > 1e-6).all()
