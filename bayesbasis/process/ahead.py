"""The sweep as machine code, and a head start for its compiler.

Where no compiled code is on disk, compiling the sweep takes about as long as compiling the graph
that calls it. numba compiles one thing at a time in a process, so the sweep goes to a process of
its own, which leaves it on disk, and is asked for only when the graph first calls it.
"""

import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import Any

from numba import float64, int64, types

from bayesbasis.process.adjoint import Sweep, sweep
from bayesbasis.process.filter import Parameters, Schedule, States
from bayesbasis.process.kernels import is_on_disk

_named: Any = types.NamedTuple  # which comes without types
_RANKS = {"scale": 2, "filtered": 2, "ratio": 2, "misfit": 2, "rates": 3}


def _arrays(kind: Any) -> Any:
    """Type of a named tuple of plain arrays: whole numbers in a schedule, but for lengths."""
    whole = kind is Schedule
    fields = [
        types.Array(int64 if whole and name != "gap_length" else float64, _RANKS.get(name, 1), "C")
        for name in kind._fields
    ]
    return _named(fields, kind)


_PARAMETERS = _arrays(Parameters)
_FUTURE, _BY_DISTANCE = types.Array(float64, 2, "C"), types.Array(float64, 1, "C")
_SWEEP = _named([float64, _PARAMETERS, _arrays(States), _FUTURE, _BY_DISTANCE], Sweep)
SIGNATURE = _SWEEP(_arrays(Schedule), _PARAMETERS)
"""What the sweep takes and returns when arrays are plain: of 64 bits, in C order, writeable."""


def give_head_start() -> None:
    """Start to compile the sweep elsewhere, unless it is compiled or there is a single core."""
    if not is_on_disk(sweep, SIGNATURE.args) and (os.cpu_count() or 1) > 1:
        _compiler()


def sweep_address() -> int:
    """Address of the compiled sweep, which differs from process to process."""
    compiled = compiled_sweep()
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name))


@cache
def compiled_sweep() -> Any:
    """Compile the sweep for plain arrays, or load what was compiled."""
    started = _compiler.cache_info().currsize > 0
    if started:
        _compiler().join()
    # What that process has not left on disk, because it failed, is compiled here.
    sweep.compile(SIGNATURE.args)
    return sweep.overloads[SIGNATURE.args]


@cache
def _compiler() -> Thread:
    """Start the process that compiles the sweep, once, and a thread that waits for it."""
    waiting = Thread(target=_compile_elsewhere, daemon=True)
    waiting.start()
    return waiting


def _compile_elsewhere() -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    # Where no process can be started, there is no head start.
    with suppress(OSError):
        subprocess.run(
            [sys.executable, "-m", __spec__.name],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )


if __name__ == "__main__":
    compiled_sweep()
