"""Equilibrium curves: the basis towards which the market converges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol


class Equilibrium(Protocol):
    """What the rest of the house asks of an equilibrium."""

    name: ClassVar[str]

    def level(self, parameters: Mapping[str, Any], contract: Any, tau: Any) -> Any:
        """Return the fair log basis of every quote."""
        ...


@dataclass(frozen=True)
class CostOfCarry:
    r"""Cost of carry, constant over the life of a contract.

    .. math:: θ = c_j τ, \qquad F^* = S e^{c_j τ}

    where the carry ``c_j`` of contract ``j`` is drawn from those of its underlying and venue.

    References
    ----------
    Brennan & Schwartz (1990), doi 10.1086/296491.

    Examples
    --------
    >>> import numpy as np
    >>> CostOfCarry().level({"carry": np.array([10.0])}, np.array([0]), np.array([0.25]))
    array([0.025])
    """

    name: ClassVar[str] = "cost-of-carry"

    def level(self, parameters: Mapping[str, Any], contract: Any, tau: Any) -> Any:
        """Return the fair log basis.

        Parameters
        ----------
        parameters : mapping
            ``carry``, shape (..., contract), in % a year.
        contract : array of int, shape (n,)
            Contract of every quote.
        tau : array, shape (n,)
            Time to expiry in years.

        Returns
        -------
        array, shape (..., n)
            ``θ``, log units.
        """
        return parameters["carry"][..., contract] * (0.01 * tau)


EQUILIBRIA: dict[str, type[Equilibrium]] = {CostOfCarry.name: CostOfCarry}
