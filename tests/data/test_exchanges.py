import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.data.exchanges import (
    Exchange,
    ExchangeError,
    list_exchanges,
    load_exchange,
    read_exchange,
)
from bayesbasis.data.funding_rules import (
    FundingRule,
    funding_from_premium,
    premium_from_funding,
    time_weighted_premium,
)

TODAY = date(2026, 1, 1)
SPARE = 'venue = "x"\n[[funding]]\nsince = 2024-01-01\n'


def rule(venue: str, underlying: str = "BTC", when: date = TODAY) -> FundingRule:
    return load_exchange(venue).funding_rule(underlying, when)


@pytest.mark.parametrize("venue", list_exchanges())
def test_every_record_loads_under_its_own_name(venue):
    exchange = load_exchange(venue)
    assert exchange.venue == venue
    assert exchange.funding or exchange.settlement


def test_records_are_data_inside_the_package():
    folder = Path(bb.__file__).parent / "data" / "conventions"
    assert sorted(f.stem for f in folder.glob("*.toml")) == list_exchanges()
    assert tomllib.loads((folder / "okx.toml").read_text())["venue"] == "okx"


def test_numbers_of_every_venue():
    binance = rule("binance")
    assert (binance.interest, binance.clamp, binance.cap) == (0.0001, 0.0005, 0.003)
    assert rule("binance", "SOL").cap == 0.02
    assert binance.interval_hours_at_cap == 1
    assert binance.weighting == "increasing"
    assert rule("binance", when=date(2025, 5, 1)).interval_hours_at_cap is None
    bitmex = rule("bitmex")
    assert bitmex.interest == pytest.approx((0.0006 - 0.0003) / 3, rel=1e-15)
    assert (bitmex.cap, bitmex.first_hour) == (0.00375, 4)
    assert (rule("okx").cap, rule("okx").interest) == (0.00375, 0.0001)
    assert rule("bybit").weighting == "increasing"
    assert rule("bybit").lag_intervals == 1
    hyperliquid = rule("hyperliquid")
    assert (hyperliquid.interval_hours, hyperliquid.cap) == (1, 0.04)
    assert hyperliquid.notional == "oracle"
    deribit = rule("deribit")
    assert (deribit.interest, deribit.clamp, deribit.accrual) == (0, 0.00025, "continuous")
    assert load_exchange("cme").funding == ()


@pytest.mark.parametrize(("day", "minutes"), [((2024, 11, 10), 60), ((2024, 11, 11), 30)])
def test_the_settlement_window_of_binance_changed(day, minutes):
    assert load_exchange("binance").settlement_rule(date(*day)).window_minutes == minutes


@pytest.mark.parametrize("venue", ["binance", "bitmex", "okx", "bybit"])
@pytest.mark.parametrize(
    ("premium", "funding"),
    [
        (-0.0004, 0.0001),  # the lower edge of the dead zone
        (0.0, 0.0001),
        (0.0006, 0.0001),  # the upper edge
        (0.0007, 0.0002),
        (-0.0005, 0.0),
        (-0.0010, -0.0005),
        (0.0030, 0.0025),
    ],
)
def test_the_clamp_rule(venue, premium, funding):
    assert funding_from_premium(premium, rule(venue)) == pytest.approx(funding, abs=1e-18)


def test_the_dead_zone_pays_the_interest_exactly():
    premium = np.linspace(-0.0004, 0.0006, 1001)[1:-1]
    assert (funding_from_premium(premium, rule("binance")) == 0.0001).all()


@pytest.mark.parametrize(
    ("venue", "cap"),
    [("binance", 0.003), ("bitmex", 0.00375), ("okx", 0.00375), ("bybit", 0.00375)],
)
def test_caps(venue, cap):
    assert funding_from_premium(cap + 0.0004, rule(venue)) < cap
    assert funding_from_premium(cap + 0.0006, rule(venue)) == cap
    assert funding_from_premium(-cap - 0.0006, rule(venue)) == -cap


def test_shorter_intervals_pay_their_share_and_cap_their_own_rate():
    full = funding_from_premium(0.0030, rule("binance", "SOL"))
    assert funding_from_premium(0.0030, rule("binance", "SOL"), 4) == full / 2
    assert funding_from_premium(0.2, rule("binance", "SOL"), 4) == 0.02


def test_hyperliquid_pays_an_eighth_every_hour_up_to_four_percent():
    assert funding_from_premium(0.0, rule("hyperliquid")) == pytest.approx(0.0001 / 8, abs=1e-20)
    assert funding_from_premium(0.0026, rule("hyperliquid")) == pytest.approx(0.0021 / 8, abs=1e-20)
    assert funding_from_premium(0.9, rule("hyperliquid")) == 0.04


def test_the_rule_of_deribit():
    premium = np.linspace(-0.003, 0.003, 2001)
    expected = np.maximum(0.00025, premium) + np.minimum(-0.00025, premium)
    np.testing.assert_allclose(funding_from_premium(premium, rule("deribit")), expected, atol=1e-18)
    assert funding_from_premium(0.0002, rule("deribit")) == 0


def test_dydx_has_no_dead_zone():
    assert funding_from_premium(-0.0001, rule("dydx")) == 0
    assert funding_from_premium(0.0007, rule("dydx")) == pytest.approx(0.0001, abs=1e-20)


@pytest.mark.parametrize("venue", ["binance", "deribit", "dydx", "hyperliquid"])
def test_premia_that_pay_a_rate_pay_it(venue):
    own = rule(venue)
    premium = np.linspace(-0.0029, 0.0029, 701)
    rate = funding_from_premium(premium, own)
    lower, upper = premium_from_funding(rate, own)
    assert (lower <= premium + 1e-12).all()
    assert (premium <= upper + 1e-12).all()
    outside = lower == upper
    np.testing.assert_allclose(lower[outside], premium[outside], atol=1e-12)
    assert outside.all() == (own.rule == "plain")


def test_a_capped_rate_says_only_that_the_premium_was_beyond():
    lower, upper = premium_from_funding([0.003, -0.003], rule("binance"))
    np.testing.assert_allclose(lower, [0.0035, -np.inf])
    np.testing.assert_allclose(upper, [np.inf, -0.0035])


def test_late_samples_weigh_more_where_the_venue_says_so():
    samples = [1.0, 2.0, 4.0]
    assert time_weighted_premium(samples) == pytest.approx(7 / 3)
    assert time_weighted_premium(samples, "increasing") == pytest.approx(17 / 6)


def test_users_may_bring_their_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SPARE + "cap = 1\n[funding.underlyings.BTC]\ncap = 0.5\n")
    mine = load_exchange(path)
    assert mine.funding_rule("BTC", TODAY).cap == 0.5
    assert mine.funding_rule("ETH", TODAY).cap == 1.0
    assert Exchange("x", (FundingRule(date(2024, 1, 1), cap=1.0),)).funding == mine.funding


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("funding", "conventions are not TOML"),
        ("[[funding]]", "lack their venue"),
        (SPARE + "intrest = 0.1", "unknown key 'intrest'; did you mean 'interest'"),
        (SPARE + 'rule = "clip"', "rule is 'clip'; choose 'clamp' or 'plain'"),
        (SPARE + "cap = 0", "the cap is positive"),
        (SPARE + "interval_hours = 0", "interval_hours is 0; it is in"),
        (SPARE + 'cap = "high"', "cap is 'high', which it cannot be"),
        (SPARE + 'rule = "plain"\nclamp = 0.1', "a plain rule has no clamp"),
        (SPARE + "[[funding]]\nsince = 2023-01-01", "must follow one another"),
        ('venue = "x"\n[[funding]]\ncap = 1', "lacks its date"),
        (SPARE + "interest = { quote = 1, bse = 2 }", "did you mean 'base'"),
    ],
)
def test_records_are_checked_on_load(text, said):
    with pytest.raises(ExchangeError, match=said):
        read_exchange(text)


def test_errors_say_what_there_is():
    with pytest.raises(ExchangeError, match=r"did you mean 'binance'.*there is binance, bitmex"):
        load_exchange("binanc")
    with pytest.raises(ExchangeError, match=r"binance funding on 2010-01-01: they begin on 2019"):
        load_exchange("binance").funding_rule("BTC", date(2010, 1, 1))
    with pytest.raises(ExchangeError, match=r"cme funding on .*: there are none"):
        load_exchange("cme").funding_rule("BTC", TODAY)
    with pytest.raises(ExchangeError, match=r"no conventions at 'nowhere.toml'"):
        load_exchange("nowhere.toml")
