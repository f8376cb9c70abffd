"""Events of a panel: where they begin and end, and the times between them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesbasis.model.covariates import Clock

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9


def event_bounds(keys: Array) -> tuple[Array, Array]:
    """First and one past the last quote of every event; keys have shape (key, obs)."""
    opens = (np.diff(keys, axis=1) != 0).any(axis=0)
    start = np.concatenate([[0], np.flatnonzero(opens) + 1])
    return start, np.append(start[1:], keys.shape[1])


def gaps(path: Array, time: Array, chain: Array) -> tuple[Array, Array, Array]:
    """Distinct times between consecutive events of one path, per chain; see `Schedule`."""
    follows = np.diff(path, prepend=-1) == 0
    elapsed = np.diff(time, prepend=0)[follows]
    distinct, row = np.unique(np.stack([chain[follows], elapsed]), axis=1, return_inverse=True)
    gap = np.full(len(path), -1)
    gap[follows] = row.ravel()
    return gap, distinct[1] / _YEAR_NS, distinct[0].copy()


def event_means(values: Array, start: Array, stop: Array) -> Array:
    """Mean over the quotes of every event, shape (event, covariate)."""
    return np.add.reduceat(values, start, axis=0) / (stop - start)[:, None]


def clock_of(path: Array, chain: Array, covariates: Array) -> tuple[Array, Clock]:
    """Generator of every event, which led to it: that of the covariates of the event before."""
    follows = np.diff(path, prepend=-1) == 0
    before = np.where(follows[:, None], np.roll(covariates, 1, axis=0), covariates)
    table = np.column_stack([chain, before])
    distinct, row = np.unique(table, axis=0, return_inverse=True)
    return row.ravel(), Clock(distinct[:, 0].astype(np.int64), distinct[:, 1:])
