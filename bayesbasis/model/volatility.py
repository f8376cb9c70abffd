"""Volatility of every regime, from what priors are set on: one level, and ratios or a spread."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesbasis.model.spec import Spec
from bayesbasis.process.regimes import urn_grid


def by_regime(spec: Spec, natural: Mapping[str, Any], xp: Any) -> dict[str, Any]:
    """Put volatilities of every regime in the place of the calmest one's and ratios."""
    whole, count = dict(natural), spec.regimes.count
    whole["volatility"] = scales(spec, natural, whole.pop("volatility_ratio", None), xp)
    if spec.spot is not None:
        ratio = whole.pop("spot_volatility_ratio", None)
        whole["spot_volatility"] = _ordered(natural["spot_volatility"], ratio, count, xp)
    return whole


def scales(spec: Spec, natural: Mapping[str, Any], ratio: Any, xp: Any) -> Any:
    """Volatility of every regime, shape (..., group, regime)."""
    level, count = natural["volatility"], spec.regimes.count
    if spec.regimes.is_stochastic:
        spread = natural["volatility_spread"][..., None]
        return level[..., None] * xp.exp(spread * urn_grid(count))
    return _ordered(level, ratio, count, xp)


def pooled_volatility(spec: Spec, volatility: Any, xp: Any) -> Any:
    """Take out what is pooled: volatility of the calmest regime, or the median; (..., group)."""
    if spec.regimes.is_stochastic:
        return xp.exp(xp.log(volatility).mean(-1))
    return volatility[..., 0]


def _ordered(calmest: Any, ratio: Any, count: int, xp: Any) -> Any:
    """Volatility of every regime from that of the calmest and the ratios above one."""
    if count == 1:
        return calmest[..., None]
    # Regime k is above the calmest by the first k ratios.
    climbed = np.tri(count, count - 1, -1)
    return calmest[..., None] * xp.exp((xp.log(ratio)[..., None, :] * climbed).sum(-1))
