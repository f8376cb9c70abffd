"""Orders: the trades of a book as a TOML file that people read and edit."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from bayesbasis.data.panel import is_perpetual
from bayesbasis.trade.book import book
from bayesbasis.trade.carry import cash_and_carry
from bayesbasis.trade.costs import BASIS_POINT, Costs, Fee
from bayesbasis.trade.exits import When, perpetuals
from bayesbasis.trade.perpetual import with_funding

DAY_WORDS = "deviation_bp"
# How far to look where nothing expires.
ENDLESS_HORIZON = "30D"


@dataclass(frozen=True)
class Order:
    """One trade, or one in every live contract.

    Parameters
    ----------
    contract : str, optional
        By default every live contract; perpetuals only if the exit is not their expiry.
    direction, kind, unit : str
        As in `cash_and_carry`.
    exit : str or When
        ``"expiry"``, an instant, a time such as ``"14D"``, or ``{ deviation_bp = 5 }``.
    notional, margin : float
        As in `cash_and_carry`.
    """

    contract: str | None = None
    direction: Literal["cash-and-carry", "reverse"] = "cash-and-carry"
    exit: str | When = "expiry"
    kind: Literal["linear", "inverse"] = "linear"
    notional: float = 1.0
    unit: Literal["coin", "quote"] = "coin"
    margin: float = 0.1


@dataclass(frozen=True)
class Orders:
    """A book to put on, and how to look at it.

    Parameters
    ----------
    trades : tuple of Order
        By default a cash and carry in every live contract.
    costs : Costs
        Costs of all of them.
    level : float
        Probability of the risk measures.
    within_bp : float
        Deviation that counts as converged, bp.
    maintenance : float
        Maintenance margin of the futures.
    alpha : float
        Probability of liquidation that is borne.
    shock_bp : float
        Size of the shock to the basis in stress, bp.
    widening : float
        Rise of financing in stress, per year.
    funding : str, optional
        Venue, such as ``"deribit"``, whose rule pays funding on perpetuals.
    horizon : str, optional
        How far to look ahead, such as ``"30D"``; by default to the last expiry, and 30 days where
        all are perpetuals.
    """

    trades: tuple[Order, ...] = (Order(),)
    costs: Costs = field(default_factory=Costs)
    level: float = 0.99
    within_bp: float = 5.0
    maintenance: float = 0.005
    alpha: float = 0.01
    shock_bp: float = 50.0
    widening: float = 0.05
    funding: str | None = None
    horizon: str | None = None


def suit(orders: Orders, known: xr.Dataset) -> Orders:
    """Look 30 days ahead, where nothing else is said, if all live contracts are perpetuals.

    Trades that name neither a contract nor an exit are then held for as long as that.

    Parameters
    ----------
    orders : Orders
        The book.
    known : xarray.Dataset
        Live contracts of a panel.
    """
    if not is_perpetual(known).all():
        return orders
    horizon = orders.horizon or ENDLESS_HORIZON
    trades = tuple(
        replace(one, exit=horizon) if one == replace(one, contract=None, exit="expiry") else one
        for one in orders.trades
    )
    return replace(orders, horizon=horizon, trades=trades)


def read_orders(path: str | PathLike[str]) -> Orders:
    """Read the trades of a report.

    Parameters
    ----------
    path : str or path-like
        TOML: the fields of `Orders`, a table ``costs`` (with ``spot`` and ``futures`` as
        ``{ maker = 2, taker = 5 }``, bp) and an array ``trade`` of tables with those of `Order`.

    Returns
    -------
    Orders

    Raises
    ------
    ValueError
        If it is not TOML, or a key is not known.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no trades at {file}: write a TOML file with a [[trade]] or two")
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is not TOML: {error}") from error
    trades = raw.pop("trade", [])
    costs = dict(raw.pop("costs", {}))
    costs |= {
        leg: Fee(**_known(Fee, costs[leg], f"costs.{leg}", file))
        for leg in ("spot", "futures")
        if leg in costs
    }
    given: dict[str, Any] = dict(_known(Orders, raw, "", file))
    given["costs"] = Costs(**_known(Costs, costs, "costs", file))
    if trades:
        given["trades"] = tuple(_order(one, file) for one in trades)
    return Orders(**given)


def put_on(
    paths: xr.Dataset,
    orders: Orders,
    costs: Costs | None = None,
    *,
    funding: xr.Dataset | None = None,
) -> xr.Dataset:
    """Put all trades on the same paths.

    Parameters
    ----------
    paths : xarray.Dataset
        From `forecast`, with ``spot``.
    orders : Orders
        The book.
    costs : Costs, optional
        Other costs, for stress.
    funding : xarray.Dataset, optional
        From `forecast_funding`: what perpetuals pay, instead of the rule of ``orders.funding``.
        That names the venue then, where contracts have other names in the two.
    """
    if funding is not None and perpetuals(paths).any():
        paths = with_funding(paths, funding, names=names_of(funding, paths, orders.funding))
    elif orders.funding is not None and perpetuals(paths).any():
        paths = with_funding(paths, orders.funding)
    return book(
        *(
            cash_and_carry(
                paths,
                one.direction,
                exit=one.exit,
                costs=orders.costs if costs is None else costs,
                kind=one.kind,
                notional=one.notional,
                unit=one.unit,
                margin=one.margin,
                contracts=traded(paths, one),
            )
            for one in orders.trades
        )
    )


def names_of(funding: xr.Dataset, paths: xr.Dataset, venue: str | None = None) -> dict[str, str]:
    """Name the contract of paths of funding behind each perpetual.

    One of the same name; else the only one of its underlying, on the venue if one is named.

    Parameters
    ----------
    funding : xarray.Dataset
        From `forecast_funding`.
    paths : xarray.Dataset
        From `forecast`, or bands of it.
    venue : str, optional
        Venue that pays.
    """
    there = funding["contract"].values.astype(str)
    owner, place = (funding[key].values.astype(str) for key in ("underlying", "venue"))
    suited = np.full(there.shape, True) if venue is None else place == venue
    found = {}
    for row in np.flatnonzero(perpetuals(paths)):
        name = str(paths["contract"].values[row])
        alike = there[suited & (owner == str(paths["underlying"].values[row]))]
        if name in there:
            found[name] = name
        elif len(alike) == 1:
            found[name] = str(alike[0])
    return found


def traded(paths: xr.Dataset, order: Order) -> list[str]:
    """Contracts that an order is for.

    Raises
    ------
    ValueError
        If it names one that is not live, or none is left.
    """
    names = paths["contract"].values.astype(str)
    if order.contract is not None:
        if order.contract not in names:
            raise ValueError(
                f"{order.contract} is not among the live contracts: {', '.join(names)}"
            )
        return [order.contract]
    suited = names[~perpetuals(paths)] if order.exit == "expiry" else names
    if not suited.size:
        raise ValueError(
            f"only perpetuals are live, and they never expire: {', '.join(names)}. Give a trade an "
            "exit such as '14D'"
        )
    return [str(name) for name in suited]


def _order(raw: Mapping[str, Any], file: Path) -> Order:
    given = dict(_known(Order, raw, "trade", file))
    rule = given.get("exit")
    if isinstance(rule, Mapping):
        if set(rule) != {DAY_WORDS}:
            raise ValueError(f"{file}: an exit rule is {{ {DAY_WORDS} = 5 }}, got {dict(rule)}")
        given["exit"] = When(deviation=BASIS_POINT * float(rule[DAY_WORDS]))
    elif rule is not None:
        given["exit"] = str(rule)
    return Order(**given)


def _known(part: Any, raw: Mapping[str, Any], where: str, file: Path) -> Mapping[str, Any]:
    allowed = [f.name for f in fields(part) if f.name != "trades"]
    for key in raw:
        if key not in allowed:
            place = f"{where}.{key}" if where else key
            raise ValueError(f"{file}: {place} is not known; choose among {', '.join(allowed)}")
    return raw
