"""Facts about the hierarchy: from standard normals to parameters."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest

from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.model.hierarchy import (
    dims,
    filter_inputs,
    parameters,
    raw_variables,
)
from bayesbasis.model.layout import lay_out
from bayesbasis.model.levels import Levels
from bayesbasis.model.priors import LogNormal, Normal, Priors
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.model.underlyings import is_pooled, parameter_names
from bayesbasis.process.equilibria import MeanRevertingSpot
from bayesbasis.process.laws import OrnsteinUhlenbeck
from bayesbasis.process.regimes import Regimes, urn_grid
from bayesbasis.process.shocks import Shocks

SPECS = {
    f"{count} regimes of the {shared_by}, {shocks}, venues {venues}, underlyings {own}": Spec(
        regimes=Regimes(count, shared_by),
        shocks=Shocks(shocks),
        pooling=Pooling(venues=venues, underlyings=own),
    )
    for count, shared_by, shocks, venues, own in product(
        (1, 2, 3),
        ("underlying", "venue", "market"),
        ("student-t", "gaussian"),
        (True, False),
        (True, False),
    )
}
MARKETS = list(product((1, 3), (1, 2)))
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
some_specs = pytest.mark.parametrize(
    ("spec", "market"),
    [
        (Spec(regimes=Regimes(1), shocks=Shocks("gaussian"), law=OrnsteinUhlenbeck()), (1, 1)),
        (Spec(), (1, 2)),
        (Spec(), (3, 1)),
        (Spec(regimes=Regimes(3)), (3, 2)),
        (Spec(regimes=Regimes(3, "market"), pooling=Pooling(venues=False)), (3, 2)),
        (Spec(pooling=Pooling(underlyings=False)), (3, 2)),
        (Spec(regimes=Regimes(9, volatility="stochastic")), (3, 2)),
        (Spec(regimes=Regimes(2, "venue"), equilibrium=MeanRevertingSpot()), (3, 2)),
    ],
    ids=[
        "textbook",
        "default",
        "pooled",
        "three regimes",
        "one chain",
        "not pooled",
        "stochastic volatility",
        "mean-reverting spot",
    ],
)


@pytest.fixture(scope="module")
def panels():
    """A small panel of every number of underlyings and venues."""
    made = {}
    for underlyings, venues in MARKETS:
        books = [
            simulate_market(
                seed=v,
                underlyings=["BTC", "ETH", "SOL"][:underlyings],
                quarters=2,
                listed_days=20,
                venue=f"venue-{v}",
            )[0]
            for v in range(venues)
        ]
        for v, book in enumerate(books):
            book["contract"] = book["contract"] + f"@{v}"
        made[underlyings, venues], _ = make_panel(pd.concat(books, ignore_index=True))
    return made


def draw_raw(spec, layout, leading=(), seed=0):
    rng = np.random.default_rng(seed)
    sizes = {dim: len(labels) for dim, labels in layout.coords.items()}
    return {
        name: rng.standard_normal((*leading, *(sizes[dim] for dim in own)))
        for name, own in raw_variables(spec, layout.levels).items()
    }


def natural_of(spec, layout, raw, xp=np):
    return parameters(spec, layout.levels, raw, layout.members, xp)


@every_spec
def test_every_parameter_has_the_shape_of_its_dims(spec, panels):
    for panel in panels.values():
        layout = lay_out(spec, panel)
        sizes = {dim: len(labels) for dim, labels in layout.coords.items()}
        natural = natural_of(spec, layout, draw_raw(spec, layout, (4, 5)))
        named = dims(spec, layout.levels)
        assert set(natural) == set(named)
        for name, own in named.items():
            shape = tuple(sizes[dim] for dim in own)
            found = natural[name].shape[2:]
            # What the market shares has a group axis of one before its own.
            assert found in {shape, (1, *shape)}, (name, found, shape)
            assert natural[name].shape[:2] == (4, 5)
            assert np.isfinite(natural[name]).all()


@every_spec
def test_the_filter_gets_a_row_for_every_group_and_a_generator_for_every_chain(spec, panels):
    count = spec.regimes.count
    for panel in panels.values():
        layout = lay_out(spec, panel)
        natural = natural_of(spec, layout, draw_raw(spec, layout, (7,)))
        inputs = filter_inputs(spec, natural, np)
        groups = layout.schedule.group.max() + 1
        chains = layout.schedule.chain.max() + 1
        for name in ("noise", "correlation", "tail"):
            assert inputs[name].shape == (7, groups)
        assert inputs["scale"].shape == (7, groups, count)
        assert inputs["rates"].shape[1] >= chains
        assert inputs["rates"].shape[2:] == (count, count)
        np.testing.assert_allclose(inputs["rates"].sum(-1), 0.0, atol=1e-9)
        assert (inputs["scale"] > 0).all()
        assert ((inputs["correlation"] > 0) & (inputs["correlation"] < 1)).all()
        if spec.shocks.distribution == "gaussian":
            assert np.isposinf(inputs["tail"]).all()
        else:
            assert (inputs["tail"] > 2).all()


@some_specs
def test_numpy_and_pytensor_agree(spec, market, panels):
    layout = lay_out(spec, panels[market])
    raw = draw_raw(spec, layout)
    symbols = {name: pt.TensorType("float64", value.shape)(name) for name, value in raw.items()}

    def everything(given, xp):
        natural = natural_of(spec, layout, given, xp)
        return natural | {f"{k}!": v for k, v in filter_inputs(spec, natural, xp).items()}

    graph, expected = everything(symbols, pt), everything(raw, np)
    assert graph.keys() == expected.keys()
    code = pytensor.function(
        list(symbols.values()), list(graph.values()), mode="FAST_COMPILE", on_unused_input="ignore"
    )
    for name, found in zip(graph, code(*raw.values()), strict=True):
        np.testing.assert_allclose(found, expected[name], rtol=1e-12, err_msg=name)


@some_specs
def test_many_draws_at_once_are_each_draw_alone(spec, market, panels):
    layout = lay_out(spec, panels[market])
    raw = draw_raw(spec, layout, (2, 3))
    together = natural_of(spec, layout, raw)
    alone = natural_of(spec, layout, {name: value[1, 2] for name, value in raw.items()})
    for name, value in alone.items():
        np.testing.assert_allclose(together[name][1, 2], value, rtol=1e-13, err_msg=name)


@some_specs
def test_at_the_centre_every_parameter_is_its_prior_median(spec, market, panels):
    layout = lay_out(spec, panels[market])
    raw = {name: np.zeros_like(value) for name, value in draw_raw(spec, layout).items()}
    natural = natural_of(spec, layout, raw)
    for name in set(parameter_names(spec)) - {"volatility", "volatility_ratio"}:
        prior = getattr(spec.priors, name)
        median = prior.mean if isinstance(prior, Normal) else prior.median
        np.testing.assert_allclose(natural[name], median, rtol=1e-13, err_msg=name)
    steps = spec.priors.volatility_ratio.median ** np.arange(spec.regimes.count)
    if spec.regimes.is_stochastic:
        steps = np.exp(spec.priors.volatility_spread.median * urn_grid(spec.regimes.count))
    expected = np.broadcast_to(spec.priors.volatility.median * steps, natural["volatility"].shape)
    np.testing.assert_allclose(natural["volatility"], expected, rtol=1e-13)
    quantity = spec.equilibrium.quantity
    centre = getattr(spec.priors, f"{quantity}_mean").mean
    raw["contract_raw"] += (spec.pooling.centring or 0.0) * centre
    np.testing.assert_allclose(natural_of(spec, layout, raw)[quantity], centre, rtol=1e-12)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_regimes_are_ordered_by_volatility_however_unlikely_the_draw(count, panels):
    spec = Spec(regimes=Regimes(count))
    layout = lay_out(spec, panels[3, 1])
    raw = draw_raw(spec, layout, (500,))
    raw["volatility_ratio_raw"] *= 6.0
    volatility = natural_of(spec, layout, raw)["volatility"]
    assert volatility.shape == (500, 3, count)
    assert (np.diff(volatility, axis=-1) > 0).all()


def test_volatility_climbs_by_the_ratios(panels):
    spec = Spec(regimes=Regimes(3))
    layout = lay_out(spec, panels[1, 1])
    raw = draw_raw(spec, layout)
    prior = spec.priors.volatility_ratio
    ratio = prior.natural(prior.location + prior.scale * raw["volatility_ratio_raw"], np)
    volatility = natural_of(spec, layout, raw)["volatility"]
    np.testing.assert_allclose(volatility[0, 1:] / volatility[0, :-1], ratio, rtol=1e-12)


@every_spec
def test_pooling_a_level_with_one_member_changes_nothing(spec, panels):
    panel = panels[1, 1]
    layout = lay_out(spec, panel)
    apart = replace(spec, pooling=Pooling(venues=False, underlyings=False))
    raw = draw_raw(spec, layout)
    assert layout.levels == Levels(venues=False, underlyings=False)
    assert raw_variables(spec, layout.levels) == raw_variables(apart, lay_out(apart, panel).levels)
    plain = natural_of(apart, lay_out(apart, panel), raw)
    for name, value in natural_of(spec, layout, raw).items():
        np.testing.assert_array_equal(value, plain[name])


def test_what_underlyings_share_when_they_are_not_pooled(panels):
    spec = Spec(pooling=Pooling(underlyings=False))
    layout = lay_out(spec, panels[3, 1])
    assert layout.coords["underlying"] == ["all"]
    natural = natural_of(spec, layout, draw_raw(spec, layout))
    assert natural["half_life"].shape == (1,)
    assert natural["volatility"].shape == (1, 3)
    assert not any(name.endswith(("_market", "_between")) for name in natural)


def test_an_underlying_lies_around_the_market_by_its_spread(panels):
    """On the scale where the parameter is free: here in logs and in logits."""
    spec = Spec()
    layout = lay_out(spec, panels[3, 1])
    raw = draw_raw(spec, layout, (11,))
    natural = natural_of(spec, layout, raw)
    for name, free in {
        "half_life": np.log,
        "correlation": lambda x: np.log(x / (1 - x)),
        "noise": np.log,
    }.items():
        offset = natural[f"{name}_between"][:, None] * raw[f"{name}_offset_raw"]
        expected = free(natural[f"{name}_market"])[:, None] + offset
        np.testing.assert_allclose(free(natural[name]), expected, rtol=1e-10)


def test_the_tail_and_a_market_chain_belong_to_all_underlyings(panels):
    layout = lay_out(Spec(), panels[3, 1])
    own = Spec(regimes=Regimes(3))
    one = Spec(regimes=Regimes(3, "market"))
    assert not is_pooled(own, layout.levels, "tail")
    assert not is_pooled(own, layout.levels, "jump")
    assert is_pooled(own, layout.levels, "stay")
    assert not is_pooled(one, layout.levels, "stay")
    assert dims(own, layout.levels)["stay"] == ("underlying", "regime")
    assert dims(one, layout.levels)["stay"] == ("regime",)
    assert dims(one, layout.levels)["tail"] == ()


def centre_of(layout, raw, natural):
    """Mean of each contract's population, level by level."""
    columns = []
    for u, v in zip(layout.contract_underlying, layout.contract_venue, strict=True):
        mean = natural["carry_mean"]
        if layout.levels.venues:
            mean = mean + natural["carry_between_venues"] * raw["carry_venue_raw"][..., v]
        if layout.levels.underlyings:
            mean = mean + natural["carry_between_underlyings"] * raw["carry_underlying_raw"][..., u]
        columns.append(mean)
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("centring", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("venues", [True, False])
@pytest.mark.parametrize("underlyings", [True, False])
def test_carry_is_the_sum_of_its_levels_however_it_is_centred(
    venues, underlyings, centring, panels
):
    spec = Spec(pooling=Pooling(venues, underlyings, centring))
    layout = lay_out(spec, panels[3, 2])
    raw = draw_raw(spec, layout, (6,))
    natural, standard = natural_of(spec, layout, raw), raw["contract_raw"]
    centre, spread = centre_of(layout, raw, natural), natural["carry_between_contracts"][:, None]
    raw["contract_raw"] = centring * centre + spread**centring * standard
    np.testing.assert_allclose(
        natural_of(spec, layout, raw)["carry"], centre + spread * standard, rtol=1e-10
    )


@pytest.mark.parametrize("absent", ["venue", "underlying"])
def test_a_level_left_out_leaves_no_parameter_behind(absent, panels):
    spec = Spec(pooling=Pooling(**{f"{absent}s": False}))
    levels = lay_out(spec, panels[3, 2]).levels
    names = set(raw_variables(spec, levels)) | set(dims(spec, levels))
    assert not any(name.startswith(f"carry_{absent}") for name in names)
    assert f"carry_between_{absent}s" not in names


@pytest.mark.parametrize("centring", [-0.1, 1.5, float("nan")])
def test_centring_is_a_share(centring):
    with pytest.raises(ValueError, match=r"pooling\.centring is .*between 0 and 1"):
        Pooling(centring=centring)


@pytest.mark.parametrize("count", [3, 4])
def test_the_filter_reads_years_and_logs(panels, count):
    spec = Spec(regimes=Regimes(count))
    layout = lay_out(spec, panels[1, 1])
    natural = natural_of(spec, layout, draw_raw(spec, layout))
    inputs = filter_inputs(spec, natural, np)
    np.testing.assert_allclose(inputs["noise"], natural["noise"] / 365)
    # One basis point per root day is a ten-thousandth per root of 1/365 year.
    np.testing.assert_allclose(
        inputs["scale"] * np.sqrt(1 / 365), natural["volatility"] * 1e-4, rtol=1e-12
    )
    rates = inputs["rates"][0]
    np.testing.assert_allclose(-365 / np.diag(rates), natural["stay"][0], rtol=1e-12)
    for k in range(count):
        jumped = np.delete(rates[k], k) / -rates[k, k]
        np.testing.assert_allclose(jumped.sum(), 1.0, rtol=1e-12)
        # The calmer of two neighbours over the other.
        odds = jumped[:-1] / jumped[1:]
        np.testing.assert_allclose(odds, np.exp(natural["jump"][0, k]), rtol=1e-12)


def test_two_regimes_need_no_word_on_where_a_jump_goes():
    assert "jump" not in parameter_names(Spec(regimes=Regimes(2)))
    assert "jump" in parameter_names(Spec(regimes=Regimes(3)))
    assert {"stay", "volatility_ratio"}.isdisjoint(parameter_names(Spec(regimes=Regimes(1))))
    assert "tail" not in parameter_names(Spec(shocks=Shocks("gaussian")))


def test_priors_reach_the_parameters(panels):
    spec = Spec(priors=Priors(half_life=LogNormal(3.0, 1.5), carry_mean=Normal(-40.0, 1.0)))
    layout = lay_out(spec, panels[1, 1])
    natural = natural_of(spec, layout, draw_raw(spec, layout, (20_000,)))
    np.testing.assert_allclose(np.median(natural["half_life"]), 3.0, rtol=0.02)
    np.testing.assert_allclose(natural["carry_mean"].mean(), -40.0, atol=0.05)
    np.testing.assert_allclose(np.log(natural["half_life"]).std(), np.log(1.5), rtol=0.02)
