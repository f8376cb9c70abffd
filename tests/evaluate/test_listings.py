import numpy as np
import pytest

from bayesbasis.evaluate import windows
from bayesbasis.evaluate.listings import leave_contract_out


@pytest.fixture
def seen(monkeypatch, fabricate):
    """Replace sampling; keep what each fit was given."""
    panels = []

    def stand_in(spec, panel, **kwargs):
        panels.append(panel)
        return fabricate(spec, panel, **kwargs)

    monkeypatch.setattr(windows, "fit", stand_in)
    return panels


def test_a_hidden_contract_is_forecast_by_a_fit_that_never_saw_it(market, spec, seen):
    names = market["contract"].values[2:4].tolist()
    run = {"days_left": (40, 10), "draws": 8, "progress": False}
    scores = leave_contract_out([spec, "straight-line"], market, names, **run)
    assert (scores["failure"] == "").all()
    assert len(seen) == 2
    for name, panel in zip(names, seen, strict=True):
        assert name not in panel["contract"].values
        own = scores["contract"].values == name
        origins = np.unique(scores["origin"].values[own])
        assert len(origins) == 2
        assert panel["time"].values.max() <= origins[0]
        # Every later quote of the contract is scored, from either origin.
        row = market["contract"].values.tolist().index(name)
        time = market["time"].values[market["contract_index"].values == row]
        assert own.sum() == sum((time > origin).sum() for origin in origins)
    assert np.isfinite(scores["crps"]).all()
    assert "elpd" not in scores


def test_contracts_without_a_past_are_left_out(market):
    scores = leave_contract_out(["no-change"], market, days_left=(30,), draws=8, progress=False)
    first = market["contract"].values[np.argmin(market["expiry"].values)]
    assert first not in scores["contract"].values
    assert len(np.unique(scores["contract"].values)) == market.sizes["contract"] - 1


def test_a_baseline_has_as_many_paths_as_draws_and_repeats_of_a_model(market):
    run = {"days_left": (30,), "progress": False}
    few, many = (
        leave_contract_out(["no-change"], market, draws=draws, repeats=repeats, **run)
        for draws, repeats in ((8, 50), (400, 1))
    )
    np.testing.assert_array_equal(few["crps"], many["crps"])


def test_strangers_and_hopeless_panels_are_errors(market):
    with pytest.raises(ValueError, match="the panel has no contract XYZ"):
        leave_contract_out(["no-change"], market, ["XYZ"])
    with pytest.raises(ValueError, match="no contract has a quote 900 days before"):
        leave_contract_out(["no-change"], market, days_left=(900,))
