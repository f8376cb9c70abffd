"""Figures of a comparison, from Datasets that no model made."""

import numpy as np
import pytest
import xarray as xr

from bayesbasis.report.scoreboard import (
    plot_coverage,
    plot_pit,
    plot_score_differences,
    plot_skill,
)

BUCKETS = ["0–7 d", "7–14 d", "60+ d"]
MODELS = ["ours", "line"]


@pytest.fixture
def histogram():
    shape = ("model", "bucket", "bin")
    density = np.ones((2, 3, 5))
    density[0, 0] = [0.2, 0.8, 3.0, 0.8, 0.2]
    band = np.full((2, 3, 5), 0.4)
    band[:, 1] = np.nan
    return xr.Dataset(
        {
            "density": (shape, density),
            "lower": (shape, 1 - band),
            "upper": (shape, 1 + band),
            "quotes": ("bucket", [40, 12, 0]),
        },
        {"model": MODELS, "bucket": BUCKETS, "edge": ("bin", np.arange(5) / 5)},
        {"prob": 0.95},
    )


def test_pit_has_a_row_a_model_and_a_column_a_bucket_with_quotes(histogram):
    figure = plot_pit(histogram)
    axes = figure.axes
    assert len(axes) == 4
    heights = [bar.get_height() for bar in axes[0].patches]
    np.testing.assert_allclose(heights, histogram["density"].values[0, 0])
    assert axes[0].get_title(loc="left") == "0–7 d, 40 quotes"
    assert [axes[0].get_ylabel(), axes[2].get_ylabel()] == MODELS
    assert "95 % simultaneous band" in [t.get_text() for t in figure.legends[0].get_texts()]
    assert len(plot_pit(histogram, ["line"]).axes) == 2


def test_bars_taller_than_the_panel_say_how_tall_they_are(histogram):
    histogram["density"][1, 0, 2] = 7.25
    here, there = plot_pit(histogram).axes[0], plot_pit(histogram).axes[2]
    assert not here.texts
    assert [text.get_text() for text in there.texts] == ["7.2"]
    assert there.get_ylim() == (0, 4)


def test_coverage_is_drawn_against_nominal():
    covered = np.tile([0.4, 0.7, 0.85, 0.9], (2, 3, 1))
    dims = ("model", "bucket", "level")
    found = xr.Dataset(
        {
            "covered": (dims, covered),
            "covered_se": (dims, np.full(covered.shape, 0.03)),
            "quotes": ("bucket", [40, 12, 0]),
        },
        {"model": MODELS, "bucket": BUCKETS, "level": [0.5, 0.8, 0.9, 0.95]},
    )
    figure = plot_coverage(found)
    assert len(figure.axes) == 2
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert texts == ["nominal", *MODELS]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["50", "80", "90", "95"]


def skill_of(values):
    dims = ("model", "bucket")
    return xr.Dataset(
        {"skill": (dims, values), "lower": (dims, values - 0.1), "upper": (dims, values + 0.1)},
        {"model": MODELS, "bucket": BUCKETS},
        {"reference": "line"},
    )


def test_skill_leaves_the_reference_out_and_names_what_is_off_the_chart():
    values = np.array([[0.2, -4.0, np.nan], [0.0, 0.0, np.nan]])
    figure = plot_skill(skill_of(values))
    (ax,) = figure.axes
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["ours"]
    assert [t.get_text() for t in ax.get_xticklabels()] == BUCKETS[:2]
    assert [t.get_text() for t in ax.texts] == ["-400"]
    assert "against line" in ax.get_ylabel()


def test_differences_are_drawn_in_basis_points_over_time():
    origin = np.array(["2023-01-01", "2023-02-01", "2023-03-01"], "datetime64[ns]")
    gap = np.array([[-1e-4, 2e-4, -3e-4], [0, 0, 0]])
    dims = ("model", "origin")
    found = xr.Dataset(
        {"difference": (dims, gap), "cumulative": (dims, gap.cumsum(1))},
        {"model": MODELS, "origin": origin},
        {"reference": "line"},
    )
    figure = plot_score_differences(found)
    above, below = figure.axes
    np.testing.assert_allclose(above.lines[0].get_ydata(), [-1, 2, -3])
    np.testing.assert_allclose(below.lines[0].get_ydata(), [-1, 1, -2])
