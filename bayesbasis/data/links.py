"""What dated contracts and perpetuals say of each other: funding and carry as covariates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.data.panel import is_perpetual

_HOURS_PER_YEAR = 8760.0
_DAYS_PER_YEAR = 365.0


def funding_covariate(history: xr.Dataset, window: str = "7D") -> pd.DataFrame:
    """Funding of every underlying as a covariate of dated carry: what perpetuals paid of late.

    Parameters
    ----------
    history : xarray.Dataset
        From `make_funding`.
    window : str
        Over how long to average.

    Returns
    -------
    pandas.DataFrame
        ``time`` (UTC), ``underlying`` and ``funding``, % a year, simple: the mean over the
        settlements of all venues in the window that ends with the time. For
        ``join_covariates(prices, table, by=["underlying"], delay="0s")``: a settlement is known
        once it is paid.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> funding = bb.simulate_funding(seed=1, days=20, venues=["okx"], underlyings=["BTC"])
    >>> history, audit = bb.make_funding(funding)
    >>> funding_covariate(history).columns.tolist()
    ['time', 'underlying', 'funding']
    """
    contract = history["contract_index"].values
    yearly = 100.0 * history["funding_rate"].values * _HOURS_PER_YEAR / history["interval"].values
    rates = pd.DataFrame(
        {
            "time": pd.to_datetime(history["time"].values, utc=True),
            "underlying": history["underlying"].values.astype(str)[contract],
            "funding": yearly,
        }
    )
    each = rates.groupby(["underlying", "time"], as_index=False)["funding"].mean()
    rolled = each.set_index("time").groupby("underlying")["funding"].rolling(window).mean()
    return rolled.reset_index()[["time", "underlying", "funding"]]


def carry_covariate(panel: xr.Dataset, least_days: float = 7.0) -> pd.DataFrame:
    r"""Carry that dated contracts imply, as a covariate of premia: the median over the curve.

    .. math:: 100 \cdot \mathrm{median}_i\, b_i / \tau_i

    Parameters
    ----------
    panel : xarray.Dataset
        From `make_panel`; its perpetuals, if any, are left out.
    least_days : float
        Contracts nearer to expiry than that do not count: a basis point is much carry there.

    Returns
    -------
    pandas.DataFrame
        ``time`` (UTC), ``underlying`` and ``dated_carry``, % a year, for
        ``join_covariates(prices, table, by=["underlying"], delay="0s")``.

    Raises
    ------
    ValueError
        If no quote of a dated contract is that far from its expiry.
    """
    contract = panel["contract_index"].values
    tau = panel["tau"].values
    far = ~is_perpetual(panel)[contract] & (tau * _DAYS_PER_YEAR >= least_days)
    if not far.any():
        raise ValueError(
            f"no dated contract is quoted {least_days:g} days or more before its expiry: "
            "there is no carry to read off"
        )
    with np.errstate(invalid="ignore"):
        carry = 100.0 * panel["basis"].values / tau
    quotes = pd.DataFrame(
        {
            "time": pd.to_datetime(panel["time"].values, utc=True),
            "underlying": panel["underlying"].values.astype(str)[contract],
            "dated_carry": carry,
        }
    )[far]
    return quotes.groupby(["underlying", "time"], as_index=False)["dated_carry"].median()[
        ["time", "underlying", "dated_carry"]
    ]
