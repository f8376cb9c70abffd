"""Tables for a reader's eye: Datasets in, one tidy table out."""

import numpy as np
import pandas as pd
import xarray as xr

from bayesbasis.data.panel import families
from bayesbasis.report.style import BASIS_POINTS, DAYS_PER_YEAR


def live_table(
    panel: xr.Dataset,
    bands: xr.Dataset,
    states: xr.Dataset,
    half_lives: xr.Dataset,
    *,
    prob: float = 0.9,
    days_left: float = 7.0,
) -> pd.DataFrame:
    """Sum up every live contract as the forecast's origin sees it.

    Parameters
    ----------
    panel : xr.Dataset
        Quotes; the last one up to the origin counts.
    bands : xr.Dataset
        From :func:`bayesbasis.bands`, with an interval of probability `prob`.
    states : xr.Dataset
        From :func:`bayesbasis.filter_states`: ``regime_filtered`` (chain, draw, event, regime).
    half_lives : xr.Dataset
        From :func:`bayesbasis.half_life`: ``half_life`` (chain, draw, underlying or contract,
        tau), days.
    prob : float, default 0.9
        Probability of the band.
    days_left : float, default 7
        Days before expiry at which the band is read off.

    Returns
    -------
    pd.DataFrame
        A row a contract, in the order of `bands`: ``underlying``, ``contract``, ``days`` to
        expiry (NaN of a perpetual), ``basis``, ``fair``, ``lower`` and ``upper`` in bp (the last
        two NaN for a contract nearer to expiry than `days_left`; of a perpetual, that many days
        from the origin), ``half_life`` in days (posterior median at the nearest ``tau``, infinite
        where expiry comes first), ``regime``, the most probable one, and its ``probability``.

    Raises
    ------
    ValueError
        Where `bands` have no interval of probability `prob`.
    """
    levels = bands["prob"].values
    if not np.isclose(levels, prob).any():
        raise ValueError(f"the bands have no {prob:g} interval, only {levels.tolist()}: add it")
    origin = np.datetime64(bands.attrs["origin"])
    rows = []
    for index in range(bands.sizes["contract"]):
        one = bands.isel(contract=index)
        family, tau = str(families(one).item()), float(one["tau"].values[0])
        lower, upper = _band_at(one, prob, days_left / DAYS_PER_YEAR)
        regime, probability = _likeliest_regime(states, family, origin)
        rows.append(
            {
                "underlying": str(one["underlying"].item()),
                "contract": str(one["contract"].item()),
                "days": tau * DAYS_PER_YEAR,
                "basis": _last_basis(panel, one["contract"].item(), origin),
                "fair": float(one["equilibrium"].values[0]) * BASIS_POINTS,
                "lower": lower,
                "upper": upper,
                "half_life": _half_life_at(half_lives, family, one["contract"].item(), tau),
                "regime": regime,
                "probability": probability,
            }
        )
    return pd.DataFrame(rows)


def bands_table(bands: xr.Dataset) -> pd.DataFrame:
    """Lay bands out as a tidy table, a row a contract and step, for spreadsheets and databases.

    Parameters
    ----------
    bands : xr.Dataset
        From :func:`bayesbasis.bands`.

    Returns
    -------
    pd.DataFrame
        ``contract``, ``time`` (UTC), ``days`` to expiry (NaN of a perpetual); in bp ``median``,
        ``mean``, the fair
        basis ``equilibrium``, and for each probability ``lower_90``, ``upper_90`` and so on.
    """
    alive = ~np.isnat(bands["time"].transpose("contract", "step").values)
    contract, _ = np.nonzero(alive)

    def column(values: xr.DataArray) -> np.ndarray:
        return values.transpose("contract", "step").values[alive]

    table = {
        "contract": bands["contract"].values[contract],
        "time": pd.DatetimeIndex(column(bands["time"]), tz="UTC"),
        "days": column(bands["tau"]) * DAYS_PER_YEAR,
    }
    for name in ("median", "mean", "equilibrium"):
        table[name] = column(bands[name]) * BASIS_POINTS
    for prob in bands["prob"].values:
        for bound in ("lower", "upper"):
            edge = bands["interval"].sel(prob=prob, bound=bound)
            table[f"{bound}_{100 * prob:g}"] = column(edge) * BASIS_POINTS
    return pd.DataFrame(table)


def update_table(now: xr.Dataset) -> pd.DataFrame:
    """Sum up an update, a row a contract, the richest first.

    Parameters
    ----------
    now : xr.Dataset
        From :func:`bayesbasis.update`.

    Returns
    -------
    pd.DataFrame
        ``contract``, ``days`` to expiry; ``basis``, ``fair``, and the band at the next step,
        ``lower`` and ``upper``, in bp; ``z_score``, ``rich`` (probability), ``regime``, the most
        probable one, and its ``probability``.
    """
    chance = now["regime_probability"].transpose("contract", "regime")
    interval = now["interval"].isel(prob=-1, step=1)
    table = {
        "contract": now["contract"].values.astype(str),
        "days": now["tau"].isel(step=0).values * DAYS_PER_YEAR,
        **{name: now[name].values * BASIS_POINTS for name in ("basis", "fair")},
        **{b: interval.sel(bound=b).values * BASIS_POINTS for b in ("lower", "upper")},
        "z_score": now["z_score"].values,
        "rich": now["rich"].values,
        "regime": chance["regime"].values[chance.values.argmax(1)],
        "probability": chance.values.max(1),
    }
    return pd.DataFrame(table).iloc[np.argsort(now["rank"].values)].reset_index(drop=True)


def scores_table(scores: xr.Dataset) -> pd.DataFrame:
    """Lay a backtest out as a tidy table, a row a model and quote.

    Parameters
    ----------
    scores : xr.Dataset
        From :func:`bayesbasis.backtest`.

    Returns
    -------
    pd.DataFrame
        ``model``, ``origin``, ``contract``, ``time`` (UTC), ``days`` to expiry, ``horizon`` (days)
        and the scores, in log units: ``covered_90``, ``width_90`` and ``interval_score_90``,
        ``forecast_5`` and ``pinball_5`` and so on for each level and quantile. Windows that failed
        have no rows.
    """
    own = scores[[str(n) for n, v in scores.items() if v.dims[:2] == ("model", "point")]]
    flat = own.stack(row=("model", "point"), create_index=False)
    flat = flat.isel(row=np.flatnonzero(np.isfinite(flat["crps"].values)))
    named = ("model", "origin", "contract", "time")
    table = {name: flat[name].values for name in named}
    table |= {"days": flat["tau"].values * DAYS_PER_YEAR, "horizon": flat["horizon"].values}
    for name, values in flat.items():
        kind = next((dim for dim in ("level", "quantile") if dim in values.dims), None)
        if kind is None:
            table[str(name)] = values.values
            continue
        for at in values[kind].values:
            table[f"{name}_{100 * at:g}"] = values.sel({kind: at}).values
    return pd.DataFrame(table)


def _last_basis(panel: xr.Dataset, contract: str, origin: np.datetime64) -> float:
    names = panel["contract"].values[panel["contract_index"].values]
    known = np.flatnonzero((names == contract) & (panel["time"].values <= origin))
    return float(panel["basis"].values[known[-1]]) * BASIS_POINTS if known.size else np.nan


def _band_at(one: xr.Dataset, prob: float, tau: float) -> tuple[float, float]:
    alive = ~np.isnat(one["time"].values)
    interval = one["interval"].sel(prob=prob, method="nearest").transpose("step", "bound")
    if np.isnat(one["expiry"].values):
        days = (one["time"].values[alive] - one["time"].values[0]) / np.timedelta64(1, "D")
        left, tau = -days[::-1] / DAYS_PER_YEAR, -tau
    else:
        left = one["tau"].values[alive][::-1]
    lower, upper = (
        np.interp(
            tau, left, interval.sel(bound=bound).values[alive][::-1], left=np.nan, right=np.nan
        )
        for bound in ("lower", "upper")
    )
    return float(lower) * BASIS_POINTS, float(upper) * BASIS_POINTS


def _likeliest_regime(
    states: xr.Dataset, underlying: str, origin: np.datetime64
) -> tuple[int, float]:
    seen = (states["event_underlying"].values == underlying) & (
        states["event_time"].values <= origin
    )
    latest = states["regime_filtered"].isel(event=np.flatnonzero(seen)[-1]).mean(("chain", "draw"))
    best = int(np.argmax(latest.values))
    return int(latest["regime"].values[best]), float(latest.values[best])


def _half_life_at(half_lives: xr.Dataset, family: str, contract: str, tau: float) -> float:
    by_contract = "contract" in half_lives.dims
    owner = {"contract": contract} if by_contract else {"underlying": family}
    own = half_lives["half_life"].sel(owner)
    # That of a perpetual is the same everywhere.
    draws = own.isel(tau=0) if np.isnan(tau) else own.sel(tau=tau, method="nearest")
    return float(draws.median())
