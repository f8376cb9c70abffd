"""Facts about the choices of cleaning and about the audit as a whole."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesbasis.data.cleaning import Cleaning, clean

CHECKS = [
    "missing price",
    "non-positive price",
    "at or after expiry",
    "duplicate time",
    "stale futures",
    "both prices still",
    "isolated spike",
    "contract too short",
    "gap",
    "missing covariate",
    "column of text",
]


def dirty(seed, lengths):
    """Return contracts of these lengths with dirt of every kind in random places."""
    rng = np.random.default_rng(seed)
    return pd.concat([contract(rng, f"C{i}", n) for i, n in enumerate(lengths)], ignore_index=True)


def contract(rng, name, n):
    """Return one dirty contract."""
    hours = np.sort(rng.choice(3 * n, n)) + rng.choice([0, 500], n).cumsum() * (rng.random() < 0.2)
    spot = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    futures = spot * np.exp(rng.normal(0, 0.001, n).cumsum() + 0.05 * (rng.random(n) < 0.05))
    futures = np.where(rng.random(n) < 0.3, np.round(futures), futures)
    start = rng.integers(n)
    futures[start : start + 7] = futures[start]
    for prices in (futures, spot):
        prices[rng.random(n) < 0.05] = rng.choice([np.nan, 0.0, -1.0, np.inf])
    start = pd.Timestamp("2024-01-01", tz="UTC")
    return pd.DataFrame(
        {
            "time": start + pd.to_timedelta(hours, unit="h"),
            "contract": name,
            "expiry": start + pd.Timedelta(hours=int(np.quantile(hours, 0.9)) + 1),
            "futures": futures,
            "spot": spot,
            "depth": np.where(rng.random(n) < 0.1, np.nan, 1.0),
        }
    ).sort_values("time", kind="stable")


choices = st.builds(
    Cleaning,
    duplicates=st.sampled_from(["first", "last"]),
    stale_bars=st.sampled_from([None, 1, 2, 5]),
    stale=st.sampled_from(["drop", "keep"]),
    spike_scales=st.sampled_from([None, 2.0, 8.0]),
    spike_bars=st.integers(1, 3),
    spike_window=st.sampled_from([9, 41]),
    spikes=st.sampled_from(["drop", "keep"]),
    min_rows=st.integers(1, 10),
    gap_bars=st.sampled_from([None, 2.0, 5.0]),
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), min_size=1, max_size=5), choices)
def test_every_row_is_kept_or_counted_once(seed, lengths, cleaning):
    frame = dirty(seed, lengths)
    before = frame.copy(deep=True)
    kept, audit = clean(frame, cleaning)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(kept, frame.loc[kept.index])
    gone = audit[audit["action"] == "dropped"].groupby("contract")["rows"].sum()
    missing = frame["contract"].value_counts().sub(kept["contract"].value_counts(), fill_value=0)
    assert gone[gone > 0].to_dict() == missing[missing > 0].to_dict()
    assert audit.attrs == {"rows_in": len(frame), "rows_out": len(kept)}
    assert len(frame) == len(kept) + gone.sum()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), min_size=1, max_size=5), choices)
def test_what_stays_has_a_basis_and_a_time_to_expiry(seed, lengths, cleaning):
    kept, _ = clean(dirty(seed, lengths), cleaning)
    assert np.isfinite(np.log(kept["futures"] / kept["spot"])).all()
    assert (kept["time"] < kept["expiry"]).all()
    assert not kept.duplicated(["contract", "time"]).any()
    assert (kept.groupby("contract").size() >= cleaning.min_rows).all()


def test_every_check_is_in_the_audit_even_when_it_touches_nothing():
    _, audit = clean(dirty(1, [1]).assign(futures=1.0, spot=1.0, depth=1.0), Cleaning(min_rows=1))
    assert audit["check"].unique().tolist() == CHECKS
    silent = audit[audit["rows"] == 0]
    assert (silent["contract"] == "").all()
    assert silent["first_time"].isna().all()


def test_the_audit_has_one_row_for_each_check_and_contract():
    _, audit = clean(dirty(2, [60, 60, 60, 1]), Cleaning(spike_scales=2.0, gap_bars=2.0))
    assert not audit.duplicated(["check", "contract"]).any()
    assert audit.dtypes.astype(str).to_dict() == {
        "check": "str",
        "contract": "str",
        "rows": "int64",
        "action": "str",
        "first_time": "datetime64[ns, UTC]",
        "detail": "str",
    }


def test_a_bad_last_duplicate_does_not_shadow_a_good_first():
    frame = dirty(3, [20]).iloc[:2].assign(futures=[101.0, np.nan], spot=100.0)
    frame["time"] = frame["time"].iloc[0]
    kept, _ = clean(frame, Cleaning(min_rows=1))
    assert kept["futures"].tolist() == [101.0]


def test_choices_are_values():
    assert Cleaning() == Cleaning(min_rows=2)
    assert len({Cleaning(), Cleaning(), Cleaning(stale="keep")}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cleaning().stale = "keep"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("duplicates", "mean", "must be one of ('last', 'first'), got 'mean'"),
        ("stale", "dropped", "must be one of ('drop', 'keep'), got 'dropped'"),
        ("spikes", True, "must be one of ('drop', 'keep'), got True"),
        ("stale_bars", 0, "must be a whole number of at least 1, got 0"),
        ("stale_bars", 2.5, "must be a whole number of at least 1, got 2.5"),
        ("spike_scales", 0.0, "must be a finite number above 0 or None, got 0.0"),
        ("spike_scales", np.nan, "must be a finite number above 0 or None, got nan"),
        ("spike_scales", "8", "must be a finite number above 0 or None, got '8'"),
        ("spike_bars", 0, "must be a whole number of at least 1, got 0"),
        ("spike_window", 8, "must be a whole number of at least 9, got 8"),
        ("spike_window", 10, "must be odd to have a centre, got 10"),
        ("min_rows", True, "must be a whole number of at least 1, got True"),
        ("gap_bars", 1.0, "must be a finite number above 1 or None, got 1.0"),
        ("gap_bars", np.inf, "must be a finite number above 1 or None, got inf"),
    ],
)
def test_options_without_meaning_are_refused(option, value, said):
    with pytest.raises(ValueError, match=f"^{option} {re.escape(said)}$"):
        Cleaning(**{option: value})


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "dropped", "gaps"),
    [("btc-quarter", {}, 0), ("vix", {}, 1), ("ss-oil", {"at or after expiry": 20}, 0)],
)
def test_real_markets_lose_nothing_that_a_trader_would_keep(real_data, file, dropped, gaps):
    frame = pd.read_parquet(real_data(f"{file}.parquet")).sort_values(["contract", "time"])
    kept, audit = clean(frame.reset_index(drop=True), Cleaning())
    gone = audit[(audit["action"] == "dropped") & (audit["rows"] > 0)]
    assert gone.groupby("check")["rows"].sum().to_dict() == dropped
    assert audit.loc[audit["check"] == "gap", "rows"].sum() == gaps
    assert len(kept) == len(frame) - sum(dropped.values())


@pytest.mark.real
@pytest.mark.parametrize("file", ["btc-quarter", "vix"])
def test_real_markets_give_up_their_planted_spikes(real_data, file):
    frame = pd.read_parquet(real_data(f"{file}.parquet")).sort_values(["contract", "time"])
    frame = frame.reset_index(drop=True)
    middle = frame.groupby("contract").head(30).groupby("contract").tail(1).index
    scale = np.log(frame["futures"] / frame["spot"]).groupby(frame["contract"]).diff().abs()
    frame.loc[middle, "futures"] *= np.exp(
        40 * scale.groupby(frame["contract"]).median().to_numpy()
    )
    gone = frame.index.difference(clean(frame, Cleaning())[0].index)
    assert gone.isin(middle).all()
    # A few fall into days that were wild themselves.
    assert len(gone) >= 0.95 * len(middle)
