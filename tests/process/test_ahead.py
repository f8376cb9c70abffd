"""Facts about compiling the sweep in a process of its own."""

from functools import cache

import pytest

from bayesbasis.process import ahead
from bayesbasis.process.adjoint import sweep
from bayesbasis.process.kernels import is_on_disk


@pytest.fixture
def no_process_yet(monkeypatch):
    monkeypatch.setattr(ahead, "_compiler", cache(ahead._compiler.__wrapped__))


def test_the_declared_types_are_those_that_the_compiler_finds():
    sweep.compile(ahead.SIGNATURE.args)
    assert sweep.overloads[ahead.SIGNATURE.args].signature == ahead.SIGNATURE


def test_what_is_on_disk_needs_no_process(no_process_yet, monkeypatch):
    started = []
    ahead.compiled_sweep()
    assert is_on_disk(sweep, ahead.SIGNATURE.args)
    monkeypatch.setattr(ahead, "_compile_elsewhere", lambda: started.append(1))
    ahead.give_head_start()
    assert not started


def test_other_types_are_not_on_disk():
    assert not is_on_disk(sweep, ahead.SIGNATURE.args[::-1])


def test_a_process_is_started_where_nothing_is_on_disk(no_process_yet, monkeypatch):
    started = []
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: False)
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(ahead.subprocess, "run", lambda command, **_: started.append(command))
    ahead.give_head_start()
    ahead.give_head_start()
    ahead._compiler().join()
    (command,) = started
    assert command[1:] == ["-m", "bayesbasis.process.ahead"]


def test_a_single_core_starts_no_process(no_process_yet, monkeypatch):
    started = []
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: False)
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(ahead, "_compile_elsewhere", lambda: started.append(1))
    ahead.give_head_start()
    assert not started


def test_where_no_process_can_start_the_sweep_is_compiled_here(no_process_yet, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no processes here")

    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: False)
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(ahead.subprocess, "run", refuse)
    ahead.give_head_start()
    assert ahead.compiled_sweep.__wrapped__().signature == ahead.SIGNATURE


@pytest.mark.slow
def test_the_process_leaves_the_sweep_on_disk(no_process_yet, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    ahead._compiler().join()
    assert list(tmp_path.rglob("adjoint.sweep-*.nbc"))
