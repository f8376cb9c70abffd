"""What a report says of the market, section by section: Datasets in, tables and figures out."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from bayesbasis.report import pictures
from bayesbasis.report.style import BASIS_POINTS, DAYS_PER_YEAR, per_cent

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
    levels = " and ".join(map(per_cent, np.sort(bands["prob"].values)))
    shown = []
    for row in range(count):
        one = bands.isel(contract=row)
        days = one["tau"].values[0] * DAYS_PER_YEAR
        title, until = f"{days:.0f} days to expiry", f" to its expiry in {days:.0f} days"
        if np.isnan(days):
            title, until = "perpetual", ""
        shown.append(
            Picture(
                pictures.picture_bands(one, panel),
                f"{names[row]}, {title}",
                f"{levels} bands of the basis of {names[row]}{until}; " + _ends(one),
            )
        )
    left = len(names) - count
    words = (
        f"Where the quoted basis will be, with probability {levels}: parameters, regimes and "
        "shocks are all uncertain in it."
    )
    if "recalibrated" in bands.attrs:
        words += (
            " They are as wide as forecasts of the fit's own past say; of the width as simulated "
            f"that is {bands.attrs['recalibrated']} before expiry."
        )
    words += f" {left} more contracts are in the tables alone." if left else ""
    return Section("bands", "Bands to expiry", words, pictures=tuple(shown))


def _ends(one: xr.Dataset) -> str:
    live = np.flatnonzero(~np.isnat(one["time"].values))
    middle = live[len(live) // 2]
    widest = one["interval"].sel(prob=one["prob"].values.max()).isel(step=middle).values
    low, high = BASIS_POINTS * widest
    return f"half-way the wider one runs from {low:.0f} to {high:.0f} bp."


def regime_section(states: xr.Dataset, leg: xr.Dataset | None = None) -> Section:
    """Regime of every underlying at its last quote, and what spot does in each."""
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
    tables = {"Volatility regime": table}
    if leg is not None:
        tables["Spot by regime"] = spot = _spot_table(leg)
        formats |= dict.fromkeys(spot.columns[2:5], "{:.0f}") | {spot.columns[5]: "{:+.2f}"}
        words += (
            " Spot volatility is a scale: days of stress go beyond it, in basis and spot alike."
        )
    return Section("regime", "Regime now", words, tables, formats)


def _spot_table(leg: xr.Dataset) -> pd.DataFrame:
    level = leg["volatility"].quantile([0.05, 0.5, 0.95], ["chain", "draw"])
    shared = leg["correlation"].median(["chain", "draw"])
    rows = []
    for u, underlying in enumerate(leg["underlying"].values.astype(str)):
        for k, regime in enumerate(leg["regime"].values):
            low, middle, high = level.isel(underlying=u, regime=k).values
            row = {"underlying": underlying, "regime": str(regime)}
            row |= {"volatility (% a year)": middle, "5 %": low, "95 %": high}
            rows.append(row | {"correlation with the basis": float(shared[u, k])})
    return pd.DataFrame(rows)


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
            table[f"converged, {per_cent(quantile)} (days)"] = time[:, column]
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
