"""What a report says of trades: profit, risk, margin, sizing, and the record."""

import pandas as pd
import xarray as xr

from bayesbasis.report import pictures
from bayesbasis.report.sections import MOST_FIGURES, Picture, Section
from bayesbasis.report.style import BASIS_POINTS, per_cent


def trade_section(trades: xr.Dataset, table: xr.Dataset) -> Section:
    """Profit and loss of every trade, and where it comes from."""
    quantile = table["pnl_quantile"] / trades["notional"] * BASIS_POINTS
    summary = pd.DataFrame(
        {
            "trade": trades["trade"].values.astype(str),
            "entry (bp)": trades["entry"].values * BASIS_POINTS,
            "P(profit)": table["profit"].values,
            "profit (bp)": table["pnl_bp"].values,
            "5 % (bp)": quantile.sel(quantile=0.05).values,
            "95 % (bp)": quantile.sel(quantile=0.95).values,
            "on capital (% a year)": 100 * table["return_on_capital"].values,
            "on margin (% a year)": 100 * table["return_on_margin"].values,
            "break-even (bp)": table["break_even"].values * BASIS_POINTS,
            "held (days)": table["holding"].values,
        }
    )
    parts = pd.DataFrame({"trade": trades["trade"].values.astype(str)})
    for component in table["component"].values.astype(str):
        parts[component] = table["attribution_bp"].sel(component=component).values
    parts["profit"] = table["pnl_bp"].values
    formats = dict.fromkeys((*summary.columns[1:], *parts.columns[1:]), "{:.1f}")
    formats |= {"P(profit)": "{:.1%}"}
    shown = [
        Picture(
            pictures.picture_profit(trades, row),
            f"Profit of {name}",
            f"Histogram of the profit of {name} over all paths; it earns with probability "
            f"{per_cent(float(table['profit'][row]), 0)}.",
        )
        for row, name in enumerate(trades["trade"].values.astype(str)[:MOST_FIGURES])
    ]
    shown.append(
        Picture(
            pictures.picture_attribution(table),
            "Where the expected profit comes from",
            "Stacked bars of what convergence, carry, funding, financing and fees contribute to "
            "the expected profit of every trade.",
        )
    )
    words = (
        "In basis points of the spot bought. Break-even is the entry basis that earns nothing. The "
        "outermost bars of a histogram hold whatever lies beyond them."
    )
    tables = {"Trades": summary, "Attribution of the expected profit (bp)": parts}
    return Section("trades", "Trades", words, tables, formats, tuple(shown))


def risk_section(risk: xr.Dataset) -> Section:
    """Risk of every trade and of the book."""
    level = per_cent(risk.attrs["level"])
    table = pd.DataFrame({"trade": risk["trade"].values.astype(str)})
    columns = {
        f"VaR {level}": "value_at_risk",
        "± VaR": "value_at_risk_error",
        f"ES {level}": "expected_shortfall",
        "± ES": "expected_shortfall_error",
        "part of book's ES": "contribution",
        "under water (days)": "under_water",
        "parameters' share": "parameter_share",
    }
    for title, name in columns.items():
        if name in risk:
            table[title] = risk[name].values
    table.insert(6, "drawdown", risk["drawdown"].sel(measure="mean").values)
    formats = dict.fromkeys(table.columns[1:], "{:,.2f}")
    formats |= {"under water (days)": "{:.1f}", "parameters' share": "{:.0%}"}
    by_regime = pd.DataFrame({"trade": risk["trade"].values.astype(str)})
    for regime in risk["regime"].values:
        title = f"ES, starts in regime {regime}"
        by_regime[title] = risk["shortfall_by_regime"].sel(regime=regime).values
        formats[title] = "{:,.2f}"
    tables = {"Risk, in quote currency": table, "Tail by regime at entry": by_regime}
    if "scenario" in risk.dims:
        tables["Scenarios, expected profit and shortfall of the book"] = scenarios = pd.DataFrame(
            {
                "scenario": risk["scenario"].values.astype(str),
                "expected profit": risk["scenario_pnl"].isel(trade=-1).values,
                f"VaR {level}": risk["scenario_value_at_risk"].isel(trade=-1).values,
                f"ES {level}": risk["scenario_shortfall"].isel(trade=-1).values,
                "drawdown": risk["scenario_drawdown"].isel(trade=-1).values,
            }
        )
        formats |= dict.fromkeys(scenarios.columns[1:], "{:,.2f}")
    words = (
        "Losses are positive. ± is one standard error of simulation. The book is not the sum of "
        "its trades: they share shocks and regimes."
    )
    return Section("risk", "Risk", words, tables, formats)


def margin_section(margins: xr.Dataset) -> Section:
    """How often the future is liquidated, and what leverage it bears."""
    alpha = margins.attrs["alpha"]
    table = pd.DataFrame({"contract": margins["contract"].values.astype(str)})
    title = f"leverage borne at {per_cent(alpha)}"
    table[title] = margins["max_leverage"].values
    formats = {title: "{:.1f}"}
    for level in margins["leverage"].values:
        name = f"P, {level:g}×"
        table[name] = margins["liquidation"].sel(leverage=level).values
        formats[name] = "{:.1%}"
    at = margins["leverage"].values[len(margins["leverage"]) // 2]
    call = f"call at {at:g}×, 95 % (% of position)"
    table[call] = 100 * margins["top_up"].sel(leverage=at, quantile=0.95).values
    formats[call] = "{:.1f}"
    shown = Picture(
        pictures.picture_liquidation(margins),
        "P(liquidation before the exit), ± 2 standard errors",
        "Probability that the future is liquidated before the exit, by leverage, a line a "
        "contract.",
    )
    words = (
        "Liquidation of the future alone, margin isolated and none added. Between looks the price "
        "may go farther: that is drawn too. Leverage below 1 is more margin than the position."
    )
    return Section("margin", "Margin", words, {"Liquidation": table}, formats, (shown,))


def growth_section(growth: xr.Dataset) -> Section:
    """Leverage that grows fastest; no advice."""
    spread = growth["leverage_quantile"]
    table = pd.DataFrame(
        {
            "trade": growth["trade"].values.astype(str),
            "growth-optimal leverage": growth["leverage"].values,
            "5 %": spread.sel(quantile=0.05).values,
            "median": spread.sel(quantile=0.5).values,
            "95 %": spread.sel(quantile=0.95).values,
        }
    )
    formats = dict.fromkeys(table.columns[1:], "{:.1f}")
    words = (
        f"Reported, not advised: it takes the model at its word. Looked at up to "
        f"{growth.attrs['most']:g}; the spread is over {growth.attrs['distribution']}."
    )
    return Section("growth", "Growth-optimal leverage", words, {"Kelly": table}, formats)


def calibration_section(record: xr.Dataset) -> Section:
    """Predicted against realised profits, on record."""
    table = pd.DataFrame(
        {
            "predicted": record["predicted"].values,
            "realised": record["realised"].values,
            "trades": record["count"].values.astype(int),
        }
    )
    shown = Picture(
        pictures.picture_reliability(record),
        "Predicted P(profit) against the share that earned",
        "Reliability diagram: each dot is a bin of past trades, near the diagonal if calibrated.",
    )
    formats = {"predicted": "{:.0%}", "realised": "{:.0%}", "trades": "{:d}"}
    words = str(record.attrs.get("words", "Trades of the past, forecast from what was known then."))
    return Section("record", "On record", words, {"Reliability": table}, formats, (shown,))
