"""How kernels are compiled and cached.

Arithmetic is IEEE's to the letter: no ``fastmath``. Leave to contract or to reorder is leave to
round otherwise in every copy of a function. A process that compiles a model and one that finds it
on disk link other copies, and then the same seed gives other draws.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

STAMP = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()
"""Hash of the source of every kernel."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function with numba and cache it on disk until any kernel's source changes.

    numba stamps a cached function with its own file alone, and would go on running the old code
    of a kernel in another file that it has inlined.
    """
    return _cached(function, wrapped=True)


def inner_kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that other kernels alone call, without the ways in from Python and C."""
    return _cached(function, wrapped=False)


def _cached(function: Callable[..., Any], *, wrapped: bool) -> Any:
    without: dict[str, Any] = {"no_cpython_wrapper": not wrapped, "no_cfunc_wrapper": not wrapped}
    dispatcher: Any = numba.njit(cache=True, error_model="numpy", **without)(function)
    # numba has no public way to say what else a cached function depends on.
    dispatcher._cache._cache_file._source_stamp = STAMP
    return dispatcher


def is_on_disk(dispatcher: Any, signature: tuple[Any, ...]) -> bool:
    """Say whether a kernel need not be compiled for arguments of these types.

    Parameters
    ----------
    dispatcher : Dispatcher
        From `kernel`.
    signature : tuple of numba.types.Type
        Types of its arguments.
    """
    stored = dispatcher._cache
    key = stored._index_key(signature, dispatcher.targetctx.codegen())
    return key in stored._cache_file._load_index()
