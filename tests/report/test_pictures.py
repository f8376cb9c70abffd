"""Facts about the figures of trades."""

import numpy as np
import pytest
import xarray as xr

from bayesbasis.report.pictures import picture_profit


@pytest.mark.parametrize("shift", [-3.0, 0.0, 0.7, 40.0])
def test_no_bar_holds_losses_and_profits(shift):
    pnl = np.random.default_rng(0).standard_normal((2, 500, 1)) + shift
    trades = xr.Dataset({"pnl": (("chain", "draw", "trade"), pnl)}, {"notional": ("trade", [1e4])})
    (ax,) = picture_profit(trades, 0).axes
    bars = np.array([(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches])
    assert not ((bars[:, 0] < -1e-9) & (bars[:, 1] > 1e-9)).any()
    assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(1.0)
