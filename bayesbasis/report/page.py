"""The report: one self-contained HTML page, or the same as Markdown or JSON."""

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.report.files import replacing
from bayesbasis.report.funding_section import funding_section
from bayesbasis.report.render import to_html, to_json, to_markdown
from bayesbasis.report.sections import (
    bands_section,
    convergence_section,
    mispricing_section,
    regime_section,
)
from bayesbasis.report.style import BASIS_POINTS, per_cent
from bayesbasis.report.trade_sections import (
    calibration_section,
    growth_section,
    margin_section,
    risk_section,
    trade_section,
)
from bayesbasis.report.versus import comparison_section
from bayesbasis.trade.book import trade_table
from bayesbasis.trade.risk import risk_table

_DAY = np.timedelta64(1, "D")

if TYPE_CHECKING:
    from bayesbasis.evaluate.comparison import Comparison

type Format = Literal["html", "md", "json"]

_SUFFIXES: dict[str, Format] = {".html": "html", ".md": "md", ".json": "json"}


def write_report(
    path: str | os.PathLike[str],
    *,
    fit: xr.DataTree,
    bands: xr.Dataset,
    trades: xr.Dataset | None = None,
    states: xr.Dataset | None = None,
    spot: xr.Dataset | None = None,
    mispricing: xr.Dataset | None = None,
    convergence: xr.Dataset | None = None,
    risk: xr.Dataset | None = None,
    margin: xr.Dataset | None = None,
    growth: xr.Dataset | None = None,
    calibration: xr.Dataset | None = None,
    comparison: "Comparison | None" = None,
    funding: xr.Dataset | None = None,
    panel: xr.Dataset | None = None,
    format: Format | None = None,
) -> Path:
    """Write a report that a desk can read; what is not given is left out.

    Parameters
    ----------
    path : str or path-like
        Where to; the folder must exist.
    fit : xarray.DataTree
        From `fit`: diagnosis, card and provenance.
    bands : xarray.Dataset
        From `bands`.
    trades : xarray.Dataset, optional
        From `cash_and_carry` or `book`.
    states : xarray.Dataset, optional
        From `filter_states`, for the regime now.
    spot : xarray.Dataset, optional
        From `spot_leg`, shown beside the regimes.
    mispricing, convergence, margin, growth : xarray.Dataset, optional
        From `mispricing`, `convergence`, `margin` and `growth_leverage`.
    risk : xarray.Dataset, optional
        From `risk_table`; of the trades at 95 %, by default.
    calibration : xarray.Dataset, optional
        Record of predicted and realised profits: dim bin, ``predicted``, ``realised``, ``count``.
    comparison : Comparison, optional
        From `compare`: how the model has forecast before, against others.
    funding : xarray.Dataset, optional
        From `forecast_funding`: what perpetuals will pay, beside what dated contracts lock in.
    panel : xarray.Dataset, optional
        Quotes to draw; by default those of the fit.
    format : {"html", "md", "json"}, optional
        By default what the suffix of the path says.

    Returns
    -------
    pathlib.Path
        The file. HTML needs no network, follows the reader's light or dark theme and prints.

    Raises
    ------
    ValueError
        If the format is unknown.
    FileNotFoundError
        If there is no such folder.
    """
    target = Path(path)
    chosen = format or _SUFFIXES.get(target.suffix)
    if chosen is None or chosen not in _SUFFIXES.values():
        raise ValueError(
            f"{target} ends in {target.suffix!r} and format is {format!r}: use html, md or json"
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(f"folder {target.parent} does not exist; create it first")
    quotes = fit["constant_data"].to_dataset() if panel is None else panel
    sections = [bands_section(bands, quotes)]
    if states is not None:
        sections.append(regime_section(states, spot))
    if mispricing is not None:
        sections.append(mispricing_section(mispricing))
    if convergence is not None:
        sections.append(convergence_section(convergence))
    if funding is not None:
        sections.append(funding_section(funding, bands))
    if trades is not None:
        risk = risk_table(trades, 0.95) if risk is None else risk
        sections += [trade_section(trades, trade_table(trades)), risk_section(risk)]
    optional = ((margin, margin_section), (growth, growth_section))
    sections += [make(found) for found, make in optional if found is not None]
    if calibration is not None:
        sections.append(calibration_section(calibration))
    if comparison is not None:
        sections.append(comparison_section(comparison))
    head = _headline(bands, mispricing, trades)
    render = {"html": to_html, "md": to_markdown, "json": to_json}[chosen]
    text = render(_about(fit, bands), head, sections)
    with replacing(target) as whole:
        whole.write_text(text, encoding="utf-8")
    return target


def _about(fit: xr.DataTree, bands: xr.Dataset) -> dict[str, str]:
    """Say where the report comes from."""
    return {
        "title": f"Basis on {bands.attrs['origin'][:16].replace('T', ' ')} UTC",
        "origin": f"{str(bands.attrs['origin'])[:19].replace('T', ' ')} UTC",
        "card_name": str(fit.attrs["card_name"]),
        "card": str(fit.attrs["card"]),
        "data_hash": str(fit.attrs["data_hash"]),
        "diagnosis": str(fit.attrs["diagnosis"]),
        "seed": str(bands.attrs["seed"]),
        "versions": ", ".join(f"{k} {v}" for k, v in json.loads(fit.attrs["versions"]).items()),
        "written_by": f"bayesbasis {version('bayesbasis')}",
    }


def _headline(
    bands: xr.Dataset, mispricing: xr.Dataset | None, trades: xr.Dataset | None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """One row a contract: what a desk looks at first."""
    widest = bands["interval"].sel(prob=bands["prob"].values.max())
    prob = per_cent(float(bands["prob"].max()))
    rows = []
    for index, name in enumerate(bands["contract"].values.astype(str)):
        tau = bands["tau"].values[index]
        ahead = (bands["time"].values[index] - bands["time"].values[index, 0]) / _DAY
        # A week from now, or at an expiry that is nearer.
        away = ahead - 7.0 if np.isnan(tau[0]) else 365 * (tau - max(tau[0] - 7 / 365, 0.0))
        week = np.nanargmin(np.abs(away))
        low, high = widest.isel(contract=index, step=week).values * BASIS_POINTS
        row: dict[str, object] = {
            "contract": name,
            "days": 365 * tau[0],
            "basis": float(bands["median"].isel(contract=index, step=0)) * BASIS_POINTS,
            "fair": float(bands["equilibrium"].isel(contract=index, step=0)) * BASIS_POINTS,
            f"{prob} low": low,
            f"{prob} high": high,
        }
        if mispricing is not None and name in mispricing["contract"].values:
            row["P(rich)"] = float(mispricing["rich"].sel(contract=name))
        rows.append(row)
    table = pd.DataFrame(rows)
    if trades is not None:
        profit = (trades["pnl"] > 0).mean(("chain", "draw")).to_series()
        best = profit.groupby(trades["contract"].values.astype(str)).max()
        table["best P(profit)"] = table["contract"].map(best)
    formats = {name: "{:.1f}" for name in table.columns[1:] if "P(" not in name}
    formats |= {name: "{:.0%}" for name in table.columns if "P(" in name}
    return table, formats
