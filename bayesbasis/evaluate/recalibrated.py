"""A model whose bands its own hindcasts correct, for backtests."""

from dataclasses import dataclass

from bayesbasis.model.spec import Spec


@dataclass(frozen=True)
class Recalibrated:
    """A model whose bands are made as wide as its hindcasts at every fit say.

    Parameters
    ----------
    spec : Spec
        The model.

    Examples
    --------
    >>> import bayesbasis as bb
    >>> bb.Recalibrated(bb.load_card("ou")).name
    'ou, recalibrated'
    """

    spec: Spec

    @property
    def name(self) -> str:
        """Name of the card, and what was done to it."""
        return f"{self.spec.name}, recalibrated"
