"""Books of trades, and what they are expected to earn."""

import numpy as np
import xarray as xr

from bayesbasis.trade.exits import SAMPLE

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def book(*trades: xr.Dataset) -> xr.Dataset:
    """Put trades on the same paths together; they keep their shared shocks and regimes.

    Parameters
    ----------
    *trades : xarray.Dataset
        From `cash_and_carry`, on the same paths.

    Returns
    -------
    xarray.Dataset
        The trades of all, along ``trade``.

    Raises
    ------
    ValueError
        If they are not of the same paths.
    """
    keys = {(one.attrs.get("origin"), one.attrs.get("seed"), one.sizes["draw"]) for one in trades}
    if len(keys) != 1:
        raise ValueError("trades of one book share their paths: put them all on one forecast")
    joined = xr.concat(
        trades, dim="trade", combine_attrs="override", coords="different", compat="equals"
    )
    return joined.assign_coords(trade=_apart(joined["trade"].values.tolist()))


def _apart(names: list[str]) -> list[str]:
    """Number the second and later trade of one name."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result


def trade_table(trades: xr.Dataset) -> xr.Dataset:
    r"""Sum up what trades are expected to earn.

    Parameters
    ----------
    trades : xarray.Dataset
        From `cash_and_carry`.

    Returns
    -------
    xarray.Dataset
        Dim trade: ``profit``, P(P&L > 0), and ``profit_error`` by Monte Carlo; ``pnl_mean``,
        ``pnl_quantile`` (quantile), quote currency; ``pnl_bp``, the mean in bp of notional;
        ``attribution_bp`` (component); ``return_on_capital`` and ``return_on_margin``, expected
        P&L over expected holding, per year; ``break_even``, the entry log basis at which the
        expected P&L is zero; ``holding``, expected days.
    """
    pnl, sample = trades["pnl"], list(SAMPLE)
    count = trades.sizes["chain"] * trades.sizes["draw"]
    profit, mean = (pnl > 0).mean(sample), pnl.mean(sample)
    years = trades["holding"].mean(sample) / 365.0
    price = np.exp(trades["entry"]) - mean / trades["slope"].mean(sample)
    table = xr.Dataset(
        {
            "profit": profit,
            "profit_error": np.sqrt(profit * (1 - profit) / count),
            "pnl_mean": mean,
            "pnl_quantile": pnl.quantile(list(QUANTILES), sample),
            "pnl_bp": 1e4 * mean / trades["notional"],
            "attribution_bp": 1e4 * trades["attribution"].mean(sample) / trades["notional"],
            "return_on_capital": mean / trades["capital"] / years,
            "return_on_margin": mean / trades["margin"] / years,
            "break_even": np.log(price),
            "holding": trades["holding"].mean(sample),
        }
    )
    units = {
        "profit": "1",
        "profit_error": "1",
        "pnl_mean": "quote currency",
        "pnl_quantile": "quote currency",
        "pnl_bp": "bp",
        "attribution_bp": "bp",
        "return_on_capital": "1/year",
        "return_on_margin": "1/year",
        "break_even": "1",
        "holding": "day",
    }
    for name, unit in units.items():
        table[name].attrs = {"units": unit, "long_name": name.replace("_", " ")}
    return table
