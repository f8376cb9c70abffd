"""Facts about simulation-based calibration; the fits themselves are the command's."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.evaluate import sbc
from bayesbasis.evaluate.sbc import LIKELIHOOD, Effort, calibrate, ranks_of, replication, run_name
from bayesbasis.inference.prior import prior_draws
from bayesbasis.inference.states import pointwise
from bayesbasis.model.layout import lay_out


@pytest.fixture(scope="module")
def market():
    return sbc.small_market()


def test_the_market_is_small_and_two_contracts_are_live(market):
    assert 150 <= market.sizes["obs"] <= 300
    assert market["underlying"].to_series().unique().tolist() == ["BTC"]


@pytest.mark.parametrize("card", bb.list_cards())
def test_every_card_can_be_replicated_and_scored(market, card):
    spec = bb.load_card(card)
    drawn, truth = replication(spec, market, 3)
    again, _ = replication(spec, market, 3)
    other, _ = replication(spec, market, 4)
    xr.testing.assert_identical(drawn, again)
    assert not np.allclose(drawn["basis"], other["basis"])
    np.testing.assert_allclose(drawn["basis"], np.log(drawn["futures"] / drawn["spot"]))
    np.testing.assert_array_equal(drawn["tau"], market["tau"])
    assert all(np.isfinite(value).all() for value in truth.values())
    assert LIKELIHOOD in truth


def test_a_card_with_spot_replicates_it_too(market):
    """What the panel holds is what was drawn: its own likelihood is that of the truth."""
    spec = bb.load_card("anchored-regimes-spot")
    drawn, truth = replication(spec, market, 3)
    assert not np.allclose(drawn["spot"], market["spot"])
    prior = prior_draws(spec, market, draws=1, seed=int(np.random.default_rng(3).integers(2**32)))
    density = pointwise(spec, lay_out(spec, drawn), prior)
    total = (density["basis"] + density["spot"]).sum()
    np.testing.assert_allclose(total, truth[LIKELIHOOD][0], rtol=1e-9)


def test_nothing_of_the_old_prices_is_left(market):
    spec = bb.load_card("anchored")
    moved = market.assign(basis=market["basis"] + 0.1)
    xr.testing.assert_equal(replication(spec, market, 5)[0], replication(spec, moved, 5)[0])


def test_the_rank_is_how_many_draws_lie_below_the_truth():
    noise = np.arange(100.0).reshape(2, 50)
    volatility = np.stack([noise, -noise], axis=-1)
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {
                    "noise": (("chain", "draw"), noise),
                    "volatility": (("chain", "draw", "regime"), volatility),
                }
            ),
            "log_likelihood": xr.Dataset(
                {"basis": (("chain", "draw", "event"), np.stack([noise, noise], axis=-1))}
            ),
        }
    )
    truth = {"noise": [9.5], "volatility": [200.0, -89.5], LIKELIHOOD: [100.0]}
    ranks = ranks_of(tree, truth, 100)
    assert ranks == {"noise": 10, "volatility[1]": 100, "volatility[2]": 10, LIKELIHOOD: 50}
    with pytest.raises(ValueError, match="a fit has 100 draws"):
        ranks_of(tree, truth, 101)


def test_a_run_that_was_cut_off_goes_on_where_it_was(monkeypatch, tmp_path):
    done = []

    def fake(spec, panel, seed, effort):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(seed)
        return {"seed": seed, "ranks": {"noise": seed[1]}}

    monkeypatch.setattr(sbc, "_replicate", fake)
    spec = bb.load_card("anchored")
    with pytest.raises(KeyboardInterrupt):
        list(calibrate(spec, tmp_path, 5))
    monkeypatch.setattr(
        sbc, "_replicate", lambda spec, panel, seed, effort: {"seed": seed, "ranks": {}}
    )
    results = list(calibrate(spec, tmp_path, 5))
    assert [result["seed"] for result in results] == [[1, i] for i in range(5)]
    assert [bool(result["ranks"]) for result in results] == [True, True, True, False, False]
    files = sorted((tmp_path / run_name(spec, 1, Effort())).iterdir())
    assert [file.name for file in files] == [f"{i:05d}.json" for i in range(5)]
    assert json.loads(files[0].read_text())["seed"] == [1, 0]


def test_runs_are_told_apart_by_card_seed_and_effort_but_not_by_name():
    spec = bb.load_card("anchored")
    names = {
        run_name(spec, 1, Effort()),
        run_name(spec, 2, Effort()),
        run_name(spec, 1, Effort(draws=500)),
        run_name(bb.load_card("ou"), 1, Effort()),
    }
    assert len(names) == 4
    renamed = replace(spec, name="mine")
    assert run_name(renamed, 1, Effort()).partition("-")[0] == "mine"
    assert run_name(renamed, 1, Effort())[-10:] == run_name(spec, 1, Effort())[-10:]


def test_a_fit_has_mixed_if_its_chains_agree_and_hold_enough_draws():
    def judged(r_hat, ess):
        table = pd.DataFrame({"r_hat": [1.0, r_hat], "ess_bulk": [200.0, ess]})
        return sbc.has_mixed(table, Effort(ranked=31, r_hat=1.05))

    assert judged(1.05, 31.0)
    assert not judged(1.06, 200.0)
    assert not judged(1.0, 30.9)
    assert not judged(np.nan, np.nan)


def test_a_fit_that_does_not_mix_is_done_again_longer_and_with_more_care_and_ranked(
    market, monkeypatch
):
    tried, worst = [], iter([1.2, 1.0, *[1.2] * 3])

    def fake(spec, panel, *, seed, progress, **options):
        tried.append(options)
        stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 3), dtype=bool))})
        return xr.DataTree.from_dict({"sample_stats": stats})

    monkeypatch.setattr(sbc, "sample", fake)
    monkeypatch.setattr(sbc, "ranks_of", lambda tree, truth, ranked: {"noise": 1})
    monkeypatch.setattr(
        sbc,
        "diagnose",
        lambda tree: SimpleNamespace(
            table=pd.DataFrame({"r_hat": [next(worst)], "ess_bulk": [99.0]})
        ),
    )
    effort = Effort(draws=100, tune=200, target_accept=0.8, doublings=2)
    spec = bb.load_card("ou")
    found = [sbc._replicate(spec, market, [1, i], effort) for i in range(2)]
    assert [one["mixed"] for one in found] == [True, False]
    assert [one["doublings"] for one in found] == [1, 2]
    assert found[1]["ranks"] == {"noise": 1}
    assert [one["draws"] for one in tried[2:]] == [100, 200, 400]
    assert [one["tune"] for one in tried[2:]] == [200, 400, 800]
    accepted = [one["sampler"]["target_accept"] for one in tried[2:]]
    np.testing.assert_allclose(accepted, [0.8, 0.9, 0.95])
