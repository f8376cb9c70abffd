"""The default against every baseline, on real prices, out of sample.

`pytest tests/evaluate/test_contest.py -m study -s` prints the tables (half an hour).
"""

import pandas as pd
import pytest

import bayesbasis as bb
from bayesbasis.evaluate.baselines import BASELINES
from bayesbasis.evaluate.summary import differences

DEFAULT = "anchored-regimes"
# Origins, and after how many of them the default is fitted anew.
CONTESTS = {
    "btc-quarter": (pd.date_range("2021-09-01", "2024-02-01", freq="MS"), 3),
    "vix": (pd.date_range("2005-01-01", "2012-10-01", freq="QS"), 4),
}


@pytest.fixture(scope="module", params=CONTESTS)
def market(request):
    return request.param


@pytest.fixture(scope="module")
def found(market, real_data, tmp_path_factory):
    panel, _ = bb.make_panel(real_data(f"{market}.parquet"))
    origins, refit = CONTESTS[market]
    scores = bb.backtest(
        [DEFAULT, *BASELINES],
        panel,
        origins,
        "60D",
        refit=refit,
        draws=300,
        repeats=10,
        tune=700,
        warm_tune=300,
        store=tmp_path_factory.mktemp("windows"),
        progress=False,
    )
    found = bb.compare(scores)
    print(f"\n{found}\n\n{found.buckets.round(3).to_string()}\n")
    print(found.table[["r_hat", "ess_bulk", "first_s", "next_s", "peak_mb"]].round(2).to_string())
    return found


@pytest.mark.study
@pytest.mark.real
def test_no_window_fails_and_chains_mostly_agree(found):
    assert (found.table["failed"] == 0).all()
    # Chains are short, for scores average over many forecasts.
    assert found.scores["r_hat"].sel(model=DEFAULT).median() < 1.05
    assert found.table.loc[DEFAULT, "divergences"] == 0


@pytest.mark.study
@pytest.mark.real
def test_the_default_forecasts_better_than_every_baseline(found, market):
    assert found.table.index[0] == DEFAULT
    gap = 1e4 * differences(found.scores, "crps", "bucket").sel(model=DEFAULT, other=[*BASELINES])
    better = gap["difference"] < 0
    if market == "btc-quarter":
        # Sixty days and more ahead of expiry rest on ten listings: there it is only not worse.
        assert (gap["lower"].isel(bucket=4) < 0).all()
        better = better.isel(bucket=slice(4))
    assert better.all(), gap["difference"].where(~better).to_pandas().round(2).to_string()


@pytest.mark.study
@pytest.mark.real
def test_its_bands_hold_what_they_say(found):
    # To the per cent: the smallest buckets hold some 140 quotes.
    covered = found.buckets.loc[DEFAULT, "coverage_90"].round(2)
    assert covered.between(0.86, 0.94).all(), covered.to_string()


@pytest.mark.study
@pytest.mark.real
def test_one_more_origin_costs_at_most_a_third_of_the_first(market, real_data):
    panel, _ = bb.make_panel(real_data(f"{market}.parquet"))
    origins = CONTESTS[market][0][-2:]
    # Not the first of its process, which loads what it runs.
    bb.backtest([DEFAULT], panel, origins[:1], "60D", tune=10, draws=10, progress=False)
    scores = bb.backtest([DEFAULT], panel, origins, "60D", progress=False)
    # All of it: fit, hindcasts, forecast and scores.
    first, following = scores["window_s"].sel(model=DEFAULT).values
    print(f"\n{market}: {first:.2f} s, then {following:.2f} s, {following / first:.2f}")
    assert following < first / 3
