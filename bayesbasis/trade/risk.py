"""Risk: how much a book of trades may lose, how long, in which regime, and through which trade."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.trade.exits import SAMPLE

Array = NDArray[Any]

BOOK = "book"


def risk_table(
    trades: xr.Dataset,
    level: float = 0.99,
    *,
    scenarios: Mapping[str, xr.Dataset] | None = None,
) -> xr.Dataset:
    r"""Measure the risk of trades, and of the book that they make together.

    With the ``k = ⌈n(1 - level)⌉`` worst of ``n`` paths, value at risk is the least loss among them
    and expected shortfall their mean. Shortfall is split over the trades of the book by what each
    lost on the same paths, and the parts add up to it:

    .. math:: ES = \frac1k \sum_{j \in \text{worst}} -X_j, \qquad
              ES_i = \frac1k \sum_{j \in \text{worst}} -X_{ij}

    Parameters
    ----------
    trades : xarray.Dataset
        From `cash_and_carry` or `book`; trades of one book share paths, shocks and regimes.
    level : float
        Probability of the measures, such as 0.99.
    scenarios : mapping, optional
        The same trades on stressed paths or at stressed costs, by name.

    Returns
    -------
    xarray.Dataset
        Dim trade, the book last; losses are positive, in quote currency. ``value_at_risk`` and
        ``expected_shortfall``, with Monte Carlo errors ``*_error``; ``contribution`` to the book's
        shortfall; ``drawdown``, mean and at the level (measure); ``under_water``, expected days
        below the highest equity so far; ``shortfall_by_regime`` (regime), given the regime at
        entry. ``scenario_pnl``, ``scenario_value_at_risk``, ``scenario_shortfall`` and
        ``scenario_drawdown`` (mean), where there are scenarios (scenario). ``parameter_share`` and
        its ``parameter_share_error``, the part of the variance of P&L that comes from not knowing
        the parameters, where every draw has several paths: ``forecast(fit, repeats=...)``.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1, leaves less than one path, or a scenario has other
        trades.

    References
    ----------
    Tasche (2002), doi 10.1016/S0378-4266(02)00268-4 (contributions); Manistre & Hancock (2005),
    doi 10.1080/10920277.2005.10596207 (errors).

    Examples
    --------
    >>> import bayesbasis as bb
    >>> table = bb.risk_table(bb.cash_and_carry(paths), level=0.99)  # doctest: +SKIP
    """
    loss = with_book(-flat(trades, "pnl"))
    worst = _worst(loss, level)
    risk, shortfall = losses(loss, level)
    regimes = np.arange(1, int(trades["regime"].max()) + 1)
    drops, wet = _drawdowns(trades)
    arrays: dict[str, tuple[tuple[str, ...], Array]] = {
        "value_at_risk": (("trade",), risk),
        "value_at_risk_error": (("trade",), _quantile_error(loss, level)),
        "expected_shortfall": (("trade",), shortfall),
        "expected_shortfall_error": (("trade",), _shortfall_error(loss, level)),
        "contribution": (("trade",), loss[worst[:, -1]].mean(0)),
        "drawdown": (("measure", "trade"), drops_at(drops, level)),
        "under_water": (("trade",), wet.mean(0)),
        "shortfall_by_regime": (("regime", "trade"), _by_regime(trades, loss, regimes, level)),
    }
    names = [*trades["trade"].values.tolist(), BOOK]
    coords: dict[str, Any] = {"trade": names, "regime": regimes, "measure": ["mean", "level"]}
    repeats = np.unique(draw_labels(trades), return_counts=True)[1].min()
    if repeats > 1:
        share, error = parameter_share(loss, draw_labels(trades))
        arrays |= {"parameter_share": (("trade",), share)}
        arrays |= {"parameter_share_error": (("trade",), error)}
    if scenarios:
        arrays |= _scenarios(trades, scenarios, level)
        coords["scenario"] = list(scenarios)
    return _dataset(arrays, coords, level)


def with_book(values: Array) -> Array:
    """Put the sum over trades after them, along the second axis."""
    return np.concatenate([values, values.sum(1, keepdims=True)], axis=1)


def losses(loss: Array, level: float) -> tuple[Array, Array]:
    """Value at risk and expected shortfall.

    Parameters
    ----------
    loss : ndarray, shape (path, trade)
        Losses, positive where money is lost.
    level : float
        Probability.

    Returns
    -------
    value_at_risk, expected_shortfall : ndarray, shape (trade,)
    """
    tail = np.take_along_axis(loss, _worst(loss, level), axis=0)
    return tail.min(0), tail.mean(0)


def parameter_share(values: Array, label: Array) -> tuple[Array, Array]:
    r"""Part of the variance that lies between posterior draws, and its standard error.

    .. math:: \hat ρ = \frac{MS_b - MS_w}{MS_b + (R - 1) MS_w}

    the intraclass correlation of ``R`` paths a draw: paths of one draw share its parameters and
    nothing else.

    Parameters
    ----------
    values : ndarray, shape (path, trade)
    label : ndarray of int, shape (path,)
        Draw of every path; each draw has the same number.

    References
    ----------
    Fisher (1925), Statistical Methods for Research Workers, VII; Donner & Koval (1980),
    doi 10.2307/2530234.
    """
    draws = np.unique(label)
    grouped = np.stack([values[label == draw] for draw in draws])
    count, repeats = grouped.shape[:2]
    between = repeats * grouped.mean(1).var(0, ddof=1)
    within = grouped.var(1, ddof=1).mean(0)
    share = (between - within) / (between + (repeats - 1) * within)
    error = (1 - share) * (1 + (repeats - 1) * share)
    return np.clip(share, 0.0, 1.0), error * np.sqrt(2 / (repeats * (repeats - 1) * (count - 1)))


def drops_at(drops: Array, level: float) -> Array:
    """Mean drawdown, and the one that is not exceeded at the level; shape (2, trade)."""
    return np.stack([drops.mean(0), np.quantile(drops, level, axis=0)])


def flat(trades: xr.Dataset, name: str) -> Array:
    """Lay the paths of a variable out in one axis, shape (path, trade, ...)."""
    rest = [dim for dim in trades[name].dims if dim not in (*SAMPLE, "trade")]
    array = trades[name].transpose(*SAMPLE, "trade", *rest).values
    return array.reshape(-1, *array.shape[2:])


def draw_labels(trades: xr.Dataset) -> Array:
    """Number the posterior draw of every path, shape (path,)."""
    draw = np.unique(trades["draw"].values, return_inverse=True)[1]
    chain = np.arange(trades.sizes["chain"])[:, None] * (draw.max() + 1)
    return (chain + draw).ravel()


def _worst(loss: Array, level: float) -> Array:
    """Positions of the worst paths of every trade, shape (k, trade)."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level:g}; a probability lies between 0 and 1, such as 0.99")
    # A hair less, so that 1 - 0.99 of 1,000 paths are ten.
    count = int(np.ceil(len(loss) * (1 - level) - 1e-9))
    if len(loss) * (1 - level) < 1 - 1e-9:
        raise ValueError(
            f"{len(loss)} paths say nothing of a loss in {1 / (1 - level):.0f}: "
            "forecast more draws, or lower the level"
        )
    return np.argsort(-loss, axis=0, kind="stable")[:count]


def _quantile_error(loss: Array, level: float) -> Array:
    """Half the distance between order statistics one standard deviation either side."""
    count = len(loss)
    width = np.sqrt(level * (1 - level) / count)
    ends = np.clip([level - width, level + width], 0, 1)
    low, high = np.quantile(loss, ends, axis=0)
    return 0.5 * (high - low)


def _shortfall_error(loss: Array, level: float) -> Array:
    tail = np.take_along_axis(loss, _worst(loss, level), axis=0)
    gap = tail.mean(0) - tail.min(0)
    return np.sqrt((tail.var(0) + level * gap**2) / len(tail))


def _by_regime(trades: xr.Dataset, loss: Array, regimes: Array, level: float) -> Array:
    """Shortfall on the paths that start in each regime; missing where they are too few."""
    start = flat(trades, "regime")
    # A book starts where all its trades do, and is left out of regimes that they do not share.
    same = (start == start[:, :1]).all(1)
    start = np.concatenate([start, np.where(same, start[:, 0], 0)[:, None]], axis=1)
    found = np.full((len(regimes), loss.shape[1]), np.nan)
    for row, regime in enumerate(regimes):
        for trade in range(loss.shape[1]):
            mine = loss[start[:, trade] == regime, trade]
            if len(mine) * (1 - level) >= 1 - 1e-9:
                found[row, trade] = losses(mine[:, None], level)[1][0]
    return found


def _drawdowns(trades: xr.Dataset) -> tuple[Array, Array]:
    """Largest fall from the highest equity so far, and days spent below it; (path, trade)."""
    equity = np.moveaxis(flat(trades, "equity"), 1, -1)
    equity = np.moveaxis(with_book(np.moveaxis(equity, -1, 1)), 1, -1)
    # Whoever has not traded yet has nothing.
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 0.0)
    below = peak - equity
    days = _days(trades)
    # Of every trade until its exit; of the book until its last trade's.
    held = np.concatenate([h := flat(trades, "holding"), h.max(1, keepdims=True)], axis=1)
    open_ = np.cumsum(days)[:, None] <= held[:, None, :] + 1e-6
    wet = ((below > 0) & open_)[:, :, :] * days[:, None]
    return below.max(1), wet.sum(1)


def _days(trades: xr.Dataset) -> Array:
    """Days that pass into every step, from the trade that lasts longest; zero into the first."""
    time = trades["time"].transpose("trade", "step").values
    longest = time[np.argmax((~np.isnat(time)).sum(1))]
    gaps = np.diff(longest) / np.timedelta64(1, "D")
    return np.concatenate([[0.0], np.nan_to_num(gaps)])


def _scenarios(
    trades: xr.Dataset, scenarios: Mapping[str, xr.Dataset], level: float
) -> dict[str, tuple[tuple[str, ...], Array]]:
    mean, risk, shortfall, drops = [], [], [], []
    for name, stressed in scenarios.items():
        if stressed["trade"].values.tolist() != trades["trade"].values.tolist():
            raise ValueError(f"scenario {name!r} has other trades: put the same on stressed paths")
        loss = with_book(-flat(stressed, "pnl"))
        both = losses(loss, level)
        mean.append(-loss.mean(0))
        risk.append(both[0])
        shortfall.append(both[1])
        drops.append(_drawdowns(stressed)[0].mean(0))
    dims = ("scenario", "trade")
    return {
        "scenario_pnl": (dims, np.stack(mean)),
        "scenario_value_at_risk": (dims, np.stack(risk)),
        "scenario_shortfall": (dims, np.stack(shortfall)),
        "scenario_drawdown": (dims, np.stack(drops)),
    }


def _dataset(
    arrays: dict[str, tuple[tuple[str, ...], Array]], coords: dict[str, Any], level: float
) -> xr.Dataset:
    said = {
        "value_at_risk": "loss that is not exceeded at the level",
        "expected_shortfall": "mean loss beyond value at risk",
        "contribution": "part of the book's expected shortfall",
        "drawdown": "largest fall from the highest equity so far",
        "under_water": "days below the highest equity so far",
        "shortfall_by_regime": "expected shortfall by the regime at entry",
        "parameter_share": "part of the variance from not knowing the parameters",
        "scenario_pnl": "mean profit in a scenario",
        "scenario_value_at_risk": "value at risk in a scenario",
        "scenario_shortfall": "expected shortfall in a scenario",
        "scenario_drawdown": "mean drawdown in a scenario",
    }
    units = {"under_water": "day", "parameter_share": "1"}
    variables = {}
    for name, (dims, value) in arrays.items():
        base = name.removesuffix("_error")
        text = said[base] if base == name else f"standard error: {said[base]}"
        attrs = {"long_name": text, "units": units.get(base, "quote currency")}
        variables[name] = (dims, value, attrs)
    return xr.Dataset(variables, coords, {"level": level})
