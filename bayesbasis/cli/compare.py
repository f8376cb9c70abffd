"""Commands of comparison: ``bayesbasis backtest`` and ``bayesbasis compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

import bayesbasis as bb
from bayesbasis.cli.common import (
    Prices,
    Seed,
    Timezone,
    Tracking,
    app,
    progress,
    require_place,
    results,
    step,
    store_of,
)

if TYPE_CHECKING:
    import xarray as xr

    from bayesbasis.evaluate.baselines import Baseline
    from bayesbasis.model.spec import Spec


class ManyModels(TyperCommand):
    """A command whose ``--models`` takes every word that follows it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read ``--models ou anchored`` as ``--models ou --models anchored``."""
        return super().parse_args(ctx, spread_words(args, "--models"))


def spread_words(args: list[str], flag: str) -> list[str]:
    """Repeat `flag` before each further word that follows it, up to the next option.

    Examples
    --------
    >>> spread_words(["p.csv", "--models", "ou", "anchored", "--seed", "1"], "--models")
    ['p.csv', '--models', 'ou', '--models', 'anchored', '--seed', '1']
    """
    spread: list[str] = []
    within = False
    for arg in args:
        if arg.startswith("-"):
            within = arg == flag
        elif within and spread[-1] != flag:
            spread.append(flag)
        spread.append(arg)
    return spread


Models = Annotated[
    list[str],
    typer.Option(metavar="CARD ...", help="Names of model cards or of baselines, or paths."),
]
Baselines = Annotated[bool, typer.Option(help="Compare with every baseline, too.")]
Origins = Annotated[
    str,
    typer.Option(
        metavar="FREQ|TIMES",
        help="When forecasts are made: MS (the first of each month), QS, W-MON and so on, or dates "
        "with commas between them.",
    ),
]
Horizon = Annotated[str, typer.Option(metavar="TIME", help="How far they look, such as 60d.")]
Store = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder that keeps finished windows: a run that was stopped resumes there.",
        show_default=False,
    ),
]
Processes = Annotated[int, typer.Option(metavar="N", min=1, help="Processes to use.")]
Refit = Annotated[int, typer.Option(metavar="N", min=1, help="Fit anew at every N-th origin.")]
Draws = Annotated[int, typer.Option(metavar="N", min=1, help="Draws kept of each of 2 chains.")]
Repeats = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="Paths of each draw: 10 tell models apart that are close."
    ),
]

_DEFAULT = ["anchored-regimes", "anchored", "ou"]


@app.command(cls=ManyModels)
def backtest(
    prices: Prices,
    models: Models = _DEFAULT,
    baselines: Baselines = True,
    origins: Origins = "MS",
    horizon: Horizon = "60d",
    out: Annotated[
        Path, typer.Option(metavar="SCORES", help="Where the scores go: .nc, .parquet or .csv.")
    ] = Path("scores.nc"),
    store: Store = None,
    refit: Refit = 1,
    draws: Draws = 300,
    repeats: Repeats = 1,
    processes: Processes = 1,
    seed: Seed = 1,
    timezone: Timezone = None,
) -> None:
    """Forecast from origin after origin with what was known then, and score every quote."""
    from bayesbasis.report.files import write_scores

    require_place(out, (".nc", ".parquet", ".csv"))
    scores = bb.backtest(
        _named(models, baselines), _panel(prices, timezone), _dates(origins), horizon, refit=refit,
        draws=draws, repeats=repeats, seed=seed, store=store, processes=processes,
    )  # fmt: skip
    _tell_failures(scores)
    with step(f"write {out}"):
        write_scores(scores, out)


@app.command(cls=ManyModels)
def compare(
    prices: Prices,
    models: Models = _DEFAULT,
    baselines: Baselines = True,
    origins: Origins = "MS",
    horizon: Horizon = "60d",
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Where it goes: .html, a page; .csv, the table; .nc, the scores."
        ),
    ] = Path("comparison.html"),
    store: Store = None,
    refit: Refit = 1,
    draws: Draws = 300,
    repeats: Repeats = 1,
    processes: Processes = 1,
    tracking: Tracking = None,
    seed: Seed = 1,
    timezone: Timezone = None,
) -> None:
    """Compare models by what they forecast out of sample: a table, and figures of calibration."""
    from bayesbasis.report.files import write_scores, write_table
    from bayesbasis.report.versus import write_comparison

    require_place(out, (".html", ".csv", ".nc"))
    scores = bb.backtest(
        _named(models, baselines), _panel(prices, timezone), _dates(origins), horizon, refit=refit,
        draws=draws, repeats=repeats, seed=seed, store=store, processes=processes,
    )  # fmt: skip
    _tell_failures(scores)
    with step("compare"):
        found = bb.compare(scores)
    with step(f"write {out}"):
        if out.suffix == ".html":
            write_comparison(found, out)
        elif out.suffix == ".csv":
            write_table(found.table.reset_index(), out)
        else:
            write_scores(scores, out)
    if tracking is not None:
        from bayesbasis.report.tracking import log_comparison

        with step("log to MLflow"):
            log_comparison(found, store_of(tracking))
    results.print(str(found), highlight=False, soft_wrap=True, markup=False)


def _named(models: list[str], baselines: bool) -> dict[str, Spec | Baseline]:
    """Models to compare, by name; one that there is not is refused before prices are read."""
    from bayesbasis.evaluate.backtesting import name_models
    from bayesbasis.evaluate.baselines import BASELINES

    return name_models([*models, *(name for name in BASELINES if baselines)])


def _panel(prices: Path, timezone: str | None) -> xr.Dataset:
    with step(f"read {prices}"):
        return bb.make_panel(bb.read_prices(prices, timezone=timezone))[0]


def _dates(origins: str) -> str | list[str]:
    """Tell dates from a frequency: they have digits and dashes."""
    return origins.split(",") if any(c.isdigit() for c in origins) and "-" in origins else origins


def _tell_failures(scores: xr.Dataset) -> None:
    for model, window in zip(*(scores["failure"].values != "").nonzero(), strict=True):
        where = scores.isel(model=model, window=window)
        line = f"{where['model'].item()} failed at {where['window'].values:.10}"
        progress.print(f"[yellow]![/] {escape(line)}: {escape(where['failure'].item())}")
