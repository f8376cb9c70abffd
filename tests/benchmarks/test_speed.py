"""How fast: in one run, next to yardsticks taken in the same rounds on the same machine.

Run ``pytest tests/benchmarks -s``: the table comes at the end. Times depend on the machine, so only
correctness is asserted. Every time is a median.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter

import numba
import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.evaluate.scores import log_score
from bayesbasis.inference.draws import filter_parameters, natural_draws
from bayesbasis.inference.sampling import assemble
from bayesbasis.model.layout import lay_out
from bayesbasis.process.adjoint import sweep

ELEMENTS = 8_000
ROUNDS = 300


@numba.njit(nogil=True)
def libm_exp(x, out):
    for i in range(len(x)):
        out[i] = math.exp(x[i])


def timed(function, *arguments):
    started = perf_counter()
    function(*arguments)
    return perf_counter() - started


class Yardsticks:
    """What every round of a measurement times first, so that load falls on both alike."""

    def __init__(self):
        self.x = np.random.default_rng(5).standard_normal(ELEMENTS)
        self.out = np.empty(ELEMENTS)
        self.array, self.scalar = [], []
        libm_exp(self.x, self.out)

    def __call__(self):
        self.array.append(timed(np.exp, self.x))
        self.scalar.append(timed(libm_exp, self.x, self.out))

    def row(self, row):
        for name, times in (("np.exp", self.array), ("math.exp in numba", self.scalar)):
            per_element = median(times) / ELEMENTS * 1e9
            row(f"{name}, {ELEMENTS} doubles", f"{per_element:.2f} ns", "an element")

    def ratios(self, seconds):
        return (
            f"{seconds / median(self.array):.1f} x np.exp, "
            f"{seconds / median(self.scalar):.1f} x math.exp in numba"
        )


def test_value_and_gradient_of_the_posterior(target, panel, point, benchmark, row):
    yardsticks = Yardsticks()
    result = benchmark.pedantic(target, (point,), setup=yardsticks, rounds=ROUNDS, warmup_rounds=20)
    again = target(point)
    assert result[0] == again[0]
    np.testing.assert_array_equal(result[1], again[1])
    direction = np.random.default_rng(6).standard_normal(target.size)
    high, low = (target(point + step * direction)[0] for step in (1e-5, -1e-5))
    np.testing.assert_allclose(result[1] @ direction, (high - low) / 2e-5, rtol=1e-6)
    seconds, quotes = benchmark.stats.stats.median, panel.sizes["obs"]
    yardsticks.row(row)
    row(
        f"posterior and gradient, {quotes} quotes",
        f"{seconds / quotes * 1e9:.1f} ns/obs",
        yardsticks.ratios(seconds),
    )


def test_the_kernel_alone(spec, target, panel, point, benchmark, row):
    layout = lay_out(spec, panel)
    posterior = _as_fit(spec, panel, point)["posterior"].to_dataset()
    p = next(filter_parameters(spec, layout, natural_draws(spec, posterior)))
    yardsticks = Yardsticks()
    result = benchmark.pedantic(
        sweep, (layout.schedule, p), setup=yardsticks, rounds=ROUNDS, warmup_rounds=20
    )
    prior = -0.5 * point @ point - 0.5 * len(point) * np.log(2 * np.pi)
    np.testing.assert_allclose(result.value + prior, target(point)[0], rtol=1e-12)
    seconds, quotes = benchmark.stats.stats.median, panel.sizes["obs"]
    row(
        "the kernel of it alone",
        f"{seconds / quotes * 1e9:.1f} ns/obs",
        yardsticks.ratios(seconds),
    )


def test_two_chains_run_side_by_side(target, point, row):
    x, expected = np.zeros(ELEMENTS), target(point)[0]

    def chain():
        return {target(point)[0] for _ in range(200)}

    def loop():
        for _ in range(2_000):
            libm_exp(x, np.empty(ELEMENTS))

    slower = {chain: [], loop: []}
    with ThreadPoolExecutor(2) as pool:
        for _ in range(9):
            for work, ratios in slower.items():
                alone, started = timed(work), perf_counter()
                results = [future.result() for future in [pool.submit(work), pool.submit(work)]]
                ratios.append((perf_counter() - started) / alone)
                assert results == ([{expected}] * 2 if work is chain else [None] * 2)
    row(
        "two threads, a chain each, against one alone",
        f"{median(slower[chain]):.2f} x",
        f"what the machine can do now, by a bare loop: {median(slower[loop]):.2f} x",
    )


IMPORT = """
from time import perf_counter
started = perf_counter()
import pymc
print(perf_counter() - started)
"""

COMPILE = """
import sys
from time import perf_counter
import numpy as np
import xarray as xr
import bayesbasis as bb
from bayesbasis.inference.posterior import log_posterior
panel, spec = xr.open_dataset(sys.argv[1]).load(), bb.load_card("anchored-regimes-2")
started = perf_counter()
target = log_posterior(spec, panel)
value, _ = target(np.full(target.size, 0.1))
print(perf_counter() - started, value)
"""


def test_compile_cold_and_warm(target, panel, in_a_process, tmp_path, row):
    file = tmp_path / "panel.nc"
    panel.to_netcdf(file, engine="h5netcdf")
    shared, bytecode, cold, warm = [], [], [], []
    for repeat in range(3):
        caches = tmp_path / f"caches-{repeat}"
        prefix = {"PYTHONPYCACHEPREFIX": str(tmp_path / f"bytecode-{repeat}")}
        bytecode += in_a_process(IMPORT, caches, **prefix)
        shared += in_a_process(IMPORT, caches)
        for times in (cold, warm):
            seconds, value = in_a_process(COMPILE, caches, str(file))
            np.testing.assert_allclose(value, target(np.full(target.size, 0.1))[0], rtol=1e-12)
            times.append(seconds)
    row("import pymc, warm", f"{median(shared):.2f} s")
    row("import pymc, without bytecode", f"{median(bytecode):.2f} s")
    for name, times in (("cold", cold), ("warm", warm)):
        row(
            f"compile {name}, to the first value",
            f"{median(times):.2f} s",
            f"{median(times) / median(shared):.1f} x import pymc, "
            f"{median(times) / median(bytecode):.1f} x without bytecode",
        )


@pytest.mark.real
def test_btc_from_call_to_diagnosed_posterior(real_data, row):
    panel, _ = bb.make_panel(real_data("btc-quarter.parquet"))
    fit = bb.fit(bb.load_card("anchored-regimes"), panel, seed=1, progress=False)
    diagnosis = bb.diagnose(fit)
    row(
        f"BTC fit, {panel.sizes['obs']} quotes, 4 x 1000 draws",
        f"{fit.attrs['wall_time_s']:.1f} s",
        f"{str(diagnosis).splitlines()[0]}; log score {log_score(fit):.3f}",
    )
    assert diagnosis.table["r_hat"].max() <= 1.01
    assert diagnosis.table[["ess_bulk", "ess_tail"]].min(axis=None) >= 400
    assert diagnosis.divergences <= 2


def _as_fit(spec, panel, point):
    """Make a fit of one draw."""
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((1, 1), bool))})
    return assemble(spec, panel, point[None, None], stats, seed=0, started=perf_counter())
