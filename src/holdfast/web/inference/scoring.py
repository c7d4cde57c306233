"""The routes that score: MLflow's `/invocations` and the Open Inference Protocol's `infer`.

They are plain ASGI endpoints, because they carry all the traffic: a request's bytes go to the worker and its answer's
bytes come back, and between the two a framework's parsing and writing would cost as much as a small model.
"""

import time
from typing import TYPE_CHECKING

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError, NotFound, Unavailable
from holdfast.runtime.shapes import INVOCATIONS, V2
from holdfast.serving.live import Live
from holdfast.serving.observing import Observed
from holdfast.serving.pipe import RETRY_SECONDS
from holdfast.serving.replica import Replica
from holdfast.serving.route import OVERRIDE
from holdfast.web.inference.assigning import assigned
from holdfast.web.inference.bodies import body_of
from holdfast.web.inference.deadline import seconds_allowed
from holdfast.web.inference.stamp import SCOPE_KEY, Spoken

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["SCORING", "Score", "addressed", "described"]

SCORING = {
    "/invocations": (INVOCATIONS, "Score rows: dataframe_records, dataframe_split, inputs or instances."),
    "/v2/models/{model}/infer": (V2, "Score tensors with the version that holds the stage."),
    "/v2/models/{model}/versions/{number}/infer": (V2, "Score tensors with a held version, by its number."),
}
"""Each path that scores: the shape it takes and gives, and what it does."""


class Score:
    """One route that scores."""

    def __init__(self, replica: Replica, shape: str) -> None:
        self._replica = replica
        self._shape = shape

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Hand the request's bytes to the version that speaks, and its answer's bytes to the caller."""
        spoken, path = scope[SCOPE_KEY], scope["path_params"]
        live = addressed(spoken, self._replica, path.get("model"), path.get("number"))
        seconds = seconds_allowed(scope["headers"])
        body = await body_of(_length(scope), receive)
        if path.get("number") is None:
            live = assigned(spoken, live, scope, self._shape, body)
        spoken.asked = time.perf_counter()
        try:
            answer = await live.predict(self._shape, body, seconds)
        except HoldfastError as error:
            spoken.answered = time.perf_counter()
            self._tell(spoken, live, body, None, error.code)
            raise
        spoken.answered = time.perf_counter()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        self._tell(spoken, live, body, answer, None)

    def _tell(self, spoken: Spoken, live: Live, body: bytes, answer: bytes | None, error: str | None) -> None:
        """Tell those who watch; nobody waits for them."""
        if not (observers := self._replica.observers) or spoken.route is None:
            return
        observed = Observed(
            request_id=spoken.request_id,
            at=time.time(),
            route=spoken.route,
            live=live,
            reason=spoken.reason,
            key=spoken.key,
            seconds=time.perf_counter() - spoken.began,
            shape=self._shape,
            request=body,
            answer=answer,
            error=error,
            worker_seconds=spoken.answered - spoken.asked,
            traceparent=spoken.traceparent,
        )
        for observer in observers:
            observer.see(observed)


def _length(scope: "Scope") -> bytes | None:
    return next((value for name, value in scope["headers"] if name == b"content-length"), None)


def addressed(spoken: Spoken, replica: Replica, model: str | None, number: str | None) -> Live:
    """The version that a path names; from now on it is the one that speaks.

    Args:
        spoken: what the request took.
        replica: who is asked.
        model: the model in the path; None where the path names none.
        number: the version in the path; None for the one that holds the stage.

    Raises:
        NotFound: another model, or a version that is not held.
        Unavailable: nothing is open yet.
    """
    if model is not None and model != str(replica.model):
        raise NotFound(f"this replica does not serve {model[:128]!r}", hint=f"It serves {replica.model}.")
    if spoken.route is None or spoken.live is None:
        raise Unavailable(
            f"{replica.model}@{replica.stage} is not open yet",
            hint=f"Try again in {RETRY_SECONDS} s; /readyz says what it waits for.",
        )
    if number is None:
        return spoken.live
    held = spoken.route.held(number)
    if held is None:
        names = ", ".join(str(one.number) for one in spoken.route.lives)
        raise NotFound(f"this replica does not hold version {number[:20]!r}", hint=f"It holds: {names}.")
    if held is not spoken.route.primary:
        spoken.live, spoken.reason = held, OVERRIDE
    return held


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
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"200": {"description": "What the version answers, and which version it is."}},
            }
        }
        for path, (_, summary) in SCORING.items()
    }
