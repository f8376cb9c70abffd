"""Models for a terminal: what a card says before any quote, and whether it is calibrated."""

import numpy as np
import pandas as pd
import xarray as xr
from rich.box import SIMPLE_HEAD
from rich.table import Table

from bayesbasis.report.style import BASIS_POINTS, DAYS_PER_YEAR, per_cent, unit_text

_LEVELS = (0.05, 0.5, 0.95)


def parameters_view(draws: xr.Dataset) -> Table:
    """Show where priors put the parameters of one underlying and one contract.

    Parameters
    ----------
    draws : xarray.Dataset
        From `prior_draws`; of dims but those of regimes the first label is shown.
    """
    view = Table(
        "parameter", "5 %", "median", "95 %", "unit", title="Prior", box=SIMPLE_HEAD, pad_edge=False
    )
    for column in view.columns[1:4]:
        column.justify = "right"
    for name, values in draws.data_vars.items():
        regimes = [dim for dim in values.dims if dim in ("regime", "other")]
        others = [dim for dim in values.dims if dim not in ("chain", "draw", *regimes)]
        first = values.isel(dict.fromkeys(others, 0))
        quantiles = first.quantile(_LEVELS, ["chain", "draw"]).values.reshape(len(_LEVELS), -1).T
        for i, row in enumerate(quantiles):
            label = f"{name}[{i + 1}]" if len(quantiles) > 1 else str(name)
            view.add_row(
                label, *(f"{value:.3g}" for value in row), unit_text(values.attrs["units"])
            )
    return view


def prior_view(bands: xr.Dataset, days: tuple[float, ...] = (90, 60, 30, 14, 7, 1, 0)) -> Table:
    """Show where the card alone puts the basis of its longest-lived contract.

    Parameters
    ----------
    bands : xarray.Dataset
        From `prior_bands`, with one probability.
    days : tuple of float
        Days to expiry to show, as far as the bands reach.
    """
    table = prior_table(bands, days)
    view = Table(
        *("days to expiry", "fair basis", "lower", "median", "upper"),
        title=f"Prior predictive basis, bp, {per_cent(bands['prob'].values.max())} bands",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in view.columns:
        column.justify = "right"
    for row in table.itertuples(index=False):
        view.add_row(f"{row.days:.0f}", *(f"{value:,.1f}" for value in row[1:]))
    return view


def prior_table(bands: xr.Dataset, days: tuple[float, ...]) -> pd.DataFrame:
    """Bands of the longest-lived contract at times to expiry, a row each, in bp."""
    longest = int(bands["tau"].max("step").argmax("contract"))
    own = bands.isel(contract=longest, prob=int(bands["prob"].values.argmax()))
    left = DAYS_PER_YEAR * own["tau"].values
    reached = [day for day in days if np.nanmin(np.abs(left - day)) < 1.0]
    rows = [int(np.nanargmin(np.abs(left - day))) for day in reached]
    lower, upper = (own["interval"].sel(bound=bound).values[rows] for bound in ("lower", "upper"))
    in_bp = {
        "fair": own["equilibrium"].values[rows],
        "lower": lower,
        "median": own["median"].values[rows],
        "upper": upper,
    }
    return pd.DataFrame({"days": left[rows]} | {n: BASIS_POINTS * x for n, x in in_bp.items()})


def verdicts_view(verdicts: pd.DataFrame) -> Table:
    """Show what `verdicts` found, what is not calibrated in bold."""
    view = Table("quantity", "p", "mean", "spread", "verdict", box=SIMPLE_HEAD)
    for column in view.columns[1:4]:
        column.justify = "right"
    for row in verdicts.to_dict("records"):
        style = "" if row["verdict"] == "calibrated" else "bold"
        numbers = (f"{row['p']:.3f}", f"{row['mean']:.2f}", f"{row['spread']:.2f}")
        view.add_row(row["quantity"], *numbers, row["verdict"], style=style)
    return view
