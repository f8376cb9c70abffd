"""What drives carry and stays on real prices: cards with covariates against the same without.

`pytest tests/evaluate/test_drivers.py -m study -s` prints the table.
"""

import pandas as pd
import pytest

import bayesbasis as bb

CARDS = ("anchored-regimes-2", "driven-carry", "driven-stays")


@pytest.mark.real
@pytest.mark.study
def test_covariates_converge_on_btc_and_do_not_spoil_the_fit(real_data):
    """All three on the rows that have the covariates."""
    table = pd.read_parquet(real_data("covariates-daily.parquet"))
    names = ["tbill13w_pct", "btc_dvol"]
    prices = bb.join_covariates(bb.read_prices(real_data("btc-quarter.parquet")), table, names)
    panel, _ = bb.make_panel(prices.dropna(subset=names))
    scores = {}
    for card in CARDS:
        fit = bb.fit(bb.load_card(card), panel, draws=600, tune=600, seed=1, progress=False)
        found, scores[card] = bb.diagnose(fit), bb.log_score(fit)
        print(f"\n{card}: log score {scores[card]:.4f}; {str(found).splitlines()[0]}")
        for name in ("coefficient", "stay_coefficient"):
            if name in fit["posterior"]:
                draws = fit["posterior"][name]
                mean, sd = draws.mean(["chain", "draw"]), draws.std(["chain", "draw"])
                print(f"{name}: {mean.values.round(2)} ± {sd.values.round(2)}")
        assert found.table["r_hat"].max() <= 1.02
        assert found.divergences <= 10
    assert min(scores["driven-carry"], scores["driven-stays"]) > scores["anchored-regimes-2"] - 0.01
