"""The past of a curve, as baselines read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.data.panel import countdown, families
from bayesbasis.process.quadrature import ENDLESS

Array = NDArray[Any]

_DAY = 1.0 / 365.0
# Moves that began within so many days of the time to expiry count as moves at the same time.
_NEARBY = 10 * _DAY
_FEWEST = 20


@dataclass(frozen=True)
class History:
    """Known quotes of one underlying, contract by contract.

    Parameters
    ----------
    contracts : tuple of int
        Positions in the panel.
    time, tau, basis : tuple of ndarray, shape (quote,)
        Times, times to expiry, decreasing, in years (of perpetuals, their countdown), and log
        basis, of each contract.
    rhythm : float
        Median time between quotes, years.
    """

    contracts: tuple[int, ...]
    time: tuple[Array, ...]
    tau: tuple[Array, ...]
    basis: tuple[Array, ...]
    rhythm: float

    def pairs(self) -> tuple[Array, Array, Array, Array]:
        """Consecutive quotes of one contract: basis before and after, times to expiry likewise.

        In order of calendar time, then of time to expiry.
        """
        pieces = [
            np.stack([basis[:-1], basis[1:], tau[:-1], tau[1:]])
            for tau, basis in zip(self.tau, self.basis, strict=True)
        ]
        joined = np.concatenate(pieces, axis=1)
        if not joined.size:
            raise ValueError("no contract has a second quote, so there is no move to learn from")
        moment = np.concatenate([time[1:] for time in self.time])
        start, end, before, after = joined[:, np.lexsort((joined[3], moment))]
        return start, end, before, after

    def front(self) -> tuple[Array, Array, Array, Array]:
        """Pairs of the contract nearest to expiry at each time."""
        moment = np.sort(np.concatenate([time[1:] for time in self.time]))
        first = np.diff(moment.astype(np.int64), prepend=-1) != 0
        start, end, before, after = (x[first] for x in self.pairs())
        return start, end, before, after


def histories(known: xr.Dataset) -> dict[str, History]:
    """Cut a panel into the histories of its underlyings, those of perpetuals apart."""
    index, basis, time = (known[name].values for name in ("contract_index", "basis", "time"))
    tau = countdown(known["expiry"].values[index], time)
    owner = families(known)
    result = {}
    for name in np.unique(owner):
        contracts = tuple(int(c) for c in np.flatnonzero(owner == name))
        left = tuple(tau[index == c] for c in contracts)
        gaps = np.concatenate([-np.diff(x) for x in left])
        rhythm = float(np.median(gaps)) if gaps.size else _DAY
        quoted = tuple(basis[index == c] for c in contracts)
        stamps = tuple(time[index == c] for c in contracts)
        result[str(name)] = History(contracts, stamps, left, quoted, rhythm)
    return result


@dataclass(frozen=True)
class Past:
    """What is known of one contract: its own quotes and the history of its underlying.

    Parameters
    ----------
    history : History
        Of its underlying.
    contract : int
        Its position in the panel.
    """

    history: History
    contract: int

    @property
    def own(self) -> tuple[Array, Array]:
        """Time to expiry and basis of its quotes."""
        row = self.history.contracts.index(self.contract)
        return self.history.tau[row], self.history.basis[row]

    @property
    def tau(self) -> float:
        """Time to expiry at its last quote, years."""
        return float(self.own[0][-1])

    @property
    def basis(self) -> float:
        """Its last quote."""
        return float(self.own[1][-1])

    def analogues(
        self, tau: Array, nearby: float | None = _NEARBY
    ) -> Iterator[tuple[Array, Array, Array, Array]]:
        """Yield, for each time to expiry ahead, past moves of the same length that began nearby.

        Parameters
        ----------
        tau : ndarray, shape (step,)
            Times to expiry to move to, years.
        nearby : float or None
            How far from the same time to expiry they may have begun, years; anywhere if None, and
            where fewer than 20 such moves are known.

        Yields
        ------
        start, end, tau_start, tau_end : ndarray, shape (move,)
            Basis and time to expiry before and after, in order of contracts and time.

        Raises
        ------
        ValueError
            If no contract has been known for so long.
        """
        for end in tau:
            length = self.tau - end
            moves = self._moves(length)
            if nearby is not None and self.tau < ENDLESS:
                close = abs(moves[2] - self.tau) <= nearby
                moves = moves[:, close] if close.sum() >= _FEWEST else moves
            if not moves.size:
                raise ValueError(
                    f"no contract has been quoted for {length / _DAY:.0f} days before the origin: "
                    "there is no such move to learn from; take a later origin or a shorter horizon"
                )
            start, ending, before, after = moves
            yield start, ending, before, after

    def _moves(self, length: float) -> Array:
        """All known moves over a length of time, shape (4, move)."""
        found = []
        for left, basis in zip(self.history.tau, self.history.basis, strict=True):
            # Quotes run from long to short times to expiry; the nearest to each target counts.
            ascending = -left
            at = np.searchsorted(ascending, ascending + length - 0.5 * self.history.rhythm)
            start = np.flatnonzero(at < len(left))
            end = at[start]
            hit = abs(left[start] - length - left[end]) <= 0.5 * self.history.rhythm * (1 + 1e-9)
            start, end = start[hit], end[hit]
            found.append(np.stack([basis[start], basis[end], left[start], left[end]]))
        return np.concatenate(found, axis=1)
