"""Facts about covariates in the model."""

from dataclasses import replace

import numpy as np
import pytest

from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import known_at, make_panel
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.cards import read_card, write_card
from bayesbasis.model.hierarchy import filter_inputs, law_parameters, parameters
from bayesbasis.model.layout import lay_out
from bayesbasis.model.priors import Horseshoe, LogNormal, Priors
from bayesbasis.model.records import CardError
from bayesbasis.model.spec import Drivers, Spec
from bayesbasis.process.equilibria import CostOfCarry
from bayesbasis.process.laws import LAWS
from bayesbasis.process.regimes import Regimes

DRIVEN = Spec(
    equilibrium=CostOfCarry(covariates=("rate", "fear"), fixed="lent"),
    drivers=Drivers(speed=("fear",), stay=("rate", "fear")),
    priors=Priors(coefficient=Horseshoe(1.0, 5.0)),
)


@pytest.fixture(scope="module")
def panel():
    prices, _ = simulate_market(seed=1, quarters=2, listed_days=60)
    rng = np.random.default_rng(0)
    for name, level in (("rate", 4.0), ("fear", -20.0), ("lent", 3.0)):
        prices[name] = level + rng.standard_normal(len(prices))
    return make_panel(prices)[0]


@pytest.fixture(scope="module")
def layout(panel):
    return lay_out(DRIVEN, panel)


@pytest.fixture(scope="module")
def point(panel):
    target = log_posterior(DRIVEN, panel)
    return target, 0.4 * np.random.default_rng(2).standard_normal(target.size)


def natural_of(spec, layout, raw):
    return parameters(spec, layout.levels, raw, layout.members, np)


def test_the_gradient_is_a_finite_difference_through_all_that_covariates_drive(point):
    target, flat = point
    _, gradient = target(flat)
    for name, (cut, _) in zip(target.shapes, target.cuts, strict=True):
        for i in range(cut.start, cut.stop):
            move = np.zeros(target.size)
            move[i] = 1e-3
            slope = 8 * (target(flat + move)[0] - target(flat - move)[0])
            slope -= target(flat + 2 * move)[0] - target(flat - 2 * move)[0]
            np.testing.assert_allclose(
                gradient[i], slope / 0.012, rtol=1e-5, atol=1e-5, err_msg=name
            )


def test_carry_moves_with_covariates_and_takes_what_is_observed(layout, panel, point):
    target, flat = point
    natural = natural_of(DRIVEN, layout, target.split(flat))
    offset, loading = DRIVEN.equilibrium.curve(natural, layout.quotes, np)
    for i in np.flatnonzero(layout.order >= 0)[::17]:
        row, u = layout.order[i], layout.contract_underlying[layout.contract[i]]
        carry = float(panel["lent"][row])
        for k, name in enumerate(("rate", "fear")):
            values = panel[name].values
            carry += natural["coefficient"][u, k] * (values[row] - values.mean()) / values.std()
        np.testing.assert_allclose(offset[i], carry / 100 * layout.tau[i], rtol=1e-10)
        np.testing.assert_allclose(loading[i], layout.tau[i] / 100, rtol=1e-14)


def test_a_move_is_driven_by_what_was_known_where_it_started(layout, panel, point):
    target, flat = point
    natural = natural_of(DRIVEN, layout, target.split(flat))
    fear = (panel["fear"].values - panel["fear"].values.mean()) / panel["fear"].values.std()
    drive, group = np.concatenate(layout.move_drive), np.concatenate(layout.move_group)
    for i in np.flatnonzero(layout.schedule.previous >= 0)[::13]:
        before = layout.order[layout.schedule.previous[i]]
        # Nobody saw where a first move started: it is driven as it ended.
        expected = fear[before if before >= 0 else layout.order[i]]
        np.testing.assert_allclose(drive[layout.schedule.step[i], 0], expected, rtol=1e-12)
    own = law_parameters(DRIVEN, natural, group, drive, np)["half_life"]
    slope = natural["speed_coefficient"][group, 0]
    np.testing.assert_allclose(own, natural["half_life"][group] * np.exp(-slope * drive[:, 0]))


def test_stays_are_driven_by_the_event_before(layout, panel, point):
    target, flat = point
    natural = natural_of(DRIVEN, layout, target.split(flat))
    rates = filter_inputs(DRIVEN, natural, np, layout.clock)["rates"]
    table = np.stack([panel[name].values for name in ("rate", "fear")], axis=1)
    table = (table - table.mean(0)) / table.std(0)
    start, stop = layout.schedule.event_start, layout.schedule.event_stop
    for t in range(1, len(start), 11):
        if layout.schedule.gap[t] < 0:
            continue
        u = layout.event_underlying[t]
        x = table[layout.order[start[t - 1] : stop[t - 1]]].mean(0)
        stay = natural["stay"][u] * np.exp(natural["stay_coefficient"][u] @ x)
        row = layout.schedule.gap_chain[layout.schedule.gap[t]]
        np.testing.assert_allclose(-365 / np.diag(rates[row]), stay, rtol=1e-10)


def test_without_a_clock_stays_are_those_at_average_covariates(layout, point):
    target, flat = point
    natural = natural_of(DRIVEN, layout, target.split(flat))
    rates = filter_inputs(DRIVEN, natural, np)["rates"]
    leaving = np.diagonal(rates, axis1=-2, axis2=-1)
    np.testing.assert_allclose(-365 / leaving, natural["stay"], rtol=1e-12)


def test_coefficients_of_zero_leave_the_plain_model(panel):
    plain = Spec()
    driven = replace(
        plain,
        equilibrium=CostOfCarry(covariates=("rate",)),
        drivers=Drivers(speed=("fear",), stay=("rate",)),
    )
    mine, other = log_posterior(driven, panel), log_posterior(plain, panel)
    flat = 0.3 * np.random.default_rng(1).standard_normal(mine.size)
    raw = mine.split(flat)
    new = [name for name in raw if "coefficient" in name]
    raw |= {name: np.zeros_like(raw[name]) for name in new}
    rest = np.concatenate([raw[name].ravel() for name in other.shapes])
    all_of_it = np.concatenate([raw[name].ravel() for name in mine.shapes])
    gap = mine(all_of_it)[0] - other(rest)[0]
    normals = sum(raw[name].size for name in new)
    np.testing.assert_allclose(gap, -0.5 * normals * np.log(2 * np.pi), rtol=1e-9)


def test_a_later_panel_is_standardised_as_the_fitted_one(panel):
    fitted = known_at(panel, "2022-04-01")
    later = lay_out(DRIVEN, panel, fitted)
    rate = (panel["rate"].values - fitted["rate"].values.mean()) / fitted["rate"].values.std()
    seen = later.order >= 0
    np.testing.assert_allclose(later.covariates[seen, 0], rate[later.order[seen]])
    assert not later.covariates[~seen].any()


def test_a_horseshoe_has_half_cauchy_scales_bounded_by_its_slab():
    rng = np.random.default_rng(3)
    prior = Horseshoe(0.5, 8.0)
    local, over, top, below, normal = rng.standard_normal((5, 400_000))
    found = prior.shrunk(normal, local, over, top, below, np)
    scale = 0.5 * np.abs(local / over * top / below)
    direct = normal * scale / np.sqrt(1 + (scale / 8.0) ** 2)
    np.testing.assert_allclose(np.abs(found), np.abs(direct), rtol=1e-9)
    assert found[np.abs(normal) < 2].max() <= 16.0
    assert np.median(np.abs(found)) < 0.5
    assert np.quantile(np.abs(found), 0.95) > 5.0


@pytest.mark.parametrize("at", [0, 1])
def test_a_horseshoe_is_finite_where_its_ratios_are_not(at):
    parts = [1.0, 1.0, 1.0]
    parts[at] = 0.0
    assert np.isfinite(Horseshoe(1.0, 2.0).shrunk(0.5, 1.0, *parts, np))


def test_cards_hold_covariates():
    assert read_card(write_card(DRIVEN)) == DRIVEN
    text = '[equilibrium]\nname = "cost-of-carry"\ncovariates = ["rate"]\n[drivers]\nstay = ["x"]'
    card = read_card(text)
    assert card.equilibrium.covariates == ("rate",)
    assert card.drivers == Drivers(stay=("x",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('drivers = { speed = "x" }', "speed is 'x'; it takes an array of strings"),
        ("drivers = { speed = [1] }", "speed is an array; it takes an array of strings"),
        (
            'equilibrium = { name = "cost-of-carry", covariates = ["a", "a"] }',
            "covariates are a, a; name each once",
        ),
        (
            'equilibrium = { name = "cost-of-carry", fixed = "a" }\ndrivers = { stay = ["a"] }',
            "column 'a' is carry taken as given; it cannot be a covariate as well",
        ),
        (
            'regimes = { count = 1 }\ndrivers = { stay = ["a"] }',
            "drivers.stay is a, but the model has no stays to drive",
        ),
        (
            'priors = { noise = { distribution = "horseshoe", scale = 1.0, slab = 2.0 } }',
            "noise has a horseshoe prior, which is for coefficients of covariates",
        ),
    ],
)
def test_cards_that_cannot_be_say_why(text, message):
    with pytest.raises(CardError) as error:
        read_card(text)
    assert message in str(error.value)


def test_a_law_without_half_life_has_no_speed_to_drive():
    laws = [law() for law in LAWS.values() if "half_life" not in law().parameters]
    for law in laws:
        with pytest.raises(
            ValueError, match=r"drivers.speed is x, but the law .* has no half-life"
        ):
            Spec(law=law, drivers=Drivers(speed=("x",)))


def test_stochastic_volatility_has_no_stays_to_drive():
    with pytest.raises(ValueError, match="no stays to drive"):
        Spec(regimes=Regimes(9, volatility="stochastic"), drivers=Drivers(stay=("x",)))


def test_what_a_panel_lacks_is_said_with_a_remedy(panel):
    with pytest.raises(
        ValueError, match=r"reads column 'rate', which the panel lacks; it has .*join"
    ):
        lay_out(DRIVEN, panel.drop_vars("rate"))
    holes = panel["fear"].copy()
    holes[5] = np.nan
    with pytest.raises(ValueError, match=r"'fear' is missing at 1 of \d+ quotes.*dropna"):
        lay_out(DRIVEN, panel.assign(fear=holes))
    with pytest.raises(ValueError, match="'rate' is the same in all quotes"):
        lay_out(DRIVEN, panel.assign(rate=panel["rate"] * 0 + 1))


def test_a_horseshoe_needs_sizes():
    with pytest.raises(ValueError, match="a horseshoe prior needs slab > 0, got 0"):
        Horseshoe(1.0, 0.0)
    assert LogNormal(1.0, 2.0).natural(0.0, np) == 1.0
