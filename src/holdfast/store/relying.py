"""What a writer relies on instead of writing it again: segments that hold what it was given, and that must not go."""

from holdfast.errors import Unavailable
from holdfast.store.catalog import Catalog
from holdfast.store.condemned import condemned_names
from holdfast.store.index import Segment
from holdfast.store.layout import Layout

__all__ = ["Relying"]


class Relying:
    """The segments that one writer relies on. What is condemned when it begins is never relied on."""

    def __init__(self, layout: Layout, catalog: Catalog) -> None:
        self._layout = layout
        self._catalog = catalog
        self._condemned = condemned_names(layout)
        self._segments: set[Segment] = set()

    def on(self, segment: Segment) -> bool:
        """Whether what is in the segment may count as known, since that stands and stays; it is relied on then."""
        if segment.name in self._condemned:
            return False
        if self._catalog.shrinks and segment not in self._segments:
            if not self._catalog.stands(segment):
                return False
            self._segments.add(segment)
        return True

    def settle(self) -> None:
        """See that all of it still stands, and say that it is in use; called where nobody can delete.

        Raises:
            Unavailable: some of it was deleted since the writer looked.
            NoSpace, PermissionRefused: the operating system refused.
        """
        if not all(map(self._catalog.stands, self._segments)):
            raise Unavailable(
                "what was already in the store, and so was not written again, was deleted meanwhile",
                hint="Repeat: all of it is written then. Nothing was recorded.",
            )
        self._layout.touch(self._layout.used, sorted(segment.name for segment in self._segments))
        self._segments.clear()
