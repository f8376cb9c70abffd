"""Facts about what is pooled, shared or independent, parameter by parameter."""

import numpy as np
import pandas as pd
import pytest

from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.cards import read_card, write_card
from bayesbasis.model.hierarchy import dims, parameters, raw_variables
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks

MIXED = Spec(pooling=Pooling(shared=("noise", "stay"), independent=("half_life", "volatility")))


@pytest.fixture(scope="module")
def panel():
    prices, _ = simulate_market(seed=1, quarters=2, listed_days=30)
    return make_panel(prices)[0]


def drawn(spec, panel, leading=(5,)):
    layout, rng = lay_out(spec, panel), np.random.default_rng(0)
    raw = {
        name: rng.standard_normal((*leading, *(len(layout.coords[dim]) for dim in own)))
        for name, own in raw_variables(spec, layout.levels).items()
    }
    return layout, raw, parameters(spec, layout.levels, raw, layout.members, np)


def test_shared_is_one_value_and_independent_one_prior_each(panel):
    layout, raw, natural = drawn(MIXED, panel, (20_000,))
    for name in ("noise", "stay"):
        np.testing.assert_array_equal(natural[name][:, 0], natural[name][:, 1])
        assert f"{name}_offset_raw" not in raw
    log = np.log(natural["half_life"] / 20.0) / np.log(4.0)
    np.testing.assert_allclose(log.std(0), 1.0, rtol=0.03)
    assert abs(np.corrcoef(log.T)[0, 1]) < 0.03
    assert raw["half_life_raw"].shape == (20_000, 2)
    assert raw["volatility_raw"].shape == (20_000, 2)
    # What nobody names stays pooled: around the market's value.
    correlation = np.corrcoef(natural["volatility_exponent"].T)[0, 1]
    assert correlation > 0.5
    named = dims(MIXED, layout.levels)
    assert "volatility_exponent_market" in named
    assert not {"noise_market", "half_life_market", "half_life_between"} & set(named)


def check_gradient(spec, panel):
    """Compare the gradient of the posterior with central differences."""
    target = log_posterior(spec, panel)
    flat = 0.4 * np.random.default_rng(1).standard_normal(target.size)
    _, gradient = target(flat)
    moves = 1e-4 * np.eye(target.size)
    slopes = [(target(flat + m)[0] - target(flat - m)[0]) / 2e-4 for m in moves]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)


def test_the_gradient_goes_through_every_switch(panel):
    check_gradient(MIXED, panel)


def test_tails_are_the_market_s_unless_each_underlying_has_its_own(panel):
    own = Spec(pooling=Pooling(independent=("tail",)))
    assert read_card(write_card(own)) == own
    layout, raw, natural = drawn(own, panel, (20_000,))
    assert dims(own, layout.levels)["tail"] == ("underlying",)
    assert dims(Spec(), layout.levels)["tail"] == ()
    assert not any(name.startswith("tail_") and name != "tail_raw" for name in raw)
    above = np.log(natural["tail"] - 2.0)
    np.testing.assert_allclose(above.std(0), np.log(2.0), rtol=0.03)
    assert abs(np.corrcoef(above.T)[0, 1]) < 0.03
    check_gradient(own, panel)


def test_tails_of_gaussian_shocks_are_no_parameter_to_pool():
    with pytest.raises(ValueError, match="'tail', which no underlying has of its own"):
        Spec(pooling=Pooling(independent=("tail",)), shocks=Shocks("gaussian"))


def test_with_one_underlying_switches_change_nothing():
    prices, _ = simulate_market(seed=1, underlyings=["BTC"], quarters=2, listed_days=30)
    alone = make_panel(prices)[0]
    _, raw, natural = drawn(MIXED, alone)
    _, plain, expected = drawn(Spec(), alone)
    assert list(raw) == list(plain)
    for name, value in expected.items():
        np.testing.assert_array_equal(natural[name], value)


@pytest.mark.parametrize("name", ["anchor", "half_life", "correlation", "noise"])
def test_underlyings_of_a_panel_are_hardly_freer_than_one_alone(panel, name):
    """The spread between them is so much of the parameter's own prior, tight or wide."""
    _, _, natural = drawn(Spec(), panel, (20_000,))
    prior = getattr(Spec().priors, name)
    own = prior.free(natural[name], np)
    # Spreads of 0.2 and a factor of 2 have a mean square of 0.105.
    expected = prior.scale * (1.0 + 0.04 * np.exp(2.0 * np.log(2.0) ** 2)) ** 0.5
    np.testing.assert_allclose(own.std(0), expected, rtol=0.03)
    assert (own.std(0) < 2.0**0.5 * prior.scale).all()
    between = natural[f"{name}_between"]
    np.testing.assert_allclose(np.median(between), 0.2 * prior.scale, rtol=0.03)


def test_a_card_holds_the_switches():
    assert read_card(write_card(MIXED)) == MIXED
    text = '[pooling]\nshared = ["noise"]'
    assert read_card(text).pooling == Pooling(shared=("noise",))


@pytest.mark.parametrize(
    ("pooling", "regimes", "message"),
    [
        ({"shared": ("noise",), "independent": ("noise",)}, 2, "noise both shared and independent"),
        (
            {"shared": ("tail",)},
            2,
            "'tail', which no underlying has .* half_life, anchor",
        ),
        ({"independent": ("stay",)}, 1, "'stay', which no underlying has of its own"),
    ],
)
def test_switches_that_cannot_be_say_what_can(pooling, regimes, message):
    with pytest.raises(ValueError, match=message):
        Spec(pooling=Pooling(**pooling), regimes=Regimes(regimes))


@pytest.mark.parametrize("contracts", ["shared", "independent"])
@pytest.mark.parametrize("centring", [0.0, 0.5])
def test_contracts_that_share_or_keep_their_carry(panel, contracts, centring):
    spec = Spec(pooling=Pooling(contracts=contracts, centring=centring, shared=("noise",)))
    layout, raw, natural = drawn(spec, panel, (4000,))
    assert set(natural) == set(dims(spec, layout.levels))
    assert "carry_between_contracts" not in natural
    u = layout.contract_underlying
    if contracts == "shared":
        assert "contract_raw" not in raw
        expected = natural["carry_mean"][:, None] + natural["carry_underlying"][:, u]
        np.testing.assert_allclose(natural["carry"], expected)
    else:
        assert not any(name.startswith("carry_") for name in natural)
        raw["contract_raw"] = 5.0 * centring + 20.0**centring * raw["contract_raw"]
        carry = parameters(spec, layout.levels, raw, layout.members, np)["carry"]
        np.testing.assert_allclose([carry.mean(), carry.std()], [5.0, 20.0], rtol=0.05)


@pytest.mark.parametrize("contracts", ["shared", "independent"])
def test_the_gradient_knows_contracts_that_share_or_do_not(panel, contracts):
    spec = Spec(pooling=Pooling(contracts=contracts, centring=0.5), regimes=Regimes(1))
    check_gradient(spec, panel)


def test_two_venues_of_two_underlyings_still_share(panel):
    prices, _ = simulate_market(seed=2, quarters=2, listed_days=30, venue="east")
    more, _ = simulate_market(seed=3, quarters=2, listed_days=30, venue="west")
    both = pd.concat([prices, more.assign(contract=more["contract"] + "@w")], ignore_index=True)
    _, _, natural = drawn(MIXED, make_panel(both)[0])
    np.testing.assert_array_equal(natural["noise"][:, 0], natural["noise"][:, 1])


def of_kinds(panel):
    """The same quotes, every other contract a weekly one."""
    names = np.where(np.arange(panel.sizes["contract"]) % 2, "weekly", "quarterly")
    return panel.assign_coords(kind=("contract", names))


def test_carry_of_each_kind_of_contract_has_an_offset_of_its_own(panel):
    spec = Spec(pooling=Pooling(kinds=True))
    layout, raw, natural = drawn(spec, of_kinds(panel))
    assert layout.coords["kind"] == ["quarterly", "weekly"]
    spread = natural["carry_between_kinds"][:, None]
    np.testing.assert_allclose(natural["carry_kind"], spread * raw["carry_kind_raw"])
    offset = natural["carry_kind"][:, np.arange(panel.sizes["contract"]) % 2]
    without = dict(raw, carry_kind_raw=0.0 * raw["carry_kind_raw"])
    plain = parameters(spec, layout.levels, without, layout.members, np)["carry"]
    np.testing.assert_allclose(natural["carry"], plain + offset)
    assert dims(spec, layout.levels)["carry_kind"] == ("kind",)


def test_kinds_are_no_level_unless_the_card_says_so_and_there_are_two(panel):
    """To the last bit: cards that say nothing of kinds have the posterior that they had."""
    plain = log_posterior(Spec(), panel)
    flat = 0.3 * np.random.default_rng(2).standard_normal(plain.size)
    value, slope = plain(flat)
    for spec, quotes in ((Spec(), of_kinds(panel)), (Spec(pooling=Pooling(kinds=True)), panel)):
        found = log_posterior(spec, quotes)
        assert found.shapes == plain.shapes
        assert found(flat)[0] == value
        np.testing.assert_array_equal(found(flat)[1], slope)


def test_the_posterior_of_kinds_is_that_of_one_kind_where_their_offsets_are_zero(panel):
    plain, kinds = (
        log_posterior(Spec(), panel),
        log_posterior(Spec(pooling=Pooling(kinds=True)), of_kinds(panel)),
    )
    pieces = plain.split(0.3 * np.random.default_rng(2).standard_normal(plain.size))
    added = {name: np.zeros(kinds.shapes[name]) for name in kinds.shapes if name not in pieces}
    assert set(added) == {"carry_between_kinds_raw", "carry_kind_raw"}
    at = [
        np.concatenate([(pieces | added)[name].ravel() for name in target.shapes])
        for target in (plain, kinds)
    ]
    # Three standard normals more, at zero.
    expected = plain(at[0])[0] - 1.5 * np.log(2.0 * np.pi)
    np.testing.assert_allclose(kinds(at[1])[0], expected, rtol=1e-12)


def test_every_level_of_carry_is_pooled_shared_or_independent(panel):
    pooling = Pooling(kinds=True, shared=("carry_underlying",), independent=("carry_kind",))
    layout, raw, natural = drawn(Spec(pooling=pooling), of_kinds(panel), (20_000,))
    assert not any("carry_underlying" in name for name in raw)
    assert not {"carry_underlying", "carry_between_kinds"} & set(natural)
    np.testing.assert_allclose(natural["carry_kind"].std(0), 20.0, rtol=0.02)
    assert set(natural) == set(dims(Spec(pooling=pooling), layout.levels))
    with pytest.raises(
        ValueError, match=r"'carry_kind', which no .* carry_venue, carry_underlying"
    ):
        Spec(pooling=Pooling(shared=("carry_kind",)))
