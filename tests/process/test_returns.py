import numpy as np
import pytest
from scipy.stats import kstest, t

from bayesbasis.process.filter import Parameters, Schedule, States
from bayesbasis.process.returns import draw_spot, simulate_spot

EVENTS, RHO, SIGMA = 1500, 0.6, np.array([0.01, 0.04])
VOLATILITY, WITH_CURVE = np.array([0.5, 1.1]), np.array([0.3, -0.5])


def curve(rng, tail, events=EVENTS, contracts=2):
    """Shocks of a curve, scaled by the root of its mixing variable, and that root."""
    root = 1.0 if np.isinf(tail) else np.sqrt(tail / rng.chisquare(tail, (events, 1)))
    common, own = rng.standard_normal((events, 1)), rng.standard_normal((events, contracts))
    return root * (np.sqrt(RHO) * common + np.sqrt(1 - RHO) * own), root * np.ones((events, 1))


def spot_moves(rng, shocks, root, regime):
    count = shocks.shape[1]
    shared = shocks.sum(1) / np.sqrt(count * (1 - RHO + RHO * count))
    own = root[:, 0] * rng.standard_normal(len(shocks))
    rho = WITH_CURVE[regime]
    return VOLATILITY[regime] * (rho * shared + np.sqrt(1 - rho**2) * own)


def laid_out(shocks, regime, tail):
    """What the filter would leave behind of these shocks."""
    events, contracts = shocks.shape
    scaled = SIGMA[regime][:, None] * shocks
    total, squares = scaled.sum(1), (scaled**2).sum(1)
    spread = 1 + RHO * (contracts - 1)
    none = np.empty(0)
    start = np.arange(events) * contracts
    group = np.zeros(events * contracts, np.int64)
    schedule = Schedule(
        *(none, none, group, none, start, start + contracts, none, none, none, none)
    )
    parameters = Parameters(
        *(none, none, none, none),
        correlation=np.array([RHO]),
        tail=np.array([tail]),
        scale=SIGMA[None],
        rates=np.zeros((1, 2, 2)),
    )
    distance = (squares - RHO * total**2 / spread) / (1 - RHO)
    states = States(*(none,) * 4, total, distance, *(np.zeros((events, 2)),) * 3, none)
    return schedule, parameters, states


@pytest.mark.parametrize("tail", [np.inf, 4.0])
def test_volatility_and_correlation_by_regime_are_recovered(tail):
    rng = np.random.default_rng(1)
    regime = (rng.random(EVENTS) < 0.3).astype(np.int64)
    shocks, root = curve(rng, tail)
    move = spot_moves(rng, shocks, root, regime)
    move[::50] = np.nan
    schedule, parameters, states = laid_out(shocks, regime, tail)
    owner = np.zeros(EVENTS, np.int64)
    # The sums of the regression are draws too: 200 posterior draws, each after a few Gibbs steps.
    found = [
        draw_spot(schedule, parameters, states, regime, owner, move, np.array([0.7]), 8, rng)
        for _ in range(200)
    ]
    for values, truth in zip(zip(*found, strict=True), (VOLATILITY, WITH_CURVE), strict=True):
        draws = np.array(values)[:, 0]
        score = (draws.mean(0) - truth) / draws.std(0)
        assert (np.abs(score) < 3).all()
        assert (draws.std(0) < 0.12 * (1 + truth)).all()


def test_a_regime_that_was_never_seen_has_the_usual_volatility():
    rng = np.random.default_rng(2)
    regime = np.zeros(100, np.int64)
    shocks, root = curve(rng, 5.0, 100)
    schedule, parameters, states = laid_out(shocks, regime, 5.0)
    move = spot_moves(rng, shocks, root, regime)
    owner = np.zeros(100, np.int64)
    draws = np.array(
        [
            draw_spot(schedule, parameters, states, regime, owner, move, np.array([0.7]), 3, rng)[0]
            for _ in range(400)
        ]
    )[:, 0, 1]
    assert 0.5 < np.median(draws) < 1.2


@pytest.mark.parametrize("tail", [np.inf, 4.0])
def test_simulated_spot_shares_its_shocks_with_the_curve(tail):
    rng, draws = np.random.default_rng(3), 40_000
    shocks, _ = curve(rng, tail, draws)
    rho = np.full((draws, 1), 0.4)
    found = simulate_spot(
        shocks[:, :, None],
        np.full(draws, RHO),
        np.full(draws, tail),
        np.full((draws, 1), 0.8),
        rho,
        rng,
    )[:, 0]
    law = "norm" if np.isinf(tail) else t(tail).cdf
    assert kstest(found / 0.8, law).pvalue > 1e-3
    shared = shocks.sum(1) / np.sqrt(2 * (1 + RHO))
    if np.isinf(tail):
        assert np.corrcoef(found, shared)[0, 1] == pytest.approx(0.4, abs=0.02)
    # Of a heavy tail the signs tell: P(same sign) = 1/2 + arcsin(ρ)/π.
    same = np.mean(found * shared > 0)
    assert same == pytest.approx(0.5 + np.arcsin(0.4) / np.pi, abs=4 * 0.5 / np.sqrt(draws))
    wild = np.abs(shared) > np.quantile(np.abs(shared), 0.99)
    if np.isfinite(tail):
        assert np.abs(found[wild]).mean() > 2 * np.abs(found[~wild]).mean()


def test_spot_moves_on_when_no_contract_does():
    rng, draws = np.random.default_rng(4), 20_000
    missing = np.full((draws, 2, 1), np.nan)
    ones = np.ones((draws, 1))
    found = simulate_spot(missing, 0.5 * ones[:, 0], 5 * ones[:, 0], ones, 0.4 * ones, rng)
    assert kstest(found[:, 0], t(5).cdf).pvalue > 1e-3
