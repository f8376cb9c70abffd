"""Facts about the commands that deal with models themselves."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayesbasis as bb
from bayesbasis.cli import app
from bayesbasis.evaluate import sbc
from bayesbasis.model.funding_cards import funding_card_text
from bayesbasis.report.equations import equations


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_every_card_is_listed_on_a_line_with_what_it_says():
    lines = run("models").stdout.splitlines()
    said = [(name, bb.load_card(name).summary) for name in bb.list_cards()]
    said += [(name, bb.load_funding_card(name).summary) for name in bb.list_funding_cards()]
    for line, (name, summary) in zip(lines, said, strict=True):
        assert line.startswith(name)
        assert line.endswith(summary)


def test_a_funding_card_is_shown_comments_and_all():
    result = run("models", "show", "funding")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == funding_card_text("funding").strip()


@pytest.mark.parametrize("card", ["anchored-regimes", "brownian-bridge"])
def test_a_model_is_shown_with_its_card_its_equations_and_its_prior(card):
    result = run("models", "show", card)
    assert result.exit_code == 0, result.output
    assert f'name = "{card}"' in result.stdout
    for line in bb.load_card(card).law.equations:
        assert line in result.stdout
    assert "Prior predictive basis, bp, 90 % bands" in result.stdout
    assert "volatility[2]" in result.stdout


def test_a_card_of_one_s_own_is_shown_comments_and_all(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("# Why it is so.\nregimes = { count = 1 }\n", encoding="utf-8")
    result = run("models", "show", path)
    assert result.exit_code == 0, result.output
    assert "# Why it is so." in result.stdout


def test_a_card_that_is_not_there_is_one_line_and_code_2():
    for words in (("models", "show", "anchord"), ("calibrate", "anchord")):
        result = run(*words)
        assert result.exit_code == 2
        assert "did you mean 'anchored'?" in result.stderr


@pytest.mark.parametrize("card", bb.list_cards())
def test_the_equations_of_every_card_name_its_parts(card):
    spec = bb.load_card(card)
    parts = dict(equations(spec))
    assert parts["law"][: len(spec.law.equations)] == spec.law.equations
    assert parts["equilibrium"] == spec.equilibrium.equations
    assert all(line for lines in parts.values() for line in lines)
    text = "\n".join(line for lines in parts.values() for line in lines)
    assert ("Student-t" in text) == (spec.shocks.distribution == "student-t")


def test_calibration_resumes_and_leaves_ranks_and_verdicts(monkeypatch, tmp_path):
    rng = np.random.default_rng(1)

    def fake(spec, panel, seed, effort):
        ranks = {name: int(rng.integers(effort.ranked + 1)) for name in ("noise", "carry[1]")}
        return {"seed": seed, "ranks": ranks, "divergences": 0, "mixed": seed[1] > 2}

    monkeypatch.setattr(sbc, "_replicate", fake)
    for replications in (5, 40):
        result = run("calibrate", "ou", "--replications", replications, "--out", tmp_path)
        assert result.exit_code == 0, result.output
    (place,) = tmp_path.iterdir()
    assert len(list(place.glob("*.json"))) == 40
    table = pd.read_csv(place / "verdicts.csv")
    assert table["quantity"].tolist() == ["noise", "carry[1]"]
    assert (table["ranks"] == 40).all()
    assert (place / "ranks.png").read_bytes().startswith(b"\x89PNG")
    said = " ".join(result.stdout.split())
    assert "40 replications" in said
    assert "3 did not mix (R-hat above 1.05 or fewer effective draws than 31 ranks)" in said
    assert json.loads((place / "00039.json").read_text())["seed"] == [1, 39]
