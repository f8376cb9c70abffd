"""Facts about moves and their grids."""

import numpy as np
import pytest

from bayesbasis.process.quadrature import Steps, split_by_stiffness

DAY, MINUTE = 1.0 / 365, 1.0 / (365 * 24 * 60)


def moves(count, seed=0):
    rng = np.random.default_rng(seed)
    end, length = np.exp(rng.uniform(np.log(MINUTE), np.log(1.0), (2, count)))
    return end + length, end


def test_weights_sum_to_the_time_elapsed():
    start, end = moves(300)
    for steps in (Steps.between(start, end), *map(Steps.between, start, end)):
        np.testing.assert_allclose(steps.weights.sum(-1), steps.elapsed, rtol=1e-9)


def test_nodes_lie_within_the_move():
    start, end = moves(300)
    steps = Steps.between(start, end)
    used = steps.weights > 0
    first, last = (np.broadcast_to(x[:, None], used.shape)[used] for x in (end, start))
    tau = np.exp(steps.node_log_tau[used])
    assert ((tau > first) & (tau < last)).all()
    np.testing.assert_allclose(steps.node_elapsed[used], tau - first, atol=1e-15)


def test_logarithms_are_those_of_the_times():
    steps = Steps.between([0.5, 0.2], [0.25, 0.1])
    np.testing.assert_allclose(steps.elapsed, [0.25, 0.1])
    np.testing.assert_allclose(steps.log_ratio, np.log([0.5, 0.5]))
    np.testing.assert_allclose(steps.log_end, np.log([0.25, 0.1]))


def test_a_move_to_expiry_has_no_weight_and_ends_at_minus_infinity():
    steps = Steps.between([0.5, 0.5], [0.0, 0.1])
    np.testing.assert_array_equal(steps.weights[0], 0.0)
    np.testing.assert_allclose(steps.weights[1].sum(), 0.4, rtol=1e-10)
    np.testing.assert_array_equal(steps.log_end[0], -np.inf)
    np.testing.assert_array_equal(steps.log_ratio[0], -np.inf)
    assert np.isfinite(steps.node_log_tau).all()
    assert np.isfinite(steps.node_elapsed).all()


def test_an_ordinary_day_needs_few_nodes_and_the_last_hours_more():
    ordinary = Steps.between([91 * DAY], [90 * DAY]).weights.shape[1]
    last = Steps.between([1 * DAY], [MINUTE]).weights.shape[1]
    assert ordinary <= 5
    assert last > 20


def test_moves_are_told_apart_by_how_much_they_change_the_integrand():
    start = np.array([91, 31, 3, 1, 0.5, 60]) * DAY
    end = np.array([90, 30, 2, 0.04, 0.0, 0.5]) * DAY
    np.testing.assert_array_equal(
        split_by_stiffness(start, end), [True, True, True, False, False, False]
    )


def test_easy_moves_share_one_small_panel():
    start, end = moves(300)
    easy = split_by_stiffness(start, end)
    assert 50 < easy.sum() < 250
    assert Steps.between(start[easy], end[easy]).weights.shape == (easy.sum(), 8)


def test_one_end_serves_many_starts():
    steps = Steps.between([0.3, 0.2], 0.1)
    np.testing.assert_allclose(steps.elapsed, [0.2, 0.1])


def test_no_moves_at_all():
    steps = Steps.between([], [])
    assert steps.elapsed.shape == (0,)
    assert steps.weights.shape == steps.node_elapsed.shape == steps.node_log_tau.shape
    assert len(steps.weights) == 0


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (
            [0.2, 0.1],
            [0.1, 0.1],
            "step 1 runs from time to expiry 0.1 to 0.1 years; a step needs start > end >= 0",
        ),
        (
            [0.1],
            [0.2],
            "step 0 runs from time to expiry 0.1 to 0.2 years; a step needs start > end >= 0",
        ),
        (
            [0.3, 0.2, 0.1],
            [0.1, 0.1, -0.5],
            "step 2 runs from time to expiry 0.1 to -0.5 years; a step needs start > end >= 0",
        ),
        (
            [float("nan")],
            [0.2],
            "step 0 runs from time to expiry nan to 0.2 years; a step needs start > end >= 0",
        ),
        (
            [0.3],
            [float("nan")],
            "step 0 runs from time to expiry 0.3 to nan years; a step needs start > end >= 0",
        ),
    ],
)
def test_time_to_expiry_must_shrink(start, end, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        Steps.between(start, end)
    assert str(error.value) == message
