import numpy as np
import pandas as pd
import pytest

from bayesbasis.data.funding import make_funding
from bayesbasis.inference.funding import fit_funding
from bayesbasis.model.funding_market import FUNDING_TRUTH, simulate_funding
from bayesbasis.model.funding_spec import FundingSpec

LAGS = (1, 3, 9, 30, 90)
MARKET = ("skew", "width", "slow_half_life", "growth", "volatility_ratio")
OWN = ("centre", "level", "swing", "noise", "memory")


@pytest.mark.parametrize("name", ["draws", "tune", "chains"])
def test_a_fit_of_nothing_is_refused(name):
    history, _ = make_funding(simulate_funding(seed=1, days=5, venues=["okx"]))
    with pytest.raises(ValueError, match=f"{name} is 0; it must be at least 1"):
        fit_funding(FundingSpec(), history, seed=1, **{name: 0})


@pytest.mark.slow
def test_parameters_are_recovered_from_simulated_funding():
    spec = FundingSpec(levels=5, covariates=("dated_carry",))
    frame = simulate_funding(seed=5, days=730, venues=("binance", "okx"), spec=spec)
    history, _ = make_funding(frame)
    fit = fit_funding(spec, history, draws=1000, chains=1, seed=1, sampler={"backend": "laplace"})
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


@pytest.mark.real
@pytest.mark.slow
def test_simulated_funding_remembers_like_that_of_binance(real_data):
    # The share at the interest rate is printed, not held: the model still puts too many settlements
    # into the dead zone.
    frame = pd.read_parquet(real_data("funding-history.parquet"))
    frame = frame[(frame["venue"] == "binance") & (frame["underlying"] == "BTC")]
    history, _ = make_funding(frame)
    spec = FundingSpec()
    fit = fit_funding(spec, history, draws=200, chains=1, seed=1, sampler={"backend": "laplace"})
    mean = fit["posterior"].to_dataset().mean(("chain", "draw"))
    truth = {name: mean[name].values for name in (*MARKET, "fast_half_life", "stay")}
    truth |= {name: float(mean[name][0]) for name in OWN}
    days = history.sizes["obs"] / 3
    shares, memories = [], []
    for seed in range(40):
        simulated = simulate_funding(
            seed=seed, days=days, venues=["binance"], underlyings=["BTC"], spec=spec, truth=truth,
            start="2020-01-01T00:00Z",
        )["funding_rate"].to_numpy()  # fmt: skip
        shares.append(np.isclose(simulated, 1e-4, rtol=0, atol=1e-10).mean())
        memories.append(memory_of(simulated))
    seen = np.isclose(frame["funding_rate"], 1e-4, rtol=0, atol=1e-10).mean()
    low, high = np.quantile(shares, [0.05, 0.95])
    print("share at the interest rate", seen, np.mean(shares), low, high)
    memory = memory_of(frame["funding_rate"].to_numpy())
    below, above = np.quantile(memories, [0.05, 0.95], axis=0)
    print(pd.DataFrame({"seen": memory, "mean": np.mean(memories, 0), "5 %": below, "95 %": above},
                       index=LAGS).round(2))  # fmt: skip
    assert (np.abs(memory - np.mean(memories, 0)) < 0.2).all()
    assert ((below < memory) & (memory < above)).all()
