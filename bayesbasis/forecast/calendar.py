"""The calendar of a forecast: the panel's own rhythm, continued to expiry."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayesbasis.data.panel import countdown

Array = NDArray[Any]

_DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")


def grid(panel: xr.Dataset, contracts: Array, start: np.datetime64, end: np.datetime64) -> Array:
    """Instants of a forecast: the origin, the panel's rhythm, and every expiry on the way.

    Parameters
    ----------
    panel : xarray.Dataset
        Quotes known at the origin.
    contracts : ndarray of int64
        Live contracts, as positions in the panel.
    start, end : numpy.datetime64
        Origin and last instant.

    Returns
    -------
    ndarray of datetime64[ns], shape (step,)
        Increasing, from `start` to `end`. A market that is closed at weekends stays closed.
    """
    step = rhythm(panel)
    regular = np.arange(start + step, end, step)
    if step >= _DAY and not _trades_at_weekends(panel):
        regular = regular[np.is_busday(regular.astype("datetime64[D]"))]
    expiry = panel["expiry"].values[contracts].astype("datetime64[ns]")
    inner = expiry[(expiry > start) & (expiry < end)]
    return np.unique(np.concatenate([[start], regular, inner, [end]]))


def ahead(times: ArrayLike, start: np.datetime64, end: np.datetime64) -> Array:
    """Instants of a forecast that are given: the origin, and those after it up to the end.

    Parameters
    ----------
    times : array-like of datetime64
        Instants, in any order.
    start, end : numpy.datetime64
        Origin and last instant.

    Returns
    -------
    ndarray of datetime64[ns], shape (step,)
        Increasing, from `start`.

    Raises
    ------
    ValueError
        If none lies between origin and end.
    """
    given = np.unique(np.asarray(times).astype("datetime64[ns]"))
    later = given[(given > start) & (given <= end)]
    if not later.size:
        raise ValueError(
            f"none of the {given.size} times lies after the origin {start:.19} and up to {end:.19}"
        )
    return np.concatenate([[start], later])


def counted(paths: xr.Dataset) -> xr.Dataset:
    """Give perpetuals, which have no ``tau``, a count of years that laws take for none.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`.

    Returns
    -------
    xarray.Dataset
        ``tau`` is missing after expiry alone.
    """
    tau = paths["tau"].transpose("contract", "step")
    left = countdown(paths["expiry"].values[:, None], paths["time"].transpose(*tau.dims).values)
    endless = np.isnat(paths["expiry"].values)[:, None]
    return paths.assign_coords(tau=tau.copy(data=np.where(endless, left, tau.values)))


def positive_time(name: str, value: str | np.timedelta64, such_as: str = "30D") -> np.timedelta64:
    """Read a length of time, such as "30D" or "30d", that must be positive."""
    # pandas wants days in capitals.
    text = f"{value[:-1]}D" if isinstance(value, str) and value.endswith("d") else value
    length = pd.Timedelta(text).to_timedelta64().astype("timedelta64[ns]")
    if length <= np.timedelta64(0, "ns"):
        raise ValueError(f"{name} is {value!r}; give a positive time such as '{such_as}'")
    return length


def rhythm(panel: xr.Dataset) -> np.timedelta64:
    """Median time between quotes of one contract."""
    time, contract = panel["time"].values, panel["contract_index"].values
    same = np.diff(contract) == 0
    if not same.any():
        return _DAY
    return np.median(np.diff(time)[same].astype(np.int64)).astype("timedelta64[ns]")


def _trades_at_weekends(panel: xr.Dataset) -> bool:
    days = np.unique(panel["time"].values.astype("datetime64[D]"))
    return bool((~np.is_busday(days)).mean() > 0.05)
