"""Facts about the filter of regimes with speeds of their own."""

from itertools import product

import numpy as np
import pytest
from scipy.linalg import expm, null_space
from scipy.stats import multivariate_normal, multivariate_t

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters
from bayesbasis.process.paced import Paced, filtered, paced_sweep, plain

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
@pytest.mark.parametrize("seed", range(2))
def test_every_slope_is_a_finite_difference(market, options, seed):
    case = market(seed, times=10, **options)
    p = paced(case, seed)
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
    assert filtered(case.schedule, case.parameters).value == sweep(*case[1:]).value
    assert filtered(case.schedule, p).value == paced_sweep(case.schedule, p).sweep.value
