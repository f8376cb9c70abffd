import io

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bayesbasis.report.figures import plot_bands, plot_half_life, plot_regimes
from bayesbasis.report.style import date_axis, new_figure


def draw(figure: Figure) -> bytes:
    """Render, so that a text that matplotlib cannot place or draw shows up here."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("contracts", [1, 2, 4, 5, 12])
@pytest.mark.parametrize("x", ["time", "tau"])
def test_every_live_contract_has_a_panel(make_market, contracts, x):
    market = make_market(contracts)
    figure = plot_bands(market.bands, market.panel, x=x)
    assert len(figure.axes) == contracts
    assert draw(figure).startswith(b"\x89PNG")


def test_the_legend_stands_outside_every_panel_and_inside_the_figure(make_market):
    for contracts in (1, 3, 12):
        market = make_market(contracts)
        figure = plot_bands(market.bands, market.panel, x="tau")
        figure.draw_without_rendering()
        legend = figure.legends[0].get_window_extent()
        assert legend.x0 >= 0
        assert legend.x1 <= figure.bbox.x1
        for ax in figure.axes:
            assert not legend.overlaps(ax.get_tightbbox())


def test_what_happened_is_named_only_where_something_did(market):
    past = market.panel.isel(
        obs=market.panel["time"].values <= np.datetime64(market.bands.attrs["origin"])
    )
    assert "what happened" in names(plot_bands(market.bands, market.panel))
    assert "what happened" not in names(plot_bands(market.bands, past))
    assert "quotes so far" not in names(plot_bands(market.bands))


def test_the_bands_are_drawn_in_basis_points_from_the_widest_to_the_narrowest(market):
    ax = plot_bands(market.bands).axes[0]
    drawn = [band.get_paths()[0].vertices[:, 1] for band in ax.collections]
    for level, heights in zip((0.9, 0.5), drawn, strict=True):
        interval = market.bands["interval"].sel(prob=level).isel(contract=0) * 1e4
        np.testing.assert_allclose([heights.min(), heights.max()], [interval.min(), interval.max()])


def test_days_to_expiry_run_down_to_zero_at_the_right(market):
    left, right = plot_bands(market.bands, market.panel, x="tau").axes[0].get_xlim()
    assert left > 25
    assert right == 0


def test_history_is_as_long_as_asked_for(market):
    ax = plot_bands(market.bands, market.panel, history=10).axes[0]
    (line,) = (line for line in ax.lines if line.get_label() == "quotes so far")
    assert len(line.get_xdata()) == 11


def test_an_unknown_axis_is_an_error_that_names_both(market):
    with pytest.raises(ValueError, match='give "time" for dates or "tau"'):
        plot_bands(market.bands, x="date")


def test_no_contract_is_an_error(market):
    with pytest.raises(ValueError, match="hold no contract"):
        plot_bands(market.bands.isel(contract=[]))


@pytest.mark.parametrize("regimes", [1, 2, 3])
def test_regime_probabilities_fill_the_strip_of_each_underlying(make_market, regimes):
    market = make_market(4, regimes=regimes)
    figure = plot_regimes(market.states, market.panel)
    assert len(figure.axes) == 4
    assert len(names(figure)) == regimes
    for strip in figure.axes[1::2]:
        top = strip.collections[-1].get_paths()[0].vertices[:, 1].max()
        np.testing.assert_allclose(top, 1)
    draw(figure)


def test_half_lives_have_a_panel_each_with_the_median_inside_the_bands(market):
    figure = plot_half_life(market.half_lives)
    assert [ax.get_title("left") for ax in figure.axes] == ["BTC", "ETH"]
    (median,) = (line for line in figure.axes[0].lines if line.get_label() == "median")
    draws = market.half_lives["half_life"].sel(underlying="BTC")
    below = (draws <= median.get_ydata()).mean(("chain", "draw"))
    np.testing.assert_allclose(below, 0.5, atol=1 / draws[..., 0].size)
    draw(figure)


def test_pyplot_keeps_none_of_the_figures(market):
    plot_bands(market.bands)
    assert plt.get_fignums() == []


def test_half_lives_beyond_expiry_leave_at_the_top_of_the_panel(market):
    left = market.half_lives["tau"] * 365
    beyond = market.half_lives.where(left > 30, np.inf)
    figure = plot_half_life(beyond)
    (median,) = (line for line in figure.axes[0].lines if line.get_label() == "median")
    top = figure.axes[0].get_ylim()[1]
    assert np.isfinite(top)
    np.testing.assert_array_equal(median.get_ydata() > top, left <= 30)
    draw(figure)


def test_bands_of_the_deviation_stand_around_zero_and_take_no_quotes(market):
    deviation = market.bands.drop_vars("equilibrium").assign_attrs(variable="deviation")
    figure = plot_bands(deviation)
    (fair,) = (line for line in figure.axes[0].lines if line.get_label() == "fair basis")
    np.testing.assert_array_equal(fair.get_ydata(), 0)
    with pytest.raises(ValueError, match="leave the panel out"):
        plot_bands(deviation, market.panel)


def test_every_date_on_an_axis_can_be_read_alone():
    figure, (axes,) = new_figure(1, 1, size=(5.0, 3.0))
    days = np.arange(np.datetime64("2022-04-10"), np.datetime64("2022-05-20"))
    axes.plot(days, np.arange(len(days)))
    date_axis(axes)
    figure.canvas.draw()
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert {"15 Apr", "01 May"} <= set(ticks)
    assert axes.xaxis.get_major_formatter().get_offset() == "2022"
