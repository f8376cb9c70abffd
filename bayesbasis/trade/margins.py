"""Margins: when a leveraged future is liquidated, and how much leverage it bears."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.trade.carry import DIRECTIONS
from bayesbasis.trade.exits import PATH, SAMPLE, Exit, exit_steps
from bayesbasis.trade.liquidation import (
    Kind,
    Side,
    bearable_leverage,
    bridge_peaks,
    check_leverage,
    liquidation_price,
)

Array = NDArray[Any]

QUANTILES = (0.5, 0.9, 0.95, 0.99)


def margin(
    paths: xr.Dataset,
    direction: Literal["cash-and-carry", "reverse"] = "cash-and-carry",
    *,
    leverage: Sequence[float] = (1, 2, 3, 5, 10, 20, 50),
    maintenance: float = 0.005,
    mode: Literal["isolated", "cross"] = "isolated",
    kind: Kind = "linear",
    exit: Exit = "expiry",
    haircut: float = 0.0,
    alpha: float = 0.01,
    seed: int = 1,
) -> xr.Dataset:
    r"""Find when the future of a trade is liquidated before the trade ends.

    Isolated, the future has its initial margin ``1/L`` alone, and the worst price of a path says
    which leverage it bears. Between two steps the price may have gone farther unseen: its worst is
    drawn from the bridge between them. Cross, the spot leg is collateral too, less a haircut, and
    what is left to fear is the basis, looked at on every step.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`, with ``spot``.
    direction : {"cash-and-carry", "reverse"}
        A cash and carry is short the future, the reverse long.
    leverage : sequence of float
        Leverages to look at, each at least 1.
    maintenance : float
        Maintenance margin, a fraction of the position's value.
    mode : {"isolated", "cross"}
        Whether the spot leg is collateral of the future.
    kind : {"linear", "inverse"}
        Settlement of the future.
    exit : str, datetime, timedelta or When
        As in `cash_and_carry`: liquidation after it does not count. `When` asks for liquidation
        before convergence.
    haircut : float
        What the venue takes off the gains of the collateral in cross mode, a fraction.
    alpha : float
        Probability of liquidation that is still borne.
    seed : int
        Seed of the worst prices between steps.

    Returns
    -------
    xarray.Dataset
        ``bearable`` (chain, draw, contract): the leverage at which each path is just liquidated.
        ``liquidation`` (contract, leverage): P(liquidation before the exit), with
        ``liquidation_error`` by Monte Carlo; ``liquidation_price`` (isolated; mean over draws) and
        ``initial`` margin, a fraction. ``top_up`` (contract, leverage, quantile): quantiles of the
        margin to be added on the way, a fraction of the position, zero where there is no call.
        ``max_leverage`` (contract): the highest with P(liquidation) ≤ alpha.

    Raises
    ------
    ValueError
        If the paths have no spot, or a leverage or word is not allowed.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> found = bb.margin(paths, exit=bb.When(deviation=5e-4))  # doctest: +SKIP
    """
    side: Side = "short" if DIRECTIONS.get(direction) == 1 else "long"
    levels = np.asarray(leverage, float)
    check_leverage(levels, maintenance, side, kind)
    _require(paths, direction, mode, alpha)
    end = exit_steps(paths, exit, DIRECTIONS[direction])
    price = (paths["spot"] * np.exp(paths["basis"])).transpose(*PATH).values
    if mode == "isolated":
        worst = _worst_prices(paths, price, end, side, np.random.default_rng(seed))
        bearable = bearable_leverage(worst, maintenance=maintenance, side=side, kind=kind)
        entry = price[..., 0].mean((0, 1))[:, None]
        at = liquidation_price(entry, levels, maintenance=maintenance, side=side, kind=kind)
    else:
        bearable = _bearable_cross(paths, price, end, side, kind, maintenance, haircut)
        at = np.full((price.shape[2], len(levels)), np.nan)
    return _dataset(paths, levels, bearable, at, alpha)


def _require(paths: xr.Dataset, direction: str, mode: str, alpha: float) -> None:
    if direction not in DIRECTIONS:
        allowed = " or ".join(map(repr, DIRECTIONS))
        raise ValueError(f"direction is {direction!r}; choose {allowed}")
    if mode not in ("isolated", "cross"):
        raise ValueError(f"mode is {mode!r}; choose 'isolated' or 'cross'")
    if "spot" not in paths:
        raise ValueError(
            "the paths have no spot, and liquidation hangs on it: take them from "
            "bayesbasis.forecast(fit, spot=True)"
        )
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha:g}; a probability lies between 0 and 1")


def _worst_prices(
    paths: xr.Dataset, price: Array, end: Array, side: Side, rng: np.random.Generator
) -> Array:
    """Worst price up to the exit over that at entry, between steps too."""
    sign = 1.0 if side == "short" else -1.0
    log = sign * np.log(price / price[..., :1])
    peak = np.maximum(log[..., :-1], log[..., 1:])
    if "spot_scale" in paths:
        scale = paths["spot_scale"].transpose(*PATH).values[..., 1:]
        tail = paths["tail"].transpose(*SAMPLE, "contract").values[..., None]
        peak = bridge_peaks(log[..., :-1], log[..., 1:], scale, tail, rng)
    before = np.arange(peak.shape[-1]) < end[..., None]
    return np.exp(sign * np.maximum(np.where(before, peak, 0.0).max(-1), 0.0))


def _bearable_cross(
    paths: xr.Dataset,
    price: Array,
    end: Array,
    side: Side,
    kind: Kind,
    maintenance: float,
    haircut: float,
) -> Array:
    """Leverage that each path bears with the spot leg as collateral, looked at on every step.

    Equity over the position is ``1/L``, the profit of the future and that of spot, of whose gains
    the venue takes a haircut; the position is liquidated where it is at most ``m F``.
    """
    sign = 1.0 if side == "short" else -1.0
    spot = paths["spot"].transpose(*PATH).values
    ratio, start = price / price[..., :1], price[..., :1]
    collateral = sign * (spot - spot[..., :1]) / start
    collateral = np.where(collateral > 0, (1.0 - haircut) * collateral, collateral)
    if kind == "inverse":
        # Paid in coin, and worth what spot then is.
        future = sign * (1.0 / ratio - 1.0) * spot / start
        needed = maintenance * spot / price
    else:
        future, needed = sign * (1.0 - ratio), maintenance * ratio
    short = needed - future - collateral
    before = np.arange(short.shape[-1]) <= end[..., None]
    worst = np.where(before, short, -np.inf).max(-1)
    with np.errstate(divide="ignore"):
        return np.where(worst > 0, 1.0 / worst, np.inf)


def _highest(bearable: Array, alpha: float) -> Array:
    """Highest leverage at which at most a share `alpha` of the paths is liquidated."""
    allowed = int(np.floor(alpha * len(bearable) + 1e-9))
    ordered = np.sort(bearable, axis=0)
    return ordered[allowed - 1] if allowed else np.nextafter(ordered[0], 0.0)


def _dataset(
    paths: xr.Dataset, levels: Array, bearable: Array, at: Array, alpha: float
) -> xr.Dataset:
    count = bearable.shape[0] * bearable.shape[1]
    gone = (bearable[..., None] <= levels).mean((0, 1))
    # A path that bears L* needs 1/L* of margin: what 1/L falls short of that is called on the way.
    call = np.maximum(1.0 / bearable[..., None] - 1.0 / levels, 0.0)
    top_up = np.moveaxis(np.quantile(call, QUANTILES, axis=(0, 1)), 0, -1)
    most = _highest(bearable.reshape(count, -1), alpha)
    own, both = ("contract",), ("contract", "leverage")
    said = {
        "bearable": ((*SAMPLE, *own), bearable, "leverage at which a path is just liquidated"),
        "liquidation": (both, gone, "P(liquidation before the exit)"),
        "liquidation_error": (both, np.sqrt(gone * (1 - gone) / count), "its Monte Carlo error"),
        "liquidation_price": (both, at, "liquidation price"),
        "initial": (("leverage",), 1.0 / levels, "initial margin over the position"),
        "top_up": ((*both, "quantile"), top_up, "margin called on the way over the position"),
        "max_leverage": (own, most, f"highest leverage with P(liquidation) up to {alpha:g}"),
    }
    coords: dict[str, Any] = {name: paths[name].values for name in (*SAMPLE, "contract")}
    coords |= {"leverage": levels, "quantile": list(QUANTILES)}
    units = {"liquidation_price": "quote currency"}
    return xr.Dataset(
        {
            name: (dims, value, {"long_name": text, "units": units.get(name, "1")})
            for name, (dims, value, text) in said.items()
        },
        coords,
        {"alpha": alpha},
    )
