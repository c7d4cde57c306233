"""What a request's bytes are, and what its answer is to be: the content types that a version takes and gives.

    sent_as("text/csv; charset=utf-8", "application/json") -> Sent(kind="csv", wanted="json")

The router finds it out from the headers, and it crosses to the worker in the header of the frame; the bytes themselves
are parsed there.
"""

from typing import NamedTuple

from holdfast.canonical import JsonObject
from holdfast.errors import InvalidInput, UnsupportedMedia

__all__ = [
    "ARROW",
    "CONTENT_TYPES",
    "CSV",
    "JSON",
    "JSON_LINES",
    "PARQUET",
    "READ_ANYWHERE",
    "Sent",
    "sent_as",
]

JSON = "json"
JSON_LINES = "jsonl"
CSV = "csv"
ARROW = "arrow"
PARQUET = "parquet"

CONTENT_TYPES = {
    JSON: "application/json",
    JSON_LINES: "application/jsonl",
    CSV: "text/csv",
    ARROW: "application/vnd.apache.arrow.stream",
    PARQUET: "application/vnd.apache.parquet",
}
"""The name of each kind of body; https://www.iana.org/assignments/media-types, but for `application/jsonl`, which
nobody has registered and everybody uses."""

_TAKEN = {
    **{name: kind for kind, name in CONTENT_TYPES.items()},
    "application/x-ndjson": JSON_LINES,
    "application/x-jsonlines": JSON_LINES,
    "application/jsonlines": JSON_LINES,
    "application/csv": CSV,
    "application/x-parquet": PARQUET,
    "application/x-www-form-urlencoded": JSON,  # what curl -d says when it is told nothing
}

READ_ANYWHERE = (JSON, JSON_LINES, CSV)
"""Kinds that may be read outside a version's own process too: Arrow and Parquet need a wall around the process."""

_GIVEN = (JSON, CSV, ARROW)
"""Kinds that answers come in."""

_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}

_HEADER_CHARACTERS_MAX = 1000
"""A browser's Accept header has some hundred; what is longer is not looked at."""


class Sent(NamedTuple):
    """The form of one request and of its answer.

    Attributes:
        kind: what the request's bytes are: one of `CONTENT_TYPES`.
        wanted: what the answer's bytes are to be: JSON, CSV or Arrow.
        head: how many of the request's bytes are JSON, where tensors follow them in binary; None where none do.
    """

    kind: str = JSON
    wanted: str = JSON
    head: int | None = None

    def to_json(self) -> JsonObject:
        """The form as it crosses to a worker; what goes without saying is not said."""
        said = {"sent": self.kind, "wanted": self.wanted, "head": self.head}
        return {name: value for name, value in said.items() if value not in (JSON, None)}

    @classmethod
    def from_json(cls, header: JsonObject) -> "Sent":
        """The form in the header of a frame."""
        return cls(header.get("sent", JSON), header.get("wanted", JSON), header.get("head"))


def sent_as(content_type: str, accept: str) -> Sent:
    """What the headers of a request say of its body and of the answer.

    Args:
        content_type: the `Content-Type`; empty where there is none, which means JSON.
        accept: the `Accept` header; what it names and nobody can give is passed over, and JSON is given.

    Raises:
        UnsupportedMedia: a type or a character set that no version takes.
        InvalidInput: a header of absurd length.
    """
    if len(content_type) > _HEADER_CHARACTERS_MAX:
        raise InvalidInput("the Content-Type is no content type", hint=f"One of {', '.join(CONTENT_TYPES.values())}.")
    name, _, parameters = content_type.partition(";")
    kind = _TAKEN.get(name.strip().lower() or CONTENT_TYPES[JSON])
    if kind is None:
        raise UnsupportedMedia(
            f"no version takes {name.strip()!r:.100}",
            hint=f"Send one of {', '.join(CONTENT_TYPES.values())}.",
            takes=list(CONTENT_TYPES.values()),
        )
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset" and value.strip().strip('"').lower() not in _CHARSETS:
            raise UnsupportedMedia(f"text in {value.strip()!r:.60} is not read", hint="Send UTF-8.")
    return Sent(kind, _wanted(accept))


def _wanted(accept: str) -> str:
    """The kind that the caller would rather have; of two that it likes alike, the one named first."""
    if not accept or len(accept) > _HEADER_CHARACTERS_MAX:
        return JSON
    best, found = 0.0, JSON
    for choice in accept.split(","):
        name, *parameters = (one.strip().lower() for one in choice.split(";"))
        kind = JSON if name in {"*/*", "application/*"} else _TAKEN.get(name)
        weight = _weight(parameters)
        if kind in _GIVEN and weight > best:
            best, found = weight, kind
    return found


def _weight(parameters: list[str]) -> float:
    said = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    try:
        weight = float(said)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
