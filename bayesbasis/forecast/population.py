"""Parameters at an origin: those of underlyings, kinds, venues and contracts, known and new."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray

from bayesbasis.data.panel import families
from bayesbasis.model.layout import Layout
from bayesbasis.model.priors import Prior, seen_through
from bayesbasis.model.spec import APART, Spec
from bayesbasis.model.underlyings import is_of_market, parameter_names, prior_of, spread_of
from bayesbasis.model.volatility import by_regime, pooled_volatility

Array = NDArray[Any]


def align(
    fit: xr.DataTree, spec: Spec, layout: Layout, natural: dict[str, Array], rng: Generator
) -> dict[str, Array]:
    """Give the underlyings, kinds, venues and contracts of an origin their parameters, in order.

    Those that the fit does not know are drawn from its population, draw by draw: around the
    market's value by the spread between underlyings that was learned, or, where the fit knows one
    underlying alone, around that one by a spread from its prior. Carry, or level, is left as it is.

    Parameters
    ----------
    fit : xarray.DataTree
        What the draws come from.
    spec, layout : Spec, Layout
        Its model, and the quotes of the origin.
    natural : dict of ndarray
        From `natural_draws`.
    rng : numpy.random.Generator
        Source of randomness; used for strangers alone.
    """
    posterior, aligned = fit["posterior"].to_dataset(), dict(natural)
    above = {dim: layout.coords[dim] for dim in APART}
    wanted = {"underlying": layout.underlyings} | above
    fitted = fit["constant_data"].to_dataset()
    members = {dim: sorted(set(fitted[dim].values.astype(str))) for dim in ("venue", "kind")}
    members |= {"underlying": sorted(set(families(fitted)))}
    # Contracts alone are not in order of their names.
    members |= {"contract": fitted["contract"].values.astype(str).tolist()}
    for dim, names in wanted.items():
        row = {name: place for place, name in enumerate(members[dim])}
        rows = np.array([row.get(name, -1) for name in names])
        if dim == "underlying" and spec.pooling.underlyings and (rows < 0).any():
            aligned |= _strange_parameters(spec, natural, rows, rng)
        else:
            for name, value in natural.items():
                own = dim in posterior[name].dims and name != spec.equilibrium.quantity
                if own and value.shape[1] > 1:
                    aligned[name] = value[:, np.maximum(rows, 0)]
        if (rows < 0).any():
            aligned |= offsets_of_members(spec, natural, dim, rows, rng)
    return aligned


def _strange_parameters(
    spec: Spec, natural: dict[str, Array], rows: Array, rng: Generator
) -> dict[str, Array]:
    """Parameters of underlyings, those in row -1 drawn from the population."""
    found, parts = {}, _apart(spec, natural)
    for name in parameter_names(spec):
        if is_of_market(spec, name):
            continue
        value = parts[name][:, np.maximum(rows, 0) if parts[name].shape[1] > 1 else 0 * rows]
        if name not in spec.pooling.shared:
            value[:, rows < 0] = _drawn(spec, natural, name, value[:, rows < 0], parts, rng)
        found[name] = value
    return by_regime(spec, found, np)


def _apart(spec: Spec, natural: dict[str, Array]) -> dict[str, Array]:
    """Volatility as it is pooled: that of the calmest regime, or the median, and ratios."""
    apart = dict(natural)
    if spec.regimes.is_stochastic:
        return apart | {"volatility": pooled_volatility(spec, natural["volatility"], np)}
    for name in ("volatility", *(["spot_volatility"] if spec.spot is not None else [])):
        whole = natural[name]
        apart |= {name: whole[..., 0], f"{name}_ratio": whole[..., 1:] / whole[..., :-1]}
    return apart


def _drawn(
    spec: Spec,
    natural: dict[str, Array],
    name: str,
    like: Array,
    parts: dict[str, Array],
    rng: Generator,
) -> Array:
    """Draw a parameter of strangers, shape (draw, stranger, ...)."""
    prior = prior_of(spec, name)
    if name in spec.pooling.independent:
        return prior.natural(prior.location + prior.scale * rng.standard_normal(like.shape), np)
    market = natural.get(f"{name}_market", parts[name][:, 0])
    between = natural.get(f"{name}_between")
    if between is None:
        between = spread_of(spec, name, rng.standard_normal(len(like)), np)
    between = between.reshape(-1, *[1] * (like.ndim - 1))
    return prior.natural(
        prior.free(market[:, None], np) + between * rng.standard_normal(like.shape), np
    )


def _offsets_at(spec: Spec, dim: str) -> Iterator[tuple[str, str, Prior, Prior, float]]:
    """Yield what a dim's members may have offsets of: the offsets' name, and their spread's.

    With them come the prior of the spread, that of what they are offsets of, and the unit in which
    the spread is measured.
    """
    quantity, priors = spec.equilibrium.quantity, spec.priors
    if dim in spec.pooling.levels and f"{quantity}_{dim}" not in spec.pooling.shared:
        key = f"{quantity}_between_{dim}s"
        own = getattr(priors, f"{quantity}_mean")
        yield f"{quantity}_{dim}", key, getattr(priors, key), own, 1.0
    for level, name in spec.pooling.offsets:
        if level == dim:
            prior, own = getattr(priors, f"between_{dim}s"), getattr(priors, name)
            yield f"{name}_{dim}", f"{name}_between_{dim}s", prior, own, own.scale


def offsets_of_members(
    spec: Spec, natural: Mapping[str, Array], dim: str, rows: Array, rng: Generator
) -> dict[str, Array]:
    """Offsets of a dim's members; without any in the fit, those of its own are zero.

    Parameters
    ----------
    spec, natural
        The model, and the fit's parameters from `natural_draws`.
    dim : str
        ``venue``, ``kind`` or ``contract``.
    rows : ndarray of int, shape (member,)
        Position of each member in the fit; -1 for strangers, whose offsets are drawn.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of ndarray, shape (draw, member)
    """
    drawn, draws, strange = {}, len(natural["noise"]), rows < 0
    for name, key, prior, own, unit in _offsets_at(spec, dim):
        offset = natural.get(name, np.zeros((draws, 1)))[:, np.maximum(rows, 0)].copy()
        between = natural.get(key)
        if name in spec.pooling.independent:
            between = np.full(draws, own.scale)
        elif between is None:
            between = unit * seen_through(prior, rng.standard_normal(draws), np)
        offset[:, strange] = between[:, None] * rng.standard_normal((draws, int(strange.sum())))
        drawn[name] = offset
    return drawn
