"""Facts about parameters that differ between venues, kinds of contract and contracts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm
from scipy.stats import multivariate_t

from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.inference.draws import natural_draws
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.prior import prior_draws
from bayesbasis.inference.sampling import named_draws
from bayesbasis.inference.states import pointwise
from bayesbasis.model.cards import read_card, write_card
from bayesbasis.model.hierarchy import dims, filter_inputs, parameters, raw_variables
from bayesbasis.model.layout import lay_out
from bayesbasis.model.priors import LogitNormal, Priors
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.model.spot import Spot
from bayesbasis.process.filter import SETTLED
from bayesbasis.process.laws import LAWS, Anchored
from bayesbasis.process.quadrature import Steps
from bayesbasis.process.regimes import Regimes, stationary

YEAR = np.timedelta64(365, "D")
APART = ("half_life", "anchor", "volatility_exponent", "volatility", "noise")
PLAIN = Spec(pooling=Pooling(venues=False))
SPEC = Spec(pooling=Pooling(venues=False, by_venue=APART, by_kind=("volatility", "noise")))
BESIDE_SPOT = Spec(
    spot=Spot(), pooling=Pooling(by_venue=("volatility",), by_contract=("anchor", "noise"))
)
ALONE = Spec(pooling=Pooling(by_venue=("noise",), by_contract=("half_life", "volatility", "noise")))


@pytest.fixture(scope="module")
def panel():
    """Both underlyings on two venues, at the same times; weekly contracts and quarterly ones."""
    prices, _ = simulate_market(seed=1, quarters=2, listed_days=30)
    east, west = prices.assign(venue="east"), prices.assign(venue="west")
    west["contract"] += "@w"
    west["futures"] *= 1.001
    found = make_panel(pd.concat([east, west], ignore_index=True))[0]
    names = np.where(np.arange(found.sizes["contract"]) % 3, "quarterly", "weekly")
    return found.assign_coords(kind=("contract", names))


def drawn(spec, panel, leading=(5,)):
    layout, rng = lay_out(spec, panel), np.random.default_rng(0)
    raw = {
        name: rng.standard_normal((*leading, *(len(layout.coords[dim]) for dim in own)))
        for name, own in raw_variables(spec, layout.levels).items()
    }
    return layout, raw, parameters(spec, layout.levels, raw, layout.members, np)


def test_offsets_have_a_spread_that_is_learned_unless_they_are_independent(panel):
    pooling = replace(SPEC.pooling, independent=("volatility_venue",), shared=("noise_kind",))
    spec = replace(SPEC, pooling=pooling)
    layout, raw, natural = drawn(spec, panel)
    assert set(natural) == set(dims(spec, layout.levels))
    assert dims(spec, layout.levels)["half_life_venue"] == ("venue",)
    np.testing.assert_allclose(
        natural["half_life_venue"],
        natural["half_life_between_venues"][:, None] * raw["half_life_venue_raw"],
    )
    np.testing.assert_allclose(
        natural["volatility_venue"], np.log(4.0) * raw["volatility_venue_raw"]
    )
    assert "volatility_between_venues" not in natural
    assert "volatility_kind" in natural
    assert "noise_kind" not in natural


def test_a_cell_is_one_underlying_venue_and_kind(panel):
    layout = lay_out(SPEC, panel)
    levels = layout.cells._fields[:3]
    assert not layout.cells.contract.any()
    names = list(zip(*(panel[level].values.astype(str) for level in levels), strict=True))
    cells = [
        tuple(layout.coords[level][row] for level, row in zip(levels, own, strict=True))
        for own in np.array(layout.cells[:3]).T
    ]
    assert len(cells) == len(set(names)) == 7
    assert [cells[c] for c in layout.contract_cell] == names
    assert layout.cell_quotes.sum() == panel.sizes["obs"]
    plain = lay_out(Spec(), panel)
    np.testing.assert_array_equal(plain.contract_cell, plain.contract_underlying)
    alone = lay_out(ALONE, panel)
    np.testing.assert_array_equal(
        alone.cells.contract[alone.contract_cell], np.arange(panel.sizes["contract"])
    )
    np.testing.assert_array_equal(
        alone.cells.venue[alone.contract_cell], panel["venue"].values == "west"
    )


def density_by_hand(spec, panel, prior):
    """Filter quote by quote, every contract with its own parameters in their own units."""
    layout, natural = lay_out(spec, panel), {name: x.values[0, 0] for name, x in prior.items()}
    rates = filter_inputs(spec, natural_draws(spec, prior), np)["rates"][0]
    schedule, unseen = layout.schedule, panel.sizes["contract"]
    order = np.concatenate([np.zeros(unseen, int), layout.order[unseen:]])
    time = panel["time"].values[order].astype("M8[ns]")
    level, spread = np.zeros(len(time)), np.zeros(len(time))
    total, last = np.zeros(len(layout.event_time)), {}
    for t, (start, stop) in enumerate(zip(schedule.event_start, schedule.event_stop, strict=True)):
        u, shock, root = layout.event_underlying[t], [], []
        for i in range(start, stop):
            j, h = layout.contract[i], schedule.previous[i]
            place = {
                "venue": layout.contract_venue[j],
                "kind": layout.contract_kind[j],
                "contract": j,
            }
            own = _of_contract(spec, natural, u, place)
            noise, left = own["volatility"] ** 2 * own["noise"] / 365.0, layout.tau[i]
            elapsed = SETTLED if h < unseen else (time[i] - time[h]) / YEAR
            steps = Steps.between(np.array([left + elapsed]), np.array([left]))
            law = {name: np.array([own[name]]) for name in spec.law.parameters}
            phi, v = (x.item() for x in spec.law.transition(law, steps, np))
            spread[h] = noise if h < unseen else spread[h]
            predicted = phi**2 * spread[h] + own["volatility"] ** 2 * v
            shock.append(layout.basis[i] - 0.01 * natural["carry"][j] * left - phi * level[h])
            root.append(np.sqrt(predicted + noise))
            gain = predicted / root[-1] ** 2
            level[i], spread[i] = phi * level[h] + gain * shock[-1], gain * noise
        n, rho = stop - start, natural["correlation"][u]
        shape = (rho + (1.0 - rho) * np.eye(n)) * np.outer(root, root)
        ratio = natural["volatility"][u] / natural["volatility"][u][0]
        emission = np.array(
            [multivariate_t(np.zeros(n), k**2 * shape, natural["tail"]).pdf(shock) for k in ratio]
        )
        if u in last:
            regime = last[u][1] @ expm(rates[u] * ((time[start] - last[u][0]) / YEAR))
        else:
            regime = stationary(np.ascontiguousarray(rates[u]))
        last[u] = time[start], regime * emission / (regime @ emission)
        total[t] = np.log(regime @ emission)
    return total


def _of_contract(spec, natural, u, place):
    """Parameters of one contract; its volatility is that of the calmest regime, per root year."""
    own = {}
    for name in (*spec.law.parameters, "volatility", "noise"):
        prior, value = getattr(spec.priors, name), natural[name][u]
        free = prior.free(value[0] if name == "volatility" else value, np)
        for level, row in place.items():
            free += natural[f"{name}_{level}"][row] if f"{name}_{level}" in natural else 0.0
        own[name] = prior.natural(free, np)
    return own | {"volatility": own["volatility"] * 1e-4 * 365.0**0.5}


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        replace(
            SPEC,
            law=LAWS["ou-bridge"](),
            regimes=Regimes(3),
            pooling=Pooling(by_kind=("half_life", "noise")),
            # A bounded volatility: an offset on its free scale is no factor of it.
            priors=Priors(volatility=LogitNormal(10.0, 1.0, 1.0, 40.0)),
        ),
        ALONE,
    ],
    ids=["anchored", "three regimes, bounded", "contracts"],
)
def test_densities_are_those_of_contracts_with_parameters_of_their_own(panel, spec):
    """An independent filter, in each contract's own units, with SciPy's Student-t."""
    prior = prior_draws(spec, panel, draws=1, seed=4)
    found = pointwise(spec, lay_out(spec, panel), prior)["basis"].values[0, 0]
    np.testing.assert_allclose(found, density_by_hand(spec, panel, prior), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("spec", [SPEC, ALONE, BESIDE_SPOT], ids=["venues", "contracts", "spot"])
def test_the_graph_scores_what_the_draws_score(panel, spec):
    target, (layout, raw, _) = log_posterior(spec, panel), drawn(spec, panel, (1, 1))
    flat = np.concatenate([raw[name].ravel() for name in target.shapes])
    density = pointwise(spec, layout, named_draws(spec, layout, raw))
    total = sum(own.sum() for own in density.data_vars.values())
    normal = -0.5 * (flat @ flat + len(flat) * np.log(2.0 * np.pi))
    np.testing.assert_allclose(target(flat)[0] - normal, total, rtol=1e-9)


@pytest.mark.parametrize("spec", [SPEC, ALONE, BESIDE_SPOT], ids=["venues", "contracts", "spot"])
def test_the_gradient_reaches_every_offset(panel, spec):
    target = log_posterior(spec, panel)
    flat = 0.4 * np.random.default_rng(1).standard_normal(target.size)
    _, gradient = target(flat)
    slopes = [
        (target(flat + move)[0] - target(flat - move)[0]) / 2e-4
        for move in 1e-4 * np.eye(target.size)
    ]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)


def test_offsets_of_nothing_leave_the_posterior_as_it_is(panel):
    """To the last bit, where there is one venue and kind; to rounding, where offsets are zero."""
    plain = log_posterior(PLAIN, panel)
    flat = 0.3 * np.random.default_rng(2).standard_normal(plain.size)
    value, slope = plain(flat)
    alone = panel.assign_coords(
        {name: ("contract", ["one"] * panel.sizes["contract"]) for name in ("venue", "kind")}
    )
    lone = log_posterior(SPEC, alone)
    assert lone.shapes == plain.shapes
    assert lone(flat)[0] == value
    np.testing.assert_array_equal(lone(flat)[1], slope)
    both, pieces = log_posterior(SPEC, panel), plain.split(flat)
    zero = {name: np.zeros(shape) for name, shape in both.shapes.items() if name not in pieces}
    added = sum(offset.size for offset in zero.values())
    assert added == 7 * 3
    whole = np.concatenate([(pieces | zero)[name].ravel() for name in both.shapes])
    expected = value - 0.5 * added * np.log(2.0 * np.pi)
    np.testing.assert_allclose(both(whole)[0], expected, rtol=1e-12)


def test_a_card_holds_the_levels_and_refuses_what_a_curve_has_together():
    for spec in (SPEC, ALONE):
        assert read_card(write_card(spec)) == spec
    text = '[pooling]\nby_venue = ["volatility"]\nindependent = ["volatility_venue"]'
    assert read_card(text).pooling.offsets == (("venue", "volatility"),)
    for name, why in {
        "correlation": "of the shock that moves an underlying's whole curve.*no kind has one",
        "tail": "of the shock that moves",
        "stay": "of the chain of regimes that an underlying's whole curve is in",
        "carry": "carry has levels of its own: pooling.venues",
        "slack": "this model gives no contract a slack",
    }.items():
        refusal = f"by_kind names '{name}', but .*{why}.*by itself: half_life, anchor"
        with pytest.raises(ValueError, match=refusal):
            Spec(law=Anchored(), pooling=Pooling(by_kind=(name,)))
    with pytest.raises(ValueError, match="'noise_venue', which no underlying has of its own"):
        Spec(pooling=Pooling(by_kind=("noise",), independent=("noise_venue",)))
