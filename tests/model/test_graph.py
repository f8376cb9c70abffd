"""Facts about the model as a PyMC graph."""

import re

import graphviz
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from scipy.stats import kstest, norm

from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.model.cards import load_card
from bayesbasis.model.graph import build, data_arrays
from bayesbasis.model.hierarchy import dims, filter_inputs, parameters, raw_variables
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters
from bayesbasis.process.regimes import Regimes


def one_underlying():
    prices, _ = simulate_market(seed=1, underlyings=["BTC"], quarters=2, listed_days=30)
    return make_panel(prices)[0]


def three_underlyings_on_two_venues():
    books = []
    for venue in ("east", "west"):
        book, _ = simulate_market(
            seed=len(books),
            underlyings=["BTC", "ETH", "SOL"],
            quarters=2,
            listed_days=30,
            venue=venue,
        )
        books.append(book.assign(contract=book["contract"] + f"@{venue}"))
    return make_panel(pd.concat(books, ignore_index=True))[0]


MODELS = {
    "the default card": lambda: (load_card("anchored-regimes"), one_underlying()),
    "the textbook": lambda: (load_card("ou"), one_underlying()),
    "many markets": lambda: (load_card("anchored-regimes"), three_underlyings_on_two_venues()),
    "mean-reverting spot": lambda: (
        load_card("mean-reverting-spot"),
        three_underlyings_on_two_venues(),
    ),
    "one chain of three regimes, parameters shared": lambda: (
        Spec(regimes=Regimes(3, "market"), pooling=Pooling(underlyings=False)),
        three_underlyings_on_two_venues(),
    ),
}


@pytest.fixture(scope="module", params=MODELS, ids=list(MODELS))
def built(request):
    spec, panel = MODELS[request.param]()
    return spec, panel, build(spec, panel)


def test_the_model_is_plain_pymc_with_named_dims_and_coords(built):
    spec, panel, model = built
    layout = lay_out(spec, panel)
    assert isinstance(model, pm.Model)
    for name, labels in layout.coords.items():
        np.testing.assert_array_equal(model.coords[name], labels)
    named = model.named_vars_to_dims
    for name, own in (raw_variables(spec, layout.levels) | dims(spec, layout.levels)).items():
        assert tuple(named.get(name, ())) == own, name
    assert {v.name for v in model.free_RVs} == set(raw_variables(spec, layout.levels))
    assert {v.name for v in model.deterministics} == set(dims(spec, layout.levels))
    assert [v.name for v in model.potentials] == ["log_likelihood"]
    assert {v.name for v in model.data_vars} == set(data_arrays(layout))


def test_the_prior_predictive_can_be_drawn(built):
    spec, panel, model = built
    # A potential weighs draws of the posterior; those of the prior are free of it, as PyMC says.
    with pytest.warns(UserWarning, match="Potential"):
        prior = pm.sample_prior_predictive(draws=5, model=model, random_seed=1)["prior"]
    layout = lay_out(spec, panel)
    assert prior.sizes["draw"] == 5
    for name, own in dims(spec, layout.levels).items():
        assert prior[name].dims == ("chain", "draw", *own), name
        assert np.isfinite(prior[name]).all(), name
    volatility = prior["volatility"].transpose(..., "regime").values
    assert (np.diff(volatility, axis=-1) > 0).all()
    own = prior[spec.equilibrium.quantity]
    assert own.indexes["contract"].tolist() == panel["contract"].values.tolist()


def test_the_graph_can_be_drawn(built):
    spec, panel, model = built
    picture = pm.model_to_graphviz(model)
    assert isinstance(picture, graphviz.Digraph)
    for name in dims(spec, lay_out(spec, panel).levels):
        assert re.search(rf"\b{name}\b", picture.source), name
    assert "log_likelihood" in picture.source


def test_what_is_sampled_is_standard_normal_but_for_carry(built):
    """And that is centred on its population as far as the model says."""
    spec, panel, model = built
    layout, rng = lay_out(spec, panel), np.random.default_rng(0)
    point = {
        name: rng.standard_normal(np.shape(value)) for name, value in model.initial_point().items()
    }
    terms = model.logp(vars=model.free_RVs, sum=False)
    code = pytensor.function(model.value_vars, terms, mode="FAST_COMPILE")
    natural = natural_of(spec, layout, point)
    for variable, term in zip(
        model.free_RVs, code(*(point[v.name] for v in model.value_vars)), strict=True
    ):
        mean, sd = 0.0, 1.0
        if variable.name == "contract_raw":
            quantity = spec.equilibrium.quantity
            centring = spec.pooling.centring or 0.0
            mean = centring * population(layout, natural, quantity)
            sd = natural[f"{quantity}_between_contracts"] ** centring
        expected = norm.logpdf(point[variable.name], mean, sd)
        np.testing.assert_allclose(term, expected, rtol=1e-10, err_msg=variable.name)


def natural_of(spec, layout, point):
    return parameters(spec, layout.levels, point, layout.members, np)


def population(layout, natural, quantity="carry"):
    """Mean of the population that the carry, or level, of each contract comes from."""
    centre = np.broadcast_to(natural[f"{quantity}_mean"], len(layout.contract_underlying))
    if layout.levels.venues:
        centre = centre + natural[f"{quantity}_venue"][layout.contract_venue]
    if layout.levels.underlyings:
        centre = centre + natural[f"{quantity}_underlying"][layout.contract_underlying]
    return centre


@pytest.mark.parametrize("centring", [0.0, 0.5, 1.0])
def test_a_contract_draws_its_carry_from_its_population_however_it_is_centred(centring):
    spec, panel = Spec(pooling=Pooling(centring=centring)), three_underlyings_on_two_venues()
    layout, model = lay_out(spec, panel), build(spec, panel)
    names = ["carry", "carry_mean", "carry_venue", "carry_underlying", "carry_between_contracts"]
    draws = pm.draw([model[name] for name in names], 400, random_seed=1, mode="FAST_COMPILE")
    natural = dict(zip(names, draws, strict=True))
    centre = (
        natural["carry_mean"][:, None]
        + natural["carry_venue"][:, layout.contract_venue]
        + natural["carry_underlying"][:, layout.contract_underlying]
    )
    standard = (natural["carry"] - centre) / natural["carry_between_contracts"][:, None]
    assert kstest(standard.ravel(), norm.cdf).pvalue > 1e-3


def fair_by_hand(spec, layout, natural):
    """Fair log basis, quote by quote."""
    fair = np.empty_like(layout.tau)
    for i, (tau, j) in enumerate(zip(layout.tau, layout.contract, strict=True)):
        if spec.equilibrium.quantity == "carry":
            fair[i] = natural["carry"][j] / 100 * tau
            continue
        u = layout.contract_underlying[j]
        slow, fast = (natural[f"{part}_half_life"][u] / 365 for part in ("spot", "transient"))
        share = natural["transient_share"][u]
        left = (1 - share) * 0.5 ** (tau / slow) + share * 0.5 ** (tau / fast)
        fair[i] = (left - 1) * (layout.log_spot[i] - natural["level"][j] / 100)
    return fair


def by_hand(spec, panel, point):
    """Log likelihood with NumPy and the kernels, no graph."""
    layout = lay_out(spec, panel)
    natural = natural_of(spec, layout, point)
    phi, variance = [], []
    for moves, group in zip(layout.moves, layout.move_group, strict=True):
        own = {name: np.broadcast_to(natural[name], len(layout.coords["underlying"]))[group]
               for name in spec.law.parameters}  # fmt: skip
        for table, part in zip((phi, variance), spec.law.transition(own, moves, np), strict=True):
            table.append(part)
    return sweep(
        layout.schedule,
        Parameters(
            deviation=layout.basis - fair_by_hand(spec, layout, natural),
            phi=np.concatenate(phi),
            variance=np.concatenate(variance),
            **filter_inputs(spec, natural, np),
        ),
    ).value


def test_the_log_likelihood_is_that_of_the_kernels(built):
    spec, panel, model = built
    code = pytensor.function(
        model.value_vars, model.logp(vars=model.potentials), mode="FAST_COMPILE"
    )
    rng = np.random.default_rng(1)
    for _ in range(3):
        point = {
            name: 0.5 * rng.standard_normal(np.shape(value))
            for name, value in model.initial_point().items()
        }
        found = code(*(point[v.name] for v in model.value_vars))
        np.testing.assert_allclose(found, by_hand(spec, panel, point), rtol=1e-9)


def test_the_gradient_by_all_that_is_sampled_is_a_finite_difference(built):
    _, _, model = built
    value = model.logp(vars=model.potentials)
    code = pytensor.function(
        model.value_vars, [value, *pytensor.grad(value, model.value_vars)], mode="FAST_COMPILE"
    )
    rng = np.random.default_rng(2)
    start = model.initial_point()
    point = [0.5 * rng.standard_normal(np.shape(start[v.name])) for v in model.value_vars]
    _, *gradient = code(*point)
    for i, (variable, slope) in enumerate(zip(model.value_vars, gradient, strict=True)):
        move = rng.standard_normal(np.shape(point[i]))

        def score(h, i=i, move=move):
            return float(code(*point[:i], point[i] + h * move, *point[i + 1 :])[0])

        def central(h, score=score):
            return (score(h) - score(-h)) / (2 * h)

        expected = (64 * central(0.0025) - 20 * central(0.005) + central(0.01)) / 45
        np.testing.assert_allclose(
            (slope * move).sum(), expected, rtol=1e-6, atol=1e-6, err_msg=variable.name
        )


def test_another_panel_of_the_same_hierarchy_fits_the_same_graph():
    spec, panel = Spec(), one_underlying()
    prices, _ = simulate_market(seed=7, underlyings=["ETH"], quarters=3, listed_days=40)
    other, _ = make_panel(prices)
    model, rng = build(spec, panel), np.random.default_rng(3)
    code = model.compile_logp(vars=model.potentials, mode="FAST_COMPILE", on_unused_input="ignore")
    layout = lay_out(spec, other)
    with model:
        pm.set_data(data_arrays(layout), coords=layout.coords)
    point = {
        name: rng.standard_normal([len(layout.coords[dim]) for dim in own])
        for name, own in raw_variables(spec, layout.levels).items()
    }
    np.testing.assert_allclose(code(point), by_hand(spec, other, point), rtol=1e-9)
