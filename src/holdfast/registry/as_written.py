"""Is an event as it was written? The quick way for those that are, and the thorough one for those that may not be.

An audit reads every event there ever was. Writing each anew in canonical form takes most of that time; nearly always it
is enough to put the columns between the names of their fields, for the long ones are kept in canonical form already.
What does not come out the same is looked at again by the definition, and only that decides.
"""

import json
import re
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import Row

from holdfast.database.times import from_text, to_text
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError
from holdfast.registry.events import load
from holdfast.registry.records import Event

__all__ = ["as_bytes", "read"]

_UNUSUAL = re.compile(r"[:,\[]-?(?:\d+(?:\.\d+)?[eE]|\d+\.\d*0[,}\]]|\d{16})|NaN|Infinity")
"""Numbers that Python and RFC 8785 may write differently, or that only one of them knows."""

_parse = json.JSONDecoder().decode
_write = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def read(row: Row[Any], place: int, last: Row[Any] | None) -> Event | str:
    """The event in a row that should stand at `place` behind `last`; or what is wrong with it, in words."""
    if row.place != place:
        return f"the event that stands there has index {row.place}"
    if row.prev != (None if last is None else last.hash):
        return "it does not name the event before it"
    try:
        event = _quickly(row)
        if event is None:
            event = load(row)
            if event.body() != row.body:
                return "its fields are not those that were hashed"
    except (HoldfastError, ValueError, TypeError) as error:
        return f"it cannot be read: {error}"
    if str(hash_bytes(row.body)) != row.hash:
        return "its hash is not that of its body"
    if last is not None and row.time < last.time:
        return "it is older than the event before it"
    return event


def _quickly(row: Row[Any]) -> Event | None:
    """The event, if its columns are plainly what its body says; None when that takes a closer look."""
    # The columns stand in the order of the event's own fields; taking them by name would cost more than all the rest.
    columns: list[Any] = list(row)
    place, time, actor, action, model, stage, from_number, from_digest, to_number, to_digest, epoch = columns[:11]
    last_known_good, reason, verdict, approvals, key, details, prev, _, body = columns[11:20]
    try:
        between = (
            f'{{"action":{_text(action)},"actor":{_text(actor)},"approvals":{approvals},"details":{details},'
            f'"epoch":{_number(epoch)},"from":{_number(from_number)},"from_digest":{_text(from_digest)},'
            f'"idempotency_key":{_text(key)},"index":{place},"last_known_good":{_number(last_known_good)},'
            f'"model":{_text(model)},"prev":{_text(prev)},"reason":{_text(reason)},"stage":{_text(stage)},'
            f'"time":{_text(time)},"to":{_number(to_number)},"to_digest":{_text(to_digest)},"verdict":{_text(verdict)}}}'
        )
        if between.encode() != body:
            return None
        approved, detailed, moment = _canonical(approvals), _canonical(details), from_text(time)
    except (HoldfastError, ValueError, TypeError):
        return None
    if approved is None or detailed is None or to_text(moment) != time:
        return None
    columns[1], columns[14], columns[16] = moment, tuple(approved), detailed
    return Event(*columns[:19])


def _text(value: Any) -> str:
    return "null" if value is None else encode_basestring(value)


def _number(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is not int:
        raise TypeError(value)
    return str(value)


def _canonical(text: str) -> Any:
    """The JSON value, if the text is plainly its canonical form."""
    if text == "[]":
        return []
    if not text.isascii() or _UNUSUAL.search(text):
        return None
    value = _parse(text)
    return value if _write(value) == text else None


def as_bytes(stored: object) -> bytes:
    """The bytes in a column; whoever edits a file by hand can put a value of any type into any."""
    return stored if isinstance(stored, bytes) else str(stored).encode(errors="surrogatepass")
