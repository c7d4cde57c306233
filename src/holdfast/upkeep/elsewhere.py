"""What the remotes of a project hold of what was archived there.

They are asked anew in each run, and never believed from memory: bytes go from here only while somebody else says that
it lists them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from holdfast.digest import Digest
from holdfast.errors import HoldfastError, NotFound, Unavailable
from holdfast.registry.whereabouts import Archive

__all__ = ["Elsewhere", "Lacking", "nowhere"]

Lacking = Callable[[Iterable[Digest]], set[Digest]]
"""Those of some blobs that a remote does not list whole."""

_AT_ONCE = 50_000
"""Blobs asked for together: one look at the remote's list for all of them."""


def nowhere(archive: Archive) -> Lacking:
    """The way to the remotes of a project that has none.

    Raises:
        NotFound: always.
    """
    raise NotFound(
        f"this project has no remote {archive.remote}, {archive.url}",
        hint=f"Add it again: holdfast remote add {archive.remote} {archive.url}",
    )


@dataclass(slots=True)
class Elsewhere:
    """The remotes of one run.

    Attributes:
        look: asks the remote of an archive what it lists now; the answer holds for this run.
    """

    look: Callable[[Archive], Lacking] = nowhere
    _found: dict[str, Lacking | str] = field(default_factory=dict)
    _trees: dict[tuple[str, Digest], str | None] = field(default_factory=dict)

    def trouble(self, archive: Archive, blobs: Iterable[Digest]) -> str | None:
        """Why the bytes here are still needed; None when the remote lists every one of these blobs."""
        lacking = self._lacking(archive)
        if isinstance(lacking, str):
            return lacking
        left = iter(blobs)
        try:
            while some := list(islice(left, _AT_ONCE)):
                if absent := lacking(some):
                    return f"{archive.remote} lacks {min(absent)}"
        except Unavailable as error:
            self._found[archive.url] = _silent(archive, error)
            return _silent(archive, error)
        return None

    def trouble_of_tree(self, archive: Archive, tree: Digest, blobs: Callable[[], Iterable[Digest]]) -> str | None:
        """The same for the files of a tree, which many versions may share: each tree is asked for once."""
        key = archive.url, tree
        if key not in self._trees:
            self._trees[key] = self.trouble(archive, blobs())
        return self._trees[key]

    def _lacking(self, archive: Archive) -> Lacking | str:
        if archive.url not in self._found:
            try:
                self._found[archive.url] = self.look(archive)
            except HoldfastError as error:
                self._found[archive.url] = _silent(archive, error)
        return self._found[archive.url]


def _silent(archive: Archive, error: HoldfastError) -> str:
    return f"{archive.remote} could not be asked: {error.message}"
