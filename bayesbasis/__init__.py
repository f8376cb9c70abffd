"""Bayesian convergence bands for the futures basis, from prices to the posterior predictive.

Names load on first use: ``import bayesbasis`` reaches neither PyMC nor numba.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
