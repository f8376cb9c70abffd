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
    where = layout.contract_underlying, layout.contract_venue
    return layout, raw, parameters(spec, layout.levels, raw, *where, np)


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
    correlation = np.corrcoef(np.log(natural["anchor"]).T)[0, 1]
    assert correlation > 0.5
    named = dims(MIXED, layout.levels)
    assert "anchor_market" in named
    assert not {"noise_market", "half_life_market", "half_life_between"} & set(named)


def test_the_gradient_goes_through_every_switch(panel):
    target = log_posterior(MIXED, panel)
    flat = 0.4 * np.random.default_rng(1).standard_normal(target.size)
    _, gradient = target(flat)
    step = 1e-4
    moves = step * np.eye(target.size)
    slopes = [(target(flat + m)[0] - target(flat - m)[0]) / (2 * step) for m in moves]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)


def test_with_one_underlying_switches_change_nothing():
    prices, _ = simulate_market(seed=1, underlyings=["BTC"], quarters=2, listed_days=30)
    alone = make_panel(prices)[0]
    _, raw, natural = drawn(MIXED, alone)
    _, plain, expected = drawn(Spec(), alone)
    assert list(raw) == list(plain)
    for name, value in expected.items():
        np.testing.assert_array_equal(natural[name], value)


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
        where = layout.contract_underlying, layout.contract_venue
        carry = parameters(spec, layout.levels, raw, *where, np)["carry"]
        np.testing.assert_allclose([carry.mean(), carry.std()], [5.0, 20.0], rtol=0.05)


@pytest.mark.parametrize("contracts", ["shared", "independent"])
def test_the_gradient_knows_contracts_that_share_or_do_not(panel, contracts):
    spec = Spec(pooling=Pooling(contracts=contracts, centring=0.5), regimes=Regimes(1))
    target = log_posterior(spec, panel)
    flat = 0.4 * np.random.default_rng(1).standard_normal(target.size)
    _, gradient = target(flat)
    moves = 1e-4 * np.eye(target.size)
    slopes = [(target(flat + m)[0] - target(flat - m)[0]) / 2e-4 for m in moves]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)


def test_two_venues_of_two_underlyings_still_share(panel):
    prices, _ = simulate_market(seed=2, quarters=2, listed_days=30, venue="east")
    more, _ = simulate_market(seed=3, quarters=2, listed_days=30, venue="west")
    both = pd.concat([prices, more.assign(contract=more["contract"] + "@w")], ignore_index=True)
    _, _, natural = drawn(MIXED, make_panel(both)[0])
    np.testing.assert_array_equal(natural["noise"][:, 0], natural["noise"][:, 1])
