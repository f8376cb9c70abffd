import arviz_stats
import numpy as np
import pytest
import xarray as xr
from scipy.special import logsumexp

import bayesbasis as bb
from bayesbasis.evaluate.future import leave_future_out
from bayesbasis.inference.states import pointwise
from bayesbasis.model.layout import lay_out

ORIGIN, END = "2022-10-10", np.datetime64("2022-11-10")


@pytest.fixture(scope="module")
def fitted(fabricate, spec, market):
    return fabricate(spec, bb.known_at(market, ORIGIN))


def test_densities_sum_to_the_joint_density_of_the_window(fitted, market, spec):
    """No contract is listed in this window: the joint density needs no new draw."""
    end = np.datetime64("2022-10-30")
    elpd = leave_future_out(fitted, market, end, seed=1)
    later = bb.known_at(market, end)
    known = fitted["posterior"].to_dataset()
    assert later["contract"].values.tolist() == known["contract"].values.tolist()
    density = pointwise(spec, lay_out(spec, later, bb.known_at(market, ORIGIN)), known)["basis"]
    new = density.where(density["event_time"] > np.datetime64(ORIGIN), 0.0)
    total = new.sum("event").values.ravel()
    np.testing.assert_allclose(elpd.sum(), logsumexp(total) - np.log(len(total)))
    assert (elpd["event_time"] > np.datetime64(ORIGIN)).all()
    assert (elpd["event_time"] <= end).all()


def test_the_first_density_is_that_of_the_posterior_mean(fitted, market, spec):
    elpd = leave_future_out(fitted, market, END, seed=1)
    later = bb.known_at(market, "2022-10-11")
    density = pointwise(
        spec, lay_out(spec, later, bb.known_at(market, ORIGIN)), fitted["posterior"].to_dataset()
    )["basis"]
    last = density.isel(event=-1).values.ravel()
    np.testing.assert_allclose(elpd[0], logsumexp(last) - np.log(len(last)))


def test_a_listing_since_draws_its_carry_from_the_population(fabricate, spec, market):
    origin = market["time"].values.min() + np.timedelta64(40, "D")
    known = bb.known_at(market, origin)
    later = bb.known_at(market, origin + np.timedelta64(90, "D"))
    assert later.sizes["contract"] > known.sizes["contract"]
    fit = fabricate(spec, known)
    elpd = leave_future_out(fit, later, origin + np.timedelta64(90, "D"), seed=1)
    assert np.isfinite(elpd).all()


class _FittedOnce(arviz_stats.SamplingWrapper):
    """What ArviZ asks of a model to refit, where every fit is that of the origin."""

    def __init__(self, fit, density):
        super().__init__(model=fit, idata_orig=fit)
        self.density = density

    def sel_observations(self, idx):
        return None, idx

    def sample(self, modified_observed_data):
        return self.model

    def get_inference_data(self, fitted_model):
        return fitted_model

    def log_likelihood__i(self, excluded_obs, idata__i):
        return self.density.isel(event=excluded_obs)


def test_densities_are_those_of_arviz(fabricate, spec, market):
    """Up to the smoothing of weights in the tail, for ArviZ carries fits forward by PSIS."""
    fit = fabricate(spec, bb.known_at(market, ORIGIN), draws=400, spread=0.02)
    end = np.datetime64("2022-10-30")
    elpd = leave_future_out(fit, market, end, seed=1)
    later = bb.known_at(market, end)
    layout = lay_out(spec, later, bb.known_at(market, ORIGIN))
    density = pointwise(spec, layout, fit["posterior"].to_dataset())["basis"]
    density = density.isel(event=np.argsort(density["event_time"].values, kind="stable"))
    density = density.drop_vars([name for name in density.coords if name not in ("chain", "draw")])
    tree = xr.DataTree.from_dict({"log_likelihood": xr.Dataset({"basis": density})})
    theirs = arviz_stats.lfo_cv(
        tree,
        _FittedOnce(fit, density),
        min_observations=density.sizes["event"] - len(elpd),
        forecast_horizon=1,
        time_dim="event",
        pointwise=True,
        k_threshold=np.inf,
    )
    found = theirs.elpd_i.values[np.isfinite(theirs.elpd_i.values)]
    np.testing.assert_allclose(elpd, found, atol=1e-3)
    np.testing.assert_allclose(elpd.sum(), theirs.elpd, atol=1e-3)
