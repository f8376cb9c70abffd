"""Moves between two times to expiry, and the Gauss-Legendre grid that integrates along them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

REFERENCE_TAU = 30.0 / 365.0
"""Time to expiry, in years, at which volatilities are quoted."""

ENDLESS = 1000.0
"""From so many years to expiry on there is none: a perpetual."""

# The stiffest integrand that laws must resolve to 1e-9: a half-life of one day (rate per year)
# and the power 2γ + 1 at γ = 5, η = -1/2 (ln u adds one).
_FASTEST_RATE = np.log(2.0) * 365.0
_STEEPEST_POWER = 11.0
# Largest a for which n nodes integrate exp(a t) over [-1, 1] to a relative error of 1e-9.
_STIFFNESS_LIMIT = {3: 0.17, 4: 0.54, 5: 1.11, 6: 1.89, 7: 2.86, 8: 4.04}
_PANEL_NODES = 10
_PANEL_STIFFNESS = 6.0


@dataclass(frozen=True)
class Steps:
    """Moves from time to expiry ``start`` to ``end``, with a quadrature grid along them.

    All times are in years. The fields are what laws need, computed once from the data so that
    no logarithm of a constant is taken while sampling.

    A perpetual has no time to expiry. Its moves run from ``ENDLESS + Δ`` to `ENDLESS`, and are
    described as of a contract for which time passes but expiry does not come closer: it stays 30
    days away, where volatilities are quoted. Every law that has a half-life is Ornstein-Uhlenbeck
    there, exactly.

    Parameters
    ----------
    start, end : array, shape (n,)
        Time to expiry before and after the move.
    elapsed : array, shape (n,)
        ``Δ = start - end``.
    log_ratio : array, shape (n,)
        ``ln(end / start)``; minus infinity for a move to expiry itself.
    log_end : array, shape (n,)
        ``ln end``, ``end`` in years.
    node_elapsed : array, shape (n, q)
        ``u - end`` at the nodes ``u`` of the grid.
    node_log_tau : array, shape (n, q)
        ``ln u``, ``u`` in years.
    weights : array, shape (n, q)
        Weights of ``∫_end^start · du``. Zero for a move to expiry, where a law that is anchored
        there leaves no variance.
    """

    start: Any
    end: Any
    elapsed: Any
    log_ratio: Any
    log_end: Any
    node_elapsed: Any
    node_log_tau: Any
    weights: Any

    @classmethod
    def between(cls, start: ArrayLike, end: ArrayLike) -> "Steps":
        """Describe the moves with the smallest grid that resolves all of them.

        Parameters
        ----------
        start, end : array-like, shape (n,)
            Time to expiry before and after the move, ``start > end >= 0``.

        Raises
        ------
        ValueError
            If time to expiry does not shrink, or turns negative.

        Examples
        --------
        >>> steps = Steps.between([0.2], [0.1])
        >>> round(float(steps.weights.sum()), 12)
        0.1
        """
        start, end = np.broadcast_arrays(
            np.atleast_1d(np.asarray(start, float)), np.atleast_1d(np.asarray(end, float))
        )
        _check_times(start, end)
        nodes, weights = _grid(start, np.where(end > 0, end, start / 2))
        still = (end >= ENDLESS)[:, None]
        return replace(
            cls.without_grid(start, end),
            node_elapsed=nodes - end[:, None],
            node_log_tau=np.where(still, np.log(REFERENCE_TAU), np.log(nodes)),
            weights=np.where(end[:, None] > 0, weights, 0.0),
        )

    @classmethod
    def without_grid(cls, start: NDArray[Any], end: NDArray[Any]) -> "Steps":
        """Describe moves whose variance nobody asks for; arrays of any one shape."""
        elapsed, still = start - end, end >= ENDLESS
        start, end = (np.where(still, REFERENCE_TAU, tau) for tau in (start, end))
        with np.errstate(divide="ignore"):
            log_end = np.log(end)
        none = np.zeros((*np.shape(end), 1))
        return cls(start, end, elapsed, log_end - np.log(start), log_end, none, none, none)


def split_by_stiffness(start: NDArray[Any], end: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which moves a single small panel resolves; the others need a graded grid.

    Both kinds in one rectangular grid would cost every ordinary day the nodes of the last hour,
    so the likelihood keeps them apart.
    """
    return _stiffness(start, end) <= max(_STIFFNESS_LIMIT.values())


def _check_times(start: NDArray[Any], end: NDArray[Any]) -> None:
    bad = ~((end >= 0) & (start > end))
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"step {first} runs from time to expiry {start[first]:g} to {end[first]:g} years; "
            "a step needs start > end >= 0"
        )


def _stiffness(start: NDArray[Any], end: NDArray[Any]) -> NDArray[Any]:
    """Half the change of the log integrand along the move, at the stiffest parameters."""
    with np.errstate(divide="ignore"):
        span = np.log(start) - np.log(end)
    return _FASTEST_RATE * (start - end) + 0.5 * _STEEPEST_POWER * span


def _grid(start: NDArray[Any], end: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    stiffest = float(_stiffness(start, end).max(initial=0.0))
    for count, limit in _STIFFNESS_LIMIT.items():
        if stiffest <= limit:
            return _panels(np.stack([end, start], axis=1), count)
    return _panels(_graded_edges(start, end), _PANEL_NODES)


def _graded_edges(start: NDArray[Any], end: NDArray[Any]) -> NDArray[Any]:
    """Panel edges whose distance from ``end`` doubles, from one that the stiffest case allows.

    Decay away from ``end`` has some scale between a day and a year; on doubling panels every
    such scale is resolved where it matters and has died out where it is not.
    """
    first = np.minimum(
        0.5 * _PANEL_STIFFNESS / _FASTEST_RATE,
        end * np.expm1(_PANEL_STIFFNESS / _STEEPEST_POWER),
    )
    doublings = int(np.ceil(np.log2(np.max((start - end) / first)))) if len(start) else 0
    distance = first[:, None] * 2.0 ** np.arange(max(doublings, 0) + 1)
    edges = np.minimum(end[:, None] + distance, start[:, None])
    return np.concatenate([end[:, None], edges, start[:, None]], axis=1)


def _panels(edges: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gauss-Legendre in ``ln u`` on each panel; an empty panel gets zero weight."""
    points, weights = np.polynomial.legendre.leggauss(count)
    lower, upper = np.log(edges[:, :-1, None]), np.log(edges[:, 1:, None])
    half = 0.5 * (upper - lower)
    nodes = np.exp(lower + half * (points + 1.0))
    shape = (len(edges), count * (edges.shape[1] - 1))
    return nodes.reshape(shape), (half * weights * nodes).reshape(shape)
