"""Blocks: windows of a backtest that hang together, and run in one piece."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesbasis.data.counts import at_least_one
from bayesbasis.evaluate.baselines import Baseline
from bayesbasis.model.spec import Spec


@dataclass(frozen=True)
class Effort:
    """How far to look, and how hard.

    Parameters
    ----------
    horizon : numpy.timedelta64
        How far to forecast.
    draws, chains : int
        Posterior draws kept per chain, and chains.
    tune, warm_tune : int
        Tuning of a fit from scratch, and of one that starts from the one before.
    history : numpy.timedelta64 or None
        Learn from no quotes older than this; from all if None.
    seed : int
        Seed of everything.
    hindcasts : bool
        Whether forecasts spread as far as hindcasts of their fit say.
    repeats : int
        Paths of every draw.

    Raises
    ------
    ValueError
        If there would be no draw, chain or path.
    """

    horizon: np.timedelta64
    draws: int
    chains: int
    tune: int
    warm_tune: int
    history: np.timedelta64 | None
    seed: int
    hindcasts: bool
    repeats: int = 1

    def __post_init__(self) -> None:
        at_least_one(draws=self.draws, chains=self.chains, repeats=self.repeats)


@dataclass(frozen=True)
class Span:
    """Origins that share the fit made at the first of them.

    Parameters
    ----------
    origins : tuple of numpy.datetime64
        In order.
    ends : tuple of numpy.datetime64
        Where each window's one-step densities end: at the next origin or the horizon.
    hidden : str or None
        A contract to keep from the fit and to forecast alone, as if it had just been listed.
    """

    origins: tuple[np.datetime64, ...]
    ends: tuple[np.datetime64, ...]
    hidden: str | None = None


@dataclass(frozen=True, eq=False)
class Block:
    """Spans of one model that hang together: each fit starts from the one before.

    Parameters
    ----------
    name : str
        Name of the model in the result.
    model : Spec or Baseline
        What forecasts.
    panel : xarray.Dataset
        All quotes.
    spans : tuple of Span
        In order.
    effort : Effort
        How far to look, and how hard.
    folder : str or None
        Where finished windows are kept.
    """

    name: str
    model: Spec | Baseline
    panel: xr.Dataset
    spans: tuple[Span, ...]
    effort: Effort
    folder: str | None

    @property
    def size(self) -> int:
        """Number of windows."""
        return sum(len(span.origins) for span in self.spans)
