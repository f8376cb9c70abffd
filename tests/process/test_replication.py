"""Facts about replicated quotes: they are drawn from what the filter scores."""

import numpy as np
import pytest

from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters
from bayesbasis.process.replication import replicate

REPLICATIONS = 400


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"regimes": 2}, id="two regimes"),
        pytest.param({"regimes": 3, "market": True}, id="three regimes, a chain for the market"),
        pytest.param({"regimes": 1, "gaussian": True, "pooled": False}, id="gaussian"),
    ],
)
def test_the_score_of_replicated_quotes_is_zero_on_average(market, options):
    """``E[∂ ln L / ∂ parameter] = 0`` at the parameters that the data came from, for every one."""
    case = market(3, times=20, **options)
    rng = np.random.default_rng(0)
    opening = np.zeros_like(case.parameters.deviation)
    truth = case.parameters._replace(deviation=opening)
    scores = []
    for _ in range(REPLICATIONS):
        quotes = replicate(case.schedule, truth, rng)
        gradient = sweep(case.schedule, truth._replace(deviation=quotes)).gradient
        # Rows of a generator sum to zero: a rate grows at the cost of the stay.
        rates = gradient.rates - np.diagonal(gradient.rates, axis1=1, axis2=2)[..., None]
        scores.append([np.ravel(x) for x in gradient._replace(rates=rates)])
    for name, found in zip(Parameters._fields, zip(*scores, strict=True), strict=True):
        mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(REPLICATIONS)
        np.testing.assert_array_less(np.abs(mean), 4.5 * error + 1e-9, err_msg=name)


def test_regimes_last_as_long_as_the_generator_says(daily_curve):
    """Two regimes far apart are seen with the naked eye."""
    schedule = daily_curve(2, 20_000)
    stay = np.array([20.0, 5.0]) / 365
    p = Parameters(
        deviation=np.zeros(len(schedule.previous)),
        phi=np.zeros(schedule.step.max() + 1),
        variance=np.full(schedule.step.max() + 1, 1.0),
        noise=np.array([1e-6]),
        correlation=np.array([0.0]),
        tail=np.array([np.inf]),
        scale=np.array([[1e-6, 1.0]]),
        rates=np.array([[[-1.0, 1.0], [1.0, -1.0]]]) / stay[:, None],
    )
    quotes = replicate(schedule, p, np.random.default_rng(1))[2:].reshape(-1, 2)
    wild = np.abs(quotes).max(axis=1) > 1e-4
    assert abs(wild.mean() - 5.0 / 25.0) < 0.02
    left = (wild[:-1] & ~wild[1:]).sum() / wild[:-1].sum()
    chance = 5.0 / 25.0 + 20.0 / 25.0 * np.exp(-(1.0 / 20.0 + 1.0 / 5.0))
    assert abs(left - (1.0 - chance)) < 0.02


def test_first_quotes_are_kept_and_a_seed_is_a_panel(market):
    case = market(4)
    one, again = (
        replicate(case.schedule, case.parameters, np.random.default_rng(2)) for _ in range(2)
    )
    np.testing.assert_array_equal(one, again)
    first = case.schedule.first
    np.testing.assert_array_equal(one[first], case.parameters.deviation[first])
