"""Covariates from another table, joined to prices without a look ahead."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bayesbasis.data.schema import PriceError


def join_covariates(
    prices: pd.DataFrame,
    table: pd.DataFrame,
    columns: Sequence[str] | None = None,
    *,
    delay: str = "1D",
    by: Sequence[str] = (),
    within: str | None = None,
) -> pd.DataFrame:
    """Give every price row the covariates that were known at its time.

    Parameters
    ----------
    prices : pandas.DataFrame
        With a column ``time``, as `read_prices` returns it.
    table : pandas.DataFrame
        With a column ``time`` or ``date``, UTC, and covariates. Missing values are skipped column
        by column: a row gets the last value that was there.
    columns : sequence of str, optional
        Covariates to join; by default all numeric ones.
    delay : str
        How long after its stamp a value is known. A day unless given: what carries the date of a
        day is known when that day is over. ``"0s"`` if stamps are the instants of publication.
    by : sequence of str
        Columns that must agree besides time, such as ``["underlying"]``.
    within : str, optional
        The oldest that a value may be, counted from when it was known; older ones are missing.

    Returns
    -------
    pandas.DataFrame
        `prices` with the covariates behind, rows and index as they were.

    Raises
    ------
    PriceError
        If the table has no time, or a column is not there or already in the prices.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesbasis.data.covariates import join_covariates
    >>> prices = pd.DataFrame({"time": pd.to_datetime(["2024-01-02", "2024-01-03"], utc=True)})
    >>> table = pd.DataFrame({"date": pd.to_datetime(["2024-01-01", "2024-01-02"]), "rate": [5, 6]})
    >>> join_covariates(prices, table)["rate"].tolist()
    [5, 6]
    """
    there = ", ".join(map(str, table))
    stamp = next((name for name in ("time", "date") if name in table), None)
    if stamp is None:
        raise PriceError(f"the table has no column time or date, only {there}")
    keys, names = list(by), columns
    if names is None:
        numbers = map(str, table.select_dtypes("number"))
        names = [name for name in numbers if name not in (stamp, *keys)]
    for name in [*names, *keys]:
        if name not in table:
            raise PriceError(f"the table has no column {name!r}, only {there}")
    for name in names:
        if name in prices:
            raise PriceError(f"the prices have a column {name!r} already; rename one of the two")
    known = pd.to_datetime(table[stamp], utc=True) + pd.Timedelta(delay)
    right = table[[*keys, *names]].assign(time=known.astype("datetime64[ns, UTC]"))
    right = right.sort_values("time", kind="stable")
    left = prices[["time", *keys]].assign(
        time=pd.to_datetime(prices["time"], utc=True).astype("datetime64[ns, UTC]"),
        row=range(len(prices)),
    )
    left = left.sort_values("time", kind="stable")
    found = prices.copy()
    for name in names:
        joined = pd.merge_asof(
            left,
            right[["time", *keys, name]].dropna(subset=[name]),
            on="time",
            by=keys or None,
            tolerance=None if within is None else pd.Timedelta(within),
        )
        found[name] = joined.sort_values("row")[name].to_numpy()
    return found
