"""When a trade ends."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[Any]

SAMPLE = ("chain", "draw")
PATH = (*SAMPLE, "contract", "step")


@dataclass(frozen=True)
class When:
    """Leave a trade once its mispricing is gone.

    Parameters
    ----------
    deviation : float
        Out as soon as the deviation that the trade was put on for is at most this, log units;
        negative waits for the other side. Looked at on every step after entry.

    Examples
    --------
    >>> When(deviation=5e-4)
    When(deviation=0.0005)
    """

    deviation: float


type Exit = Literal["expiry"] | str | datetime | np.datetime64 | np.timedelta64 | When


def exit_words(exit: Exit) -> str:
    """Say when a trade ends, for its name; nothing where that is expiry."""
    if isinstance(exit, When):
        return f" until {1e4 * exit.deviation:g} bp"
    return "" if isinstance(exit, str) and exit == "expiry" else f" to {exit}"


def exit_steps(paths: xr.Dataset, exit: Exit, sign: int) -> Array:
    """Step at which every trade ends.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`.
    exit : str, datetime, timedelta or When
        ``"expiry"``, an instant (UTC), a time from now such as ``"14D"``, or a rule.
    sign : int
        1 where the trade profits from a falling basis, -1 where from a rising one.

    Returns
    -------
    ndarray of int, shape (chain, draw, contract)

    Raises
    ------
    ValueError
        If the exit is not after the origin, or the paths end before it.
    """
    last = last_steps(paths)
    shape = tuple(paths.sizes[dim] for dim in (*SAMPLE, "contract"))
    if isinstance(exit, When):
        gone = sign * paths["deviation"].transpose(*PATH).values <= exit.deviation
        gone[..., 0] = False
        return np.where(gone.any(-1), gone.argmax(-1), last)
    if isinstance(exit, str) and exit == "expiry":
        if perpetuals(paths).any():
            name = paths["contract"].values[perpetuals(paths)][0]
            raise ValueError(
                f"{name} is a perpetual and never expires: choose an exit such as '14D', or other "
                "contracts"
            )
        left = years_left(paths)[np.arange(len(last)), last]
        if (left > 0).any():
            name = paths["contract"].values[np.argmax(left > 0)]
            raise ValueError(
                f"the paths of {name} end {365 * left.max():.1f} days before expiry: forecast "
                "without a horizon, or choose an earlier exit"
            )
        return np.broadcast_to(last, shape)
    return np.broadcast_to(_exit_at(paths, exit, last), shape)


def _exit_at(paths: xr.Dataset, exit: Any, last: Array) -> Array:
    """First step at or after an instant, by contract."""
    time = paths["time"].transpose("contract", "step").values
    start = time[0, 0]
    try:
        moment = start + pd.Timedelta(exit).to_timedelta64()
    except (ValueError, TypeError):
        stamp = pd.Timestamp(exit)
        utc = stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp
        moment = utc.to_datetime64()
    if not moment > start:
        raise ValueError(f"exit {exit!r} is not after the origin {start:.19}; give a later one")
    ends = time[np.arange(len(last)), last]
    goes_on = perpetuals(paths) | (years_left(paths)[np.arange(len(last)), last] > 0)
    if ((ends < moment) & goes_on).any():
        raise ValueError(f"the paths end before the exit {exit!r}: forecast with a longer horizon")
    # After a contract's last step there is no time: it compares as not before anything.
    return np.minimum((time < moment).sum(1), last)


def perpetuals(paths: xr.Dataset) -> NDArray[np.bool_]:
    """Which contracts have no expiry, shape (contract,)."""
    there = ~np.isnat(paths["time"].transpose("contract", "step").values)
    return there.any(1) & ~np.isfinite(years_left(paths)).any(1)


def years_left(paths: xr.Dataset) -> Array:
    """Time to expiry along the paths, shape (contract, step); missing after it, or without one."""
    return paths["tau"].transpose("contract", "step").values


def last_steps(paths: xr.Dataset) -> Array:
    """Last step of every contract."""
    return (~np.isnat(paths["time"].transpose("contract", "step").values)).sum(1) - 1
