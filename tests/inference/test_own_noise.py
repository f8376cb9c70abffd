"""Facts about models whose quotes have noise of their own, beside moves that the curve shares."""

from dataclasses import replace

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.inference.draws import filter_parameters
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.cards import read_card, write_card
from bayesbasis.model.hierarchy import parameters
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Spec
from bayesbasis.model.spot import Spot
from bayesbasis.process.paced import run_filter
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks
from bayesbasis.report.equations import equations


def with_own(card):
    spec = bb.load_card(card)
    return replace(spec, shocks=replace(spec.shocks, noise="own"))


@pytest.fixture(scope="module")
def curve():
    prices, _ = bb.simulate_market(seed=1, quarters=3, listed_days=150)
    return bb.make_panel(prices)[0]


@pytest.mark.parametrize("card", ["anchored-regimes-2", "contract-volatility"])
def test_graph_and_draws_score_alike_and_slopes_are_finite_differences(curve, card):
    spec = with_own(card)
    target, layout = log_posterior(spec, curve), lay_out(spec, curve)
    flat = 0.3 * np.random.default_rng(2).standard_normal(target.size)
    pieces = {name: value[None] for name, value in target.split(flat).items()}
    natural = parameters(spec, layout.levels, pieces, layout.members, np)
    (p,) = filter_parameters(spec, layout, natural)
    prior = -0.5 * (flat @ flat + flat.size * np.log(2.0 * np.pi))
    value, slopes = target(flat)
    if not layout.levels.apart:
        np.testing.assert_allclose(value - prior, run_filter(layout.schedule, p).value, rtol=1e-12)
    assert value != log_posterior(bb.load_card(card), curve)(flat)[0]
    for i, move in enumerate(1e-4 * np.eye(flat.size)):
        expected = (target(flat + move)[0] - target(flat - move)[0]) / 2e-4
        np.testing.assert_allclose(slopes[i], expected, rtol=1e-4, atol=1e-3)


def test_paths_of_such_a_fit_reach_expiry(curve, fabricate):
    spec = with_own("anchored-regimes-2")
    origin = curve["time"].values.min() + np.timedelta64(40, "D")
    fit = fabricate(spec, bb.known_at(curve, origin), chains=2, draws=50)
    paths = bb.forecast(fit, seed=1)
    basis = paths["basis"].where(paths["tau"] >= 0)
    assert np.isfinite(basis.values[np.isfinite(paths["tau"].values + 0 * basis.values)]).all()
    assert "spot" in paths


def test_a_card_holds_the_switch_and_says_so():
    spec = Spec(shocks=Shocks(noise="own"))
    assert read_card(write_card(spec)).shocks == spec.shocks
    said = dict(equations(spec))["quotes"]
    assert said[0] == "quote = z + noise,  noise variance σ² f, each quote's own"
    assert said[1].startswith("moves of one underlying at one time: ")


def test_what_it_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"^shocks.noise is 'none'; choose 'shared' or 'own'$"):
        Shocks(noise="none")
    said = "^shocks.noise = 'own' has no filter beside spot, nor for regimes.speed = 'own'; "
    with pytest.raises(ValueError, match=said):
        Spec(shocks=Shocks(noise="own"), spot=Spot())
    with pytest.raises(ValueError, match=said):
        Spec(shocks=Shocks(noise="own"), regimes=Regimes(2, speed="own"))


def test_jax_has_no_filter_for_it(curve):
    with pytest.raises(ValueError, match=r"^sampler backend 'jax' has no filter for shocks.noise"):
        bb.fit(with_own("ou"), curve, seed=1, sampler={"backend": "jax"}, progress=False)
