"""Facts about the uniformity of ranks."""

import numpy as np
import pytest

from bayesbasis.evaluate.uniformity import simultaneous_bands, uniformity, verdicts

COUNT, LARGEST = 200, 31


def uniform(rng, count=COUNT):
    return rng.integers(0, LARGEST + 1, count)


def from_normals(rng, shift, scale, count=COUNT):
    """Ranks of truths that lie elsewhere than the draws they are ranked among."""
    truth = shift + scale * rng.standard_normal(count)
    return (rng.standard_normal((count, LARGEST)) < truth[:, None]).sum(axis=1)


def test_uniform_ranks_stray_from_the_bands_as_often_as_they_should():
    rng = np.random.default_rng(1)
    chance, lower, upper = simultaneous_bands(COUNT, LARGEST, 0.9)
    inside = []
    for _ in range(2000):
        found = (uniform(rng)[:, None] <= np.arange(LARGEST)).mean(axis=0)
        inside.append(((lower <= found) & (found <= upper)).all())
    np.testing.assert_allclose(np.mean(inside), 0.9, atol=0.03)
    np.testing.assert_allclose(chance, np.arange(1, LARGEST + 1) / (LARGEST + 1))


def test_p_values_of_uniform_ranks_are_uniform():
    rng = np.random.default_rng(2)
    p = np.array([uniformity(uniform(rng), LARGEST) for _ in range(2000)])
    for level in (0.01, 0.05, 0.5):
        np.testing.assert_allclose((p <= level).mean(), level, atol=0.04 * np.sqrt(level) + 0.005)


@pytest.mark.parametrize(
    ("shift", "scale", "verdict"),
    [
        (0.0, 1.0, "calibrated"),
        (0.6, 1.0, "posterior too low"),
        (-0.6, 1.0, "posterior too high"),
        (0.0, 1.7, "posterior too narrow"),
        (0.0, 0.5, "posterior too wide"),
    ],
)
def test_what_is_wrong_is_named(shift, scale, verdict):
    ranks = from_normals(np.random.default_rng(3), shift, scale)
    table = verdicts({"half_life": ranks}, LARGEST)
    assert table.loc[0, "verdict"] == verdict
    assert table.loc[0, "ranks"] == COUNT


def test_one_doubt_among_many_quantities_is_held_back():
    rng = np.random.default_rng(4)
    ranks = {f"fine {i}": uniform(rng) for i in range(19)}
    ranks["odd"] = from_normals(np.random.default_rng(4), 0.2, 1.0)
    table = verdicts(ranks, LARGEST).set_index("quantity")
    assert 0.05 / 20 <= table.loc["odd", "p"] < 0.05
    assert table.loc["odd", "verdict"] == "doubtful: posterior too low?"
