"""Models, versions, stages and their moves."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import Reader
from holdfast.digest import Digest
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import Action, ClearStage, Facts, MoveStage, NewVersion, Stage, Version, documents
from holdfast.service.line import API
from holdfast.web.api import schemas, schemas_of_stages
from holdfast.web.api.caller import Caller
from holdfast.web.api.desk import Actor, Desk, Here, Key, Who, action_of, answer, refusals
from holdfast.web.api.needs import Concern, needs

__all__ = ["WAIT_SECONDS_MAX", "ModelText", "StageText", "routes", "said"]

PAGE_MAX = 1_000
"""What a page may hold: half a megabyte of versions."""

WAIT_SECONDS_MAX = 60.0
"""As long as what stands between lets a request be silent."""

ModelText = Annotated[str, Path(max_length=256, examples=["churn"])]
StageText = Annotated[str, Path(max_length=256, examples=["production"])]
After = Annotated[str | None, Query(max_length=512, description="What the page before said in `next`")]
Only = Annotated[str | None, Query(max_length=256, description="The name of the only one to be told")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


routes = APIRouter(prefix=API, tags=["models"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.get("/models", response_model=schemas.Models, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def models(desk: Here, who: Who, after: After = None, limit: Limit = PAGE_MAX, only: Only = None) -> Response:
    """Every model that the caller may see, by name; a page may hold fewer than it was asked for."""
    found = await desk.ask(lambda: desk.registry.models(after=_model(after), limit=limit, only=_model(only)))
    following = str(found[-1].name) if len(found) == limit else None
    return answer({"models": [one.to_json() for one in found if who.sees(one.name)], "next": following})


@routes.post(
    "/models", response_model=schemas.Model, status_code=201, dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL_SAID)]
)
async def create_model(desk: Here, actor: Actor, new: schemas.NewModel, key: Key = None) -> Response:
    """Begin a line of versions."""
    name, stages = ModelName(new.model), [*map(StageName, new.stages)]
    made = await desk.ask(
        lambda: desk.registry.create_model(name, actor, description=new.description, stages=stages, key=key)
    )
    return answer(made.to_json(), 201)


@routes.put("/models/{model}", response_model=schemas.Model, dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)])
async def ensure_model(
    desk: Here, actor: Actor, model: ModelText, wanted: schemas.WantedModel, key: Key = None
) -> Response:
    """Begin a line of versions, unless it is there."""
    name, stages = ModelName(model), [*map(StageName, wanted.stages)]
    found = await desk.ask(lambda: desk.registry.ensure_model(name, actor, stages=stages, key=key))
    return answer(found.to_json())


@routes.get("/versions", response_model=schemas.Versions, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def every_version(desk: Here, who: Who, after: After = None, limit: Limit = PAGE_MAX) -> Response:
    """The versions of all models that the caller may see; a page may hold fewer than it was asked for."""
    return await _versions(desk, who, None, after, limit)


@routes.get(
    "/models/{model}/versions", response_model=schemas.Versions, dependencies=[needs(Role.VIEWER, Concern.MODEL)]
)
async def versions(desk: Here, who: Who, model: ModelText, after: After = None, limit: Limit = PAGE_MAX) -> Response:
    """The versions of a model, by number."""
    return await _versions(desk, who, ModelName(model), after, limit)


@routes.post(
    "/models/{model}/versions",
    response_model=schemas.Version,
    status_code=201,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)],
)
async def register(
    desk: Here, actor: Actor, model: ModelText, new: schemas.RegisteredVersion, key: Key = None
) -> Response:
    """Give a digest the next number; its bytes must be in the store before."""
    asked, action = _new_version(model, new), action_of(new.action)

    def register_whole() -> Version:
        with desk.whole(asked) as whole:
            return desk.registry.register(whole, actor, new.reason, action=action, key=key)

    return answer((await desk.ask(register_whole)).to_json(), 201)


@routes.put(
    "/models/{model}/versions/{number}",
    response_model=schemas.Version,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)],
)
async def import_version(
    desk: Here, actor: Actor, model: ModelText, *, number: schemas.Number, new: schemas.ImportedVersion, key: Key = None
) -> Response:
    """Take in a version under the number that another registry gave it."""
    asked, place = _new_version(model, new), VersionNumber(number)

    def import_whole() -> Version:
        with desk.whole(asked) as whole:
            return desk.registry.import_version(whole, place, actor, new.reason, origin=new.origin, key=key)

    return answer((await desk.ask(import_whole)).to_json())


@routes.get(
    "/models/{model}/versions/{choice}",
    response_model=schemas.Version,
    dependencies=[needs(Role.VIEWER, Concern.MODEL)],
)
async def version(
    desk: Here, model: ModelText, choice: Annotated[str, Path(max_length=256, examples=["4"])]
) -> Response:
    """The version that a person meant: by number, stage, digest or semantic version."""
    reference = Reference.parse(f"{ModelName(model)}@{choice}")
    return answer((await desk.ask(lambda: desk.registry.resolve(reference))).to_json())


@routes.get("/models/{model}/stages", response_model=schemas.Stages, dependencies=[needs(Role.VIEWER, Concern.MODEL)])
async def stages(desk: Here, model: ModelText) -> Response:
    """The stages of a model, by name."""
    name = ModelName(model)
    return answer({"stages": [one.to_json() for one in await desk.ask(lambda: desk.registry.stages(name))]})


@routes.post(
    "/models/{model}/stages",
    response_model=schemas.Stage,
    status_code=201,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)],
)
async def define_stage(desk: Here, actor: Actor, model: ModelText, new: schemas.NewStage, key: Key = None) -> Response:
    """Add an empty stage to a model."""
    name, stage = ModelName(model), StageName(new.stage)
    made = await desk.ask(lambda: desk.registry.define_stage(name, stage, actor, key=key))
    return answer(made.to_json(), 201)


@routes.get(
    "/models/{model}/stages/{stage}",
    response_model=schemas.Stage,
    responses={304: {"description": "It has not moved since"}},
    dependencies=[needs(Role.VIEWER, Concern.MODEL)],
)
async def stage(
    desk: Here,
    model: ModelText,
    stage: StageText,
    if_none_match: Annotated[str | None, Header(max_length=256, description="The ETag of an earlier answer")] = None,
    wait_seconds: Annotated[
        float, Query(ge=0, le=WAIT_SECONDS_MAX, description="With If-None-Match: answer when it moves, or then")
    ] = 0.0,
) -> Response:
    """One stage as it stands, at once; or as soon as it is no longer what the caller knows."""
    name, pointer = ModelName(model), StageName(stage)
    async for _ in desk.watch.looks(wait_seconds if if_none_match else 0.0):
        found = await desk.ask(lambda: desk.registry.stage(name, pointer))
        reply = said(found, if_none_match)
        if reply.status_code != HTTPStatus.NOT_MODIFIED:
            break
    return reply


def said(found: Stage, known: str | None) -> Response:
    """The stage; or that it has not moved, where its epoch is that of the ETag that the caller knows."""
    tag = f'"{found.epoch}"'
    if tag == known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"etag": tag})
    return answer(found.to_json(), headers={"etag": tag})


@routes.post(
    "/models/{model}/stages/{stage}/moves",
    response_model=schemas.Move,
    status_code=201,
    dependencies=[needs(Role.APPROVER, Concern.STAGE)],
)
async def move(
    desk: Here, who: Who, model: ModelText, stage: StageText, *, new: schemas.NewMove, key: Key = None
) -> Response:
    """Move a stage, provided that it holds what the caller expects; with the same Idempotency-Key only once.

    To adopt one, without a gate, is for admins of the model.
    """
    asked = MoveStage(
        model=ModelName(model),
        stage=StageName(stage),
        to=VersionNumber(new.to),
        expect=None if new.expect is None else VersionNumber(new.expect),
        action=action_of(new.action),
        reason=new.reason,
        verdict=None if new.verdict is None else Digest.parse(new.verdict),
        approvals=tuple(new.approvals),
        idempotency_key=key,
        details=new.details,
    )
    if asked.action is Action.STAGE_ADOPT:
        who.require(Role.ADMIN, asked.model)
    moved = await desk.ask(lambda: desk.registry.move_stage(asked, who.name))
    desk.meters.moved(str(moved.action))
    return answer(moved.to_json(), 201)


@routes.post(
    "/models/{model}/stages/{stage}/clear",
    response_model=schemas_of_stages.Cleared,
    status_code=201,
    dependencies=[needs(Role.APPROVER, Concern.STAGE)],
)
async def clear(
    desk: Here, actor: Actor, model: ModelText, stage: StageText, *, new: schemas_of_stages.NewClear, key: Key = None
) -> Response:
    """Empty a stage, provided that it holds what the caller expects; with the same Idempotency-Key only once.

    Replicas of it stop answering. A rollback brings back what held it.
    """
    asked = ClearStage(
        ModelName(model), StageName(stage), VersionNumber(new.expect), new.reason, key, details=new.details
    )
    cleared = await desk.ask(lambda: desk.registry.clear_stage(asked, actor))
    desk.meters.moved(str(Action.STAGE_CLEAR))
    return answer(cleared.to_json(), 201)


@routes.get("/moves", response_model=schemas.MaybeMove, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def move_of(
    desk: Here, who: Who, idempotency_key: Annotated[str, Query(min_length=1, max_length=200)]
) -> Response:
    """The move that was made under an idempotency key."""
    found = await desk.ask(lambda: desk.registry.move_of(idempotency_key))
    return answer({"move": None if found is None or not who.sees(found.model) else found.to_json()})


async def _versions(desk: Desk, who: Caller, model: ModelName | None, after: str | None, limit: int) -> Response:
    last = None if after is None else Reference.parse(after)
    found = await desk.ask(lambda: desk.registry.versions(model, after=last, limit=limit))
    following = f"{found[-1].model}@{found[-1].number}" if len(found) == limit else None
    return answer({"versions": [one.to_json() for one in found if who.sees(one.model)], "next": following})


def _model(name: str | None) -> ModelName | None:
    return None if name is None else ModelName(name)


def _new_version(model: str, new: schemas.NewVersion) -> NewVersion:
    return NewVersion(
        model=ModelName(model),
        digest=Digest.parse(new.digest),
        complete=new.complete,
        missing=tuple(new.missing),
        run_id=new.run,
        semver=new.semver,
        summary=new.summary,
        lineage=tuple(documents.edge(Reader(edge.model_dump(), "lineage")) for edge in new.lineage),
        facts=None if new.facts is None else Facts.from_json(Reader(new.facts.model_dump(), "facts")),
    )
