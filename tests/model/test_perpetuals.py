"""Facts about perpetuals beside dated contracts: whose parameters, and which likelihood."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import bayesbasis as bb
from bayesbasis.inference.draws import filter_parameters
from bayesbasis.model.layout import lay_out
from bayesbasis.process.adjoint import sweep
from bayesbasis.process.equilibria import PREMIUM_SPAN
from bayesbasis.process.filter import SETTLED
from bayesbasis.process.laws import BrownianBridge, OrnsteinUhlenbeck, rate
from bayesbasis.process.quadrature import ENDLESS
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks

YEAR = pd.Timedelta("365D")


def prices(seed=0):
    """A dated contract and a perpetual of BTC, a perpetual of ETH, at irregular times."""
    rng = np.random.default_rng(seed)
    stamps = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(
        np.cumsum(rng.choice([8.0, 24.0, 61.5], 30)), unit="h"
    )
    frames = []
    for name, kind in (("BTC-JUN", "dated"), ("BTC-PERP", "perpetual"), ("ETH-PERP", "perpetual")):
        seen = stamps[rng.random(len(stamps)) < 0.8]
        frame = {
            "time": seen,
            "underlying": name[:3],
            "venue": "x",
            "contract": name,
            "kind": kind,
            "expiry": pd.Timestamp("2024-06-28T08:00Z") if kind == "dated" else pd.NaT,
            "futures": 100.0 * np.exp(5e-4 * rng.standard_normal(len(seen))),
            "spot": 100.0,
        }
        frame["expiry"] = pd.to_datetime([frame["expiry"]] * len(seen), utc=True)
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def panel():
    return bb.make_panel(prices())[0]


def test_perpetuals_are_a_family_of_their_own(panel):
    layout = lay_out(bb.load_card("anchored-regimes"), panel)
    assert layout.underlyings == ["BTC", "BTC perpetual", "ETH perpetual"]
    assert layout.coords["underlying"] == layout.underlyings
    assert layout.contract_underlying.tolist() == [0, 1, 2]


def test_their_moves_are_times_that_passed_and_their_carry_is_of_eight_hours(panel):
    layout = lay_out(bb.load_card("anchored-regimes"), panel)
    seen = layout.order >= 0
    endless = seen & (layout.contract > 0)
    assert (layout.tau[endless] == PREMIUM_SPAN).all()
    elapsed = np.concatenate([moves.elapsed for moves in layout.moves])
    time = panel["time"].values
    for place in np.flatnonzero(endless):
        origin = layout.order[layout.schedule.previous[place]]
        passed = SETTLED
        if origin >= 0:
            passed = (time[layout.order[place]] - time[origin]) / YEAR.to_timedelta64()
        assert elapsed[layout.schedule.step[place]] == pytest.approx(passed, rel=1e-9)


def test_a_panel_of_perpetuals_has_the_density_of_noisy_ornstein_uhlenbeck(panel):
    card = bb.load_card("anchored")
    spec = replace(card, regimes=Regimes(count=1), shocks=Shocks("gaussian"))
    one = bb.make_panel(prices().query("contract == 'ETH-PERP'"))[0]
    layout = lay_out(spec, one)
    natural = {
        "half_life": np.array([[12.0]]),
        "anchor": np.array([[1.3]]),
        "volatility_exponent": np.array([[0.4]]),
        "volatility": np.array([[[3.0]]]),
        "noise": np.array([[0.7]]),
        "correlation": np.array([[0.5]]),
        "carry": np.array([[-40.0]]),
    }
    (p,) = filter_parameters(spec, layout, natural)
    years = (one["time"].values - one["time"].values[0]) / YEAR.to_timedelta64()
    kappa, sigma, noise = rate(12.0), 3e-4 * np.sqrt(365), 0.7 / 365
    # It was at fair value, as quoted, five years before its first quote.
    then = years + SETTLED
    apart, sooner = abs(then[:, None] - then), np.minimum(then[:, None], then)
    process = (np.exp(-kappa * apart) - np.exp(-kappa * (then[:, None] + then))) / (2 * kappa)
    memory = noise * np.exp(-kappa * (then[:, None] + then))
    covariance = sigma**2 * (process + memory + noise * np.eye(len(then)))
    assert sooner.min() >= SETTLED
    mean = np.full(len(then), -0.4 * PREMIUM_SPAN)
    expected = multivariate_normal(mean, covariance).logpdf(one["basis"].values)
    assert sweep(layout.schedule, p).value == pytest.approx(expected, rel=1e-8)


def test_expiry_means_nothing_to_them(panel):
    anchored = bb.load_card("anchored")
    ou = replace(anchored, law=OrnsteinUhlenbeck())
    one = bb.make_panel(prices().query("kind == 'perpetual'"))[0]
    rng = np.random.default_rng(1)
    natural = {
        "half_life": rng.uniform(5, 50, (3, 2)),
        "anchor": rng.uniform(0, 3, (3, 2)),
        "volatility_exponent": rng.uniform(-0.4, 1.4, (3, 2)),
        "volatility": rng.uniform(1, 5, (3, 2, anchored.regimes.count)),
        "noise": rng.uniform(0.1, 2, (3, 2)),
        "correlation": np.full((3, 2), 0.5),
        "tail": np.full((3, 1), 5.0),
        "stay": rng.uniform(5, 20, (3, 2, 2)),
        "carry": rng.normal(0, 20, (3, 2)),
    }
    values = []
    for spec in (anchored, ou):
        layout = lay_out(spec, one)
        values.append(
            [sweep(layout.schedule, p).value for p in filter_parameters(spec, layout, natural)]
        )
    np.testing.assert_allclose(values[0], values[1], rtol=1e-9)


def test_a_law_that_only_expiry_drives_is_refused(panel):
    spec = replace(bb.load_card("anchored"), law=BrownianBridge())
    said = (
        "the panel holds perpetuals, BTC-PERP the first, and the law brownian-bridge has no "
        "half-life: nothing but expiry closes a deviation. Choose one that has, such as anchored"
    )
    with pytest.raises(ValueError, match=f"^{said}$"):
        lay_out(spec, panel)


def test_time_to_expiry_of_any_date_is_below_that_of_none():
    assert (np.datetime64("2262-01-01") - np.datetime64("1678-01-01")) / np.timedelta64(
        365, "D"
    ) < ENDLESS
