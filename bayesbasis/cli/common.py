"""What all commands share: the application, its arguments, how it speaks and how it fails.

Results go to standard output, progress and complaints to standard error. Bad input ends in one line
and exit code 2, work that failed in exit code 1. Commands import what they need when they run, so
that ``--help`` is quick.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

import bayesbasis as bb

BAD_INPUT = 2
FAILED = 1

results = Console()
progress = Console(stderr=True)


class OneLineErrors(TyperGroup):
    """Commands whose expected errors end in one line instead of a traceback."""

    def invoke(self, ctx: Any) -> object:
        """Run a command; say in one line what the user can mend."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            if ctx.params["traceback"]:
                raise
            raise complaint(error) from error


app = typer.Typer(
    cls=OneLineErrors,
    help="Bayesian convergence bands for the futures basis, and forecasts of funding.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Prices = Annotated[
    Path,
    typer.Argument(
        metavar="PRICES",
        help="CSV or Parquet file with the columns time, underlying, venue, contract, expiry, "
        "futures and spot.",
        show_default=False,
    ),
]
Timezone = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE",
        help="Zone of timestamps written without one, such as UTC.",
        show_default=False,
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        metavar="mlflow|URI",
        help="Log it to MLflow: to the folder mlruns, or to a folder or server.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed: the same seed gives the same draws.")]


def _print_version(asked: bool) -> None:
    if asked:
        results.print(f"bayesbasis {bb.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def cli(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error comes from.")
    ] = False,
) -> None:
    """Bayesian convergence bands for the futures basis, and forecasts of funding."""


@contextmanager
def step(doing: str) -> Iterator[None]:
    """Show what is being done while it is, and how long it took once it is done."""
    started = time.perf_counter()
    with progress.status(doing):
        yield
    done(doing, time.perf_counter() - started)


def done(what: str, seconds: float) -> None:
    """Say what is done, and how long it took."""
    progress.print(f"[green]✓[/] {escape(what)} [dim]{seconds:.1f} s[/]", highlight=False)


def complaint(error: Exception) -> typer.Exit:
    """Print an error as one line and return the exit to raise."""
    message = " ".join(str(error).split()) or type(error).__name__
    progress.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    mendable = isinstance(error, ValueError | FileNotFoundError | IsADirectoryError)
    return typer.Exit(BAD_INPUT if mendable else FAILED)


def require_place(out: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse a place that cannot be written to before the work is done, not after."""
    if out.suffix not in suffixes:
        raise ValueError(f"--out {out} ends in {out.suffix!r}: use {' or '.join(suffixes)}")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out {out}: there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise IsADirectoryError(f"--out {out} is a folder: give the name of a file")


def store_of(tracking: str) -> str:
    """Where MLflow keeps what is logged."""
    return "mlruns" if tracking == "mlflow" else tracking
