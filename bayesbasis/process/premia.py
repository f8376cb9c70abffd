"""Simulation of premia and the funding they pay, for every draw at once."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rules:
    """Funding rules of several contracts as arrays, rates in bp per 8 hours.

    Parameters
    ----------
    interest, clamp, cap : ndarray, shape (contract,)
        The clamp of a plain rule is zero: its funding is premium plus interest.
    plain : ndarray of bool, shape (contract,)
    widening : ndarray, shape (contract,) or (draw, contract)
        How much wider than by the rule either half of the dead zone is to premia.
    """

    interest: Array
    clamp: Array
    cap: Array
    plain: Array
    widening: Array

    def funding(self, premium: Array) -> Array:
        """Funding from premia, shape (..., contract); see `funding_from_premium`."""
        excess = premium - self.interest
        half = self.clamp + self.widening
        soft = np.sign(excess) * np.maximum(np.abs(excess) - half, 0.0)
        return np.clip(np.where(self.plain, premium, soft) + self.interest, -self.cap, self.cap)

    def told(self, funding: Array) -> Array:
        """Premia that funding tells by the rule; missing where it is the interest rate."""
        dead = ~self.plain & (funding == self.interest)
        told = premium_behind(funding, self.interest, self.clamp, self.plain)
        return np.where(dead, np.nan, told)

    def of(self, own: Array) -> "Rules":
        """Keep some contracts' rules."""
        return Rules(*(getattr(self, field.name)[..., own] for field in fields(self)))


def premium_behind(funding: Any, interest: Any, clamp: Any, plain: Any) -> Array:
    r"""Premium that a rate was paid for, outside the dead zone and below the cap.

    .. math:: P = F + \mathrm{sign}(F - I)\, w, \qquad \text{of a plain rule}\ P = F - I

    Parameters
    ----------
    funding, interest, clamp, plain : array_like
        For the same number of hours; they broadcast.
    """
    return np.where(plain, funding - interest, funding + np.sign(funding - interest) * clamp)


def as_quoted(premium: Array, interest: Array, clamp: Array, widening: Array) -> Array:
    """Premia as venues quote them, from those of the model with its own width of the dead zone.

    Outside the dead zone both are as far from its edge; inside, it is stretched.

    Parameters
    ----------
    premium : ndarray, shape (..., contract)
        Bp per 8 hours.
    interest, clamp : ndarray, shape (contract,)
        Of the rule.
    widening : ndarray, shape (contract,) or broadcasting against `premium`
        Half-width of the model's dead zone less that of the rule.
    """
    away = premium - interest
    half = clamp + widening
    stretch = np.where(half > 0, clamp / np.where(half > 0, half, 1.0), 1.0)
    outside = away - np.sign(away) * widening
    return interest + np.where(np.abs(away) <= half, away * stretch, outside)


def draw_rows(probability: Array, rng: Generator) -> Array:
    """Draw one index from every row of probabilities, shape (draw, choice)."""
    edges = np.cumsum(probability, axis=1)
    return (rng.random((len(edges), 1)) * edges[:, -1:] > edges).sum(axis=1)


def simulate_states(start: Array, moves: tuple[Array, ...], gap: Array, rng: Generator) -> Array:
    """Simulate the chains of an underlying along a calendar.

    Parameters
    ----------
    start : ndarray of int, shape (draw,)
        State at the beginning.
    moves : tuple of ndarray, shape (draw, gap, place, place)
        Transition matrices of each chain over every distinct gap.
    gap : ndarray of int, shape (step,)
        Which gap comes before each step; -1 where there is none.
    rng : Generator

    Returns
    -------
    ndarray of int, shape (step, draw)
    """
    sizes = tuple(table.shape[-1] for table in moves)
    parts = list(np.unravel_index(start, sizes))
    edges = [np.cumsum(table, axis=-1) for table in moves]
    row = np.arange(len(start))
    path = np.empty((len(gap), len(start)), dtype=np.int64)
    for step, over in enumerate(gap):
        if over >= 0:
            for c, table in enumerate(edges):
                reached = table[row, over, parts[c]]
                # The last edge is one but for rounding.
                parts[c] = (rng.random((len(row), 1)) > reached[:, :-1]).sum(axis=1)
        path[step] = np.ravel_multi_index(parts, sizes)
    return path


def simulate_premia(
    states: Array,
    due: Array,
    before: Array,
    location: Array,
    scale: Array,
    guess: Array,
    memory: Array,
    rules: Rules,
    rng: Generator,
    drive: Array | None = None,
) -> tuple[Array, Array]:
    """Simulate premia and funding of an underlying's contracts along its states.

    Parameters
    ----------
    states : ndarray of int, shape (step, draw)
        From `simulate_states`.
    due : ndarray of bool, shape (step, contract)
        Which contracts measure a rate at each step.
    before : ndarray, shape (draw, contract) or (contract,)
        Last premium, bp per 8 hours; missing where the rate did not tell it.
    location, scale, guess : ndarray, shape (draw, contract, state)
        Bp per 8 hours; the guess is what stays of a premium that was not told.
    memory : ndarray, shape (draw, contract)
        Share of the last premium that stays.
    rules : Rules
        Of the contracts.
    rng : Generator
    drive : ndarray, shape (step, contract), optional
        What is added to the location from step to step, bp per 8 hours.

    Returns
    -------
    premium, funding : ndarray, shape (step, draw, contract)
        Bp per 8 hours; missing where nothing is due.
    """
    steps, draws = states.shape
    contracts = due.shape[1]
    last = np.broadcast_to(before, (draws, contracts)).copy()
    premium = np.full((steps, draws, contracts), np.nan)
    funding = np.full((steps, draws, contracts), np.nan)
    row = np.arange(draws)
    for step in range(steps):
        own = np.flatnonzero(due[step])
        if not own.size:
            continue
        at = (row[:, None], own, states[step][:, None])
        shock = rng.standard_t(4.0, (draws, own.size))
        stays = memory[:, own] * last[:, own]
        stays = np.where(np.isnan(stays), guess[at], stays)
        value = location[at] + stays + scale[at] * shock
        if drive is not None:
            value = value + drive[step, own]
        rule = rules.of(own)
        premium[step][:, own] = value
        funding[step][:, own] = paid = rule.funding(value)
        last[:, own] = rule.told(paid)
    return premium, funding
