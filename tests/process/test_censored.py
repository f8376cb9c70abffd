from itertools import product

import numpy as np
import pytest
from scipy.stats import t

from bayesbasis.process.censored import Chains, Settlements, score, settlement_sweep, track
from bayesbasis.process.ladder import climb

GAPS = np.array([1.0, 2.0])


def settlements(rng, events, cells, each=3):
    count = events * each
    lower = rng.normal(0, 5, count)
    upper = lower.copy()
    dead = rng.random(count) < 0.5
    lower[dead], upper[dead] = -4.0, 6.0
    upper[rng.random(count) < 0.05] = np.inf
    lower[rng.random(count) < 0.05] = -np.inf
    gap = rng.integers(0, 2, events)
    gap[[0, events // 2]] = -1
    start = np.arange(events) * each
    cell = rng.integers(0, cells, count)
    side = np.where(lower == upper, np.sign(lower - 1.0), -1.0)
    low, high = np.isfinite(lower) * side, np.isfinite(upper) * np.where(lower == upper, side, 1.0)
    return Settlements(start, start + each, gap, cell, lower, upper, low, high)


def parameters(rng, cells, count, slow=3, inner=2):
    states = slow * inner
    start = rng.random(states)
    return Chains(
        rng.normal(0, 3, (cells, states)),
        1.0 + rng.random((cells, states)),
        rng.normal(0, 1, count),
        rng.normal(0, 0.5, cells),
        climb(np.array(0.1), GAPS, slow, np),
        climb(np.array(1.0), GAPS, inner, np),
        start / start.sum(),
    )


def emission(s, p, i):
    """Likelihood of one settlement in every state, by scipy."""
    c = s.cell[i]
    own = t(4, p.location[c] + p.shift[i], p.scale[c])
    low = s.lower[i] + s.lower_side[i] * p.widening[c]
    if s.lower[i] == s.upper[i]:
        return own.pdf(low)
    return own.cdf(s.upper[i] + s.upper_side[i] * p.widening[c]) - own.cdf(low)


@pytest.fixture
def case():
    rng = np.random.default_rng(1)
    return settlements(rng, 8, 3), parameters(rng, 3, 24)


def test_settlements_score_as_student_t_with_four_degrees_of_freedom(case):
    s, p = case
    kinds = set()
    for i in range(len(s.cell)):
        like = np.ones(p.location.shape[1])
        score(s, p, 1.0 / p.scale, i, like)
        np.testing.assert_allclose(like, emission(s, p, i), rtol=1e-11)
        kinds.add((s.lower[i] == s.upper[i], np.isinf(s.lower[i]), np.isinf(s.upper[i])))
    assert len(kinds) >= 4


def test_the_dead_zone_and_what_is_beside_it_add_up_to_one():
    rng = np.random.default_rng(2)
    p = parameters(rng, 1, 3)._replace(shift=np.full(3, 0.7))
    edges = np.array([-np.inf, -4.0, 6.0, np.inf])
    zeros = np.zeros(3, dtype=int)
    low, high = np.array([0.0, -1.0, 1.0]), np.array([-1.0, 1.0, 0.0])
    s = Settlements(zeros, zeros, zeros, zeros, edges[:-1], edges[1:], low, high)
    total = np.zeros(p.location.shape[1])
    for i in range(3):
        like = np.ones_like(total)
        score(s, p, 1.0 / p.scale, i, like)
        total += like
    np.testing.assert_allclose(total, 1.0, rtol=1e-14)


def test_the_likelihood_is_the_sum_over_all_paths_of_the_chains():
    rng = np.random.default_rng(3)
    s, p = settlements(rng, 4, 2), parameters(rng, 2, 12)
    moves = [np.kron(p.slow[g], p.inner[g]) for g in range(2)]
    like = [
        np.prod([emission(s, p, i) for i in range(s.event_start[e], s.event_stop[e])], axis=0)
        for e in range(4)
    ]
    total = 0.0
    for path in product(range(6), repeat=4):
        weight = 1.0
        for e, state in enumerate(path):
            before = p.start[state] if s.gap[e] < 0 else moves[s.gap[e]][path[e - 1], state]
            weight *= before * like[e][state]
        total += weight
    assert settlement_sweep(s, p)[0] == pytest.approx(np.log(total), rel=1e-12)


def test_the_gradient_is_that_of_the_value(case):
    s, p = case
    value, gradient = settlement_sweep(s, p)
    assert value == pytest.approx(track(s, p).log_density.sum(), rel=1e-13)
    rng = np.random.default_rng(4)
    for name in Chains._fields:
        given, slope = getattr(p, name), getattr(gradient, name)
        direction = rng.standard_normal(given.shape)
        ahead, behind = (
            settlement_sweep(s, p._replace(**{name: given + h * direction}))[0]
            for h in (1e-6, -1e-6)
        )
        assert (ahead - behind) / 2e-6 == pytest.approx((slope * direction).sum(), rel=1e-6)


def test_filtered_states_are_probabilities(case):
    s, p = case
    found = track(s, p)
    np.testing.assert_allclose(found.filtered.sum(1), 1.0, rtol=1e-13)
    assert (found.filtered >= 0).all()


def test_many_venues_at_one_time_do_not_underflow():
    rng = np.random.default_rng(5)
    s, p = settlements(rng, 4, 2, each=400), parameters(rng, 2, 1600)
    one = np.array([np.sum([np.log(emission(s, p, i)) for i in range(400)], axis=0)])[0]
    first = np.log(p.start) + one
    expected = first.max() + np.log(np.exp(first - first.max()).sum())
    assert track(s, p).log_density[0] == pytest.approx(expected, rel=1e-10)
