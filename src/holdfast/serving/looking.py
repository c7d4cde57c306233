"""Asking the replicas of a stage what they watch: what `holdfast watch` shows, from `/watch` of each that is alive."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.canonical import JsonObject
from holdfast.registry import Replica

if TYPE_CHECKING:
    import httpx

__all__ = ["Looked", "look"]

_SECONDS_MAX = 5.0
"""A replica that does not say within this what it watches is busy, or cannot be reached from here."""

_ANSWER_BYTES_MAX = 4 << 20
"""What a replica says of a handful of versions takes some kilobytes; what is larger is somebody else's answer."""

_AT_ONCE = 8
"""Replicas that are asked at the same time."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One replica, asked.

    Attributes:
        replica: what the registry knows of it.
        said: what it watches; None when it did not say.
        why: why not; empty when it did.
    """

    replica: Replica
    said: JsonObject | None
    why: str = ""

    def to_json(self) -> JsonObject:
        """One entry of `holdfast watch --json`."""
        return {"replica": self.replica.id, "url": self.replica.url, "watch": self.said, "error": self.why or None}


def look(replicas: Sequence[Replica]) -> list[Looked]:
    """Ask at each address once, for all replicas there; one that does not answer is an answer, too."""
    replicas = list({replica.url: replica for replica in replicas}.values())
    if not replicas:
        return []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(_asked, replicas))


def _asked(replica: Replica) -> Looked:
    import httpx

    try:
        with (
            httpx.Client(timeout=_SECONDS_MAX, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", f"{replica.url}/watch") as answer,
        ):
            return _read(replica, answer)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Looked(replica, None, f"it could not be asked: {type(error).__name__}")


def _read(replica: Replica, answer: "httpx.Response") -> Looked:
    if not answer.is_success:
        return Looked(replica, None, f"it answered {answer.status_code}")
    body = b""
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > _ANSWER_BYTES_MAX:
            return Looked(replica, None, "it answered more than any replica watches")
    try:
        said: Any = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("versions"), list):
        return Looked(replica, None, "it answered something else")
    return Looked(replica, said)
