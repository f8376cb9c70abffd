"""New listings: how well models forecast a contract that they have not been fitted to."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike

import numpy as np
import xarray as xr

from bayesbasis.evaluate.backtesting import Model, gather, make_store, name_models
from bayesbasis.evaluate.blocks import Block, Effort, Span
from bayesbasis.evaluate.parallel import run_blocks

_DAY = np.timedelta64(86_400 * 10**9, "ns")


def leave_contract_out(
    models: Mapping[str, Model] | Iterable[Model],
    panel: xr.Dataset,
    contracts: Sequence[str] | None = None,
    *,
    days_left: Sequence[float] = (60.0, 30.0, 14.0, 7.0),
    draws: int = 300,
    tune: int = 1000,
    warm_tune: int = 100,
    chains: int = 2,
    repeats: int = 1,
    seed: int = 1,
    store: str | PathLike[str] | None = None,
    processes: int = 1,
    progress: bool = True,
) -> xr.Dataset:
    """Hide one contract after another from the fit and forecast it to expiry, as if just listed.

    The fit knows what was quoted of the other contracts before the first origin, and nothing of the
    hidden one or of the future; the forecast knows the hidden one's quotes up to each origin.

    Parameters
    ----------
    models, panel, draws, tune, warm_tune, chains, repeats, seed, store, processes, progress
        As for `backtest`.
    contracts : sequence of str, optional
        Which to hide in turn; by default every one that expires in the panel after another has.
    days_left : sequence of float
        Days before expiry from which to forecast.

    Returns
    -------
    xarray.Dataset
        As of `backtest`, without leave-future-out.

    Raises
    ------
    ValueError
        If no contract has been quoted at such an origin with another one before it, or an argument
        makes no sense.

    Examples
    --------
    >>> scores = leave_contract_out(["anchored-regimes"], panel)  # doctest: +SKIP
    """
    chosen = name_models(models)
    spans = _spans(panel, contracts, sorted(days_left, reverse=True))
    length = np.timedelta64(int(max(days_left) * 86_400) + 86_400, "s").astype("timedelta64[ns]")
    effort = Effort(length, draws, chains, tune, warm_tune, None, seed, True, repeats)
    folder = make_store(store)
    blocks = [
        Block(name, model, panel, tuple(spans), effort, folder) for name, model in chosen.items()
    ]
    windows = run_blocks(blocks, client=None, processes=processes, progress=progress)
    origins = sorted({origin for span in spans for origin in span.origins})
    return gather(windows, list(chosen), origins)


def _spans(
    panel: xr.Dataset, contracts: Sequence[str] | None, days_left: Sequence[float]
) -> list[Span]:
    """Origins of every hidden contract, the last quote so many days before its expiry."""
    names, index = panel["contract"].values.astype(str), panel["contract_index"].values
    strangers = sorted(set(contracts or ()) - set(names))
    if strangers:
        raise ValueError(f"the panel has no contract {', '.join(strangers)}")
    last = panel["time"].values.max()
    earliest = panel["expiry"].values.min()
    spans = []
    for row in np.argsort(panel["expiry"].values, kind="stable"):
        expiry, time = panel["expiry"].values[row], panel["time"].values[index == row]
        if contracts is not None and names[row] not in contracts:
            continue
        at = [time[time <= expiry - (days * _DAY).astype("timedelta64[ns]")] for days in days_left]
        origins = tuple(sorted({known.max() for known in at if known.size}))
        if origins and expiry <= last + _DAY and origins[0] >= earliest:
            spans.append(Span(origins, origins, str(names[row])))
    if not spans:
        raise ValueError(
            f"no contract has a quote {max(days_left):g} days before an expiry within the panel, "
            "after another contract has expired: give a longer panel or other days_left"
        )
    return spans
