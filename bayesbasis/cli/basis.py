"""``bayesbasis demo``, ``audit``, ``fit`` and ``forecast``: from prices to bands."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
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
    done,
    progress,
    require_place,
    results,
    step,
    store_of,
)

if TYPE_CHECKING:
    import xarray as xr


class ManyProbabilities(TyperCommand):
    """A command whose ``--prob`` takes every number that follows it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read ``--prob 0.5 0.9`` as ``--prob 0.5 --prob 0.9``."""
        return super().parse_args(ctx, repeat_flag(args, "--prob"))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.")] = Path(
        "bayesbasis-demo"
    ),
    seed: Seed = 1,
) -> None:
    """Simulate a market of two regimes, fit its past, and forecast what came after.

    Writes prices.csv, fit.nc, bands.csv and three figures, and prints a table of live contracts.
    """
    from bayesbasis.report.figures import plot_bands, plot_half_life, plot_regimes
    from bayesbasis.report.files import write_bands, write_figures, write_table

    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    with step("simulate a market"):
        # Listed for nine months, a contract a quarter: three of them are live at any time.
        prices, _ = bb.simulate_market(seed=seed, underlyings=["BTC"], listed_days=273)
        panel, _ = bb.make_panel(prices)
        known = bb.known_at(panel, panel["time"].values.max() - np.timedelta64(205, "D"))
    tree = bb.fit(bb.load_card("anchored-regimes-2"), known, seed=seed)
    _advise(tree)
    with step("forecast every live contract to its expiry"):
        paths = bb.forecast(tree, seed=seed, spot=False)
        bands = bb.bands(paths, prob=(0.5, 0.9))
        states, half_lives = bb.filter_states(tree), _half_lives(tree, paths)
    with step(f"write {out}"):
        write_table(prices, out / "prices.csv")
        bb.save(tree, out / "fit.nc")
        write_bands(bands, out / "bands.csv")
        write_figures(
            {
                "bands": plot_bands(bands, panel),
                "regimes": plot_regimes(states, known),
                "half-life": plot_half_life(half_lives),
            },
            out,
        )
    _print_live(known, bands, states, half_lives)
    seconds = time.perf_counter() - started
    progress.print(f"{panel.sizes['obs']:,} quotes to bands in {seconds:.0f} s, all in {out}")


@app.command()
def audit(prices: Prices, timezone: Timezone = None) -> None:
    """Read prices, clean them, and count every row touched and why."""
    from bayesbasis.report.console import audit_view

    with step(f"read {prices}"):
        panel, found = bb.make_panel(bb.read_prices(prices, timezone=timezone))
    results.print(audit_view(found))
    results.print(
        f"{found.attrs['rows_in']:,} rows in, {panel.sizes['obs']:,} quotes of "
        f"{panel.sizes['contract']:,} contracts out",
        highlight=False,
    )


@app.command()
def fit(
    prices: Prices,
    model: Annotated[
        str, typer.Option(metavar="CARD", help="Name of a model card, or path to one.")
    ] = "anchored-regimes",
    out: Annotated[
        Path, typer.Option(metavar="FIT.nc", help="Where the fit goes, a netCDF file.")
    ] = Path("fit.nc"),
    draws: Annotated[
        int, typer.Option(metavar="N", min=1, help="Draws kept of each chain.")
    ] = 1000,
    tune: Annotated[
        int, typer.Option(metavar="N", min=1, help="Draws each chain warms up for.")
    ] = 1000,
    chains: Annotated[int, typer.Option(metavar="N", min=1, help="Chains, run in parallel.")] = 4,
    tracking: Tracking = None,
    seed: Seed = 1,
    timezone: Timezone = None,
) -> None:
    """Sample a model's posterior given prices, diagnose it, and save it."""
    require_place(out, (".nc",))
    spec = bb.load_card(model)
    with step(f"read {prices}"):
        panel, _ = bb.make_panel(bb.read_prices(prices, timezone=timezone))
    tree = bb.fit(spec, panel, draws=draws, tune=tune, chains=chains, seed=seed)
    _advise(tree)
    with step(f"write {out}"):
        bb.save(tree, out)
    if tracking is not None:
        from bayesbasis.report.tracking import log_fit

        with step("log to MLflow"):
            log_fit(tree, store_of(tracking))


@app.command(cls=ManyProbabilities)
def forecast(
    fit: Annotated[
        Path,
        typer.Argument(
            metavar="FIT.nc", help="File that `bayesbasis fit` wrote.", show_default=False
        ),
    ],
    prob: Annotated[
        list[float], typer.Option(metavar="P ...", min=0, max=1, help="Probabilities of the bands.")
    ] = [0.5, 0.9],  # noqa: B006 (typer copies it)
    out: Annotated[
        Path, typer.Option(metavar="BANDS", help="Where the bands go: .csv, .parquet or .nc.")
    ] = Path("bands.csv"),
    horizon: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How far to look ahead, such as 30D; by default to the last expiry, and 30D where "
            "all are perpetuals.",
            show_default=False,
        ),
    ] = None,
    as_simulated: Annotated[
        bool,
        typer.Option(
            "--as-simulated",
            help="Leave bands as the model has them, whatever forecasts of the fit's own past say.",
        ),
    ] = False,
    seed: Seed = 1,
) -> None:
    """Forecast every live contract to its expiry, write the bands and sum them up."""
    from bayesbasis.data.panel import is_perpetual
    from bayesbasis.report.files import write_bands

    require_place(out, (".csv", ".parquet", ".nc"))
    with step(f"read {fit}"):
        tree = bb.load(fit)
    if horizon is None and is_perpetual(tree["constant_data"].to_dataset()).all():
        horizon = "30D"
    with step(f"forecast every live contract {'to its expiry' if horizon is None else horizon}"):
        paths = bb.forecast(
            tree, horizon=horizon, seed=seed, spot=False, recalibrated=not as_simulated
        )
        bands = bb.bands(paths, prob=sorted(prob))
        states, half_lives = bb.filter_states(tree), _half_lives(tree, paths)
    with step(f"write {out}"):
        write_bands(bands, out)
    _print_live(tree["constant_data"].to_dataset(), bands, states, half_lives)


def repeat_flag(args: list[str], flag: str) -> list[str]:
    """Repeat `flag` before each further number that follows it.

    Examples
    --------
    >>> repeat_flag(["fit.nc", "--prob", "0.5", "0.9", "--seed", "1"], "--prob")
    ['fit.nc', '--prob', '0.5', '--prob', '0.9', '--seed', '1']
    """
    repeated: list[str] = []
    for arg in args:
        if repeated[-2:-1] == [flag] and _is_number(arg):
            repeated.append(flag)
        repeated.append(arg)
    return repeated


def _is_number(arg: str) -> bool:
    try:
        float(arg)
    except ValueError:
        return False
    return True


def _advise(tree: xr.DataTree) -> None:
    done(f"sample {tree.attrs['card_name']}", tree.attrs["wall_time_s"])
    progress.print(escape(tree.attrs["diagnosis"]), highlight=False)


def _half_lives(tree: xr.DataTree, paths: xr.Dataset) -> xr.Dataset:
    """Half-lives from every day of the longest-lived contract; perpetuals have but one.

    Of underlyings, unless their contracts converge each in its own way.
    """
    from bayesbasis.model.cards import read_card

    spec = read_card(tree.attrs["card"])
    apart = {name for _, name in spec.pooling.offsets} & {*spec.law.parameters}
    longest = np.nanmax(paths["tau"].values, initial=1 / 365)
    return bb.half_life(paths if apart else tree, np.arange(1, np.ceil(365 * longest) + 1) / 365)


def _print_live(
    panel: xr.Dataset, bands: xr.Dataset, states: xr.Dataset, half_lives: xr.Dataset
) -> None:
    from bayesbasis.report.console import live_view
    from bayesbasis.report.tables import live_table

    prob = bands["prob"].values.max()
    live = live_table(panel, bands, states, half_lives, prob=prob)
    results.print(live_view(live, origin=bands.attrs["origin"], prob=prob))
