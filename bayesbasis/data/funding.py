"""Funding histories: a table of settlements becomes an audited, ragged Dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.data.checks import Record
from bayesbasis.data.exchanges import Exchange, load_exchange
from bayesbasis.data.funding_checks import (
    CHECKS,
    drop_duplicates,
    drop_missing,
    infer_intervals,
    report_signs,
    scheduled,
)
from bayesbasis.data.funding_rules import FundingRule, premium_from_funding
from bayesbasis.data.prices import (
    PricesSource,
    instants,
    labels,
    load_table,
    numbers,
    require_columns,
    zone_named,
)
from bayesbasis.data.schema import PriceError, refuse

FUNDING_LABELS = ("venue", "underlying", "contract")
FUNDING_COLUMNS = ("time", *FUNDING_LABELS, "funding_rate")
HOURS_PER_YEAR = 8760.0

_OPTIONAL = ("mark", "premium")
_ATTRS = {
    "time": {"long_name": "settlement instant (UTC)"},
    "scheduled": {"long_name": "settlement instant by the venue's clock (UTC)"},
    "contract_index": {
        "units": "1",
        "long_name": "position of the contract of each settlement",
        "instance_dimension": "contract",
    },
    "funding_rate": {"units": "1", "long_name": "funding of the interval, paid by longs"},
    "interval": {"units": "hour", "long_name": "settlement interval"},
    "rate_hour": {"units": "1/hour", "long_name": "funding per hour"},
    "apr_simple": {"units": "1/year", "long_name": "funding, annualised simply"},
    "apr_compounded": {"units": "1/year", "long_name": "funding, annualised with compounding"},
    "premium_lower": {"units": "1", "long_name": "least premium that pays it, per 8 hours"},
    "premium_upper": {"units": "1", "long_name": "greatest premium that pays it, per 8 hours"},
    "mark": {"units": "quote currency", "long_name": "mark price"},
    "premium": {"units": "1", "long_name": "time-weighted premium, per 8 hours"},
    "contract": {"units": "1", "long_name": "contract"},
    "underlying": {"units": "1", "long_name": "underlying"},
    "venue": {"units": "1", "long_name": "venue"},
    "kind": {"units": "1", "long_name": "kind of contract"},
    "interest": {"units": "1", "long_name": "interest rate in funding, per 8 hours"},
    "clamp": {"units": "1", "long_name": "half-width of the dead zone, per 8 hours"},
    "cap": {"units": "1", "long_name": "largest funding of one interval"},
    "plain": {"units": "1", "long_name": "whether funding has no dead zone"},
    "lag_intervals": {"units": "1", "long_name": "intervals between measurement and payment"},
    "interval_now": {"units": "hour", "long_name": "settlement interval at the end"},
    "continuous": {"units": "1", "long_name": "whether funding accrues with every second"},
}


def read_funding(source: PricesSource, *, timezone: str | None = None) -> pd.DataFrame:
    """Read and validate a table of funding settlements.

    One row is one settlement of one perpetual. ``time``, ``venue``, ``underlying``, ``contract``
    and ``funding_rate`` are required; ``mark`` and ``premium`` are known, other columns are kept.
    Nothing is dropped or repaired here: `make_funding` does, and counts it.

    Parameters
    ----------
    source : str, os.PathLike or pandas.DataFrame
        Path to a ``.csv``, ``.csv.gz`` or ``.parquet`` file, or a frame (left unchanged).
    timezone : str, optional
        IANA name of the zone of timestamps written without one.

    Returns
    -------
    pandas.DataFrame
        A new frame in the row order of `source`: ``time`` (datetime64[ns, UTC]), labels (str),
        ``funding_rate`` (float64): the rate of the interval as it was paid, a fraction.

    Raises
    ------
    PriceError
        When a column is missing or of the wrong type, a label is empty, a timestamp has no zone,
        or the file cannot be read.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {
    ...         "time": ["2024-01-02T00:00Z", "2024-01-02T08:00Z"],
    ...         "venue": "binance",
    ...         "underlying": "BTC",
    ...         "contract": "BTCUSDT",
    ...         "funding_rate": [0.0001, "0.00025"],
    ...     }
    ... )
    >>> read_funding(frame)["funding_rate"].tolist()
    [0.0001, 0.00025]
    """
    raw = load_table(source, FUNDING_COLUMNS, "a funding table has one row a settlement")
    require_columns(raw, FUNDING_COLUMNS)
    frame = raw.assign(
        time=instants(raw, "time", zone_named(timezone)),
        **{name: labels(raw, name) for name in FUNDING_LABELS},
        **{name: numbers(raw, name) for name in ("funding_rate", *_OPTIONAL) if name in raw},
    )
    for name in ("time", *FUNDING_LABELS):
        empty = frame[name].isna() | frame[name].eq("")
        remedy = f"Fill it, or drop such rows: funding[funding[{name!r}].notna()]"
        refuse(frame, name, empty, "the cell is empty", remedy)
    first = list(FUNDING_COLUMNS)
    return frame[first + [name for name in frame if name not in first]]


def make_funding(
    funding: PricesSource,
    *,
    exchanges: Mapping[str, Exchange] | Iterable[Exchange] = (),
    timezone: str | None = None,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Clean a funding history and lay it out, with an audit.

    The settlement interval is inferred for every contract and period from the clock itself; rates
    are kept as paid, per hour and annualised. The venue's rule turns every rate into what it says
    of the premium: one value, or the dead zone, or all beyond a cap.

    Parameters
    ----------
    funding : pandas.DataFrame, str or os.PathLike
        What `read_funding` takes, or what it returned.
    exchanges : mapping or iterable of Exchange
        Conventions of venues that come in place of, or beside, those of the package.
    timezone : str, optional
        IANA name of the zone of timestamps written without one.

    Returns
    -------
    history : xarray.Dataset
        Dims ``obs`` (by contract, then time) and ``contract`` (by underlying, venue, name). On
        ``obs``: ``time``, ``scheduled``, ``contract_index``, ``funding_rate`` (raw, of one
        interval), ``interval`` (hours), ``rate_hour``, ``apr_simple``, ``apr_compounded``,
        ``premium_lower`` and ``premium_upper`` (per 8 hours), and every other numeric column, as a
        covariate. On ``contract``: labels and the
        conventions at its last settlement.
    audit : pandas.DataFrame
        Like that of `make_panel`: rows dropped, and gaps, changes of interval, shifted clocks,
        signs, caps and the share at the interest rate reported.

    Raises
    ------
    PriceError
        When the table breaks its schema, names a covariate like a variable of the history, or
        nothing is left.
    ExchangeError
        When a venue's conventions are not known.

    Examples
    --------
    >>> import pandas as pd
    >>> hours = pd.date_range("2024-01-01", periods=9, freq="8h", tz="UTC")
    >>> labels = {"venue": "okx", "underlying": "BTC", "contract": "BTC-USDT-SWAP"}
    >>> history, audit = make_funding(pd.DataFrame({"time": hours, "funding_rate": 1e-4} | labels))
    >>> float(history["apr_simple"][0].round(4)), float(history["interval"][0])
    (0.1095, 8.0)
    """
    frame = _ordered(read_funding(funding, timezone=timezone))
    names = _covariates(frame)
    rows_in, records = len(frame), list[Record]()
    for step in (drop_missing, drop_duplicates):
        frame, touched = step(frame)
        records += touched
    if frame.empty:
        raise PriceError(f"no settlement of {rows_in} has a rate: mend the column 'funding_rate'")
    frame["interval"] = infer_intervals(frame)
    frame["scheduled"] = scheduled(frame)
    rules = _rules(frame, _known(exchanges))
    frame = _with_premium(frame, rules)
    for check in CHECKS:
        records += check(frame)
    records += report_signs(frame)
    audit = pd.DataFrame(records, columns=list(Record._fields))
    audit["first_time"] = pd.to_datetime(audit["first_time"], utc=True).dt.as_unit("ns")
    audit.attrs = {"rows_in": rows_in, "rows_out": len(frame)}
    return _dataset(frame, rules, names), audit


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Name contracts apart and sort by underlying, venue, contract, then time."""
    venues = frame.groupby("contract")["venue"].transform("nunique")
    underlyings = frame.groupby(["venue", "contract"])["underlying"].transform("nunique")
    mixed = underlyings > 1
    remedy = "Tell them apart by name"
    refuse(frame, "contract", mixed, "{!r} is listed for two underlyings of its venue", remedy)
    apart = (frame["venue"] + ":" + frame["contract"]).where(venues > 1, frame["contract"])
    frame = frame.assign(contract=apart)
    return frame.sort_values(
        ["underlying", "venue", "contract", "time"], kind="stable", ignore_index=True
    )


def _covariates(frame: pd.DataFrame) -> list[str]:
    """Name the numeric columns beyond the schema."""
    others = frame.drop(columns=[*FUNDING_COLUMNS, *_OPTIONAL], errors="ignore")
    names = list(map(str, others.select_dtypes(["number", "bool"])))
    taken = [name for name in names if name in _ATTRS]
    if taken:
        raise PriceError(
            f"the column {taken[0]!r} has the name of a variable of the history; rename it"
        )
    return names


def _known(exchanges: Mapping[str, Exchange] | Iterable[Exchange]) -> dict[str, Exchange]:
    given = exchanges.values() if isinstance(exchanges, Mapping) else exchanges
    return {exchange.venue: exchange for exchange in given}


def _rules(
    frame: pd.DataFrame, exchanges: Mapping[str, Exchange]
) -> dict[tuple[str, FundingRule], np.ndarray]:
    """Rows that each contract's rules hold for, in the order of the frame."""
    held: dict[tuple[str, FundingRule], np.ndarray] = {}
    for (contract, venue, underlying), rows in frame.groupby(
        ["contract", "venue", "underlying"], sort=False
    ):
        exchange = exchanges.get(str(venue)) or load_exchange(str(venue))
        days = rows["time"].dt.date
        rule_of = {day: exchange.funding_rule(str(underlying), day) for day in days.unique()}
        rule = days.map(rule_of)
        for one in dict.fromkeys(rule_of.values()):
            held[str(contract), one] = rows.index.to_numpy()[(rule == one).to_numpy()]
    return held


def _with_premium(
    frame: pd.DataFrame, rules: Mapping[tuple[str, FundingRule], np.ndarray]
) -> pd.DataFrame:
    """Add what each rate says of the premium, and whether it is at the interest or the cap."""
    frame = frame.assign(
        premium_lower=np.nan, premium_upper=np.nan, cap=np.nan, first_hour=0.0, dead=False
    )
    for (_, rule), at in rules.items():
        rate = frame.loc[at, "funding_rate"].to_numpy()
        lower, upper = premium_from_funding(rate, rule, frame.loc[at, "interval"].to_numpy())
        frame.loc[at, "premium_lower"], frame.loc[at, "premium_upper"] = lower, upper
        zone = rule.dead_zone
        frame.loc[at, "dead"] = (lower <= zone[0]) & (upper >= zone[1]) & (lower < upper)
        frame.loc[at, "cap"] = rule.cap
        frame.loc[at, "first_hour"] = rule.first_hour
    return frame


def _dataset(
    frame: pd.DataFrame,
    rules: Mapping[tuple[str, FundingRule], np.ndarray],
    covariates: Iterable[str],
) -> xr.Dataset:
    rate, hours = frame["funding_rate"].to_numpy(), frame["interval"].to_numpy()
    per_year = HOURS_PER_YEAR / hours
    on_obs = {
        "scheduled": frame["scheduled"].to_numpy(dtype="datetime64[ns]"),
        "funding_rate": rate,
        "interval": hours,
        "rate_hour": rate / hours,
        "apr_simple": rate * per_year,
        "apr_compounded": np.expm1(np.log1p(rate) * per_year),
        "premium_lower": frame["premium_lower"].to_numpy(),
        "premium_upper": frame["premium_upper"].to_numpy(),
        **{name: frame[name].to_numpy() for name in _OPTIONAL if name in frame},
        **{name: frame[name].to_numpy(dtype=float) for name in covariates},
    }
    first = frame.drop_duplicates("contract")
    last = frame.drop_duplicates("contract", keep="last")
    # Rules come in order of time: a contract's last one stays.
    now = list(dict(rules.keys()).values())
    names = first["contract"].tolist()
    index = pd.Categorical(frame["contract"], categories=names).codes.astype("int64")
    conventions = {
        "interest": [rule.interest for rule in now],
        "clamp": [rule.clamp for rule in now],
        "cap": [rule.cap for rule in now],
        "plain": [rule.rule == "plain" for rule in now],
        "lag_intervals": [rule.lag_intervals for rule in now],
        "continuous": [rule.accrual == "continuous" for rule in now],
        "interval_now": last["interval"].to_numpy(),
    }
    history = xr.Dataset(
        {name: ("obs", values) for name, values in on_obs.items()}
        | {name: ("contract", np.asarray(values)) for name, values in conventions.items()},
        coords={
            "time": ("obs", frame["time"].to_numpy(dtype="datetime64[ns]")),
            "contract_index": ("obs", index),
            **{
                name: ("contract", first[name].to_numpy(dtype=str))
                for name in ("contract", "underlying", "venue")
            },
            "kind": ("contract", np.full(len(first), "perpetual")),
        },
    )
    for name, variable in history.variables.items():
        covariate = {"units": "as given", "long_name": f"covariate {name}"}
        variable.attrs.update(_ATTRS.get(str(name), covariate))
    return history
