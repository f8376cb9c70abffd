"""Sections of a report as HTML, Markdown or JSON."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from pandas.io.formats.style import Styler

from bayesbasis.report.pictures import svg
from bayesbasis.report.sections import Section
from bayesbasis.report.style import number_text


def to_html(
    about: dict[str, str], head: tuple[pd.DataFrame, dict[str, str]], sections: Sequence[Section]
) -> str:
    """Write one self-contained page; whatever came from data is escaped."""
    environment = Environment(
        loader=PackageLoader("bayesbasis.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = [
        [
            {
                "svg": Markup(svg(p.figure, f"{section.key}{number}")),
                "caption": p.caption,
                "alt": p.alt,
            }
            for number, p in enumerate(section.pictures)
        ]
        for section in sections
    ]
    tables = [
        [
            _styled(table, caption, section.formats, f"{section.key}{number}")
            for number, (caption, table) in enumerate(section.tables.items())
        ]
        for section in sections
    ]
    said = "Live contracts; basis, fair basis, and band in a week, bp"
    headline = _styled(head[0], said, head[1], "live")
    parts = [
        {"section": section, "figures": figures, "tables": own}
        for section, figures, own in zip(sections, drawn, tables, strict=True)
    ]
    return environment.get_template("page.html").render(about=about, headline=headline, parts=parts)


def _styled(table: pd.DataFrame, caption: str, formats: dict[str, str], key: str) -> Markup:
    """Render a table with pandas' own styler, everything in it escaped."""
    style = Styler(table, uuid=key, cell_ids=False)
    # All in one call: a second one would write the other columns as they are.
    style = style.format(
        {name: partial(number_text, formats[name]) for name in table if name in formats},
        na_rep="–",
        escape="html",
    )
    style = style.format_index(escape="html", axis=1).hide(axis="index")
    style = style.set_table_attributes('class="numbers"').set_caption(caption)
    html = style.to_html(exclude_styles=True)
    return Markup(html)


def _written(table: pd.DataFrame, formats: dict[str, str]) -> Iterable[list[str]]:
    for row in table.itertuples(index=False):
        cells = []
        for name, value in zip(table.columns, row, strict=True):
            missing = isinstance(value, float) and np.isnan(value)
            form = number_text(formats[name], value) if name in formats and not missing else value
            cells.append("–" if missing else str(form).replace("|", r"\|"))
        yield cells


def to_markdown(
    about: dict[str, str], head: tuple[pd.DataFrame, dict[str, str]], sections: Sequence[Section]
) -> str:
    """Write the tables as Markdown."""
    lines = [f"# {about['title']}", "", *_markdown_table(*head)]
    for section in sections:
        if not section.tables:
            continue
        lines += ["", f"## {section.title}", "", section.words]
        for caption, table in section.tables.items():
            lines += ["", f"### {caption}", "", *_markdown_table(table, section.formats)]
    lines += ["", "## Provenance", "", *(f"- {k}: {v}" for k, v in about.items() if k != "card")]
    return "\n".join([*lines, "", "```toml", about["card"].strip(), "```", ""])


def _markdown_table(table: pd.DataFrame, formats: dict[str, str]) -> list[str]:
    names = [str(name).replace("|", r"\|") for name in table.columns]
    rule = ["---" if table[name].dtype.kind not in "fiu" else "---:" for name in table.columns]
    rows = [names, rule, *_written(table, formats)]
    return [f"| {' | '.join(row)} |" for row in rows]


def to_json(
    about: dict[str, str], head: tuple[pd.DataFrame, dict[str, str]], sections: Sequence[Section]
) -> str:
    """Write unrounded numbers; what is infinite or missing is null."""
    content = {
        "about": about,
        "live": _records(head[0]),
        "sections": {
            section.key: {name: _records(table) for name, table in section.tables.items()}
            for section in sections
            if section.tables
        },
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(name): None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in row.items()
        }
        for row in table.to_dict("records")
    ]
