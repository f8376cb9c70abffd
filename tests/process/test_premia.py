from datetime import date

import numpy as np
import pytest

from bayesbasis.data.exchanges import load_exchange
from bayesbasis.data.funding_rules import funding_from_premium, premium_from_funding
from bayesbasis.process.ladder import climb, occupancy, rungs
from bayesbasis.process.premia import Rules, draw_rows, simulate_premia, simulate_states


@pytest.mark.parametrize("venue", ["binance", "deribit", "dydx", "hyperliquid"])
def test_simulated_funding_obeys_the_rule_of_the_venue(venue):
    rule = load_exchange(venue).funding_rule("BTC", date(2024, 1, 1))
    hours = rule.interval_hours
    one = [np.array([x]) for x in (rule.interest, rule.clamp, rule.cap * 8 / hours)]
    rules = Rules(*(1e4 * x for x in one), np.array([rule.rule == "plain"]), np.zeros(1))
    premium = np.linspace(-0.01, 0.01, 401)[:, None]
    paid = rules.funding(1e4 * premium) * hours / 8e4
    np.testing.assert_allclose(paid, funding_from_premium(premium, rule), atol=1e-18)
    # What a rate tells in a simulation is what it tells of a history, off the zone's very edges.
    off = premium + 1e-6
    told = rules.told(rules.funding(1e4 * off))
    low, high = premium_from_funding(funding_from_premium(off, rule), rule)
    hidden = (low != high) & np.isfinite(low + high)
    known = np.where(hidden, np.nan, np.where(np.isfinite(low), low, high))
    np.testing.assert_allclose(told, 1e4 * known, rtol=1e-9)


def test_rows_are_drawn_with_their_odds():
    odds = np.tile([0.2, 0.0, 0.5, 0.3], (40_000, 1))
    drawn = draw_rows(odds, np.random.default_rng(1))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 40_000, odds[0], atol=0.01)
    assert not (drawn == 1).any()


def test_chains_move_as_their_matrices_say():
    draws, gaps = 40_000, np.array([0.3, 1.0])
    slow = np.broadcast_to(climb(np.array(0.7), gaps, 5, np), (draws, 2, 5, 5))
    inner = np.broadcast_to(climb(np.array(2.0), gaps, 2, np), (draws, 2, 2, 2))
    begin = np.full(draws, 4 * 2 + 1)
    path = simulate_states(begin, (slow, inner), np.array([-1, 0, 1]), np.random.default_rng(2))
    np.testing.assert_array_equal(path[0], begin)
    values = rungs(5)[path // 2]
    decay = np.exp(-0.7 * np.array([0.0, 0.3, 1.3]))
    np.testing.assert_allclose(values.mean(1), decay * rungs(5)[4], atol=0.02)
    up = (path % 2).mean(1)
    np.testing.assert_allclose(up, 0.5 + 0.5 * np.exp(-2 * np.array([0, 0.3, 1.3])), atol=0.01)


def test_the_last_premium_is_remembered_and_contracts_settle_when_due():
    draws = 50_000
    due = np.array([[True, True], [False, True]])
    premium, funding = simulate_premia(
        np.zeros((2, draws), dtype=int),
        due,
        np.array([10.0, -10.0]),
        np.zeros((draws, 2, 1)),
        np.ones((draws, 2, 1)),
        np.full((draws, 2, 1), 0.25),
        np.full((draws, 2), 0.5),
        Rules(np.ones(2), np.full(2, 5.0), np.full(2, 37.5), np.array([False, False]), np.zeros(2)),
        np.random.default_rng(3),
    )
    np.testing.assert_allclose(premium[0].mean(0), [5.0, -5.0], atol=0.03)
    assert np.isnan(premium[1, :, 0]).all()
    dead = np.abs(premium[0] - 1.0) <= 5.0
    assert (funding[0][dead] == 1.0).all()
    # Where the rate does not tell the premium, the guess comes in its place.
    expected = np.where(dead, 0.25, 0.5 * premium[0])[:, 1].mean()
    assert premium[1, :, 1].mean() == pytest.approx(expected, abs=0.03)


def test_occupancy_is_kept():
    draws, gaps = 40_000, np.array([0.5])
    begin = draw_rows(np.tile(occupancy(4), (draws, 1)), np.random.default_rng(4))
    moves = np.broadcast_to(climb(np.array(1.0), gaps, 4, np), (draws, 1, 4, 4))
    path = simulate_states(begin, (moves,), np.zeros(3, dtype=int), np.random.default_rng(5))
    np.testing.assert_allclose(np.bincount(path[-1]) / draws, occupancy(4), atol=0.01)
