import numpy as np
import pytest

import bayesbasis as bb
from bayesbasis.inference.posterior import log_posterior
from bayesbasis.inference.warm import Start, labels, recall, remember
from bayesbasis.model.layout import lay_out


def test_labels_name_every_entry_of_the_vector(spec, market_panel):
    names = labels(spec, lay_out(spec, market_panel))
    assert len(names) == len(set(names)) == log_posterior(spec, market_panel).size
    assert f"contract_raw[{market_panel['contract'].values[1]}]" in names
    assert {"stay_offset_raw[BTC,2]", "noise_raw[]"} <= set(names)


def test_labels_are_in_the_order_of_the_vector(spec, panel):
    target, names = log_posterior(spec, panel), labels(spec, lay_out(spec, panel))
    flat = np.arange(target.size, dtype=float)
    for name, values in target.split(flat).items():
        own = [float(i) for i, label in enumerate(names) if label.startswith(f"{name}[")]
        assert values.ravel().tolist() == own


def test_what_is_remembered_comes_back_where_it_was():
    draws = np.random.default_rng(1).normal(2.0, 0.5, (2, 40, 3))
    start = recall(remember(["a[]", "b[x]", "b[y]"], draws), ["b[y]", "a[]"])
    np.testing.assert_allclose(start.centre, draws.mean((0, 1))[[2, 0]])
    np.testing.assert_allclose(start.scale, draws.std((0, 1))[[2, 0]])
    np.testing.assert_array_equal(start.positions[0], draws[0, 0, [2, 0]])
    np.testing.assert_array_equal(start.positions[-1], draws[-1, -1, [2, 0]])


def test_a_contract_listed_since_is_like_those_before_it():
    draws = np.random.default_rng(2).normal([0.0, 1.0, 3.0], 0.2, (2, 500, 3))
    start = recall(remember(["a[]", "b[x]", "b[y]"], draws), ["b[z]", "c[]"])
    np.testing.assert_allclose(start.centre, [2.0, 0.0], atol=0.05)
    np.testing.assert_allclose(start.scale, [np.hypot(0.2, 1.0), 1.0], rtol=0.05)


def test_a_whitened_density_has_the_gradient_of_what_it_is():
    def target(x):
        return float(-0.5 * (x**2 / [1.0, 4.0]).sum()), -x / [1.0, 4.0]

    start = Start(np.array([[1.0, 2.0]]), np.array([0.5, -1.0]), np.array([2.0, 0.1]))
    white, point = start.whiten(target), np.array([0.3, -0.7])
    value, slope = white(point)
    assert value == target(start.colour(point))[0]
    numeric = [(white(point + e)[0] - white(point - e)[0]) / 2e-6 for e in 1e-6 * np.eye(2)]
    np.testing.assert_allclose(slope, numeric, rtol=1e-6)
    np.testing.assert_allclose(start.colour(start.initial(0)), [1.0, 2.0])


def test_a_fit_may_start_from_another_and_says_the_same(spec, panel):
    earlier = bb.known_at(panel, panel["time"].values.max() - np.timedelta64(20, "D"))
    run = {"draws": 150, "tune": 100, "chains": 2, "progress": False}
    start = bb.fit(spec, earlier, seed=1, **run)
    warm = bb.fit(spec, panel, seed=2, start=start, **run)
    cold = bb.fit(spec, panel, seed=3, **(run | {"tune": 300}))
    for name in ("noise", "anchor", "carry_mean"):
        one, other = (x["posterior"][name].values.ravel() for x in (warm, cold))
        # Five standard errors of a mean over the few effective draws that so short a run has.
        assert abs(one.mean() - other.mean()) < 5 * other.std() * np.sqrt(2 / 30)


def test_a_start_is_for_nutpie(spec, panel, fabricated):
    with pytest.raises(ValueError, match="'pymc' takes no start"):
        bb.fit(spec, panel, seed=1, sampler={"backend": "pymc"}, start=fabricated)
