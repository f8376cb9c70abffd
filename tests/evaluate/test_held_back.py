"""Contracts nobody fitted: those of 2023 forecast by a model that has seen none after 2022.

`pytest tests/evaluate/test_held_back.py -m slow -s` prints the table.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import scoringrules

import bayesbasis as bb
from bayesbasis.evaluate.scores import outcomes

STARTS = (60, 30, 14, 7)
DAY = 1 / 365


def before(panel, time):
    """The contracts that expire before a time."""
    keep = np.flatnonzero(panel["expiry"].values < np.datetime64(time))
    quotes = np.isin(panel["contract_index"].values, keep)
    past = panel.isel(contract=keep, obs=quotes)
    return past.assign_coords(
        contract_index=("obs", np.searchsorted(keep, past["contract_index"].values))
    )


def straight_line(train, start, end, basis):
    """``b0·τ1/τ0`` with the errors it made at the same times to expiry on past contracts."""
    errors = []
    for contract in range(train.sizes["contract"]):
        own = train["contract_index"].values == contract
        tau, past = train["tau"].values[own], train["basis"].values[own]
        i, j = abs(tau - start).argmin(), abs(tau - end).argmin()
        if abs(tau[i] - start) < DAY and abs(tau[j] - end) < DAY:
            errors.append(past[j] - past[i] * tau[j] / tau[i])
    return basis * end / start + np.array(errors)


def score(sample, outcome):
    low, high = np.quantile(sample, [0.05, 0.95])
    return {
        "crps": scoringrules.crps_ensemble(outcome, sample, estimator="pwm"),
        "inside": low <= outcome <= high,
        "width": high - low,
    }


def held_back_table(panel, train, fit):
    rows = []
    new = panel["contract"].values[
        (panel["expiry"].values >= np.datetime64("2023-01-01"))
        & (panel["expiry"].values < np.datetime64("2024-01-01"))
    ]
    for name in new:
        own = panel["contract_index"].values == panel["contract"].values.tolist().index(name)
        tau, time = panel["tau"].values[own], panel["time"].values[own]
        for start in STARTS:
            origin = time[abs(tau - start * DAY).argmin()]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                paths = bb.forecast(fit, origin, [name], seed=2, panel=panel, draws=1000)
            ensemble = paths["basis"].isel(contract=0).stack(sample=("chain", "draw"))
            left, seen = paths["tau"].values[0], outcomes(paths, panel).values[0]
            first = float(ensemble.isel(step=0).mean())
            for step in np.flatnonzero(np.isfinite(seen)):
                model = ensemble.isel(step=step).values
                line = straight_line(train, left[0], left[step], first)
                both = score(1e4 * model, 1e4 * seen[step])
                both |= {f"line_{k}": v for k, v in score(1e4 * line, 1e4 * seen[step]).items()}
                rows.append({"contract": name, "start": start, **both})
    return pd.DataFrame(rows)


@pytest.mark.slow
@pytest.mark.real
def test_contracts_of_2023_are_forecast_as_well_as_by_a_straight_line(real_data):
    panel, _ = bb.make_panel(real_data("btc-quarter.parquet"))
    train = before(panel, "2023-01-01")
    fit = bb.fit(bb.load_card("anchored-regimes"), train, seed=1, progress=False)
    table = held_back_table(panel, train, fit)
    print()
    print(table.drop(columns="contract").groupby("start").mean().round(2).to_string())
    assert bb.diagnose(fit).table["r_hat"].max() <= 1.01
    assert 0.86 <= table["inside"].mean() <= 0.99
    assert table["crps"].mean() < table["line_crps"].mean()
