"""Tables for a terminal."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from bayesbasis.report.style import per_cent


def audit_view(audit: pd.DataFrame) -> Table:
    """Show an audit, checks that touched nothing in grey.

    Parameters
    ----------
    audit : pd.DataFrame
        From :func:`bayesbasis.make_panel`.

    Returns
    -------
    rich.table.Table
    """
    view = Table("check", "contract", "rows", "action", "first", "detail", box=SIMPLE_HEAD)
    view.columns[2].justify = "right"
    for column in view.columns[:-1]:
        column.no_wrap = True
    for row in audit.to_dict("records"):
        touched = row["rows"] > 0
        view.add_row(
            row["check"],
            row["contract"],
            f"{row['rows']:,}",
            row["action"] if touched else "",
            f"{row['first_time']:%Y-%m-%d}" if touched else "",
            row["detail"],
            style="" if touched else "dim",
        )
    return view


def live_view(live: pd.DataFrame, *, origin: str, prob: float) -> Table:
    """Show what :func:`bayesbasis.report.tables.live_table` sums up.

    Parameters
    ----------
    live : pd.DataFrame
        A row a contract.
    origin : str
        The instant it was summed up for, ISO 8601.
    prob : float
        Probability of its band.

    Returns
    -------
    rich.table.Table
    """
    view = _by_contract(
        ("days", "basis", "fair", "band", "half-life", "regime"),
        title=f"Live contracts on {origin[:16].replace('T', ' ')} UTC",
        caption=(
            "basis, fair basis and band in bp; days and half-life in days\n"
            f"band: {per_cent(prob)} of forecasts, 7 days before expiry, or ahead if none\n"
            "regime 1: calmest"
        ),
    )
    for row in live.to_dict("records"):
        view.add_row(
            row["contract"],
            _days(row["days"]),
            f"{row['basis']:.1f}",
            f"{row['fair']:.1f}",
            f"{row['lower']:.1f} to {row['upper']:.1f}" if np.isfinite(row["lower"]) else "",
            f"{row['half_life']:.1f}" if np.isfinite(row["half_life"]) else "to expiry",
            f"{row['regime']} ({per_cent(row['probability'], 0)})",
        )
    return view


def update_view(table: pd.DataFrame, *, origin: str, prob: float) -> Table:
    """Show what :func:`bayesbasis.report.tables.update_table` sums up.

    Parameters
    ----------
    table : pd.DataFrame
        A row a contract.
    origin : str
        The last quote, ISO 8601.
    prob : float
        Probability of the band.

    Returns
    -------
    rich.table.Table
    """
    view = _by_contract(
        ("days", "basis", "fair", "next", "score", "P(rich)", "regime"),
        title=f"Quotes up to {origin[:19].replace('T', ' ')} UTC",
        caption=(
            "basis, fair basis and band in bp; score: deviation in its usual spreads\n"
            f"next: {per_cent(prob)} band of the next quote; regime 1: calmest"
        ),
    )
    for row in table.to_dict("records"):
        view.add_row(
            row["contract"],
            _days(row["days"]),
            f"{row['basis']:.1f}",
            f"{row['fair']:.1f}",
            f"{row['lower']:.1f} to {row['upper']:.1f}",
            f"{row['z_score']:+.2f}",
            per_cent(row["rich"], 0),
            f"{row['regime']} ({per_cent(row['probability'], 0)})",
        )
    return view


def _days(days: float) -> str:
    return "none" if np.isnan(days) else f"{days:.1f}"


def _by_contract(columns: Sequence[str], *, title: str, caption: str) -> Table:
    """Begin a table of a row a contract: its name, then numbers."""
    view = Table(
        "contract",
        *columns,
        title=title,
        caption=caption,
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    view.columns[0].no_wrap = True
    for column in view.columns[1:]:
        column.justify = "right"
    return view
