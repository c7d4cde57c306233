"""The questions that a registry behind a server answers."""

from collections.abc import Iterator

from holdfast.canonical import JsonObject, Reader
from holdfast.digest import Digest
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import documents, documents_of_answers
from holdfast.registry.answers import Direction, Found, Indexed, Spell, Walk
from holdfast.registry.asking import VERDICTS_MAX
from holdfast.registry.facts import Facts
from holdfast.registry.records import VerdictEntry
from holdfast.registry.values import Version
from holdfast.service.line import Line, quoted

__all__ = ["HttpQuestions"]

_PAGE = 1_000
"""Asked for at once: seventy kilobytes of digests."""


class HttpQuestions:
    """`Questions` to a server.

    Args:
        line: to the server.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    def search(
        self,
        filter: str = "",  # noqa: A002 - its name
        *,
        model: ModelName | None = None,
        order_by: str = "",
        limit: int = 100,
        after: str | None = None,
    ) -> Found:
        """See `Questions.search`."""
        wanted = {"filter": filter, "model": model, "order_by": order_by, "limit": limit, "after": after}
        return documents_of_answers.found(self._asked("/search", **wanted))

    def named_snapshots(self, *, after: Digest | None = None, limit: int | None = None) -> tuple[Digest, ...]:
        """See `Questions.named_snapshots`."""
        found: list[Digest] = []
        while limit is None or len(found) < limit:
            rest = _PAGE if limit is None else min(limit - len(found), _PAGE)
            page = self._asked("/named-snapshots", after=after, limit=rest).texts("digests")
            found += map(Digest.parse, page)
            if len(page) < rest:
                break
            after = found[-1]
        return tuple(found)

    def not_indexed(self, *, after: Reference | None = None, limit: int = 100) -> tuple[Version, ...]:
        """See `Questions.not_indexed`."""
        found = self._asked("/not-indexed", after=after, limit=limit)
        return tuple(documents.version(one) for one in _readers(found, "versions"))

    def index(self, model: ModelName, number: VersionNumber, facts: Facts) -> Indexed:
        """See `Questions.index`. A server that has the version's bytes reads them, whatever is said here."""
        body: JsonObject = {"facts": facts.to_json()}
        path = f"/models/{quoted(model)}/versions/{number}/facts"
        return documents_of_answers.indexed(Reader(self._line.send("PUT", path, body, again=True), path))

    def history(
        self, model: ModelName, stage: StageName | None = None, *, before: int | None = None, limit: int = 100
    ) -> tuple[Spell, ...]:
        """See `Questions.history`."""
        found = self._asked(f"/models/{quoted(model)}/history", stage=stage, before=before, limit=limit)
        return tuple(documents_of_answers.spell(one) for one in _readers(found, "spells"))

    def walk(self, kind: str, name: str, direction: Direction, *, depth: int = 3) -> Walk:
        """See `Questions.walk`."""
        wanted = {"kind": kind, "name": name, "direction": str(direction), "depth": depth}
        return documents_of_answers.walk(self._asked("/lineage/walk", **wanted))

    def verdicts(
        self,
        *,
        model: ModelName | None = None,
        number: VersionNumber | None = None,
        stage: StageName | None = None,
        beginning: str = "",
        after: Digest | None = None,
        limit: int = VERDICTS_MAX,
    ) -> tuple[VerdictEntry, ...]:
        """See `Questions.verdicts`."""
        wanted = {"model": model, "version": number, "stage": stage, "after": after, "limit": limit}
        found = self._asked("/verdicts", **wanted, beginning=beginning or None)
        return tuple(documents_of_answers.verdict_entry(one) for one in _readers(found, "verdicts"))

    def _asked(self, path: str, /, **query: object) -> Reader:
        return Reader(self._line.get(path, **query), path)


def _readers(found: Reader, items: str) -> Iterator[Reader]:
    return (Reader(one, items) for one in found.items(items))
