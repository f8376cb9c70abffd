"""Recovery: markets are simulated from every card, fitted with it, and its truth found again.

Few markets a card, to catch what is plainly wrong; `bayesbasis calibrate` judges finely.
"""

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.evaluate.sbc import Effort, ranks_of, replication, small_market

MARKETS, RANKED, OUTSIDE = 2, 39, 4
EFFORT = Effort(quarters=6, share=0.5)


@pytest.mark.study
@pytest.mark.parametrize("card", bb.list_cards())
def test_what_a_card_simulates_it_finds_again(card):
    """Of all parameters, most of 80 % intervals hold the truth."""
    spec, market = bb.load_card(card), small_market(EFFORT)
    inside = []
    for seed in range(MARKETS):
        panel, truth = replication(spec, market, [2026, seed])
        fit = bb.fit(spec, panel, draws=400, tune=500, chains=2, seed=seed, progress=False)
        ranks = np.array(list(ranks_of(fit, truth, RANKED).values()))
        inside.extend((ranks >= OUTSIDE) & (ranks <= RANKED - OUTSIDE))
    print(f"\n{card}: {np.mean(inside):.0%} of {len(inside)} intervals of 80 % hold the truth")
    assert np.mean(inside) >= 0.6
