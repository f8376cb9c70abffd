"""Commands of the trading desk: ``bayesbasis report`` and ``bayesbasis watch``."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

import bayesbasis as bb
from bayesbasis.cli.common import (
    Prices,
    Seed,
    Timezone,
    app,
    progress,
    require_place,
    results,
    step,
)

if TYPE_CHECKING:
    import xarray as xr

_SUFFIXES = {"html": ".html", "md": ".md", "json": ".json"}

Fit = Annotated[
    Path,
    typer.Option(metavar="FIT.nc", help="File that `bayesbasis fit` wrote.", show_default=False),
]


@app.command()
def report(
    fit: Annotated[
        Path,
        typer.Argument(
            metavar="FIT.nc", help="File that `bayesbasis fit` wrote.", show_default=False
        ),
    ],
    trades: Annotated[
        Path | None,
        typer.Option(
            metavar="TRADES.toml",
            help="Trades, costs and limits; by default a cash and carry in every live contract.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where it goes.", show_default="report.html"),
    ] = None,
    format: Annotated[
        str, typer.Option(metavar="html|md|json", help="One page, Markdown, or for machines.")
    ] = "html",
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="PRICES", help="Newer prices than those of the fit.", show_default=False
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Instant of the report, UTC.", show_default="last quote"),
    ] = None,
    funding: Annotated[
        Path | None,
        typer.Option(
            metavar="FIT.nc",
            help="Fit that `bayesbasis funding` wrote: its forecast pays perpetuals and is shown.",
            show_default=False,
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="RECORD.csv",
            help="Past trades, with the columns odds (predicted P(profit)) and earned (0 or 1).",
            show_default=False,
        ),
    ] = None,
    draws: Annotated[int, typer.Option(metavar="N", min=1, help="Posterior draws used.")] = 200,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Paths of each draw.")] = 20,
    seed: Seed = 1,
    timezone: Timezone = None,
) -> None:
    """Write a report: bands, mispricing, trades, risk, liquidation, diagnostics, provenance."""
    from bayesbasis.report.desk import desk
    from bayesbasis.trade.orders import Orders

    if format not in _SUFFIXES:
        raise ValueError(f"--format {format}: use {', '.join(_SUFFIXES)}")
    target = Path(f"report{_SUFFIXES[format]}") if out is None else out
    require_place(target, (_SUFFIXES[format],))
    orders = Orders() if trades is None else bb.read_orders(trades)
    calibration = None if record is None else _record(record)
    with step(f"read {fit}"):
        tree = bb.load(fit)
        panel = None if prices is None else _panel(prices, timezone)
        paid = None if funding is None else bb.load(funding)
    with step("forecast, trade and stress"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = desk(
            tree, orders, origin=origin, panel=panel, funding=paid, draws=draws, repeats=repeats,
            seed=seed,
        )  # fmt: skip
    for said in dict.fromkeys(str(one.message) for one in caught):
        progress.print(f"[yellow]note:[/] {escape(said)}", highlight=False)
    with step(f"write {target}"):
        bb.write_report(target, fit=tree, calibration=calibration, **found)


@app.command()
def watch(
    prices: Prices,
    fit: Fit,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="Time between looks at the file.")
    ] = 5.0,
    looks: Annotated[
        int, typer.Option(metavar="N", min=0, help="Updates to show before leaving; 0: no end.")
    ] = 0,
    prob: Annotated[
        float, typer.Option(metavar="P", min=0, max=1, help="Probability of the bands.")
    ] = 0.9,
    seed: Seed = 1,
    timezone: Timezone = None,
) -> None:
    """Read prices again whenever they change, and update states and bands without refitting."""
    from bayesbasis.report.console import update_view
    from bayesbasis.report.tables import update_table

    tree, seen, shown = bb.load(fit), 0, 0
    while True:
        changed = prices.stat().st_mtime_ns
        if changed != seen:
            seen, started = changed, time.perf_counter()
            try:
                now = bb.update(tree, _panel(prices, timezone), prob=prob, seed=seed)
            except ValueError as error:
                # A file that is being written may be read half-way; the next look mends it.
                progress.print(f"[yellow]not updated:[/] {escape(str(error))}", highlight=False)
                shown += 1
                continue
            took = time.perf_counter() - started
            results.print(update_view(update_table(now), origin=now.attrs["origin"], prob=prob))
            progress.print(f"[dim]updated in {took:.1f} s[/]", highlight=False)
            shown += 1
        if looks and shown >= looks:
            return
        time.sleep(every)


def _record(path: Path) -> xr.Dataset:
    """Read past trades and bin their odds."""
    import pandas as pd

    table = pd.read_csv(path)
    if not {"odds", "earned"} <= set(table):
        found_columns = ", ".join(map(str, table))
        raise ValueError(f"{path} has the columns {found_columns}: it needs odds and earned")
    found = bb.reliability(table["odds"], table["earned"])
    words = f"{len(table)} past trades; their Brier score is {found.attrs['brier']:.3f}, "
    words += f"{found.attrs['brier_base']:.3f} for whoever always says how often a trade earned."
    return found.assign_attrs(words=words)


def _panel(prices: Path, timezone: str | None) -> xr.Dataset:
    return bb.make_panel(bb.read_prices(prices, timezone=timezone))[0]
