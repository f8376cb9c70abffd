import numpy as np
import pytest

from bayesbasis.process.ladder import climb, occupancy, projectors, rungs

GAPS = np.array([0.2, 0.5, 0.7])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_moves_are_those_of_a_markov_chain(count):
    moves = climb(np.array(1.3), GAPS, count, np)
    np.testing.assert_allclose(moves.sum(-1), 1.0, atol=1e-13)
    assert moves.min() > -1e-13
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


def test_projectors_add_up_to_standing_still_and_keep_to_themselves():
    each = projectors(5)
    np.testing.assert_allclose(each.sum(0), np.eye(5), atol=1e-14)
    np.testing.assert_allclose(each[1] @ each[1], each[1], atol=1e-14)
    np.testing.assert_allclose(each[1] @ each[2], 0.0, atol=1e-14)


def test_the_occupancy_tends_to_the_normal():
    values, odds = rungs(41), occupancy(41)
    assert odds @ values**4 == pytest.approx(3.0, abs=0.06)


def test_draws_come_side_by_side():
    rates = np.array([[0.5, 1.0, 2.0], [3.0, 4.0, 5.0]])
    moves = climb(rates, GAPS, 4, np)
    assert moves.shape == (2, 3, 3, 4, 4)
    np.testing.assert_allclose(moves[1, 0], climb(rates[1, 0], GAPS, 4, np))
