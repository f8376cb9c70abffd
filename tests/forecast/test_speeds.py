"""Facts about forecasts of models in which every regime has a speed of its own."""

from dataclasses import replace

import numpy as np

import bayesbasis as bb
from bayesbasis.inference.draws import natural_draws, transitions
from bayesbasis.model.hierarchy import at_regime
from bayesbasis.model.priors import LogNormal
from bayesbasis.process.regimes import Regimes

ORIGIN = "2022-06-01"


def test_a_deviation_closes_at_the_speed_of_the_regime_it_is_in(fabricate, spec, one):
    """With next to no shocks, a quote a day on is the fair curve and what its regime leaves."""
    quiet = replace(
        spec.priors,
        volatility=LogNormal(1e-7, 1.01),
        speed_ratio=LogNormal(20.0, 1.01),
        stay=LogNormal(2.0, 1.01),
    )
    card = replace(spec, regimes=Regimes(2, speed="own"), priors=quiet)
    fit = fabricate(card, bb.known_at(one, ORIGIN), chains=1, draws=60, spread=0.0)
    day = np.datetime64(ORIGIN) + np.timedelta64(1, "D")
    paths = bb.forecast(fit, ORIGIN, times=[day], seed=1, spot=False)
    natural = natural_draws(card, fit["posterior"].to_dataset())
    for contract in range(paths.sizes["contract"]):
        own = paths.isel(contract=contract, chain=0)
        tau = own["tau"].values
        left = own["basis"].values[:, 1] - own["carry"].values * tau[1]
        regime = own["regime"].values[:, 1]
        assert set(regime) == {1, 2}
        for k in (1, 2):
            here = dict(at_regime(natural, k - 1))
            phi = transitions(card, here, tau[:1], tau[1:2], 0)[0][:, 0]
            start = own["deviation"].values[:, 0]
            there = regime == k
            np.testing.assert_allclose(left[there], (phi * start)[there], rtol=1e-4)


def test_a_contract_that_the_fit_has_not_seen_is_forecast_too(fabricate, spec, one):
    card = replace(spec, regimes=Regimes(2, speed="own"))
    fit = fabricate(card, bb.known_at(one, "2022-03-01"), chains=1, draws=20, spread=0.3)
    paths = bb.forecast(fit, ORIGIN, seed=1, panel=one)
    assert np.isfinite(paths["carry"]).all()
    assert np.isfinite(paths["spot"].isel(step=1)).all()
