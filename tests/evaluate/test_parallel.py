import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.evaluate.backtesting import backtest

ORIGINS = pd.date_range("2022-07-01", "2022-12-01", freq="MS")
TIMED = ["window_s", "fit_s", "compile_s", "peak_mb"]


def small(market, **kwargs):
    models = [bb.load_card("anchored"), "straight-line"]
    effort = {"draws": 60, "tune": 100, "warm_tune": 50, "block": 2, "progress": False}
    return backtest(models, market, ORIGINS, "20D", **(effort | kwargs))


@pytest.fixture(scope="module")
def serial(market):
    return small(market)


def test_a_worker_takes_a_folder_of_its_own(tmp_path):
    """Two at a time get two folders; one after another share one, and so its compiled code."""
    code = (
        "import os, sys\n"
        "from bayesbasis.evaluate.parallel import take_folder\n"
        "take_folder()\n"
        "assert 'pytensor' not in sys.modules\n"
        "print(os.environ['PYTENSOR_FLAGS'], flush=True)\n"
        "sys.stdin.read()\n"
    )
    env = os.environ | {"TMPDIR": str(tmp_path), "PYTENSOR_FLAGS": "base_compiledir=/nowhere"}

    def start():
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, env=env)

    one, two = start(), start()
    folders = [worker.stdout.readline().decode().strip() for worker in (one, two)]
    for worker in (one, two):
        worker.communicate()
    third = start()
    again = third.stdout.readline().decode().strip()
    third.communicate()
    assert len(set(folders)) == 2
    assert all(x.startswith(f"base_compiledir={tmp_path}") for x in folders)
    assert again in folders


@pytest.mark.slow
def test_processes_give_the_numbers_of_one_process(market, serial):
    found = small(market, processes=2)
    assert (found["failure"] == "").all()
    xr.testing.assert_equal(found.drop_vars(TIMED), serial.drop_vars(TIMED))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_dask_gives_the_same_numbers_though_a_worker_dies(market, serial, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        victim = next(iter(pids.values()))
        died = threading.Event()

        def kill():
            # Once a window is on disk, work is under way.
            while not any(tmp_path.glob("*.nc")):
                time.sleep(0.05)
            os.kill(victim, signal.SIGKILL)
            died.set()

        threading.Thread(target=kill, daemon=True).start()
        found = small(market, client=client, store=tmp_path)
        assert died.is_set()
    assert (found["failure"] == "").all()
    assert np.isfinite(found["crps"]).all()
    xr.testing.assert_equal(found.drop_vars(TIMED), serial.drop_vars(TIMED))
    assert len(list(tmp_path.glob("*.nc"))) == 2 * len(ORIGINS)
