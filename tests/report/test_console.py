import io

import pandas as pd
from rich.console import Console
from rich.table import Table

from bayesbasis.report.console import audit_view, live_view
from bayesbasis.report.tables import live_table


def shown(view: Table) -> str:
    """Print on a terminal of the usual width."""
    console = Console(width=80, file=io.StringIO())
    console.print(view)
    return console.file.getvalue()


def test_each_live_contract_is_one_line_of_the_usual_width(market):
    live = live_table(market.panel, market.bands, market.states, market.half_lives)
    lines = shown(live_view(live, origin="2024-03-01T08:00", prob=0.9)).splitlines()
    assert "2024-03-01 08:00 UTC" in lines[0]
    for row in live.to_dict("records"):
        (line,) = (line for line in lines if row["contract"] in line)
        assert f"{row['basis']:.1f}" in line
        assert f"{row['lower']:.1f} to {row['upper']:.1f}" in line


def test_an_audit_shows_an_action_only_where_a_row_was_touched():
    audit = pd.DataFrame(
        {
            "check": ["gap", "stale futures"],
            "contract": ["BTC-1", ""],
            "rows": [3, 0],
            "action": ["reported", "dropped"],
            "first_time": [pd.Timestamp("2024-03-01T08:00Z"), pd.NaT],
            "detail": ["5 days", ""],
        }
    )
    text = shown(audit_view(audit))
    assert "2024-03-01" in text
    assert "reported" in text
    assert "dropped" not in text
