"""Rolling origins on the real premia of perpetuals: thirty days ahead, against three baselines.

Why bands were too wide: an Ornstein-Uhlenbeck process seen through noise, fitted to BTC year by
year, has a half-life of 15, 4 and 14 days in 2021, 2022 and 2023, a volatility of 1.8, 0.6 and 1.2
bp per √day, noise of 2.7, 1.6 and 1.2 bp, and a stationary deviation of 5.8, 0.9 and 3.6 bp. One
law for all with two regimes (half-life 42 days, 0.86 bp per √day when calm, noise of 4.5 days)
leaves innovations of 2022 whose variance over 5, 20 and 40 days is 0.65, 0.26 and 0.13 of what it
would be were they independent; 1.2, 1.0 and 1.0 in 2021. Noise scales with volatility in the model,
and hardly does in these quotes: calm regimes cannot be calm enough.

The card is the one whose coverage on the six origins of 2021 is nearest to 0.9, of fifteen tried;
the twelve of 2022 confirm it, though they were printed by the same runs (refits of half a year,
2 x (250 + 200) draws). CRPS in bp and coverage of the 90 % band, 2021 then 2022:

    anchored-regimes, the card before                     3.36 0.986    1.83 0.986
    anchored-regimes-2                                    3.40 0.986    1.90 0.990
    one regime                                            3.47 0.997    2.12 0.996
    two, each with a speed of its own                     3.39 0.981    1.92 0.992
    three, each with a speed of its own                   3.40 0.978    1.83 0.983
    two, noise of 3 days, factor 4                        3.40 0.972    1.89 0.992
    two, stays of 90 days, factor 2                       3.38 0.978    1.90 0.993
    two, Gaussian shocks                                  3.39 0.972    1.88 0.992
    three, Gaussian shocks                                3.39 0.958    1.80 0.983
    the same, half-life of 5 days, factor 1.3             3.14 0.978    1.93 0.975
    the same, half-life of 10 days                        3.19 0.972    1.93 0.978
    the same, half-life of 20 days                        3.33 0.967    1.81 0.983
    the same, 10 days, volatility of 0.3, noise of 30     3.25 0.956    1.84 0.976
    stochastic volatility, Student-t shocks               3.38 0.917    1.74 0.953
    stochastic volatility, Gaussian shocks (`premia`)     3.40 0.892    1.73 0.951

All 29 origins as below, those of 2023 never looked at for the choice: 1.87 bp and 0.942 (1.98 and
0.979 with the card before); by year 0.900, 0.961 and 0.944; R-hat up to 1.04 in fits this short.

Run again with bands recalibrated, as they are by default (17 minutes of a busy machine; R-hat up to
1.04, bulk ESS 99 to 137, 4 to 9 divergences a fit): CRPS in bp beside no change, an
Ornstein-Uhlenbeck process by likelihood and the historical distribution, and coverage of 0.9:

    Bitcoin    1.79 (2.26, 2.77, 2.68)  0.953        1 to 7 days    1.44 (1.83, 2.45, 2.80)  0.926
    Ether      1.96 (2.32, 3.40, 3.08)  0.937        8 to 14        1.89 (2.21, 3.24, 2.98)  0.919
    all        1.88 (2.29, 3.08, 2.88)  0.945        15 to 30       2.06 (2.52, 3.29, 2.88)  0.964

All of these are with the priors of dated contracts, 10 bp and 10 days. With those that `premia` has
now, on both (2 minutes; R-hat up to 1.04, bulk ESS 68 to 356, at most one divergence a fit): 1.79
bp and 0.952 on Bitcoin, 1.96 and 0.933 on Ether, 1.88 and 0.943 in all; 1 to 7 days 1.44 and
0.921, then 1.89 and 0.919, 2.06 and 0.962; by year 0.889, 0.967 and 0.945.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import bayesbasis as bb

pytestmark = [pytest.mark.real, pytest.mark.study]

ORIGINS = pd.date_range("2021-07-01", "2023-11-01", freq="MS")


@dataclass(frozen=True)
class HistoricalDistribution:
    """Any past premium is as likely as any other, whatever it is today."""

    name: ClassVar[str] = "historical-distribution"

    def simulate(self, past, tau, draws, rng):
        """Draw a past premium for every step."""
        return rng.choice(past.own[1], (draws, len(tau)))


MODELS = ["premia", "no-change", "ou-ml", HistoricalDistribution()]
MODEL_NAMES = [model if isinstance(model, str) else model.name for model in MODELS]


@pytest.fixture(scope="module")
def table(real_data):
    """CRPS of every model in bp, and coverage and width of our 90 % band, by group."""
    panel, _ = bb.make_panel(real_data("perp-daily.parquet"))
    scores = bb.backtest(
        MODELS, panel, ORIGINS, "30D", refit=10, draws=250, tune=300, chains=2, progress=False
    )
    fits = scores[["fit_s", "r_hat", "ess_bulk", "divergences"]].isel(model=0).to_dataframe()
    print(fits.drop_duplicates())
    days = np.ceil(scores["horizon"].values).astype(int)
    groups = {f"{a}-{b} d": (days >= a) & (days <= b) for a, b in ((1, 7), (8, 14), (15, 30))}
    groups |= {n: scores["contract"].values == n for n in np.unique(scores["contract"].values)}
    groups |= {str(y): scores["origin"].dt.year.values == y for y in (2021, 2022, 2023)}
    groups["all"] = np.ones(len(days), bool)
    own = scores.sel(model=MODEL_NAMES[0], level=0.9)
    rows = {}
    for name, chosen in groups.items():
        rows[name] = {m: scores["crps"].sel(model=m)[chosen].mean() * 1e4 for m in MODEL_NAMES}
        rows[name]["covered"] = own["covered"][chosen].mean()
        rows[name]["width"] = own["width"][chosen].mean() * 1e4
    found = pd.DataFrame(rows).T.astype(float)
    print(found.round(3).to_string())
    return found


def test_thirty_days_of_premia_beat_what_anyone_would_try(table):
    for name in MODEL_NAMES[1:]:
        assert (table[MODEL_NAMES[0]] < table[name]).all()


def test_bands_hold_as_many_premia_as_they_say(table):
    assert 0.85 <= table.loc["all", "covered"] <= 0.95
