"""Searching versions: a page at a time, each page by one statement or two, however many there are.

Versions come in the order of the events that numbered them, which is that of time; or in the order of a metric or a
param, those that lack it behind. A cursor says where the page before ended, and of which search it was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select, tuple_

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
from holdfast.registry.versions import load

__all__ = ["find"]

_CURSOR = re.compile(r"([0-9a-f]{16})\.(v[0-9a-fxp.+-]+|e)\.([0-9]{1,18})", re.ASCII)

_ROWS_AT_A_TIME = 400
"""Names in one statement: two parameters each, and some databases take 999."""

_NAMES = tuple_(versions.c.model, versions.c.number)

_HELD = tuple_(stages.c.model, stages.c.number)


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
    return Found(_whole(connection, page), following, not_indexed, in_part)


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

    def fitting(self, *columns: Any) -> Select[*tuple[Any, ...]]:
        """The versions that fit, in no order yet."""
        found = select(version_entries.c.event, *columns)
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
    found = search.fitting(value).join(version_numbers, event == version_entries.c.event)
    found = found.where(version_numbers.c.field == search.field)
    if place is not None:
        further: ColumnElement[bool] = value < place.value if descending else value > place.value
        # Said twice: the first half alone is a range of the index.
        found = found.where(value <= place.value if descending else value >= place.value)
        behind = event < place.event if descending else event > place.event
        found = found.where(or_(further, and_(value == place.value, behind)))
    return found.order_by(*((one.desc() if descending else one.asc()) for one in (value, event)))


def _whole(connection: Connection, page: Sequence[tuple[int, float | None]]) -> tuple[FoundVersion, ...]:
    """The versions of a page, with the stages that hold them."""
    found: list[FoundVersion] = []
    for start in range(0, len(page), _ROWS_AT_A_TIME):
        some = page[start : start + _ROWS_AT_A_TIME]
        entries = version_entries.c.event.in_([event for event, _ in some])
        names = {
            event: (model, number)
            for event, model, number in connection.execute(select(version_entries).where(entries))
        }
        rows = connection.execute(select(versions).where(_NAMES.in_(list(names.values()))))
        by_name = {(row.model, row.number): row for row in rows}
        held: dict[tuple[str, int], list[StageName]] = {}
        holding = select(stages.c.model, stages.c.number, stages.c.name).where(_HELD.in_(list(names.values())))
        for row in connection.execute(holding.order_by(stages.c.name)):
            held.setdefault((row.model, row.number), []).append(StageName(row.name))
        for event, value in some:
            name = names[event]
            found.append(FoundVersion(load(by_name[name]), tuple(held.get(name, ())), value))
    return tuple(found)
