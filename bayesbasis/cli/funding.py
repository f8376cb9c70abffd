"""Commands on perpetuals: ``bayesbasis funding``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import bayesbasis as bb
from bayesbasis.cli.common import Seed, Timezone, app, progress, results, step


@app.command()
def funding(
    history: Annotated[
        Path,
        typer.Argument(
            metavar="HISTORY",
            help="CSV or Parquet file with the columns time, venue, underlying, contract and "
            "funding_rate, a row a settlement.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.")] = Path(
        "bayesbasis-funding"
    ),
    horizon: Annotated[
        str, typer.Option(metavar="TIME", help="How far to look ahead, such as 30D.")
    ] = "30D",
    model: Annotated[
        str, typer.Option(metavar="CARD", help="Name of a funding card, or path to one.")
    ] = "funding",
    exchange: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="TOML",
            help="Conventions of a venue of your own; may be given several times.",
            show_default=False,
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(metavar="N", min=1, help="Draws kept of each chain.")
    ] = 1000,
    tune: Annotated[
        int, typer.Option(metavar="N", min=1, help="Draws each chain warms up for.")
    ] = 500,
    chains: Annotated[int, typer.Option(metavar="N", min=1, help="Chains, run in parallel.")] = 4,
    quick: Annotated[
        bool, typer.Option("--quick", help="Draw from the Gaussian at the posterior mode instead.")
    ] = False,
    as_simulated: Annotated[
        bool,
        typer.Option(
            "--as-simulated",
            help="Leave sums as the model has them, whatever forecasts of the fit's own past say.",
        ),
    ] = False,
    seed: Seed = 1,
    timezone: Timezone = None,
) -> None:
    """Fit a funding history, and forecast what every perpetual will pay.

    Writes audit.csv, fit.nc, outlook.csv and two figures, and prints the outlook as a table.
    """
    from bayesbasis.forecast.outlook import funding_table
    from bayesbasis.report.files import write_figures, write_table
    from bayesbasis.report.funding import outlook_view, plot_cumulative, plot_funding

    spec = bb.load_funding_card(model)
    exchanges = [bb.load_exchange(str(path)) for path in exchange or ()]
    with step(f"read {history}"):
        frame = bb.read_funding(history, timezone=timezone)
        made, audit = bb.make_funding(frame, exchanges=exchanges)
    out.mkdir(parents=True, exist_ok=True)
    sampler = {"backend": "laplace"} if quick else None
    tree = bb.fit_funding(
        spec, made, draws=draws, tune=tune, chains=chains, seed=seed, sampler=sampler
    )
    progress.print(tree.attrs["diagnosis"], highlight=False)
    with step(f"forecast every settlement of {horizon}"):
        paths = bb.forecast_funding(
            tree, horizon, seed=seed, draws=2000, recalibrated=not as_simulated
        )
        outlook = bb.funding_outlook(paths)
    with step(f"write {out}"):
        write_table(audit, out / "audit.csv")
        write_table(funding_table(outlook), out / "outlook.csv")
        bb.save(tree, out / "fit.nc")
        figures = {
            "funding": plot_funding(paths, made),
            "cumulative": plot_cumulative(paths, made),
        }
        write_figures(figures, out)
    results.print(outlook_view(outlook))
