"""The live view: new quotes through the filter of an old fit, without fitting again."""

import numpy as np
import xarray as xr

from bayesbasis.data.panel import is_perpetual
from bayesbasis.forecast.intervals import bands
from bayesbasis.forecast.paths import forecast
from bayesbasis.forecast.valuation import mispricing


def update(
    fit: xr.DataTree,
    panel: xr.Dataset,
    *,
    prob: float = 0.9,
    draws: int = 400,
    seed: int = 1,
) -> xr.Dataset:
    """Filter new quotes under the posterior that a fit has, and forecast from the last of them.

    The forecast goes to expiry; where all are perpetuals, 30 days ahead.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.
    panel : xarray.Dataset
        Quotes up to now, contracts unknown to the fit among them.
    prob : float
        Probability of the bands.
    draws : int
        Posterior draws to use.
    seed : int
        Seed of the forecast.

    Returns
    -------
    xarray.Dataset
        By contract: what `mispricing` and `bands` say, draws summed up: ``basis``, ``fair``,
        ``deviation`` and ``z_score`` (posterior medians), ``rich``, ``rank``, ``interval``
        (contract, step, prob, bound) with ``median``, and ``regime_probability`` (contract,
        regime).

    Examples
    --------
    >>> import bayesbasis as bb
    >>> now = bb.update(fit, panel)  # doctest: +SKIP
    """
    found = mispricing(fit, panel=panel, draws=draws, seed=seed)
    paths = forecast(
        fit,
        found.attrs["origin"],
        # Perpetuals alone have no expiry to go to.
        horizon="30D" if is_perpetual(panel).all() else None,
        panel=panel,
        draws=draws,
        seed=seed,
        spot=False,
    )
    ahead, sample = bands(paths, prob=(prob,)), ["chain", "draw"]
    now = found[["basis", "rich", "rank"]]
    now = now.assign({name: found[name].median(sample) for name in ("deviation", "z_score")})
    now["fair"] = (now["basis"] - now["deviation"]).assign_attrs(
        units="1", long_name="fair log basis"
    )
    now = now.merge(ahead[["interval", "median"]], compat="override", join="exact")
    now["regime_probability"] = regime_now(paths)
    return now.assign_attrs(ahead.attrs)


def regime_now(paths: xr.Dataset) -> xr.DataArray:
    """Probability of every regime at the origin of paths, by contract.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`.

    Returns
    -------
    xarray.DataArray
        Dims contract, regime.
    """
    start = paths["regime"].isel(step=0)
    regimes = np.arange(1, int(paths["regime"].max()) + 1)
    each = [(start == regime).mean(["chain", "draw"]) for regime in regimes]
    chance = xr.concat(each, dim="regime").transpose("contract", "regime")
    attrs = {"units": "1", "long_name": "P(regime at the origin)"}
    return (
        chance.assign_coords(regime=regimes).drop_vars("tau", errors="ignore").assign_attrs(attrs)
    )
