import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from threadpoolctl import threadpool_info, threadpool_limits

from bayesbasis.data.funding import make_funding
from bayesbasis.forecast.funding_origin import filter_chains
from bayesbasis.inference.funding import earlier_mode, sample_funding
from bayesbasis.model.funding_layout import lay_out_funding
from bayesbasis.model.funding_market import FUNDING_TRUTH, simulate_funding
from bayesbasis.model.funding_spec import FundingSpec
from bayesbasis.process.censored import track

LAGS = (1, 3, 9, 30, 90)
MARKET = ("skew", "width", "slow_half_life", "tail", "growth", "volatility_ratio")
OWN = ("floor", "level", "swing", "noise", "memory")


@pytest.mark.parametrize("name", ["draws", "tune", "chains"])
def test_a_fit_of_nothing_is_refused(name):
    history, _ = make_funding(simulate_funding(seed=1, days=5, venues=["okx"]))
    with pytest.raises(ValueError, match=f"{name} is 0; it must be at least 1"):
        sample_funding(FundingSpec(), history, seed=1, **{name: 0})


def test_a_later_fit_climbs_once_from_the_mode_of_an_earlier_one():
    spec = FundingSpec(levels=3, swings=2, regimes=2)
    frame = simulate_funding(seed=1, days=120, venues=["okx", "binance"], underlyings=["BTC"])
    history, _ = make_funding(frame)
    first, _ = make_funding(frame[frame["venue"] == "okx"])
    run = {"draws": 10, "chains": 1, "seed": 1, "sampler": {"backend": "laplace"}}
    early, cold = sample_funding(spec, first, **run), sample_funding(spec, history, **run)
    again = sample_funding(spec, history, start=cold, **run)
    (height,) = json.loads(again.attrs["modes"])
    assert height == pytest.approx(json.loads(cold.attrs["modes"])[0], abs=0.02)
    place = earlier_mode(spec, history, early)
    mode = early["mode"].to_dataset()
    own = dict(zip(history["contract"].values, place["level_contract_raw"], strict=True))
    assert own["okx:BTC-PERP"] == mode["level_contract_raw"].item()
    assert own["binance:BTC-PERP"] == mode["level_raw"].item()
    message = "start is a fit of 'funding' that a fit of 'funding' cannot start from"
    with pytest.raises(ValueError, match=message):
        sample_funding(FundingSpec(levels=3), history, start=cold, **run)


def test_a_fit_keeps_linear_algebra_to_one_thread(monkeypatch):
    # Eigenvectors of a curvature of 150 rows are rounded otherwise by two threads than by one.
    history, _ = make_funding(simulate_funding(seed=1, days=5, venues=["okx"], underlyings=["BTC"]))
    seen = []

    def stop(*_):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        raise InterruptedError

    monkeypatch.setattr("bayesbasis.inference.funding.modes", stop)
    with threadpool_limits(2, user_api="blas"), pytest.raises(InterruptedError):
        sample_funding(FundingSpec(levels=3, swings=2, regimes=2), history, seed=1)
    assert set(seen) == {1}


@pytest.mark.slow
def test_parameters_are_recovered_from_simulated_funding():
    spec = FundingSpec(levels=5, swings=3, regimes=2, covariates=("dated_carry",))
    frame = simulate_funding(seed=5, days=730, venues=("binance", "okx"), spec=spec)
    history, _ = make_funding(frame)
    fit = sample_funding(
        spec, history, draws=1000, chains=1, seed=1, sampler={"backend": "laplace"}
    )
    posterior = fit["posterior"].to_dataset()
    assert "not sampled" in fit.attrs["diagnosis"]
    distances = {}
    for name in (*MARKET, *OWN, "coefficient"):
        draws = posterior[name]
        away = (draws.mean(("chain", "draw")) - FUNDING_TRUTH[name]) / draws.std(("chain", "draw"))
        distances[name] = np.abs(away.values).max()
    print(distances)
    assert max(distances.values()) < 3.5
    # A coefficient twice as large, or of none, would be told from it.
    assert posterior["coefficient"].std() < 0.5


def memory_of(funding: np.ndarray) -> np.ndarray:
    series = pd.Series(funding)
    return np.array([series.autocorr(lag) for lag in LAGS])


def chance_of_interest(spec, history, natural, draw):
    """Probability that each settlement pays the interest rate, given those before it."""
    layout = lay_out_funding(spec, history)
    one = filter_chains(spec, layout, {k: v[draw : draw + 1] for k, v in natural.items()})[0]
    filtered, gap = track(layout.settlements, one).filtered, layout.settlements.gap
    moves = np.array([np.kron(a, b) for a, b in zip(one.slow, one.inner, strict=True)])
    ahead = np.concatenate([[one.start], np.einsum("ti,tij->tj", filtered[:-1], moves[gap[1:]])])
    middle, half = 1.0, layout.cells.clamp[0] + one.widening[0]
    cell = layout.settlements.cell
    away = middle - one.shift[:, None] - one.location[cell]
    upper, lower = (t.cdf((away + side * half) / one.scale[cell], 4) for side in (1.0, -1.0))
    return (ahead * (upper - lower)).sum(1)


@pytest.fixture(scope="module")
def binance(real_data):
    frame = pd.read_parquet(real_data("funding-history.parquet"))
    frame = frame[(frame["venue"] == "binance") & (frame["underlying"] == "BTC")]
    history, _ = make_funding(frame)
    spec = FundingSpec()
    fit = sample_funding(spec, history, draws=40, chains=1, seed=1, sampler={"backend": "laplace"})
    seen = np.isclose(frame["funding_rate"], 1e-4, rtol=0, atol=1e-10)
    return spec, history, fit, frame["funding_rate"].to_numpy(), seen


@pytest.mark.real
@pytest.mark.slow
def test_about_as_many_settlements_pay_the_interest_rate_as_was_expected_just_before(binance):
    spec, history, fit, _, seen = binance
    posterior = fit["posterior"].to_dataset().isel(chain=0)
    natural = {name: variable.values for name, variable in posterior.data_vars.items()}
    chance = np.mean([chance_of_interest(spec, history, natural, d) for d in range(0, 40, 8)], 0)
    year = history["scheduled"].dt.year.values
    for own in (year > 0, year == 2020, year == 2021, year == 2022):
        print("at the interest rate, expected and seen", chance[own].mean(), seen[own].mean())
    # Over all it is too many by three points, five standard errors: the model is near, not right.
    assert abs(chance.mean() - seen.mean()) < 0.05


@pytest.mark.real
@pytest.mark.slow
def test_simulated_funding_is_like_that_of_binance(binance):
    # Of three years' state of the market there is one draw, and levels last three months: what is
    # simulated from any start spreads widely, and what was seen is to lie in it.
    spec, history, fit, funding, at = binance
    posterior = fit["posterior"].to_dataset().isel(chain=0)
    shares, memories = [], []
    for seed in range(posterior.sizes["draw"]):
        draw = posterior.isel(draw=seed)
        market = {*MARKET, "fast_half_life", "stay"} & set(draw)
        truth = {name: draw[name].values for name in market}
        truth |= {name: float(draw[name][0]) for name in OWN}
        simulated = simulate_funding(
            seed=seed, days=history.sizes["obs"] / 3, venues=["binance"], underlyings=["BTC"],
            spec=spec, truth=truth, start="2020-01-01T00:00Z",
        )["funding_rate"].to_numpy()  # fmt: skip
        shares.append(np.isclose(simulated, 1e-4, rtol=0, atol=1e-10).mean())
        memories.append(memory_of(simulated))
    low, high = np.quantile(shares, [0.05, 0.95])
    print("share at the interest rate", at.mean(), np.mean(shares), low, high)
    memory = memory_of(funding)
    below, above = np.quantile(memories, [0.05, 0.95], axis=0)
    print(pd.DataFrame({"seen": memory, "mean": np.mean(memories, 0), "5 %": below, "95 %": above},
                       index=LAGS).round(3))  # fmt: skip
    assert low < at.mean() < high
    assert (np.abs(memory - np.mean(memories, 0)) < 0.2).all()
    assert ((below < memory) & (memory < above)).all()
