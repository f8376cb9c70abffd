"""Facts about models in which every regime has a speed of its own."""

import re
from dataclasses import replace

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.inference.draws import filter_parameters, natural_draws
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.sampling import named_draws
from bayesbasis.model.cards import read_card, write_card
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.process.laws import BrownianBridge
from bayesbasis.process.paced import Paced, run_filter
from bayesbasis.process.regimes import Regimes

OWN = Spec(regimes=Regimes(3, speed="own"))


@pytest.fixture(scope="module")
def panel():
    prices, _ = bb.simulate_market(seed=1, quarters=2, listed_days=30)
    return bb.make_panel(prices)[0]


def at_random(target, seed=1, size=0.4):
    return size * np.random.default_rng(seed).standard_normal(target.size)


def flat_of(target, pieces):
    return np.concatenate([pieces[name].ravel() for name in target.shapes])


def test_the_gradient_goes_through_every_speed(panel):
    target = log_posterior(OWN, panel)
    flat = at_random(target)
    _, gradient = target(flat)
    moves = 1e-4 * np.eye(target.size)
    slopes = [(target(flat + m)[0] - target(flat - m)[0]) / 2e-4 for m in moves]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)


def test_equal_speeds_are_one_speed(panel):
    own, plain = log_posterior(OWN, panel), log_posterior(Spec(regimes=Regimes(3)), panel)
    pieces = plain.split(at_random(plain))
    speeds = {name: np.zeros(own.shapes[name]) for name in own.shapes if name not in pieces}
    assert set(speeds) == {f"speed_ratio{part}_raw" for part in ("", "_between", "_offset")}
    count = sum(piece.size for piece in speeds.values())
    expected = plain(flat_of(plain, pieces))[0] - 0.5 * count * np.log(2.0 * np.pi)
    np.testing.assert_allclose(own(flat_of(own, pieces | speeds))[0], expected, rtol=1e-11)


def test_numpy_and_the_graph_score_alike(panel):
    layout, target = lay_out(OWN, panel), log_posterior(OWN, panel)
    flat = at_random(target)
    posterior = named_draws(OWN, layout, target.split(flat[None, None]))
    (p,) = filter_parameters(OWN, layout, natural_draws(OWN, posterior))
    assert isinstance(p, Paced)
    prior = -0.5 * flat @ flat - 0.5 * target.size * np.log(2.0 * np.pi)
    np.testing.assert_allclose(run_filter(layout.schedule, p).value + prior, target(flat)[0])


def test_speeds_are_pooled_like_the_rest_and_a_card_holds_them():
    spec = replace(OWN, pooling=Pooling(shared=("speed_ratio",)))
    assert read_card(write_card(spec)) == spec
    assert read_card('regimes = { speed = "own" }').regimes == Regimes(speed="own")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Regimes(1, speed="own"), "no two switching regimes to tell apart"),
        (lambda: Regimes(9, volatility="stochastic", speed="own"), "no two switching regimes"),
        (lambda: Regimes(2, speed="fast"), "regimes.speed is 'fast'; choose 'shared' or 'own'"),
        (
            lambda: Spec(law=BrownianBridge(), regimes=Regimes(2, speed="own")),
            "the law brownian-bridge has no half-life that could differ",
        ),
    ],
)
def test_speeds_that_cannot_be_say_why(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
