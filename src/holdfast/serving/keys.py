"""By what a request is assigned to a version: its own id, a header, or a column of its first row.

    KeySource.parse("header:x-user").find(headers, shape, body) -> "ana"

A batch is one request, and its first row speaks for it. A request without the key is assigned by its id, and whoever
counts can tell. Whether keys are what they say is not known here: whoever may choose the key may choose the version.
"""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from holdfast.errors import UsageError
from holdfast.runtime.sent import CSV, JSON, JSON_LINES, Sent
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2

__all__ = ["KEY_CHARACTERS_MAX", "KeySource", "Origin"]

KEY_CHARACTERS_MAX = 1024
"""Ids of users and sessions, signed ones too, are shorter; what is longer is a mistake, and no key."""

_BODY_BYTES_MAX = 256 << 10
"""Looking for a column parses the rows a second time: this many bytes take a millisecond or two of the router."""

_AS_JSON = Sent()

_NAME_CHARACTERS_MAX = 256
"""Names of headers and columns that people write are shorter."""


_ROWS = ("dataframe_records", "instances", "inputs", "rows")
"""Where `/invocations` carries named rows, but for `dataframe_split`."""


class Origin(StrEnum):
    """Where the key of a request comes from."""

    REQUEST = "request"
    HEADER = "header"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the key of each request is found. Law: `KeySource.parse(str(source)) == source`.

    Attributes:
        origin: the kind of place.
        name: of the header, in small letters, or of the column; empty for the request's id.
    """

    origin: Origin = Origin.REQUEST
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> "KeySource":
        """`request`, `header:NAME` or `column:NAME`.

        Raises:
            UsageError: it is something else.
        """
        if text == Origin.REQUEST:
            return cls()
        origin, _, name = text.partition(":")
        if origin not in (Origin.HEADER, Origin.COLUMN) or not name.strip() or len(name) > _NAME_CHARACTERS_MAX:
            raise UsageError(
                f"{text[:100]!r} is no key", hint="Name one: request, header:x-user or column:user_id.", key=text[:100]
            )
        if origin == Origin.HEADER:
            name = name.strip().lower()
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise UsageError(f"{name!r} is no name of a header", hint="Name one, such as header:x-user.")
        return cls(Origin(origin), name)

    def __str__(self) -> str:
        return str(self.origin) if self.origin is Origin.REQUEST else f"{self.origin}:{self.name}"

    def find(
        self, headers: Iterable[tuple[bytes, bytes]], shape: str, body: bytes, sent: Sent = _AS_JSON
    ) -> str | None:
        """The key of one request; None where it has none, and the request's id takes its place.

        Args:
            headers: as ASGI has them, their names in small letters.
            shape: of the body: a name of `holdfast.runtime.shapes`.
            body: looked into for a column alone, and only up to `_BODY_BYTES_MAX`.
            sent: what the body is; a column of Arrow or Parquet is not looked for, nor a tensor in binary.
        """
        if self.origin is Origin.HEADER:
            name = self.name.encode()
            return _said(next((value.decode("latin-1") for key, value in headers if key == name), None))
        if self.origin is Origin.COLUMN and len(body) <= _BODY_BYTES_MAX and shape in (INVOCATIONS, PREDICT, V2):
            return _said(_first_cell(self.name, shape, body, sent))
        return None


def _first_cell(column: str, shape: str, body: bytes, sent: Sent) -> object:
    """What the first row has in a column; None for whatever has no such row: the worker says what is wrong with it."""
    if sent.kind == CSV:
        return _first_field(column, body)
    if sent.kind not in (JSON, JSON_LINES):
        return None
    try:
        request = json.loads(body.lstrip().partition(b"\n")[0] if sent.kind == JSON_LINES else body[: sent.head])
    except (ValueError, RecursionError):
        return None
    if isinstance(request, list) or sent.kind == JSON_LINES:
        return _of_row(column, request)
    if not isinstance(request, dict):
        return None
    if shape == V2:
        tensors = request.get("inputs")
        named = (one for one in tensors if isinstance(one, dict)) if isinstance(tensors, list) else ()
        return _first(next((one.get("data") for one in named if one.get("name") == column), None))
    split = request.get("dataframe_split")
    if isinstance(request.get("columns"), list):
        split = {"columns": request["columns"], "data": request.get("rows")}
    if isinstance(split, dict):
        names, data = split.get("columns"), split.get("data")
        row = data[0] if isinstance(data, list) and data else None
        if not isinstance(names, list) or not isinstance(row, list) or column not in names:
            return None
        place = names.index(column)
        return row[place] if place < len(row) else None
    return _of_row(column, next((request[key] for key in _ROWS if key in request), None))


def _of_row(column: str, given: object) -> object:
    """The cell of the first of some rows, or of one."""
    row = given[0] if isinstance(given, list) and given else given
    return _first(row.get(column)) if isinstance(row, dict) else None


def _first_field(column: str, body: bytes) -> object:
    """The field of a CSV's first row."""
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""))
        return dict(zip(next(lines, ()), next(lines, ()), strict=False)).get(column)
    except (UnicodeDecodeError, csv.Error):
        return None


def _first(value: object) -> object:
    """The first cell of a column, whose data may be nested."""
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _said(cell: object) -> str | None:
    """A cell as a key: a whole number is the same key however JSON wrote it."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if not isfinite(cell):
            return None
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, int):
        return str(cell) if cell.bit_length() <= KEY_CHARACTERS_MAX else None
    if isinstance(cell, str) and 0 < len(cell) <= KEY_CHARACTERS_MAX:
        return cell
    return None
