import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb

CHAINS, DRAWS, STEPS = 4, 2500, 6


@pytest.fixture
def paths():
    """Two contracts, one of which ends early; skewed draws."""
    rng = np.random.default_rng(1)
    shape = (CHAINS, DRAWS, 2, STEPS)
    basis = 0.01 * rng.gamma(2.0, size=shape) * np.arange(1, STEPS + 1)
    tau = np.tile(np.arange(STEPS - 1, -1, -1) / 365, (2, 1))
    tau[0] -= 2 / 365
    ended = tau < 0
    tau[ended] = np.nan
    time = np.where(ended, np.datetime64("NaT", "ns"), np.datetime64("2024-01-01", "ns"))
    basis[..., ended] = np.nan
    dims = ("chain", "draw", "contract", "step")
    attrs = {"long_name": "log basis as quoted", "units": "1"}
    return xr.Dataset(
        {
            "basis": (dims, basis, attrs),
            "deviation": (dims, basis - 0.01, attrs | {"long_name": "deviation"}),
            "carry": (dims[:3], rng.normal(0.1, 0.02, shape[:3])),
        },
        {
            "contract": ["A", "B"],
            "underlying": ("contract", ["X", "X"]),
            "time": (("contract", "step"), time),
            "tau": (("contract", "step"), tau),
        },
        {"origin": "2024-01-01", "card": "", "card_name": "c", "data_hash": "h", "seed": 7},
    )


@pytest.fixture
def live(paths):
    return np.isfinite(paths["tau"].values)


@pytest.mark.parametrize("kind", ["eti", "hdi"])
def test_bands_have_the_documented_dims_and_attrs(paths, kind):
    result = bb.bands(paths, prob=(0.5, 0.9), kind=kind)
    assert result["interval"].dims == ("contract", "step", "prob", "bound")
    assert result["prob"].values.tolist() == [0.5, 0.9]
    assert result["bound"].values.tolist() == ["lower", "upper"]
    for name in ("median", "mean", "equilibrium"):
        assert result[name].dims == ("contract", "step")
    for name in ("interval", "median", "mean", "equilibrium"):
        assert result[name].attrs == {
            "units": "1",
            "long_name": f"{name} of the log basis as quoted",
        }
    np.testing.assert_array_equal(result["tau"], paths["tau"])
    np.testing.assert_array_equal(result["time"], paths["time"])
    assert result["underlying"].values.tolist() == ["X", "X"]
    assert result.attrs == {
        "interval_kind": kind, "variable": "basis", "origin": "2024-01-01", "card": "",
        "card_name": "c", "data_hash": "h", "seed": 7,
    }  # fmt: skip


def test_equal_tailed_bands_are_quantiles(paths, live):
    interval = bb.bands(paths, prob=(0.5, 0.9))["interval"].values
    flat = paths["basis"].values.reshape(-1, 2, STEPS)
    for row, prob in enumerate((0.5, 0.9)):
        for column, tail in enumerate(((1 - prob) / 2, (1 + prob) / 2)):
            expected = np.quantile(flat, tail, axis=0)
            np.testing.assert_allclose(interval[live][:, row, column], expected[live], rtol=1e-12)


def test_mean_and_median_are_over_all_draws(paths, live):
    result, flat = bb.bands(paths), paths["basis"].values.reshape(-1, 2, STEPS)
    np.testing.assert_allclose(result["mean"].values[live], flat.mean(0)[live], rtol=1e-12)
    np.testing.assert_allclose(result["median"].values[live], np.median(flat, 0)[live])


def test_densest_bands_are_the_shortest_that_hold_the_probability(paths, live):
    densest, tailed = (
        bb.bands(paths, prob=(0.5, 0.9), kind=kind)["interval"].values[live]
        for kind in ("hdi", "eti")
    )
    assert (np.diff(densest, axis=-1) < np.diff(tailed, axis=-1)).all()
    # A gamma density leans to the left, and so do its densest intervals.
    assert (densest < tailed).all()
    flat = paths["basis"].values.reshape(-1, 2, STEPS)[:, live]
    for row, prob in enumerate((0.5, 0.9)):
        inside = (flat >= densest[:, row, 0]) & (flat <= densest[:, row, 1])
        np.testing.assert_allclose(inside.mean(0), prob, atol=2 / (CHAINS * DRAWS) ** 0.5)


@pytest.mark.parametrize("kind", ["eti", "hdi"])
def test_wider_probabilities_hold_narrower_ones(paths, live, kind):
    interval = bb.bands(paths, prob=(0.2, 0.5, 0.8, 0.95), kind=kind)["interval"].values[live]
    assert (np.diff(interval[..., 0], axis=1) < 0).all()
    assert (np.diff(interval[..., 1], axis=1) > 0).all()


@pytest.mark.parametrize("kind", ["eti", "hdi"])
def test_bands_cover_new_draws_as_often_as_they_say(paths, live, kind):
    half = DRAWS // 2
    interval = bb.bands(paths.isel(draw=slice(half)), prob=0.8, kind=kind)["interval"].values
    fresh = paths["basis"].isel(draw=slice(half, None)).values.reshape(-1, 2, STEPS)
    inside = (fresh >= interval[..., 0, 0]) & (fresh <= interval[..., 0, 1])
    np.testing.assert_allclose(inside[:, live].mean(), 0.8, atol=0.01)


@pytest.mark.parametrize("kind", ["eti", "hdi"])
def test_nothing_is_said_after_expiry(paths, live, kind):
    result = bb.bands(paths, kind=kind)
    for name in result.data_vars:
        np.testing.assert_array_equal(np.isnan(result[name].values[~live]), True)
        assert np.isfinite(result[name].values[live]).all()


def test_the_equilibrium_is_the_posterior_mean_of_the_fair_basis(paths):
    equilibrium = bb.bands(paths)["equilibrium"]
    expected = paths["carry"].mean(("chain", "draw")) * paths["tau"]
    np.testing.assert_allclose(equilibrium, expected)


def test_bands_of_the_deviation_have_no_equilibrium(paths, live):
    result = bb.bands(paths, variable="deviation")
    assert "equilibrium" not in result
    assert result.attrs["variable"] == "deviation"
    basis = bb.bands(paths)
    np.testing.assert_allclose(
        result["interval"].values[live], basis["interval"].values[live] - 0.01, atol=1e-12
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"prob": (0.5, 1.0)},
            "prob is (0.5, 1.0); probabilities lie between 0 and 1, such as (0.5, 0.9)",
        ),
        ({"prob": ()}, "prob is (); probabilities lie between 0 and 1, such as (0.5, 0.9)"),
        ({"prob": 90}, "prob is 90; probabilities lie between 0 and 1, such as (0.5, 0.9)"),
        ({"kind": "ci"}, "kind is 'ci'; choose 'eti' (equal-tailed) or 'hdi'"),
        ({"variable": "spot"}, "variable is 'spot'; choose 'basis' or 'deviation'"),
    ],
)
def test_what_makes_no_bands_is_an_error(paths, arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is checked
        bb.bands(paths, **arguments)
    assert str(caught.value) == message
