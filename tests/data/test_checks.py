"""Facts about the single checks: what each touches, and what it leaves alone."""

import numpy as np
import pandas as pd
import pytest

from bayesbasis.data import checks


def quotes(futures, spot=100.0, contract="A", freq="D"):
    """Return quotes of one contract, a year from expiry."""
    time = pd.date_range("2024-01-01", periods=len(futures), freq=freq, tz="UTC")
    expiry = pd.Timestamp("2025-01-01T08:00Z")
    columns = {"time": time, "contract": contract, "expiry": expiry, "kind": "dated"}
    return pd.DataFrame(columns | {"futures": np.asarray(futures, float), "spot": spot})


def together(*frames):
    """Return the quotes of several contracts, one after the other."""
    return pd.concat(frames, ignore_index=True)


def wander(n, seed, step=1e-3):
    """Return the path of a random walk in logs from 100."""
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, step, n)))


def spikes(frame, **changed):
    """Flag spikes with the defaults of Cleaning, some of them changed."""
    options = {"scales": 8.0, "bars": 1, "window": 41, "action": "drop"}
    return checks.touch_spikes(frame, **options | changed)


def rows(records):
    """Return how many rows of each contract the records count."""
    return {record.contract: record.rows for record in records if record.rows}


def dropped(frame, kept):
    """Return the index of the rows that went."""
    return frame.index.difference(kept.index).tolist()


# Prices ------------------------------------------------------------------------------------------


def test_missing_and_infinite_prices_go_and_are_counted_by_column():
    frame = quotes([1, np.nan, np.inf, 4, 5], spot=[1, np.nan, 1, -np.inf, 1])
    kept, records = checks.drop_missing(frame)
    assert dropped(frame, kept) == [1, 2, 3]
    time = pd.Timestamp("2024-01-02T00:00Z")
    assert records == [("missing price", "A", 3, "dropped", time, "futures 2, spot 2")]


def test_prices_without_logarithm_go():
    frame = quotes([1, 0, -2, 4], spot=[1, 1, 0, 1])
    kept, records = checks.drop_non_positive(frame)
    assert dropped(frame, kept) == [1, 2]
    assert records[0].detail == "futures 2, spot 1"


def test_the_settlement_instant_itself_goes():
    frame = quotes([1, 2, 3]).assign(expiry=pd.Timestamp("2024-01-02T00:00Z"))
    kept, records = checks.drop_expired(frame)
    assert dropped(frame, kept) == [1, 2]
    assert records[0].detail == "expired at 2024-01-02 00:00:00+00:00"


@pytest.mark.parametrize(("keep", "stays"), [("last", 4.0), ("first", 2.0)])
def test_one_row_a_time_stays_and_conflicts_are_counted(keep, stays):
    frame = quotes([1, 2, 3, 4, 5], spot=1.0)
    frame.loc[1:3, "time"] = frame.loc[1, "time"]
    frame.loc[{"last": 2, "first": 3}[keep], "futures"] = stays
    kept, records = checks.drop_duplicates(frame, keep)
    assert kept["futures"].tolist() == [1.0, stays, 5.0]
    assert records[0].detail == f"1 of them with other prices; the {keep} stays"


def test_one_time_in_two_contracts_is_no_duplicate():
    frame = together(quotes([1, 2]), quotes([1, 2], contract="B"))
    kept, records = checks.drop_duplicates(frame, "last")
    assert kept is frame
    assert rows(records) == {}


# Stale quotes ------------------------------------------------------------------------------------


def test_repeats_go_while_spot_moves_on_and_the_first_of_them_stays():
    futures = wander(30, 1)
    futures[10:16] = futures[10]
    frame = quotes(futures, spot=wander(30, 2))
    kept, records = checks.touch_stale(frame, 5, "drop")
    assert dropped(frame, kept) == [11, 12, 13, 14, 15]
    assert records[0].detail == "the longest run repeats over 5 bars"


def test_fewer_repeats_than_asked_are_left_alone():
    futures = wander(30, 1)
    futures[10:15] = futures[10]
    kept, records = checks.touch_stale(quotes(futures, spot=wander(30, 2)), 5, "drop")
    assert (len(kept), rows(records)) == (30, {})


def test_a_quiet_market_in_coarse_ticks_is_not_stale():
    rng = np.random.default_rng(3)
    spot = 20 + np.cumsum(rng.normal(0, 0.002, 400))
    futures = np.round(spot / 0.05) * 0.05
    frame = quotes(futures, spot=spot)
    longest = frame.groupby(frame["futures"].diff().ne(0).cumsum()).size().max()
    assert longest > 20
    assert rows(checks.touch_stale(frame, 5, "drop")[1]) == {}


def test_a_contract_that_never_moves_while_spot_does_is_stale():
    frame = together(quotes([100] * 8, spot=wander(8, 1)), quotes(wander(8, 2), contract="B"))
    kept, records = checks.touch_stale(frame, 5, "drop")
    assert rows(records) == {"A": 7}
    assert len(kept) == 9


def test_a_repeat_across_two_contracts_is_none():
    frame = together(*(quotes([5, 5, 5], [1, 2, 3], name) for name in "ABC"))
    assert rows(checks.touch_stale(frame, 3, "drop")[1]) == {}


def test_a_closed_market_is_reported_and_not_called_stale():
    futures, spot = wander(30, 1), wander(30, 2)
    futures[10:20], spot[10:20] = futures[10], spot[10]
    frame = quotes(futures, spot=spot)
    assert rows(checks.touch_stale(frame, 5, "drop")[1]) == {}
    kept, records = checks.report_closed(frame, 5)
    assert kept is frame
    assert records[0][:4] == ("both prices still", "A", 9, "reported")


# Spikes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["futures", "spot"])
@pytest.mark.parametrize("jump", [1.03, 1 / 1.03])
def test_a_print_that_leaves_and_comes_back_is_a_spike(side, jump):
    frame = quotes(wander(60, 1), spot=100.0)
    frame.loc[30, side] *= jump
    kept, records = spikes(frame)
    assert dropped(frame, kept) == [30]
    assert records[0].first_time == frame.loc[30, "time"]


def test_the_distance_is_that_of_an_independent_computation():
    frame = quotes(wander(60, 1))
    frame.loc[30, "futures"] *= 1.02
    basis = np.log(frame["futures"].to_numpy() / 100.0)
    moves = np.abs(np.diff(basis))
    near, far = np.median(moves[25:34]), np.median(moves[9:50])
    distance = abs(basis[30] - np.median(basis[29:32])) / (1.4826 * max(near, far))
    assert spikes(frame)[1][0].detail == f"the largest lies {distance:.1f} local scales away"
    assert rows(spikes(frame, scales=distance * 0.999)[1]) == {"A": 1}
    assert rows(spikes(frame, scales=distance * 1.001)[1]) == {}


def test_a_move_that_spot_shares_is_no_spike():
    spot = wander(60, 2, step=0.01)
    spot[30] *= 0.5
    frame = quotes(spot * wander(60, 1) / 100, spot=spot)
    assert rows(spikes(frame)[1]) == {}


def test_a_jump_that_stays_is_no_spike():
    futures = wander(60, 1)
    futures[30:] *= 1.05
    assert rows(spikes(quotes(futures))[1]) == {}


def test_a_spike_of_two_bars_needs_two_bars():
    futures = wander(60, 1)
    futures[30:32] *= 1.05
    frame = quotes(futures)
    assert rows(spikes(frame)[1]) == {}
    assert dropped(frame, spikes(frame, bars=2)[0]) == [30, 31]


def test_the_ends_of_a_contract_are_not_tested():
    frame = together(quotes(wander(60, 1)), quotes(wander(60, 2), contract="B"))
    frame.loc[[0, 59, 60, 119], "futures"] *= 1.5
    assert rows(spikes(frame)[1]) == {}


def test_the_scale_of_one_contract_does_not_reach_another():
    frame = together(
        quotes(wander(60, 1, step=0.05)),
        quotes(wander(60, 2), contract="B"),
        quotes(wander(60, 3, step=0.05), contract="C"),
    )
    frame.loc[90, "futures"] *= 1.03
    assert rows(spikes(frame)[1]) == {"B": 1}


def test_a_crash_in_which_every_bar_is_wild_holds_no_spike():
    rng = np.random.default_rng(5)
    step = np.where(np.abs(np.arange(400) - 200) < 12, 30e-4, 1e-4)
    basis = np.cumsum(rng.normal(0, 1, 400) * step)
    assert rows(spikes(quotes(100 * np.exp(basis)))[1]) == {}


def test_heavy_tails_and_regimes_are_left_alone():
    rng = np.random.default_rng(7)
    wild = np.cumsum(rng.random(50_000) < 1 / 30) % 2
    basis = np.cumsum(rng.standard_t(4, 50_000) * np.where(wild, 4e-5, 1e-5))
    frame = quotes(100 * np.exp(basis - basis.mean()), freq="h")
    assert sum(rows(spikes(frame)[1]).values()) <= 1


def test_rounding_of_a_constant_basis_is_no_move():
    spot = wander(200, 1, step=0.01)
    assert rows(spikes(quotes(spot * np.exp(0.01), spot=spot), scales=1.0)[1]) == {}


def test_kept_spikes_are_counted_and_stay():
    futures = wander(60, 1)
    futures[30] *= 1.05
    frame = quotes(futures)
    kept, records = spikes(frame, action="keep")
    assert kept is frame
    assert records[0][:4] == ("isolated spike", "A", 1, "kept")


# Contracts, gaps, other columns -------------------------------------------------------------------


def test_contracts_too_short_go_whole():
    frame = together(quotes([1, 2]), quotes([1, 2, 3], contract="B"))
    kept, records = checks.drop_short(frame, 3)
    assert kept["contract"].unique().tolist() == ["B"]
    assert rows(records) == {"A": 2}
    assert records[0].detail == "2 left, at least 3 wanted"


def test_gaps_are_reported_at_the_row_that_ends_them_and_not_filled():
    frame = quotes(np.ones(20)).drop(index=[*range(5, 11), 15]).reset_index(drop=True)
    kept, records = checks.report_gaps(frame, 5.0)
    assert kept is frame
    time = pd.Timestamp("2024-01-12T00:00Z")
    said = "the longest is 7 days where 1 are usual; not filled"
    assert records == [("gap", "A", 1, "reported", time, said)]


def test_the_wait_between_two_contracts_is_no_gap():
    late = quotes(np.ones(5), contract="B")
    late["time"] += pd.Timedelta(days=300)
    assert rows(checks.report_gaps(together(quotes(np.ones(5)), late), 5.0)[1]) == {}


def test_missing_covariates_are_reported_by_name():
    frame = quotes(np.ones(4)).assign(volume=[1, np.nan, np.inf, 4], rate=[np.nan, 1, 1, 1])
    kept, records = checks.report_missing_covariates(frame)
    assert kept is frame
    assert records[0][2:4] == (3, "reported")
    assert records[0].detail == "volume 2, rate 1"


def test_columns_of_text_are_named():
    records = checks.report_text_columns(quotes([1.0]).assign(note="x", depth=1, day=pd.NaT))[1]
    assert records[0].detail == "no numbers, not carried: note, day"


@pytest.mark.parametrize(
    "step",
    [
        lambda frame: checks.touch_stale(frame, None, "drop"),
        lambda frame: checks.report_closed(frame, None),
        lambda frame: spikes(frame, scales=None),
        lambda frame: checks.report_gaps(frame, None),
    ],
)
def test_a_check_switched_off_says_so(step):
    frame = quotes(np.ones(20), spot=wander(20, 1))
    kept, records = step(frame)
    assert kept is frame
    assert [(record.rows, record.detail) for record in records] == [(0, "not tested")]
