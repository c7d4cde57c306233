"""What a search for versions may say, in the language of `holdfast.database.parsing`, and the same as SQL.

    metrics.accuracy > 0.9 and data = "sha256:…"
    package.numpy < 1.26 and live
    stage = production and not complete

Every value is a bound parameter. Facts are asked for in their tables, which are sorted by field and value: each
comparison reads the versions that fit it and no others.
"""

from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, false, func, not_, or_, select, true

from holdfast.database import parsing
from holdfast.database.comparing import compared
from holdfast.database.filters import Compare, Either, Every, Field, Filter, Flag, Language, Not, Order, Sort
from holdfast.errors import UsageError
from holdfast.registry.facts import RANKS, plain_name
from holdfast.registry.ranks import rank
from holdfast.registry.tables import events, stages, version_entries, version_numbers, version_texts, versions

__all__ = ["ARCHIVED", "condition", "order_of", "parse", "uses_rows"]

ARCHIVED = "archived"
"""The stage that versions are put away in: what holds it, and no other, is not live."""

LANGUAGE = Language(
    example='metrics.accuracy > 0.9 and package.numpy = "1.26.0" and live',
    families=MappingProxyType(
        {
            "metrics": ("metrics", Sort.NUMBER),
            "metric": ("metrics", Sort.NUMBER),
            "params": ("params", Sort.EITHER),
            "param": ("params", Sort.EITHER),
            "tags": ("tags", Sort.TEXT),
            "tag": ("tags", Sort.TEXT),
            "packages": ("packages", Sort.PINNED),
            "package": ("packages", Sort.PINNED),
            "parts": ("parts", Sort.DIGEST),
            "part": ("parts", Sort.DIGEST),
            "data": ("data", Sort.DIGEST),
        }
    ),
    attributes=MappingProxyType(
        {
            "author": Sort.WORD,
            "complete": Sort.FLAG,
            "created": Sort.MOMENT,
            "data": Sort.DIGEST,
            "digest": Sort.DIGEST,
            "file": Sort.DIGEST,
            "live": Sort.FLAG,
            "model": Sort.WORD,
            "part": Sort.DIGEST,
            "run": Sort.WORD,
            "semver": Sort.WORD,
            "stage": Sort.WORD,
            "version": Sort.NUMBER,
        }
    ),
    orders_max=1,
)
"""The fields of versions."""

_ROW = MappingProxyType(
    {
        "author": versions.c.created_by,
        "complete": versions.c.complete,
        "digest": versions.c.digest,
        "run": versions.c.run_id,
        "semver": versions.c.semver,
    }
)
"""What stands in the row of a version."""

_ENTRY = MappingProxyType({"model": version_entries.c.model, "version": version_entries.c.number})

_FACTS = MappingProxyType({"data": "data", "file": "file", "part": "parts"})
"""Attributes that a version may have several values for, and the field of the facts."""


def parse(text: str) -> Filter:
    """The filter that the text writes; an empty text lets every version through.

    Raises:
        UsageError: it cannot be read, or is past a limit; the details give the `place`, counted from 0.
    """
    return parsing.parse_filter(text, LANGUAGE)


def order_of(text: str) -> Order:
    """What the text sorts by; the newest first where it says nothing.

    Raises:
        UsageError: it cannot be read, or nothing is sorted by that.
    """
    found = parsing.parse_order(text, LANGUAGE)
    if not found:
        return Order(Field("attribute", "created"), descending=True)
    (order,) = found
    if order.field.kind not in {"metrics", "params"} and order.field != Field("attribute", "created"):
        raise UsageError(
            f"versions are not sorted by {order.field.key}",
            hint="Sort by created, or by a metric or param: --order-by 'metrics.accuracy desc'",
            place=0,
        )
    return order


def uses_rows(wanted: Filter) -> bool:
    """Whether the condition asks for what stands in the rows of versions themselves."""
    match wanted:
        case Every(some) | Either(some):
            return any(map(uses_rows, some))
        case Not(one):
            return uses_rows(one)
        case Flag(name):
            return name in _ROW
        case Compare(field, _, _):
            return field.kind == "attribute" and field.key in _ROW


def condition(wanted: Filter) -> ColumnElement[bool]:
    """The filter as a condition on `version_entries`, and on `versions` where `uses_rows`."""
    match wanted:
        case Every(some):
            return and_(true(), *map(condition, some))
        case Either(some):
            return or_(false(), *map(condition, some))
        case Not(one):
            return not_(func.coalesce(condition(one), false()))
        case Flag("complete"):
            return versions.c.complete.is_(true())
        case Flag():
            return _held(stages.c.name != ARCHIVED)
        case Compare(field, sign, literal) if field.kind == "attribute":
            return _attribute(field.key, sign, literal)
        case Compare(field, sign, literal):
            return _fact(field, sign, literal)


def _attribute(name: str, sign: str, literal: Any) -> ColumnElement[bool]:
    if name in _ENTRY:
        return compared(_ENTRY[name], sign, literal)
    if name == "created":
        return _created(sign, literal)
    if name == "author" and sign in {"=", "!=", "in"}:
        found = or_(*map(_author, literal if isinstance(literal, tuple) else [literal]))
        return not_(found) if sign == "!=" else found
    if name in _ROW:
        return (
            _begun(_ROW[name], literal) if (name, sign) == ("digest", "like") else compared(_ROW[name], sign, literal)
        )
    if sign == "!=":  # of several values none is this one
        return not_(_attribute(name, "=", literal))
    if name == "stage":
        return _held(compared(stages.c.name, sign, literal))
    return _digest(_FACTS[name], sign, literal)


def _created(sign: str, literal: Any) -> ColumnElement[bool]:
    """By the log: an event is never earlier than the one before it, so that a moment is a place in it."""
    if sign in {">", ">=", "<", "<="}:
        # The last event before the moment, with the moment itself where that is on the other side of the comparison.
        last = _last(events.c.time <= literal if sign in {">", "<="} else events.c.time < literal)
        return compared(version_entries.c.event, ">" if ">" in sign else "<=", last)
    raise UsageError(
        f"created is not compared with {sign}", hint="Use > >= < or <=, as in: created >= 2026-03-01", place=0
    )


def _last(which: ColumnElement[bool]) -> Any:
    found = select(events.c.place).where(which).order_by(events.c.time.desc(), events.c.place.desc()).limit(1)
    return func.coalesce(found.scalar_subquery(), -1)


def _author(name: str) -> ColumnElement[bool]:
    """`ana` is whoever is called so, with or without an address behind the name."""
    # The sign behind `<` is `=`: between the two lies every text that begins with the name and an address.
    begun = and_(versions.c.created_by >= f"{name} <", versions.c.created_by < f"{name} =")
    return or_(versions.c.created_by == name, begun)


def _held(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the version holds one of these stages now."""
    entry = version_entries.alias()
    named = (entry.c.model == stages.c.model) & (entry.c.number == stages.c.number)
    return version_entries.c.event.in_(select(entry.c.event).join(stages, named).where(which))


def _fact(field: Field, sign: str, literal: Any) -> ColumnElement[bool]:
    if field.kind == "packages":
        return _pinned(plain_name(field.key), sign, literal)
    name = f"{field.kind}.{field.key}"
    if field.kind in {"data", "parts"}:
        return not_(_digest(name, "=", literal)) if sign == "!=" else _digest(name, sign, literal)
    first = literal[0] if isinstance(literal, tuple) else literal
    table = version_numbers if isinstance(first, float) else version_texts
    return _holds(table, name, compared(table.c.value, sign, literal))


def _digest(field: str, sign: str, literal: Any) -> ColumnElement[bool]:
    """Whether one of the version's digests in this field compares so."""
    column = version_texts.c.value
    return _holds(version_texts, field, _begun(column, literal) if sign == "like" else compared(column, sign, literal))


def _begun(column: Any, literal: str) -> ColumnElement[bool]:
    """A digest is like its beginning: `g` follows the last hexadecimal digit, so that everything is before it."""
    begun = literal.removesuffix("%")
    return and_(column >= begun, column < f"{begun}g")


def _holds(table: Table, field: str, which: ColumnElement[bool]) -> ColumnElement[bool]:
    return version_entries.c.event.in_(select(table.c.event).where(table.c.field == field, which))


def _pinned(name: str, sign: str, literal: Any) -> ColumnElement[bool]:
    """Versions of Python packages: 1.26 is 1.26.0, and comes behind 1.9. A local part counts where it is written."""
    if sign == "in":
        return or_(*(_pinned(name, "=", one) for one in literal))
    ranked = None if sign == "like" or "+" in literal else rank(literal)
    if ranked is not None:
        return _holds(version_texts, f"{RANKS}.{name}", compared(version_texts.c.value, sign, ranked))
    if sign in {"=", "!=", "like"}:
        return _holds(version_texts, f"packages.{name}", compared(version_texts.c.value, sign, literal))
    raise UsageError(
        f"{literal} is no version of a Python package that others come before or behind",
        hint="Write it like 1.26 or 2.0.0rc1.",
        place=0,
    )
