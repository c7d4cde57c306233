"""The rehearsals that a registry behind a server keeps."""

from collections.abc import Callable, Mapping

from holdfast.canonical import JsonObject, Reader
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.certificates import NewRehearsal, Rehearsal
from holdfast.service.line import Line, quoted

__all__ = ["HttpRehearsals", "rehearsal"]


class HttpRehearsals:
    """`Rehearsals` of a server, for a class that holds its line as `_line`."""

    _line: Line
    _new_id: Callable[[], str]

    def put_rehearsal(self, certificate: Mapping[str, object], actor: str, *, key: str | None = None) -> Rehearsal:
        """See `Rehearsals.put_rehearsal`."""
        new = NewRehearsal.of(certificate)
        body: JsonObject = {"certificate": new.body}
        path = _path(new.model, new.stage)
        sent = self._line.send("POST", path, body, actor=actor, key=key or self._new_id())
        return rehearsal(Reader(sent, "rehearsal"))

    def rehearsals(
        self, model: ModelName, stage: StageName, *, to: VersionNumber | None = None, limit: int = 100
    ) -> tuple[Rehearsal, ...]:
        """See `Rehearsals.rehearsals`."""
        found = Reader(self._line.get(_path(model, stage), to=to, limit=limit), "rehearsals")
        return tuple(rehearsal(Reader(one, "rehearsal")) for one in found.items("rehearsals"))


def rehearsal(found: Reader) -> Rehearsal:
    """A rehearsal with its certificate."""
    return Rehearsal(
        digest=Digest.parse(found.text("certificate")),
        said=NewRehearsal.of(found.mapping("body")),
        event=found.integer("event"),
        created_at=from_text(found.text("created_at")),
        created_by=found.text("created_by"),
    )


def _path(model: ModelName, stage: StageName) -> str:
    return f"/models/{quoted(model)}/stages/{quoted(stage)}/rehearsals"
