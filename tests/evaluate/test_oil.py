"""Oil: is the short factor of Schwartz and Smith (2000) found, where spot is theirs and where not?

`pytest tests/evaluate/test_oil.py -m "slow or study" -s` prints what is found.

The file has the contracts of their paper and no spot: theirs is a sum of factors, from which the
nearest contract strays by 4 %. Of any contract, though, the logarithm over that of the curve at a
constant time ``m`` to expiry is

    ln F(τ) / F(m) = A(τ) - A(m) - e^{-κm} (1 - e^{-κ(τ - m)}) χ

a basis over a spot that is quoted, of a contract that expires ``m`` earlier: their law, κ and all.
The second of their five contracts, at five months, is the first that their factors price to half a
per cent, and the last is at seventeen: those bound what is read here.

Their own likelihood, a Kalman filter of both factors on logarithms of futures, finds in this file
κ = 1.52 ± 0.04 of their five contracts (1.49 ± 0.03 in the paper), 1.50 ± 0.02 of all from five to
seventeen months, and 0.89 ± 0.01 from six months to the end of the curve at three years: two
factors are not all of it.
"""

from dataclasses import replace
from itertools import pairwise

import numba
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import bayesbasis as bb
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks

RUN = {"draws": 500, "tune": 500, "chains": 4, "seed": 1, "progress": False}
NEAR, FAR = pd.Timedelta("152D"), pd.Timedelta("518D")


def as_theirs(noise):
    """Card with their assumptions: one volatility, Gaussian, and one curve for all contracts."""
    card = bb.load_card("schwartz-smith")
    pooling = replace(card.pooling, contracts="shared")
    return replace(card, regimes=Regimes(1), shocks=Shocks("gaussian", noise), pooling=pooling)


def kappa(spec, prices):
    """Speed of reversion a year, of every draw of a fit."""
    panel, _ = bb.make_panel(prices)
    fit = bb.fit(spec, panel, hindcasts=False, **RUN)
    found = 365.0 * np.log(2.0) / fit["posterior"]["half_life"].values.ravel()
    diagnosis = bb.diagnose(fit)
    print(f"\nκ = {found.mean():.3f} ± {found.std():.3f}, log score {bb.log_score(fit):.3f}")
    print(str(diagnosis).splitlines()[0])
    assert diagnosis.table["r_hat"].max() < 1.05
    return found


def over_the_curve(prices):
    """Quotes over the curve `NEAR` to expiry, in a straight line between its neighbours' logs."""
    left = (prices["expiry"] - prices["time"] - NEAR) / pd.Timedelta("1D")
    sorted_ = prices.assign(left=left, log=np.log(prices["futures"])).sort_values("left")
    spot = {
        time: np.exp(np.interp(0.0, curve["left"], curve["log"], left=np.nan, right=np.nan))
        for time, curve in sorted_.groupby("time")
    }
    ahead = prices["expiry"] - prices["time"]
    moved = prices.assign(spot=prices["time"].map(spot), expiry=prices["expiry"] - NEAR)
    return moved[(ahead > NEAR) & (ahead < FAR)].dropna(subset=["spot"])


def oil_of_schwartz_and_smith(seed, error=3e-4, nearest=0.5):
    """Prices of their two factors, at the parameters of their Table 2: weekly, 17 months ahead.

    Each quote is off by an error of its own; spot is the one that the factors make.
    """
    kappa, short, premium, long, drift, rho = 1.49, 0.286, 0.157, 0.145, 0.0115, 0.3
    rng = np.random.default_rng(seed)
    times = pd.date_range("1990-01-02", "1995-01-31", freq="7D", tz="UTC")
    decay = np.exp(-kappa * 7.0 / 365.0)
    factors = np.zeros((len(times), 2))
    for before, after in pairwise(range(len(times))):
        one, other = rng.standard_normal(2)
        factors[after, 0] = decay * factors[before, 0]
        factors[after, 0] += short * np.sqrt((1.0 - decay**2) / (2.0 * kappa)) * one
        both = rho * one + np.sqrt(1.0 - rho**2) * other
        factors[after, 1] = factors[before, 1] + long * np.sqrt(7.0 / 365.0) * both
    found = []
    for expiry in pd.date_range("1990-02-20", "1996-06-20", freq="MS", tz="UTC"):
        tau = (expiry - times) / pd.Timedelta("365D")
        live = (tau > nearest) & (tau < 17.0 / 12.0)
        left = np.exp(-kappa * tau[live])
        variance = (1.0 - left**2) * short**2 / (2.0 * kappa) + long**2 * tau[live]
        variance += 2.0 * (1.0 - left) * rho * short * long / kappa
        curve = left * factors[live, 0] + factors[live, 1] + drift * tau[live]
        curve += 0.5 * variance - (1.0 - left) * premium / kappa
        curve += error * rng.standard_normal(live.sum())
        found.append(
            pd.DataFrame(
                {
                    "time": times[live],
                    "underlying": "WTI",
                    "venue": "nymex",
                    "contract": f"CL-{expiry:%Y-%m}",
                    "expiry": expiry,
                    "futures": 20.0 * np.exp(curve),
                    "spot": 20.0 * np.exp(factors[live].sum(1)),
                }
            )
        )
    return pd.concat(found, ignore_index=True)


@numba.njit
def their_log_likelihood(row, tau, log, slot, x):
    """Kalman filter of both factors on logarithms of futures, one after another; their equation 9.

    Of ``x``: logarithms of κ, σχ and σξ, the premium λχ, drifts μξ and μξ*, the inverse hyperbolic
    tangent of ρ, and the logarithm of the deviation of each slot's errors. Factors start unknown.
    """
    kappa, short, long, rho = np.exp(x[0]), np.exp(x[1]), np.exp(x[2]), np.tanh(x[6])
    noise, step = np.exp(x[7:]), 7.0 / 365.0
    decay, likelihood = np.exp(-kappa * step), 0.0
    one, other = 0.0, 3.0
    p, q, r = short**2 / (2.0 * kappa), 0.0, 1.0
    for i in range(len(row)):
        if i and row[i] != row[i - 1]:
            one, other = decay * one, other + x[4] * step
            p = decay**2 * p + (1.0 - decay**2) * short**2 / (2.0 * kappa)
            q = decay * q + (1.0 - decay) * rho * short * long / kappa
            r += long**2 * step
        left = np.exp(-kappa * tau[i])
        variance = (1.0 - left**2) * short**2 / (2.0 * kappa) + long**2 * tau[i]
        variance += 2.0 * (1.0 - left) * rho * short * long / kappa
        fair = x[5] * tau[i] - (1.0 - left) * x[3] / kappa + 0.5 * variance
        error = log[i] - fair - left * one - other
        first, second = left * p + q, left * q + r
        total = left * first + second + noise[slot[i]] ** 2
        likelihood -= 0.5 * (np.log(2.0 * np.pi * total) + error**2 / total)
        one, other = one + first * error / total, other + second * error / total
        p, q, r = p - first**2 / total, q - first * second / total, r - second**2 / total
    return likelihood


def their_estimate(prices, slot):
    """κ that maximises their likelihood, and its error from the curvature there."""
    prices = prices.assign(slot=slot).sort_values("time", kind="stable")
    tau = ((prices["expiry"] - prices["time"]) / pd.Timedelta("365D")).to_numpy()
    row, slots = (np.unique(prices[name], return_inverse=True)[1] for name in ("time", "slot"))
    log, least = np.log(prices["futures"].to_numpy()), -9.0
    x = np.array([0.4, -1.2, -1.9, 0.15, 0.0, 0.01, 0.3, *np.full(slots.max() + 1, -4.6)])

    def cost(x):
        held = np.concatenate([x[:7], np.maximum(x[7:], least)])
        return -their_log_likelihood(row, tau, log, slots, held)

    for _ in range(4):
        x = minimize(cost, x, method="L-BFGS-B", options={"maxfun": 100_000}).x
    # One of the errors goes to zero, and tells nothing there.
    moves = 1e-3 * np.eye(len(x))[(np.arange(len(x)) < 7) | (x > least)]
    curvature = [
        [cost(x + a + b) - cost(x + a - b) - cost(x - a + b) + cost(x - a - b) for b in moves]
        for a in moves
    ]
    error = np.linalg.inv(np.array(curvature) / 4e-6)[0, 0] ** 0.5
    return np.exp(x[0]), np.exp(x[0]) * error


@pytest.mark.real
@pytest.mark.study
def test_their_own_likelihood_finds_their_estimate_in_the_file(real_data):
    prices = pd.read_parquet(real_data("ss-oil.parquet"))
    prices["number"] = prices.sort_values("expiry").groupby("time").cumcount() + 1
    ahead = prices["expiry"] - prices["time"]
    month = (ahead / pd.Timedelta("30.4D")).astype(int)
    between = prices[(ahead > NEAR) & (ahead < FAR)]
    five = prices[prices["number"].isin([1, 5, 9, 13, 17])]
    tables = {
        "their five contracts": (five, five["number"]),
        "five to seventeen months, noise by the month": (between, month[between.index]),
        "five to seventeen months, one noise": (between, 0),
        "from six months on, one noise": (prices[ahead > pd.Timedelta("182D")], 0),
    }
    found = {name: their_estimate(*table) for name, table in tables.items()}
    for name, (mean, error) in found.items():
        print(f"\n{name}: κ = {mean:.3f} ± {error:.3f}", end="")
    for mean, error in list(found.values())[:2]:
        assert abs(mean - 1.49) < 2.0 * error
    assert found["from six months on, one noise"][0] < 1.1


@pytest.mark.slow
def test_their_short_factor_is_found_where_spot_is_theirs():
    found = kappa(as_theirs("shared"), oil_of_schwartz_and_smith(seed=1))
    assert abs(found.mean() - 1.49) < 2.0 * found.std()
    assert found.std() < 0.1


@pytest.mark.slow
def test_noise_of_each_quote_is_no_shock_of_the_curve():
    """Ten basis points of it: taken for one, as it is if innovations have one correlation, κ is 2.

    Spot is the curve at five months, so that its own noise is in every basis.
    """
    prices = over_the_curve(oil_of_schwartz_and_smith(seed=1, error=1e-3, nearest=0.3))
    own, shared = (kappa(as_theirs(noise), prices) for noise in ("own", "shared"))
    assert abs(own.mean() - 1.49) < 2.0 * own.std()
    assert shared.mean() - 1.49 > 5.0 * shared.std()


@pytest.mark.real
@pytest.mark.study
def test_oil_has_the_short_factor_of_schwartz_and_smith(real_data):
    prices = pd.read_parquet(real_data("ss-oil.parquet"))
    found = kappa(as_theirs("own"), over_the_curve(prices.drop(columns=["funding_rate", "volume"])))
    assert abs(found.mean() - 1.49) < 2.0 * found.std()
    assert found.std() < 0.1
