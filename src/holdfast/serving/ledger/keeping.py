"""What of a request is kept, decided before anything leaves memory.

A field that is to be redacted is dropped: its value becomes null. A digest of it would be no protection, since whoever
reads the ledger could try names until one fits. A request in which the fields cannot be told apart is kept as its
digest alone.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from holdfast.digest import Digest
from holdfast.runtime.sent import JSON, Sent
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2
from holdfast.serving.ledger.decision import HASHED, NOTHING, REDACTED, WHOLE, salted
from holdfast.serving.settings import LedgerSettings

__all__ = ["Kept", "chosen", "kept", "redacted"]

_SALT_BYTES = 16
"""Nobody makes a table of what so many bits are hashed with."""

_AS_JSON = Sent()
_ROWS = ("dataframe_records", "instances", "inputs")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one input: how much, behind which salt, its digest, its bytes."""

    how: str
    salt: bytes
    digest: Digest | None
    data: bytes | None


def chosen(request_id: str, share: float) -> bool:
    """Whether a decision is in a sample of this share: told by its id alone, so that every replica says the same."""
    if share >= 1:
        return True
    return int(salted(b"ledger:", request_id.encode()).hex[:16], 16) < int(share * 2**64)


def kept(settings: LedgerSettings, shape: str, data: bytes, sent: Sent = _AS_JSON) -> Kept:
    """What the settings leave of an input."""
    if settings.inputs == WHOLE and not settings.redact:
        return Kept(WHOLE, b"", salted(b"", data), data)
    salt = secrets.token_bytes(_SALT_BYTES)
    if settings.inputs == NOTHING:
        return Kept(NOTHING, salt, None, None)
    told = settings.inputs == WHOLE and sent.kind == JSON and sent.head is None
    left = redacted(shape, data, frozenset(settings.redact)) if told else None
    if left is data:
        return Kept(WHOLE, b"", salted(b"", data), data)
    return Kept(HASHED if left is None else REDACTED, salt, salted(salt, data), left)


def redacted(shape: str, data: bytes, fields: frozenset[str]) -> bytes | None:
    """The request without the values of these fields; None where it cannot be told which values are theirs.

    Capital letters make no difference: `Email` is dropped where `email` is to be. A request with no such value is given
    back as it is, the very object.
    """
    fields = frozenset(name.casefold() for name in fields)
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        return None
    try:
        found = _left(shape, request, fields)
        if found is not None and found == request:
            return data
        return None if found is None else json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
    except (UnicodeEncodeError, RecursionError):
        return None  # JSON may say what UTF-8 cannot, and nest deeper than can be looked into


def _left(shape: str, request: Any, fields: frozenset[str]) -> Any:
    if shape == PREDICT:
        return _plain(request, fields)
    if not isinstance(request, dict) or shape not in {INVOCATIONS, V2}:
        return None
    return _invocations(request, fields) if shape == INVOCATIONS else _tensors(request, fields)


def _invocations(request: dict[str, Any], fields: frozenset[str]) -> dict[str, Any] | None:
    """Rows by name or columns by name; rows without names are nobody's."""
    left: dict[str, Any] = {}
    for name, value in request.items():
        if name == "dataframe_split":
            left[name] = _split(value, fields)
        elif name in _ROWS and isinstance(value, list):
            left[name] = _dropped(value, fields) if all(isinstance(row, dict) for row in value) else None
        elif isinstance(value, dict):
            left[name] = _dropped(value, fields)
        else:
            left[name] = None  # nothing else belongs into a request, whatever it says
        if left[name] is None:
            return None
    return left


def _plain(request: Any, fields: frozenset[str]) -> Any:
    """Rows by name, bare or under `rows`; or lists, with the names of their columns beside them."""
    if isinstance(request, dict):
        if isinstance(request.get("columns"), list) and set(request) == {"rows", "columns"}:
            left = _split({"columns": request["columns"], "data": request["rows"]}, fields)
            return None if left is None else {"columns": left["columns"], "rows": left["data"]}
        left = _plain(request.get("rows"), fields) if set(request) == {"rows"} else None
        return None if left is None else {"rows": left}
    by_name = isinstance(request, list) and all(isinstance(row, dict) for row in request)
    return _dropped(request, fields) if by_name else None


def _split(value: Any, fields: frozenset[str]) -> Any:
    names = value.get("columns") if isinstance(value, dict) else None
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(names, list) or not isinstance(rows, list) or set(value) - {"columns", "data", "index"}:
        return None
    if any(not isinstance(row, list) or len(row) != len(names) for row in rows):
        return None
    columns = [str(name) for name in names]
    data = [
        [None if name.casefold() in fields else _dropped(item, fields) for name, item in zip(columns, row, strict=True)]
        for row in rows
    ]
    return {"columns": names, "data": data}  # an index may be anybody's name


def _tensors(request: dict[str, Any], fields: frozenset[str]) -> dict[str, Any] | None:
    """Tensors by name; a matrix has columns without names."""
    tensors = request.get("inputs")
    if not isinstance(tensors, list) or not all(_is_column(tensor) for tensor in tensors):
        return None
    said = [
        {
            "name": tensor["name"],
            "shape": tensor["shape"],
            "datatype": tensor.get("datatype"),
            "data": None if tensor["name"].casefold() in fields else tensor["data"],
        }
        for tensor in tensors
    ]
    return {"inputs": said}


def _is_column(tensor: Any) -> bool:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        return False
    shape, data = tensor.get("shape"), tensor.get("data")
    return isinstance(shape, list) and isinstance(data, list) and (len(shape) == 1 or shape[1:] == [1])


def _dropped(value: Any, fields: frozenset[str]) -> Any:
    """The value with null for these fields, however deep they lie."""
    if isinstance(value, dict):
        return {name: None if name.casefold() in fields else _dropped(item, fields) for name, item in value.items()}
    return [_dropped(item, fields) for item in value] if isinstance(value, list) else value
