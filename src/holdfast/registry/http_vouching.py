"""The signatures that a registry behind a server keeps."""

from collections.abc import Callable

from holdfast.canonical import JsonObject, Reader
from holdfast.names import ModelName, VersionNumber
from holdfast.registry.vouching import NewSignature, Signature
from holdfast.service.line import Line, quoted

__all__ = ["HttpVouching"]


class HttpVouching:
    """`Vouching` of a server, for a registry that has the line to it."""

    _line: Line
    _new_id: Callable[[], str]

    def put_signature(self, new: NewSignature, actor: str, reason: str = "", *, key: str | None = None) -> Signature:
        """See `Vouching.put_signature`."""
        body: JsonObject = {**new.to_json(), "reason": reason}
        found = self._line.send("POST", _path(new.model, new.number), body, actor=actor, key=key or self._new_id())
        return Signature.from_json(Reader(found, "signature"))

    def signatures(self, model: ModelName, number: VersionNumber) -> tuple[Signature, ...]:
        """See `Vouching.signatures`."""
        found = Reader(self._line.get(_path(model, number)), "signatures").items("signatures")
        return tuple(Signature.from_json(Reader(one, "signature")) for one in found)


def _path(model: ModelName, number: VersionNumber) -> str:
    return f"/models/{quoted(model)}/versions/{number}/signatures"
