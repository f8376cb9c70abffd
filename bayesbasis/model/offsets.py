r"""Offsets that venues, kinds and contracts give parameters, beside those of underlyings.

An event stays one underlying at one time, whoever quotes it: one shock moves its whole curve, with
one correlation, one tail and one chain of regimes, and each contract takes it at a size of its own.
So what may differ between venues, kinds and contracts is what a contract has by itself: how it
converges, how large its shocks are, and how noisy its quotes. Contracts that agree in all of these
are a *cell*: one underlying, one venue, one kind, one contract, as far as a card tells them apart.

A cell whose volatility is ``m`` times that of its underlying, and whose quote noise ``f`` is ``r``
times as many days of its own diffusion, has in regime ``k`` the variances

.. math:: σ_k^2 m^2 v = s^2 σ_k^2 \frac{v}{r}, \qquad σ_k^2 m^2 r f = s^2 σ_k^2 f,
          \qquad s = m \sqrt{r}

so that measured in units of ``s`` it is one of its underlying's, with ``v/r`` in the place of
``v``: the filter needs to know nothing of cells. Each density has ``1/s`` for its Jacobian.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bayesbasis.model.levels import Cells, Evidence, Levels, offset
from bayesbasis.model.priors import seen_through
from bayesbasis.model.spec import Spec
from bayesbasis.model.volatility import pooled_volatility


class Units(NamedTuple):
    """What each cell is measured in, over its underlying.

    Parameters
    ----------
    size : array, shape (..., cell)
        ``s``: a deviation is so many times as large.
    noise : array, shape (..., cell)
        ``r``: so many times as noisy; variances of moves are divided by it.
    """

    size: Any
    noise: Any


def offsets_of(spec: Spec, levels: Levels) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield each offset in use: its level, its parameter's name, its own and its spread's.

    The spread of a level whose members are independent has no name: it is not learned.
    """
    for level, parameter in spec.pooling.offsets:
        name = f"{parameter}_{level}"
        if level in levels.apart:
            learned = name not in spec.pooling.independent
            yield level, parameter, name, f"{parameter}_between_{level}s" if learned else None


def offset_dims(spec: Spec, levels: Levels) -> dict[str, tuple[str, ...]]:
    """Dims of offsets and of their spreads."""
    named: dict[str, tuple[str, ...]] = {}
    for level, _, name, spread in offsets_of(spec, levels):
        named |= ({} if spread is None else {spread: ()}) | {name: (level,)}
    return named


def offset_population(
    spec: Spec,
    level: str,
    parameter: str,
    raw: Mapping[str, Any],
    free: Any,
    evidence: Mapping[str, Evidence],
    xp: Any,
) -> tuple[Any, Any]:
    """Centre and spread of the members of a level, on the scale where the parameter is free.

    Parameters
    ----------
    spec, raw, evidence, xp
        As `bayesbasis.model.hierarchy.parameters` takes them.
    level, parameter : str
        Whose offsets.
    free : array, shape (..., group)
        Values of underlyings, that members have an offset from.

    Returns
    -------
    centre : array, shape (..., member) or (..., 1)
        Zero where no evidence says whose offsets these are, and it does not matter.
    spread : array, shape (..., 1)
    """
    own, known = getattr(spec.priors, parameter), evidence.get(f"{parameter}_{level}_raw")
    centre = 0.0 * free[..., :1] if known is None else (free[..., None, :] * known.above).sum(-1)
    if f"{parameter}_{level}" in spec.pooling.independent:
        return centre, own.scale + 0.0 * free[..., :1]
    between = getattr(spec.priors, f"between_{level}s")
    normal = raw[f"{parameter}_between_{level}s_raw"]
    return centre, own.scale * seen_through(between, normal, xp)[..., None]


def offsets(
    spec: Spec,
    levels: Levels,
    raw: Mapping[str, Any],
    free: Mapping[str, Any],
    evidence: Mapping[str, Evidence],
    xp: Any,
) -> dict[str, Any]:
    """Offsets, on the scale where their parameter is free, and their spreads.

    Parameters
    ----------
    spec, levels, raw, evidence, xp
        As `bayesbasis.model.hierarchy.parameters` takes them.
    free : mapping
        Values of underlyings on that scale, (..., group), by parameter.
    """
    natural: dict[str, Any] = {}
    for level, parameter, name, learned in offsets_of(spec, levels):
        centre, spread = offset_population(
            spec, level, parameter, raw, free[parameter], evidence, xp
        )
        if learned is not None:
            natural[learned] = spread[..., 0]
        key = f"{name}_raw"
        natural[name] = offset(centre, spread, raw[key], evidence.get(key))
    return natural


def by_cell(spec: Spec, natural: Mapping[str, Any], cells: Cells, xp: Any) -> Mapping[str, Any]:
    """Give what a law reads a cell axis in the place of its group axis.

    Parameters
    ----------
    spec : Spec
        The model; if its card tells no cells apart, nothing changes.
    natural : mapping
        From `parameters`.
    cells : Cells
        Where each cell belongs.
    xp : module
        `numpy` or `pytensor.tensor`.
    """
    if not spec.pooling.offsets:
        return natural
    gathered = {
        name: _own(spec, natural, name, natural[name], cells, xp) for name in spec.law.parameters
    }
    for name in ("speed_ratio", "speed_coefficient"):
        if name in natural:
            gathered[name] = natural[name][..., cells.underlying, :]
    return {**natural, **gathered}


def units(spec: Spec, natural: Mapping[str, Any], cells: Cells, xp: Any) -> Units:
    """Units of every cell: ones, if the card tells none apart.

    Parameters
    ----------
    spec, natural, cells, xp
        As `by_cell`.
    """
    volatility, noise = pooled_volatility(spec, natural["volatility"], xp), natural["noise"]
    if not spec.pooling.offsets:
        return Units(*(xp.ones_like(noise[..., cells.underlying]) for _ in Units._fields))
    larger, noisier = (
        _own(spec, natural, name, value, cells, xp) / value[..., cells.underlying]
        for name, value in {"volatility": volatility, "noise": noise}.items()
    )
    return Units(larger * xp.sqrt(noisier), noisier)


def _own(
    spec: Spec, natural: Mapping[str, Any], name: str, value: Any, cells: Cells, xp: Any
) -> Any:
    """Parameter of every cell: its underlying's, moved by its offsets."""
    own = value[..., cells.underlying]
    found = [level for level, of in spec.pooling.offsets if of == name]
    moved = [
        natural[f"{name}_{level}"][..., getattr(cells, level)]
        for level in found
        if f"{name}_{level}" in natural
    ]
    if not moved:
        return own
    prior = getattr(spec.priors, name)
    return prior.natural(prior.free(own, xp) + sum(moved), xp)
