"""Reading registered models and versions out of the database: a fixed number of statements, however many are read.

A model or a version that Holdfast made itself, and of which no MLflow client has said anything, has no rows here; it is
read all the same. What was withdrawn is not, unless a stage holds it: what is served is always to be seen.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, or_, select, tuple_

from holdfast.canonical import decode
from holdfast.database.times import from_text
from holdfast.errors import NotFound
from holdfast.experiments.registered import STAGES, RegisteredModel, RegisteredVersion, stage_word
from holdfast.experiments.tables import (
    aliases,
    registered_model_tags,
    registered_models,
    registered_version_tags,
    registered_versions,
)
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.tables import models, stages, versions

__all__ = [
    "MODEL_IS_THERE",
    "MODEL_JOIN",
    "VERSION_IS_THERE",
    "VERSION_JOIN",
    "find_row",
    "held_by",
    "load_models",
    "load_versions",
    "milliseconds",
    "require_row",
    "require_version",
    "unknown_version",
]

_T = TypeVar("_T")

_AT_ONCE = 400
"""Keys in one statement: below every database's limit of parameters."""

_SILENT = frozenset({"staging", "production", "archived"})
"""Stages that are no aliases unless somebody has called them so: MLflow has other words for them."""

_held = stages.alias("held")

_MODEL_IS_HELD = exists().where(_held.c.model == models.c.name, _held.c.number.is_not(None))
_VERSION_IS_HELD = exists().where(_held.c.model == versions.c.model, _held.c.number == versions.c.number)

MODEL_IS_THERE = or_(registered_models.c.deleted_ms.is_(None), _MODEL_IS_HELD)
"""That a model was not withdrawn."""

VERSION_IS_THERE = and_(MODEL_IS_THERE, or_(registered_versions.c.deleted_ms.is_(None), _VERSION_IS_HELD))
"""That a version was not withdrawn, nor its model."""

MODEL_JOIN = models.outerjoin(registered_models, registered_models.c.model == models.c.name)
"""All models, with what MLflow's clients say of them."""

VERSION_JOIN = (
    versions.join(models, models.c.name == versions.c.model)
    .outerjoin(registered_models, registered_models.c.model == versions.c.model)
    .outerjoin(
        registered_versions,
        and_(registered_versions.c.model == versions.c.model, registered_versions.c.number == versions.c.number),
    )
)
"""All versions, likewise."""

_NAME = func.coalesce(registered_models.c.name, models.c.name)

_MODELS = select(
    models.c.name.label("model"),
    _NAME.label("name"),
    models.c.created_at,
    models.c.description.label("first_words"),
    registered_models.c.model.label("known"),
    registered_models.c.description,
    registered_models.c.created_ms,
    registered_models.c.updated_ms,
    registered_models.c.deleted_ms,
    MODEL_IS_THERE.label("there"),
).select_from(MODEL_JOIN)

_BY_NAME = _MODELS.where(
    or_(
        registered_models.c.name == bindparam("name"),
        and_(registered_models.c.model.is_(None), models.c.name == bindparam("name")),
    )
).order_by(registered_models.c.model.is_(None))

_VERSIONS = select(
    versions.c.model,
    _NAME.label("name"),
    versions.c.number,
    versions.c.missing,
    versions.c.created_at,
    func.coalesce(registered_versions.c.run, versions.c.run_id).label("run"),
    *(
        registered_versions.c[column]
        for column in ("source", "path", "logged_model", "run_link", "description", "rest", "created_ms", "updated_ms")
    ),
).select_from(VERSION_JOIN)

_KEY = tuple_(versions.c.model, versions.c.number)


def milliseconds(moment: datetime | str) -> int:
    """A moment as MLflow's clients have it."""
    when = from_text(moment) if isinstance(moment, str) else moment
    return int(when.timestamp()) * 1000 + when.microsecond // 1000


def find_row(connection: Connection, name: str) -> Row[Any] | None:
    """The model of a name, withdrawn or not; one that was called so goes before one that Holdfast itself named so."""
    return connection.execute(_BY_NAME, {"name": name}).first()


def require_row(connection: Connection, name: str) -> Row[Any]:
    """The model of a name.

    Raises:
        NotFound: there is none.
    """
    row = find_row(connection, name)
    if row is None or not row.there:
        raise NotFound(f"Registered Model with name={name} not found", hint="Create it first.", name=name)
    return row


def require_version(connection: Connection, name: str, number: int) -> Row[Any]:
    """The row of a version of the model of a name.

    Raises:
        NotFound: there is no such model, or no such version.
    """
    model = require_row(connection, name).model
    found = connection.execute(
        _VERSIONS.where(versions.c.model == model, versions.c.number == number, VERSION_IS_THERE)
    ).one_or_none()
    if found is None:
        raise unknown_version(name, number)
    return found


def unknown_version(name: str, number: int) -> NotFound:
    """The error for a version that is not there."""
    return NotFound(
        f"Model Version (name={name}, version={number}) not found", hint="Look at what there is.", name=name
    )


def held_by(connection: Connection, names: Iterable[str]) -> dict[tuple[str, int], set[str]]:
    """Of each version of these models that holds a stage, the stages."""
    found: dict[tuple[str, int], set[str]] = defaultdict(set)
    for some in _pieces(sorted(set(names))):
        rows = select(stages.c.model, stages.c.name, stages.c.number).where(
            stages.c.model.in_(some), stages.c.number.is_not(None)
        )
        for row in connection.execute(rows):
            found[row.model, row.number].add(row.name)
    return found


def load_versions(
    connection: Connection, keys: Sequence[tuple[str, int]], meant: Mapping[str, StageName]
) -> tuple[RegisteredVersion, ...]:
    """The versions of these keys, in their order; what is not there is left out.

    Args:
        connection: in one view.
        keys: model and number of each.
        meant: aliases that the settings give a stage.
    """
    names = {model for model, _ in keys}
    return _versions(connection, keys, held_by(connection, names), _spoken(connection, names), meant)


def _versions(
    connection: Connection,
    keys: Sequence[tuple[str, int]],
    held: Mapping[tuple[str, int], set[str]],
    spoken: Mapping[str, Mapping[str, str]],
    meant: Mapping[str, StageName],
) -> tuple[RegisteredVersion, ...]:
    rows: dict[tuple[str, int], Row[Any]] = {}
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for some in _pieces(list(keys)):
        for row in connection.execute(_VERSIONS.where(_KEY.in_(some))):
            rows[row.model, row.number] = row
        of = tuple_(registered_version_tags.c.model, registered_version_tags.c.number)
        for tag in connection.execute(select(registered_version_tags).where(of.in_(some))):
            tags[tag.model, tag.number][tag.key] = tag.value
    return tuple(
        _version(rows[key], held.get(key, set()), spoken.get(key[0], {}), tags.get(key, {}), meant)
        for key in keys
        if key in rows
    )


def _version(
    row: Row[Any], held: set[str], spoken: Mapping[str, str], tags: Mapping[str, str], meant: Mapping[str, StageName]
) -> RegisteredVersion:
    reference = f"{row.model}@{row.number}"
    created = milliseconds(row.created_at) if row.created_ms is None else row.created_ms
    return RegisteredVersion(
        model=ModelName(row.model),
        name=row.name,
        number=VersionNumber(row.number),
        source=row.source or f"holdfast:{reference}",
        path=row.path or "",
        run=row.run,
        logged_model=row.logged_model,
        run_link=row.run_link,
        description=row.description,
        stage=stage_word(frozenset(held), row.rest),
        missing=tuple(decode(row.missing, what=f"what {reference} lacks")),
        created_ms=created,
        updated_ms=row.updated_ms or created,
        tags=tags,
        aliases=tuple(alias for stage in sorted(held) for alias in _called(stage, spoken, meant)),
    )


def load_models(
    connection: Connection, names: Sequence[str], meant: Mapping[str, StageName]
) -> tuple[RegisteredModel, ...]:
    """These models, in their order, each with the heads of its stages.

    Args:
        connection: in one view.
        names: what they are called here.
        meant: aliases that the settings give a stage.
    """
    rows: dict[str, Row[Any]] = {}
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for some in _pieces(list(names)):
        rows |= {row.model: row for row in connection.execute(_MODELS.where(models.c.name.in_(some)))}
        for tag in connection.execute(select(registered_model_tags).where(registered_model_tags.c.model.in_(some))):
            tags[tag.model][tag.key] = tag.value
    held, spoken = held_by(connection, names), _spoken(connection, names)
    called: dict[str, dict[str, VersionNumber]] = defaultdict(dict)
    for (model, number), its in held.items():
        for stage in sorted(its):
            for alias in _called(stage, spoken.get(model, {}), meant):
                called[model][alias] = VersionNumber(number)
    heads: dict[str, list[RegisteredVersion]] = defaultdict(list)
    for version in _versions(connection, _heads(connection, names, held), held, spoken, meant):
        heads[str(version.model)].append(version)
    return tuple(
        _model(rows[name], tags.get(name, {}), called.get(name, {}), tuple(heads.get(name, ())))
        for name in names
        if name in rows
    )


def _model(
    row: Row[Any],
    tags: Mapping[str, str],
    called: Mapping[str, VersionNumber],
    heads: tuple[RegisteredVersion, ...],
) -> RegisteredModel:
    created = milliseconds(row.created_at) if row.created_ms is None else row.created_ms
    description = row.first_words or None if row.known is None else row.description
    return RegisteredModel(
        ModelName(row.model), row.name, description, created, row.updated_ms or created, tags, called, heads
    )


def _heads(
    connection: Connection, names: Sequence[str], held: Mapping[tuple[str, int], set[str]]
) -> list[tuple[str, int]]:
    """The keys of the versions that stand for the stages of models: what holds one, and the last of all others."""
    words = {str(name) for name in STAGES.values()}
    found = {key for key, its in held.items() if its & words}
    rest = func.coalesce(registered_versions.c.rest, "None")
    resting = ~exists().where(
        _held.c.model == versions.c.model, _held.c.number == versions.c.number, _held.c.name.in_(sorted(words))
    )
    for some in _pieces(list(names)):
        last = (
            select(versions.c.model, func.max(versions.c.number).label("number"))
            .select_from(VERSION_JOIN)
            .where(versions.c.model.in_(some), VERSION_IS_THERE, resting)
            .group_by(versions.c.model, rest)
        )
        found |= {(row.model, row.number) for row in connection.execute(last)}
    return sorted(found)


def _spoken(connection: Connection, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Of each of these models, its stages that were called by an alias, and how that was written."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for some in _pieces(sorted(set(names))):
        for row in connection.execute(select(aliases).where(aliases.c.model.in_(some))):
            found[row.model][row.stage] = row.alias
    return found


def _called(stage: str, spoken: Mapping[str, str], meant: Mapping[str, StageName]) -> list[str]:
    """The aliases that mean a stage; a word that the settings have given another stage since is none of them."""
    found = [spoken[stage]] if stage in spoken else []
    found += [alias for alias, name in meant.items() if str(name) == stage and alias not in found]
    found = found or ([] if stage in _SILENT else [stage])
    return [alias for alias in found if str(meant.get(alias, stage)) == stage]


def _pieces(keys: Sequence[_T]) -> Iterator[list[_T]]:
    going = iter(keys)
    while some := list(islice(going, _AT_ONCE)):
        yield some
