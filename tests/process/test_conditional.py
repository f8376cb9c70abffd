"""Facts about carry given everything else."""

import numpy as np
import pytest

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.conditional import carry_information, draw_carry
from bayesbasis.process.filter import Parameters
from bayesbasis.process.simulation import simulate_deviations

DAY = 1.0 / 365

MARKETS = {
    "student-t, two regimes": {},
    "student-t, one regime": {"regimes": 1},
    "gaussian, three regimes": {"regimes": 3, "gaussian": True},
    "a market chain": {"market": True},
}
every_market = pytest.mark.parametrize("options", MARKETS.values(), ids=list(MARKETS))


def times_to_expiry(case):
    return np.array([0.9 + 0.1 * q.contract - q.time for q in case.quotes])


def columns_of(case, unknown):
    return np.array([unknown.get(q.contract, -1) for q in case.quotes], np.int64)


def less_carry(case, tau, column, carry):
    fair = np.where(column >= 0, carry[column] * tau, 0.0)
    return case.parameters._replace(deviation=case.parameters.deviation - fair)


def score_at(case, tau, column, carry):
    p = less_carry(case, tau, column, carry)
    result = sweep(case.schedule, p)
    return carry_information(case.schedule, p, result, tau, column, len(carry), False)


def jacobian(function, x, step):
    """Derivatives of a vector to fourth order."""
    moves = step * np.eye(len(x))
    return np.stack(
        [
            (function(x - 2 * m) - 8 * function(x - m) + 8 * function(x + m) - function(x + 2 * m))
            / (12 * step)
            for m in moves
        ],
        axis=-1,
    )


def conjugate_posterior(case, tau, column, centre, spread):
    """Posterior of carry in one Gaussian regime: least squares on dense innovations.

    The innovations are linear in the quotes, so those of time to expiry are their sensitivities.
    """
    p, s = case.parameters, case.schedule
    states, events = {}, {}
    for i, q in enumerate(case.quotes):
        f = p.noise[s.group[i]]
        now = np.array([p.deviation[i], tau[i] if column[i] >= 0 else 0.0])
        if q.contract not in states:
            states[q.contract] = (now, f)
            continue
        level, variance = states[q.contract]
        predicted = p.phi[q.move] ** 2 * variance + p.variance[q.move]
        error = now - p.phi[q.move] * level
        gain = predicted / (predicted + f)
        states[q.contract] = (p.phi[q.move] * level + gain * error, (1.0 - gain) * predicted)
        key = (q.path, q.time, q.underlying, s.group[i])
        events.setdefault(key, []).append((error, predicted + f, column[i]))
    precision = np.eye(len(centre)) / spread**2
    weighted = centre / spread**2
    for (*_, group), rows in events.items():
        errors, spreads, columns = (np.array(x) for x in zip(*rows, strict=True))
        shape = (1.0 - p.correlation[group]) * np.eye(len(rows)) + p.correlation[group]
        cov = p.scale[group, 0] ** 2 * shape * np.sqrt(np.outer(spreads, spreads))
        design = np.zeros((len(rows), len(centre)))
        for row, (error, c) in enumerate(zip(errors, columns, strict=True)):
            if c >= 0:
                design[row, c] = error[1]
        precision += design.T @ np.linalg.solve(cov, design)
        weighted += design.T @ np.linalg.solve(cov, errors[:, 0])
    cov = np.linalg.inv(precision)
    return cov @ weighted, cov


@every_market
def test_the_score_is_the_slope_of_the_likelihood_by_carry(market, options):
    case = market(20, times=15, contracts=2, **options)
    tau, column = times_to_expiry(case), columns_of(case, {0: 0, 3: 1, 1: 2})
    carry = np.array([0.1, -0.05, 0.0])

    def value(c):
        return sweep(case.schedule, less_carry(case, tau, column, c)).value

    expected = jacobian(value, carry, 1e-3)
    score, _ = score_at(case, tau, column, carry)
    np.testing.assert_allclose(score, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("contracts", [1, 3])
def test_in_one_gaussian_regime_the_information_is_the_curvature(market, contracts):
    case = market(21, times=15, contracts=contracts, regimes=1, gaussian=True)
    tau, column = times_to_expiry(case), columns_of(case, {0: 1, 1: 0})
    carry = np.array([0.1, -0.05])
    curvature = jacobian(lambda c: score_at(case, tau, column, c)[0], carry, 1e-2)
    _, information = score_at(case, tau, column, carry)
    np.testing.assert_allclose(information, -curvature, rtol=1e-8, atol=1e-8)


def simulated_curves(tail, contracts, days, draws):
    """Quotes without noise of one regime, and the parameters they come from."""
    curve = Parameters(
        deviation=np.empty(0),
        phi=np.linspace(0.95, 0.8, days),
        variance=np.full(days, DAY),
        noise=np.zeros(1),
        correlation=np.array([0.6]),
        tail=np.array([tail]),
        scale=np.array([[0.2]]),
        rates=np.zeros((1, 1, 1)),
    )
    shape = (draws, contracts, days)
    z, _ = simulate_deviations(
        np.zeros((draws, contracts)),
        np.zeros((draws, contracts)),
        np.broadcast_to(curve.phi, shape),
        np.broadcast_to(curve.variance, shape),
        np.full((draws, days), 0.2),
        np.full(draws, 0.6),
        np.full(draws, tail),
        np.zeros(draws),
        np.random.default_rng(30),
    )
    for path in z:
        quoted = np.concatenate([np.zeros((contracts, 1)), path], axis=1)
        yield curve._replace(deviation=np.ascontiguousarray(quoted.T).ravel())


@pytest.mark.parametrize("tail", [np.inf, 5.0], ids=["gaussian", "student-t"])
def test_information_is_the_variance_of_the_score(daily_curve, tail):
    contracts, days = 2, 15
    schedule = daily_curve(contracts, days)
    tau = np.repeat(np.linspace(0.2, 0.1, days + 1), contracts)
    column = np.tile(np.arange(contracts), days + 1)
    excess = []
    for p in simulated_curves(tail, contracts, days, 4000):
        result = sweep(schedule, p)
        score, information = carry_information(schedule, p, result, tau, column, contracts, False)
        excess.append((information - np.outer(score, score)).ravel())
    error = np.std(excess, axis=0) / np.sqrt(len(excess))
    np.testing.assert_array_less(np.abs(np.mean(excess, axis=0)) / error, 4.0)


@every_market
def test_information_is_symmetric_and_positive(market, options):
    case = market(22, times=25, contracts=3, **options)
    tau, column = times_to_expiry(case), columns_of(case, {0: 0, 2: 1, 3: 2})
    _, information = score_at(case, tau, column, np.zeros(3))
    np.testing.assert_allclose(information, information.T, rtol=1e-12)
    assert (np.linalg.eigvalsh(information) > 0).all()


@pytest.mark.parametrize("contracts", [1, 3])
def test_in_one_gaussian_regime_draws_come_from_the_conjugate_posterior(market, contracts):
    case = market(23, times=15, contracts=contracts, underlyings=2, regimes=1, gaussian=True)
    tau = times_to_expiry(case)
    column = columns_of(case, {1: 0, 0: 1} if contracts == 1 else {1: 0, 4: 1, 0: 2, 2: 3})
    centre, spread = np.array([0.1, -0.2, 0.05, 0.0])[: column.max() + 1], 0.3
    expected_mean, expected_cov = conjugate_posterior(case, tau, column, centre, spread)

    def draw(normal):
        return draw_carry(case.schedule, case.parameters, tau, column, centre, spread, normal)

    # A draw is affine in its standard normals, so these few say all of its distribution.
    mean = draw(np.zeros(len(centre)))
    root = np.stack([draw(unit) - mean for unit in np.eye(len(centre))], axis=1)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-9)
    np.testing.assert_allclose(root @ root.T, expected_cov, rtol=1e-9, atol=1e-12)


@every_market
def test_draws_centre_on_the_mode(market, options):
    case = market(24, times=40, contracts=2, **options)
    tau, column = times_to_expiry(case), columns_of(case, {1: 0, 2: 1})
    centre, spread, still = np.array([0.1, -0.2]), 0.3, np.zeros(2)

    def mode(iterations):
        return draw_carry(
            case.schedule, case.parameters, tau, column, centre, spread, still, iterations
        )

    settled = mode(200)
    score, information = score_at(case, tau, column, settled)
    precision = information + np.eye(2) / spread**2
    deviation = np.sqrt(np.diag(np.linalg.inv(precision)))
    np.testing.assert_allclose((score - (settled - centre) / spread**2) * deviation, 0, atol=1e-5)


def test_four_steps_find_the_mode_of_what_the_model_simulates(daily_curve):
    contracts, days, still = 2, 60, np.zeros(2)
    schedule = daily_curve(contracts, days)
    tau = np.repeat(np.linspace(0.3, 0.1, days + 1), contracts)
    column = np.tile(np.arange(contracts), days + 1)
    for p in simulated_curves(5.0, contracts, days, 50):
        given = (schedule, p, tau, column, still, 0.1)
        deviation = draw_carry(*given, np.ones(2), 100) - draw_carry(*given, still, 100)
        error = draw_carry(*given, still) - draw_carry(*given, still, 100)
        assert (np.abs(error) < 0.3 * np.abs(deviation)).all()


def test_a_contract_without_quotes_draws_from_its_population(market):
    case = market(25)
    tau, column = times_to_expiry(case), columns_of(case, {0: 0})
    normal, centre = np.array([0.3, -1.2]), np.array([0.1, 0.4])
    carry = draw_carry(case.schedule, case.parameters, tau, column, centre, 0.05, normal)
    np.testing.assert_allclose(carry[1], 0.4 - 1.2 * 0.05, rtol=1e-12)


def test_a_tight_population_leaves_quotes_no_say(market):
    case = market(26)
    tau, column = times_to_expiry(case), columns_of(case, {0: 0, 1: 1})
    centre = np.array([0.1, 0.4])
    carry = draw_carry(case.schedule, case.parameters, tau, column, centre, 1e-9, np.zeros(2))
    np.testing.assert_allclose(carry, centre, atol=1e-8)
