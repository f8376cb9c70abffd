import numpy as np
import pytest
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
