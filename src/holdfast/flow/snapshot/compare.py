"""Whether two scans found the same, told without holding either of them."""

from collections.abc import Iterable, Iterator
from itertools import chain

from holdfast.flow.snapshot.blocks import Block
from holdfast.store.steady import Identity

__all__ = ["difference"]

_File = tuple[str, int, Identity]


def difference(before: Iterable[Block], after: Iterable[Block]) -> str | None:
    """What moved between two scans of one source, in words; None when nothing did.

    One file is named: the first that was removed, else the first that appeared, else the first that was changed; what
    went may have become what came.

    Raises:
        Whatever the scans raise.
    """
    firsts, seconds = iter(before), iter(after)
    for first in firsts:
        second = next(seconds, Block())
        if not first.same_files(second):
            return _named(_files(chain([first], firsts)), _files(chain([second], seconds)))
    second = next(seconds, Block())
    return f"{second.paths[0]} appeared" if second.paths else None


def _files(blocks: Iterable[Block]) -> Iterator[_File]:
    for block in blocks:
        for place, path in enumerate(block.paths):
            yield path, block.modes[place], block.identity(place)


def _named(firsts: Iterator[_File], seconds: Iterator[_File]) -> str | None:
    appeared = changed = None
    first, second = next(firsts, None), next(seconds, None)
    while first is not None or second is not None:
        if first is None or (second is not None and second[0] < first[0]):
            appeared = appeared or second
            second = next(seconds, None)
        elif second is None or first[0] < second[0]:
            return f"{first[0]} was removed"
        else:
            changed = changed or (first if first != second else None)
            first, second = next(firsts, None), next(seconds, None)
    if appeared is not None:
        return f"{appeared[0]} appeared"
    return f"{changed[0]} was changed" if changed is not None else None
