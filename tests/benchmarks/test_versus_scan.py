"""The same model as anyone would write it first: one `pytensor.scan`, no gradient by hand.

For one underlying whose contracts are quoted one after another, never two at a time; two regimes,
anchored, Student-t. It shares the priors with the package, and nothing of the likelihood.
"""

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.hierarchy import parameters, raw_variables
from bayesbasis.model.levels import Levels, Members
from bayesbasis.model.spec import Spec
from bayesbasis.process.filter import SETTLED

_DAYS = 365.0
_REFERENCE = 30.0 / _DAYS
_RULE = np.polynomial.legendre.leggauss(12)
_FINE_RULE = np.polynomial.legendre.leggauss(200)


COMPILE = """
import runpy, sys
from time import perf_counter
import numpy as np
import xarray as xr
import bayesbasis as bb
panel, spec = xr.open_dataset(sys.argv[1]).load(), bb.load_card("anchored-regimes-2")
compile_naive = runpy.run_path(sys.argv[2])["compile_naive"]
started = perf_counter()
evaluate = compile_naive(spec, panel)
evaluate(*[0.1 * np.ones(eval(shape)) for shape in sys.argv[3:]])
print(perf_counter() - started)
"""


def test_value_and_gradient_agree_with_the_naive_model(
    spec, small_panel, in_a_process, benchmark, tmp_path, row
):
    naive, target = compile_naive(spec, small_panel), log_posterior(spec, small_panel)
    flat = 0.3 * np.random.default_rng(4).standard_normal(target.size)
    variables = list(target.split(flat).values())
    ours, theirs = target(flat), naive(*variables)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-8)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6, atol=1e-6)
    fast = []

    def ours_in_the_same_round():
        started = perf_counter()
        target(flat)
        fast.append(perf_counter() - started)

    benchmark.pedantic(naive, variables, setup=ours_in_the_same_round, rounds=50, warmup_rounds=2)
    slow, quotes = benchmark.stats.stats.median, small_panel.sizes["obs"]
    row(
        f"pytensor.scan, {quotes} quotes one at a time",
        f"{slow / quotes * 1e9:.0f} ns/obs",
        f"bayesbasis on the same panel {median(fast) / quotes * 1e9:.0f} ns/obs, "
        f"{slow / median(fast):.0f} times faster",
    )
    file = tmp_path / "panel.nc"
    small_panel.to_netcdf(file, engine="h5netcdf")
    shapes = [str(shape) for shape in target.shapes.values()]
    for name in ("cold", "warm"):
        (seconds,) = in_a_process(COMPILE, tmp_path, str(file), __file__, *shapes)
        row(f"pytensor.scan, compile {name}, to the first value", f"{seconds:.1f} s")


def compile_naive(spec: Spec, panel: xr.Dataset) -> Any:
    """Compile value and gradient of the naive model, of the standard normals one by one."""
    model = _naive_model(spec, panel)
    outputs, inputs = [model.logp(), model.dlogp()], model.value_vars
    return model.compile_fn(outputs, inputs=inputs, point_fn=False)


def _naive_model(spec: Spec, panel: xr.Dataset) -> pm.Model:
    """Build the model of `spec` with a likelihood of its own."""
    levels = Levels(venues=False, underlyings=False)
    contracts = panel.sizes["contract"]
    sizes = {"regime": 2, "higher_regime": 1, "contract": contracts}
    with pm.Model() as model:
        raw = {
            name: pm.Normal(name, shape=tuple(sizes[dim] for dim in own))
            for name, own in raw_variables(spec, levels).items()
        }
        own = np.zeros(contracts, int)
        natural = parameters(spec, levels, raw, Members(own, own, own), pt)
        pm.Potential("log_likelihood", _log_likelihood(natural, panel))
    return model


def _log_likelihood(natural: dict[str, pt.TensorVariable], panel: xr.Dataset) -> pt.TensorVariable:
    order = np.argsort(panel["time"].values, kind="stable")
    contract, tau = panel["contract_index"].values[order], panel["tau"].values[order]
    days = panel["time"].values[order].astype("datetime64[ns]").astype(np.int64) / 86_400e9
    assert (np.diff(days) > 0).all()
    fresh = np.diff(contract, prepend=-1) != 0
    z = pt.as_tensor(panel["basis"].values[order]) - natural["carry"][contract] * 0.01 * tau
    # Before its first quote a contract was at fair value, long ago.
    start = np.where(fresh, tau + SETTLED, np.roll(tau, 1))
    phi, variance = _moves(natural, start, tau, *_RULE)
    _, settled = _moves(natural, start[fresh], tau[fresh], *_FINE_RULE)
    variance = pt.set_subtensor(variance[np.flatnonzero(fresh)], settled)
    sigma = natural["volatility"][0] * 1e-4 * np.sqrt(_DAYS)
    leave = _DAYS / natural["stay"][0]
    noise, tail = natural["noise"][0] / _DAYS, natural["tail"][0]

    def step(z, phi, variance, fresh, gap, level, spread, regime, sigma, leave, noise, tail):
        level, spread = pt.switch(fresh, 0.0, level), pt.switch(fresh, noise, spread)
        mean, predicted = phi * level, phi**2 * spread + variance
        error, total = z - mean, predicted + noise
        gain = predicted / total
        scale = sigma * pt.sqrt(total)
        log_density = (
            pt.gammaln((tail + 1) / 2) - pt.gammaln(tail / 2) - 0.5 * pt.log(np.pi * tail)
            - pt.log(scale) - (tail + 1) / 2 * pt.log1p((error / scale) ** 2 / tail)
        )  # fmt: skip
        stationary = leave[::-1] / leave.sum()
        moved = stationary + pt.exp(-leave.sum() * gap) * (regime - stationary)
        joint = pt.log(moved) + log_density
        score = pt.logsumexp(joint)
        return mean + gain * error, (1 - gain) * predicted, pt.exp(joint - score), score

    begin = [pt.zeros(()), pt.zeros(()), leave[::-1] / leave.sum(), None]
    gap = pt.as_tensor(np.diff(days, prepend=days[0]) / _DAYS)
    *_, score = pytensor.scan(
        step,
        [z, phi, variance, pt.as_tensor(fresh), gap],
        begin,
        [sigma, leave, noise, tail],
        strict=True,
        return_updates=False,
    )
    return score.sum()


def _moves(
    natural: dict[str, pt.TensorVariable],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    nodes: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> tuple[pt.TensorVariable, pt.TensorVariable]:
    """``φ`` and ``v`` of every move, by Gauss-Legendre in ``ln u``."""
    half = 0.5 * np.log(start / end)[:, None]
    u = end[:, None] * np.exp(half * (nodes + 1.0))
    kappa = np.log(2.0) * _DAYS / natural["half_life"][0]
    gamma, eta = natural["anchor"][0], natural["volatility_exponent"][0]
    density = (
        pt.exp(-2 * kappa * (u - end[:, None]))
        * (end[:, None] / u) ** (2 * gamma)
        * (u / _REFERENCE) ** (2 * eta)
    )
    return (
        pt.exp(-kappa * (start - end)) * (end / start) ** gamma,
        (density * (half * weights * u)).sum(1),
    )
