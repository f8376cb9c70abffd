"""Bayesian convergence bands for the futures basis, from prices to the posterior predictive.

Names load on first use: ``import bayesbasis`` reaches neither PyMC nor numba.
"""

import sys
from types import ModuleType

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


class _Package(ModuleType):
    """A package whose verbs keep their names.

    Whoever imports the room ``bayesbasis.forecast`` makes Python bind it as an attribute here,
    which would hide the verb :func:`bayesbasis.forecast` from then on.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
