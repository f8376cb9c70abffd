"""What a report says, section by section: Datasets in, tables and figures out."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from bayesbasis.report import pictures
from bayesbasis.report.style import BASIS_POINTS, DAYS_PER_YEAR

MOST_FIGURES = 12


@dataclass(frozen=True)
class Picture:
    """A figure, and what it shows for whoever cannot see it."""

    figure: Figure
    caption: str
    alt: str


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Parameters
    ----------
    key, title : str
        Anchor and heading.
    words : str
        What to know before reading on.
    tables : dict of DataFrame
        By caption; numbers as numbers.
    formats : dict of str
        Python format of each column that is a number.
    pictures : tuple of Picture
    """

    key: str
    title: str
    words: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()


def bands_section(bands: xr.Dataset, panel: xr.Dataset | None) -> Section:
    """Bands of every live contract."""
    names = bands["contract"].values.astype(str)
    count = min(len(names), MOST_FIGURES)
    levels = " and ".join(f"{100 * p:g} %" for p in np.sort(bands["prob"].values))
    shown = []
    for row in range(count):
        one = bands.isel(contract=row)
        days = one["tau"].values[0] * DAYS_PER_YEAR
        shown.append(
            Picture(
                pictures.picture_bands(one, panel),
                f"{names[row]}, {days:.0f} days to expiry",
                f"{levels} bands of the basis of {names[row]} to its expiry in {days:.0f} days; "
                + _ends(one),
            )
        )
    left = len(names) - count
    words = (
        f"Where the quoted basis will be, with probability {levels}: parameters, regimes and "
        "shocks are all uncertain in it."
    )
    words += f" {left} more contracts are in the tables alone." if left else ""
    return Section("bands", "Bands to expiry", words, pictures=tuple(shown))


def _ends(one: xr.Dataset) -> str:
    live = np.flatnonzero(np.isfinite(one["tau"].values))
    middle = live[len(live) // 2]
    widest = one["interval"].sel(prob=one["prob"].values.max()).isel(step=middle).values
    low, high = BASIS_POINTS * widest
    return f"half-way the wider one runs from {low:.0f} to {high:.0f} bp."


def regime_section(states: xr.Dataset) -> Section:
    """Regime of every underlying at its last quote."""
    probability = states["regime_filtered"].mean(("chain", "draw"))
    owner, rows = states["event_underlying"].values.astype(str), []
    for underlying in dict.fromkeys(owner.tolist()):
        last = np.flatnonzero(owner == underlying)[-1]
        row: dict[str, object] = {"underlying": underlying}
        for regime in states["regime"].values:
            row[f"P(regime {regime})"] = float(probability.isel(event=last).sel(regime=regime))
        rows.append(row)
    table = pd.DataFrame(rows)
    formats = dict.fromkeys(table.columns[1:], "{:.0%}")
    words = "Regime 1 is the calmest. Probabilities are the filter's, given quotes so far."
    return Section("regime", "Regime now", words, {"Volatility regime": table}, formats)


def mispricing_section(found: xr.Dataset) -> Section:
    """Ranking of live contracts by mispricing."""
    sample = ["chain", "draw"]
    score = found["z_score"].quantile([0.05, 0.5, 0.95], sample)
    table = pd.DataFrame(
        {
            "contract": found["contract"].values.astype(str),
            "days": found["tau"].values * DAYS_PER_YEAR,
            "basis (bp)": found["basis"].values * BASIS_POINTS,
            "deviation (bp)": found["deviation"].median(sample).values * BASIS_POINTS,
            "a year (%)": 100 * found["annualised"].median(sample).values,
            "score": score.sel(quantile=0.5).values,
            "score 5 %": score.sel(quantile=0.05).values,
            "score 95 %": score.sel(quantile=0.95).values,
            "P(rich)": found["rich"].values,
            "rank": found["rank"].values,
        }
    )
    if "excess" in found:
        table.insert(5, "over carry (bp)", found["excess"].values * BASIS_POINTS)
    formats = {
        "days": "{:.1f}",
        "P(rich)": "{:.0%}",
        "a year (%)": "{:.2f}",
        "rank": "{:d}",
        **dict.fromkeys(("score", "score 5 %", "score 95 %"), "{:+.2f}"),
        **dict.fromkeys(("basis (bp)", "deviation (bp)", "over carry (bp)"), "{:.1f}"),
    }
    words = (
        "Deviation of the last quote from the fair basis, posterior median. The score is the "
        "filtered deviation in units of its usual spread at this time to expiry."
    )
    table = table.sort_values("rank")
    return Section("mispricing", "Mispricing", words, {"Richest first": table}, formats)


def convergence_section(found: xr.Dataset) -> Section:
    """Half-life and time to convergence of every contract."""
    within = BASIS_POINTS * found.attrs["within"]
    time = found["time_to_convergence"].transpose("contract", "quantile").values
    half = found["half_life"].transpose("contract", "chain", "draw").values
    # Some may be infinite, and no quantile may mix those with the others.
    half = np.quantile(half.reshape(len(half), -1), 0.5, axis=1, method="inverted_cdf")
    table = pd.DataFrame(
        {"contract": found["contract"].values.astype(str), "half-life (days)": half}
    )
    for column, quantile in enumerate(found["quantile"].values):
        if quantile in (0.05, 0.5, 0.95):
            table[f"converged, {quantile:.0%} (days)"] = time[:, column]
    for days in found["days_left"].values:
        chance = found["near_expiry"].sel(days_left=days).values
        table[f"P(near 0, {days:g} d left)"] = chance
    formats = {name: "{:.1f}" for name in table.columns if "(days)" in name}
    formats |= {name: "{:.0%}" for name in table.columns if name.startswith("P(")}
    words = (
        f"Converged means: the deviation has been within {within:g} bp of fair value. A half-life "
        "of ∞ ends after expiry. The last columns look at the quoted basis before expiry."
    )
    shown = Picture(
        pictures.picture_convergence(found),
        f"P(deviation has been within {within:g} bp)",
        "Probability of having converged by days from now, a line a contract.",
    )
    return Section("convergence", "Convergence", words, {"Convergence": table}, formats, (shown,))


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
            f"{float(table['profit'][row]):.0%}.",
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
    words = "In basis points of the spot bought. Break-even is the entry basis that earns nothing."
    tables = {"Trades": summary, "Attribution of the expected profit (bp)": parts}
    return Section("trades", "Trades", words, tables, formats, tuple(shown))


def risk_section(risk: xr.Dataset) -> Section:
    """Risk of every trade and of the book."""
    level = f"{100 * risk.attrs['level']:g} %"
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
    title = f"leverage borne at {100 * alpha:g} %"
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
