"""Commands about models themselves: ``bayesbasis models`` and ``bayesbasis calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import bayesbasis as bb
from bayesbasis.cli.common import Seed, app, progress, results, step

_PRIOR_DRAWS = 2000

models = typer.Typer(
    help="List the model cards, or show one: its text, its equations, what it says beforehand.",
    invoke_without_command=True,
    add_completion=False,
)
app.add_typer(models, name="models")


@models.callback()
def list_models(context: typer.Context) -> None:
    """List the model cards, a line each; `bayesbasis models show CARD` shows one."""
    if context.invoked_subcommand is not None:
        return
    said = {name: bb.load_card(name).summary for name in bb.list_cards()}
    said |= {name: bb.load_funding_card(name).summary for name in bb.list_funding_cards()}
    width = max(map(len, said))
    for name, summary in said.items():
        line = f"{name:<{width}}  {summary}"
        results.print(line, markup=False, highlight=False, soft_wrap=True)


@models.command()
def show(
    card: Annotated[
        str,
        typer.Argument(
            metavar="CARD",
            help="Name of a model or funding card, or path to a model card.",
            show_default=False,
        ),
    ],
) -> None:
    """Print a card, its equations, and where it puts parameters and basis before any quote.

    Of a funding card it prints the text alone.
    """
    from bayesbasis.inference.prior import prior_draws
    from bayesbasis.model.cards import card_text
    from bayesbasis.model.covariates import with_stand_ins
    from bayesbasis.report.equations import equations
    from bayesbasis.report.models import parameters_view, prior_view

    if card in bb.list_funding_cards():
        from bayesbasis.model.funding_cards import funding_card_text

        results.print(funding_card_text(card), markup=False, highlight=False, soft_wrap=True)
        return
    spec = bb.load_card(card)
    results.print(card_text(card), markup=False, highlight=False, soft_wrap=True)
    for part, lines in equations(spec):
        for i, line in enumerate(lines):
            named = f"{part if i == 0 else '':<12} {line}"
            results.print(named, markup=False, highlight=False, soft_wrap=True)
    results.print()
    with step("draw from the prior"):
        prices, _ = bb.simulate_market(seed=1, underlyings=["BTC"], quarters=2, listed_days=91)
        panel = with_stand_ins(spec, bb.make_panel(prices)[0])
        draws = prior_draws(spec, panel, draws=_PRIOR_DRAWS, seed=1)
        origin = panel["expiry"].values.max() - np.timedelta64(90, "D")
        bands = bb.prior_bands(spec, panel, origin, seed=1, prob=(0.9,), draws=_PRIOR_DRAWS)
    results.print(parameters_view(draws))
    results.print(prior_view(bands))


@app.command()
def calibrate(
    card: Annotated[
        str,
        typer.Argument(
            metavar="CARD", help="Name of a model card, or path to one.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder of the results; a run that was cut off goes on there."
        ),
    ] = Path("calibration"),
    replications: Annotated[
        int, typer.Option(metavar="N", min=1, help="Markets to simulate and fit.")
    ] = 200,
    seed: Seed = 1,
) -> None:
    """Check by simulation that fits of a card are calibrated: ranks, bands and verdicts.

    Parameters are drawn from the card's prior and quotes from the model; each market is fitted, and
    the truth ranked among posterior draws. Writes ranks.png and verdicts.csv beside the results.
    """
    from rich.progress import track

    from bayesbasis.evaluate.sbc import Effort, gather, run_name
    from bayesbasis.evaluate.sbc import calibrate as run
    from bayesbasis.evaluate.uniformity import verdicts
    from bayesbasis.report.files import write_figures, write_table
    from bayesbasis.report.models import verdicts_view
    from bayesbasis.report.ranks import plot_ranks

    spec, effort = bb.load_card(card), Effort()
    going = run(spec, out, replications, seed=seed, effort=effort)
    found = list(
        track(going, f"calibrate {spec.name}", total=replications, console=progress, transient=True)
    )
    ranks = gather(found)
    table = verdicts(ranks, effort.ranked)
    place = out / run_name(spec, seed, effort)
    write_table(table, place / "verdicts.csv")
    write_figures({"ranks": plot_ranks(ranks, effort.ranked)}, place)
    results.print(verdicts_view(table))
    stuck = sum(not one["mixed"] for one in found)
    results.print(
        f"{len(found)} replications in {place}; {sum(one['divergences'] > 0 for one in found)} "
        f"with divergences; {stuck} did not mix (R-hat above {effort.r_hat:g} or fewer effective "
        f"draws than {effort.ranked} ranks), and are ranked all the same",
        highlight=False,
    )
