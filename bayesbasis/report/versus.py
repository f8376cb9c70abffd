"""A comparison as one self-contained HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from bayesbasis.evaluate.calibration import coverage, pit_histogram, score_differences, skill
from bayesbasis.report.files import replacing
from bayesbasis.report.pictures import svg
from bayesbasis.report.scoreboard import (
    plot_coverage,
    plot_pit,
    plot_score_differences,
    plot_skill,
)
from bayesbasis.report.sections import Picture, Section
from bayesbasis.report.style import number_text

if TYPE_CHECKING:
    from bayesbasis.evaluate.comparison import Comparison

_HEADINGS = {
    "crps": "CRPS, bp",
    "crps_se": "±",
    "skill": "skill",
    "log_score": "log score",
    "log_score_se": "±",
    "coverage_50": "50 % holds",
    "coverage_80": "80 % holds",
    "coverage_90": "90 % holds",
    "coverage_95": "95 % holds",
    "width_90": "90 % width, bp",
    "energy": "energy, bp",
    "elpd": "elpd a quote",
    "elpd_se": "±",
    "weight": "weight",
}
_FITS = {
    "r_hat": "R-hat, worst",
    "ess_bulk": "bulk ESS, worst",
    "divergences": "divergences",
    "compile_s": "compile, s",
    "first_s": "first fit, s",
    "next_s": "next fits, s",
    "window_s": "a window, s",
    "peak_mb": "peak, MB",
    "failed": "failed windows",
}
_MOST_PITS = 6


def write_comparison(found: "Comparison", path: Path, *, reference: str | None = None) -> None:
    """Write a comparison as a page that needs no network.

    Parameters
    ----------
    found : Comparison
        From `bayesbasis.compare`.
    path : Path
        Ends in ``.html``; its folder must exist.
    reference : str, optional
        Model that skill is counted from; the straight line where there is one, or the worst.
    """
    names, scores = found.table.index.tolist(), found.scores
    figures = comparison_figures(found, reference)
    drawn = [(title, Markup(svg(figure, f"c{i}"))) for i, (title, figure) in
             enumerate(figures.items())]  # fmt: skip
    tables = {
        "Scores out of sample": _scores(found.table),
        "CRPS by time to expiry, bp": _written(_bucketed(found, "crps"), "{:.2f}"),
        "Coverage of 90 % intervals by time to expiry": _written(
            _bucketed(found, "coverage_90"), "{:.1%}"
        ),
        f"CRPS of {names[0]}, less that of others, bp, and 95 % intervals over contracts": _pairs(
            found.pairs, names[0]
        ),
        "Fits": _written(found.table[list(_FITS)].rename(columns=_FITS), "{:.4g}"),
    }
    environment = Environment(
        loader=PackageLoader("bayesbasis.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("comparison.html").render(
        title=f"{len(names)} models compared",
        quotes=f"{found.table.attrs['quotes']:,}",
        contracts=found.table.attrs["contracts"],
        origins=scores.sizes["window"],
        first=str(scores["window"].values.min())[:10],
        last=str(scores["window"].values.max())[:10],
        best=names[0],
        tables={k: Markup(v) for k, v in tables.items()},
        figures=drawn,
    )
    with replacing(path) as whole:
        whole.write_text(text, encoding="utf-8")


def comparison_section(found: "Comparison") -> Section:
    """Sum up a comparison for a report: scores, coverage by time to expiry, and its figures.

    Parameters
    ----------
    found : Comparison
        From `bayesbasis.compare`.
    """
    named = {
        "crps": "CRPS",
        "crps_se": "± CRPS",
        "coverage_90": "90 % holds",
        "width_90": "90 % width",
        "elpd": "elpd a quote",
        "weight": "weight",
    }
    scores = found.table[list(named)].rename(columns=named).reset_index()
    covered = _bucketed(found, "coverage_90").reset_index()
    formats = dict.fromkeys(named.values(), "{:.2f}") | {"90 % holds": "{:.1%}"}
    formats |= {"weight": "{:.0%}"} | {str(name): "{:.1%}" for name in covered.columns[1:]}
    words = (
        f"{found.table.attrs['quotes']:,} quotes forecast from {found.scores.sizes['window']} "
        "origins, each from what was known then; CRPS (smaller is better) and width in bp."
    )
    tables = {"Scores": scores, "Coverage of 90 % intervals by time to expiry": covered}
    shown = tuple(
        Picture(figure, title, f"{title} of {len(scores)} models out of sample.")
        for title, figure in comparison_figures(found).items()
    )
    return Section("comparison", "Out of sample", words, tables, formats, shown)


def comparison_figures(found: "Comparison", reference: str | None = None) -> dict[str, Figure]:
    """Draw the figures of a comparison, by title; see `write_comparison`."""
    names, scores = found.table.index.tolist(), found.scores
    base = reference or ("straight-line" if "straight-line" in names else names[-1])
    return {
        "Skill": plot_skill(skill(scores, base)),
        "Coverage": plot_coverage(coverage(scores)),
        "Calibration": plot_pit(pit_histogram(scores), names[:_MOST_PITS]),
        "Differences over time": plot_score_differences(score_differences(scores, base)),
    }


def _scores(table: pd.DataFrame) -> str:
    shown = table[[name for name in _HEADINGS if name in table]].copy()
    forms = dict.fromkeys(shown, "{:.3f}")
    forms |= dict.fromkeys(("crps", "crps_se", "energy", "width_90"), "{:.2f}")
    forms |= {name: "{:.1%}" for name in shown if str(name).startswith(("coverage", "weight"))}
    for name in shown:
        shown[name] = [_cell(value, forms[name]) for value in shown[name]]
    return _table(shown.rename(columns=_HEADINGS))


def _bucketed(found: "Comparison", score: str) -> pd.DataFrame:
    """A score by time to expiry, the best model first."""
    return pd.DataFrame(found.buckets[score]).loc[found.table.index].rename_axis("model")


def _pairs(pairs: pd.DataFrame, best: str) -> str:
    own = pairs[pairs["model"] == best].set_index("other")[["difference", "lower", "upper"]]
    return _written(own.rename_axis("less"), "{:+.2f}")


def _written(table: pd.DataFrame, form: str) -> str:
    return _table(table.map(lambda value: _cell(value, form)))


def _cell(value: float, form: str) -> str:
    return number_text(form, value) if np.isfinite(value) else "–"


def _table(table: pd.DataFrame) -> str:
    named = table.rename_axis(columns=None).reset_index()
    return named.to_html(index=False, border=0, escape=True, classes="numbers", justify="unset")
