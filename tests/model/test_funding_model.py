from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

from bayesbasis.data.funding import make_funding
from bayesbasis.data.panel import known_at
from bayesbasis.model.funding_cards import (
    load_funding_card,
    read_funding_card,
    write_funding_card,
)
from bayesbasis.model.funding_graph import build_funding
from bayesbasis.model.funding_layout import lay_out_funding, measured_at
from bayesbasis.model.funding_market import FUNDING_TRUTH, simulate_funding
from bayesbasis.model.funding_parameters import (
    cells_by_rule,
    chains,
    edge,
    funding_dims,
    funding_parameters,
    funding_raw,
    own_names,
    own_prior,
    own_spreads,
    shifts,
    state_values,
)
from bayesbasis.model.funding_spec import FundingPriors, FundingSpec
from bayesbasis.model.priors import LogNormal
from bayesbasis.model.records import CardError
from bayesbasis.process.censored import Chains, track
from bayesbasis.process.ladder import occupancy, rungs
from bayesbasis.process.premia import Rules, draw_rows, simulate_premia, simulate_states

SMALL = FundingSpec(levels=3, swings=2, regimes=2)


@pytest.fixture(scope="module")
def history():
    frame = simulate_funding(seed=1, days=20, venues=("binance", "bybit", "hyperliquid"))
    return make_funding(frame.assign(dated_carry=np.arange(len(frame)) % 7.0))[0]


def potential(model, name, raw):
    """Evaluate a potential of a model."""
    (wanted,) = (x for x in model.potentials if x.name == name)
    given = {model.rvs_to_values[model[variable]]: value for variable, value in raw.items()}
    (value,) = model.replace_rvs_by_values([wanted])
    return value.eval(given, mode="FAST_COMPILE", on_unused_input="ignore")


def one_cell(*, hidden, interest=1.0, clamp=5.0, plain=False):
    return cells_by_rule(*(np.array([x]) for x in (0, 8.0, hidden, interest, clamp, plain)))


def raw_of(spec, history, seed=0):
    rng = np.random.default_rng(seed)
    sizes = {
        "contract": history.sizes["contract"],
        "own": len(own_names(spec)) - 1,
        "regime": spec.regimes,
        "covariate": len(spec.covariates),
    }
    return {
        name: rng.standard_normal([sizes[dim] for dim in dims])
        for name, dims in funding_raw(spec).items()
    }


def test_rates_stand_at_the_interval_they_were_measured_in(history):
    late = history["venue"].values[history["contract_index"].values] == "bybit"
    ahead = history["scheduled"].values - measured_at(history)
    assert (ahead[late] == np.timedelta64(8, "h")).all()
    assert (ahead[~late] == np.timedelta64(0, "h")).all()


def test_venues_of_one_underlying_share_events_where_they_share_chains(history):
    shared, own = (
        lay_out_funding(FundingSpec(shared_by=by), history) for by in ("underlying", "contract")
    )
    sizes = shared.settlements.event_stop - shared.settlements.event_start
    assert sizes.max() == 3
    assert (own.settlements.event_stop - own.settlements.event_start == 1).all()
    assert (shared.settlements.gap < 0).sum() == 2
    assert (own.settlements.gap < 0).sum() == 6
    np.testing.assert_allclose(shared.gap_days, [1 / 24])
    np.testing.assert_allclose(own.gap_days, [1 / 24, 1 / 3])


def test_the_last_premium_is_hidden_in_the_dead_zone_at_the_start_and_after_a_gap(history):
    one = history.isel(obs=np.flatnonzero(history["contract_index"].values == 0))
    low, high = (one[f"premium_{side}"].values * 1e4 for side in ("lower", "upper"))
    told = low == high
    assert 0 < told.sum() < len(told)
    layout = lay_out_funding(SMALL, one)
    np.testing.assert_allclose(layout.before[1:], np.where(told, low, 0.0)[:-1])
    hidden = layout.cells.hidden[layout.settlements.cell]
    np.testing.assert_array_equal(hidden, [1.0, *~told[:-1]])
    first = np.flatnonzero(told)[3] + 1
    holey = one.isel(obs=np.delete(np.arange(one.sizes["obs"]), [first, first + 1]))
    layout = lay_out_funding(SMALL, holey)
    assert layout.before[first] == 0.0
    assert layout.cells.hidden[layout.settlements.cell][first] == 1.0


def test_a_premium_that_is_hidden_rests_in_the_dead_zone():
    spec = FundingSpec(levels=3, swings=1, regimes=1)
    own = {"floor": -1.0, "level": 4.0, "noise": 1.0, "memory": 0.2}
    natural = {name: np.array([value]) for name, value in own.items()}
    given = {"skew": 1.0, "growth": 0.2, "slow_half_life": 10.0, "width": 1.0}
    natural |= {name: np.array(value) for name, value in given.items()}
    gap = np.array([1.0])
    told, hidden = (chains(spec, natural, one_cell(hidden=x), gap, np) for x in (0.0, 1.0))
    resting = -4.0 - 1.0 + 4.0 * np.exp(rungs(3))
    assert (np.abs(resting - 1.0) > 5.0).tolist() == [True, False, True]
    stays = told["memory"][0]
    np.testing.assert_allclose(told["location"][0], (1.0 - stays) * resting)
    guessed = np.clip(resting, -4.0, 6.0)
    np.testing.assert_allclose(hidden["location"][0], (1.0 - stays) * resting + stays * guessed)


@pytest.mark.parametrize(
    ("interest", "clamp", "plain", "wanted"),
    [(1.0, 5.0, False, -4.0), (-1.0, 5.0, False, 4.0), (0.0, 2.5, False, 0.0), (1.0, 0, True, 0.0)],
)
def test_floors_are_counted_from_the_edge_towards_no_funding(interest, clamp, plain, wanted):
    cell = one_cell(hidden=0.0, interest=interest, clamp=clamp, plain=plain)
    assert edge(cell, np) == [wanted]


def test_at_rest_a_plain_rule_pays_what_the_usual_one_does_on_average():
    spec = FundingSpec(levels=9, swings=1, regimes=1)
    own = {"floor": -2.0, "level": 3.0, "noise": 1.0, "memory": 0.2}
    given = {"skew": 1.0, "growth": 0.2, "slow_half_life": 10.0, "width": 1.0}
    natural = {name: np.array([value]) for name, value in own.items()}
    natural |= {name: np.array(value) for name, value in given.items()}
    one, off = np.ones(1), np.array([False])
    usual = one_cell(hidden=0.0)
    plain = one_cell(hidden=0.0, clamp=0.0, plain=True)
    # Premia around where they rest, logistic with a scale of 1 bp.
    odds = (np.arange(200_000) + 0.5) / 200_000
    around = {"usual": np.log(odds / (1.0 - odds)), "plain": np.zeros(1)}
    paid = {}
    for name, cells, rule in (
        ("usual", usual, Rules(one, 5.0 * one, 999.0 * one, off, 0.0 * one)),
        ("plain", plain, Rules(one, 0.0 * one, 999.0 * one, ~off, 0.0 * one)),
    ):
        found = chains(spec, natural, cells, np.array([1.0]), np)
        resting = found["location"][0] / (1.0 - found["memory"][0])
        paid[name] = np.array([rule.funding((r + around[name])[:, None]).mean() for r in resting])
    np.testing.assert_allclose(paid["plain"], paid["usual"], atol=1e-4)
    # Below the zone, in it, and above.
    assert paid["usual"][0] < 0.0
    assert np.abs(paid["usual"] - 1.0).min() < 0.2
    assert paid["usual"][-1] > 20.0


def test_states_run_over_rungs_and_regimes():
    spec = FundingSpec(levels=3, swings=2, regimes=2)
    given = {"skew": 0.5, "growth": 0.2, "tail": 0.4, "volatility_ratio": 3.0}
    natural = {name: np.array(value) for name, value in given.items()}
    level, drift, swing, relative = state_values(spec, natural, np)
    x, z = rungs(3), rungs(2)
    assert (drift == 0.0).all()
    assert level[4] == 1.0
    assert level[-1] == pytest.approx(np.exp(0.5 * x[2]))
    scale = 3.0 * np.exp(0.2 * x[2])
    assert relative[-1] == pytest.approx(scale * np.cosh(0.4 * z[1]))
    assert swing[-1] == pytest.approx(scale * np.sinh(0.4 * z[1]) / 0.4)
    # Noise follows the slope of the fast premium, up and down alike.
    assert relative[0] == relative[2]
    assert swing[0] == -swing[2]


def test_noise_has_the_variance_of_what_is_nearer_to_a_rung_than_to_others():
    spec = FundingSpec(levels=2, swings=3)
    own = {"floor": 0.0, "level": 1.0, "swing": 4.0, "noise": 0.5, "memory": 0.2}
    natural = {name: np.array([value]) for name, value in own.items()}
    given = {"skew": 0.1, "growth": 0.0, "tail": 1e-6, "slow_half_life": 9.0, "fast_half_life": 1.0}
    natural |= {name: np.array(value) for name, value in given.items()}
    found = chains(spec, natural | {"width": np.array(1.0)}, one_cell(hidden=0.0), np.ones(1), np)
    new = 1.0 - found["memory"][0]
    # Rungs of three stand sqrt(2) apart, and premia take up what is new in them.
    between = new * 4.0 * np.random.default_rng(1).uniform(-1.0, 1.0, 1_000_000) / np.sqrt(2.0)
    variance = between.var() + 0.5**2 * t(4).var()
    np.testing.assert_allclose(found["scale"] ** 2 * t(4).var(), variance, rtol=2e-3)


def test_a_drift_is_a_ladder_of_its_own_above_the_slow_one():
    spec = FundingSpec(drifts=3, levels=2, swings=1, regimes=1)
    given = {"skew": 0.5, "growth": 0.2}
    level, drift, _, _ = state_values(spec, {n: np.array(v) for n, v in given.items()}, np)
    np.testing.assert_allclose(drift, np.repeat(rungs(3), 2))
    np.testing.assert_allclose(level, np.tile(level[:2], 3))
    own = {"floor": 1.0, "level": 4.0, "drift": 3.0, "noise": 1.0, "memory": 0.2}
    natural = {name: np.array([value]) for name, value in own.items()}
    natural |= {name: np.array(value) for name, value in given.items()}
    natural |= {"slow_half_life": np.array(10.0), "drift_half_life": np.array(80.0)}
    natural |= {"width": np.array(1.0)}
    gap = np.array([4.0])
    found = chains(spec, natural, one_cell(hidden=0.0), gap, np)
    resting = found["location"][0] / (1.0 - found["memory"][0])
    np.testing.assert_allclose(resting, -4.0 + 1.0 + 4.0 * level + 3.0 * drift)
    # The mean of either ladder decays by its own half-life, whatever the other does.
    mean = found["slow"][0] @ drift
    np.testing.assert_allclose(mean, 2.0 ** (-4.0 / 80.0) * drift, atol=1e-15)
    slow = np.tile(rungs(2), 3)
    np.testing.assert_allclose(found["slow"][0] @ slow, 2.0 ** (-4.0 / 10.0) * slow)
    np.testing.assert_allclose(found["start"] @ found["slow"][0], found["start"], atol=1e-15)


def test_matrices_hold_odds(history):
    layout = lay_out_funding(SMALL, history)
    natural = funding_parameters(SMALL, raw_of(SMALL, history), np)
    inputs = chains(SMALL, natural, layout.cells, layout.gap_days, np)
    np.testing.assert_allclose(inputs["inner"].sum(-1), 1.0)
    start, cells = inputs["start"].reshape(3, 4), layout.cells
    np.testing.assert_allclose(start.sum(1), occupancy(3))
    np.testing.assert_allclose(start.sum(0) @ inputs["inner"][0], start.sum(0), atol=1e-14)
    np.testing.assert_allclose(
        inputs["memory"], 2.0 ** (-cells.hours / 24 / natural["memory"][cells.contract])
    )


@pytest.mark.parametrize(
    "spec",
    [
        SMALL,
        replace(SMALL, shared_by="underlying"),
        replace(SMALL, drifts=3),
        replace(SMALL, covariates=("dated_carry",)),
        FundingSpec(levels=2, swings=1, regimes=1),
    ],
)
def test_the_graph_is_the_filter_and_standard_normals(spec, history):
    model = build_funding(spec, history)
    raw = raw_of(spec, history)
    assert [x.name for x in model.free_RVs] == list(funding_raw(spec))
    natural = funding_parameters(spec, raw, np)
    assert set(natural) == set(funding_dims(spec))
    layout = lay_out_funding(spec, history)
    inputs = chains(spec, natural, layout.cells, layout.gap_days, np)
    known = layout.settlements.cell, layout.before, layout.covariates
    inputs["shift"] = shifts(natural, inputs["memory"], *known)
    one = Chains(*(np.ascontiguousarray(inputs[name], dtype=float) for name in Chains._fields))
    filtered = track(layout.settlements, one).log_density.sum()
    # Those of the market are not in the likelihood: contracts' own are.
    value = potential(model, "log_likelihood", raw)
    assert value == pytest.approx(filtered, rel=1e-11)


@pytest.mark.parametrize("spec", [SMALL, FundingSpec(levels=2, swings=1, regimes=1)])
def test_contracts_are_normal_around_the_market(spec, history):
    raw = raw_of(spec, history)
    natural = funding_parameters(spec, raw, np)
    standard = sum(norm.logpdf(raw[f"{name}_contract_raw"]).sum() for name in own_names(spec))
    wanted = 0.0
    for place, name in enumerate(own_names(spec)):
        spread = natural["between"][place - 1] if place else natural["floor_between"]
        prior = getattr(spec.priors, name)
        market, own = (prior.free(natural[x], np) for x in (f"{name}_market", name))
        # Of the parameter where it is free; what is sampled is that in deviations of its prior.
        wanted += norm.logpdf(own, market, spread).sum() + len(own) * np.log(prior.scale)
    assert own_prior(spec, raw, natural, np) + standard == pytest.approx(wanted)
    model = build_funding(spec, history)
    found = potential(model, "own_prior", raw)
    assert found + standard == pytest.approx(wanted)


def test_by_the_priors_about_half_of_all_settlements_pay_the_interest_rate():
    spec, contracts, again = FundingSpec(), 300, 50
    rng = np.random.default_rng(1)
    sizes = {"contract": 1, "own": len(own_names(spec)) - 1, "regime": spec.regimes}
    raw = {
        name: rng.standard_normal([contracts, *(sizes[dim] for dim in dims)])
        for name, dims in funding_raw(spec).items()
    }
    natural = funding_parameters(spec, raw, np)
    for name, spread in own_spreads(spec, natural).items():
        away = spread[:, None] * raw[f"{name}_contract_raw"]
        raw[f"{name}_contract_raw"] = raw[f"{name}_raw"][:, None] + away
    natural = funding_parameters(spec, raw, np)
    natural = {name: value.repeat(again, axis=0) for name, value in natural.items()}
    inputs = chains(spec, natural, one_cell(hidden=0.0), np.array([1 / 3]), np)
    steps = np.zeros(20, dtype=int)
    moves = inputs["slow"], inputs["inner"]
    states = simulate_states(draw_rows(inputs["start"], rng), moves, steps, rng)
    off, one = np.array([False]), np.ones(1)
    rules = Rules(one, 5.0 * one, 30.0 * one, off, inputs["widening"])
    own = (inputs[name] for name in ("location", "scale", "guess", "memory"))
    due, before = np.ones((20, 1), dtype=bool), np.array([np.nan])
    _, funding = simulate_premia(states, due, before, *own, rules, rng)
    dead = (funding[10:, :, 0] == 1.0).reshape(10, contracts, again).mean((0, 2))
    assert dead.mean() == pytest.approx(0.5, abs=0.05)
    low, high = np.quantile(dead, [0.05, 0.95])
    assert 0.15 < low < 0.3
    assert 0.7 < high < 0.85


def test_covariates_move_what_premia_return_to():
    natural = {"coefficient": np.array([2.0, -1.0])}
    memory, cell = np.array([0.25, 0.5]), np.array([0, 1, 1])
    x = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    found = shifts(natural, memory, cell, np.array([4.0, 4.0, 4.0]), x)
    np.testing.assert_allclose(found, [1.0, 2.0 + 0.5 * 2.0, 2.0 + 0.5 * (2.0 - 2.0)])
    np.testing.assert_allclose(shifts({}, memory, cell, np.ones(3), x[:, :0]), [0.25, 0.5, 0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.drop_vars("dated_carry"), "reads column 'dated_carry', which the panel lacks"),
        (lambda x: x.assign(dated_carry=0.0 * x["dated_carry"]), "is the same in all quotes"),
        (lambda x: x.assign(dated_carry=x["dated_carry"].where(x["interval"] > 1)), "is missing"),
    ],
)
def test_a_covariate_that_says_nothing_is_refused(history, change, message):
    spec = replace(SMALL, covariates=("dated_carry",))
    with pytest.raises(ValueError, match=message):
        lay_out_funding(spec, change(history))


def test_the_card_that_comes_along_is_the_default():
    assert load_funding_card("funding") == FundingSpec()
    assert load_funding_card("funding").summary
    on_carry = load_funding_card("funding-on-carry")
    assert on_carry == FundingSpec(covariates=("dated_carry",))
    assert on_carry.summary


def test_a_card_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(CardError) as error:
        load_funding_card("fnding")
    assert str(error.value) == (
        "no funding card is named 'fnding'; did you mean 'funding'? There is 'funding' or "
        "'funding-on-carry'; a path to a card of your own ends in .toml"
    )
    path = tmp_path / "mine.toml"
    with pytest.raises(CardError, match=r"^no card at "):
        load_funding_card(path)
    path.write_text(write_funding_card(FundingSpec(levels=5)))
    assert load_funding_card(path).levels == 5


def test_cards_keep_a_model():
    spec = FundingSpec(levels=5, shared_by="underlying", covariates=("carry", "rate"))
    spec = replace(spec, name="mine", summary="what it is")
    spec = replace(spec, priors=FundingPriors(noise=LogNormal(3.0, 2.0)))
    back = read_funding_card(write_funding_card(spec))
    assert back == spec
    assert (back.name, back.summary) == ("mine", "what it is")
    with pytest.raises(CardError, match="unknown table or key 'level'; did you mean 'levels'"):
        read_funding_card("level = 5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": 1}, "at least 2 rungs"),
        ({"swings": 0}, "1 leaves the fast premium out"),
        ({"drifts": 0}, "1 leaves the drift out"),
        ({"regimes": 3}, "choose 1 or 2"),
        ({"shared_by": "venue"}, "choose 'contract' or 'underlying'"),
        ({"covariates": ("carry", "carry")}, "name each once"),
    ],
)
def test_a_model_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        FundingSpec(**change)


def test_simulated_funding_pays_what_its_premium_says():
    frame = simulate_funding(seed=2, days=30, venues=["binance"], underlyings=["BTC"])
    soft = np.clip(1e-4 - frame["premium"], -5e-4, 5e-4)
    np.testing.assert_allclose(frame["funding_rate"], frame["premium"] + soft, atol=1e-15)


def test_a_simulated_history_is_clean_and_known_in_part():
    made, audit = make_funding(simulate_funding(seed=1, days=20, venues=["okx", "hyperliquid"]))
    assert audit[audit["check"].isin(["gap", "shifted clock", "duplicate"])]["rows"].sum() == 0
    assert set(made["interval"].values) == {1.0, 8.0}
    assert known_at(made, "2024-01-05").sizes["obs"] < made.sizes["obs"]


def test_simulated_venues_move_together_where_they_share_chains():
    def likeness(shared_by):
        frame = simulate_funding(
            seed=3, days=300, underlyings=["BTC"], venues=["binance", "okx"],
            spec=FundingSpec(shared_by=shared_by), truth=FUNDING_TRUTH,
        )  # fmt: skip
        wide = frame.pivot_table(index="time", columns="venue", values="premium")
        return wide.corr().iloc[0, 1]

    assert likeness("underlying") > 0.5
    assert abs(likeness("contract")) < 0.4
