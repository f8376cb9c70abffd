import json

import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb
from bayesbasis.data.panel import panel_hash
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.model.cards import read_card

QUICK = {"draws": 40, "tune": 120, "chains": 2, "progress": False}


@pytest.fixture(scope="module")
def fitted(spec, panel):
    return bb.fit(spec, panel, seed=5, **QUICK)


def test_a_fit_has_the_documented_groups(fitted, panel):
    assert set(fitted.children) == {
        "posterior", "sample_stats", "log_likelihood", "constant_data", "start", "hindcast",
    }  # fmt: skip
    xr.testing.assert_identical(fitted["constant_data"].to_dataset(), panel)
    for group in ("posterior", "sample_stats", "log_likelihood"):
        sizes = fitted[group].to_dataset().sizes
        assert (sizes["chain"], sizes["draw"]) == (2, 40)


def test_parameters_have_dims_and_units(fitted, panel):
    posterior = fitted["posterior"].to_dataset()
    expected = {
        "half_life": (("underlying",), "day"),
        "anchor": (("underlying",), "1"),
        "volatility_exponent": (("underlying",), "1"),
        "volatility": (("underlying", "regime"), "bp/day**0.5"),
        "stay": (("underlying", "regime"), "day"),
        "noise": (("underlying",), "day"),
        "correlation": (("underlying",), "1"),
        "tail": ((), "1"),
        "carry_mean": ((), "%/year"),
        "carry_between_contracts": ((), "%/year"),
        "carry": (("contract",), "%/year"),
    }
    assert set(posterior.data_vars) == set(expected)
    for name, (dims, units) in expected.items():
        assert posterior[name].dims == ("chain", "draw", *dims), name
        assert posterior[name].attrs["units"] == units, name
        assert posterior[name].attrs["long_name"], name
        assert np.isfinite(posterior[name]).all(), name
    assert posterior["contract"].values.tolist() == panel["contract"].values.tolist()
    assert posterior["underlying"].values.tolist() == ["BTC"]
    assert posterior["regime"].values.tolist() == [1, 2]


def test_parameters_keep_to_their_supports(fitted):
    posterior = fitted["posterior"].to_dataset()
    assert (posterior["volatility"].diff("regime") > 0).all()
    assert ((posterior["correlation"] > 0) & (posterior["correlation"] < 1)).all()
    assert (posterior["tail"] > 2).all()
    for name in ("half_life", "anchor", "noise", "stay", "carry_between_contracts"):
        assert (posterior[name] > 0).all(), name


def test_one_step_densities_belong_to_events(fitted, panel):
    density = fitted["log_likelihood"].to_dataset()["basis"]
    assert density.dims == ("chain", "draw", "event")
    assert density["event_size"].sum() == panel.sizes["obs"]
    assert density["event_first"].sum() == panel.sizes["contract"]
    assert set(density["event_underlying"].values) == {"BTC"}
    assert np.isin(density["event_time"].values, panel["time"].values).all()


def test_a_fit_knows_where_it_came_from(fitted, spec, panel):
    assert read_card(fitted.attrs["card"]) == spec
    assert fitted.attrs["card_name"] == "anchored-regimes-2"
    assert fitted.attrs["data_hash"] == panel_hash(panel)
    assert fitted.attrs["seed"] == 5
    assert json.loads(fitted.attrs["versions"])["bayesbasis"] == bb.__version__
    assert fitted.attrs["wall_time_s"] > 0
    found = bb.diagnose(fitted)
    assert fitted.attrs["diagnosis"] == str(found)
    assert fitted.attrs["r_hat"] == found.table["r_hat"].max()
    assert fitted.attrs["ess_bulk"] == found.table["ess_bulk"].min()
    assert fitted.attrs["divergences"] == found.divergences


def test_the_density_of_the_sampler_is_that_of_the_fit(fitted, spec, panel):
    likelihood = fitted["log_likelihood"].to_dataset()["basis"].sum("event")
    prior = fitted["sample_stats"]["lp"] - likelihood
    # What is left is the prior of as many standard normals, half of whose squares is gamma.
    size = log_posterior(spec, panel).size
    half_squares = -prior - 0.5 * size * np.log(2 * np.pi)
    assert (half_squares > 0).all()
    assert half_squares.mean() < 3 * size


def test_the_same_seed_gives_the_same_draws_on_any_number_of_cores(spec, panel, fitted):
    again = bb.fit(spec, panel, seed=5, sampler={"cores": 1}, **QUICK)
    xr.testing.assert_identical(again["posterior"].to_dataset(), fitted["posterior"].to_dataset())
    other = bb.fit(spec, panel, seed=6, **QUICK)
    assert not np.allclose(other["posterior"]["noise"], fitted["posterior"]["noise"])


def test_chains_differ(fitted):
    noise = fitted["posterior"]["noise"]
    assert not np.allclose(noise.isel(chain=0), noise.isel(chain=1))


@pytest.mark.parametrize("name", ["draws", "tune", "chains"])
def test_counts_must_be_positive(spec, panel, name):
    with pytest.raises(ValueError, match=name) as caught:
        bb.fit(spec, panel, seed=1, **(QUICK | {name: 0}))
    assert str(caught.value) == f"{name} is 0; it must be at least 1"


def test_an_unknown_backend_is_an_error(spec, panel):
    with pytest.raises(ValueError, match="backend") as caught:
        bb.fit(spec, panel, seed=1, sampler={"backend": "stan"}, **QUICK)
    assert str(caught.value) == (
        "unknown sampler backend 'stan'; choose nutpie, pymc, jax, numpyro or blackjax"
    )


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [{"backend": "pymc", "cores": 1}, {"backend": "jax"}])
def test_other_samplers_draw_from_the_same_posterior(sampler):
    if sampler["backend"] == "jax":
        pytest.importorskip("numpyro", reason="JAX is not installed: pip install bayesbasis[jax]")
    spec = bb.load_card("ou")
    prices, _ = bb.simulate_market(seed=3, underlyings=["BTC"], quarters=2, listed_days=60)
    panel, _ = bb.make_panel(prices)
    run = {"draws": 1000, "tune": 1000, "chains": 2, "progress": False}
    ours = bb.fit(spec, panel, seed=1, **run)
    theirs = bb.fit(spec, panel, seed=2, sampler=sampler, **run)
    for fit in (ours, theirs):
        assert bb.diagnose(fit).table["r_hat"].max() < 1.03
    first, second = (fit["posterior"].to_dataset() for fit in (ours, theirs))
    tables = [bb.diagnose(fit).table for fit in (ours, theirs)]
    error = np.hypot(tables[0]["mcse_mean"], tables[1]["mcse_mean"])
    means = [
        np.concatenate([x[name].mean(("chain", "draw")).values.ravel() for name in x.data_vars])
        for x in (first, second)
    ]
    np.testing.assert_array_less(np.abs(means[0] - means[1]) / error, 4.0)


@pytest.mark.parametrize("backend", ["numpyro", "blackjax"])
def test_a_jax_sampler_without_jax_says_what_to_install(monkeypatch, spec, panel, backend):
    monkeypatch.setattr("bayesbasis.inference.sampling.find_spec", lambda name: None)
    wanted = f"sampler backend '{backend}' needs JAX: pip install jax {backend}"
    with pytest.raises(ValueError, match=wanted):
        bb.fit(spec, panel, seed=1, sampler={"backend": backend})
