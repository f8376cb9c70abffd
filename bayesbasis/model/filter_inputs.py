"""What filters of the basis take from a graph, and the records that kernels take."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pytensor.link.numba.dispatch import basic as numba_basic

from bayesbasis.model.sweep_op import plain, version_of
from bayesbasis.process.filter import Parameters, Schedule

SCHEDULE = len(Schedule._fields)
"""How many inputs the schedule is."""
INPUTS = (
    "deviation", "phi_easy", "phi_hard", "variance_easy", "variance_hard",
    "noise", "correlation", "tail", "scale", "rates",
)  # fmt: skip
"""What follows it: `Parameters`, the moves in the two parts of `Layout`."""
TABLES = ("phi", "variance")
"""What there is of every move."""


def filter_version(room: str) -> int:
    """Version of the compiled code of a filter's Op, which a room holds."""
    return version_of(__name__, room)


def joined(given: Mapping[str, Any], tables: Iterable[str] = TABLES) -> dict[str, Any]:
    """Join the two kinds of moves, which lie along the last axis of each table."""
    apart = {f"{name}_{kind}" for name in tables for kind in ("easy", "hard")}
    whole = {name: value for name, value in given.items() if name not in apart}
    for name in tables:
        whole[name] = np.concatenate([given[f"{name}_easy"], given[f"{name}_hard"]], axis=-1)
    return whole


def divided(slopes: Mapping[str, Any], easy: int, tables: Iterable[str] = TABLES) -> dict[str, Any]:
    """Take gradients by the two kinds of moves apart again; the inverse of `joined`."""
    parts = dict(slopes)
    for name in tables:
        parts[f"{name}_easy"], parts[f"{name}_hard"] = np.split(parts.pop(name), [easy], axis=-1)
    return parts


# In the graph it would cost thirty nodes to learn how to take the gradient apart again.
@numba_basic.numba_njit
def joined_moves(easy, hard):  # type: ignore[no-untyped-def]
    """Join the two kinds of moves."""
    count = len(easy)
    moves = np.empty(count + len(hard))
    moves[:count], moves[count:] = easy, hard
    return moves


@numba_basic.numba_njit
def schedule_of(inputs):  # type: ignore[no-untyped-def]
    """`Schedule` of its fields."""
    previous, step, group, first, start, stop, gap, chain, gap_length, gap_chain = inputs
    return Schedule(
        plain(previous), plain(step), plain(group), plain(first), plain(start),
        plain(stop), plain(gap), plain(chain), plain(gap_length), plain(gap_chain),
    )  # fmt: skip


@numba_basic.numba_njit
def parameters_of(inputs):  # type: ignore[no-untyped-def]
    """`Parameters` of `INPUTS`."""
    (deviation, phi_easy, phi_hard, variance_easy, variance_hard,
     noise, correlation, tail, scale, rates) = inputs  # fmt: skip
    return Parameters(
        plain(deviation), joined_moves(phi_easy, phi_hard),
        joined_moves(variance_easy, variance_hard), plain(noise), plain(correlation),
        plain(tail), plain(scale), plain(rates),
    )  # fmt: skip


@numba_basic.numba_njit
def slopes_of(value, g, inputs):  # type: ignore[no-untyped-def]
    """What an Op gives: the value, and the gradient by each of `INPUTS`."""
    easy = len(inputs[1])
    return (
        np.asarray(value), g.deviation, g.phi[:easy], g.phi[easy:], g.variance[:easy],
        g.variance[easy:], g.noise, g.correlation, g.tail, g.scale, g.rates,
    )  # fmt: skip
