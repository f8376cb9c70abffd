"""Facts about equilibrium curves."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayesbasis.process.equilibria import (
    EQUILIBRIA,
    CostOfCarry,
    MeanRevertingSpot,
    Quotes,
    fair_basis,
)

RNG = np.random.default_rng(5)
N, CONTRACTS, GROUPS, DRAWS = 40, 6, 2, 3
QUOTES = Quotes(
    RNG.uniform(0.0, 1.5, N),
    RNG.integers(CONTRACTS, size=N),
    RNG.integers(GROUPS, size=N),
    0.4 * RNG.standard_normal(N),
)
DRAWN = {
    "carry": RNG.normal(5.0, 10.0, (DRAWS, CONTRACTS)),
    "level": RNG.normal(0.0, 20.0, (DRAWS, CONTRACTS)),
    "spot_half_life": RNG.uniform(20.0, 300.0, (DRAWS, GROUPS)),
    "transient_half_life": RNG.uniform(2.0, 20.0, (DRAWS, GROUPS)),
    "transient_share": RNG.uniform(0.1, 0.9, (DRAWS, GROUPS)),
}
CURVES = [*(part() for part in EQUILIBRIA.values()), MeanRevertingSpot(transient=True)]
every = pytest.mark.parametrize("equilibrium", CURVES)


@every
def test_at_expiry_futures_are_worth_spot(equilibrium):
    ended = QUOTES._replace(tau=np.zeros(N))
    np.testing.assert_array_equal(fair_basis(equilibrium, DRAWN, ended, np), np.zeros((DRAWS, N)))


@every
def test_the_curve_is_linear_in_what_contracts_have_of_their_own(equilibrium):
    moved = DRAWN | {equilibrium.quantity: DRAWN[equilibrium.quantity] + 3.0}
    loading = equilibrium.curve(DRAWN, QUOTES, np)[1]
    found = fair_basis(equilibrium, moved, QUOTES, np) - fair_basis(equilibrium, DRAWN, QUOTES, np)
    np.testing.assert_allclose(found, np.broadcast_to(3.0 * loading, found.shape), atol=1e-14)


@every
def test_numpy_and_pytensor_agree(equilibrium):
    names = [*equilibrium.parameters, equilibrium.quantity]
    symbols = {name: pt.dmatrix(name) for name in names}
    graph = fair_basis(equilibrium, symbols, QUOTES, pt)
    code = pytensor.function(list(symbols.values()), graph, mode="FAST_COMPILE")
    np.testing.assert_allclose(
        code(*(DRAWN[name] for name in names)),
        fair_basis(equilibrium, DRAWN, QUOTES, np),
        rtol=1e-13,
    )


def test_carry_grows_with_time_to_expiry_and_knows_no_spot():
    expected = DRAWN["carry"][:, QUOTES.contract] / 100 * QUOTES.tau
    wild = QUOTES._replace(log_spot=QUOTES.log_spot + 9.0)
    np.testing.assert_allclose(fair_basis(CostOfCarry(), DRAWN, wild, np), expected, rtol=1e-14)


def test_futures_are_the_expectation_of_spot_that_reverts():
    """ln F = E[ln S_T] of an Ornstein-Uhlenbeck spot, by small steps."""
    log_spot, level, half_life, tau, steps = 0.5, 0.2, 60.0, 0.3, 200_000
    x = log_spot
    for _ in range(steps):
        x += np.log(2) * 365 / half_life * (level - x) * tau / steps
    quotes = Quotes(np.array([tau]), np.array([0]), np.array([0]), np.array([log_spot]))
    drawn = {"spot_half_life": np.array([half_life]), "level": np.array([100 * level])}
    found = fair_basis(MeanRevertingSpot(), drawn, quotes, np)
    np.testing.assert_allclose(found, x - log_spot, rtol=1e-5)


def test_far_futures_are_worth_the_level():
    far = QUOTES._replace(tau=np.full(N, 200.0))
    expected = DRAWN["level"][:, QUOTES.contract] / 100 - QUOTES.log_spot
    np.testing.assert_allclose(fair_basis(MeanRevertingSpot(), DRAWN, far, np), expected)


def test_a_transient_part_of_spot_is_one_that_reverts_faster():
    """A share of it reverts at either speed; at one speed there is nothing to share."""
    curve, plain = MeanRevertingSpot(transient=True), MeanRevertingSpot()
    fast = DRAWN | {"spot_half_life": DRAWN["transient_half_life"]}
    share = DRAWN["transient_share"][:, QUOTES.group]
    both = [fair_basis(plain, drawn, QUOTES, np) for drawn in (DRAWN, fast)]
    expected = (1 - share) * both[0] + share * both[1]
    np.testing.assert_allclose(fair_basis(curve, DRAWN, QUOTES, np), expected, rtol=1e-12)
    np.testing.assert_allclose(fair_basis(curve, fast, QUOTES, np), both[1], rtol=1e-12)


def test_spot_that_reverts_slowly_is_a_cost_of_carry():
    """θ ≈ aτ(ℓ - ln S): at a fixed spot, a carry of a(ℓ - ln S)."""
    slow = DRAWN | {"spot_half_life": np.full((DRAWS, GROUPS), 1e7)}
    quotes = QUOTES._replace(log_spot=np.full(N, 0.1))
    speed = np.log(2) * 365 / 1e7
    carry = {"carry": 100 * speed * (DRAWN["level"] / 100 - 0.1)}
    np.testing.assert_allclose(
        fair_basis(MeanRevertingSpot(), slow, quotes, np),
        fair_basis(CostOfCarry(), carry, quotes, np),
        rtol=1e-4,
    )
