"""Windows of a backtest, one after another: learn from what was known, forecast, score."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import bayesbasis
from bayesbasis.data.panel import known_at, panel_hash, select
from bayesbasis.evaluate.baselines import Baseline, forecast_baseline
from bayesbasis.evaluate.blocks import Block, Span
from bayesbasis.evaluate.future import leave_future_out
from bayesbasis.evaluate.scores import energy_score, score
from bayesbasis.forecast.fitting import fit
from bayesbasis.forecast.paths import forecast
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.storage import save
from bayesbasis.model.cards import write_card
from bayesbasis.model.spec import Spec

_FORMAT = 3
_OF_THE_FIT = ("fit_s", "compile_s", "warm", "r_hat", "ess_bulk", "divergences")


def windows_of(block: Block) -> Iterator[xr.DataTree]:
    """Yield the windows of a block, those on disk as they are, the others as they are done."""
    previous, before = None, ""
    for span in block.spans:
        # Made when a window needs it: a span that is on disk needs none.
        learn = cache(lambda span=span, previous=previous: _fit(block, span, previous))
        windows = []
        for origin, end in zip(span.origins, span.ends, strict=True):
            key = _key(block, span, origin, end, before)
            window = _read(block.folder, key)
            if window is None:
                window = _attempt(block, span, origin, end, learn)
                _write(block.folder, key, window)
            windows.append(window)
            yield window
        ended_well = not windows[0].attrs["error"] and isinstance(block.model, Spec)
        previous = windows[0] if ended_well else None
        before = _key(block, span, span.origins[0], span.ends[0], before) if ended_well else ""


def _attempt(
    block: Block,
    span: Span,
    origin: np.datetime64,
    end: np.datetime64,
    learn: Callable[[], xr.DataTree],
) -> xr.DataTree:
    started = time.perf_counter()
    # A window that fails is recorded, not fatal.
    try:
        if isinstance(block.model, Spec):
            window = _of_model(block, span, origin, end, learn())
        else:
            window = _of_baseline(block, span, block.model, origin)
    except Exception as error:
        window = xr.DataTree()
        window.attrs = {"error": " ".join(str(error).split()) or type(error).__name__}
    attrs = {"model": block.name, "origin": str(origin), "error": "", "peak_mb": _peak_mb()}
    window.attrs = attrs | {"window_s": time.perf_counter() - started} | window.attrs
    return window


def _of_model(
    block: Block, span: Span, origin: np.datetime64, end: np.datetime64, tree: xr.DataTree
) -> xr.DataTree:
    started = time.perf_counter()
    seed, known = _seed(block.effort.seed, origin), known_at(block.panel, origin)
    only = None if span.hidden is None else [span.hidden]
    paths = forecast(
        tree, origin, only, times=_times(block, origin), seed=seed, panel=known, spot=False,
        repeats=block.effort.repeats,
    )  # fmt: skip
    window = _scored(paths, block.panel)
    if span.hidden is None:
        elpd = leave_future_out(tree, block.panel, end, seed=seed)
        window["elpd"] = xr.DataTree(elpd.to_dataset())
    for name in ("start", "hindcast"):
        if name in tree.children:
            window[name] = xr.DataTree(tree[name].to_dataset())
    # A fit counts for the first origin that it serves.
    fitting = tree.attrs["fit_s"] if origin == span.origins[0] else 0.0
    window.attrs = {
        "window_s": time.perf_counter() - started + fitting,
        **{name: tree.attrs[name] for name in _OF_THE_FIT},
    }
    return window


def _of_baseline(
    block: Block, span: Span, baseline: Baseline, origin: np.datetime64
) -> xr.DataTree:
    paths = forecast_baseline(
        baseline,
        _recent(block, origin),
        origin,
        _times(block, origin),
        seed=_seed(block.effort.seed, origin),
        draws=block.effort.draws * block.effort.chains * block.effort.repeats,
        contracts=None if span.hidden is None else [span.hidden],
    )
    return _scored(paths, block.panel)


def _scored(paths: xr.Dataset, panel: xr.Dataset) -> xr.DataTree:
    """Keep the scores of what was quoted, a point a quote."""
    scores = score(paths, panel)
    scores = scores.assign_coords(step=np.arange(scores.sizes["step"]))
    points = scores.stack(point=("contract", "step"), create_index=False)
    points = points.reset_coords("regime") if "regime" in points else points.assign(regime=np.nan)
    points = points.isel(point=np.flatnonzero(np.isfinite(points["outcome"].values)))
    energy = energy_score(paths, panel)
    curve = energy.assign_coords(curve_time=("step", paths["time"].max("contract").values))
    curve = curve.stack(curve=("underlying", "step"), create_index=False).dropna("curve")
    curve = curve.rename(underlying="curve_underlying")
    return xr.DataTree.from_dict({"points": points, "curve": curve.to_dataset(name="energy")})


def _fit(block: Block, span: Span, previous: xr.DataTree | None) -> xr.DataTree:
    assert isinstance(block.model, Spec)
    effort, origin = block.effort, span.origins[0]
    known = _recent(block, origin)
    if span.hidden is not None:
        names = known["contract"].values[known["contract_index"].values]
        known = select(known, names != span.hidden)
    started = time.perf_counter()
    # Once a card and process; after that it costs nothing.
    target = log_posterior(block.model, known)
    target(np.zeros(target.size))
    compiled = time.perf_counter()
    tree = fit(
        block.model,
        known,
        draws=effort.draws,
        chains=effort.chains,
        tune=effort.tune if previous is None else effort.warm_tune,
        seed=_seed(effort.seed, origin),
        start=previous,
        progress=False,
        hindcasts=effort.hindcasts,
    )
    tree.attrs |= {
        "compile_s": compiled - started,
        "fit_s": time.perf_counter() - compiled,
        "warm": int(previous is not None),
    }
    return tree


def _recent(block: Block, origin: np.datetime64) -> xr.Dataset:
    """Quotes to learn from."""
    known = known_at(block.panel, origin)
    if block.effort.history is None:
        return known
    return select(known, known["time"].values > origin - block.effort.history)


def _times(block: Block, origin: np.datetime64) -> Any:
    """When the market was open after the origin; that much of the future is on every calendar."""
    time = np.unique(block.panel["time"].values)
    return time[(time > origin) & (time <= origin + block.effort.horizon)]


def _seed(seed: int, origin: np.datetime64) -> int:
    """Seed of one window: the same whatever other windows there are."""
    moment = int(origin.astype("datetime64[ns]").astype(np.int64))
    return int(np.random.SeedSequence([seed, moment]).generate_state(1)[0])


def describe(model: Spec | Baseline) -> str:
    """Say all that a model is: its card, or its own words."""
    return write_card(model) if isinstance(model, Spec) else repr(model)


def _key(block: Block, span: Span, origin: np.datetime64, end: np.datetime64, before: str) -> str:
    """Name of a window on disk: all that its numbers depend on."""
    seen = known_at(block.panel, max(end, origin + block.effort.horizon))
    parts = {
        "format": _FORMAT,
        "version": bayesbasis.__version__,
        "model": describe(block.model),
        "panel": panel_hash(seen),
        "fitted_at": span.origins[0],
        "origin": origin,
        "end": end,
        "hidden": span.hidden,
        "before": before,
        **asdict(block.effort),
    }
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:32]


def _read(folder: str | None, key: str) -> xr.DataTree | None:
    path = Path(folder or "") / f"{key}.nc"
    if folder is None or not path.is_file():
        return None
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        return tree.load()


def _write(folder: str | None, key: str, window: xr.DataTree) -> None:
    """Keep a window that ended well; one that failed gets another chance in the next run."""
    if folder is None or window.attrs["error"]:
        return
    save(window, Path(folder) / f"{key}.nc")


def _peak_mb() -> float:
    """Most memory this process has held, MB; unknown on Windows."""
    if sys.platform == "win32":
        return float("nan")
    import resource  # noqa: PLC0415

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
