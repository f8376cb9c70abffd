import io

import numpy as np

from bayesbasis.report.ranks import plot_ranks

LARGEST = 31


def test_every_quantity_has_a_panel_of_its_name():
    rng = np.random.default_rng(1)
    ranks = {name: rng.integers(0, LARGEST + 1, 60) for name in ("half_life", "anchor", "noise")}
    figure = plot_ranks(ranks, LARGEST)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(ranks)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_the_curve_is_how_far_ranks_are_from_uniform():
    every = np.tile(np.arange(LARGEST + 1), 4)
    low = np.zeros(50, int)
    uniform, piled = (
        plot_ranks({"noise": x}, LARGEST).axes[0].get_lines()[1].get_ydata() for x in (every, low)
    )
    np.testing.assert_allclose(uniform, 0.0, atol=1e-12)
    np.testing.assert_allclose(piled, 1.0 - np.arange(1, LARGEST + 1) / (LARGEST + 1))
