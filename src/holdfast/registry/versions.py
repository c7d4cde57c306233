"""Models and versions: beginning a line, giving out numbers, finding what a person meant."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, tuple_, update

from holdfast.canonical import JsonObject, decode, encode, plain
from holdfast.database.times import from_text, to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import AlreadyExists, NotFound, TooLarge, UsageError
from holdfast.names import ByDigest, ByNumber, BySemver, ByStage, ModelName, Reference, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.events import Entry, append
from holdfast.registry.index import enter
from holdfast.registry.keys import earlier
from holdfast.registry.lineage import add
from holdfast.registry.nearest import require_model, unknown_model, unknown_stage, unknown_version
from holdfast.registry.stages import begin, stages_of
from holdfast.registry.tables import known_names, models, stages, version_counters, versions
from holdfast.registry.values import Model, NewVersion, Version

__all__ = [
    "create_model",
    "every_model",
    "find_model",
    "load",
    "look_up",
    "register",
    "resolve",
    "take_in",
    "versions_of",
]

_SUMMARY_BYTES_MAX = 64 * 1024
"""Lists read the summaries of every version; what is larger stands in the bundle."""

_DESCRIPTION_CHARACTERS_MAX = 4_000
"""A page of text; the model card says the rest."""

_MODELS = select(models, func.nullif(known_names.c.name, models.c.name).label("known_as")).outerjoin(
    known_names, known_names.c.model == models.c.name
)

_COUNT = (
    update(version_counters)
    .where(version_counters.c.model == bindparam("line"))
    .values(value=version_counters.c.value + 1)
    .returning(version_counters.c.value)
)

_COUNT_UP_TO = (
    update(version_counters)
    .where(version_counters.c.model == bindparam("line"), version_counters.c.value < bindparam("number"))
    .values(value=bindparam("number"))
)

_BY_STAGE = (
    select(versions)
    .join(stages, (stages.c.model == versions.c.model) & (stages.c.number == versions.c.number))
    .where(stages.c.model == bindparam("model"), stages.c.name == bindparam("stage"))
)

_BY_NUMBER = select(versions).where(versions.c.model == bindparam("model"), versions.c.number == bindparam("number"))

_BY_SEMVER = select(versions).where(versions.c.model == bindparam("model"), versions.c.semver == bindparam("semver"))

# `g` follows the last hexadecimal digit: everything from the prefix to there begins with the prefix.
_BY_PREFIX = (
    select(versions)
    .where(
        versions.c.model == bindparam("model"),
        versions.c.digest >= bindparam("prefix"),
        versions.c.digest < bindparam("end"),
    )
    .order_by(versions.c.number)
    .limit(9)
)


def create_model(
    connection: Connection,
    name: ModelName,
    now: datetime,
    actor: str,
    *,
    description: str,
    names: Sequence[StageName],
    key: str | None = None,
) -> Model:
    """Begins a line of versions; see `Registry.create_model`."""
    if len(description) > _DESCRIPTION_CHARACTERS_MAX:
        raise TooLarge(
            f"the description has {len(description)} characters, and may have {_DESCRIPTION_CHARACTERS_MAX}",
            hint="Shorten it; the model card has room for the rest.",
            limit=_DESCRIPTION_CHARACTERS_MAX,
        )
    details = {"description": description, "stages": sorted({str(stage) for stage in names})}
    there, action = find_model(connection, name), Action.MODEL_CREATE
    before = earlier(connection, key, actor, action=action, model=str(name), details=details)
    if there is not None and before is not None:
        return there
    if there is not None:
        raise AlreadyExists(f"there is a model {name} already", hint="Register versions in it.", model=str(name))
    entry = Entry(action, model=str(name), idempotency_key=key, details=details)
    event = append(connection, entry, now, actor)
    model = Model(name, description, event.time, actor)
    connection.execute(
        insert(models),
        {"name": str(name), "created_at": to_text(event.time), "created_by": actor, "description": description},
    )
    connection.execute(insert(version_counters), {"model": str(name), "value": 0})
    begin(connection, event, details["stages"])
    return model


def find_model(connection: Connection, name: ModelName) -> Model | None:
    """The model, when it is there."""
    row = connection.execute(_MODELS.where(models.c.name == str(name))).one_or_none()
    return None if row is None else _model(row)


def every_model(
    connection: Connection, after: ModelName | None, limit: int | None, only: ModelName | None
) -> tuple[Model, ...]:
    """The models by name; see `Registry.models`."""
    statement = _MODELS.order_by(models.c.name).limit(limit)
    if after is not None:
        statement = statement.where(models.c.name > str(after))
    if only is not None:
        statement = statement.where(models.c.name == str(only))
    return tuple(_model(row) for row in connection.execute(statement))


def _model(row: Row[Any]) -> Model:
    return Model(ModelName(row.name), row.description, from_text(row.created_at), row.created_by, known_as=row.known_as)


def load(row: Row[Any]) -> Version:
    """The version that a row holds."""
    what = f"{row.model}@{row.number}"
    return Version(
        model=ModelName(row.model),
        number=VersionNumber(row.number),
        digest=Digest.parse(row.digest),
        complete=row.complete,
        missing=tuple(decode(row.missing, what=f"what {what} lacks")),
        run_id=row.run_id,
        semver=row.semver,
        summary=decode(row.summary, what=f"the summary of {what}"),
        created_at=from_text(row.created_at),
        created_by=row.created_by,
    )


def register(
    connection: Connection,
    new: NewVersion,
    now: datetime,
    actor: str,
    *,
    action: Action,
    reason: str,
    key: str | None = None,
) -> Version:
    """Gives a digest its number; see `Registry.register`."""
    if action not in {Action.VERSION_REGISTER, Action.VERSION_ADOPT}:
        raise UsageError(f"{action} registers nothing", hint="Register, or adopt.")
    entry = _entry(new, action, reason, key, {})
    before = _before(connection, entry, actor)
    if before is not None:
        return before
    _refuse_again(connection, new)
    number = connection.execute(_COUNT, {"line": str(new.model)}).scalar_one_or_none()
    if number is None:
        raise unknown_model(connection, str(new.model))
    return _keep(connection, new, replace(entry, to_number=number), now, actor)


def take_in(
    connection: Connection,
    new: NewVersion,
    number: VersionNumber,
    now: datetime,
    actor: str,
    *,
    reason: str,
    origin: JsonObject,
    key: str | None = None,
) -> Version:
    """Keeps a version under its own number; see `Registry.import_version`."""
    ByNumber(number)  # refuses what is no number
    model = str(new.model)
    require_model(connection, model)
    entry = replace(_entry(new, Action.VERSION_IMPORT, reason, key, {"origin": origin}), to_number=number)
    before = _before(connection, entry, actor)
    if before is not None:
        return before
    row = connection.execute(_BY_NUMBER, {"model": model, "number": number}).one_or_none()
    if row is not None and row.digest == str(new.digest):
        return load(row)
    if row is not None:
        raise AlreadyExists(
            f"{model}@{number} is {row.digest} here, and {new.digest} there",
            hint="A number names one version for good: take the other one into a project of its own.",
            model=model,
            version=number,
            digest=row.digest,
            asked=str(new.digest),
        )
    _refuse_again(connection, new)
    return _keep(connection, new, entry, now, actor)


def _entry(new: NewVersion, action: Action, reason: str, key: str | None, more: JsonObject) -> Entry:
    """What the event of a version says, but for the number."""
    summary = encode(plain(new.summary))
    if len(summary) > _SUMMARY_BYTES_MAX:
        raise TooLarge(
            f"the summary has {len(summary)} bytes, and may have {_SUMMARY_BYTES_MAX}",
            hint="Keep in it what lists show; the bundle has the rest.",
            limit=_SUMMARY_BYTES_MAX,
        )
    said = {
        "complete": new.complete,
        "missing": list(new.missing),
        "run": new.run_id,
        "semver": new.semver,
        "summary": str(hash_bytes(summary)),
        "lineage": [edge.to_json() for edge in new.lineage],
        **more,
    }
    return Entry(
        action,
        model=str(new.model),
        to_digest=str(new.digest),
        reason=reason,
        idempotency_key=key,
        details=plain(said),
    )


def _before(connection: Connection, entry: Entry, actor: str) -> Version | None:
    """The version that the same request was given before."""
    said = {name: getattr(entry, name) for name in ("action", "model", "to_digest", "reason", "details")}
    if entry.to_number is not None:
        said["to_number"] = entry.to_number
    before = earlier(connection, entry.idempotency_key, actor, **said)
    return None if before is None else _at(connection, str(before.model), int(before.to_number or 0))


def _keep(connection: Connection, new: NewVersion, entry: Entry, now: datetime, actor: str) -> Version:
    """Writes the event, the row and the lineage of a version."""
    model, number = str(new.model), int(entry.to_number or 0)
    event = append(connection, entry, now, actor)
    if entry.action is Action.VERSION_IMPORT:
        connection.execute(_COUNT_UP_TO, {"line": model, "number": number})
    connection.execute(
        insert(versions),
        {
            "model": model,
            "number": number,
            "digest": str(new.digest),
            "complete": new.complete,
            "missing": encode(list(new.missing)).decode(),
            "run_id": new.run_id,
            "semver": new.semver,
            "summary": encode(plain(new.summary)).decode(),
            "created_at": to_text(event.time),
            "created_by": actor,
        },
    )
    enter(connection, event.index, model, number, new.facts)
    add(connection, new.lineage)
    return _at(connection, model, number)


def _refuse_again(connection: Connection, new: NewVersion) -> None:
    same = versions.c.digest == str(new.digest)
    if new.semver is not None:
        same |= versions.c.semver == new.semver
    row = connection.execute(select(versions).where(versions.c.model == str(new.model), same).limit(1)).one_or_none()
    if row is None:
        return
    again = row.digest == str(new.digest)
    raise AlreadyExists(
        f"this content is {row.model}@{row.number} already" if again else f"{row.model}@{row.number} is {new.semver}",
        hint=f"Use {row.model}@{row.number}." if again else "Choose another semantic version.",
        model=row.model,
        version=row.number,
        digest=row.digest,
    )


def _at(connection: Connection, model: str, number: int) -> Version:
    row = connection.execute(_BY_NUMBER, {"model": model, "number": number}).one_or_none()
    if row is None:
        raise unknown_version(connection, model, str(number))
    return load(row)


def resolve(connection: Connection, reference: Reference) -> Version:
    """The version that a person meant; see `Registry.resolve`. One statement, unless it fails."""
    found = look_up(connection, reference)
    if found is None and isinstance(reference.choice, ByStage):
        raise _empty_stage(connection, str(reference.model), str(reference.choice))
    if found is None:
        raise unknown_version(connection, str(reference.model), str(reference.choice))
    return found


def look_up(connection: Connection, reference: Reference) -> Version | None:
    """The version that a person meant, when it is there; one statement in any case."""
    model = str(reference.model)
    match reference.choice:
        case ByNumber(number):
            row = connection.execute(_BY_NUMBER, {"model": model, "number": number}).one_or_none()
        case BySemver(semver):
            row = connection.execute(_BY_SEMVER, {"model": model, "semver": semver}).one_or_none()
        case ByDigest(prefix):
            row = _by_prefix(connection, model, prefix)
        case ByStage(stage):
            row = connection.execute(_BY_STAGE, {"model": model, "stage": str(stage)}).one_or_none()
    return None if row is None else load(row)


def _by_prefix(connection: Connection, model: str, prefix: str) -> Row[Any] | None:
    rows = connection.execute(_BY_PREFIX, {"model": model, "prefix": prefix, "end": prefix + "g"}).all()
    if len(rows) > 1:
        raise UsageError(
            f"more than one version of {model} begins with {prefix}",
            hint=f"Write more of the digest, or the number: {', '.join(f'{model}@{row.number}' for row in rows)}.",
            model=model,
            digests={str(row.number): row.digest for row in rows},
        )
    return rows[0] if rows else None


def _empty_stage(connection: Connection, model: str, stage: str) -> NotFound:
    if stage not in {str(found.name) for found in stages_of(connection, model)}:
        return unknown_stage(connection, model, stage)
    return NotFound(
        f"nothing holds {stage} of {model} yet",
        hint=f"Move a version there: holdfast promote {model}@NUMBER --to {stage}",
        model=model,
        stage=stage,
    )


def versions_of(
    connection: Connection, model: ModelName | None, after: Reference | None, limit: int | None
) -> tuple[Version, ...]:
    """The versions of a model, or of all; see `Registry.versions`."""
    statement = select(versions).order_by(versions.c.model, versions.c.number).limit(limit)
    if model is not None:
        statement = statement.where(versions.c.model == str(model))
    if after is not None:
        if not isinstance(after.choice, ByNumber):
            raise UsageError(f"{after} is no place in a list of versions", hint="Name a version by its number.")
        statement = statement.where(
            tuple_(versions.c.model, versions.c.number) > tuple_(str(after.model), after.choice.number)
        )
    found = tuple(load(row) for row in connection.execute(statement))
    if model is not None and not found:
        require_model(connection, str(model))
    return found
