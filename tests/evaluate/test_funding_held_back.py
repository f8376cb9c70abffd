"""Rolling origins on the real funding history: thirty days ahead, against what anyone would try.

The prior of the slow half-life was first chosen on the origins of 2021 among priors that let the
data move it: it went to 20 days, for a level of one time scale is to explain days and months. Then
priors that hold it were tried on Binance alone (refits in January and July, 100 draws; mean CRPS in
bp, coverage of the 90 % band and share of settlements predicted at the interest rate; 2021, then
2022, where shares of 0.445 and 0.266 were seen). Both years were printed by the same runs, so 2022
is no blind test of the choice; what it rests on is 2022 and the memory of simulated funding:

    median 60 days, factor 1.5 (the default before)    113.2 0.857 0.624    33.1 0.955 0.558
    median 90, factor 1.15 (the default now)            94.3 0.786 0.582    25.0 1.000 0.486
    the same, five rungs of the fast premium            98.9 0.857 0.595    25.0 0.955 0.471
    the same, eleven rungs of the slow level           117.3 0.821 0.586    29.4 0.955 0.496
    median 180, factor 1.15                            134.3 0.714 0.638    24.8 0.955 0.519
    median 90, dead zone half as wide to premia        112.9 0.750 0.531    25.6 0.955 0.570
    median 90, a third as wide                         119.1 0.786 0.531    29.4 0.909 0.591
    median 30, factor 2, a third as wide                99.8 0.893 0.493    50.3 0.591 0.626

All of these were measured at the mode that one climb from the middle of the prior found. Posteriors
of funding have many, some fifty units of log density apart. At the highest of twelve, which
`fit_funding` goes by since, the default has, again on Binance alone:

    median 90, factor 1.15                             112.4 0.786 0.535    27.7 0.955 0.500
    median 60, factor 1.15                             105.5 0.786 0.587    31.1 0.955 0.567
    median 45, factor 2                                114.7 0.786 0.612    43.8 0.955 0.564
    median 90, skew normal with mean 0.1, sd 0.3       111.6 0.750 0.506    35.2 0.864 0.548

75.1 bp over both years, where the last rate has 98.9, an AR(1) 147.8 and the historical
distribution 121.8; with recalibrated bands 76.8 bp and a coverage of 0.98. The density one
settlement ahead prefers modes that forecast sums of a month less well: it was by luck that the
lower one did better.

All contracts, quarterly refits, at the mode of one climb: 59.8 bp and 0.880, 60.3 bp and 0.940 with
bands recalibrated by two bands; 67.6 and 0.852 with the prior before and MEXC's rates read as
premia without a dead zone. At the highest of twelve: 62.2 bp and 0.845, and 62.1 and 0.915 with
bands recalibrated, as they are by default; that coverage is asked for since, not the bare one.

What the histories of contracts whose bands fail are (sums of a month in bp): KuCoin's ETH paid 616,
454 and 633 in August to October 2021 where Binance's paid 152, 156 and 226, and BTC 560 in October
against 203, with half of its settlements at 1 bp all the while: a premium of its own, on the usual
rule. ETH paid -120 to -193 everywhere in September 2022, the month of the Merge. Both contracts of
dYdX, whose history begins in 2022, paid -272 and -282 in November 2022, when FTX failed, against
-17 and -23 on Binance: one month of the ten or so that it is scored on. HTX's BTC paid 25 to 75 in
every month of 2022 while its bands still remembered 2021. No change of interval or interest is to
be seen in any of them; single settlements of KuCoin at -36.5, -30 and 30 bp hint at another cap
than ours, too few to say which.
MEXC's rates are, from June 2021, Binance's and half a basis point more or less.
"""

import numpy as np
import pandas as pd
import pytest
import scoringrules
import xarray as xr
from scipy.stats import binom

import bayesbasis as bb

pytestmark = [pytest.mark.real, pytest.mark.study]

DAY = np.timedelta64(1, "D")
HORIZON = 30
# A contract is fitted once it has this much of a past.
LEAST = 80
REFITS = pd.date_range("2021-01-01", "2022-10-01", freq="QS").to_numpy("datetime64[ns]")
LAST = np.datetime64("2022-12-01", "ns")
ORIGINS = np.arange(REFITS[0], LAST, 28 * DAY)


def with_a_past(history: xr.Dataset, origin: np.datetime64) -> xr.Dataset:
    """Keep what was known then, of contracts that have been there for a while."""
    known = bb.known_at(history, origin)
    index, time = known["contract_index"].values, known["time"].values
    old = np.unique(index[time < origin - LEAST * DAY])
    kept = known.isel(obs=np.isin(index, old), contract=old)
    new = np.searchsorted(old, kept["contract_index"].values)
    return kept.assign_coords(contract_index=("obs", new))


def settled(history: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give times and rates of a contract, and whether each was at the interest rate."""
    place = history["contract"].values.tolist().index(name)
    own = history.isel(obs=history["contract_index"].values == place)
    lower, upper = own["premium_lower"].values, own["premium_upper"].values
    zone = float(history["clamp"][place])
    dead = np.isfinite(upper - lower) & (upper - lower >= 2.0 * zone - 1e-9) & (zone > 0)
    return own["scheduled"].values, own["funding_rate"].values, dead


def baselines(past: np.ndarray, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Cumulative funding of `count` settlements by each of the three baselines."""
    x, y = past[:-1], past[1:]
    share = np.clip(np.cov(x, y)[0, 1] / x.var(), 0, 0.999)
    noise = (y - past.mean() - share * (x - past.mean())).std()
    gap, total = np.full(400, past[-1] - past.mean()), np.zeros(400)
    for _ in range(count):
        gap = share * gap + noise * rng.standard_normal(400)
        total += past.mean() + gap
    summed = np.concatenate([[0.0], np.cumsum(past)])
    window = summed[count:] - summed[:-count]
    history = window if len(window) else np.array([past.mean() * count])
    return {"last rate": np.array([past[-1] * count]), "AR(1)": total, "historical": history}


def measure(history: xr.Dataset, draws: int = 200) -> pd.DataFrame:
    """Score every origin and contract; bands are recalibrated by what each fit knew of its past."""
    rows, rng = [], np.random.default_rng(1)
    for begin, end in zip(REFITS, [*REFITS[1:], LAST], strict=True):
        fit = bb.fit_funding(
            bb.FundingSpec(), with_a_past(history, begin),
            draws=draws, chains=1, seed=1, sampler={"backend": "laplace"},
        )  # fmt: skip
        for origin in ORIGINS[(begin <= ORIGINS) & (end > ORIGINS)]:
            paths = bb.forecast_funding(fit, f"{HORIZON}D", seed=1, origin=origin, history=history)
            total = bb.cumulative_funding(paths)
            bare = bb.cumulative_funding(paths.drop_vars("sum_factor"))
            outside = bb.funding_outlook(paths)["outside_share"]
            for name in paths["contract"].values.astype(str):
                time, rate, dead = settled(history, name)
                ahead = (time > origin) & (time <= origin + HORIZON * DAY)
                due = int(paths["time"].sel(contract=name).notnull().sum())
                if ahead.sum() < 0.97 * due:
                    continue
                seen = 1e4 * rate[ahead].sum()
                row = {"contract": name, "origin": origin}
                for tail, sums in (("", total), (" bare", bare)):
                    mine = 1e4 * sums.sel(contract=name).values.ravel()
                    low, high = np.quantile(mine, [0.05, 0.95])
                    row["covered" + tail] = low <= seen <= high
                    row["crps" + tail] = scoringrules.crps_ensemble(seen, mine)
                for label, other in baselines(rate[time <= origin], due, rng).items():
                    row[label] = scoringrules.crps_ensemble(seen, 1e4 * other)
                row["dead predicted"] = 1 - float(outside.sel(contract=name))
                row["dead seen"] = dead[ahead].mean()
                rows.append(row)
        print(begin, fit.attrs["wall_time_s"], flush=True)
    return pd.DataFrame(rows)


def test_thirty_days_of_funding_beat_what_anyone_would_try(real_data):
    history, _ = bb.make_funding(real_data("funding-history.parquet"))
    scores = measure(history)
    table = scores.drop(columns="origin").groupby("contract").mean()
    table["origins"] = scores.groupby("contract").size()
    # Between these lies the coverage of 90 % bands 19 times in 20, if origins are independent.
    table["least"], table["most"] = binom.ppf([[0.025], [0.975]], table["origins"], 0.9)
    table[["least", "most"]] = table[["least", "most"]].div(table["origins"], axis=0)
    print(table.round(2).to_string())
    means = scores.drop(columns="contract").groupby(scores["origin"].dt.year).mean()
    print(means.drop(columns="origin").round(3).to_string())
    print(scores.drop(columns=["origin", "contract"]).mean().round(3).to_string())
    for name in ("last rate", "AR(1)", "historical"):
        assert scores["crps"].mean() < scores[name].mean()
        # dYdX, which has no dead zone, is there for eight origins, the month of FTX among them.
        clamped = table[table["dead predicted"].notna()]
        assert (clamped["crps"] < clamped[name]).all()
    assert 0.85 <= scores["covered"].mean() <= 0.95
    assert table["covered"].between(table["least"], table["most"]).all()
