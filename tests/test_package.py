import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

import bayesbasis

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("arviz", "matplotlib", "numba", "numpy", "nutpie", "pandas", "pymc", "pytensor", "xarray")


def run_python(code: str) -> str:
    """Run code in a fresh interpreter, which has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def fenced_commands() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def test_importing_the_package_reaches_nothing_heavy():
    loaded = json.loads(
        run_python("import bayesbasis, json, sys; print(json.dumps(list(sys.modules)))")
    )
    assert not set(HEAVY) & set(loaded)


def test_prices_and_pictures_reach_no_pymc():
    code = """
import json, sys
import bayesbasis as bb
bb.make_panel, bb.simulate_market, bb.log_score
import bayesbasis.report.figures, bayesbasis.report.tables, bayesbasis.report.desk
bb.write_report, bb.cash_and_carry, bb.margin, bb.risk_table, bb.growth_leverage
print(json.dumps(list(sys.modules)))
"""
    assert not {"pymc", "pytensor", "nutpie"} & set(json.loads(run_python(code)))


@pytest.mark.parametrize("name", bayesbasis.__all__)
def test_every_public_name_loads_and_says_what_it_does(name):
    assert getattr(bayesbasis, name).__doc__


def test_the_stub_names_each_public_name_once():
    stub = ast.parse((ROOT / "bayesbasis" / "__init__.pyi").read_text("utf-8"))
    names = [
        alias.asname
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(names) == sorted(set(names)) == sorted(bayesbasis.__all__)


def test_a_room_does_not_hide_the_verb_of_its_name():
    code = "import bayesbasis.forecast.paths, bayesbasis; print(callable(bayesbasis.forecast))"
    assert run_python(code).strip() == "True"


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert version("bayesbasis") == bayesbasis.__version__
    assert f"\nversion: {bayesbasis.__version__}\n" in citation
    assert f"\n## [{bayesbasis.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_constraints_pin_every_dependency_by_name_and_version_only():
    lines = (ROOT / "constraints.txt").read_text("utf-8").split()
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    names = {re.match(r"[A-Za-z0-9_-]+", line)[0].lower() for line in wanted}
    assert names <= {line.partition("==")[0].lower() for line in lines}


def test_the_wheel_carries_the_cards_and_the_types(tmp_path):
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    inside = set(ZipFile(wheel).namelist())
    cards = {f"bayesbasis/cards/{card.name}" for card in (ROOT / "models").glob("*.toml")}
    assert {"bayesbasis/cards/anchored-regimes.toml", *cards} <= inside
    assert {"bayesbasis/py.typed", "bayesbasis/__init__.pyi"} <= inside
    assert "bayesbasis/report/templates/page.html" in inside


def test_the_readme_opens_with_the_two_commands():
    install, test = fenced_commands()[:2]
    assert install.rstrip().endswith("bayesbasis demo")
    assert test.rstrip().endswith("pytest")
