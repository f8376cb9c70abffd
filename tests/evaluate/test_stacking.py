import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize
from scipy.stats import norm

from bayesbasis.evaluate.stacking import best_mixture, stack, stacking_weights


def test_weights_are_those_of_the_best_mixture():
    """Against a general optimiser on the same objective."""
    rng = np.random.default_rng(1)
    y = np.where(rng.random(500) < 0.7, rng.normal(0, 1, 500), rng.normal(3, 0.5, 500))
    density = np.stack([norm(m, s).logpdf(y) for m, s in ((0, 1), (3, 0.5), (1, 4))])

    def loss(free):
        weight = np.exp(free - np.logaddexp.reduce(free))
        return -np.log(weight @ np.exp(density)).mean()

    best = minimize(
        loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}
    )
    expected = np.exp(best.x - np.logaddexp.reduce(best.x))
    found = best_mixture(density)
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert -np.log(found @ np.exp(density)).mean() <= best.fun + 1e-6
    assert abs(found[0] - 0.7) < 0.06


def test_a_model_that_is_always_better_takes_all():
    density = np.random.default_rng(2).normal(0, 1, (2, 50))
    density[1] = density[0] - 2.0
    np.testing.assert_allclose(best_mixture(density), [1, 0], atol=1e-3)


def test_a_density_of_nothing_does_not_break_the_others():
    found = best_mixture(np.array([[-2000.0, 0.0], [0.0, -2000.0], [-3000.0, -3000.0]]))
    np.testing.assert_allclose(found, [0.5, 0.5, 0], atol=1e-6)


def test_weights_come_from_scores_out_of_sample():
    density = np.array([[0.0, 0.0, 0.0], [-5.0, -5.0, np.nan]])
    scores = xr.Dataset(
        dict.fromkeys(("crps", "log_score"), (("model", "point"), density)), {"model": ["a", "b"]}
    )
    found = stacking_weights(scores)
    assert found.index.tolist() == ["a", "b"]
    np.testing.assert_allclose(found, [1, 0], atol=1e-3)


def paths_of(value, contract="X", extra=()):
    shape = (2, 50, 1, 3)
    data = {name: (("chain", "draw", "contract", "step"), np.full(shape, value)) for name in
            ("basis", *extra)}  # fmt: skip
    time = np.array([["2024-01-01", "2024-01-02", "2024-01-03"]], "datetime64[ns]")
    coords = {"contract": [contract], "time": (("contract", "step"), time), "chain": [0, 1],
              "draw": np.arange(50)}  # fmt: skip
    return xr.Dataset(data, coords, {"origin": "2024-01-01"})


def test_a_stack_holds_paths_of_each_model_by_its_weight():
    forecasts = {"a": paths_of(1.0, extra=["regime"]), "b": paths_of(2.0), "c": paths_of(3.0)}
    mixed = stack(forecasts, {"a": 0.5, "b": 0.3, "c": 0.2, "d": 9.0}, seed=1, draws=90)
    assert mixed["basis"].dims == ("chain", "draw", "contract", "step")
    assert mixed.sizes["draw"] == 90
    value, count = np.unique(mixed["basis"].values[0, :, 0, 0], return_counts=True)
    assert (value.tolist(), count.tolist()) == ([1.0, 2.0, 3.0], [45, 27, 18])
    assert (mixed["model"] == "b").sum() == 27
    assert list(mixed.data_vars) == ["basis"]
    assert mixed.attrs["card_name"] == "stacked"


def test_paths_of_different_contracts_do_not_mix():
    with pytest.raises(ValueError, match="paths of 'b' are of other contracts"):
        stack({"a": paths_of(1.0), "b": paths_of(1.0, "Y")}, {"a": 0.5, "b": 0.5}, seed=1)


def test_every_model_needs_a_weight():
    with pytest.raises(ValueError, match="give one of each of a, b"):
        stack({"a": paths_of(1.0), "b": paths_of(1.0)}, {"a": 1.0}, seed=1)
