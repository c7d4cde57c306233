"""The policies that a registry behind a server keeps."""

from collections.abc import Callable

from holdfast.canonical import Reader
from holdfast.names import ModelName
from holdfast.registry.governing import KeptPolicy, NewPolicy
from holdfast.service.line import Line

__all__ = ["HttpGoverning"]


class HttpGoverning:
    """`Governing` of a server, for a registry that has the line to it."""

    _line: Line
    _new_id: Callable[[], str]

    def set_policy(self, new: NewPolicy, actor: str, *, key: str | None = None) -> KeptPolicy:
        """See `Governing.set_policy`."""
        found = self._line.send("POST", "/policies", new.to_json(), actor=actor, key=key or self._new_id())
        return KeptPolicy.from_json(Reader(found, "policy"))

    def policy(self, model: ModelName | None = None) -> KeptPolicy | None:
        """See `Governing.policy`."""
        found = Reader(self._line.get("/policies/in-force", model=_text(model)), "policy")
        return KeptPolicy.from_json(found.reader("policy")) if found.has("policy") else None

    def policies(self, model: ModelName | None = None) -> tuple[KeptPolicy, ...]:
        """See `Governing.policies`."""
        found = Reader(self._line.get("/policies", model=_text(model)), "policies").items("policies")
        return tuple(KeptPolicy.from_json(Reader(one, "policy")) for one in found)


def _text(model: ModelName | None) -> str | None:
    return None if model is None else str(model)
