"""A model compiled to machine code, in this process or in an earlier one.

All of a model's code ends in one numba function, which numba keeps on disk and finds by its source
and by the key that PyTensor gives it. PyTensor learns both anew in every process, from the graph:
to build it, to differentiate and to rewrite it takes most of a second. So both are noted beside
that code, under the name of what decides them.

Arithmetic is IEEE's to the letter, as in `process.kernels`, which says why.
"""

import gc
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pymc as pm
import pytensor
from pytensor.compile.mode import NUMBA, Mode
from pytensor.graph.replace import graph_replace
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS, NUMBA_CACHE_PATH
from pytensor.link.numba.dispatch.basic import numba_njit
from pytensor.link.numba.linker import NumbaLinker

type Graph = Callable[[], tuple[pm.Model, Any]]

_FILE_NAME = "<graph>"
"""What numba takes for the file of a function that has none, and names its code after."""
_ROOMS = ("data", "inference", "model", "process")
"""Rooms of this package that a graph can come from."""
_FLAGS = (
    "floatX", "cast_policy",
    "optimizer", "optimizer_excluding", "optimizer_including", "optimizer_requiring",
)  # fmt: skip
"""Settings of PyTensor that a graph and its code depend on."""


@dataclass(frozen=True)
class Compiled:
    """A value of a model and its gradient.

    Parameters
    ----------
    evaluate : callable
        Of the variables, then the data.
    variables, data : tuple of str
        Names of both, in order.
    dims : dict
        Dims of each variable.
    """

    evaluate: Any
    variables: tuple[str, ...]
    data: tuple[str, ...]
    dims: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Note:
    """What finds the code of a function, and what it takes: the fields of `Compiled`."""

    source: str
    key: str
    variables: list[str]
    data: list[str]
    dims: dict[str, list[str]]


def compile_once(parts: tuple[Any, ...], graph: Graph, without: tuple[str, ...] = ()) -> Compiled:
    """Compile a value of a model and its gradient, or find what was compiled on this machine.

    Parameters
    ----------
    parts : tuple of dataclass
        What decides the graph: the specification, and the like.
    graph : callable
        Builds it: a model with all its data in containers, and a scalar of the model. It is called
        if the parts were never compiled, or if the code is gone or is for arrays of other types.
    without : tuple of str
        Rewrites of PyTensor to leave out; the parts decide them.

    Returns
    -------
    Compiled
        Threads can run it side by side.
    """
    name = _name(parts)
    note = None if name is None else _read(name)
    if name is None or note is None:
        return _compile(name, graph, without)
    return _find(name, note, graph, without)


def _compile(name: str | None, graph: Graph, without: tuple[str, ...]) -> Compiled:
    with _in_haste(), pytensor.config.change_flags(numba__fastmath=False):
        compiled = _compile_gradient(*graph(), without)
    function = compiled.evaluate.py_func
    key = CACHED_SRC_FUNCTIONS.get(function)
    if name is not None and key is not None:
        names = list(compiled.variables), list(compiled.data)
        dims = {variable: list(own) for variable, own in compiled.dims.items()}
        _write(name, _Note(function.__source__, key, *names, dims))
    return compiled


def _find(name: str, note: _Note, graph: Graph, without: tuple[str, ...]) -> Compiled:
    """Make a function that finds its code, and is not able to compile by itself."""

    def compile_after_all(arguments: Any, result: Any) -> Any:
        whole = _compile(name, graph, without)
        if (list(whole.variables), list(whole.data)) != (note.variables, note.data):
            raise RuntimeError("a note on compiled code was wrong and is replaced; run this again")
        whole.evaluate.compile(arguments)
        # numba notes how long code took, and would trip over finding it noted already.
        return whole.evaluate.overloads[arguments]._replace(metadata=None)

    names: dict[str, Any] = {}
    # The functions that this one calls are in its code, so it needs no names but its own.
    exec(compile(note.source, _FILE_NAME, "exec"), {"__name__": __name__}, names)
    (function,) = names.values()
    evaluate = _to_machine_code(function, note.key)
    # numba asks its compiler for what it does not find on disk.
    evaluate._compiler.compile = compile_after_all
    dims = {variable: tuple(own) for variable, own in note.dims.items()}
    return Compiled(evaluate, tuple(note.variables), tuple(note.data), dims)


def _name(parts: tuple[Any, ...]) -> str | None:
    """Name of the note on a graph, unless code of others decides it, or nothing is to be kept."""
    if not (pytensor.config.numba__cache and all(map(_is_ours, parts))):
        return None
    versions = sys.version, *(x.__version__ for x in (np, numba, pytensor, pm))
    flags = [str(getattr(pytensor.config, flag)) for flag in _FLAGS]
    text = "\n".join([*map(repr, parts), *versions, *flags, _sources()])
    return f"bayesbasis-{hashlib.sha256(text.encode()).hexdigest()}.json"


def _is_ours(part: Any) -> bool:
    """Say whether all of a value is of types whose source is known: a user can write a law."""
    if is_dataclass(part):
        inner = [getattr(part, field.name) for field in fields(part)]
        return type(part).__module__.startswith("bayesbasis.") and all(map(_is_ours, inner))
    return isinstance(part, str | float | int | tuple | None)


@cache
def _sources() -> str:
    """Hash of the source of every room that a graph can come from."""
    package = Path(__file__).parents[1]
    files = (path for room in _ROOMS for path in sorted((package / room).rglob("*.py")))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _read(name: str) -> _Note | None:
    """Read a note: none if there is none, or another, or it is not whole."""
    with suppress(OSError, ValueError):
        seal, text = (NUMBA_CACHE_PATH / name).read_text("utf-8").split("\n", 1)
        if seal == _seal(name, text):
            return _Note(**json.loads(text))
    return None


def _write(name: str, note: _Note) -> None:
    text = json.dumps(asdict(note))
    # Where nothing can be written, the next process builds the graph again.
    with (
        suppress(OSError),
        tempfile.TemporaryDirectory(dir=NUMBA_CACHE_PATH, prefix=".bayesbasis-") as folder,
    ):
        whole = Path(folder) / name
        whole.write_text(f"{_seal(name, text)}\n{text}", "utf-8")
        whole.replace(NUMBA_CACHE_PATH / name)


def _seal(name: str, text: str) -> str:
    return hashlib.sha256(f"{name}\n{text}".encode()).hexdigest()


class _ThreadedLinker(NumbaLinker):
    """Numba code that lets go of the interpreter lock, so that chains run in threads."""

    def jit_compile(self, fn_and_cache: Any) -> Any:
        wrapper, key = fn_and_cache
        # PyTensor caches a function that does nothing but call the one of the graph. As the last
        # level of all, the graph's own needs no wrapper: all code would be compiled once more.
        function = wrapper.py_func.__globals__.get("jitable_func", wrapper).py_func
        # The cache names a function after its file, which here is a temporary one.
        function.__code__ = function.__code__.replace(co_filename=_FILE_NAME)
        # Nor does it know by itself that the lock is let go of: without a key of its own, code that
        # was cached holding it would be loaded.
        return _to_machine_code(function, None if key is None else f"{key}_nogil")


def _to_machine_code(function: Any, key: str | None) -> Any:
    """Make numba compile a function when it is called, or find it on disk by its key."""
    if key is not None:
        CACHED_SRC_FUNCTIONS[function] = key
    options = {"final_function": True, "nogil": True, "fastmath": False}
    return numba_njit(function, cache=key is not None, **options)


def _compile_gradient(model: pm.Model, value: Any, without: tuple[str, ...]) -> Compiled:
    variables = model.value_vars
    outputs = [value, *pytensor.grad(value, variables)]
    shared = [
        x for x in pytensor.graph.traversal.graph_inputs(outputs)
        if isinstance(x, pytensor.compile.SharedVariable)
    ]  # fmt: skip
    data = [x.type(name=x.name) for x in shared]
    outputs = graph_replace(outputs, dict(zip(shared, data, strict=True)))
    # Working in place wins nothing on small vectors, and the search for where it may costs a tenth.
    rewrites = NUMBA.provided_optimizer.excluding("inplace", *without)
    # Where a scale over- or underflows the density is no number: that, a sampler can live with.
    rewrites = rewrites.including("local_remove_check_parameter")
    mode = Mode(_ThreadedLinker(), rewrites)
    function = pytensor.function([*variables, *data], outputs, mode=mode, on_unused_input="ignore")
    dims = {x.name: model.named_vars_to_dims.get(x.name, ()) for x in variables}
    return Compiled(function.vm.jit_fn, tuple(dims), tuple(x.name for x in data), dims)


@contextmanager
def _in_haste() -> Iterator[None]:
    """Spare Python what costs half the time of building a graph, and is of no use here.

    The garbage collector would walk again and again through a graph that grows, and every variable
    would note where it came from.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        with pytensor.config.change_flags(traceback__limit=0):
            yield
    finally:
        if collecting:
            gc.enable()
