from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.stats import multivariate_t, t

import bayesbasis as bb
from bayesbasis.data.market import Market

DAYS = 365.0


@pytest.fixture(scope="module")
def short_panel():
    """Two contracts at irregular times, sometimes together: eight quotes, five events."""
    day = pd.Timestamp("2024-01-01", tz="UTC")
    quotes = [
        ("A", 0.0, 210), ("B", 0.0, 420), ("A", 1.0, 225), ("B", 1.0, 400),
        ("A", 2.5, 120), ("B", 6.0, 520), ("A", 7.0, 60), ("B", 7.0, 450),
    ]  # fmt: skip
    prices = pd.DataFrame(
        {
            "time": [day + pd.Timedelta(days=when) for _, when, _ in quotes],
            "underlying": "X",
            "venue": "v",
            "contract": [name for name, _, _ in quotes],
            "expiry": [day + pd.Timedelta(days=8 if name == "A" else 99) for name, _, _ in quotes],
            "futures": [100 * np.exp(1e-4 * bp) for _, _, bp in quotes],
            "spot": 100.0,
        }
    )
    return bb.make_panel(prices)[0]


@pytest.fixture(scope="module")
def short(fabricate, spec, short_panel):
    fit = fabricate(spec, short_panel, chains=1, draws=3, spread=0.5)
    return fit, bb.filter_states(fit)


class Brute:
    """The same draw by definition: every path of regimes, every integral by quadrature."""

    def __init__(self, fit, panel, draw):
        p = fit["posterior"].to_dataset().isel(chain=0, draw=draw)
        self.kappa = np.log(2) * DAYS / p["half_life"].item()
        self.gamma, self.eta = p["anchor"].item(), p["volatility_exponent"].item()
        self.noise, self.tail = p["noise"].item() / DAYS, p["tail"].item()
        self.rho = p["correlation"].item()
        self.sigma = p["volatility"].values[0] * 1e-4 * np.sqrt(DAYS)
        leave = DAYS / p["stay"].values[0]
        self.rates = np.array([[-leave[0], leave[0]], [leave[1], -leave[1]]])
        self.start = leave[::-1] / leave.sum()
        self.index, self.tau = panel["contract_index"].values, panel["tau"].values
        self.time = panel["time"].values.astype(np.int64) / (DAYS * 86_400e9)
        carry = 0.01 * p["carry"].values[self.index]
        self.deviation = panel["basis"].values - carry * self.tau

    def move(self, start, end):
        def density(u):
            shrink = np.exp(-2 * self.kappa * (u - end)) * (end / u) ** (2 * self.gamma)
            return shrink * (u / (30 / DAYS)) ** (2 * self.eta)

        phi = np.exp(-self.kappa * (start - end)) * (end / start) ** self.gamma
        return phi, quad(density, end, start, epsabs=0, epsrel=1e-11)[0]

    def innovations(self):
        """Innovation and scale-free variance of every quote; filtered levels."""
        e, total = np.full(len(self.tau), np.nan), np.full(len(self.tau), np.nan)
        level = self.deviation.copy()
        for c in np.unique(self.index):
            own = np.flatnonzero(self.index == c)
            # A quote at fair value, five years before the first.
            start, now, spread = self.tau[own[0]] + 5.0, 0.0, self.noise
            for here in own:
                phi, v = self.move(start, self.tau[here])
                predicted = phi**2 * spread + v
                total[here] = predicted + self.noise
                e[here] = self.deviation[here] - phi * now
                gain = predicted / total[here]
                now = level[here] = phi * now + gain * e[here]
                start, spread = self.tau[here], (1 - gain) * predicted
        return e, total, level

    def smoothed_levels(self):
        """Posterior mean of every deviation given all quotes, by one linear system a contract."""
        smooth = np.empty(len(self.tau))
        for c in np.unique(self.index):
            own = np.flatnonzero(self.index == c)
            precision, shift = np.zeros((len(own), len(own))), self.deviation[own] / self.noise
            precision += np.eye(len(own)) / self.noise
            phi, v = self.move(self.tau[own[0]] + 5.0, self.tau[own[0]])
            precision[0, 0] += 1.0 / (phi**2 * self.noise + v)
            for i in range(1, len(own)):
                phi, v = self.move(self.tau[own[i - 1]], self.tau[own[i]])
                row = np.zeros(len(own))
                row[i], row[i - 1] = 1.0, -phi
                precision += np.outer(row, row) / v
            smooth[own] = np.linalg.solve(precision, shift)
        return smooth

    def regimes(self):
        """Event times, log density, and filtered and smoothed probabilities of every event."""
        e, total, _ = self.innovations()
        times = np.unique(self.time)
        events = [np.flatnonzero(self.time == when) for when in times]

        def emission(rows, sigma):
            root = np.sqrt(total[rows]) * sigma
            n = len(rows)
            if n == 1:
                return t(self.tail, scale=root[0]).pdf(e[rows[0]])
            shape = (self.rho * np.ones((n, n)) + (1 - self.rho) * np.eye(n)) * np.outer(root, root)
            return multivariate_t(shape=shape, df=self.tail).pdf(e[rows])

        moves = [expm(self.rates * gap) for gap in np.diff(times)]
        density = np.array([[emission(rows, sigma) for sigma in self.sigma] for rows in events])
        filtered = np.zeros((len(events), 2))
        smoothed = np.zeros((len(events), 2))
        for upto in range(1, len(events) + 1):
            for path in product(range(2), repeat=upto):
                weight = self.start[path[0]] * density[0, path[0]]
                for step in range(1, upto):
                    weight *= moves[step - 1][path[step - 1], path[step]]
                    weight *= density[step, path[step]]
                filtered[upto - 1, path[-1]] += weight
                if upto == len(events):
                    smoothed[np.arange(upto), path] += weight
        evidence = filtered.sum(1)
        log_density = np.diff(np.log(evidence), prepend=0.0)
        return filtered / evidence[:, None], smoothed / evidence[-1], log_density


@pytest.mark.parametrize("draw", range(3))
def test_regimes_agree_with_every_path_one_by_one(short, short_panel, draw):
    fit, states = short
    filtered, smoothed, log_density = Brute(fit, short_panel, draw).regimes()
    own = states.isel(chain=0, draw=draw)
    np.testing.assert_allclose(own["regime_filtered"], filtered, rtol=1e-8)
    np.testing.assert_allclose(own["regime_smoothed"], smoothed, rtol=1e-8)
    stored = fit["log_likelihood"].to_dataset()["basis"].isel(chain=0, draw=draw)
    np.testing.assert_allclose(stored, log_density, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("draw", range(3))
def test_deviations_agree_with_linear_algebra(short, short_panel, draw):
    fit, states = short
    brute, own = Brute(fit, short_panel, draw), states.isel(chain=0, draw=draw)
    np.testing.assert_allclose(own["deviation_filtered"], brute.innovations()[2], rtol=1e-8)
    np.testing.assert_allclose(own["deviation_smoothed"], brute.smoothed_levels(), rtol=1e-8)


def test_states_have_the_documented_dims(fabricated, panel):
    states = bb.filter_states(fabricated)
    # A contract's first quote is an event apart, unless another is listed with it.
    quotes = panel[["time", "contract_index"]].to_dataframe()
    first = ~quotes.sort_values("time").duplicated("contract_index").sort_index()
    assert states.sizes["event"] == len(set(zip(quotes["time"], first, strict=True)))
    own = {"chain": 2, "draw": 8, "obs": panel.sizes["obs"], "regime": 2}
    assert dict(states.sizes) == own | {"event": states.sizes["event"]}
    np.testing.assert_array_equal(states["time"], panel["time"])
    np.testing.assert_array_equal(states["contract_index"], panel["contract_index"])
    for name in ("regime_filtered", "regime_smoothed"):
        assert states[name].dims == ("chain", "draw", "event", "regime")
        assert ((states[name] >= 0) & (states[name] <= 1)).all()
        np.testing.assert_allclose(states[name].sum("regime"), 1.0, rtol=1e-12)
    for name in ("deviation_filtered", "deviation_smoothed"):
        assert states[name].dims == ("chain", "draw", "obs")
        assert np.isfinite(states[name]).all()
    for name in states.data_vars:
        assert states[name].attrs["units"] == "1"
        assert states[name].attrs["long_name"]


def test_the_last_event_is_smoothed_as_it_is_filtered(fabricate, spec, market_panel):
    states = bb.filter_states(fabricate(spec, market_panel))
    for name in ("BTC", "ETH"):
        last = states.isel(event=np.flatnonzero(states["event_underlying"] == name)[-1])
        np.testing.assert_allclose(last["regime_smoothed"], last["regime_filtered"], rtol=1e-12)
    assert np.unique(states["event_underlying"]).tolist() == ["BTC", "ETH"]


def test_underlyings_do_not_touch_each_other_with_chains_of_their_own(
    fabricate, spec, market_panel
):
    fit = fabricate(spec, market_panel)
    states = bb.filter_states(fit)
    other = fit.copy()
    btc = market_panel["underlying"].values[market_panel["contract_index"]] == "BTC"
    shaken = market_panel["basis"] + np.where(btc, 0.01 * np.sin(np.arange(len(btc))), 0.0)
    other["constant_data"] = market_panel.assign(basis=shaken)
    again = bb.filter_states(other)
    eth = np.flatnonzero(states["event_underlying"] == "ETH")
    for name in ("regime_filtered", "regime_smoothed"):
        np.testing.assert_array_equal(again[name].isel(event=eth), states[name].isel(event=eth))
    assert not np.allclose(again["regime_smoothed"], states["regime_smoothed"])


def test_draws_are_thinned_evenly_over_chains(fabricated):
    states = bb.filter_states(fabricated, draws=5)
    assert (states.sizes["chain"], states.sizes["draw"]) == (2, 3)
    assert states["draw"].values.tolist() == [0, 3, 7]
    whole = bb.filter_states(fabricated)
    np.testing.assert_array_equal(
        states["regime_smoothed"], whole["regime_smoothed"].isel(draw=[0, 3, 7])
    )


def test_draws_must_be_positive(fabricated):
    with pytest.raises(ValueError, match="draws") as caught:
        bb.filter_states(fabricated, draws=0)
    assert str(caught.value) == "draws is 0; it must be at least 1"


@pytest.mark.slow
def test_regimes_are_recovered_at_a_volatility_ratio_of_four(spec):
    market, right = Market(volatility=(5.0, 20.0)), []
    for seed in range(6):
        prices, truth = bb.simulate_market(market, seed=100 + seed, underlyings=["BTC"])
        panel, _ = bb.make_panel(prices)
        fit = bb.fit(spec, panel, draws=300, tune=500, chains=2, seed=seed, progress=False)
        states = bb.filter_states(fit)
        probability = states["regime_smoothed"].sel(regime=2).mean(("chain", "draw"))
        path = truth["regime_path"].sel(underlying="BTC", time=states["event_time"])
        right.append(((probability.values > 0.5) == (path.values == 2)).mean())
        print(f"\nmarket {seed}: {right[-1]:.1%} of {len(path)} regimes recovered")
    assert np.mean(right) >= 0.9
