"""Facts about compiled kernels and their cache on disk."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bayesbasis

PROGRAM = """
import numpy as np
from bayesbasis.process.filter import Parameters, Schedule, transitions
none, one = np.empty(0, np.int64), np.zeros(1, np.int64)
schedule = Schedule(none, none, none, none, none, none, none, none, np.array([0.1]), one)
empty, table = np.empty(0), np.empty((0, 0))
rates = np.array([[[-3.0, 3.0], [5.0, -5.0]]])
parameters = Parameters(empty, empty, empty, empty, empty, empty, table, rates)
print(transitions(schedule, parameters).tolist())
"""


def run(folder: Path) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_a_kernel_is_compiled_anew_when_one_that_it_calls_changes(tmp_path):
    """An upgrade that leaves the caller's room as it was must not run old code."""
    shutil.copytree(
        Path(bayesbasis.__file__).parent,
        tmp_path / "bayesbasis",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    before = run(tmp_path)
    assert run(tmp_path) == before
    called = tmp_path / "bayesbasis" / "process" / "exponential.py"
    source = called.read_text(encoding="utf-8")
    called.write_text(source.replace("top * expm1(", "2.0 * top * expm1("), encoding="utf-8")
    assert run(tmp_path) != before
