"""Diagnosis of a fit: what is wrong, with which parameter, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr

RHAT_LIMIT = 1.01
ESS_LIMIT = 400.0
BFMI_LIMIT = 0.3
DEPTH_SHARE_LIMIT = 0.05


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Convergence of a fit.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per scalar: ``r_hat``, ``ess_bulk``, ``ess_tail`` and Monte Carlo errors.
    divergences : int
        Divergent transitions after tuning.
    depth_share : float
        Share of draws at the maximum tree depth.
    bfmi : tuple of float
        Energy fraction of missing information, per chain.
    problems : tuple of str
        What is wrong and what to do; empty if all is well.
    """

    table: pd.DataFrame
    divergences: int
    depth_share: float
    bfmi: tuple[float, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def worst(self) -> dict[str, float]:
        """Largest R-hat, least bulk ESS and number of divergences, by the names of attrs."""
        return {
            "r_hat": float(self.table["r_hat"].max()),
            "ess_bulk": float(self.table["ess_bulk"].min()),
            "divergences": self.divergences,
        }

    def __str__(self) -> str:
        """Sum up in a few lines."""
        worst = (
            f"R-hat at most {self.table['r_hat'].max():.3f}, "
            f"bulk ESS at least {self.table['ess_bulk'].min():.0f}, "
            f"tail ESS at least {self.table['ess_tail'].min():.0f} "
            f"over {len(self.table)} scalars, {self.divergences} divergences"
        )
        worst += f", E-BFMI at least {min(self.bfmi):.2f}" if self.bfmi else ""
        verdict = "converged" if self.ok else "not to be trusted yet"
        return "\n".join([f"{verdict}: {worst}", *(f"- {p}" for p in self.problems)])


def diagnose(fit: xr.DataTree) -> Diagnosis:
    """Check R-hat, effective sample sizes, divergences, tree depth and energy of a fit.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.

    Returns
    -------
    Diagnosis
        Its text names what is wrong with which parameter and what to do.

    References
    ----------
    Vehtari et al. (2021), doi 10.1214/20-BA1221; Betancourt (2016), arXiv 1604.00695.
    """
    # A parameter that never moves divides by zero; it is named below.
    with np.errstate(all="ignore"):
        table = az.summary(fit, kind="diagnostics", round_to="none").astype(float)
    stats = fit["sample_stats"].to_dataset()
    divergences = int(stats["diverging"].sum()) if "diverging" in stats else 0
    at_limit = "reached_max_treedepth" in stats
    depth_share = float(stats["reached_max_treedepth"].mean()) if at_limit else 0.0
    bfmi = tuple(np.atleast_1d(az.bfmi(fit)["energy"].values)) if "energy" in stats else ()
    problems = [
        *_mixing(table, chains=stats.sizes["chain"]),
        *_trajectories(divergences, depth_share, bfmi),
    ]
    return Diagnosis(table, divergences, depth_share, bfmi, tuple(problems))


def _mixing(table: pd.DataFrame, *, chains: int) -> list[str]:
    problems = []
    if chains < 2:
        problems.append("one chain cannot be checked against another: run at least 4 chains")
    columns = ["ess_bulk", "ess_tail"] + (["r_hat"] if chains > 1 else [])
    unknown = table[table[columns].isna().any(axis=1)]
    if len(unknown):
        problems.append(
            f"no diagnosis of {_listed(unknown.index)}: its draws are missing, constant or too few "
            "(fewer than 4 a chain): take more draws; if it stays, look at the data"
        )
    stuck = table[table["r_hat"] > RHAT_LIMIT].sort_values("r_hat", ascending=False)
    if len(stuck):
        problems.append(
            f"chains disagree on {_named(stuck, 'r_hat', '.3f')} (R-hat above {RHAT_LIMIT}): "
            "draw and tune for longer; if it stays, use fewer regimes or narrower priors"
        )
    for column, part in (("ess_bulk", "centre"), ("ess_tail", "tails")):
        thin = table[table[column] < ESS_LIMIT].sort_values(column)
        if len(thin):
            problems.append(
                f"the {part} of {_named(thin, column, '.0f')} rest on fewer than {ESS_LIMIT:.0f} "
                "effective draws: take more draws"
            )
    return problems


def _trajectories(divergences: int, depth_share: float, bfmi: tuple[float, ...]) -> list[str]:
    problems = []
    if divergences:
        problems.append(
            f"{divergences} divergent transitions: a region of the posterior may be missing; "
            'refit with sampler={"target_accept": 0.99}'
        )
    if depth_share > DEPTH_SHARE_LIMIT:
        problems.append(
            f"{100 * depth_share:.0f} % of draws ran into the maximum tree depth: "
            'refit with sampler={"maxdepth": 12}, or narrow a prior that the data do not inform'
        )
    if bfmi and min(bfmi) < BFMI_LIMIT:
        problems.append(
            f"energy moves slowly (E-BFMI {min(bfmi):.2f}, below {BFMI_LIMIT}): tune for longer, "
            "or narrow the priors of the spreads (carry_between_contracts, between_underlyings)"
        )
    return problems


def _named(rows: pd.DataFrame, column: str, form: str, most: int = 3) -> str:
    return _listed([f"{name} ({value:{form}})" for name, value in rows[column].items()], most)


def _listed(names: Iterable[object], most: int = 3) -> str:
    texts = [str(name) for name in names]
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")
