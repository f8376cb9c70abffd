import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.process.quadrature import Steps


@pytest.fixture(scope="module")
def found(fabricated):
    return bb.mispricing(fabricated, financing={"BTC": 0.05, "ETH": 0.03})


def test_the_deviation_is_the_quote_less_the_fair_basis(found, fabricated, panel):
    posterior = fabricated["posterior"].to_dataset()
    for name in found["contract"].values:
        own = panel["contract_index"].values == panel["contract"].values.tolist().index(name)
        basis, tau = panel["basis"].values[own][-1], panel["tau"].values[own][-1]
        expected = basis - 0.01 * posterior["carry"].sel(contract=name).values * tau
        one = found.sel(contract=name)
        np.testing.assert_allclose(one["deviation"].values, expected, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(one["annualised"].values, expected / tau, rtol=1e-9, atol=1e-15)
        rate = {"BTC": 0.05, "ETH": 0.03}[one["underlying"].item()]
        np.testing.assert_allclose(one["excess"], basis - rate * tau, rtol=1e-12)
        np.testing.assert_allclose(one["excess_annualised"], basis / tau - rate, rtol=1e-12)


def test_one_gaussian_regime_scores_by_its_settled_spread(fixed, gaussian):
    found = bb.mispricing(fixed)
    paths = bb.forecast(fixed, seed=1)
    p = fixed["posterior"].to_dataset().isel(chain=0, draw=0)
    own = {name: np.atleast_1d(p[name].values) for name in gaussian.law.parameters}
    sigma = p["volatility"].values.item() * 1e-4 * np.sqrt(365)
    for contract in range(found.sizes["contract"]):
        tau = found["tau"].values[[contract]]
        v = gaussian.law.transition(own, Steps.between(tau + 5, tau), np)[1][0]
        one = found.isel(contract=contract)
        level = one["z_score"].values.ravel()[0] * sigma * np.sqrt(v)
        # The paths start where the filter left off.
        z = paths["deviation"].isel(contract=contract, step=0).values
        np.testing.assert_allclose(z.mean(), level, atol=5 * z.std() / np.sqrt(z.size) + 1e-12)
        assert (one["rich"].item() > 0.5) == (level > 0)


def test_contracts_are_ranked_from_the_richest(found):
    median = found["z_score"].median(["chain", "draw"])
    by_rank = median.values[np.argsort(found["rank"].values)]
    assert (np.diff(by_rank) <= 0).all()
    assert sorted(found["rank"].values) == list(range(1, found.sizes["contract"] + 1))
    np.testing.assert_allclose(found["richest"].sum(), 1)
    best = found["z_score"].values.reshape(-1, found.sizes["contract"]).argmax(1)
    np.testing.assert_allclose(
        found["richest"], np.bincount(best, minlength=len(median)) / len(best)
    )


def test_an_earlier_instant_knows_earlier_quotes_alone(fabricated, panel):
    early = bb.mispricing(fabricated, "2022-05-01", seed=3)
    past = bb.known_at(panel, "2022-05-01")
    assert early.identical(bb.mispricing(fabricated, "2022-05-01", panel=past, seed=3))
    assert (early["expiry"].values > np.datetime64("2022-05-01")).all()


def test_fewer_draws_will_do(fabricated):
    assert bb.mispricing(fabricated, draws=4).sizes["draw"] == 2


def test_every_variable_says_its_units(found):
    assert isinstance(found, xr.Dataset)
    for name in found.data_vars:
        assert found[name].attrs["units"]
        assert found[name].attrs["long_name"]


def test_financing_of_every_underlying_is_needed(fabricated):
    with pytest.raises(ValueError, match="financing") as caught:
        bb.mispricing(fabricated, financing={"BTC": 0.05})
    assert str(caught.value) == (
        "financing says nothing of ETH; give a rate of every live underlying"
    )


def test_there_must_be_a_live_contract(fabricated):
    with pytest.raises(ValueError, match="no contract is live at 2030-01-01"):
        bb.mispricing(fabricated, "2030-01-01")
