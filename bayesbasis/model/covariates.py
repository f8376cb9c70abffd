"""Covariates: columns of a panel that drive carry, speed or stays, standardised."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesbasis.model.spec import Spec

Array = NDArray[Any]

ROLES = ("carry", "speed", "stay")


class Clock(NamedTuple):
    """Which generators the regimes follow, where covariates drive their stays.

    Parameters
    ----------
    owner : array of int, shape (row,)
        Chain of parameters of each generator.
    covariates : array, shape (row, covariate)
        Standardised covariates under which it holds.
    """

    owner: Any
    covariates: Any


def columns(spec: Spec) -> dict[str, tuple[str, ...]]:
    """Columns of each role, in order."""
    return {
        "carry": spec.equilibrium.covariates,
        "speed": spec.drivers.speed,
        "stay": spec.drivers.stay,
    }


def standards(panel: xr.Dataset, names: tuple[str, ...]) -> tuple[Array, Array]:
    """Mean and standard deviation of columns over the quotes of a panel, each (covariate,)."""
    values = column_values(panel, names)
    mean, sd = values.mean(0), values.std(0)
    for name, spread in zip(names, sd, strict=True):
        if not spread > 0:
            raise ValueError(
                f"covariate {name!r} is the same in all quotes, so nothing can be learned from it; "
                "leave it out of the card"
            )
    return mean, sd


def standardised(panel: xr.Dataset, fitted: xr.Dataset, names: tuple[str, ...]) -> Array:
    """Columns in standard deviations from the mean of the fitted panel, (obs, covariate)."""
    if not names:
        return np.zeros((panel.sizes["obs"], 0))
    mean, sd = standards(fitted, names)
    return (column_values(panel, names) - mean) / sd


def column_values(panel: xr.Dataset, names: tuple[str, ...]) -> Array:
    """Columns of a panel as they are, shape (obs, column), or an error that says what is missing.

    Raises
    ------
    ValueError
        If a column is not there, or has no value at some quotes.
    """
    known = [str(name) for name, x in panel.data_vars.items() if x.dims == ("obs",)]
    table = np.empty((panel.sizes["obs"], len(names)))
    for position, name in enumerate(names):
        if name not in known:
            raise ValueError(
                f"the card reads column {name!r}, which the panel lacks; it has "
                f"{', '.join(sorted(known))}. Join it: bayesbasis.join_covariates(prices, table)"
            )
        table[:, position] = panel[name].values
        missing = np.isnan(table[:, position])
        if missing.any():
            first = panel["time"].values[missing].min()
            raise ValueError(
                f"covariate {name!r} is missing at {missing.sum()} of {len(missing)} quotes, the "
                f"first at {first:.19}; fill it, or keep the quotes that have it: "
                f"prices.dropna(subset=[{name!r}])"
            )
    return table


def with_stand_ins(spec: Spec, panel: xr.Dataset) -> xr.Dataset:
    """Add standard normals for the columns that a card reads and a simulated panel lacks."""
    fixed = (spec.equilibrium.fixed,) if spec.equilibrium.fixed else ()
    names = dict.fromkeys([*(name for own in columns(spec).values() for name in own), *fixed])
    rng = np.random.default_rng(0)
    missing = {name: rng.standard_normal(panel.sizes["obs"]) for name in names if name not in panel}
    return panel.assign({name: ("obs", values) for name, values in missing.items()})


def observed_carry(spec: Spec, panel: xr.Dataset) -> Array:
    """Carry that the card takes as given, % a year, shape (obs,); zero where it takes none."""
    name = spec.equilibrium.fixed
    return column_values(panel, (name,))[:, 0] if name else np.zeros(panel.sizes["obs"])
