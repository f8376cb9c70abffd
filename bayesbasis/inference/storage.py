"""Saving and loading fits."""

import os
import tempfile
from pathlib import Path

import xarray as xr


def save(fit: xr.DataTree, path: str | os.PathLike[str]) -> Path:
    """Save a fit as netCDF, atomically: a crash leaves what was there before.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit`.
    path : str or path-like
        Where to; the folder must exist.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"folder {target.parent} does not exist; create it first")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        whole = Path(folder) / target.name
        fit.to_netcdf(whole, engine="h5netcdf")
        whole.replace(target)
    return target


def load(path: str | os.PathLike[str]) -> xr.DataTree:
    """Load a fit into memory; it forecasts what the saved one did, bit for bit.

    Parameters
    ----------
    path : str or path-like
        File written by `save`.

    Returns
    -------
    xarray.DataTree

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a fit.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no fit at {source}; save one with bayesbasis.save(fit, path)")
    try:
        with xr.open_datatree(source, engine="h5netcdf") as tree:
            fit = tree.load()
    except OSError as error:
        raise ValueError(f"{source} is not a netCDF file that bayesbasis.save wrote") from error
    missing = {"posterior", "constant_data"} - set(fit.children)
    if missing or "card" not in fit.attrs:
        raise ValueError(
            f"{source} is not a fit: it lacks {', '.join(sorted(missing)) or 'a card'}"
        )
    return fit
