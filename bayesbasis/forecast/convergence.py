"""Convergence: how fast, how surely and when deviations close."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.forecast.calendar import counted
from bayesbasis.forecast.passage import decays, halving_time, own_parameters, passed, touched
from bayesbasis.forecast.paths import forecast
from bayesbasis.model.cards import read_card
from bayesbasis.process.laws import DAYS_PER_YEAR, Law

Array = NDArray[Any]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_NEEDED = ("deviation", "shock_scale", "tail")


def convergence(
    paths: xr.Dataset | xr.DataTree,
    within: float = 5e-4,
    *,
    days_left: Sequence[float] = (7.0, 3.0, 1.0),
    seed: int = 1,
) -> xr.Dataset:
    """Say how fast, how surely and when every live contract converges.

    Parameters
    ----------
    paths : xarray.Dataset or xarray.DataTree
        From `forecast`; of a fit, paths are forecast from its last quote.
    within : float
        A deviation this small, in log units (1e-4 is a basis point), counts as converged.
    days_left : sequence of float
        Days before expiry at which the basis is looked at.
    seed : int
        Seed of the mixing variables that `touched` is averaged over, and of the forecast.

    Returns
    -------
    xarray.Dataset
        ``half_life`` (chain, draw, contract): exact, from the origin, days, infinite where expiry
        comes first. By contract and step: ``near``, P(the deviation is within the level);
        ``touched``, P(it has been zero), in closed form given the clock of every path;
        ``converged``, P(it has been within the level), simulated, with the crossings between steps
        that nobody saw; their Monte Carlo errors ``*_error``. ``converged_by_regime`` (regime,
        contract, step), by the regime at the origin. ``time_to_convergence`` (contract, quantile),
        days, infinite where it may not come. ``near_expiry`` (contract, days_left), P(the quoted
        basis is within the level).

    Raises
    ------
    ValueError
        If the level is not positive, or the paths do not say how they were made.

    Notes
    -----
    The deviation is the one that the filter would see: quotes less their noise.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> found = bb.convergence(paths, within=5e-4)  # doctest: +SKIP
    """
    if not within > 0:
        raise ValueError(f"within is {within:g}; give a positive deviation such as 5e-4 (5 bp)")
    if isinstance(paths, xr.DataTree):
        paths = forecast(paths, seed=seed, spot=False)
    missing = [name for name in _NEEDED if name not in paths]
    if missing:
        raise ValueError(f"the paths lack {', '.join(missing)}: take them from bayesbasis.forecast")
    law, rng = read_card(paths.attrs["card"]).law, np.random.default_rng(seed)
    timed = counted(paths)
    each = [_one(timed.isel(contract=i), law, within, rng) for i in range(paths.sizes["contract"])]
    found = xr.concat(each, dim="contract", coords="different", compat="equals", join="outer")
    found = found.assign_coords(_calendar(paths))
    found["near_expiry"] = _near_expiry(paths, within, days_left)
    return _described(found).assign_attrs(within=within, origin=paths.attrs["origin"])


def _flat(values: xr.DataArray) -> Array:
    """Lay draws out in one dim, chains one after another."""
    rest = [dim for dim in values.dims if dim not in ("chain", "draw")]
    array = values.transpose("chain", "draw", *rest).values
    return array.reshape(-1, *array.shape[2:])


def _one(one: xr.Dataset, law: Law, within: float, rng: np.random.Generator) -> xr.Dataset:
    """Convergence of one contract; steps after its expiry are left out."""
    one = one.isel(step=np.flatnonzero(np.isfinite(one["tau"].values)))
    own, tau = own_parameters(law, one), one["tau"].values
    path, scale, tail = (_flat(one[name]) for name in ("deviation", "shock_scale", "tail"))
    tail, regime = tail[:, None], _flat(one["regime"])[:, 0]
    phi = decays(law, own, tau, len(path))
    finite = np.broadcast_to(np.isfinite(tail), path.shape)
    mixing = np.ones(path.shape)
    degrees = np.broadcast_to(tail, path.shape)[finite]
    mixing[finite] = degrees / rng.chisquare(degrees)
    met = passed(path, phi, scale, tail, within)
    chances = {
        "near": (np.abs(path) <= within).astype(float),
        "touched": touched(path[:, 0], phi, scale, mixing),
        "converged": met,
    }
    variables: dict[str, Any] = {}
    for name, chance in chances.items():
        variables[name] = ("step", chance.mean(0))
        variables[f"{name}_error"] = ("step", chance.std(0) / np.sqrt(len(chance)))
    regimes = np.arange(1, int(regime.max()) + 1)
    with np.errstate(invalid="ignore"):
        by = np.stack([met[regime == k].sum(0) / (regime == k).sum() for k in regimes])
    sizes = one.sizes["chain"], one.sizes["draw"]
    half = DAYS_PER_YEAR * halving_time(law, own, tau[:1])
    half = np.broadcast_to(half, (len(path), 1, 1))[:, 0, 0]
    variables |= {
        "converged_by_regime": (("regime", "step"), by),
        "time_to_convergence": ("quantile", _times(met.mean(0), tau)),
        "half_life": (("chain", "draw"), half.reshape(sizes)),
    }
    coords = {name: one[name].values for name in ("chain", "draw", "step", "contract")}
    return xr.Dataset(variables, coords | {"regime": regimes, "quantile": list(QUANTILES)})


def _times(chance: Array, tau: Array) -> Array:
    """Days at which the probability of convergence reaches each quantile; infinite if never."""
    days = (tau[0] - tau) * DAYS_PER_YEAR
    # Interpolation wants a strictly increasing probability; ties are at its ends.
    first = np.unique(chance, return_index=True)[1]
    return np.interp(QUANTILES, chance[first], days[first], left=0.0, right=np.inf)


def _near_expiry(paths: xr.Dataset, within: float, days_left: Sequence[float]) -> xr.DataArray:
    """P(|basis| is within the level), at the last step with that many days left."""
    values = np.full((paths.sizes["contract"], len(days_left)), np.nan)
    for row in range(len(values)):
        tau = paths["tau"].values[row] * DAYS_PER_YEAR
        for column, days in enumerate(days_left):
            steps = np.flatnonzero(tau >= days - 1e-9)
            if steps.size:
                basis = paths["basis"].isel(contract=row, step=steps[-1]).values
                values[row, column] = (np.abs(basis) <= within).mean()
    return xr.DataArray(
        values, dims=("contract", "days_left"), coords={"days_left": list(map(float, days_left))}
    )


def _calendar(paths: xr.Dataset) -> dict[str, xr.DataArray]:
    names = ("time", "tau", "underlying", "venue", "kind", "expiry")
    return {name: paths[name] for name in names if name in paths.coords}


def _described(found: xr.Dataset) -> xr.Dataset:
    said = {
        "half_life": ("day", "time in which a deviation at the origin halves"),
        "near": ("1", "P(the deviation is within the level)"),
        "touched": ("1", "P(the deviation has been zero)"),
        "converged": ("1", "P(the deviation has been within the level)"),
        "converged_by_regime": ("1", "the same, by the regime at the origin"),
        "time_to_convergence": ("day", "time to convergence"),
        "near_expiry": ("1", "P(the quoted basis is within the level)"),
    }
    for name, (units, long_name) in said.items():
        found[name].attrs = {"units": units, "long_name": long_name}
        if f"{name}_error" in found:
            attrs = {"units": units, "long_name": f"Monte Carlo error of {long_name}"}
            found[f"{name}_error"].attrs = attrs
    return found
