import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pymc as pm
import pytensor
import pytest
from pytensor.link.numba.cache import NUMBA_CACHE_PATH

import bayesbasis as bb
from bayesbasis.inference import compiled
from bayesbasis.inference.compiled import compile_once
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.levels import Levels
from bayesbasis.process.laws import Anchored

PARTS = (Levels(venues=False, underlyings=False),)
X, DATA = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, 3.0])
ANOTHER_PROCESS = """
import sys
import numpy as np
import bayesbasis as bb
from bayesbasis.inference import compiled, posterior

def refuse(*_):
    raise AssertionError("the graph is built")

if sys.argv[1] == "find":
    posterior.build = refuse
elif sys.argv[1] == "build":
    compiled._read = lambda name: None
prices, _ = bb.simulate_market(seed=1, underlyings=["BTC"], quarters=3)
target = posterior.log_posterior(bb.load_card("anchored-regimes-2"), bb.make_panel(prices)[0])
value, slopes = target(np.full(target.size, 0.1))
print(value.hex(), slopes.tobytes().hex(), list(target.shapes))
"""


class Graph:
    """A small model, which counts how often it is built."""

    def __init__(self, weight=1.0):
        self.built, self.weight = 0, weight

    def __call__(self):
        self.built += 1
        with pm.Model(coords={"side": range(3)}) as model:
            x, data = pm.Normal("x", dims="side"), pm.Data("data", DATA)
            pm.Potential("value", (self.weight * data * x**2).sum())
        return model, model.logp(vars=model.potentials)


@pytest.fixture
def notes(monkeypatch, tmp_path):
    """A folder of notes with nothing in it; code stays where it is."""
    monkeypatch.setattr(compiled, "NUMBA_CACHE_PATH", tmp_path)
    return tmp_path


def check(found, weight=1.0):
    value, slopes = found.evaluate(X, DATA)
    assert value == pytest.approx(weight * DATA @ X**2, rel=1e-15)
    np.testing.assert_allclose(slopes, weight * 2 * DATA * X, rtol=1e-15)


def forget_code(notes):
    (note,) = notes.iterdir()
    key = json.loads(note.read_text().split("\n")[1])["key"]
    for code in NUMBA_CACHE_PATH.glob(f"*{key}*"):
        code.unlink()


def in_another_process(how, package=Path(bb.__file__).parents[1], **environment):
    environment |= {"PYTHONPATH": str(package), "PYTHONHASHSEED": "5"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ANOTHER_PROCESS, how],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_found_in_another_process_gives_the_bits_of_what_is_built(spec, panel):
    """Both load the kernels from disk: code just compiled may differ from it in the last bits."""
    target = log_posterior(spec, panel)
    value, _ = target(np.full(target.size, 0.1))
    built = in_another_process("build")
    assert in_another_process("find") == built
    assert built.split()[0] == value.hex()


@pytest.mark.slow
def test_code_gives_the_same_bits_where_it_was_compiled_and_where_it_is_found(tmp_path):
    # A package that no kernel was compiled for yet.
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(bb.__file__).parent, tmp_path / "bayesbasis", ignore=ignored)
    shutil.copytree(Path(bb.__file__).parents[1] / "models", tmp_path / "models")
    flags = f"base_compiledir={tmp_path / 'code'}"
    compiled_here = in_another_process("compile", tmp_path, PYTENSOR_FLAGS=flags)
    assert in_another_process("find", tmp_path, PYTENSOR_FLAGS=flags) == compiled_here


def test_what_was_compiled_is_found_without_its_graph(notes):
    first, second = Graph(), Graph()
    built, found = compile_once(PARTS, first), compile_once(PARTS, second)
    check(built)
    check(found)
    assert (first.built, second.built) == (1, 0)
    assert found.evaluate is not built.evaluate
    assert (found.variables, found.data, found.dims) == (("x",), ("data",), {"x": ("side",)})
    assert (built.variables, built.data, built.dims) == (("x",), ("data",), {"x": ("side",)})
    assert len(list(notes.iterdir())) == 1


def test_arrays_of_other_types_are_compiled_after_all(notes):
    weight, graph = 1.5, Graph(1.5)
    compile_once(PARTS, Graph(weight))
    forget_code(notes)
    found = compile_once(PARTS, graph)
    strided = DATA[:, None].repeat(2, 1)[:, 0]
    for times, data in enumerate((DATA.astype(np.float32), DATA.astype(np.int64), strided), 1):
        value, _ = found.evaluate(X, data)
        assert value == weight * data @ X**2
        assert graph.built == times
    check(found, weight)


def test_code_that_is_gone_is_compiled_again(notes):
    weight, graph = 1.25, Graph(1.25)
    check(compile_once(PARTS, Graph(weight)), weight)
    forget_code(notes)
    found = compile_once(PARTS, graph)
    assert graph.built == 0
    check(found, weight)
    assert graph.built == 1
    again = Graph(weight)
    check(compile_once(PARTS, again), weight)
    assert again.built == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"x"', '"y"'),
        lambda text: text.split("\n", 1)[1],
        lambda text: "\udcff",
    ],
    ids=["empty", "half of it", "altered", "without a seal", "no text"],
)
def test_a_note_that_is_not_whole_is_replaced(notes, spoil):
    compile_once(PARTS, Graph())
    (note,) = notes.iterdir()
    whole = note.read_bytes()
    note.write_bytes(spoil(whole.decode()).encode("utf-8", "surrogateescape"))
    graph = Graph()
    check(compile_once(PARTS, graph))
    assert graph.built == 1
    assert note.read_bytes() == whole


def test_a_note_of_another_model_is_replaced(notes):
    compile_once(PARTS, Graph())
    (note,) = notes.iterdir()
    other = (replace(PARTS[0], venues=True),)
    foreign = notes / compiled._name(other)
    foreign.write_bytes(note.read_bytes())
    graph = Graph(2.0)
    check(compile_once(other, graph), 2.0)
    assert graph.built == 1
    assert foreign.read_bytes() != note.read_bytes()


def test_a_note_that_is_wrong_all_the_same_is_refused(notes):
    compile_once(PARTS, Graph())
    name = compiled._name(PARTS)
    note = compiled._read(name)
    compiled._write(name, replace(note, key="no such code", data=["other"]))
    with pytest.raises(RuntimeError, match="wrong and is replaced; run this again"):
        compile_once(PARTS, Graph()).evaluate(X, DATA)
    check(compile_once(PARTS, Graph()))


def test_a_note_is_stale_when_anything_that_decides_the_graph_changes(monkeypatch, spec):
    def name(parts=(spec, *PARTS)):
        return compiled._name(parts)

    names = [name(), name((replace(spec, regimes=replace(spec.regimes, count=3)), *PARTS))]
    names.append(name((spec, replace(PARTS[0], kinds=True))))
    for flag, value in (("floatX", "float32"), ("cast_policy", "numpy+floatX")):
        with pytensor.config.change_flags(**{flag: value}):
            names.append(name())
    for package in ("numpy", "numba", "pymc", "pytensor"):
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules[package], "__version__", "0")
            names.append(name())
    with monkeypatch.context() as patch:
        patch.setattr(compiled.sys, "version", "4")
        names.append(name())
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "_sources", lambda: "other")
        names.append(name())
    assert None not in names
    assert len(set(names)) == len(names) == 11
    assert name() == names[0]


def test_a_changed_source_of_any_room_is_noticed(monkeypatch, tmp_path):
    for room in compiled._ROOMS:
        (tmp_path / room / "inner").mkdir(parents=True)
        (tmp_path / room / "inner" / "file.py").write_text("x = 1")
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "inference" / "compiled.py"))
    hashes = [compiled._sources.__wrapped__()]
    for room in compiled._ROOMS:
        (tmp_path / room / "inner" / "file.py").write_text("x = 2")
        hashes.append(compiled._sources.__wrapped__())
    assert len(set(hashes)) == 5


def test_every_card_has_a_name_of_its_own():
    cards = Path(__file__).parents[2] / "models"
    specs = [
        replace(bb.load_card(path.stem), name="", summary="")
        for path in cards.glob("*.toml")
        if "[law]" in path.read_text()
    ]
    names = {compiled._name((spec, *PARTS)) for spec in specs}
    assert None not in names
    assert len(names) == len(set(specs)) > 5


def test_nothing_is_noted_of_a_law_that_somebody_wrote(spec):
    @dataclass(frozen=True)
    class Own(Anchored):
        pass

    assert compiled._name((replace(spec, law=Own()),)) is None
    assert compiled._name((replace(spec, law=Anchored()),)) is not None


def test_nothing_is_noted_where_pytensor_keeps_no_code(notes):
    with pytensor.config.change_flags(numba__cache=False):
        check(compile_once(PARTS, Graph()))
    assert not list(notes.iterdir())


def test_a_folder_that_cannot_be_written_to_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "NUMBA_CACHE_PATH", tmp_path / "missing")
    graph = Graph()
    for times in (1, 2):
        check(compile_once(PARTS, graph))
        assert graph.built == times


def test_a_crash_while_writing_leaves_the_note_of_before(monkeypatch, notes):
    compile_once(PARTS, Graph())
    (note,) = notes.iterdir()
    whole = note.read_bytes()

    def crash(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", crash)
    compiled._write(note.name, compiled._Note("", "", [], [], {}))
    assert [path.read_bytes() for path in notes.iterdir()] == [whole]


def test_writers_side_by_side_leave_one_whole_note(notes):
    small, large = (compiled._Note("x" * n, "key", [], [], {}) for n in (1, 100_000))
    compiled._write("note", small)

    def write_and_read(turn):
        compiled._write("note", (small, large)[turn % 2])
        return compiled._read("note")

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(write_and_read, range(60)))
    assert all(note in (small, large) for note in seen)
    assert [path.name for path in notes.iterdir()] == ["note"]
