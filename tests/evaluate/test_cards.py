"""Cards against real markets: which law, how well, how fast.

`pytest tests/evaluate/test_cards.py -m study -s` prints the tables; `-k btc`, `-k vix`, `-k oil`
and `-k lira` choose one.
"""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import bayesbasis as bb
from bayesbasis.evaluate.future import leave_future_out
from bayesbasis.model.covariates import columns
from bayesbasis.model.priors import LogNormal, Normal
from bayesbasis.model.spec import Spec
from bayesbasis.process.laws import BrownianBridge, OrnsteinUhlenbeck, OUBridge

# Cards that read no covariates: they can be fitted to any panel. These files have no other columns.
PLAIN = {name for name in bb.list_cards() if not any(columns(bb.load_card(name)).values())}
RUN = {"draws": 300, "tune": 400, "chains": 2, "seed": 1, "progress": False}


def row(card, panel):
    """Sum up a fit of a card in a row of the table."""
    started = time.perf_counter()
    spec = card if isinstance(card, Spec) else bb.load_card(card)
    fit = bb.fit(spec, panel, **RUN)
    seconds = time.perf_counter() - started
    table = bb.diagnose(fit).table
    found = {
        "card": spec.name,
        "log_score": bb.log_score(fit),
        "r_hat": table["r_hat"].max(),
        "ess": table["ess_bulk"].min(),
        "divergences": int(fit["sample_stats"]["diverging"].sum()),
        "seconds": seconds,
    }
    print(" ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{v}" for k, v in found.items()))
    return found | {"fit": fit}


def read(real_data, name):
    return bb.make_panel(bb.read_prices(real_data(name)))[0]


@pytest.mark.real
@pytest.mark.study
@pytest.mark.parametrize(
    ("name", "left_out", "best", "worst"),
    [
        # The spot of Bitcoin reverts to no level that futures would price in.
        ("btc-quarter.parquet", {"mean-reverting-spot"}, 5.30, "ou"),
        # Carry of a curve whose spot reverts is no process of its own: a law of carry does worse
        # there than the textbook.
        ("vix.parquet", set(), None, "stochastic-carry"),
    ],
    ids=["btc", "vix"],
)
def test_cards_are_told_apart_by_their_one_step_densities(real_data, name, left_out, best, worst):
    panel = read(real_data, name)
    rows = [row(card, panel) for card in sorted(PLAIN - left_out)]
    table = pd.DataFrame(rows).drop(columns="fit").sort_values("log_score", ascending=False)
    print(f"\n{name}\n{table.to_string(index=False, float_format='{:.3f}'.format)}")
    # The textbook, with one regime and Gaussian shocks, is what everything else must beat.
    assert table["card"].iloc[-1] == worst
    if best is not None:
        assert table["log_score"].iloc[0] > best


def with_spot_at_expiry(prices):
    """Prices with the spot that the two nearest contracts point to.

    The file's spot is the nearest contract in two weeks of three. Logarithmic prices are carried on
    in a straight line to no time to expiry at all.
    """
    tau = (prices["expiry"] - prices["time"]) / pd.Timedelta("365D")
    near = prices.assign(tau=tau)[tau > 0].sort_values("tau").groupby("time")
    first, second = (near.nth(i).set_index("time") for i in (0, 1))
    slope = np.log(second["futures"] / first["futures"]) / (second["tau"] - first["tau"])
    spot = np.exp(np.log(first["futures"]) - slope * first["tau"])
    return prices.assign(spot=prices["time"].map(spot))


@pytest.mark.real
@pytest.mark.study
def test_oil_has_the_short_factor_of_schwartz_and_smith(real_data):
    """Their κ is 1.49, from contracts of up to 17 months; here it is, from half a year on.

    Nearer contracts know shocks that fade faster than one factor can: with all of them, and the
    file's spot, κ is 1.8.
    """
    prices = with_spot_at_expiry(pd.read_parquet(real_data("ss-oil.parquet")))
    far = prices["expiry"] - prices["time"] > pd.Timedelta("182D")
    panel, _ = bb.make_panel(prices[far].drop(columns=["funding_rate", "volume"]))
    fit = row("schwartz-smith", panel)["fit"]
    kappa = 365.0 * np.log(2.0) / fit["posterior"]["half_life"].values.ravel()
    print(f"κ = {kappa.mean():.3f} ± {kappa.std():.3f}")
    assert abs(kappa.mean() - 1.49) < 2.0 * kappa.std()


def spreads_as_futures(table):
    """Spreads of Italian over German rates as log bases that the union closes.

    One contract a tenor, which expires on the union date: spot is one, and the future the
    exponential of the spread, so that the log basis is the spread itself, a decimal fraction.
    """
    tenors = [name for name in table.columns if name not in ("date", "union_date")]
    long = table.melt(["date", "union_date"], tenors, "contract", "spread")
    return pd.DataFrame(
        {
            "time": long["date"],
            "underlying": "ITL-DEM",
            "venue": "rates",
            "contract": long["contract"],
            "expiry": long["union_date"],
            "futures": np.exp(0.01 * long["spread"]),
            "spot": 1.0,
        }
    )


def held_back(spec, panel, cuts):
    """Log predictive densities of every half-year, by a fit to all that came before it."""
    found = []
    for start, end in pairwise(cuts):
        fit = bb.fit(spec, bb.known_at(panel, start), **RUN)
        found.append(leave_future_out(fit, panel, end, seed=1).values)
    return np.concatenate(found)


@pytest.mark.real
@pytest.mark.study
@pytest.mark.parametrize("carry", [20.0, 1e-4], ids=["free carry", "no carry"])
def test_the_lira_came_to_the_euro_over_a_bridge(real_data, carry):
    """Held back, from 1995 on, refitted every half-year: a Brownian bridge beats mean reversion.

    All have one regime, Gaussian shocks and no quote noise, and a half-life, where there is one,
    may be years long. An Ornstein-Uhlenbeck bridge is told from the process only near the union,
    which these quotes end half a year before; of one fit to all of them the order of the two
    changes with the prior of the half-life.
    """
    prices = spreads_as_futures(pd.read_parquet(real_data("itl-dem.parquet")))
    panel, _ = bb.make_panel(prices)
    textbook = bb.load_card("ou")
    slow = LogNormal(365.0, 5.0)
    priors = replace(textbook.priors, half_life=slow, carry_mean=Normal(0.0, carry))
    cuts = pd.date_range("1995-01-01", "1999-01-01", freq="6MS").values
    laws = (OrnsteinUhlenbeck(), OUBridge(), BrownianBridge())
    reverting, *bridges = (
        held_back(replace(textbook, law=law, priors=priors), panel, cuts) for law in laws
    )
    for law, bridge in zip(laws[1:], bridges, strict=True):
        gain = bridge - reverting
        error = gain.std() * len(gain) ** 0.5
        print(f"\n{law.name} over {laws[0].name}: {gain.sum():.1f} ± {error:.1f} nats")
    assert bridges[1].sum() > reverting.sum()
