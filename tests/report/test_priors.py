import io

import numpy as np
import pytest
import xarray as xr

from bayesbasis.report.priors import plot_prior_bands, plot_prior_posterior


def draw(figure):
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def parameters(seed, spread):
    rng = np.random.default_rng(seed)
    normal = spread * rng.standard_normal((2, 300, 2))
    return xr.Dataset(
        {
            "half_life": (("chain", "draw"), np.exp(normal[..., 0]), {"units": "day"}),
            "volatility": (("chain", "draw", "regime"), np.exp(normal), {"units": "bp/day**0.5"}),
            "carry_mean": (("chain", "draw"), normal[..., 1], {"units": "%/year"}),
            "carry": (("chain", "draw", "contract"), normal),
        }
    )


def test_every_parameter_but_those_of_contracts_has_a_panel():
    figure = plot_prior_posterior(parameters(1, 1.0), parameters(2, 0.3))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        "half_life (day)",
        "volatility[1] (bp/√day)",
        "volatility[2] (bp/√day)",
        "carry_mean (%/year)",
    ]
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log", "log", "linear"]
    assert draw(figure).startswith(b"\x89PNG")


def test_bands_before_stand_behind_bands_after(market):
    wide = market.bands.copy(deep=True)
    wide["interval"] = 3.0 * wide["interval"]
    figure = plot_prior_bands(wide, market.bands)
    assert len(figure.axes) == market.bands.sizes["contract"]
    before, after = (band.get_paths()[0].vertices[:, 1] for band in figure.axes[0].collections)
    assert before.max() > after.max()
    left, right = figure.axes[0].get_xlim()
    assert left > right
    assert draw(figure).startswith(b"\x89PNG")


def test_bands_that_do_not_match_are_refused(market):
    with pytest.raises(ValueError, match="no band of"):
        plot_prior_bands(market.bands.isel(contract=[]), market.bands)
    other = market.bands.assign_coords(prob=[0.11, 0.12])
    with pytest.raises(ValueError, match="no probability in common"):
        plot_prior_bands(other, market.bands)
