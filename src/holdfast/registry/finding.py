"""Searching versions: a page at a time, each page by one statement or two, however many there are.

Versions come in the order of the events that numbered them, which is that of time; or in the order of a metric or a
param, those that lack it behind. A cursor says where the page before ended, and of which search it was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, and_, bindparam, or_, select

from holdfast.database.filters import Every, Filter, Order
from holdfast.digest import hash_bytes
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName
from holdfast.registry.answers import Found, FoundVersion
from holdfast.registry.asking import FOUND_MAX
from holdfast.registry.index import open_counts
from holdfast.registry.nearest import require_model
from holdfast.registry.searching import condition, order_of, parse, uses_rows
from holdfast.registry.tables import stages, version_entries, version_numbers, versions
from holdfast.registry.unknown import unknown_fields
from holdfast.registry.versions import load

__all__ = ["find"]

_CURSOR = re.compile(r"([0-9a-f]{16})\.(v[0-9a-fxp.+-]+|e)\.([0-9]{1,18})", re.ASCII)

_EVENTS_AT_A_TIME = 500
"""In one statement: some databases take 999 parameters."""

_EVENTS: BindParameter[int] = bindparam("events", expanding=True)

_VERSIONS = (
    select(version_entries.c.event, versions)
    .join(versions, (versions.c.model == version_entries.c.model) & (versions.c.number == version_entries.c.number))
    .where(version_entries.c.event.in_(_EVENTS))
)

_STAGES = (
    select(version_entries.c.event, stages.c.name)
    .join(stages, (stages.c.model == version_entries.c.model) & (stages.c.number == version_entries.c.number))
    .where(version_entries.c.event.in_(_EVENTS))
    .order_by(stages.c.name)
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended: behind this event; and behind this value, while there are some in an order by values."""

    event: int
    value: float | None


def find(
    connection: Connection, text: str, *, model: ModelName | None, order_by: str, limit: int, after: str | None
) -> Found:
    """One page of the versions that fit; see `Questions.search`."""
    if not 1 <= limit <= FOUND_MAX:
        raise UsageError(f"{limit} versions cannot be asked for at once", hint=f"Ask for 1 to {FOUND_MAX}.", place=0)
    wanted, order = parse(text), order_of(order_by)
    if model is not None:
        require_model(connection, str(model))
    search = hash_bytes(repr((text, model and str(model), order_by)).encode(errors="surrogatepass")).hex[:16]
    place = None if after is None else _place(after, search)
    rows = _rows(connection, _Search(wanted, model, order), place, limit + 1)
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        event, value = page[-1]
        following = f"{search}.{'e' if value is None else f'v{value.hex()}'}.{event}"
    not_indexed, in_part = open_counts(connection, model)
    unknown = () if page or after is not None else unknown_fields(connection, wanted)
    return Found(_whole(connection, page), following, not_indexed, in_part, unknown)


def _place(after: str, search: str) -> _Place:
    found = _CURSOR.fullmatch(after)
    try:
        if found is not None and found[1] == search:
            return _Place(int(found[3]), None if found[2] == "e" else float.fromhex(found[2][1:]))
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"{after[:80]!r} is no place in this search",
        hint="Give back what the page before said in next, with the same filter, order and model.",
        place=0,
    )


@dataclass(frozen=True, slots=True)
class _Search:
    """What is searched for."""

    wanted: Filter
    model: ModelName | None
    order: Order

    @property
    def field(self) -> str | None:
        """The field of the facts that is sorted by; None where it is time."""
        field = self.order.field
        return None if field.kind == "attribute" else f"{field.kind}.{field.key}"

    def fitting(self) -> Select[*tuple[Any, ...]]:
        """The events of the versions that fit, in no order yet."""
        found = select(version_entries.c.event)
        if uses_rows(self.wanted):
            named = (versions.c.model == version_entries.c.model) & (versions.c.number == version_entries.c.number)
            found = found.join_from(version_entries, versions, named)
        if self.model is not None:
            found = found.where(version_entries.c.model == str(self.model))
        return found if self.wanted == Every(()) else found.where(condition(self.wanted))


def _rows(connection: Connection, search: _Search, place: _Place | None, limit: int) -> list[tuple[int, float | None]]:
    """Events and values, from the place on."""
    if search.field is None:
        statement = _by_event(search.fitting(), place, descending=search.order.descending)
        return [(event, None) for event in connection.scalars(statement.limit(limit))]
    found: list[tuple[int, float | None]] = []
    if place is None or place.value is not None:
        statement = _by_value(search, place).limit(limit)
        found = [(event, value) for event, value in connection.execute(statement)]
        place = None
    if len(found) < limit:
        having = select(version_numbers.c.event).where(version_numbers.c.field == search.field)
        without = search.fitting().where(version_entries.c.event.not_in(having))
        statement = _by_event(without, place, descending=True).limit(limit - len(found))
        found += [(event, None) for event in connection.scalars(statement)]
    return found


def _by_event(found: Select[*tuple[Any, ...]], place: _Place | None, *, descending: bool) -> Select[*tuple[Any, ...]]:
    event = version_entries.c.event
    if place is not None:
        found = found.where(event < place.event if descending else event > place.event)
    return found.order_by(event.desc() if descending else event.asc())


def _by_value(search: _Search, place: _Place | None) -> Select[*tuple[Any, ...]]:
    event, value = version_numbers.c.event, version_numbers.c.value
    descending = search.order.descending
    found = select(event, value).where(version_numbers.c.field == search.field)
    if search.model is not None or search.wanted != Every(()):
        # A list, made once: the values are then read in their order until the page is full.
        found = found.where(event.in_(search.fitting()))
    if place is not None:
        further: ColumnElement[bool] = value < place.value if descending else value > place.value
        # Said twice: the first half alone is a range of the index.
        found = found.where(value <= place.value if descending else value >= place.value)
        behind = event < place.event if descending else event > place.event
        found = found.where(or_(further, and_(value == place.value, behind)))
    return found.order_by(*((one.desc() if descending else one.asc()) for one in (value, event)))


def _whole(connection: Connection, page: Sequence[tuple[int, float | None]]) -> tuple[FoundVersion, ...]:
    """The versions of a page, with the stages that hold them."""
    rows: dict[int, Row[Any]] = {}
    held: dict[int, list[StageName]] = {}
    for start in range(0, len(page), _EVENTS_AT_A_TIME):
        some = [event for event, _ in page[start : start + _EVENTS_AT_A_TIME]]
        rows.update((row.event, row) for row in connection.execute(_VERSIONS, {"events": some}))
        for event, name in connection.execute(_STAGES, {"events": some}):
            held.setdefault(event, []).append(StageName(name))
    return tuple(FoundVersion(load(rows[event]), tuple(held.get(event, ())), value) for event, value in page)
