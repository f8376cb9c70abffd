"""Where the blocks of a backtest run: here, in processes, or on the workers of Dask.

Nothing heavy is imported here: a worker chooses its own folder for compiled code before it first
imports PyTensor, whose cache is not made for two processes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bayesbasis.data.counts import at_least_one

if TYPE_CHECKING:
    import xarray as xr

    from bayesbasis.evaluate.blocks import Block

# Held while the process lives, so that no other takes its folder.
_HELD: list[FileLock] = []


def run_blocks(
    blocks: Sequence[Block], *, client: Any, processes: int, progress: bool
) -> list[xr.DataTree]:
    """Run all blocks, in any order, and return their windows in theirs.

    Parameters
    ----------
    blocks : sequence of Block
        What to run.
    client : dask.distributed.Client or None
        Where to run it, if not here.
    processes : int
        Processes to use here.
    progress : bool
        Whether to show it.
    """
    at_least_one(processes=processes)
    with _bar(sum(block.size for block in blocks), progress) as advance:
        if client is not None:
            return _on_dask(blocks, client, advance)
        if processes > 1:
            return _in_processes(blocks, processes, advance)
        from bayesbasis.evaluate.windows import windows_of  # noqa: PLC0415

        done = []
        for block in blocks:
            for window in windows_of(block):
                done.append(window)
                advance(block.name, 1)
        return done


def work(block: Block) -> list[xr.DataTree]:
    """Run a block in a worker."""
    take_folder()
    from bayesbasis.evaluate.windows import windows_of  # noqa: PLC0415

    return list(windows_of(block))


def take_folder() -> None:
    """Choose a folder for compiled code that no other living worker uses.

    Folders outlive workers, so that the next finds code compiled.
    """
    if "pytensor" in sys.modules or _HELD:
        return
    base = Path(tempfile.gettempdir()) / f"bayesbasis-{os.environ.get('USER', 'workers')}"
    base.mkdir(parents=True, exist_ok=True)
    for number in count():
        lock = FileLock(base / f"worker-{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _HELD.append(lock)
        flags = [x for x in os.environ.get("PYTENSOR_FLAGS", "").split(",") if x]
        flags = [x for x in flags if not x.startswith("base_compiledir=")]
        folder = base / f"worker-{number}"
        os.environ["PYTENSOR_FLAGS"] = ",".join([*flags, f"base_compiledir={folder}"])
        return


def _in_processes(blocks: Sequence[Block], processes: int, advance: Any) -> list[xr.DataTree]:
    found: dict[int, list[xr.DataTree]] = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work, block): i for i, block in enumerate(blocks)}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            advance(blocks[futures[future]].name, blocks[futures[future]].size)
    return [window for i in range(len(blocks)) for window in found[i]]


def _on_dask(blocks: Sequence[Block], client: Any, advance: Any) -> list[xr.DataTree]:
    from dask import distributed  # noqa: PLC0415

    # Each has its own key: equal blocks of another run are not to be mixed up with these.
    futures = {client.submit(work, block, pure=False): i for i, block in enumerate(blocks)}
    found: dict[int, list[xr.DataTree]] = {}
    for future in distributed.as_completed(list(futures)):
        number = futures[future]
        found[number] = future.result()
        advance(blocks[number].name, blocks[number].size)
    return [window for i in range(len(blocks)) for window in found[i]]


@contextmanager
def _bar(total: int, shown: bool) -> Iterator[Any]:
    """Show how many windows are done and how long the others will take."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("windows, left:"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task("backtest", total=total)
        yield lambda name, windows: bar.update(task, advance=windows, description=name)
