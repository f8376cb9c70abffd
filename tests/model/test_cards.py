"""Facts about model cards."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from bayesbasis.model.cards import (
    list_cards,
    load_card,
    read_card,
    save_card,
    write_card,
)
from bayesbasis.model.hierarchy import raw_variables
from bayesbasis.model.levels import Levels
from bayesbasis.model.priors import LogitNormal, LogNormal, Normal, Priors
from bayesbasis.model.records import CardError
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.model.spot import SPOT_PARAMETERS
from bayesbasis.model.underlyings import parameter_names
from bayesbasis.process.equilibria import EQUILIBRIA
from bayesbasis.process.laws import LAWS, Anchored, OrnsteinUhlenbeck
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks

ROOT = Path(__file__).resolve().parents[2]
CARDS = sorted((ROOT / "models").glob("*.toml"), key=lambda path: path.stem)


def listed(names):
    *most, last = (repr(name) for name in names)
    return f"{', '.join(most)} or {last}"


LAW_NAMES = listed(LAWS)
CARD_NAMES = listed(path.stem for path in CARDS)

anything = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@st.composite
def bounded(draw):
    """Lower bound, median and upper bound, in order and apart."""
    lower = draw(st.floats(-1e9, 1e9))
    median = draw(st.floats(lower, 2e9, exclude_min=True))
    return lower, median, draw(st.floats(median, 3e9, exclude_min=True))


def test_half_of_the_time_premia_of_the_card_are_in_the_dead_zone():
    """By its medians: Ornstein-Uhlenbeck, and 5 bp to either side of the interest rate."""
    own = load_card("premia").priors
    deviation = own.volatility.median * (own.half_life.median / (2.0 * np.log(2.0))) ** 0.5
    assert norm.cdf(5.0 / deviation) - norm.cdf(-5.0 / deviation) == pytest.approx(0.5, abs=0.02)


priors = st.one_of(
    st.builds(Normal, mean=anything, sd=positive),
    st.builds(
        lambda bounds, factor: LogNormal(bounds[1], factor, bounds[0]),
        bounded(),
        st.floats(min_value=1, exclude_min=True, allow_infinity=False),
    ),
    st.builds(
        lambda bounds, spread: LogitNormal(bounds[1], spread, bounds[0], bounds[2]),
        bounded(),
        positive,
    ),
)
specs = st.builds(
    Spec,
    law=st.sampled_from(list(LAWS.values())).map(lambda law: law()),
    equilibrium=st.sampled_from(list(EQUILIBRIA.values())).map(lambda part: part()),
    regimes=st.builds(
        Regimes,
        count=st.integers(3, 9),
        shared_by=st.sampled_from(["underlying", "venue", "market"]),
        volatility=st.sampled_from(["switching", "stochastic"]),
    ),
    shocks=st.builds(Shocks, distribution=st.sampled_from(["student-t", "gaussian"])),
    pooling=st.builds(Pooling, venues=st.booleans(), underlyings=st.booleans()),
    priors=st.builds(Priors, **{field.name: priors for field in fields(Priors)}),
    name=st.text(),
    summary=st.text(),
)


def used_priors(spec: Spec) -> set[str]:
    """Priors that a model needs on any panel."""
    levels = Levels(spec.pooling.venues, spec.pooling.underlyings)
    quantity = f"{spec.equilibrium.quantity}_"
    own = {name for name in raw_variables(spec, levels) if name.startswith(quantity)}
    own = {name.removesuffix("_raw") for name in own} & {f.name for f in fields(Priors)}
    spread = {"between_underlyings"} if spec.pooling.underlyings else set()
    if spec.pooling.underlyings:
        driven = (name for name in parameter_names(spec) if name.endswith("coefficient"))
        spread |= {f"{name}_between" for name in driven}
    spread |= {f"between_{level}s" for level, _ in spec.pooling.offsets}
    # Spot has its priors in a table of its own.
    return {*parameter_names(spec), *own, *spread} - {*SPOT_PARAMETERS}


# ------------------------------------------------------------------------------ there and back


@settings(max_examples=60, deadline=None, derandomize=True)
@given(spec=specs)
def test_a_model_survives_its_card_to_the_last_bit(spec):
    again = read_card(write_card(spec))
    assert again == spec
    # What equality leaves out: name, summary and the sign of zero.
    assert repr(again) == repr(spec)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(spec=specs)
def test_a_card_is_plain_toml_that_says_everything(spec):
    tables = tomllib.loads(write_card(spec))
    assert tables.pop("name") == spec.name
    assert tables.pop("summary", "") == spec.summary
    parts = ["law", "equilibrium", "regimes", "shocks", "drivers", "pooling", "priors"]
    assert list(tables) == parts
    assert set(tables["priors"]) == {field.name for field in fields(Priors)}


def test_equal_models_have_one_text():
    exact = Spec(priors=Priors(carry_mean=Normal(5.0, 20.0)), regimes=Regimes(2))
    loose = Spec(
        priors=Priors(carry_mean=Normal(5, np.float64(20.0))), regimes=Regimes(np.int64(2))
    )
    assert loose == exact
    assert write_card(loose) == write_card(exact)


def test_every_prior_is_written_with_its_unit_behind_it():
    spec = Spec(priors=Priors(half_life=LogNormal(20.0, 4.0)))
    lines = write_card(spec).partition("[priors]\n")[2].splitlines()
    assert len(lines) == len(fields(Priors))
    for line in lines:
        assert re.fullmatch(r"\w+ = \{.*\} # \S.*", line)
    assert (
        'half_life = {distribution = "lognormal", median = 20.0, factor = 4.0, lower = 0.0} # days'
    ) in lines


@pytest.mark.parametrize("kind", [str, Path])
def test_a_saved_card_loads_equal(tmp_path, kind):
    spec = Spec(OrnsteinUhlenbeck(), regimes=Regimes(3), name="Märkte", summary="Drei Regime")
    save_card(spec, kind(tmp_path / "mine.toml"))
    assert repr(load_card(kind(tmp_path / "mine.toml"))) == repr(spec)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.toml"]


def test_a_card_in_the_working_folder_loads_by_its_file_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_card(Spec(regimes=Regimes(4)), "four.toml")
    assert load_card("four.toml").regimes.count == 4


def test_a_save_that_fails_leaves_the_old_card(tmp_path, monkeypatch):
    path = tmp_path / "mine.toml"
    save_card(Spec(name="old"), path)

    def full(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        save_card(Spec(name="new"), path)
    assert load_card(path).name == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["mine.toml"]


def test_what_a_card_leaves_out_takes_the_default():
    assert read_card("") == Spec()
    assert read_card("").name == "unnamed"
    slow = read_card(
        '[priors]\nhalf_life = { distribution = "lognormal", median = 90, factor = 2 }'
    )
    assert slow == Spec(priors=Priors(half_life=LogNormal(90.0, 2.0)))


def test_a_card_without_a_name_takes_that_of_its_file(tmp_path):
    (tmp_path / "calm.toml").write_text("regimes = { count = 1 }\n", encoding="utf-8")
    assert load_card(tmp_path / "calm.toml").name == "calm"


def test_a_card_from_another_editor_reads_the_same(tmp_path):
    text = (ROOT / "models" / "ou.toml").read_text("utf-8").replace("\n", "\r\n")
    (tmp_path / "ou.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert repr(load_card(tmp_path / "ou.toml")) == repr(load_card("ou"))


# --------------------------------------------------------------------- the cards of the package


def test_every_card_is_listed():
    assert list_cards() == [path.stem for path in CARDS]
    assert {"anchored-regimes", "anchored", "ou"} <= set(list_cards())


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_every_card_loads_and_says_what_it_is(path):
    spec = load_card(path.stem)
    assert repr(spec) == repr(load_card(path)) == repr(read_card(path.read_text("utf-8")))
    assert spec.name == path.stem
    assert spec.summary
    assert "\n" not in spec.summary


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_lists_the_priors_of_its_model_and_no_others(path):
    assert set(tomllib.loads(path.read_text("utf-8"))["priors"]) == used_priors(load_card(path))


def test_the_cards_are_the_models_they_are_named_after():
    assert replace(load_card("anchored-regimes"), priors=Priors()) == Spec(
        Anchored(), regimes=Regimes(3), shocks=Shocks("student-t")
    )
    assert replace(load_card("anchored-regimes-2"), priors=Priors()) == Spec(
        Anchored(), regimes=Regimes(2), shocks=Shocks("student-t")
    )
    assert replace(load_card("anchored"), priors=Priors()) == Spec(
        Anchored(), regimes=Regimes(1), shocks=Shocks("student-t")
    )
    assert replace(load_card("ou"), priors=Priors()) == Spec(
        OrnsteinUhlenbeck(), regimes=Regimes(1), shocks=Shocks("gaussian")
    )


def test_the_default_card_is_the_default_spec():
    assert replace(load_card("anchored-regimes"), priors=Priors()) == Spec(), (
        "models/anchored-regimes.toml and the defaults of Spec() are no longer one model: "
        "change the card or bayesbasis/model/spec.py"
    )


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_the_priors_of_a_card_are_the_defaults(path):
    card, default = load_card(path).priors, Priors()
    # The textbook quotes no noise and has one carry for all contracts: priors that are near points.
    # A premium of 1 bp per 8 hours is 10.95 % a year: carry of perpetuals is wide.
    # The exponent of a scaled bridge is what it is there for.
    # Premia move less than the basis of dated contracts, and for longer as much as they do.
    own = {
        "ou": {"noise", "carry_between_contracts"},
        "scaled-bridge": {"anchor"},
        "premia": {"volatility", "volatility_half_life"},
        "premium-carry": {"carry_mean", "coefficient", "coefficient_between"},
    }.get(path.stem, set())
    names = [field.name for field in fields(Priors) if field.name not in own]
    drift = [
        f"  {name}: the card says {getattr(card, name)}, Priors() says {getattr(default, name)}"
        for name in names
        if getattr(card, name) != getattr(default, name)
    ]
    assert not drift, "\n".join(
        [f"models/{path.name} differs from the defaults in bayesbasis/model/priors.py:", *drift]
    )


@pytest.mark.slow
def test_a_wheel_finds_the_cards_inside_itself(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    ZipFile(wheel).extractall(tmp_path / "site")
    inside, beside = tmp_path / "site" / "bayesbasis" / "cards", ROOT / "models"
    shipped = {file.relative_to(inside) for file in inside.rglob("*.toml")}
    assert shipped == {file.relative_to(beside) for file in beside.rglob("*.toml")}
    assert {path.name for path in CARDS} < {file.name for file in shipped}
    code = f"""
import json, sys
sys.path.insert(0, {str(tmp_path / "site")!r})
from bayesbasis.model import cards
print(json.dumps([cards.__file__, *(cards.load_card(name).name for name in cards.list_cards())]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    file, *names = json.loads(done.stdout)
    assert Path(file).is_relative_to(tmp_path)
    assert names == [path.stem for path in CARDS]


# -------------------------------------------------------------------------- cards that are wrong

WRONG = {
    "regmes = { count = 2 }": (
        "card 'unnamed': unknown table or key 'regmes'; did you mean 'regimes'? It takes 'law', "
        "'equilibrium', 'regimes', 'shocks', 'drivers', 'spot', 'pooling', 'priors', 'name' or "
        "'summary'"
    ),
    "name = 'mine'\nlaw = 'anchored'": (
        "card 'mine': law is 'anchored'; it takes a table such as { name = \"anchored\", ... }"
    ),
    "name = 3": "card '3': name is 3; it takes a string",
    "name = true": "card 'True': name is true; it takes a string",
    "[[shocks]]": "card 'unnamed': shocks is an array; it takes a table",
    "regimes = 2": "card 'unnamed': regimes is 2; it takes a table",
    "[law]": (
        f"card 'unnamed', table [law]: name is missing, there is nothing; it takes {LAW_NAMES}"
    ),
    "[law]\nnmae = 'anchored'": (
        f"card 'unnamed', table [law]: name is missing, there is 'nmae'; it takes {LAW_NAMES}"
    ),
    "[law]\nname = 'Anchor'": (
        "card 'unnamed', table [law]: name is 'Anchor'; did you mean 'anchored'? "
        f"It takes {LAW_NAMES}"
    ),
    "[law]\nname = 'os.system'": (
        f"card 'unnamed', table [law]: name is 'os.system'; it takes {LAW_NAMES}"
    ),
    "[law]\nname = 1": f"card 'unnamed', table [law]: name is 1; it takes {LAW_NAMES}",
    "[law]\nname = 'anchored'\nhalf_life = 20.0": (
        "card 'unnamed', table [law]: unknown key 'half_life'; it takes 'name'"
    ),
    "[equilibrium]\nname = 'cost_of_carry'": (
        "card 'unnamed', table [equilibrium]: name is 'cost_of_carry'; "
        "did you mean 'cost-of-carry'? It takes 'cost-of-carry' or 'mean-reverting-spot'"
    ),
    "[regimes]\ncuont = 2": (
        "card 'unnamed', table [regimes]: unknown key 'cuont'; did you mean 'count'? "
        "It takes 'count', 'shared_by', 'volatility' or 'speed'"
    ),
    "[regimes]\ncount = true": (
        "card 'unnamed', table [regimes]: count is true; it takes an integer"
    ),
    "[regimes]\ncount = 2.0": "card 'unnamed', table [regimes]: count is 2.0; it takes an integer",
    "[regimes]\ncount = 'two'": (
        "card 'unnamed', table [regimes]: count is 'two'; it takes an integer"
    ),
    "[regimes]\ncount = 0": (
        "card 'unnamed', table [regimes]: regimes.count is 0; a model needs at least one regime"
    ),
    "[regimes]\nshared_by = 'markets'": (
        "card 'unnamed', table [regimes]: shared_by is 'markets'; did you mean 'market'? "
        "It takes 'underlying', 'venue' or 'market'"
    ),
    "[shocks]\ndistribution = 'student'": (
        "card 'unnamed', table [shocks]: distribution is 'student'; did you mean 'student-t'? "
        "It takes 'student-t' or 'gaussian'"
    ),
    "[pooling]\nvenues = 1": (
        "card 'unnamed', table [pooling]: venues is 1; it takes true or false"
    ),
    "[pooling]\nvenues = 'yes'": (
        "card 'unnamed', table [pooling]: venues is 'yes'; it takes true or false"
    ),
    "[priors]\nhalf_life = 20.0": (
        "card 'unnamed', table [priors]: half_life is 20.0; "
        'it takes a table such as { distribution = "normal", ... }'
    ),
    "[priors.half_life]\nmedian = 20.0": (
        "card 'unnamed', table [priors], half_life: distribution is missing, there is 'median'; "
        "it takes 'normal', 'lognormal', 'logit-normal' or 'horseshoe'"
    ),
    "[priors.half_life]\ndistribution = 'log-normal'": (
        "card 'unnamed', table [priors], half_life: distribution is 'log-normal'; "
        "did you mean 'lognormal'? It takes 'normal', 'lognormal', 'logit-normal' or 'horseshoe'"
    ),
    "[priors.half_life]\ndistribution = 'lognormal'\nmedian = 20.0": (
        "card 'unnamed', table [priors], half_life: factor is missing; it takes a finite number"
    ),
    "[priors.half_life]\ndistribution = 'lognormal'\nmedian = 20.0\nfactr = 4.0": (
        "card 'unnamed', table [priors], half_life: unknown key 'factr'; did you mean 'factor'? "
        "It takes 'distribution', 'median', 'factor' or 'lower'"
    ),
    "[priors.half_life]\ndistribution = 'lognormal'\nmedian = 20.0\nfactor = 0.5": (
        "card 'unnamed', table [priors], half_life: a lognormal prior needs factor - 1 > 0, "
        "got -0.5"
    ),
    "[priors.tail]\ndistribution = 'normal'\nmean = '5'\nsd = 1.0": (
        "card 'unnamed', table [priors], tail: mean is '5'; it takes a finite number"
    ),
    "[priors.tail]\ndistribution = 'normal'\nmean = true\nsd = 1.0": (
        "card 'unnamed', table [priors], tail: mean is true; it takes a finite number"
    ),
    "[priors.tail]\ndistribution = 'normal'\nmean = nan\nsd = 1.0": (
        "card 'unnamed', table [priors], tail: mean is nan; it takes a finite number"
    ),
    "[priors.tail]\ndistribution = 'normal'\nmean = 0.0\nsd = 1e999": (
        "card 'unnamed', table [priors], tail: sd is inf; it takes a finite number"
    ),
    f"[priors.tail]\ndistribution = 'normal'\nmean = 1{'0' * 400}\nsd = 1.0": (
        f"card 'unnamed', table [priors], tail: mean is 1{'0' * 400}; it takes a finite number"
    ),
    "[priors.tail]\ndistribution = 'normal'\nmean = 2024-01-01\nsd = 1.0": (
        "card 'unnamed', table [priors], tail: mean is 2024-01-01; it takes a finite number"
    ),
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:60])
def test_a_wrong_card_is_told_where_it_is_wrong_and_what_was_meant(text):
    with pytest.raises(CardError) as error:
        read_card(text)
    assert str(error.value) == WRONG[text]


@pytest.mark.parametrize(
    "text", ["law = ", "x" * 3, "a = 1\na = 2", "a = " + "[" * 10_000], ids=lambda text: text[:20]
)
def test_text_that_is_not_toml_is_called_that(text):
    with pytest.raises(CardError, match=r"\Acard 'unnamed' is not TOML: \S"):
        read_card(text)


def test_a_wrong_card_in_a_file_is_told_by_its_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("name = 'other'\n[regimes]\ncount = -1\n", encoding="utf-8")
    with pytest.raises(CardError) as error:
        load_card(path)
    assert str(error.value) == (
        f"card {str(path)!r}, table [regimes]: regimes.count is -1; "
        "a model needs at least one regime"
    )


def test_a_file_that_is_not_text_is_not_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(CardError, match=r"\Acard '.*mine\.toml' is not TOML: "):
        load_card(path)


def test_an_unknown_name_lists_the_names_there_are():
    with pytest.raises(CardError) as error:
        load_card("Anchored-Regime")
    assert str(error.value) == (
        "no card is named 'Anchored-Regime'; did you mean 'anchored-regimes'? "
        f"There is {CARD_NAMES}; a path to a card of your own ends in .toml"
    )
    with pytest.raises(CardError, match=r"\Ano card is named 'xyz'; there is 'anchored', "):
        load_card("xyz")


def test_a_missing_file_lists_what_its_folder_holds(tmp_path):
    save_card(Spec(), tmp_path / "mine.toml")
    with pytest.raises(CardError) as error:
        load_card(tmp_path / "mien.toml")
    assert str(error.value) == (
        f"no card at {str(tmp_path / 'mien.toml')!r}; did you mean 'mine.toml'? "
        f"Its folder holds 'mine.toml'; by name there is {CARD_NAMES}"
    )


def test_a_missing_folder_leaves_the_names_there_are(tmp_path):
    path = tmp_path / "nowhere" / "ou.toml"
    with pytest.raises(CardError) as error:
        load_card(path)
    assert str(error.value) == f"no card at {str(path)!r}; by name there is {CARD_NAMES}"


# ----------------------------------------------------------------- models that no card could say


class Cubic(Anchored):
    """A law that nobody registered."""


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            Spec(Cubic(), name="mine"),
            f"card 'mine', table [law]: a card cannot name Cubic(); it can name {LAW_NAMES}",
        ),
        (
            Spec(Anchored),
            "card 'unnamed', table [law]: a card cannot name "
            f"<class 'bayesbasis.process.laws.anchored.Anchored'>; it can name {LAW_NAMES}",
        ),
        (Spec(regimes=2), "card 'unnamed': regimes is 2; it takes a table"),
        (
            Spec(regimes=Regimes(count=True)),
            "card 'unnamed', table [regimes]: count is true; it takes an integer",
        ),
        (
            Spec(priors=Priors(carry_mean=Normal(0.0, float("inf")))),
            "card 'unnamed', table [priors], carry_mean: sd is inf; it takes a finite number",
        ),
        (Spec(name=None), "card 'None': name is None; it takes a string"),
    ],
    ids=["unregistered", "class", "number", "bool", "infinite", "nameless"],
)
def test_a_model_that_no_card_could_say_is_refused(spec, message):
    with pytest.raises(CardError) as error:
        write_card(spec)
    assert str(error.value) == message


def test_a_card_is_saved_only_where_it_can_be_found_again(tmp_path):
    with pytest.raises(CardError) as error:
        save_card(Spec(), "mine")
    assert str(error.value) == "cannot save a card as 'mine': its name must end in .toml"
    path = tmp_path / "nowhere" / "mine.toml"
    with pytest.raises(FileNotFoundError) as missing:
        save_card(Spec(), path)
    assert str(missing.value) == (
        f"cannot save a card as {str(path)!r}: there is no folder {str(path.parent)!r}; "
        "make it first"
    )


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_edited_with_its_comments_reads_as_edited(path):
    document = tomlkit.parse(path.read_text("utf-8"))
    document["priors"]["volatility"]["median"] = 7.0
    card = load_card(path)
    calmer = replace(card.priors.volatility, median=7.0)
    expected = replace(card, priors=replace(card.priors, volatility=calmer))
    assert read_card(tomlkit.dumps(document)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "brownian-bridge",
        "scaled-bridge",
        "ou-bridge",
        "ou-regimes",
        "stochastic-carry",
        "schwartz-smith",
    ],
)
def test_cards_of_laws_differ_in_their_law_alone(name):
    card, base = load_card(name), load_card("anchored-regimes-2")
    # But for the exponent of a scaled bridge, which no other of these laws has.
    priors = replace(card.priors, anchor=base.priors.anchor)
    assert replace(card, law=base.law, priors=priors) == base
