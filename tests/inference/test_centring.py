"""What quotes say of carry, and the coordinates that it is sampled in; next to no sampling."""

from dataclasses import replace

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.inference.centring import _SHARE, _evidence_at, gather_evidence
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.hierarchy import parameters
from bayesbasis.model.layout import lay_out
from bayesbasis.model.levels import Evidence, contract_raw_prior, population
from bayesbasis.model.spec import Pooling


@pytest.fixture(scope="module")
def spec():
    return bb.load_card("ou")


@pytest.fixture(scope="module")
def evidence(panel):
    rng = np.random.default_rng(0)
    count = panel.sizes["contract"]
    return Evidence(rng.lognormal(-3.0, 3.0, count), rng.standard_normal(count))


def in_its_light(spec, panel, evidence, seed):
    """A point of the plain coordinates, and the same parameters in those that know of evidence."""
    plain, layout = log_posterior(spec, panel), lay_out(spec, panel)
    flat = 0.4 * np.random.default_rng(seed).standard_normal(plain.size)
    raw = plain.split(flat)
    _, centre, spread = population(spec, layout.levels, raw, layout.members, np)
    mean, sd = contract_raw_prior(spec, centre, spread, evidence)
    moved = raw | {"contract_raw": mean + sd * raw["contract_raw"]}
    return raw, moved, sd * np.ones(panel.sizes["contract"])


def test_evidence_changes_the_coordinates_and_not_the_model(spec, panel, evidence):
    layout = lay_out(spec, panel)
    plain, other = log_posterior(spec, panel), log_posterior(spec, panel, evidence)
    for seed in range(3):
        raw, moved, sd = in_its_light(spec, panel, evidence, seed)
        same = [
            parameters(spec, layout.levels, point, layout.members, np, own)["carry"]
            for point, own in ((raw, None), (moved, evidence))
        ]
        np.testing.assert_allclose(same[1], same[0], rtol=1e-10)
        flat, there = (
            np.concatenate([point[name].ravel() for name in plain.shapes]) for point in (raw, moved)
        )
        jacobian = np.log(sd).sum()
        np.testing.assert_allclose(other(there)[0], plain(flat)[0] - jacobian, rtol=1e-11)


def test_every_sampler_has_these_coordinates(spec, panel, evidence):
    """The graph that other samplers than nutpie take is that of `log_posterior`."""
    target, model = log_posterior(spec, panel, evidence), bb.build(spec, panel, evidence)
    logp = model.compile_logp(vars=[*model.free_RVs, *model.potentials])
    flat = 0.4 * np.random.default_rng(4).standard_normal(target.size)
    np.testing.assert_allclose(logp(target.split(flat)), target(flat)[0], rtol=1e-10)


def test_the_gradient_knows_of_evidence(spec, panel, evidence):
    target = log_posterior(spec, panel, evidence)
    flat = 0.4 * np.random.default_rng(1).standard_normal(target.size)
    slopes = [
        (target(flat + step)[0] - target(flat - step)[0]) / 2e-4
        for step in 1e-4 * np.eye(target.size)
    ]
    np.testing.assert_allclose(target(flat)[1], slopes, rtol=1e-5, atol=1e-4)


def test_carry_is_standard_normal_where_populations_and_quotes_are_gaussian(spec):
    """What is left of the carry, given both, does not know how far apart contracts are."""
    precision, estimate = np.array([0.0, 0.05, 400.0]), np.array([0.0, 12.0, -7.0])
    for spread in (0.01, 3.0, 500.0):
        mean, sd = contract_raw_prior(
            spec, np.array([5.0]), np.array([spread]), Evidence(precision, precision * estimate)
        )
        # Of x with carry = 5 + spread (x - mean) / sd: prior, then quotes.
        step = spread / sd
        total = sd**-2 + precision * step**2
        pull = mean / sd**2 + precision * step * (estimate - 5.0 + step * mean)
        np.testing.assert_allclose(total, 1.0)
        np.testing.assert_allclose(pull / total, 0.0, atol=1e-9)


def test_evidence_is_the_curvature_of_a_density_that_is_quadratic_in_carry(spec, panel):
    """One regime and Gaussian shocks: whatever the carry, quotes say the same of it."""
    layout, target = lay_out(spec, panel), log_posterior(spec, panel)
    raw = target.split(0.3 * np.random.default_rng(3).standard_normal(target.size))

    def at(raw):
        pieces = {name: piece[None] for name, piece in raw.items()}
        return _evidence_at(spec, layout, layout.evidence, pieces)

    here, flat = at(raw), np.concatenate([piece.ravel() for piece in raw.values()])
    _, _, spread = population(spec, layout.levels, raw, layout.members, np)
    start = flat.size - raw["contract_raw"].size
    assert list(raw)[-1] == "contract_raw"
    for i, precision in enumerate(here.precision):
        step = 1e-3 * np.eye(flat.size)[start + i]
        slope = target(flat + step)[1][start + i] - target(flat - step)[1][start + i]
        curvature = (-slope / 2e-3 - 1.0) / spread.item() ** 2
        np.testing.assert_allclose(precision, _SHARE * curvature, rtol=1e-5)
        moved = raw["contract_raw"].copy()
        moved[i] += 2.0
        there = at(raw | {"contract_raw": moved})
        np.testing.assert_allclose(there.pull[i], here.pull[i], rtol=1e-8)


def test_a_card_that_chooses_a_centring_or_shares_carry_needs_no_evidence(spec, panel):
    for pooling in (Pooling(centring=0.0), Pooling(centring=1.0), Pooling(contracts="shared")):
        found = gather_evidence(replace(spec, pooling=pooling), panel)
        assert not np.concatenate(found).any()
    found = gather_evidence(spec, panel)
    assert (found.precision > 0.0).all()


@pytest.mark.real
@pytest.mark.slow
def test_contracts_that_say_much_and_contracts_that_say_little_mix_in_one_fit(real_data):
    """Uncentred, four chains as short as these are left with 60 effective draws."""
    panel, _ = bb.make_panel(bb.read_prices(real_data("btc-quarter.parquet")))
    spec = bb.load_card("ou-regimes")
    fit = bb.fit(spec, panel, draws=500, tune=500, seed=1, progress=False)
    table = bb.diagnose(fit).table
    print(table.sort_values("ess_bulk").head(3))
    assert table["ess_bulk"].min() > 400
    assert table["r_hat"].max() < 1.02
