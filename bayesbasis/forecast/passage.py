"""First passage: how long a deviation takes to halve, and whether it has reached a level."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfc

from bayesbasis.data.panel import families, is_perpetual
from bayesbasis.inference.draws import natural_draws
from bayesbasis.model.cards import read_card
from bayesbasis.process.laws import DAYS_PER_YEAR, Law
from bayesbasis.process.quadrature import ENDLESS, Steps

Array = NDArray[Any]

_BISECTIONS = 60


def half_life(source: xr.DataTree | xr.Dataset, tau: ArrayLike | None = None) -> xr.Dataset:
    """Time in which the expected deviation halves, from every time to expiry.

    The smallest ``Δ`` with ``φ(τ → τ - Δ) = 1/2``, found by bisection to the last bit; infinite
    where expiry comes first. That of perpetuals is the same everywhere.

    Parameters
    ----------
    source : xarray.DataTree or xarray.Dataset
        From `fit`, for the half-lives of underlyings; or paths from `forecast`, for those of their
        contracts, which differ where the card gives venues, kinds or contracts a law of their own.
    tau : array-like, optional
        Times to expiry in years, positive; by default 1 to 120 days.

    Returns
    -------
    xarray.Dataset
        ``half_life`` in days, dims chain, draw, underlying or contract, tau.

    Raises
    ------
    ValueError
        If a time to expiry is not positive.
    """
    start = np.atleast_1d(np.arange(1.0, 121.0) / DAYS_PER_YEAR if tau is None else tau).astype(
        float
    )
    if not (start > 0).all():
        raise ValueError(f"tau holds {start.min():g}; times to expiry are positive, in years")
    if isinstance(source, xr.Dataset):
        draws, found = source, _of_contracts(source)
    else:
        draws, found = source["posterior"].to_dataset(), _of_underlyings(source)
    law, natural, owner, endless = found
    sizes = (draws.sizes["chain"], draws.sizes["draw"])
    days = DAYS_PER_YEAR * halving_time(law, natural, start)
    # A law may have no parameters, and then every draw agrees.
    days = np.broadcast_to(days, (sizes[0] * sizes[1], owner.size, len(start))).copy()
    if endless.any():
        days[:, endless] = natural["half_life"][:, endless, None]
    return xr.Dataset(
        {
            "half_life": (
                ("chain", "draw", owner.name, "tau"),
                days.reshape(*sizes, *days.shape[1:]),
                {"units": "day", "long_name": "time in which a deviation halves"},
            )
        },
        {
            "chain": draws["chain"].values,
            "draw": draws["draw"].values,
            owner.name: owner,
            "tau": ("tau", start, {"units": "year", "long_name": "time to expiry"}),
        },
    )


def _of_underlyings(fit: xr.DataTree) -> tuple[Law, Mapping[str, Array], xr.DataArray, Array]:
    """Law of a fit, its parameters by underlying, the underlyings, and which are of perpetuals."""
    posterior, panel = fit["posterior"].to_dataset(), fit["constant_data"].to_dataset()
    own = posterior["noise"]["underlying"]
    # Where all share one value, only a panel of nothing but perpetuals has no expiry.
    all_in_one = own.size == 1 and is_perpetual(panel).all()
    endless = np.isin(own.values.astype(str), families(panel)[is_perpetual(panel)]) | all_in_one
    spec = read_card(fit.attrs["card"])
    return spec.law, natural_draws(spec, posterior), own, endless


def _of_contracts(paths: xr.Dataset) -> tuple[Law, Mapping[str, Array], xr.DataArray, Array]:
    """Law of paths, its parameters by contract, the contracts, and which are perpetuals."""
    law = read_card(paths.attrs["card"]).law
    flat = paths[list(law.parameters)].stack(sample=("chain", "draw"))
    natural = {str(n): x.transpose("sample", "contract").values for n, x in flat.items()}
    return law, natural, paths["contract"].reset_coords(drop=True), is_perpetual(paths)


def halving_time(law: Law, natural: Mapping[str, Array], start: Array) -> Array:
    """Bisect for the halving time.

    Parameters
    ----------
    law : Law
        How deviations converge.
    natural : mapping
        Its parameters, shape (draw, group).
    start : ndarray, shape (tau,)
        Times to expiry, years.

    Returns
    -------
    ndarray, shape (draw, group, tau)
        Years; infinite where expiry comes first.
    """
    endless = start >= ENDLESS
    # No half-life is as long as that; a perpetual may take it.
    start = start + ENDLESS * endless
    own = {name: natural[name][..., None] for name in law.parameters}
    shape = np.broadcast_shapes(start.shape, *(value.shape for value in own.values()))
    low, high = np.zeros(shape), np.broadcast_to(start - ENDLESS * endless, shape)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        slow = decay(law, own, start, middle) > 0.5
        low, high = np.where(slow, middle, low), np.where(slow, high, middle)
    at_expiry = decay(law, own, start, np.broadcast_to(start - ENDLESS * endless, shape))
    return np.where(at_expiry > 0.5, np.inf, 0.5 * (low + high))


def decay(law: Law, own: Mapping[str, Array], start: Array, elapsed: Array) -> Array:
    """Evaluate ``φ(τ → τ - Δ)`` alone; it needs no quadrature grid.

    Parameters
    ----------
    law : Law
        How deviations converge.
    own : mapping
        Its parameters, broadcastable against the moves.
    start, elapsed : ndarray
        ``τ`` and ``Δ`` in years.
    """
    return law.transition(own, Steps.without_grid(start, start - elapsed), np)[0]


def own_parameters(law: Law, one: xr.Dataset) -> dict[str, Array]:
    """Parameters of the law of one contract's paths, shape (draw, 1).

    Parameters
    ----------
    law : Law
        How deviations converge.
    one : xarray.Dataset
        Paths of one contract.
    """
    return {
        name: one[name].transpose("chain", "draw").values.reshape(-1, 1) for name in law.parameters
    }


def decays(law: Law, own: Mapping[str, Array], tau: Array, draws: int) -> Array:
    """``φ`` of the move into every step of one contract; one for the first.

    Parameters
    ----------
    law, own
        As `own_parameters` gives them.
    tau : ndarray, shape (step,)
        Time to expiry, years.
    draws : int
        How many; a law may have no parameters, and then every draw agrees.

    Returns
    -------
    ndarray, shape (draw, step)
    """
    moves = decay(law, own, tau[:-1], tau[:-1] - tau[1:])
    return np.concatenate(
        [np.ones((draws, 1)), np.broadcast_to(moves, (draws, len(tau) - 1))], axis=1
    )


def crossing(before: Array, after: Array, phi: Array, scale: Array, tail: Array) -> Array:
    r"""Probability that a path has met zero between two points on the same side of it.

    With the clock of the move, ``M = z/φ`` is a Brownian motion, and its bridge meets zero with

    .. math:: \exp\!\left(-\frac{2 φ z_0 z_1}{s^2 w}\right), \qquad s^2 = σ_k^2 v

    Nobody has seen the mixing variable ``w`` of a Student-t move. Given the move, ``1/w`` is a
    Gamma variable, and the mean over it is

    .. math:: \left(1 + \frac{4 φ z_0 z_1 / s^2}{ν + e^2/s^2}\right)^{-(ν+1)/2},
        \qquad e = z_1 - φ z_0

    Parameters
    ----------
    before, after : ndarray
        Distances from the level before and after the move; opposite signs have met it surely.
    phi, scale : ndarray
        ``φ`` and ``s`` of the move.
    tail : ndarray
        Degrees of freedom ``ν``; infinite is Gaussian.

    Returns
    -------
    ndarray

    References
    ----------
    Karatzas & Shreve (1991), Brownian Motion and Stochastic Calculus, 2.8, doi
    10.1007/978-1-4612-0949-2.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        doubled = 2.0 * phi * before * after / scale**2
        misfit = ((after - phi * before) / scale) ** 2
        heavy = -0.5 * (tail + 1.0) * np.log1p(2.0 * doubled / (tail + misfit))
        chance = np.exp(np.where(np.isinf(tail), -doubled, heavy))
    chance = np.where(scale > 0, chance, 0.0)
    return np.where(before * after <= 0, 1.0, np.minimum(chance, 1.0))


def passed(path: Array, phi: Array, scale: Array, tail: Array, within: float) -> Array:
    """Probability, path by path, of having been within a level of zero by every step.

    Between two steps on the same side of the level the path may have crossed it unseen; see
    `crossing`. The level is taken to move with ``φ`` within a step, which is exact at zero.

    Parameters
    ----------
    path : ndarray, shape (..., step)
        Deviations.
    phi, scale : ndarray, shape (..., step)
        ``φ`` and the scale of the move into every step; those of the first are not read.
    tail : ndarray, shape (..., 1)
        Degrees of freedom.
    within : float
        The level, in the units of the path.

    Returns
    -------
    ndarray, shape (..., step)
        Increasing along a path, from zero or one.
    """
    side = np.sign(path[..., :1])
    gap = side * path - within
    met = crossing(gap[..., :-1], gap[..., 1:], phi[..., 1:], scale[..., 1:], tail)
    started = (gap[..., :1] <= 0).astype(float)
    alive = np.cumprod(np.concatenate([1.0 - started, 1.0 - met], axis=-1), axis=-1)
    return 1.0 - alive


def touched(start: Array, phi: Array, scale: Array, mixing: Array) -> Array:
    r"""Probability of having touched zero by every step, in closed form given the clock.

    .. math:: P = 2Φ\!\left(-\frac{|z_0|}{\sqrt{A}}\right), \qquad
              A = \sum_n \frac{s_n^2 w_n}{(φ_1 \cdots φ_n)^2}

    For one Gaussian regime this is ``2Φ(-|z_0| φ / (σ√v))``. Regimes and mixing variables are
    independent of the signs of the shocks: they change the clock, and nothing else.

    Parameters
    ----------
    start : ndarray, shape (...)
        Deviation at the origin.
    phi, scale, mixing : ndarray, shape (..., step)
        ``φ``, ``s`` and ``w`` of the move into every step; those of the first are not read.

    Returns
    -------
    ndarray, shape (..., step)

    References
    ----------
    Karatzas & Shreve (1991), 2.6 (reflection) and 3.4 (time change), doi
    10.1007/978-1-4612-0949-2.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        decayed = np.cumprod(phi[..., 1:], axis=-1)
        grown = np.where(decayed > 0, scale[..., 1:] ** 2 * mixing[..., 1:] / decayed**2, np.inf)
        clock = np.cumsum(grown, axis=-1)
        chance = erfc(np.abs(start)[..., None] / np.sqrt(2.0 * clock))
    there = (start == 0)[..., None]
    return np.concatenate([there.astype(float), np.where(there, 1.0, chance)], axis=-1)
