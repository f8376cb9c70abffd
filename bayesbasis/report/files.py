"""Files that are there whole or not at all."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from bayesbasis.report.tables import bands_table, scores_table

BANDS_SUFFIXES = (".csv", ".parquet", ".nc")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place to write to, which takes that of `path` only once it is whole.

    Parameters
    ----------
    path : Path
        The file to make or to replace; its folder must exist.

    Yields
    ------
    Path
        A path with the same name in a folder beside it, which is gone afterwards.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bayesbasis-") as folder:
        whole = Path(folder) / path.name
        yield whole
        whole.replace(path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as ``.parquet``, or as CSV."""
    with replacing(path) as whole:
        if path.suffix == ".parquet":
            table.to_parquet(whole, index=False)
        else:
            table.to_csv(whole, index=False)


def write_bands(bands: xr.Dataset, path: Path) -> None:
    """Write bands as they are (``.nc``), or as a table in bp (``.csv``, ``.parquet``).

    Parameters
    ----------
    bands : xr.Dataset
        From :func:`bayesbasis.bands`.
    path : Path
        Its suffix chooses the format.

    Raises
    ------
    ValueError
        Where the suffix is none of these.
    """
    if path.suffix not in BANDS_SUFFIXES:
        raise ValueError(f"{path} ends in {path.suffix!r}: use {', '.join(BANDS_SUFFIXES)}")
    if path.suffix == ".nc":
        with replacing(path) as whole:
            bands.to_netcdf(whole, engine="h5netcdf")
    else:
        write_table(bands_table(bands), path)


def write_scores(scores: xr.Dataset, path: Path) -> None:
    """Write a backtest as it is (``.nc``), or as a table, a row a quote and model.

    Parameters
    ----------
    scores : xr.Dataset
        From :func:`bayesbasis.backtest`.
    path : Path
        Its suffix chooses the format: ``.nc``, ``.parquet`` or ``.csv``.
    """
    if path.suffix == ".nc":
        with replacing(path) as whole:
            scores.to_netcdf(whole, engine="h5netcdf")
    else:
        write_table(scores_table(scores), path)


def write_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write each figure as a PNG of its name."""
    for name, figure in figures.items():
        with replacing(folder / f"{name}.png") as whole:
            figure.savefig(whole)
