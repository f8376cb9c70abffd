"""Keeping fits and comparisons in MLflow: cards, draws, scores and figures."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesbasis.inference.diagnostics import diagnose
from bayesbasis.inference.storage import save
from bayesbasis.report.files import write_scores
from bayesbasis.report.versus import comparison_figures, write_comparison

if TYPE_CHECKING:
    from bayesbasis.evaluate.comparison import Comparison


def log_comparison(
    found: "Comparison", uri: str | os.PathLike[str] = "mlruns", *, experiment: str = "bayesbasis"
) -> str:
    """Log a comparison to MLflow: one run for all of it, and one inside for every model.

    Parameters
    ----------
    found : Comparison
        From `bayesbasis.compare`.
    uri : str or path-like
        Folder of the file store, or the address of a tracking server.
    experiment : str
        Experiment to log to; made if it is not there.

    Returns
    -------
    str
        Id of the outer run. It holds the scores (``scores.nc``), the page (``comparison.html``) and
        the figures; a model's run its card, and its row of the table as metrics.

    Raises
    ------
    ValueError
        If MLflow is not installed.
    """
    with _store(uri, experiment) as (client, place):
        outer = client.create_run(place, run_name=f"{len(found.table)} models")
        _log_whole(client, outer.info.run_id, found)
        for name, row in found.table.iterrows():
            tags = {"mlflow.parentRunId": outer.info.run_id}
            inner = client.create_run(place, run_name=str(name), tags=tags)
            for metric, value in row.items():
                if np.isfinite(value):
                    client.log_metric(inner.info.run_id, str(metric), float(value))
            card = found.cards.get(str(name))
            if card is not None:
                client.log_text(inner.info.run_id, card, "card.toml")
            client.set_terminated(inner.info.run_id)
        client.set_terminated(outer.info.run_id)
    return str(outer.info.run_id)


def log_fit(
    fit: xr.DataTree, uri: str | os.PathLike[str] = "mlruns", *, experiment: str = "bayesbasis"
) -> str:
    """Log a fit to MLflow.

    Parameters
    ----------
    fit : xarray.DataTree
        From `bayesbasis.fit`.
    uri : str or path-like
        Folder of the file store, or the address of a tracking server.
    experiment : str
        Experiment to log to; made if it is not there.

    Returns
    -------
    str
        Id of the run. It holds the card (``card.toml``), the fit (``fit.nc``), the diagnosis of
        every scalar (``diagnosis.csv``) and its worst figures as metrics.

    Raises
    ------
    ValueError
        If MLflow is not installed.
    """
    found = diagnose(fit)
    with _store(uri, experiment) as (client, place):
        run = str(client.create_run(place, run_name=fit.attrs["card_name"]).info.run_id)
        for name in ("card_name", "data_hash", "seed"):
            client.log_param(run, name, fit.attrs[name])
        metrics = {
            "r_hat_max": found.table["r_hat"].max(),
            "ess_bulk_min": found.table["ess_bulk"].min(),
            "ess_tail_min": found.table["ess_tail"].min(),
            "divergences": found.divergences,
            "wall_time_s": fit.attrs["wall_time_s"],
        }
        for name, value in metrics.items():
            client.log_metric(run, name, float(value))
        client.log_text(run, fit.attrs["card"], "card.toml")
        client.log_text(run, found.table.to_csv(), "diagnosis.csv")
        with TemporaryDirectory() as folder:
            client.log_artifact(run, str(save(fit, Path(folder) / "fit.nc")))
        client.set_terminated(run)
    return run


@contextmanager
def _store(uri: str | os.PathLike[str], experiment: str) -> Iterator[tuple[Any, str]]:
    """Client of a store, and the experiment to log to."""
    if find_spec("mlflow") is None:
        raise ValueError("tracking needs MLflow: pip install 'bayesbasis[mlflow]'")
    text = os.fspath(uri)
    address = text if "://" in text else Path(text).resolve().as_uri()
    with _file_store_allowed(address):
        client = import_module("mlflow").MlflowClient(tracking_uri=address)
        known = client.get_experiment_by_name(experiment)
        yield client, known.experiment_id if known else client.create_experiment(experiment)


def _log_whole(client: Any, run: str, found: "Comparison") -> None:
    for name in ("data_hash", "horizon", "seed"):
        client.log_param(run, name, found.scores.attrs.get(name, ""))
    for name, figure in comparison_figures(found).items():
        client.log_figure(run, figure, f"{name}.png")
    with TemporaryDirectory() as folder:
        page, scores = Path(folder) / "comparison.html", Path(folder) / "scores.nc"
        write_comparison(found, page)
        write_scores(found.scores, scores)
        for file in (page, scores):
            client.log_artifact(run, str(file))


@contextmanager
def _file_store_allowed(address: str) -> Iterator[None]:
    """MLflow wants to be told that a folder, rather than a database, is meant."""
    name = "MLFLOW_ALLOW_FILE_STORE"
    before = os.environ.get(name)
    if address.startswith("file:"):
        os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
