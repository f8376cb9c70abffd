"""Cash and carry: what holding spot against a future earns, path by path."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.trade.costs import Costs
from bayesbasis.trade.exits import (
    PATH,
    SAMPLE,
    Exit,
    exit_steps,
    exit_words,
    last_steps,
    perpetuals,
    years_left,
)

Array = NDArray[Any]

_YEAR = np.timedelta64(365, "D")
COMPONENTS = ("convergence", "carry", "funding", "financing", "fees")
DIRECTIONS = {"cash-and-carry": 1, "reverse": -1}


def cash_and_carry(
    paths: xr.Dataset,
    direction: Literal["cash-and-carry", "reverse"] = "cash-and-carry",
    *,
    exit: Exit = "expiry",
    costs: Costs = Costs(),  # noqa: B008 (a frozen value)
    kind: Literal["linear", "inverse"] = "linear",
    notional: float = 1.0,
    unit: Literal["coin", "quote"] = "coin",
    margin: float = 0.1,
    entry: float | None = None,
    contracts: Sequence[str] | None = None,
) -> xr.Dataset:
    r"""Buy spot and sell the future now, or the reverse, and close both at the exit.

    Per unit of spot bought at ``S0``, with ``g = S_t/S0`` and log basis ``b``, before costs:

    .. math::

        \text{linear:}\ (e^{b_0} - 1) - g\,(e^{b_t} - 1), \qquad
        \text{inverse:}\ e^{b_0 - b_t} - 1

    An inverse future pays ``N (1/F_t - 1/F_0)`` in coin to whoever sold ``N`` of quote currency;
    ``N`` is the coin's value at the futures price, so spot is hedged out. A perpetual pays
    **funding** into every step that `with_funding` has given it. The same formula at the
    fair basis ``θ`` is what **carry** earned; the rest is **convergence** of the deviation. The
    reverse trade earns the opposite, and pays to borrow.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`, with ``spot``.
    direction : {"cash-and-carry", "reverse"}
        Long spot and short the future, or the reverse.
    exit : str, datetime, timedelta or When
        ``"expiry"``, an instant (UTC), a time from now such as ``"14D"``, or a rule. Trades end at
        expiry at the latest; an instant between steps is the next step.
    costs : Costs
        Fees, slippage and what holding costs.
    kind : {"linear", "inverse"}
        Whether the future is settled in quote currency or in coin.
    notional : float
        Size of each trade.
    unit : {"coin", "quote"}
        What `notional` counts: coins, or quote currency of spot at entry.
    margin : float
        Initial margin of the future, a fraction of the spot bought; for returns on margin. Of an
        inverse future the coin is the margin: no capital is needed beside it.
    entry : float, optional
        Log basis at which the trade was put on; by default the basis of the paths at the origin.
    contracts : sequence of str, optional
        Contracts to trade; by default all, one trade each.

    Returns
    -------
    xarray.Dataset
        In quote currency, dims chain, draw, trade: ``pnl`` and its ``attribution`` (component):
        convergence, carry, funding, financing and fees, signed so that they add up to it.
        ``equity`` (step): profit so far, closed at the exit and still after it. ``holding`` (days),
        ``regime`` at entry, ``slope``, the profit for a unit more of entry price over spot. Coords
        by trade: ``contract``, ``underlying``, ``direction``, ``notional``, ``margin``,
        ``capital`` (quote currency) and ``entry`` (log basis, mean over draws).

    Raises
    ------
    ValueError
        If the paths have no spot, end before the exit, or a word is not known.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> trades = bb.cash_and_carry(paths, exit=bb.When(deviation=5e-4))  # doctest: +SKIP
    """
    _require(paths, direction, kind, unit, notional)
    paths = paths if contracts is None else paths.sel(contract=list(contracts))
    sign = DIRECTIONS[direction]
    basis, fair, growth = _basis(paths, entry), fair_basis(paths), _growth(paths)
    last = last_steps(paths)
    end = exit_steps(paths, exit, sign)
    elapsed = _elapsed(paths)
    flows = {"carry": _gross(fair, fair, growth, kind)}
    flows["convergence"] = _gross(basis, basis, growth, kind) - flows["carry"]
    flows["funding"] = _funding(paths, basis, growth, kind)
    flows = {name: sign * value for name, value in flows.items()}
    flows["financing"] = -costs.holding(sign) * np.broadcast_to(elapsed, basis.shape)
    opening = costs.leg("spot") + costs.leg("futures") * np.exp(basis[..., :1])
    settled = (np.arange(basis.shape[-1]) == last[:, None]) & (years_left(paths) == 0)
    rate = np.where(settled, costs.settlement(), costs.leg("futures"))
    closing = growth * (costs.leg("spot") + rate * np.exp(basis))
    flows["fees"] = -(opening + closing)
    spot = paths["spot"].transpose(*PATH).values[..., :1]
    size = notional * (spot if unit == "coin" else np.ones_like(spot))
    at_exit = {name: _take(size * flows[name], end) for name in COMPONENTS}
    net = _profit(basis, growth, flows, sign, kind) * size
    equity = _held(net, size * closing, end)
    slope = sign * (np.exp(-_take(basis, end)) if kind == "inverse" else 1) - costs.leg("futures")
    arrays = {
        "pnl": _take(net, end),
        "attribution": np.stack(list(at_exit.values()), axis=-1),
        "equity": equity,
        "holding": 365.0 * _take(np.broadcast_to(elapsed, basis.shape), end),
        "regime": paths["regime"].transpose(*PATH).values[..., 0],
        "slope": np.broadcast_to(slope * size[..., 0], end.shape),
    }
    capital = {"linear": 1.0 + margin, "inverse": 1.0}[kind]
    stakes = {
        "notional": size[..., 0].mean((0, 1)),
        "margin": size[..., 0].mean((0, 1)) * (margin if kind == "linear" else 1.0),
        "capital": size[..., 0].mean((0, 1)) * capital,
        "entry": basis[..., 0].mean((0, 1)),
    }
    return _dataset(paths, f"{direction}{exit_words(exit)}", direction, arrays, stakes)


def fair_basis(paths: xr.Dataset) -> Array:
    """Equilibrium of the log basis along the paths, shape (chain, draw, contract, step)."""
    if "equilibrium" in paths:
        return paths["equilibrium"].transpose(*PATH).values
    return paths["carry"].transpose(*SAMPLE, "contract").values[..., None] * years_left(paths)


def _require(paths: xr.Dataset, direction: str, kind: str, unit: str, notional: float) -> None:
    if perpetuals(paths).any() and "funding" not in paths:
        raise ValueError(
            "a perpetual earns funding, and the paths have none: add it with "
            "bayesbasis.with_funding(paths, 'binance'), or another venue or forecast; in a file of "
            "trades say funding = 'binance', or give the report --funding"
        )
    if "spot" not in paths:
        raise ValueError(
            "the paths have no spot, and a trade needs it: take them from "
            "bayesbasis.forecast(fit, spot=True)"
        )
    for name, word, allowed in (
        ("direction", direction, tuple(DIRECTIONS)),
        ("kind", kind, ("linear", "inverse")),
        ("unit", unit, ("coin", "quote")),
    ):
        if word not in allowed:
            raise ValueError(f"{name} is {word!r}; choose {' or '.join(map(repr, allowed))}")
    if not notional > 0:
        raise ValueError(f"notional is {notional:g}; give a positive size and choose the direction")


def _elapsed(paths: xr.Dataset) -> Array:
    """Years since the origin, shape (contract, step)."""
    tau, time = years_left(paths), paths["time"].transpose("contract", "step").values
    return np.where(perpetuals(paths)[:, None], (time - time[:, :1]) / _YEAR, tau[:, :1] - tau)


def _basis(paths: xr.Dataset, entry: float | None) -> Array:
    basis = paths["basis"].transpose(*PATH).values
    if entry is None:
        return basis
    basis = basis.copy()
    basis[..., 0] = entry
    return basis


def _growth(paths: xr.Dataset) -> Array:
    spot = paths["spot"].transpose(*PATH).values
    return spot / spot[..., :1]


def _gross(start: Array, path: Array, growth: Array, kind: str) -> Array:
    """Earn a cash and carry before costs, per unit of spot at entry."""
    if kind == "inverse":
        return np.expm1(start[..., :1] - path)
    return np.expm1(start[..., :1]) - growth * np.expm1(path)


def _funding(paths: xr.Dataset, basis: Array, growth: Array, kind: str) -> Array:
    """Funding received so far by whoever is short, per unit of spot at entry.

    It is paid on what the position is worth: the futures price, or, of an inverse contract, coin
    for a fixed sum of quote currency, sold when it comes.
    """
    if "funding" not in paths:
        return np.zeros_like(growth)
    worth = np.exp(basis[..., :1] - basis) if kind == "inverse" else growth * np.exp(basis)
    return np.cumsum(paths["funding"].transpose(*PATH).values * worth, axis=-1)


def _profit(basis: Array, growth: Array, flows: dict[str, Array], sign: int, kind: str) -> Array:
    """Net profit were the trade closed at every step; not by way of its attribution."""
    gross = sign * _gross(basis, basis, growth, kind)
    return gross + flows["funding"] + flows["financing"] + flows["fees"]


def _take(values: Array, end: Array) -> Array:
    return np.take_along_axis(values, end[..., None], axis=-1)[..., 0]


def _held(net: Array, closing: Array, end: Array) -> Array:
    """Profit so far: nothing is paid for closing before the exit, nothing moves after it."""
    step = np.arange(net.shape[-1])
    done = step >= end[..., None]
    return np.where(done, _take(net, end)[..., None], net + closing)


def _dataset(
    paths: xr.Dataset,
    words: str,
    direction: str,
    arrays: dict[str, Array],
    stakes: dict[str, Array],
) -> xr.Dataset:
    said = {
        "pnl": ((), "profit and loss", "quote currency"),
        "attribution": (("component",), "contribution to profit and loss", "quote currency"),
        "equity": (("step",), "profit so far", "quote currency"),
        "holding": ((), "holding time", "day"),
        "regime": ((), "volatility regime at entry", "1"),
        "slope": ((), "profit for a unit more of entry price over spot", "quote currency"),
    }
    names = paths["contract"].values.astype(str)
    coords: dict[str, Any] = {
        "trade": [f"{name} {words}" for name in names],
        "component": list(COMPONENTS),
        "step": paths["step"].values,
        "contract": ("trade", names),
        "underlying": ("trade", paths["underlying"].values.astype(str)),
        "direction": ("trade", np.full(len(names), direction)),
        "time": (("trade", "step"), paths["time"].transpose("contract", "step").values),
    }
    coords |= {dim: paths[dim].values for dim in SAMPLE}
    coords |= {
        name: ("trade", value, {"units": "1" if name == "entry" else "quote currency"})
        for name, value in stakes.items()
    }
    variables = {
        name: ((*SAMPLE, "trade", *own), arrays[name], {"long_name": text, "units": units})
        for name, (own, text, units) in said.items()
    }
    kept = ("origin", "card_name", "data_hash", "seed")
    return xr.Dataset(variables, coords, {k: paths.attrs[k] for k in kept if k in paths.attrs})
