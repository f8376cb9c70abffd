"""Liquidation: the price at which margin is used up, and the worst price of a path."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

type Kind = Literal["linear", "inverse"]
type Side = Literal["long", "short"]


def liquidation_price(
    entry: ArrayLike,
    leverage: ArrayLike,
    *,
    maintenance: float,
    side: Side,
    kind: Kind = "linear",
) -> Array:
    r"""Price at which isolated margin is used up but for the maintenance margin; no fees.

    .. math::

        \text{linear:}\quad \frac{E(1 + 1/L)}{1 + m}\ \text{(short)}, \quad
        \frac{E(1 - 1/L)}{1 - m}\ \text{(long)}; \qquad
        \text{inverse:}\quad \frac{E(1 - m)}{1 - 1/L}, \quad \frac{E(1 + m)}{1 + 1/L}

    Parameters
    ----------
    entry : array-like
        Futures price at entry, ``E``.
    leverage : array-like
        ``L``, at least 1.
    maintenance : float
        Maintenance margin ``m``, a fraction of the position's value.
    side : {"long", "short"}
        Side of the future.
    kind : {"linear", "inverse"}
        Whether it is settled in quote currency or in coin.

    Returns
    -------
    ndarray
        Infinite for an inverse short at a leverage of 1, whose coin is worth its debt at any price.

    Raises
    ------
    ValueError
        If the leverage is below 1, or leaves no more than the maintenance margin.

    Examples
    --------
    >>> liquidation_price(50_000, 10, maintenance=0.005, side="short").round(2)
    np.float64(54726.37)
    """
    entry, leverage = np.asarray(entry, float), np.asarray(leverage, float)
    check_leverage(leverage, maintenance, side, kind)
    share, m = 1.0 / leverage, maintenance
    if kind == "linear":
        return entry * (1 + share) / (1 + m) if side == "short" else entry * (1 - share) / (1 - m)
    if side == "long":
        return entry * (1 + m) / (1 + share)
    with np.errstate(divide="ignore"):
        return entry * (1 - m) / (1 - share)


def bearable_leverage(
    worst: ArrayLike, *, maintenance: float, side: Side, kind: Kind = "linear"
) -> Array:
    """Leverage at which the worst price of a path is the liquidation price.

    Parameters
    ----------
    worst : array-like
        Highest price over that at entry for a short, lowest for a long.
    maintenance, side, kind
        As in `liquidation_price`, which this solves for the leverage.

    Returns
    -------
    ndarray
        Infinite where no leverage would have been too much.
    """
    ratio, m = np.asarray(worst, float), maintenance
    with np.errstate(divide="ignore"):
        share = {
            ("linear", "short"): ratio * (1 + m) - 1,
            ("linear", "long"): 1 - ratio * (1 - m),
            ("inverse", "short"): 1 - (1 - m) / ratio,
            ("inverse", "long"): (1 + m) / ratio - 1,
        }[kind, side]
        return np.where(share > 0, 1.0 / share, np.inf)


def bridge_peaks(
    before: Array, after: Array, scale: Array, tail: Array, rng: np.random.Generator
) -> Array:
    r"""Draw the highest point of a path between two points.

    .. math::

        M = \tfrac12\left(x_0 + x_1 + \sqrt{(x_1 - x_0)^2 - 2 s^2 w \ln U}\right)

    the highest point of a Brownian bridge, with the mixing variable ``w`` of a Student-t move drawn
    given the move: ``1/w`` is Gamma with shape ``(ν + 1)/2`` and rate ``(ν + (x_1-x_0)²/s²)/2``.

    Parameters
    ----------
    before, after : ndarray
        The points.
    scale : ndarray
        ``s``, the scale of the move.
    tail : ndarray
        Degrees of freedom ``ν``, broadcastable; infinite is Gaussian.
    rng : numpy.random.Generator
        Source of randomness.

    References
    ----------
    Karatzas & Shreve (1991), 2.8, doi 10.1007/978-1-4612-0949-2.
    """
    move = after - before
    tail = np.broadcast_to(tail, move.shape)
    precision = np.ones(move.shape)
    heavy = np.isfinite(tail) & (scale > 0)
    rate = 0.5 * (tail[heavy] + (move[heavy] / scale[heavy]) ** 2)
    precision[heavy] = rng.gamma(0.5 * (tail[heavy] + 1.0)) / rate
    reach = 2.0 * scale**2 / precision * rng.exponential(size=move.shape)
    return 0.5 * (before + after + np.sqrt(move**2 + reach))


def check_leverage(leverage: Array, maintenance: float, side: str, kind: str) -> None:
    """Refuse leverages that no venue grants, and words that mean nothing."""
    if side not in ("long", "short"):
        raise ValueError(f"side is {side!r}; choose 'long' or 'short'")
    if kind not in ("linear", "inverse"):
        raise ValueError(f"kind is {kind!r}; choose 'linear' or 'inverse'")
    if not (leverage >= 1).all():
        raise ValueError(f"leverage is {leverage.min():g}; the least is 1, a position paid in full")
    if not 0 <= maintenance < 1.0 / leverage.max():
        raise ValueError(
            f"maintenance is {maintenance:g}, and a leverage of {leverage.max():g} leaves "
            f"{1 / leverage.max():g}: choose less leverage"
        )
