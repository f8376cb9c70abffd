"""What every test may ask for."""

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("agg")

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Path of a file of real prices, or a skip where there are none.

    They lie in ``$BAYESBASIS_DATA``, or in ``shared/data`` beside the repository.
    """
    folder = Path(os.environ.get("BAYESBASIS_DATA", BESIDE))

    def path(name: str) -> Path:
        if not (folder / name).is_file():
            pytest.skip(f"no real prices: {name} is not in {folder} (set BAYESBASIS_DATA)")
        return folder / name

    return path
