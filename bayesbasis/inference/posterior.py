"""The log posterior as a compiled function that threads can run side by side."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from bayesbasis.inference.compiled import Compiled, compile_once
from bayesbasis.model.graph import build, data_arrays
from bayesbasis.model.hierarchy import members_of
from bayesbasis.model.layout import Layout, lay_out
from bayesbasis.model.levels import Evidence, Levels
from bayesbasis.model.spec import Spec
from bayesbasis.process.ahead import give_head_start

Array = NDArray[Any]

_HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)


@dataclass(frozen=True)
class LogPosterior:
    """Log posterior density and its gradient at a flat vector of the standard normals.

    The prior of standard normals is added here rather than compiled.

    Parameters
    ----------
    evaluate : callable
        The compiled log likelihood, and the prior of `members`: variables, then data; returns
        value and gradients.
    shapes : dict
        Shape of each variable, in order.
    data : tuple of ndarray
        The arrays of the panel.
    members : tuple of str
        Variables that are not standard normal, but place members in a population.
    """

    evaluate: Callable[..., Any]
    shapes: dict[str, tuple[int, ...]]
    data: tuple[Array, ...]
    members: tuple[str, ...] = ()

    @cached_property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    @cached_property
    def standard(self) -> Array:
        """Ones where the prior is standard normal, zeros elsewhere."""
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        return np.repeat([float(name not in self.members) for name in self.shapes], sizes)

    @cached_property
    def prior_constant(self) -> float:
        """Logarithm of what standard normal densities are divided by."""
        return float(self.standard.sum() * _HALF_LOG_TWO_PI)

    @cached_property
    def cuts(self) -> tuple[tuple[slice, tuple[int, ...]], ...]:
        """Where each variable lies in the flat vector, and its shape."""
        stops = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()])
        starts = np.concatenate([[0], stops[:-1]])
        slices = (slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True))
        return tuple(zip(slices, self.shapes.values(), strict=True))

    def split(self, flat: Array) -> dict[str, Array]:
        """Cut flat vectors, shape (..., size), into the variables."""
        leading = flat.shape[:-1]
        pieces = (flat[..., cut].reshape(leading + shape) for cut, shape in self.cuts)
        return dict(zip(self.shapes, pieces, strict=True))

    def __call__(self, flat: Array) -> tuple[float, Array]:
        """Return the log density and its gradient."""
        variables = [flat[cut].reshape(shape) for cut, shape in self.cuts]
        value, *gradient = self.evaluate(*variables, *self.data)
        # Small vectors: what costs here is the number of calls.
        slopes = np.concatenate([slope.ravel() for slope in gradient])
        pull = flat * self.standard
        slopes -= pull
        return float(value) - 0.5 * float(pull @ flat) - self.prior_constant, slopes

    def climb(self, start: Array, steps: int) -> Array:
        """Climb the density by at most so many steps of L-BFGS.

        Parameters
        ----------
        start : ndarray, shape (size,)
            Where from.
        steps : int
            How many.

        Returns
        -------
        ndarray, shape (size,)
            A mode of the density, or a point on the way to it; the start, if the density or its
            slope is not finite there.
        """
        found: Array = self.path(start, steps)[0][-1]
        return found

    def path(self, start: Array, steps: int) -> tuple[Array, Array]:
        """Climb as `climb` does, and note the way.

        Returns
        -------
        places : ndarray, shape (place, size)
            The start, and where each step ended.
        heights : ndarray, shape (place,)
            Log density there; none is lower than the one before.
        """
        lowest, slopes = self(start)
        places, heights = [start], [lowest]
        if not _is_finite(lowest, slopes):
            return np.array(places), np.array(heights)

        def below(flat: Array) -> tuple[float, Array]:
            nonlocal lowest
            value, slopes = self(flat)
            # A step so long that it overflows is as bad as any before, so that it is cut short.
            if not _is_finite(value, slopes):
                return -lowest, np.zeros_like(flat)
            lowest = min(lowest, value)
            return -value, -slopes

        def note(intermediate_result: OptimizeResult) -> None:
            places.append(intermediate_result.x.copy())
            heights.append(-intermediate_result.fun)

        options = {"maxiter": steps, "maxcor": 30}
        minimize(below, start, jac=True, method="L-BFGS-B", options=options, callback=note)
        return np.array(places), np.array(heights)


def _is_finite(value: float, slopes: Array) -> bool:
    return bool(np.isfinite(value) and np.isfinite(slopes).all())


def log_posterior(
    spec: Spec, panel: xr.Dataset, evidence: Mapping[str, Evidence] | None = None
) -> LogPosterior:
    """Compile the posterior of a panel, or take what was compiled for another.

    Parameters
    ----------
    spec : Spec
        The model.
    panel : xarray.Dataset
        From `make_panel`.
    evidence : mapping of Evidence, optional
        What members of populations are sampled in the light of; by default nothing.

    Returns
    -------
    LogPosterior

    Notes
    -----
    The graph depends on the model and on which levels of the hierarchy are in use, not on the data:
    within one process a second panel costs nothing, in another process code is read from disk.
    """
    if spec.spot is None:
        give_head_start()
    layout = lay_out(spec, panel)
    if evidence is not None:
        layout = replace(layout, evidence=evidence)
    compiled = _compile(spec, layout.levels, _Example(panel))
    arrays = data_arrays(layout)
    shapes = {
        name: tuple(len(layout.coords[dim]) for dim in compiled.dims[name])
        for name in compiled.variables
    }
    data = tuple(_read(name, arrays, layout) for name in compiled.data)
    return LogPosterior(compiled.evaluate, shapes, data, members_of(spec, layout.levels))


@dataclass(frozen=True, eq=False)
class _Example:
    """A panel to build a graph on. All are alike: the graph does not depend on the data."""

    panel: xr.Dataset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Example)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=32)
def _compile(spec: Spec, levels: Levels, example: _Example) -> Compiled:
    def graph() -> tuple[pm.Model, Any]:
        model = build(spec, example.panel)
        members = members_of(spec, levels)
        own = [x for x in model.free_RVs if x.name in members]
        return model, model.logp(vars=[*model.potentials, *own])

    # Where cells gather what underlyings have, two loops add to one array of zeros: fused, but not
    # in place, PyTensor 3.3 gives both a single copy of it, and gradients are wrong. Covariates
    # gather, too. Without the fusion a first compilation takes half as long again.
    gathers = levels.apart or spec.equilibrium.covariates or spec.drivers.speed or spec.drivers.stay
    without = ("fuse_indexed_into_elemwise",) if gathers else ()
    # What a model is called is not compared, and does not tell two apart.
    return compile_once((replace(spec, name="", summary=""), levels), graph, without)


def _read(name: str, arrays: dict[str, Array], layout: Layout) -> Array:
    """Find the data of a graph's input: an array, or the length of a dim."""
    return arrays[name] if name in arrays else np.asarray(len(layout.coords[name]))
