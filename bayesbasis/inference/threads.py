"""Threads of linear algebra while a posterior is looked for and sampled: one."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread, as a context or a decorator.

    On several it rounds otherwise, so that one seed would give a machine, or a worker, with other
    threads other draws.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
