"""What a report says of funding: the outlook of every perpetual, beside the dated basis."""

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.data.panel import is_perpetual
from bayesbasis.forecast.outlook import funding_outlook
from bayesbasis.report import pictures
from bayesbasis.report.sections import MOST_FIGURES, Picture, Section
from bayesbasis.report.style import BASIS_POINTS, DAYS_PER_YEAR
from bayesbasis.trade.funding import against_dated

_DAY = np.timedelta64(1, "D")


def funding_section(paths: xr.Dataset, bands: xr.Dataset) -> Section:
    """Outlook of funding, and whether it pays more than the dated contracts lock in.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast_funding`.
    bands : xarray.Dataset
        From `bands`: dated contracts of the same underlyings are compared with.
    """
    outlook = outlook_table(paths)
    tables, formats = {"Outlook": outlook}, _formats(outlook)
    words = (
        "What longs will pay shorts, in bp of the notional, and a year, simple. Off interest: "
        "expected share of settlements that differ from the interest rate; reverts: median days "
        "until one is at it."
    )
    if "recalibrated" in paths.attrs:
        words += (
            " Sums are as wide as forecasts of the fit's own past say; of the width as simulated "
            f"that is {paths.attrs['recalibrated']}."
        )
    against = dated_table(paths, bands)
    if len(against):
        tables["Perpetual against dated, to its expiry"] = against
        formats |= _formats(against)
        words += (
            " Against dated, both are short: a dated future locks its basis in, a perpetual pays "
            "what it will."
        )
    shown = tuple(
        Picture(
            pictures.picture_funding(paths.isel(contract=row)),
            f"{name}, cumulative",
            f"Median and bands of the cumulative funding of {name} from "
            f"{paths.attrs['origin'][:10]}, settlement by settlement.",
        )
        for row, name in enumerate(paths["contract"].values.astype(str)[:MOST_FIGURES])
    )
    return Section("funding", "Funding", words, tables, formats, shown)


def outlook_table(paths: xr.Dataset) -> pd.DataFrame:
    """Lay the outlook out, a row a perpetual."""
    found = funding_outlook(paths)
    total = BASIS_POINTS * found["cumulative"]
    days = pd.Timedelta(found.attrs["within"]).total_seconds() / 86_400
    return pd.DataFrame(
        {
            "perpetual": found["contract"].values.astype(str),
            "days ahead": days,
            "funding (bp)": total.sel(value="mean").values,
            "5 % (bp)": total.sel(value="lower").values,
            "95 % (bp)": total.sel(value="upper").values,
            "a year (%)": 100 * found["apr"].sel(value="mean").values,
            "P(negative)": found["negative"].values,
            "off interest": found["outside_share"].values,
            "reverts (days)": found["revert_days"].values,
        }
    )


def dated_table(paths: xr.Dataset, bands: xr.Dataset) -> pd.DataFrame:
    """Compare every perpetual with the dated contracts of its underlying that expire on the paths.

    What a dated contract locks in is its basis at the first step of the bands.
    """
    start = np.datetime64(paths.attrs["origin"])
    end = start + pd.Timedelta(paths.attrs["horizon"]).to_timedelta64()
    owner, rows = paths["underlying"].values.astype(str), []
    for place in np.flatnonzero(~is_perpetual(bands)):
        one = bands.isel(contract=place)
        expiry = np.datetime64(one["expiry"].item(), "ns")
        own = np.flatnonzero(owner == str(one["underlying"].values))
        if not own.size or expiry > end:
            continue
        basis = float(one["median"].isel(step=0))
        days = float((expiry - start) / _DAY)
        found = against_dated(paths.isel(contract=own), basis, expiry)
        rows += [
            {
                "perpetual": str(name),
                "against": str(one["contract"].values),
                "days": days,
                "locked in (bp)": BASIS_POINTS * float(locked),
                "expected (bp)": BASIS_POINTS * float(expected),
                "locked in (% a year)": 100 * DAYS_PER_YEAR / days * float(locked),
                "expected (% a year)": 100 * DAYS_PER_YEAR / days * float(expected),
                "P(pays more)": float(more),
            }
            for name, locked, expected, more in zip(
                found["contract"].values,
                found["locked"].values,
                found["expected"].values,
                found["pays_more"].values,
                strict=True,
            )
        ]
    return pd.DataFrame(rows)


def _formats(table: pd.DataFrame) -> dict[str, str]:
    shares = ("P(negative)", "off interest", "P(pays more)")
    return {
        name: "{:.0%}" if name in shares else "{:.1f}"
        for name in table.columns
        if table[name].dtype.kind in "fiu"
    }
