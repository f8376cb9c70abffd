from math import comb

import numpy as np
import pytensor.tensor as pt
import pytest

from bayesbasis.process.ladder import climb, flips, occupancy, rungs

GAPS = np.array([0.2, 0.5, 0.7])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_moves_are_those_of_a_markov_chain(count):
    moves = climb(np.array(1.3), GAPS, count, np)
    np.testing.assert_allclose(moves.sum(-1), 1.0, atol=1e-13)
    assert moves.min() >= 0.0
    np.testing.assert_allclose(moves[0] @ moves[1], moves[2], atol=1e-13)


@pytest.mark.parametrize("count", [2, 3, 7, 12])
def test_a_ladder_reverts_like_the_gaussian_process(count):
    moves = climb(np.array(1.3), GAPS, count, np)
    values, odds = rungs(count), occupancy(count)
    np.testing.assert_allclose(odds @ moves[1], odds, atol=1e-14)
    assert odds @ values == pytest.approx(0.0, abs=1e-14)
    assert odds @ values**2 == pytest.approx(1.0)
    for move, gap in zip(moves, GAPS, strict=True):
        np.testing.assert_allclose(move @ values, np.exp(-1.3 * gap) * values, atol=1e-13)
        spread = move @ values**2 - (move @ values) ** 2
        assert odds @ spread == pytest.approx(1 - np.exp(-2.6 * gap))


def test_every_choice_of_chains_flips_to_one_rung():
    ways = flips(5)
    np.testing.assert_array_equal(ways.sum(2), [[comb(4, m)] * 5 for m in range(5)])
    np.testing.assert_array_equal(ways[0], np.eye(5))
    np.testing.assert_array_equal(ways[4], np.eye(5)[::-1])


def test_odds_are_exact_however_small():
    # Four months of half-life, an hour: by the spectrum these came out as 5e-19, others below nil.
    rate, gap = np.log(2.0) / 120.0, 1.0 / 24.0
    move = climb(np.array(rate), np.array([gap]), 15, np)[0]
    flip = -np.expm1(-rate * gap) / 2.0
    np.testing.assert_allclose(move[0], [comb(14, j) * flip**j * (1 - flip) ** (14 - j)
                                         for j in range(15)], rtol=1e-12)  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 7])
def test_slopes_by_the_rate_are_those_of_the_moves(count):
    rate, weight = pt.dscalar(), np.random.default_rng(1).standard_normal((3, count, count))
    total = (climb(rate, pt.as_tensor(GAPS), count, pt) * weight).sum()
    slope = pt.grad(total, rate, disconnected_inputs="ignore").eval({rate: 1.3})
    step = 1e-6
    high, low = (climb(np.array(1.3 + s), GAPS, count, np) for s in (step, -step))
    assert slope == pytest.approx(((high - low) * weight).sum() / (2.0 * step), rel=1e-6, abs=1e-9)


def test_the_occupancy_tends_to_the_normal():
    values, odds = rungs(41), occupancy(41)
    assert odds @ values**4 == pytest.approx(3.0, abs=0.06)


def test_draws_come_side_by_side():
    rates = np.array([[0.5, 1.0, 2.0], [3.0, 4.0, 5.0]])
    moves = climb(rates, GAPS, 4, np)
    assert moves.shape == (2, 3, 3, 4, 4)
    np.testing.assert_allclose(moves[1, 0], climb(rates[1, 0], GAPS, 4, np))
