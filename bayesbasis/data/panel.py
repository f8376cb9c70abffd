"""The panel: prices as one ragged Dataset, what was known at a time, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.data.checks import covariates
from bayesbasis.data.cleaning import Cleaning, clean
from bayesbasis.data.prices import PricesSource, read_prices
from bayesbasis.data.schema import PriceError
from bayesbasis.process.quadrature import ENDLESS

_YEAR = np.timedelta64(365 * 86_400 * 10**9, "ns")
_FAR = np.datetime64("2200-01-01", "ns")
# A perpetual that nobody quotes for so long is taken to be gone.
_QUIET = np.timedelta64(30 * 86_400 * 10**9, "ns")
_LABELS = ("contract", "underlying", "venue", "kind")
_RESERVED = ("basis", "tau", "contract_index", "obs")
_ATTRS = {
    "time": {"long_name": "time at which the prices were known (UTC)"},
    "contract_index": {
        "units": "1",
        "long_name": "position of the contract of each quote",
        "instance_dimension": "contract",
    },
    "futures": {"units": "quote currency", "long_name": "futures price"},
    "spot": {"units": "quote currency", "long_name": "spot or index price"},
    "basis": {"units": "1", "long_name": "log basis ln(futures/spot)"},
    "tau": {"units": "year", "long_name": "time to expiry (ACT/365); none of a perpetual"},
    "volume": {"units": "as given", "long_name": "volume"},
    "contract": {"units": "1", "long_name": "contract"},
    "underlying": {"units": "1", "long_name": "underlying"},
    "venue": {"units": "1", "long_name": "venue"},
    "kind": {"units": "1", "long_name": "kind of contract"},
    "expiry": {"long_name": "settlement instant (UTC); none of a perpetual"},
}


def make_panel(
    prices: PricesSource,
    cleaning: Cleaning = Cleaning(),  # noqa: B008 (a frozen value)
    *,
    timezone: str | None = None,
) -> tuple[xr.Dataset, pd.DataFrame]:
    r"""Clean prices and lay them out as a panel, with an audit of every row touched.

    The panel is a CF indexed ragged array: each quote is one element of ``obs`` and points to its
    contract. It carries the log basis and the time to expiry,

    .. math:: b = \ln(F/S), \qquad \tau = (T - t) / 365\ \text{days}.

    Perpetuals stand in the same panel: their basis is the premium, their ``expiry`` is missing
    (NaT) and so is their ``tau`` (NaN).

    Parameters
    ----------
    prices : pandas.DataFrame, str or os.PathLike
        What :func:`~bayesbasis.data.prices.read_prices` takes, or what it returned.
    cleaning : Cleaning
        What counts as a bad row, and what happens to it.
    timezone : str, optional
        IANA name of the zone of timestamps written without one.

    Returns
    -------
    panel : xarray.Dataset
        Dims ``obs`` (ordered by contract, then time) and ``contract`` (ordered by underlying,
        venue, expiry, name). On ``obs``: coords ``time`` (datetime64[ns], UTC) and
        ``contract_index``; ``futures``, ``spot`` (quote currency), ``basis`` (1), ``tau`` (years,
        above 0; NaN of a perpetual) and every other numeric column, as float64. On ``contract``:
        coords ``contract``, ``underlying``, ``venue``, ``kind`` and ``expiry`` (datetime64[ns],
        UTC; NaT of a perpetual).
    audit : pandas.DataFrame
        One row for each check and contract it touched; see :func:`~bayesbasis.data.cleaning.clean`.

    Raises
    ------
    PriceError
        When the prices break the schema, name a covariate like a variable of the panel, or when no
        row outlives the cleaning.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesbasis.data.panel import make_panel
    >>> prices = pd.DataFrame(
    ...     {
    ...         "time": pd.to_datetime(["2024-01-02", "2024-01-03"], utc=True),
    ...         "underlying": "BTC",
    ...         "venue": "deribit",
    ...         "contract": "BTC-29MAR24",
    ...         "expiry": pd.Timestamp("2024-03-29T08:00Z"),
    ...         "futures": [45450.0, 0.0],
    ...         "spot": [45000.0, 43100.0],
    ...     }
    ... )
    >>> panel, audit = make_panel(prices, Cleaning(min_rows=1))
    >>> panel["basis"].values.round(6), panel["tau"].values.round(6)
    (array([0.00995]), array([0.239269]))
    >>> audit.loc[audit["rows"] > 0, ["check", "rows", "action", "detail"]]
                    check  rows   action     detail
    1  non-positive price     1  dropped  futures 1
    """
    frame = read_prices(prices, timezone=timezone)
    _refuse_reserved(frame)
    cleaned, audit = clean(_ordered(frame), cleaning)
    if cleaned.empty:
        gone = audit[(audit["action"] == "dropped") & (audit["rows"] > 0)]
        causes = gone.groupby("check", sort=False)["rows"].sum()
        counts = ", ".join(f"{check} {rows}" for check, rows in causes.items())
        raise PriceError(
            f"no row of {len(frame)} is left after cleaning: {counts}. "
            "Mend the prices, or loosen the cleaning."
        )
    return _dataset(cleaned), audit


def instant(time: str | datetime | np.datetime64) -> np.datetime64:
    """Read an instant, as UTC where it names no zone.

    Parameters
    ----------
    time : str, datetime or numpy.datetime64
        The instant.

    Returns
    -------
    numpy.datetime64
        In nanoseconds, UTC.

    Raises
    ------
    PriceError
        When it is no instant.
    """
    stamp = pd.Timestamp(time)
    if pd.isna(stamp):
        raise PriceError(f"time must be an instant, got {time!r}")
    utc = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return np.datetime64(utc.tz_localize(None).to_datetime64(), "ns")


def known_at(panel: xr.Dataset, time: str | datetime | np.datetime64) -> xr.Dataset:
    """Return the panel as it was known at an instant.

    Parameters
    ----------
    panel : xarray.Dataset
        A panel.
    time : str, datetime or numpy.datetime64
        The instant; without a zone it means UTC.

    Returns
    -------
    xarray.Dataset
        The quotes at or before `time`, and the contracts that have any, in the same order.

    Raises
    ------
    PriceError
        When there is no such quote.
    """
    moment = instant(time)
    known = panel["time"].values <= moment
    if not known.any():
        first, utc = (pd.Timestamp(x, tz="UTC") for x in (panel["time"].values.min(), moment))
        raise PriceError(f"no quote is known at {utc}: the first is of {first}. Take a later time.")
    return select(panel, known)


def select(panel: xr.Dataset, quotes: np.ndarray) -> xr.Dataset:
    """Return some quotes of a panel, and the contracts that have any, in the same order.

    Parameters
    ----------
    panel : xarray.Dataset
        A panel.
    quotes : ndarray of bool, shape (obs,)
        Which quotes to keep, at least one.

    Returns
    -------
    xarray.Dataset
        A panel.
    """
    index = panel["contract_index"].values[quotes]
    contracts = np.unique(index)
    kept = panel.isel(obs=quotes, contract=contracts)
    renumbered = kept["contract_index"].copy(data=np.searchsorted(contracts, index))
    return kept.assign_coords(contract_index=renumbered)


def countdown(expiry: np.ndarray | np.datetime64, time: np.ndarray | np.datetime64) -> np.ndarray:
    """Years to expiry; where there is none, a count that goes down in years all the same.

    It is above `ENDLESS` throughout, so that laws know it for what it is; what it counts down to
    does not matter.

    Parameters
    ----------
    expiry, time : ndarray of datetime64[ns]
        Broadcast against each other.
    """
    expiry, time = (np.asarray(x).astype("datetime64[ns]") for x in (expiry, time))
    endless = np.isnat(expiry)
    left = (np.where(endless, _FAR, expiry) - time) / _YEAR
    return left + ENDLESS * endless


def lives(panel: xr.Dataset, time: np.datetime64) -> np.ndarray:
    """Say which contracts of a panel live after an instant, shape (contract,).

    Dated ones do if they expire later; perpetuals if they were quoted in the last 30 days.
    """
    index, quoted = panel["contract_index"].values, panel["time"].values
    last = quoted[np.append(np.diff(index) != 0, True)].astype("datetime64[ns]")
    return np.where(is_perpetual(panel), last > time - _QUIET, panel["expiry"].values > time)


def is_perpetual(contracts: xr.Dataset) -> np.ndarray:
    """Say which contracts of a panel, of paths or of bands are perpetual, shape (contract,)."""
    return np.isnat(contracts["expiry"].values)


def families(contracts: xr.Dataset) -> np.ndarray:
    """Name what contracts share parameters: their underlying, dated and perpetual apart.

    A perpetual is held near spot by its funding, a future by its expiry: their premia are of
    another size, so they are two families of one underlying.

    Parameters
    ----------
    contracts : xarray.Dataset
        With ``underlying`` and ``expiry`` by contract: a panel, paths or bands.

    Returns
    -------
    ndarray of str, shape (contract,)

    Examples
    --------
    >>> import xarray as xr
    >>> own = {"underlying": ("contract", ["BTC", "BTC"])}
    >>> own |= {"expiry": ("contract", np.array(["2024-03-29", "NaT"], "datetime64[ns]"))}
    >>> families(xr.Dataset(coords=own)).tolist()
    ['BTC', 'BTC perpetual']
    """
    names = contracts["underlying"].values.astype(str)
    return np.where(is_perpetual(contracts), np.char.add(names, " perpetual"), names)


def panel_hash(panel: xr.Dataset) -> str:
    """Return the fingerprint of the quotes and contracts of a panel.

    Parameters
    ----------
    panel : xarray.Dataset
        A panel.

    Returns
    -------
    str
        SHA-256, in hexadecimal, of the names, dims and values of all variables in the order of
        their names. Attributes, encodings and the order of the variables do not matter.
    """
    digest = hashlib.sha256()
    for name in sorted(str(name) for name in panel.variables if name != "obs"):
        variable = panel.variables[name]
        digest.update(json.dumps([name, variable.dims, variable.shape]).encode())
        digest.update(_canonical(variable.values))
    return digest.hexdigest()


def _refuse_reserved(frame: pd.DataFrame) -> None:
    """Raise for the first column that would hide a variable of the panel."""
    for name in _RESERVED:
        if name in frame:
            raise PriceError(
                f"column {name!r}: the panel has a variable of that name. "
                f"Drop it or give it another: prices.rename(columns={{{name!r}: 'my_{name}'}})."
            )


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by contract (underlying, venue, expiry, name), then time, in the given order of ties.

    Perpetuals, which have no expiry, come after the dated contracts of their market.
    """
    first = frame.drop_duplicates("contract")
    names = first.sort_values(["underlying", "venue", "expiry", "contract"])["contract"]
    contract = pd.Categorical(frame["contract"], categories=names, ordered=True)
    order = np.lexsort((frame["time"].to_numpy(dtype="datetime64[ns]"), contract.codes))
    return frame.assign(contract=contract).iloc[order]


def _dataset(frame: pd.DataFrame) -> xr.Dataset:
    """Return clean, ordered prices as the panel."""
    first = frame.drop_duplicates("contract")
    time, expiry = (frame[name].to_numpy(dtype="datetime64[ns]") for name in ("time", "expiry"))
    futures, spot = frame["futures"].to_numpy(), frame["spot"].to_numpy()
    on_obs = {
        "futures": futures,
        "spot": spot,
        "basis": np.log(futures / spot),
        "tau": (expiry - time) / _YEAR,
        **{str(name): values.to_numpy() for name, values in covariates(frame).items()},
    }
    index = frame["contract"].cat.remove_unused_categories().cat.codes.to_numpy(dtype="int64")
    panel = xr.Dataset(
        {name: ("obs", values) for name, values in on_obs.items()},
        coords={
            "time": ("obs", time),
            "contract_index": ("obs", index),
            **{name: ("contract", first[name].to_numpy(dtype=str)) for name in _LABELS},
            "expiry": ("contract", first["expiry"].to_numpy(dtype="datetime64[ns]")),
        },
    )
    for name, variable in panel.variables.items():
        # xarray keeps the units of instants in their encoding and refuses them here.
        covariate = {"units": "as given", "long_name": f"covariate {name}"}
        variable.attrs.update(_ATTRS.get(str(name), covariate))
    return panel


def _canonical(values: np.ndarray) -> bytes:
    """Return bytes that depend on the values alone, not on how they are stored."""
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]").astype("<i8").tobytes()
    if values.dtype.kind == "f":
        number = values.astype("<f8") + 0.0  # a zero has no sign
        return np.where(np.isnan(number), np.nan, number).tobytes()
    if values.dtype.kind in "iub":
        return values.astype("<i8").tobytes()
    return json.dumps([str(value) for value in values.tolist()]).encode()
