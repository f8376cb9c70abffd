"""Textbook baselines, fitted by maximum likelihood to what is known."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.optimize import minimize

from bayesbasis.evaluate.history import History, Past

Array = NDArray[Any]


@dataclass(frozen=True)
class OUMaximumLikelihood:
    r"""Deviations from one carry revert at one speed, with one volatility: exact, Gaussian.

    .. math:: z_1 \sim N\left(e^{-\kappa\Delta} z_0,
              \sigma^2 (1 - e^{-2\kappa\Delta}) / (2\kappa)\right), \quad z = b - c\tau

    with κ, c and σ at their likeliest values.
    """

    name: ClassVar[str] = "ou-ml"

    def simulate(self, past: Past, tau: Array, draws: int, rng: Generator) -> Array:
        """Simulate; see `Baseline`."""
        speed, carry, scale = _fit_ou(_Key(past.history))
        shock = rng.standard_normal((draws, len(tau)))
        z = np.full(draws, past.basis - carry * past.tau)
        result, before = np.empty((draws, len(tau))), past.tau
        for step, left in enumerate(tau):
            phi, variance = _ou(speed, before - left)
            z = phi * z + scale * np.sqrt(variance) * shock[:, step]
            result[:, step], before = z + carry * left, left
        return result


@dataclass(frozen=True)
class MarkovSwitching:
    """Deviations follow an autoregression whose volatility switches between two regimes.

    A step a quote, by `statsmodels`' ``MarkovRegression`` on the last `most` quotes of the contract
    nearest to expiry.
    """

    most: int = 1500

    name: ClassVar[str] = "markov-switching"

    def simulate(self, past: Past, tau: Array, draws: int, rng: Generator) -> Array:
        """Simulate; see `Baseline`."""
        fitted, carry = _fit_switching(_Key(past.history), self.most)
        stay, volatility, (level, phi), now = fitted
        regime = (rng.random(draws) < now[1]).astype(int)
        z = np.full(draws, past.basis - carry * past.tau)
        result = np.empty((draws, len(tau)))
        for step, left in enumerate(tau):
            regime = np.where(rng.random(draws) < stay[regime], regime, 1 - regime)
            z = level + phi * z + volatility[regime] * rng.standard_normal(draws)
            result[:, step] = z + carry * left
        return result


@dataclass(frozen=True)
class LocalLevel:
    """A random walk seen through noise, contract by contract: `statsmodels`' local level.

    A contract with fewer than `fewest` quotes takes the parameters of the one that has most.
    """

    fewest: int = 30

    name: ClassVar[str] = "local-level"

    def simulate(self, past: Past, tau: Array, draws: int, rng: Generator) -> Array:
        """Simulate; see `Baseline`."""
        own = past.own[1]
        source = own if len(own) >= self.fewest else max(past.history.basis, key=len)
        params = _fit_level(tuple(source))
        level, spread = _filter_level(own, params)
        noise, walk = params
        shock = rng.standard_normal((draws, len(tau)))
        start = level + np.sqrt(spread) * rng.standard_normal(draws)
        path = start[:, None] + np.sqrt(walk) * shock.cumsum(axis=1)
        return path + np.sqrt(noise) * rng.standard_normal(path.shape)


@dataclass(frozen=True, eq=False)
class _Key:
    """A history, compared by identity: fitted once for all its contracts."""

    history: History

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.history is self.history

    def __hash__(self) -> int:
        return id(self.history)


def _ou(speed: float, gap: Any) -> tuple[Any, Any]:
    return np.exp(-speed * gap), -np.expm1(-2 * speed * gap) / (2 * speed)


@lru_cache(maxsize=8)
def _fit_ou(key: _Key) -> tuple[float, float, float]:
    """Speed, carry (per year) and volatility (per √year) of greatest likelihood."""
    start, end, before, after = key.history.pairs()

    def deviance(free: Array) -> float:
        phi, variance = _ou(np.exp(free[0]), before - after)
        shock = end - free[1] * after - phi * (start - free[1] * before)
        # The likeliest volatility given the rest is that of the shocks.
        return float(np.log((shock**2 / variance).mean()) + np.log(variance).mean())

    carry = float(end @ after / (after @ after))
    best = minimize(deviance, [np.log(12.0), carry], method="Nelder-Mead").x
    # Slower than once in a hundred years is no reversion, and the formula loses its digits.
    speed = float(np.clip(np.exp(best[0]), 0.01, 1e4))
    phi, variance = _ou(speed, before - after)
    shock = end - best[1] * after - phi * (start - best[1] * before)
    return speed, float(best[1]), float(np.sqrt((shock**2 / variance).mean()))


@lru_cache(maxsize=8)
def _fit_switching(key: _Key, most: int) -> tuple[tuple[Array, Array, Array, Array], float]:
    """Staying probabilities, volatilities, autoregression, regime now; and the carry."""
    start, end, before, after = key.history.front()
    carry = float(end @ after / (after @ after))
    z0, z1 = (x[-most:] for x in (start - carry * before, end - carry * after))
    unit = (z1 - z0).std()
    model = _statsmodels("statsmodels.tsa.api").MarkovRegression(
        z1 / unit, k_regimes=2, exog=z0 / unit, switching_trend=False, switching_exog=False,
        switching_variance=True,
    )  # fmt: skip
    result = model.fit(disp=False, search_reps=0)
    named = dict(zip(model.param_names, result.params, strict=True))
    stay = np.array([named["p[0->0]"], 1 - named["p[1->0]"]])
    volatility = unit * np.sqrt([named["sigma2[0]"], named["sigma2[1]"]])
    line = np.array([unit * named["const"], named["x1"]])
    return (stay, volatility, line, result.filtered_marginal_probabilities[-1]), carry


@lru_cache(maxsize=64)
def _fit_level(quotes: tuple[float, ...]) -> tuple[float, float]:
    """Variances of noise and walk."""
    series = np.array(quotes)
    unit = max(np.diff(series).std(), 1e-12)
    model = _local_level(series / unit)
    noise, walk = model.fit(disp=False).params * unit**2
    return float(noise), float(walk)


def _filter_level(own: Array, params: tuple[float, float]) -> tuple[float, float]:
    """Level now and its variance."""
    noise, walk = params
    level, spread = own[0], noise
    for quote in own[1:]:
        spread = spread + walk
        gain = spread / (spread + noise) if spread > 0 else 0.0
        level, spread = level + gain * (quote - level), (1 - gain) * spread
    return float(level), float(spread)


def _local_level(series: Array) -> Any:
    return _statsmodels("statsmodels.api").tsa.UnobservedComponents(series, "local level")


def _statsmodels(module: str) -> Any:
    if find_spec("statsmodels") is None:
        raise ValueError("this baseline needs statsmodels: pip install 'bayesbasis[baselines]'")
    return import_module(module)
