import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb


def assert_same(first, second):
    """Compare trees, attributes and types included."""
    xr.testing.assert_identical(first, second)
    for one, other in zip(first.subtree, second.subtree, strict=True):
        for name, variable in one.to_dataset(inherit=False).variables.items():
            assert variable.dtype == other.to_dataset(inherit=False)[name].dtype, name


def test_a_loaded_fit_is_the_saved_one(fabricated, tmp_path):
    path = bb.save(fabricated, tmp_path / "fit.nc")
    assert path == tmp_path / "fit.nc"
    assert_same(bb.load(path), fabricated)


def test_a_loaded_fit_is_saved_and_loaded_again(fabricated, tmp_path):
    path = bb.save(fabricated, tmp_path / "fit.nc")
    bb.save(bb.load(path), path)
    assert_same(bb.load(path), fabricated)


def test_a_loaded_fit_forecasts_bit_for_bit(fabricated, tmp_path):
    loaded = bb.load(bb.save(fabricated, str(tmp_path / "fit.nc")))
    origin = np.datetime64("2022-07-01")
    with pytest.warns(UserWarning, match="the fit learned its parameters"):
        expected = bb.forecast(fabricated, origin, seed=3)
    with pytest.warns(UserWarning, match="the fit learned its parameters"):
        xr.testing.assert_identical(bb.forecast(loaded, origin, seed=3), expected)


def test_a_fit_of_many_underlyings_and_venues_survives(fabricate, spec, market_panel, tmp_path):
    fit = fabricate(spec, market_panel)
    assert_same(bb.load(bb.save(fit, tmp_path / "fit.nc")), fit)


def test_a_crash_leaves_the_old_file_and_nothing_else(fabricated, tmp_path, monkeypatch):
    path = bb.save(fabricated, tmp_path / "fit.nc")
    before = path.read_bytes()
    write = xr.DataTree.to_netcdf

    def crash(self, filepath, *arguments, **options):
        write(self, filepath, *arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.DataTree, "to_netcdf", crash)
    with pytest.raises(KeyboardInterrupt):
        bb.save(fabricated, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole(fabricated, tmp_path):
    path = tmp_path / "fit.nc"
    path.write_text("something else")
    bb.save(fabricated, path)
    assert_same(bb.load(path), fabricated)
    assert list(tmp_path.iterdir()) == [path]


def test_saving_needs_the_folder(fabricated, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        bb.save(fabricated, tmp_path / "missing" / "fit.nc")
    assert str(caught.value) == f"folder {tmp_path / 'missing'} does not exist; create it first"


def test_loading_needs_a_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        bb.load(tmp_path / "fit.nc")
    assert str(caught.value) == (
        f"no fit at {tmp_path / 'fit.nc'}; save one with bayesbasis.save(fit, path)"
    )


def test_loading_needs_netcdf(tmp_path):
    path = tmp_path / "fit.nc"
    path.write_text("time,underlying\n")
    with pytest.raises(ValueError, match="netCDF") as caught:
        bb.load(path)
    assert str(caught.value) == f"{path} is not a netCDF file that bayesbasis.save wrote"


def test_loading_needs_a_fit(fabricated, tmp_path):
    path = tmp_path / "other.nc"
    xr.Dataset({"x": 1}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match="not a fit") as caught:
        bb.load(path)
    assert str(caught.value) == f"{path} is not a fit: it lacks constant_data, posterior"
    bare = fabricated.copy()
    bare.attrs = {}
    bare.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match="not a fit") as caught:
        bb.load(path)
    assert str(caught.value) == f"{path} is not a fit: it lacks a card"


def test_the_file_is_let_go_of(fabricated, tmp_path):
    path = bb.save(fabricated, tmp_path / "fit.nc")
    loaded = bb.load(path)
    path.unlink()
    np.testing.assert_array_equal(loaded["posterior"]["carry"], fabricated["posterior"]["carry"])
