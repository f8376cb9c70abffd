"""Stress: paths as they would be had something happened right after the origin."""

import numpy as np
import xarray as xr

from bayesbasis.forecast.calendar import counted
from bayesbasis.forecast.passage import decays, own_parameters
from bayesbasis.model.cards import read_card


def shock(paths: xr.Dataset, by: float) -> xr.Dataset:
    r"""Move the deviation of every contract right after the origin, and let it converge.

    The law is linear: a shock of ``x`` is ``φ x`` later on, on every path alike.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`.
    by : float
        The shock, log units; positive makes futures rich.

    Returns
    -------
    xarray.Dataset
        The same paths with ``basis`` and ``deviation`` moved after the first step, which stays: it
        is where a trade was put on.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> stressed = bb.shock(paths, by=0.005)  # doctest: +SKIP
    """
    law = read_card(paths.attrs["card"]).law
    dims = ("chain", "draw", "contract", "step")
    sizes = tuple(paths.sizes[dim] for dim in dims)
    moved, timed = np.zeros(sizes), counted(paths)
    for contract in range(paths.sizes["contract"]):
        one = timed.isel(contract=contract)
        live = np.flatnonzero(np.isfinite(one["tau"].values))
        phi = decays(law, own_parameters(law, one), one["tau"].values[live], sizes[0] * sizes[1])
        left = by * np.cumprod(phi, axis=1).reshape(*sizes[:2], len(live))
        moved[:, :, contract, live] = left
    moved[..., 0] = 0.0
    extra = xr.DataArray(moved, dims=dims)
    return paths.assign(
        {
            name: (paths[name] + extra).transpose(*dims).assign_attrs(paths[name].attrs)
            for name in ("basis", "deviation")
            if name in paths
        }
    )
