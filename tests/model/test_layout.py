"""Facts about the layout, each found a second time with dictionaries."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from bayesbasis.data.cleaning import Cleaning
from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.model.layout import lay_out
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.process.filter import SETTLED
from bayesbasis.process.quadrature import split_by_stiffness
from bayesbasis.process.regimes import Regimes

AS_GIVEN = Cleaning(min_rows=1, stale_bars=None, spike_scales=None)
YEAR = 365 * 86_400e9
SPECS = {
    "a chain for each underlying": Spec(),
    "one chain": Spec(regimes=Regimes(2, "market")),
    "a chain for each venue": Spec(regimes=Regimes(2, "venue")),
    "shared parameters": Spec(pooling=Pooling(underlyings=False)),
    "shared parameters, one chain": Spec(
        regimes=Regimes(2, "market"), pooling=Pooling(underlyings=False)
    ),
}
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))


def messy_panel(seed):
    """Irregular stamps; contracts that come late, miss quotes, or have only one."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    hours = np.cumsum(rng.choice([0.1, 1.0, 1.0, 1.0, 24.0, 71.3], 60))
    stamps = start + pd.to_timedelta(hours, unit="h")
    rows = []
    for c in range(11):
        underlying, venue = ["BTC", "ETH", "SOL"][c % 3], ["east", "west"][c % 2]
        listed = int(rng.integers(0, 40))
        quoted = [s for s in stamps[listed:] if rng.random() < 0.7] or [stamps[listed]]
        if c in (4, 9):
            quoted = quoted[:1]
        expiry = stamps[-1] + pd.Timedelta(days=int(rng.choice([1, 30, 90])), hours=2)
        for stamp in quoted:
            basis = 0.01 * rng.standard_normal()
            rows.append((stamp, underlying, venue, f"c{c}", expiry, 100 * np.exp(basis), 100.0))
    names = ["time", "underlying", "venue", "contract", "expiry", "futures", "spot"]
    frame = pd.DataFrame(rows, columns=names).sample(frac=1.0, random_state=seed)
    return make_panel(frame, AS_GIVEN)[0]


def quotes_of(spec, panel):
    """Quotes of a panel as dictionaries, each with its chain, group and place in the panel."""
    underlyings = sorted(set(panel["underlying"].values.tolist()))
    venues = sorted(set(panel["venue"].values.tolist()))
    by = spec.regimes.shared_by
    pooled = spec.pooling.underlyings and len(underlyings) > 1
    quotes, last = [], {}
    for i in range(panel.sizes["obs"]):
        j = int(panel["contract_index"].values[i])
        u = underlyings.index(panel["underlying"].values[j])
        v = venues.index(panel["venue"].values[j])
        quotes.append(
            {
                "row": i,
                "contract": j,
                "time": int(panel["time"].values[i].astype("datetime64[ns]").astype(np.int64)),
                "tau": float(panel["tau"].values[i]),
                "underlying": u,
                "path": {"market": 0, "venue": v, "underlying": u}[by],
                "chain": u if by == "underlying" and pooled else 0,
                "group": u if pooled else 0,
                "before": last.get(j),
            }
        )
        last[j] = quotes[-1]
    return quotes


def _firsts(panel):
    return np.flatnonzero(np.diff(panel["contract_index"].values, prepend=-1))


def events_of(quotes):
    events = defaultdict(list)
    for q in quotes:
        listed = q["before"] is None
        events[q["path"], q["time"], q["underlying"], listed].append(q)
    return dict(sorted(events.items()))


@pytest.fixture(scope="module")
def panels():
    return {seed: messy_panel(seed) for seed in range(4)}


@pytest.fixture(params=range(4), ids=lambda seed: f"panel {seed}")
def panel(request, panels):
    return panels[request.param]


@every_spec
def test_quotes_are_those_of_the_panel_in_order_of_events(spec, panel):
    layout, quotes = lay_out(spec, panel), quotes_of(spec, panel)
    unseen, order = panel.sizes["contract"], layout.order[panel.sizes["contract"] :]
    np.testing.assert_array_equal(np.sort(order), np.arange(len(quotes)))
    np.testing.assert_array_equal(layout.basis[unseen:], panel["basis"].values[order])
    np.testing.assert_array_equal(layout.tau[unseen:], panel["tau"].values[order])
    np.testing.assert_array_equal(layout.contract[unseen:], panel["contract_index"].values[order])
    ordered = [quotes[row] for row in order]
    keys = [(q["path"], q["time"], q["underlying"]) for q in ordered]
    assert keys == sorted(keys)
    np.testing.assert_array_equal(layout.schedule.group[unseen:], [q["group"] for q in ordered])


@every_spec
def test_before_all_stands_a_quote_of_every_contract_that_nobody_saw(spec, panel):
    layout, quotes = lay_out(spec, panel), quotes_of(spec, panel)
    unseen = panel.sizes["contract"]
    np.testing.assert_array_equal(layout.order[:unseen], -1)
    np.testing.assert_array_equal(layout.schedule.first, np.arange(unseen))
    np.testing.assert_array_equal(layout.contract[:unseen], np.arange(unseen))
    for values in (layout.basis, layout.tau):
        np.testing.assert_array_equal(values[:unseen], 0.0)
    groups = {q["contract"]: q["group"] for q in quotes}
    np.testing.assert_array_equal(
        layout.schedule.group[:unseen], [groups[contract] for contract in range(unseen)]
    )


@every_spec
def test_every_quote_follows_the_last_of_its_contract(spec, panel):
    layout, quotes = lay_out(spec, panel), quotes_of(spec, panel)
    for i, before in enumerate(layout.schedule.previous):
        if layout.order[i] < 0:
            assert before == -1
            continue
        q = quotes[layout.order[i]]
        if q["before"] is None:
            assert before == q["contract"]
        else:
            assert layout.order[before] == q["before"]["row"]
            assert before < i


@every_spec
def test_an_event_is_all_that_one_underlying_quotes_at_one_time_but_for_new_listings(spec, panel):
    layout, events = lay_out(spec, panel), events_of(quotes_of(spec, panel))
    s = layout.schedule
    assert len(s.event_start) == len(events)
    names = sorted(set(panel["underlying"].values.tolist()))
    assert layout.underlyings == names
    for n, ((_, time, underlying, listed), members) in enumerate(events.items()):
        rows = layout.order[s.event_start[n] : s.event_stop[n]]
        np.testing.assert_array_equal(np.sort(rows), sorted(q["row"] for q in members))
        assert layout.event_time[n] == np.datetime64(time, "ns")
        assert layout.event_underlying[n] == underlying
        assert s.chain[n] == members[0]["chain"]
        # Five years since fair value share no shock with a day of the curve.
        assert (s.previous[s.previous[s.event_start[n] : s.event_stop[n]]] < 0).all() == listed


@every_spec
def test_gaps_are_the_times_between_events_of_a_chain(spec, panel):
    layout, events = lay_out(spec, panel), events_of(quotes_of(spec, panel))
    s, last, distinct = layout.schedule, {}, set()
    for n, (path, time, *_) in enumerate(events):
        if path not in last:
            assert s.gap[n] == -1
        else:
            np.testing.assert_allclose(s.gap_length[s.gap[n]], (time - last[path]) / YEAR)
            assert s.gap_chain[s.gap[n]] == s.chain[n]
            distinct.add((s.chain[n], time - last[path]))
        last[path] = time
    assert len(s.gap_length) == len(s.gap_chain) == len(distinct)


@every_spec
def test_moves_are_those_of_time_to_expiry_and_none_is_there_twice(spec, panel):
    layout, quotes = lay_out(spec, panel), quotes_of(spec, panel)
    elapsed, end, ratio = (
        np.concatenate([getattr(moves, name) for moves in layout.moves])
        for name in ("elapsed", "log_end", "log_ratio")
    )
    group, distinct = np.concatenate(layout.move_group), set()
    for i, row in enumerate(layout.order):
        step = layout.schedule.step[i]
        if row < 0:
            assert step == -1
            continue
        q = quotes[row]
        start = q["before"]["tau"] if q["before"] else q["tau"] + SETTLED
        np.testing.assert_allclose(elapsed[step], start - q["tau"], rtol=1e-12)
        np.testing.assert_allclose(np.exp(end[step]), q["tau"], rtol=1e-12)
        np.testing.assert_allclose(ratio[step], np.log(q["tau"] / start), rtol=1e-9)
        assert group[step] == q["group"]
        distinct.add((q["group"], start, q["tau"]))
    assert len(elapsed) == len(distinct)
    used = layout.schedule.step[layout.schedule.step >= 0]
    np.testing.assert_array_equal(np.unique(used), np.arange(len(distinct)))


@every_spec
def test_easy_moves_come_first(spec, panel):
    layout = lay_out(spec, panel)
    for moves, easy in zip(layout.moves, (True, False), strict=True):
        end = np.exp(moves.log_end)
        assert len(end) > 0
        np.testing.assert_array_equal(split_by_stiffness(end + moves.elapsed, end), easy)
    assert layout.moves[0].weights.shape[1] < layout.moves[1].weights.shape[1]


def test_contracts_on_one_calendar_share_their_moves():
    prices, _ = simulate_market(seed=1, underlyings=["BTC"], quarters=4)
    panel, _ = make_panel(prices, AS_GIVEN)
    layout = lay_out(Spec(), panel)
    scored = (layout.schedule.previous >= 0).sum()
    # Every contract lives the same 182 days; the first quotes of those live at the start are apart.
    assert scored > 450
    assert sum(len(moves.elapsed) for moves in layout.moves) <= 182 + 2


def test_contracts_and_groups_know_their_places(panel):
    layout = lay_out(Spec(), panel)
    names = panel["underlying"].values.tolist()
    assert [layout.underlyings[u] for u in layout.contract_underlying] == names
    venues = [layout.coords["venue"][v] for v in layout.contract_venue]
    assert venues == panel["venue"].values.tolist()
    assert layout.coords["contract"] == panel["contract"].values.tolist()
    assert layout.coords["underlying"] == ["BTC", "ETH", "SOL"]
    assert layout.coords["regime"] == [1, 2, 3]
    assert layout.coords["higher_regime"] == [2, 3]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, {"regime"}), (2, {"regime", "higher_regime"}), (3, {"regime", "higher_regime", "other"})],
)
def test_regimes_have_the_coordinates_they_need(count, expected, panel):
    coords = lay_out(Spec(regimes=Regimes(count)), panel).coords
    assert set(coords) - {"contract", "underlying", "venue", "kind"} == expected
    assert coords["regime"] == list(range(1, count + 1))
    assert coords.get("higher_regime", []) == list(range(2, count + 1))


def test_a_panel_without_moves_near_expiry():
    prices, _ = simulate_market(seed=1, quarters=2)
    far = prices[prices["expiry"] - prices["time"] > pd.Timedelta(days=20)]
    panel, _ = make_panel(far, AS_GIVEN)
    layout = lay_out(Spec(), panel)
    easy, hard = (len(moves.elapsed) for moves in layout.moves)
    assert easy > 100
    # Those that lead to first quotes come from long ago.
    assert hard == len(layout.underlyings) * len(np.unique(panel["tau"].values[_firsts(panel)]))
    assert layout.schedule.step.max() == easy + hard - 1


def test_a_panel_with_nothing_but_moves_near_expiry():
    prices, _ = simulate_market(seed=1, quarters=2, frequency="hourly", listed_days=1)
    days = (prices["expiry"] - prices["time"]) / pd.Timedelta(days=1)
    last = prices[np.isin(days.round(3), [0.042, 0.958])]
    layout = lay_out(Spec(), make_panel(last, AS_GIVEN)[0])
    easy, hard = (len(moves.elapsed) for moves in layout.moves)
    assert (easy, hard) == (0, 2 + 2)


def test_an_underlying_that_never_moves_has_its_first_quotes_scored():
    prices, _ = simulate_market(seed=1, underlyings=["BTC", "ETH"], quarters=1)
    lone = prices[(prices["underlying"] == "BTC") | ~prices.duplicated("underlying")]
    for spec in SPECS.values():
        layout = lay_out(spec, make_panel(lone, AS_GIVEN)[0])
        assert layout.underlyings == ["BTC", "ETH"]
        assert (layout.event_underlying == 1).sum() == 1


def test_a_panel_without_any_move_is_an_error():
    prices, _ = simulate_market(seed=1, underlyings=["BTC", "ETH"], quarters=2)
    panel, _ = make_panel(prices.drop_duplicates("contract"), AS_GIVEN)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        lay_out(Spec(), panel)
    assert str(error.value) == (
        "none of the 4 contracts has a second quote, so there is no move to learn from; "
        "give a panel with at least two quotes of some contract"
    )


def test_integers_are_64_bits_wide_for_the_kernels(panel):
    for name, value in lay_out(Spec(), panel).schedule._asdict().items():
        assert value.dtype == (np.float64 if name == "gap_length" else np.int64), name


def test_arrays_are_contiguous_so_that_kernels_compile_once(panel):
    for name, value in lay_out(Spec(), panel).schedule._asdict().items():
        assert value.flags.c_contiguous, name
