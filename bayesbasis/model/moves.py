"""Moves of contracts from quote to quote: who follows whom, and how far each goes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.filter import SETTLED
from bayesbasis.process.quadrature import ENDLESS, Steps, split_by_stiffness

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9


def previous_quotes(contract: Array) -> Array:
    """Position of the previous quote of the same contract; -1 for the unseen ones."""
    previous = np.full(len(contract), -1)
    by_contract = np.argsort(contract, kind="stable")
    same = contract[by_contract[1:]] == contract[by_contract[:-1]]
    previous[by_contract[1:][same]] = by_contract[:-1][same]
    return previous


def spans(previous: Array, tau: Array, time: Array) -> tuple[Array, Array]:
    """Time to expiry before and after the move into every quote that was seen, as `Steps` has it.

    A move from a quote that nobody saw took `SETTLED` years.
    """
    scored = np.flatnonzero(previous >= 0)
    unseen = previous[previous[scored]] < 0
    endless = np.isnan(tau[scored])
    after = np.where(endless, ENDLESS, tau[scored])
    passed = (time[scored] - time[previous[scored]]) / _YEAR_NS
    before = np.where(endless, ENDLESS + passed, tau[previous[scored]])
    return np.where(unseen, after + SETTLED, before), after


def distinct_moves(
    previous: Array, before: Array, after: Array, group: Array, speed: Array
) -> tuple[Array, tuple[Steps, Steps], tuple[Array, Array], tuple[Array, Array]]:
    """Distinct moves of each parameter group, the easy ones first; and every quote's row."""
    scored = previous >= 0
    unseen = previous[previous[scored]] < 0
    # Nobody saw where a first move started: it is driven as it ended.
    drive = np.where(unseen[:, None], speed[scored], speed[previous[scored]])
    pairs = np.stack([group[scored], before, after, *drive.T])
    distinct, row = np.unique(pairs, axis=1, return_inverse=True)
    owner, start, end = distinct[0].astype(np.int64), distinct[1], distinct[2]
    hard = ~split_by_stiffness(start, end)
    rank = np.argsort(np.argsort(hard, kind="stable"), kind="stable")
    step = np.full(len(previous), -1)
    step[scored] = rank[row.ravel()]
    moves = Steps.between(start[~hard], end[~hard]), Steps.between(start[hard], end[hard])
    driven = distinct[3:].T
    return step, moves, (owner[~hard], owner[hard]), (driven[~hard], driven[hard])
