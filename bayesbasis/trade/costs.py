"""What a trade costs."""

from dataclasses import dataclass
from typing import Literal

BASIS_POINT = 1e-4


@dataclass(frozen=True)
class Fee:
    """Fee of one leg, in basis points of what is traded.

    Parameters
    ----------
    maker, taker : float
        For orders that wait in the book, and for those that take from it.
    """

    maker: float
    taker: float


@dataclass(frozen=True)
class Costs:
    """Costs of a trade in spot and a future.

    Parameters
    ----------
    fee_bp : float
        Fee of each leg, each way, where the leg has none of its own; basis points.
    spot, futures : Fee, optional
        Fees of either leg.
    liquidity : {"taker", "maker"}
        Which of them is paid.
    settlement_bp : float, optional
        Fee of the future where it is held to settlement; by default that of a trade.
    slippage_bp : float
        What every trade of a leg loses beside its fee; nothing is lost at settlement.
    financing, storage : float
        Paid on the spot held, per year and simple: 0.05 is 5 % a year.
    borrow : float
        Paid on the spot sold short, per year and simple.

    Examples
    --------
    >>> costs = Costs(spot=Fee(10, 10), futures=Fee(2, 5), financing=0.05)
    >>> costs.leg("futures"), costs.leg("spot")
    (0.0005, 0.001)
    """

    fee_bp: float = 5.0
    spot: Fee | None = None
    futures: Fee | None = None
    liquidity: Literal["taker", "maker"] = "taker"
    settlement_bp: float | None = None
    slippage_bp: float = 0.0
    financing: float = 0.0
    storage: float = 0.0
    borrow: float = 0.0

    def __post_init__(self) -> None:
        if self.liquidity not in ("taker", "maker"):
            raise ValueError(f"liquidity is {self.liquidity!r}; choose 'taker' or 'maker'")
        if self.slippage_bp < 0:
            raise ValueError(f"slippage_bp is {self.slippage_bp:g}; nobody gains by slipping")

    def leg(self, name: Literal["spot", "futures"]) -> float:
        """Fee and slippage of one trade of a leg, as a fraction of what is traded."""
        own = self.spot if name == "spot" else self.futures
        fee = self.fee_bp if own is None else getattr(own, self.liquidity)
        return BASIS_POINT * (fee + self.slippage_bp)

    def settlement(self) -> float:
        """Fee of the future at settlement, as a fraction."""
        if self.settlement_bp is None:
            return self.leg("futures") - BASIS_POINT * self.slippage_bp
        return BASIS_POINT * self.settlement_bp

    def holding(self, direction: int) -> float:
        """Cost of a year in the spot leg, as a fraction of it: long (1) or short (-1)."""
        return self.financing + self.storage if direction > 0 else self.borrow
