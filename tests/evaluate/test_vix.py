"""VIX, whose spot reverts: futures of 2011 and 2012 forecast by what was known at the end of 2010.

`pytest tests/evaluate/test_vix.py -m slow -s` prints the table.
"""

import numpy as np
import pytest

import bayesbasis as bb

ORIGINS = ("2011-02-01", "2011-05-02", "2011-08-01", "2011-11-01", "2012-02-01", "2012-05-01")
AHEAD = np.timedelta64(60, "D")


def held_back_crps(fit, panel):
    """Mean CRPS over all quotes of the sixty days after every origin, bp."""
    found, quoted = [], np.unique(panel["time"].values)
    for origin in np.array(ORIGINS, "datetime64[ns]"):
        times = quoted[(quoted > origin) & (quoted <= origin + AHEAD)]
        given = {"times": times, "panel": panel, "draws": 300, "repeats": 10, "spot": False}
        found.append(bb.crps(bb.forecast(fit, origin, seed=2, **given), panel).values.ravel())
    return 1e4 * float(np.nanmean(np.concatenate(found)))


@pytest.mark.real
@pytest.mark.slow
def test_a_curve_that_reverts_scores_vix_better_than_cost_of_carry(real_data):
    """One step ahead. Sixty days ahead, after three years of history, it does not: 761 against 694.

    There spot must be forecast too, whose level three years of crisis say little of.
    """
    prices = bb.read_prices(real_data("vix.parquet"))
    panel, _ = bb.make_panel(prices[prices["time"] >= "2008-01-01"])
    train, one_step, ahead = bb.known_at(panel, "2010-12-31"), {}, {}
    for card in ("mean-reverting-spot", "anchored-regimes-2"):
        run = {"draws": 150, "tune": 250, "chains": 2, "seed": 1, "progress": False}
        fit = bb.fit(bb.load_card(card), train, **run)
        one_step[card], ahead[card] = bb.log_score(fit), held_back_crps(fit, panel)
        print(f"\n{card}: one-step log score {one_step[card]:.3f}, CRPS {ahead[card]:.0f} bp")
    assert one_step["mean-reverting-spot"] > one_step["anchored-regimes-2"] + 0.3
    assert ahead["mean-reverting-spot"] < 1.1 * ahead["anchored-regimes-2"]
