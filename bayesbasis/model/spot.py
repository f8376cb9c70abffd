"""Spot beside the basis: its priors, and its moves as the filter reads them."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesbasis.model.priors import Horseshoe, LogitNormal, LogNormal, Prior

Array = NDArray[Any]

_YEAR_NS = 365 * 86_400 * 10**9


@dataclass(frozen=True)
class Spot:
    """Spot returns, estimated together with the basis.

    Spot shares the regimes and the mixing variables of the basis: what is panic in one is panic in
    the other, and both say when it is. Beside them it has a volatility in every regime, and a
    correlation with the mean shock of the curve.

    Parameters
    ----------
    volatility : Prior
        Volatility of spot in the calmest regime of the basis, % per square root of a year; the
        scale of a Student-t, not its standard deviation.
    volatility_ratio : Prior
        That of a regime over the next calmer one. Regimes are ordered by the basis: spot may be
        calmer where the basis is wilder, so it may lie below 1.
    correlation : Prior
        Correlation, in every regime, of a return of spot with the mean shock of the curve.

    Examples
    --------
    >>> Spot(correlation=LogitNormal(0.2, 0.5, -1.0, 1.0)).volatility
    LogNormal(median=50.0, factor=2.5, lower=0.0)
    """

    volatility: Prior = LogNormal(50.0, 2.5)  # noqa: RUF009 - frozen, safe to share
    volatility_ratio: Prior = LogNormal(1.5, 1.6)  # noqa: RUF009
    correlation: Prior = LogitNormal(0.0, 1.0, -1.0, 1.0)  # noqa: RUF009

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(getattr(self, field.name), Horseshoe):
                raise ValueError(
                    f"{field.name} of spot has a horseshoe prior, which is for coefficients of "
                    "covariates; choose normal, lognormal or logit-normal"
                )


SPOT_PARAMETERS = {f"spot_{field.name}": field.name for field in fields(Spot)}
"""Names of spot's parameters in a model, and the fields that hold their priors."""


def spot_parameters(regimes: int) -> list[str]:
    """Names of spot's parameters in a model with that many regimes."""
    return [name for name in SPOT_PARAMETERS if regimes > 1 or "ratio" not in name]


def spot_moves(time: Array, underlying: Array, log_spot: Array) -> Array:
    """Spot's log return into every event over the root of its time.

    Parameters
    ----------
    time : ndarray of datetime64[ns], shape (event,)
        Of every event.
    underlying : ndarray of int, shape (event,)
        Its underlying.
    log_spot : ndarray, shape (event,)
        Logarithm of spot there, up to a constant of the underlying.

    Returns
    -------
    ndarray, shape (event,)
        Per root year; infinite where the underlying has no earlier event, or one at the same time.
    """
    move, stamp = np.full(len(time), np.inf), time.astype(np.int64)
    for u in np.unique(underlying):
        own = np.flatnonzero(underlying == u)
        own = own[np.argsort(stamp[own], kind="stable")]
        elapsed = np.diff(stamp[own]) / _YEAR_NS
        seen = elapsed > 0
        move[own[1:][seen]] = np.diff(log_spot[own])[seen] / np.sqrt(elapsed[seen])
    return move
