import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

import bayesbasis as bb
from bayesbasis.trade.liquidation import bearable_leverage, bridge_peaks

KINDS = [(kind, side) for kind in ("linear", "inverse") for side in ("short", "long")]


def equity_less_maintenance(price, entry, leverage, m, kind, side):
    """Margin left over what must be kept, in the currency of settlement, for one of quote."""
    sign = 1 if side == "long" else -1
    if kind == "linear":
        return entry / leverage + sign * (price - entry) - m * price
    return 1 / (entry * leverage) + sign * (1 / entry - 1 / price) - m / price


# Prices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "side", "price"),
    [
        ("linear", "short", 54_726.37),
        ("linear", "long", 45_226.13),
        ("inverse", "short", 55_277.78),
        ("inverse", "long", 45_681.82),
    ],
)
def test_liquidation_prices_to_the_cent(kind, side, price):
    """50,000, ten times, half a per cent: the formulas by hand, in decimals."""
    found = bb.liquidation_price(50_000, 10, maintenance=0.005, side=side, kind=kind)
    assert round(float(found), 2) == price


@pytest.mark.parametrize(("kind", "side"), KINDS)
@given(
    entry=st.floats(1, 1e6),
    leverage=st.floats(1.2, 80),
    m=st.floats(0, 0.01),
)
def test_at_its_liquidation_price_a_position_has_its_maintenance_margin(
    kind, side, entry, leverage, m
):
    found = float(bb.liquidation_price(entry, leverage, maintenance=m, side=side, kind=kind))
    left = equity_less_maintenance(found, entry, leverage, m, kind, side)
    assert abs(left) < 1e-9 * (entry if kind == "linear" else 1 / entry)
    root = brentq(
        lambda price: equity_less_maintenance(price, entry, leverage, m, kind, side),
        found * 0.9,
        found * 1.1,
        rtol=1e-12,
    )
    assert root == pytest.approx(found, rel=1e-8)


@pytest.mark.parametrize(("kind", "side"), KINDS)
@given(leverage=st.floats(1.2, 80), m=st.floats(0, 0.01))
def test_a_path_bears_the_leverage_whose_liquidation_price_it_reached(kind, side, leverage, m):
    worst = bb.liquidation_price(1.0, leverage, maintenance=m, side=side, kind=kind)
    found = bearable_leverage(worst, maintenance=m, side=side, kind=kind)
    assert float(found) == pytest.approx(leverage, rel=1e-6)


def test_an_inverse_short_paid_in_full_is_never_liquidated():
    assert np.isinf(bb.liquidation_price(5e4, 1, maintenance=0.005, side="short", kind="inverse"))
    assert bearable_leverage(1e9, maintenance=0.0, side="short", kind="inverse") >= 1


def test_a_price_that_never_moved_bears_all_that_maintenance_allows():
    assert np.isinf(bearable_leverage(0.9, maintenance=0.005, side="short"))
    assert bearable_leverage(1.0, maintenance=0.005, side="short") == pytest.approx(200)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"leverage": 0.5}, "leverage is 0.5; the least is 1, a position paid in full"),
        (
            {"leverage": 200},
            "maintenance is 0.005, and a leverage of 200 leaves 0.005: choose less leverage",
        ),
        ({"side": "flat"}, "side is 'flat'; choose 'long' or 'short'"),
        ({"kind": "quanto"}, "kind is 'quanto'; choose 'linear' or 'inverse'"),
    ],
)
def test_leverage_that_nobody_grants_is_an_error(change, said):
    with pytest.raises(ValueError, match=r".") as caught:
        bb.liquidation_price(
            **({"entry": 1, "leverage": 10, "maintenance": 0.005, "side": "long"} | change)
        )
    assert str(caught.value) == said


# Worst prices between steps ----------------------------------------------------------------------


@pytest.mark.parametrize("tail", [np.inf, 5.0])
def test_peaks_of_bridges_are_those_of_a_fine_path(tail):
    """Fine paths on a clock drawn for each step, against a coarse look with peaks drawn."""
    rng = np.random.default_rng(1)
    paths, steps, fine = 4000, 5, 200
    clock = (
        np.ones((paths, steps)) if np.isinf(tail) else tail / rng.chisquare(tail, (paths, steps))
    )
    small = 0.02 * np.sqrt(np.repeat(clock, fine, axis=1) / fine)
    walk = np.cumsum(small * rng.standard_normal((paths, steps * fine)), axis=1)
    walk = np.concatenate([np.zeros((paths, 1)), walk], axis=1)
    coarse = walk[:, ::fine]
    scale, tails = np.full((paths, steps), 0.02), np.full((paths, 1), tail)
    peaks = bridge_peaks(coarse[:, :-1], coarse[:, 1:], scale, tails, rng).max(1)
    for level in (0.02, 0.05, 0.08):
        found, truth = (peaks >= level).mean(), (walk.max(1) >= level).mean()
        unseen = (coarse.max(1) >= level).mean()
        # The fine path misses a little too: about 0.58 of a fine step.
        shift = 0.5826 * 0.02 / np.sqrt(fine)
        corrected = (walk.max(1) >= level - shift).mean()
        assert abs(found - corrected) < 4 * np.sqrt(2 * truth / paths)
        assert unseen < truth < found + 0.01


def test_a_path_that_stands_still_peaks_where_it_is():
    one = np.ones((3, 1))
    still = bridge_peaks(0 * one, 0 * one, 0 * one, 5 * one, np.random.default_rng(0))
    np.testing.assert_array_equal(still, 0)


# The verb ----------------------------------------------------------------------------------------


def test_liquidation_agrees_with_prices_looked_at_one_by_one(paths):
    seen = paths.drop_vars("spot_scale")
    found = bb.margin(seen, leverage=(5, 20), maintenance=0.01, exit="12D")
    futures = (seen["spot"] * np.exp(seen["basis"])).values[..., :13]
    for column, leverage in enumerate((5, 20)):
        for contract in range(2):
            own = futures[:, :, contract]
            at = bb.liquidation_price(own[..., :1], leverage, maintenance=0.01, side="short")
            expected = (own[..., 1:] >= at).any(-1).mean()
            got = found["liquidation"].values[contract, column]
            assert got == pytest.approx(expected, abs=1e-12)
            assert found["liquidation_price"].values[contract, column] == pytest.approx(at.mean())


def test_looking_between_steps_finds_more(paths):
    often = bb.margin(paths, leverage=(10,))["liquidation"]
    seldom = bb.margin(paths.drop_vars("spot_scale"), leverage=(10,))["liquidation"]
    assert (often > seldom).all()


@pytest.mark.parametrize("direction", ["cash-and-carry", "reverse"])
@pytest.mark.parametrize("kind", ["linear", "inverse"])
def test_more_leverage_is_liquidated_more_often_and_called_for_more(paths, direction, kind):
    found = bb.margin(paths, direction, kind=kind)
    assert (found["liquidation"].diff("leverage") >= 0).all()
    assert (found["top_up"].diff("leverage") >= -1e-12).all()
    assert (found["top_up"].diff("quantile") >= 0).all()
    np.testing.assert_allclose(found["initial"], 1 / found["leverage"])


def test_the_highest_leverage_is_liquidated_as_seldom_as_was_said(paths):
    found = bb.margin(paths, alpha=0.037)
    for contract in range(2):
        most = found["max_leverage"].values[contract]
        bearable = found["bearable"].values[:, :, contract]
        assert (bearable <= most).mean() <= 0.037
        assert (bearable <= most * 1.1).mean() > 0.037


def test_calls_are_made_of_the_paths_that_are_liquidated(paths):
    found = bb.margin(paths, leverage=(8,))
    needed = np.maximum(1 / found["bearable"].values - 1 / 8, 0)
    np.testing.assert_allclose(
        found["top_up"].values[:, 0], np.quantile(needed, [0.5, 0.9, 0.95, 0.99], axis=(0, 1)).T
    )


def test_with_spot_as_collateral_only_the_basis_is_left_to_fear(paths):
    for kind in ("linear", "inverse"):
        isolated = bb.margin(paths, leverage=(20,), kind=kind)["liquidation"]
        cross = bb.margin(paths, leverage=(20,), mode="cross", kind=kind)["liquidation"]
        assert (isolated > 0.3).all()
        assert (cross < 0.01).all()


def test_a_haircut_on_the_collateral_brings_the_fear_back(paths):
    free, cut = (
        bb.margin(paths, leverage=(20,), mode="cross", haircut=h)["liquidation"] for h in (0, 0.5)
    )
    assert (cut > free).all()


def test_liquidation_before_convergence_is_rarer_than_before_expiry(paths):
    soon = bb.margin(paths, exit=bb.When(deviation=1e-3))["liquidation"]
    late = bb.margin(paths)["liquidation"]
    assert (soon <= late).all()
    assert (soon < late).any()


def test_words_and_numbers_that_mean_nothing_are_errors(paths):
    with pytest.raises(ValueError, match="mode is 'portfolio'"):
        bb.margin(paths, mode="portfolio")
    with pytest.raises(ValueError, match="direction is 'short'"):
        bb.margin(paths, "short")
    with pytest.raises(ValueError, match="alpha is 2"):
        bb.margin(paths, alpha=2)
    with pytest.raises(ValueError, match="spot=True"):
        bb.margin(paths.drop_vars("spot"))
