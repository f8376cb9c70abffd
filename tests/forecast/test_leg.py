import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.inference.draws import filter_parameters, natural_draws
from bayesbasis.model.layout import lay_out
from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import transitions
from bayesbasis.process.returns import draw_regimes


@pytest.fixture(scope="module")
def paths(fabricated):
    return bb.forecast(fabricated, seed=1)


def test_spot_starts_where_it_was_last_seen_and_ends_with_its_contract(paths, panel):
    for contract in range(paths.sizes["contract"]):
        one = paths.isel(contract=contract)
        own = panel["underlying"].values[panel["contract_index"].values] == one["underlying"].item()
        last = panel["spot"].values[own][np.argmax(panel["time"].values[own])]
        np.testing.assert_allclose(one["spot"].isel(step=0), last, rtol=1e-12)
        live = np.isfinite(one["tau"].values)
        for name in ("spot", "spot_scale"):
            np.testing.assert_array_equal(np.isfinite(one[name].values[0, 0]), live)
            assert one[name].attrs["units"]


def test_contracts_of_one_underlying_share_their_spot(paths):
    for _, curve in paths.groupby("underlying"):
        live = np.isfinite(curve["tau"].values).all(0)
        spot = curve["spot"].values[..., live]
        np.testing.assert_array_equal(spot, np.broadcast_to(spot[:, :, :1], spot.shape))
    btc, eth = (paths["spot"].sel(contract=paths["underlying"] == name) for name in ("BTC", "ETH"))
    assert (btc.isel(step=5, contract=0) != eth.isel(step=5, contract=0)).all()


def test_the_basis_is_the_same_with_and_without_spot(paths, fabricated):
    without = bb.forecast(fabricated, seed=1, spot=False)
    assert "spot" not in without
    assert without.identical(paths.drop_vars(["spot", "spot_scale"]))


def test_regimes_are_drawn_as_smoothed(fabricate, spec, one):
    fit = fabricate(spec, one, chains=1, draws=1)
    layout = lay_out(spec, one)
    natural = natural_draws(spec, fit["posterior"].to_dataset())
    p = next(iter(filter_parameters(spec, layout, natural)))
    # Volatilities this low make quotes argue for either regime.
    p = p._replace(scale=0.3 * p.scale)
    result = sweep(layout.schedule, p)
    table, rng = transitions(layout.schedule, p), np.random.default_rng(1)
    drawn = np.mean(
        [draw_regimes(layout.schedule, table, result.states, rng) for _ in range(3000)], axis=0
    )
    smoothed = (result.states.filtered * result.future)[:, 1]
    error = np.sqrt(smoothed * (1 - smoothed) / 3000)
    assert (np.abs(drawn - smoothed) < 5 * error + 1e-3).all()
    assert (smoothed < 0.3).any()
    assert (smoothed > 0.7).any()


def test_the_wild_regime_is_wild_in_spot_too(fabricate, spec, one):
    """The simulated spot more than doubles its volatility there."""
    paths = bb.forecast(fabricate(spec, one, draws=200, spread=0.0), seed=1)
    scale = paths["spot_scale"].isel(contract=-1, step=slice(1, None))
    regime = paths["regime"].isel(contract=-1, step=slice(1, None))
    calm, wild = (float(scale.where(regime == k).mean()) for k in (1, 2))
    assert wild > 1.3 * calm


def test_the_leg_can_be_looked_at(fabricate, spec, one):
    """It is what the paths move by."""
    fit = fabricate(spec, one, draws=200, spread=0.0)
    leg = bb.spot_leg(fit)
    assert leg["volatility"].dims == ("chain", "draw", "underlying", "regime")
    assert leg["underlying"].values.tolist() == ["BTC"]
    assert (np.abs(leg["correlation"]) < 1).all()
    paths = bb.forecast(fit, seed=1).isel(contract=-1, step=slice(1, 6))
    for k in (1, 2):
        daily = leg["volatility"].sel(regime=k) / 100 / np.sqrt(365)
        moved = paths["spot_scale"].where(paths["regime"] == k)
        assert moved.mean().item() == pytest.approx(daily.mean().item(), rel=0.1)
    truth = np.log(one["spot"].values[one["contract_index"].values == 0])
    usual = 100 * np.median(np.abs(np.diff(truth))) / 0.6745 * np.sqrt(365)
    calm, wild = leg["volatility"].median(["chain", "draw"]).values[0]
    assert 0.5 * usual < calm < wild


def test_all_paths_may_start_in_one_regime(fabricated):
    for k in (1, 2):
        paths = bb.forecast(fabricated, seed=1, regime=k)
        assert (paths["regime"].isel(step=0) == k).all()
    with pytest.raises(ValueError, match="regime is 3") as caught:
        bb.forecast(fabricated, seed=1, regime=3)
    assert str(caught.value) == "regime is 3; the model has regimes 1 to 2"


def test_every_draw_may_have_many_paths(fabricated):
    paths = bb.forecast(fabricated, seed=1, draws=4, repeats=3)
    assert paths.sizes["draw"] == 6
    label, count = np.unique(paths["draw"].values, return_counts=True)
    assert count.tolist() == [3, 3]
    for k in label:
        own = paths.isel(draw=np.flatnonzero(paths["draw"].values == k))
        assert (own["anchor"] == own["anchor"].isel(draw=0)).all()
        assert (own["basis"].isel(step=5, draw=0) != own["basis"].isel(step=5, draw=1)).all()


def test_liquidation_seen_daily_is_that_of_brute_force_hourly(fixed):
    """One Gaussian regime, so that hours add up to days; bridges stand in for what days hide."""
    daily = bb.forecast(fixed, seed=1, horizon="10D")
    start = daily["time"].values[0, 0]
    hours = start + np.arange(1, 241) * np.timedelta64(1, "h")
    hourly = bb.forecast(fixed, seed=1, times=hours)
    say = {"leverage": (4, 6, 10), "exit": "10D"}
    found = bb.margin(daily, **say)["liquidation"].values
    brute = bb.margin(hourly.drop_vars("spot_scale"), **say)["liquidation"].values
    unseen = bb.margin(daily.drop_vars("spot_scale"), **say)["liquidation"].values
    count = daily.sizes["chain"] * daily.sizes["draw"]
    error = np.sqrt(found * (1 - found) * 2 / count)
    # An hour hides a fifth of what a day does, which is the distance to the look once a day.
    assert (np.abs(found - brute) < 4 * error + 0.25 * (found - unseen)).all()
    assert (found - unseen > 4 * error).any()
