"""Facts about the filter of regimes with speeds of their own."""

from itertools import product

import numpy as np
import pytest
from scipy.linalg import expm, null_space
from scipy.stats import multivariate_normal, multivariate_t

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters
from bayesbasis.process.paced import Paced, paced_sweep, plain, run_filter
from bayesbasis.process.replication import replicate
from bayesbasis.process.simulation import simulate_deviations

MARKETS = {
    "two regimes": {},
    "three regimes": {"regimes": 3},
    "gaussian": {"gaussian": True},
    "one regime": {"regimes": 1},
    "a curve of five": {"contracts": 5},
    "one contract each": {"contracts": 1},
    "one chain for the market": {"market": True, "regimes": 3},
    "parameters shared by underlyings": {"pooled": False},
}
every_market = pytest.mark.parametrize("options", MARKETS.values(), ids=list(MARKETS))


def paced(case, seed=0):
    """The same market, whose wilder regimes have speeds of their own."""
    p = case.parameters
    rng = np.random.default_rng(seed)
    shape = (p.scale.shape[1] - 1, len(p.phi))
    return Paced(*p, pace=rng.uniform(0.1, 1.2, shape))


def richardson(function, step=0.01):
    def central(h):
        return (function(h) - function(-h)) / (2.0 * h)

    a, b, c = central(step), central(step / 2), central(step / 4)
    return (64 * c - 20 * b + a) / 45.0


def directions(name, value):
    """Moves of every entry; of a generator those that keep its rows at zero."""
    for index in np.ndindex(value.shape):
        move = np.zeros_like(value)
        move[index] = np.abs(value).mean() if name == "deviation" else value[index]
        if name == "rates":
            chain, start, end = index
            if start == end:
                continue
            move[chain, start, start] = -move[index]
        yield move


@every_market
@pytest.mark.parametrize("noise", [1.0, 0.0])
def test_with_one_speed_for_all_it_is_the_filter(market, options, noise):
    case = market(1, times=15, **options)
    p = case.parameters._replace(noise=noise * case.parameters.noise)
    pace = np.tile(p.phi, (p.scale.shape[1] - 1, 1))
    found, expected = paced_sweep(case.schedule, Paced(*p, pace)), sweep(case.schedule, p)
    np.testing.assert_allclose(found.sweep.value, expected.value, rtol=1e-13)
    for name in ("level", "spread", "filtered", "log_density"):
        np.testing.assert_allclose(
            getattr(found.sweep.states, name), getattr(expected.states, name), rtol=1e-9
        )
    np.testing.assert_allclose(found.sweep.future, expected.future, rtol=1e-9)
    np.testing.assert_allclose(found.sweep.by_distance, expected.by_distance, rtol=1e-9)
    gradient, wanted = found.sweep.gradient, expected.gradient
    # Each regime answers for its own share of a move.
    together = gradient._replace(phi=gradient.phi + found.by_pace.sum(0))
    for name in Parameters._fields:
        scale = np.abs(getattr(wanted, name)).max()
        np.testing.assert_allclose(
            getattr(together, name), getattr(wanted, name), rtol=1e-8, atol=1e-10 * scale
        )


@every_market
def test_every_slope_is_a_finite_difference(market, options):
    case = market(1, times=8, **options)
    p = paced(case, 1)
    result = paced_sweep(case.schedule, p)
    gradient = result.sweep.gradient._asdict() | {"pace": result.by_pace}
    for name in Paced._fields:
        value = getattr(p, name)
        if name == "tail" and np.isinf(value).any():
            continue
        found, expected = [], []
        for move in directions(name, value):

            def score(h, move=move, name=name, value=value):
                moved = p._replace(**{name: value + h * move})
                return paced_sweep(case.schedule, moved).sweep.value

            expected.append(richardson(score))
            found.append((gradient[name] * move).sum())
        if found:
            scale = np.abs(expected).max()
            np.testing.assert_allclose(
                found, expected, rtol=1e-6, atol=1e-8 * scale + 1e-9, err_msg=name
            )


def path_densities(case, p):
    """Log densities of all quotes along every path of regimes, from SciPy's distributions."""
    s, count = case.schedule, p.scale.shape[1]
    level, spread = p.deviation.copy(), p.noise[s.group]
    scores = np.empty((len(s.event_start), count))
    for t, (start, stop) in enumerate(zip(s.event_start, s.event_stop, strict=True)):
        rows, u = np.arange(start, stop), s.group[start]
        before, move = s.previous[rows], s.step[rows]
        predicted = p.phi[move] ** 2 * spread[before] + p.variance[move]
        total = predicted + p.noise[u]
        root = np.sqrt(total)
        correlation = np.where(np.eye(len(rows)), 1.0, p.correlation[u])
        for k in range(count):
            phi = p.phi[move] if k == 0 else p.pace[k - 1, move]
            shape = p.scale[u, k] ** 2 * correlation * np.outer(root, root)
            mean = phi * level[before]
            if np.isinf(p.tail[u]):
                law = multivariate_normal(mean, shape)
            else:
                law = multivariate_t(mean, shape, df=p.tail[u])
            scores[t, k] = law.logpdf(p.deviation[rows])
        mean, gain = p.phi[move] * level[before], predicted / total
        level[rows] = mean + gain * (p.deviation[rows] - mean)
        spread[rows] = p.noise[u] * gain
    rates = p.rates[0]
    first = null_space(rates.T / np.abs(rates).max())[:, 0]
    first = first / first.sum()
    weights = []
    for path in product(range(count), repeat=len(scores)):
        weight = np.log(first[path[0]])
        for t in range(1, len(path)):
            moves = expm(rates * s.gap_length[s.gap[t]])
            weight += np.log(moves[path[t - 1], path[t]])
        weights.append(weight + sum(scores[t, k] for t, k in enumerate(path)))
    return np.array(weights)


@pytest.mark.parametrize("gaussian", [False, True], ids=["student-t", "gaussian"])
@pytest.mark.parametrize(("regimes", "times"), [(2, 8), (3, 6)])
def test_the_likelihood_is_the_sum_over_all_paths_of_regimes(market, gaussian, regimes, times):
    case = market(2, times=times, regimes=regimes, gaussian=gaussian, underlyings=1, contracts=2)
    p = paced(case, 3)
    weights = path_densities(case, p)
    expected = weights.max() + np.log(np.exp(weights - weights.max()).sum())
    result = paced_sweep(case.schedule, p).sweep
    np.testing.assert_allclose(result.value, expected, rtol=1e-11)
    np.testing.assert_allclose(result.states.log_density.sum(), expected, rtol=1e-11)


def test_a_draw_is_filtered_as_it_asks(market):
    case = market(4, regimes=3)
    p = paced(case)
    assert plain(p) == case.parameters
    assert run_filter(case.schedule, case.parameters).value == sweep(*case[1:]).value
    assert run_filter(case.schedule, p).value == paced_sweep(case.schedule, p).sweep.value


def mean_scores(schedule, truth, panels):
    """Mean slope by every parameter over panels, and its standard error."""
    scores = []
    for quotes in panels:
        result = paced_sweep(schedule, truth._replace(deviation=quotes))
        g = result.sweep.gradient
        # Rows of a generator sum to zero: a rate grows at the cost of the stay.
        rates = g.rates - np.diagonal(g.rates, axis1=1, axis2=2)[..., None]
        own = [*g._replace(rates=rates)[1:], result.by_pace]
        scores.append(np.concatenate([np.ravel(x) for x in own]))
    return np.mean(scores, axis=0), np.std(scores, axis=0) / np.sqrt(len(scores))


def test_the_score_of_replicated_quotes_is_zero_on_average(market):
    """What is simulated is what is scored: when and only when they are one model."""
    case = market(3, times=20, regimes=3)
    rng, p = np.random.default_rng(0), paced(case)
    truth = p._replace(deviation=np.zeros_like(p.deviation))
    panels = [replicate(case.schedule, truth, rng) for _ in range(400)]
    mean, error = mean_scores(case.schedule, truth, panels)
    np.testing.assert_array_less(np.abs(mean), 4.5 * error + 1e-9)


def test_forecasts_run_the_filter_forward(daily_curve):
    """Regimes two days long each, so that their speeds are seen, with noise."""
    draws, contracts, days, f, day = 1500, 2, 8, 0.7 / 365, 1.0 / 365
    rng, rates = np.random.default_rng(5), np.array([[-180.0, 180.0], [180.0, -180.0]])
    truth = Paced(
        deviation=np.empty(0),
        phi=np.full(days, 0.95),
        variance=np.full(days, day),
        noise=np.array([f]),
        correlation=np.array([0.6]),
        tail=np.array([6.0]),
        scale=np.array([[0.1, 0.4]]),
        rates=rates[None],
        pace=np.full((1, days), 0.5),
    )
    regime = np.empty((draws, days), np.int64)
    regime[:, 0] = rng.random(draws) < 0.5
    for t in range(1, days):
        moves = expm(rates * day)
        regime[:, t] = rng.random(draws) > moves[regime[:, t - 1], 0]
    shape = (draws, contracts, days)
    start = np.full(shape[:2], 0.02)
    _, quotes = simulate_deviations(
        start,
        np.full(shape[:2], f),
        np.full(shape, 0.95),
        np.full(shape, day),
        truth.scale[0][regime],
        np.full(draws, 0.6),
        np.full(draws, 6.0),
        np.full(draws, f),
        rng,
        np.where(regime == 1, 0.5, 0.95)[:, None, :] * np.ones(shape),
    )
    panels = np.concatenate([start[..., None], quotes], axis=2).transpose(0, 2, 1).copy()
    schedule = daily_curve(contracts, days)
    mean, error = mean_scores(schedule, truth, panels.reshape(draws, -1))
    np.testing.assert_array_less(np.abs(mean), 4.5 * error + 1e-9)
