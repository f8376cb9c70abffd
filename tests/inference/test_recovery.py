"""Parameter recovery: simulate markets, fit them, and count how often intervals hold the truth."""

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.data.market import Market

MARKETS, PROB = 20, 0.9


def draw_market(rng):
    """Draw a market from the card's priors, narrowed to what a year and a half of quotes tells.

    Medians are those of the priors but for volatility and stays; factors are about the square
    root of theirs, so that regimes are visited and half-lives are shorter than the contracts.
    """
    volatility = 8.0 * 2.0 ** rng.standard_normal()
    ratio = 1.0 + 2.5 * 1.4 ** rng.standard_normal()
    return Market(
        half_life=15.0 * 1.7 ** rng.standard_normal(),
        anchor=1.0 * 1.02 ** rng.standard_normal(),
        volatility_exponent=-0.5 + 2.0 / (1.0 + np.exp(-0.7 * rng.standard_normal())),
        volatility=(volatility, ratio * volatility),
        stay=tuple(15.0 * 1.6 ** rng.standard_normal(2)),
        noise=0.1 * 2.0 ** rng.standard_normal(),
        correlation=1.0 / (1.0 + np.exp(-rng.standard_normal())),
        tail=2.0 + 4.0 * 1.5 ** rng.standard_normal(),
        carry_mean=5.0 + 10.0 * rng.standard_normal(),
        carry_between_underlyings=0.0,
        carry_between_contracts=5.0 * 1.5 ** rng.standard_normal(),
    )


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say(spec):
    rng = np.random.default_rng(2026)
    inside: dict[str, list[bool]] = {}
    for seed in range(MARKETS):
        prices, truth = bb.simulate_market(
            draw_market(rng), seed=seed, underlyings=["BTC"], quarters=6
        )
        panel, _ = bb.make_panel(prices)
        fit = bb.fit(spec, panel, draws=500, tune=500, chains=2, seed=seed, progress=False)
        posterior = fit["posterior"].to_dataset()
        for name in posterior.data_vars:
            draws = posterior[name].values.reshape(1000, -1)
            low, high = np.quantile(draws, [(1 - PROB) / 2, (1 + PROB) / 2], axis=0)
            true = np.atleast_1d(truth[name].values)
            inside.setdefault(name, []).extend((low <= true) & (true <= high))
    print(f"\n{PROB:.0%} intervals of {MARKETS} markets hold the truth")
    for name, hits in inside.items():
        print(f"{name:<26}{np.mean(hits):6.1%} of {len(hits)}")
    hits = np.concatenate(list(inside.values()))
    print(f"{'all':<26}{np.mean(hits):6.1%} of {len(hits)}")
    assert 0.80 <= np.mean(hits) <= 0.97
    scalars = np.concatenate([own for name, own in inside.items() if name != "carry"])
    print(f"{'all but carry by contract':<26}{np.mean(scalars):6.1%} of {len(scalars)}")
    assert 0.80 <= np.mean(scalars) <= 0.97
