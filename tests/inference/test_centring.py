"""What quotes say of members, and the coordinates these are sampled in; next to no sampling."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesbasis as bb
from bayesbasis.inference.centring import _SHARE, _evidence_at, gather_evidence
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.hierarchy import parameters, raw_population
from bayesbasis.model.layout import lay_out
from bayesbasis.model.levels import Evidence, population, raw_prior
from bayesbasis.model.spec import Pooling


def spec_of(**pooling):
    card = bb.load_card("ou")
    return replace(card, pooling=replace(card.pooling, **pooling))


SPECS = {
    "carry": spec_of(),
    "offsets": spec_of(
        by_venue=("volatility", "half_life"),
        by_contract=("noise",),
        independent=("half_life_venue",),
    ),
}


@pytest.fixture(scope="module")
def spec():
    return SPECS["carry"]


@pytest.fixture(scope="module")
def market():
    """Both underlyings on two venues, on one of which contracts are twice as volatile."""
    prices, _ = bb.simulate_market(seed=1, quarters=2, listed_days=30)
    east, west = prices.assign(venue="east"), prices.assign(venue="west")
    west["contract"] += "@w"
    west["futures"] = west["spot"] * (west["futures"] / west["spot"]) ** 2
    return bb.make_panel(pd.concat([east, west], ignore_index=True))[0]


@pytest.fixture(scope="module", params=SPECS)
def case(request, panel, market):
    """A model, a panel, and evidence that knows nothing of either."""
    spec, rng = SPECS[request.param], np.random.default_rng(0)
    of = panel if request.param == "carry" else market
    evidence = {
        name: known._replace(
            precision=rng.lognormal(-3.0, 3.0, known.precision.shape),
            pull=rng.standard_normal(known.pull.shape),
        )
        for name, known in lay_out(spec, of).evidence.items()
    }
    return spec, of, evidence


def in_its_light(spec, panel, evidence, seed):
    """A point of the plain coordinates, and the same parameters in those that know of evidence."""
    plain, layout = log_posterior(spec, panel), lay_out(spec, panel)
    flat = 0.4 * np.random.default_rng(seed).standard_normal(plain.size)
    raw, jacobian = plain.split(flat), 0.0
    moved = dict(raw)
    # In the order of the variables: what members are around comes before them.
    for name in evidence:
        whole = raw_population(spec, layout.levels, name, moved, layout.members, np, evidence)
        mean, sd = raw_prior(*whole, evidence[name])
        moved[name] = mean + sd * raw[name]
        jacobian += np.log(sd * np.ones(raw[name].shape)).sum()
    return raw, moved, jacobian


def test_evidence_changes_the_coordinates_and_not_the_model(case):
    spec, panel, evidence = case
    layout = lay_out(spec, panel)
    plain, other = log_posterior(spec, panel), log_posterior(spec, panel, evidence)
    for seed in range(3):
        raw, moved, jacobian = in_its_light(spec, panel, evidence, seed)
        same = [
            parameters(spec, layout.levels, point, layout.members, np, own)
            for point, own in ((raw, None), (moved, evidence))
        ]
        assert set(same[0]) == set(same[1])
        for name, value in same[0].items():
            np.testing.assert_allclose(same[1][name], value, rtol=1e-9, atol=1e-12, err_msg=name)
        flat, there = (
            np.concatenate([point[name].ravel() for name in plain.shapes]) for point in (raw, moved)
        )
        np.testing.assert_allclose(other(there)[0], plain(flat)[0] - jacobian, rtol=1e-10)


def test_every_sampler_has_these_coordinates(case):
    """The graph that other samplers than nutpie take is that of `log_posterior`."""
    spec, panel, evidence = case
    target, model = log_posterior(spec, panel, evidence), bb.build(spec, panel, evidence)
    logp = model.compile_logp(vars=[*model.free_RVs, *model.potentials])
    flat = 0.4 * np.random.default_rng(4).standard_normal(target.size)
    np.testing.assert_allclose(logp(target.split(flat)), target(flat)[0], rtol=1e-10)


def test_the_gradient_knows_of_evidence(case):
    target = log_posterior(*case)
    flat = 0.4 * np.random.default_rng(1).standard_normal(target.size)
    slopes = [
        (target(flat + step)[0] - target(flat - step)[0]) / 2e-4
        for step in 1e-4 * np.eye(target.size)
    ]
    np.testing.assert_allclose(target(flat)[1], slopes, rtol=1e-5, atol=1e-4)


def test_members_are_standard_normal_where_populations_and_quotes_are_gaussian():
    """What is left of a member, given both, does not know how far apart members are."""
    precision, estimate = np.array([0.0, 0.05, 400.0]), np.array([0.0, 12.0, -7.0])
    for spread in (0.01, 3.0, 500.0):
        mean, sd = raw_prior(
            np.array([5.0]), np.array([spread]), Evidence(precision, precision * estimate)
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
        return dict(_evidence_at(spec, panel, layout, layout.evidence, raw))["contract_raw"]

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


def test_evidence_of_other_parameters_is_the_curvature_of_the_likelihood(market):
    """By differences of the likelihood itself, one member moved at a time."""
    spec, layout = SPECS["offsets"], lay_out(SPECS["offsets"], market)
    target = log_posterior(spec, market)
    raw = target.split(0.3 * np.random.default_rng(3).standard_normal(target.size))
    found = dict(_evidence_at(spec, market, layout, layout.evidence, raw))
    assert set(found) == set(layout.evidence)

    def likelihood(name, at, by):
        """Where a value on the free scale is so much higher: in plain coordinates an offset is."""
        whole = raw_population(spec, layout.levels, name, raw, layout.members, np, layout.evidence)
        x, spread = raw[name].copy(), np.broadcast_to(whole[1], raw[name].shape)
        x[at] += by / spread[at]
        flat = np.concatenate([(raw | {name: x})[key].ravel() for key in target.shapes])
        value = (whole[0] + spread * raw[name])[at]
        return target(flat)[0] + 0.5 * x[at] ** 2, value

    for name in ("volatility_offset_raw", "volatility_venue_raw", "half_life_venue_raw"):
        for at in ((0,), (1,)):
            step = 0.02
            (low, value), (here, _), (high, _) = (likelihood(name, at, d) for d in (-step, 0, step))
            curvature, slope = (2.0 * here - low - high) / step**2, (high - low) / (2.0 * step)
            precision, pull = found[name].precision[at], found[name].pull[at]
            np.testing.assert_allclose(precision, _SHARE * max(curvature, 0.0), rtol=0.01)
            expected = _SHARE * (curvature * value + slope) if curvature > 0.0 else 0.0
            np.testing.assert_allclose(pull, expected, rtol=0.01)
    assert (found["volatility_venue_raw"].precision > 0.0).all()


def test_offsets_are_around_the_underlyings_whose_contracts_have_them(market):
    evidence, whole = lay_out(SPECS["offsets"], market).evidence, market["underlying"].values
    for level in ("venue", "contract"):
        name = {"venue": "volatility_venue_raw", "contract": "noise_contract_raw"}[level]
        own = market[level].values
        for row, member in zip(
            evidence[name].above, sorted(set(own), key=list(own).index), strict=True
        ):
            expected = [(whole[own == member] == u).mean() for u in sorted(set(whole))]
            np.testing.assert_allclose(row, expected)


def test_a_card_that_chooses_a_centring_or_shares_carry_needs_no_evidence(spec, panel):
    for pooling in (Pooling(centring=0.0), Pooling(centring=1.0), Pooling(contracts="shared")):
        found = gather_evidence(replace(spec, pooling=pooling), panel)
        assert not any(known.precision.any() or known.pull.any() for known in found.values())
    found = gather_evidence(spec, panel)
    assert (found["contract_raw"].precision > 0.0).all()


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
