"""How kernels are compiled and cached."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.codegen import JITCodeLibrary

STAMP = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()
"""Hash of the source of every kernel."""


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with numba and cache it on disk until any kernel's source changes.

    numba stamps a cached function with its own file alone, and would go on running the old code
    of a kernel in another file that it has inlined.

    Parameters
    ----------
    **options
        Of `numba.njit`, such as ``fastmath`` or ``inline``.

    Returns
    -------
    callable
        A decorator.
    """

    def compile_and_cache(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(cache=True, error_model="numpy", **options)(function)
        # numba has no public way to say what else a cached function depends on.
        dispatcher._cache._cache_file._source_stamp = STAMP
        return alone(dispatcher)

    return compile_and_cache


def alone(dispatcher: Any) -> Any:
    """Make a compiled function share no code with others of its process.

    What a function calls is compiled into it, and by itself. numba links the two by name, so that
    a function would run the one where it was compiled and the other where it was found on disk:
    they differ in last digits, and in what a chain makes of them.

    Parameters
    ----------
    dispatcher : Dispatcher
        From numba; it is changed and given back.
    """
    compiler, compile_linked = dispatcher._compiler, dispatcher._compiler.compile

    def compile_alone(arguments: Any, result: Any) -> Any:
        codegen = dispatcher.targetctx.codegen()
        before, codegen._library_class = codegen._library_class, _Library
        try:
            return compile_linked(arguments, result)
        finally:
            codegen._library_class = before

    compiler.compile = compile_alone
    return dispatcher


class _Library(JITCodeLibrary):
    """Machine code with copies of its own of all that it calls."""

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage.name == "linkonce_odr":
                function.linkage = "internal"
        super()._optimize_final_module()  # type: ignore[no-untyped-call]


def inner_kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that other kernels alone call, without the ways in from Python and C."""
    return kernel(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)


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
