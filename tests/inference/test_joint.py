"""Basis and spot estimated together: the fit, its states, its forecast, and the truth found."""

from dataclasses import replace

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.data.market import Market
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.spot import Spot

TOGETHER = Market(spot_correlation=(0.5, -0.4))


@pytest.fixture(scope="module")
def joint(spec):
    return replace(spec, spot=Spot())


@pytest.fixture(scope="module")
def panel():
    prices, _ = bb.simulate_market(TOGETHER, seed=1, underlyings=["BTC"], quarters=3)
    return bb.make_panel(prices)[0]


@pytest.fixture(scope="module")
def fit(fabricate, joint, panel):
    return fabricate(joint, panel)


def test_what_is_sampled_is_what_the_filter_scores(fit, joint, panel, fabricate):
    """The compiled posterior less its prior: one-step densities of basis and spot, added up."""
    target, rng = log_posterior(joint, panel), np.random.default_rng(0)
    flat = 0.3 * rng.standard_normal((2, 8, target.size))
    density = fit["log_likelihood"].to_dataset()
    total = (density["basis"] + density["spot"]).sum("event").values
    for chain, draw in ((0, 0), (1, 7)):
        at = flat[chain, draw]
        prior = -0.5 * (at @ at) - 0.5 * len(at) * np.log(2 * np.pi)
        assert target(at)[0] - prior == pytest.approx(total[chain, draw], rel=1e-9)
    slope = target(flat[0, 0])[1]
    for _ in range(3):
        move = rng.standard_normal(target.size)
        h = 1e-4
        up, down = (target(flat[0, 0] + sign * h * move)[0] for sign in (1, -1))
        assert (up - down) / (2 * h) == pytest.approx(slope @ move, rel=1e-4)


def test_the_posterior_says_what_spot_is_measured_in(fit):
    posterior = fit["posterior"].to_dataset()
    assert posterior["spot_volatility"].dims == ("chain", "draw", "underlying", "regime")
    assert posterior["spot_volatility"].attrs["units"] == "%/year**0.5"
    assert posterior["spot_correlation"].dims == ("chain", "draw", "underlying", "regime")
    assert "spot_volatility_ratio" not in posterior


def test_a_forecast_moves_spot_as_the_posterior_says(fit):
    leg, posterior = bb.spot_leg(fit), fit["posterior"].to_dataset()
    for name in ("volatility", "correlation"):
        np.testing.assert_allclose(leg[name], posterior[f"spot_{name}"], rtol=1e-12)
    paths = bb.forecast(fit, seed=1).isel(contract=-1)
    years = (paths["tau"].shift(step=1) - paths["tau"]).isel(step=slice(1, None))
    paths = paths.isel(step=slice(1, None))
    for k in (1, 2):
        yearly = leg["volatility"].sel(regime=k, underlying="BTC") / 100
        moved = paths["spot_scale"].where(paths["regime"] == k)
        ratio = (moved / yearly / np.sqrt(years)).values
        np.testing.assert_allclose(ratio[np.isfinite(ratio)], 1.0, rtol=1e-5)


def test_a_shock_to_spot_tells_of_the_regime(fit, fabricate, joint, panel):
    """Where spot leaps on a quiet day of the basis, the wild regime is likelier, and only there."""
    time, last = panel["time"].values, panel["time"].values.max()
    leap = panel.copy(deep=True)
    late = time == last
    leap["spot"] = panel["spot"] * np.where(late, 1.3, 1.0)
    leap["futures"] = panel["futures"] * np.where(late, 1.3, 1.0)
    calm, wild = (
        bb.filter_states(fabricate(joint, p, spread=0.0))["regime_filtered"].sel(regime=2)
        for p in (panel, leap)
    )
    odds, before = (p.isel(event=-1) / (1 - p.isel(event=-1)) for p in (wild, calm))
    assert (odds > 2 * before).all()
    np.testing.assert_array_equal(wild.isel(event=slice(-1)), calm.isel(event=slice(-1)))


def test_jax_is_refused_in_words(joint, panel):
    with pytest.raises(ValueError, match="a card without") as caught:
        bb.fit(joint, panel, seed=1, sampler={"backend": "numpyro"}, progress=False)
    assert str(caught.value) == (
        "sampler backend 'numpyro' cannot estimate spot together with the basis; "
        "use nutpie or pymc, or a card without [spot]"
    )


@pytest.mark.slow
def test_spot_is_recovered_from_markets_whose_truth_is_known(joint):
    """90 % intervals hold volatilities and correlations of spot as often as they say."""
    rng, inside, score = np.random.default_rng(7), [], []
    for seed in range(8):
        truth = replace(
            TOGETHER,
            spot_volatility=tuple(np.array([45.0, 100.0]) * 1.3 ** rng.standard_normal(2)),
            spot_correlation=tuple(rng.uniform(-0.7, 0.7, 2)),
        )
        prices, _ = bb.simulate_market(truth, seed=seed, underlyings=["BTC"], quarters=5)
        fit = bb.fit(
            joint, bb.make_panel(prices)[0], draws=400, tune=400, chains=2, seed=1, progress=False
        )
        posterior = fit["posterior"].to_dataset()
        for name in ("spot_volatility", "spot_correlation"):
            draws = posterior[name].values.reshape(800, 2)
            low, high = np.quantile(draws, [0.05, 0.95], axis=0)
            true = np.array(getattr(truth, name))
            inside.extend((low <= true) & (true <= high))
            score.extend((draws.mean(0) - true) / draws.std(0))
    print(f"\n{np.mean(inside):.0%} of {len(inside)} inside, mean z {np.mean(score):.2f}")
    # 32 intervals: 90 % of them, give or take three binomial standard errors.
    assert 0.74 <= np.mean(inside) <= 1.0
    assert abs(np.mean(score)) < 0.6
    assert np.std(score) < 1.5
