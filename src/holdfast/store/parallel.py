"""Work on more than one core, with the first error kept and the rest called off."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["WORKERS", "batches", "on_all_workers"]

WORKERS = 2
"""Hashing and disk calls release the interpreter's lock; past two threads, small files only queue for it."""

_BATCH_ITEMS_MAX = 64
"""Enough items that handing a batch to a thread costs nothing beside its work; few enough to spread over the
threads."""

_BATCH_BYTES_MAX = 16 << 20
"""So that one batch of large files does not leave the other thread without work at the end."""

_T = TypeVar("_T")
_R = TypeVar("_R")


def batches(items: Sequence[_T], size: Callable[[_T], int]) -> Iterator[Sequence[_T]]:
    """The items in order, cut into pieces of similar work; `size` gives the bytes of one."""
    start, held = 0, 0
    for index, item in enumerate(items):
        if index > start and (index - start >= _BATCH_ITEMS_MAX or held >= _BATCH_BYTES_MAX):
            yield items[start:index]
            start, held = index, 0
        held += size(item)
    if start < len(items):
        yield items[start:]


def on_all_workers(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """`work` of every item, in their order, on `WORKERS` threads.

    Raises:
        The first error in the order of the items; what has not begun by then is not begun.
    """
    if len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="holdfast-store") as pool:
        running = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in running]
        except BaseException:
            for future in running:
                future.cancel()
            raise
