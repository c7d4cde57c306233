"""What moves named bytes to a remote and back. It knows nothing of packs; every adapter keeps the same promises.

1. `create` and `create_long` make a file whole or not at all, and leave one that is there as it is.
2. What was acknowledged is durable, and can be read, listed and measured at once by everybody.
3. Any call may be repeated: nothing is written over, and removing what is gone is no error.
4. A call ends in bounded time. `Unavailable` means that nobody knows whether it was done; whoever wants to know looks.

A key is a path of plain names, such as `packs/ab/ab12…`.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

__all__ = ["Listed", "Pieces", "Transport"]

Pieces = Callable[[], Iterator[bytes]]
"""Gives the bytes of something long, from its start each time it is called; it raises where they are damaged."""


class Listed(NamedTuple):
    """One file of a remote.

    Attributes:
        key: its name.
        size: bytes.
    """

    key: str
    size: int


class Transport(Protocol):
    """See the module.

    Every call may raise `Unavailable` (try again), `PermissionRefused` (credentials, rights) or `NoSpace`.
    """

    @property
    def name(self) -> str:
        """The address, for messages; it holds no credentials."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Make a file; False when one of that name is there, which is then as it was."""
        ...

    def create_long(self, key: str, pieces: Pieces, size: int) -> bool:
        """The same for a file of `size` bytes that is never held in memory; nothing is made when `pieces` raises."""
        ...

    def read(self, key: str, *, bytes_max: int) -> bytes:
        """All of a small file.

        Raises:
            NotFound: there is none.
            TooLarge: it has more than `bytes_max` bytes.
        """
        ...

    def range(self, key: str, offset: int, length: int) -> bytes:
        """So many bytes from `offset`, or as many as there are.

        Raises:
            NotFound: there is no such file.
        """
        ...

    def size(self, key: str) -> int | None:
        """The bytes of a file; None when there is none."""
        ...

    def list(self, prefix: str) -> Iterator[Listed]:
        """Every file below `prefix`, which ends with a slash, at any depth and in any order."""
        ...

    def remove(self, key: str) -> None:
        """Remove a file; what is not there is no error."""
        ...
