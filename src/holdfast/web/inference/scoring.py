"""The routes that score: MLflow's `/invocations`, the plain `/predict`, and the Open Inference Protocol's `infer`.

They are plain ASGI endpoints, because they carry all the traffic: a request's bytes go to the worker and its answer's
bytes come back, and between the two a framework's parsing and writing would cost as much as a small model.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from holdfast.canonical import JsonObject
from holdfast.errors import InvalidInput
from holdfast.runtime.sent import CONTENT_TYPES, JSON, Sent, sent_as
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2
from holdfast.web.inference.answering import Answering, Asked, named_in
from holdfast.web.inference.assigning import assigned
from holdfast.web.inference.bodies import body_of, inflated
from holdfast.web.inference.deadline import seconds_allowed
from holdfast.web.inference.stamp import SCOPE_KEY

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["SCORING", "Score", "described"]

SCORING = {
    "/invocations": (INVOCATIONS, "Score rows in MLflow's shapes: JSON, JSON lines, CSV, Arrow or Parquet."),
    "/predict": (PREDICT, "Score rows: predictions and scores. JSON, JSON lines, CSV, Arrow or Parquet."),
    "/v2/models/{model}/infer": (V2, "Score tensors with the version that holds the stage."),
    "/v2/models/{model}/versions/{number}/infer": (V2, "Score tensors with a held version, by its number."),
}
"""Each path that scores: the shape it takes and gives, and what it does."""

_HEAD = b"inference-header-content-length"
"""How many bytes of a V2 request are JSON; the protocol's extension for binary tensors."""

_TYPES = {kind: name.encode() for kind, name in CONTENT_TYPES.items()}
_PLAIN = Sent()


class Score:
    """One route that scores."""

    def __init__(self, answering: Answering, shape: str) -> None:
        self._answering = answering
        self._shape = shape

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Hand the request's bytes to the version that speaks, and its answer's bytes to the caller."""
        spoken, path = scope[SCOPE_KEY], scope["path_params"]
        headers: dict[bytes, bytes] = dict(scope["headers"])
        named = path.get("number") or named_in(headers)
        live = await self._answering.chosen(spoken, path.get("model"), named, headers)
        sent, seconds = _sent(self._shape, headers), seconds_allowed(scope["headers"])
        body = await body_of(headers.get(b"content-length"), receive)
        if b"content-encoding" in headers:
            body = await inflated(headers[b"content-encoding"], body)
        asked = Asked(self._shape, body, sent, seconds)
        if named is None:
            live = assigned(spoken, live, scope["headers"], asked)
        answer = await self._answering.score(spoken, live, asked)
        said = [(b"content-type", _TYPES[sent.wanted]), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": said})
        await send({"type": "http.response.body", "body": answer})
        self._answering.tell(spoken, live, asked, answer)


def _sent(shape: str, headers: Mapping[bytes, bytes]) -> Sent:
    """What the headers say of the body; the protocol of tensors has JSON alone, and binary behind it."""
    if shape == V2:
        head = headers.get(_HEAD)
        if head is None:
            return _PLAIN
        if not head.isdigit() or len(head) > 10:  # noqa: PLR2004 - digits of a length below any limit
            raise InvalidInput(f"{_HEAD.decode()} is no length", hint="Send the length of the JSON in bytes.")
        return Sent(head=int(head))
    kind, accept = headers.get(b"content-type", b""), headers.get(b"accept", b"")
    if kind == b"application/json" and accept in {b"", b"*/*", b"application/json"}:
        return _PLAIN
    return sent_as(kind.decode("latin-1"), accept.decode("latin-1"))


def described() -> JsonObject:
    """The paths that score, for the OpenAPI document."""
    return {
        path: {
            "post": {
                "summary": summary,
                "tags": ["score"],
                "parameters": [
                    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                    for name in ("model", "number")
                    if f"{{{name}}}" in path
                ],
                "requestBody": {"required": True, "content": _content(shape)},
                "responses": {"200": {"description": "What the version answers, and which version it is."}},
            }
        }
        for path, (shape, summary) in SCORING.items()
    }


def _content(shape: str) -> JsonObject:
    """The content types of a body, for the OpenAPI document."""
    kinds = [JSON] if shape == V2 else list(CONTENT_TYPES)
    described: JsonObject = {CONTENT_TYPES[kind]: {"schema": {"type": "string"}} for kind in kinds}
    return {**described, CONTENT_TYPES[JSON]: {"schema": {"type": "object"}}}
