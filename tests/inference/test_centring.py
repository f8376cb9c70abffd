"""What quotes say of carry, against the curvature of the posterior; no sampling."""

from dataclasses import replace

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.inference.centring import information
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.spec import Pooling


def test_information_is_the_curvature_that_carry_adds_to_its_standard_normal(panel, fabricate):
    """One regime and Gaussian shocks: the density is quadratic in carry, whatever the step."""
    spec = bb.load_card("ou")
    target = log_posterior(spec, panel)
    found = information(fabricate(spec, panel, chains=1, draws=2, seed=3), 2)
    flat = 0.3 * np.random.default_rng(3).standard_normal((2, target.size))
    own = np.concatenate(
        [
            np.full(int(np.prod(shape)), name == "contract_raw")
            for name, shape in target.shapes.items()
        ]
    )
    for draw, expected in zip(flat, found, strict=True):
        for i, place in enumerate(np.flatnonzero(own)):
            step = 1e-3 * np.eye(target.size)[place]
            slope = target(draw + step)[1][place] - target(draw - step)[1][place]
            np.testing.assert_allclose(-slope / 2e-3 - 1.0, expected[i], rtol=1e-5)


def test_quotes_without_noise_are_centred_and_nearly_equal_contracts_are_not(panel, fabricate):
    spec = bb.load_card("anchored")
    for median, expected in ((1000.0, 1.0), (1e-3, 0.0)):
        between = replace(spec.priors.carry_between_contracts, median=median)
        card = replace(spec, priors=replace(spec.priors, carry_between_contracts=between))
        for centring in (0.0, 1.0):
            own = replace(card, pooling=replace(card.pooling, centring=centring))
            assert bb.suggest_centring(fabricate(own, panel), draws=3) == expected


def test_what_has_no_population_has_no_centring(panel, fabricate):
    spec = replace(bb.load_card("ou"), pooling=Pooling(contracts="shared"))
    with pytest.raises(ValueError, match="only where contracts are 'pooled'"):
        bb.suggest_centring(fabricate(spec, panel))
    with pytest.raises(ValueError, match="draws is 0"):
        bb.suggest_centring(fabricate(bb.load_card("ou"), panel), draws=0)
