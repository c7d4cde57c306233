"""The rows of traces: how they are read, locked and written."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, select, text

from holdfast.canonical import JsonObject
from holdfast.errors import NotFound, TooLarge, UsageError
from holdfast.experiments.limits import check_length, check_tags
from holdfast.experiments.tables import trace_tags, traces

__all__ = ["WORDS_CHARACTERS_MAX", "Trace", "locked", "made", "no_trace", "set_tags", "some", "traces_of", "written"]

WORDS_CHARACTERS_MAX = 1 << 20
"""Beside the spans: a search tells the words of hundreds of traces at once."""

_KEY_CHARACTERS_MAX = 250

_VALUE_CHARACTERS_MAX = 8_000
"""Of a tag; MLflow cuts what is longer, and so is it here."""

_TRACES_AT_A_TIME = 500
"""Names in one statement: below every database's limit of parameters."""

_NUL = str.maketrans({"\0": "\ufffd"})
"""No database can look into a document with a NUL."""

_MAKE = text(
    "INSERT INTO traces (id, experiment, began_ms, state, info) VALUES (:id, :experiment, :began_ms, :state, '{}') "
    "ON CONFLICT (id) DO NOTHING"
)

_SET_TAG = text(
    "INSERT INTO trace_tags (trace, key, value) VALUES (:trace, :key, :value) "
    "ON CONFLICT (trace, key) DO UPDATE SET value = excluded.value"
)

_LOCKED = select(traces).where(traces.c.id == bindparam("trace")).with_for_update()

_PLAIN = [column for column in traces.c if column.name != "spans"]

_IDS: BindParameter[str] = bindparam("ids", expanding=True)

_TAGS = select(trace_tags).where(trace_tags.c.trace.in_(_IDS)).order_by(trace_tags.c.trace, trace_tags.c.key)


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace as it stands; `spans` is empty where they were not asked for."""

    id: str
    experiment: int
    run: str | None
    began_ms: int
    lasted_ms: int | None
    state: str
    words: JsonObject
    tags: Mapping[str, str]
    spans: Sequence[JsonObject] = ()


def no_trace(trace: str) -> NotFound:
    """The refusal for a trace that nobody sent."""
    return NotFound(f"Trace with ID '{trace[:80]}' not found.", hint="Search the traces of its experiment.")


def traces_of(connection: Connection, ids: Sequence[str], *, spans: bool = False) -> list[Trace]:
    """These traces in this order, but for those that are not there: two statements for any 500 of them."""
    rows: dict[str, Row[Any]] = {}
    tags: dict[str, dict[str, str]] = {}
    columns = list(traces.c) if spans else _PLAIN
    for part in some(ids):
        asked = select(*columns).where(traces.c.id.in_(_IDS))
        rows |= {row.id: row for row in connection.execute(asked, {"ids": part})}
        for tag in connection.execute(_TAGS, {"ids": part}):
            tags.setdefault(tag.trace, {})[tag.key] = tag.value
    return [_trace(rows[id_], tags.get(id_, {}), spans=spans) for id_ in ids if id_ in rows]


def _trace(row: Row[Any], tags: Mapping[str, str], *, spans: bool) -> Trace:
    words = json.loads(row.info)
    words.pop("final", None)
    found = json.loads(row.spans) if spans and row.spans else []
    return Trace(row.id, row.experiment, row.run, row.began_ms, row.lasted_ms, row.state, words, tags, found)


def made(connection: Connection, trace: str, experiment: int, began_ms: int, state: str) -> Row[Any]:
    """The row of a trace, made where it was not there, and locked: whoever else tells of the trace waits."""
    made = {"id": trace, "experiment": experiment, "began_ms": began_ms, "state": state}
    connection.execute(_MAKE, made)
    return locked(connection, trace)


def locked(connection: Connection, trace: str) -> Row[Any]:
    """The row of a trace, locked until the change is made.

    Raises:
        NotFound: nobody sent it.
    """
    row = connection.execute(_LOCKED, {"trace": trace}).one_or_none()
    if row is None:
        raise no_trace(trace)
    return row


def set_tags(connection: Connection, trace: str, tags: Mapping[str, str]) -> None:
    """Sets tags of a trace, over those of the same names; a value that is too long is cut.

    Raises:
        UsageError: a name is too long, or they are too many.
    """
    check_tags(len(tags))
    for key in tags:
        check_length("key", key, _KEY_CHARACTERS_MAX)
    rows = [{"trace": trace, "key": key, "value": value[:_VALUE_CHARACTERS_MAX]} for key, value in tags.items()]
    connection.execute(_SET_TAG, rows)


def written(value: Any, limit: int = WORDS_CHARACTERS_MAX) -> str:
    """What is said of a trace, as its column holds it.

    Raises:
        UsageError: it holds NaN, or is deeper than can be read again.
        TooLarge: it has more characters than `limit`.
    """
    try:
        found = json.dumps(_clean(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise UsageError("What is said of the trace cannot be kept as JSON", hint="Leave NaN out.") from error
    if len(found) > limit:
        message = f"What is said of the trace has {len(found)} characters, and may have {limit}"
        raise TooLarge(message, hint="Say less of it, or trace smaller pieces.", limit=limit)
    # Half of a pair of UTF-16, as JSON may hold it, is no text that a database takes.
    return found.encode(errors="replace").decode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_NUL) if "\0" in value else value
    if isinstance(value, dict):
        return {_clean(key): _clean(one) for key, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list) else value


def some(ids: Sequence[str]) -> Iterable[list[str]]:
    """The ids in parts, each small enough for one statement."""
    return (list(ids[begin : begin + _TRACES_AT_A_TIME]) for begin in range(0, len(ids), _TRACES_AT_A_TIME))
