"""Rollouts: versions that are tried beside the one that holds a stage, what is counted of them, and what was right.

To begin one, and to go on to its next step, is for who may promote to the stage. Whoever reports as a replica may stop
it where it stands: what a replica finds must not have to wait for a person.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from holdfast.access import Role
from holdfast.digest import Digest
from holdfast.errors import PermissionRefused
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import (
    ROLLOUTS_MAX,
    TRUTHS_MAX,
    NewRollout,
    Rollout,
    RolloutKind,
    RolloutState,
    RouteMark,
    Tally,
    Truth,
    Turn,
)
from holdfast.service.line import API
from holdfast.web.api import schemas_of_rollouts as schemas
from holdfast.web.api.caller import Caller
from holdfast.web.api.desk import Actor, Here, Key, Who, answer, refusals
from holdfast.web.api.lines import WAIT_SECONDS_MAX, ModelText, StageText
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

routes = APIRouter(prefix=API, tags=["rollouts"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""

RolloutId = Annotated[int, Path(ge=0, le=2**53 - 1, description="The index of the event that began it")]

_STOPS = frozenset({RolloutState.HELD, RolloutState.ABORTED})
"""What a replica may do to a rollout on its own."""


@routes.post(
    "/models/{model}/stages/{stage}/rollouts",
    response_model=schemas.Rollout,
    status_code=201,
    dependencies=[needs(Role.APPROVER, Concern.STAGE)],
)
async def begin(
    desk: Here, who: Who, model: ModelText, *, stage: StageText, new: schemas.NewRollout, key: Key = None
) -> Response:
    """Try a version beside the one that holds the stage. A person begins a canary, as they promote."""
    if who.is_service and new.kind is RolloutKind.CANARY:
        raise PermissionRefused(
            f"{who.name} is a machine, and a person begins a canary: its answers go to people",
            hint="Have somebody who may promote begin it; machines may take it from step to step.",
            user=who.name,
        )
    asked = NewRollout(
        kind=new.kind,
        model=ModelName(model),
        stage=StageName(stage),
        number=VersionNumber(new.version),
        expect=VersionNumber(new.expect),
        plan=new.plan,
        reason=new.reason,
        verdict=None if new.verdict is None else Digest.parse(new.verdict),
    )
    return answer((await desk.ask(lambda: desk.registry.begin_rollout(asked, who.name, key=key))).to_json(), 201)


@routes.get(
    "/models/{model}/stages/{stage}/rollouts",
    response_model=schemas.Rollouts,
    dependencies=[needs(Role.VIEWER, Concern.MODEL)],
)
async def rollouts(
    desk: Here,
    model: ModelText,
    *,
    stage: StageText,
    kind: RolloutKind | None = None,
    limit: Annotated[int, Query(ge=1, le=ROLLOUTS_MAX)] = 100,
) -> Response:
    """The rollouts of a stage, newest first."""
    name, pointer = ModelName(model), StageName(stage)
    found = await desk.ask(lambda: desk.registry.rollouts(name, pointer, kind=kind, limit=limit))
    return answer({"rollouts": [one.to_json() for one in found]})


@routes.get(
    "/models/{model}/stages/{stage}/mark",
    response_model=schemas.Mark,
    responses={304: {"description": "Nothing has changed since"}},
    dependencies=[needs(Role.VIEWER, Concern.MODEL)],
)
async def mark(
    desk: Here,
    model: ModelText,
    stage: StageText,
    if_none_match: Annotated[str | None, Header(max_length=256, description="The ETag of an earlier answer")] = None,
    wait_seconds: Annotated[
        float, Query(ge=0, le=WAIT_SECONDS_MAX, description="With If-None-Match: answer when it changes, or then")
    ] = 0.0,
) -> Response:
    """What changes whenever a replica has to look again, at once; or as soon as it is not what the caller knows."""
    name, pointer = ModelName(model), StageName(stage)
    async for _ in desk.watch.looks(wait_seconds if if_none_match else 0.0):
        reply = _said(await desk.ask(lambda: desk.registry.route_mark(name, pointer)), if_none_match)
        if reply.status_code != HTTPStatus.NOT_MODIFIED:
            break
    return reply


def _said(found: RouteMark, known: str | None) -> Response:
    if found.tag == known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"etag": found.tag})
    return answer({"epoch": found.epoch, "rollout": found.rollout}, headers={"etag": found.tag})


@routes.get("/rollouts/{rollout}", response_model=schemas.Rollout, dependencies=[needs(Role.VIEWER, Concern.ROLLOUT)])
async def rollout(desk: Here, rollout: RolloutId) -> Response:
    """One rollout as it stands."""
    return answer((await desk.ask(lambda: desk.registry.rollout(rollout))).to_json())


@routes.post(
    "/rollouts/{rollout}/turns",
    response_model=schemas.Rollout,
    status_code=201,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.ROLLOUT)],
)
async def turn(desk: Here, who: Who, rollout: RolloutId, new: schemas.NewTurn, key: Key = None) -> Response:
    """Change how a rollout stands; with the same Idempotency-Key only once.

    A contributor holds or aborts it at its step; whatever else is for who may promote to its stage.
    """
    asked = Turn(rollout, new.expect, new.state, new.step, new.reason, new.figures)

    def turned() -> Rollout:
        _require(who, asked, desk.registry.rollout(rollout))
        return desk.registry.turn_rollout(asked, who.name, key=key)

    return answer((await desk.ask(turned)).to_json(), 201)


def _require(who: Caller, asked: Turn, found: Rollout) -> None:
    """Go on only where the caller may turn the rollout so.

    Where another turn has come between, the registry refuses this one: it names the event that it was judged by. The
    same request again finds the step that it left there itself.
    """
    if asked.state not in _STOPS or asked.step != found.step:
        who.require(Role.APPROVER, found.model, found.stage)


@routes.put(
    "/rollouts/{rollout}/tallies",
    response_model=schemas.TallyTaken,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.ROLLOUT)],
)
async def tally(desk: Here, rollout: RolloutId, new: schemas.NewTally) -> Response:
    """Take a replica's counts in place of its earlier ones; those of a rollout that is over are not kept."""
    await desk.ask(lambda: desk.registry.tally(Tally(rollout, new.step, new.replica, new.counts)))
    return answer({"rollout": rollout})


@routes.get(
    "/rollouts/{rollout}/tallies", response_model=schemas.Tallies, dependencies=[needs(Role.VIEWER, Concern.ROLLOUT)]
)
async def tallies(desk: Here, rollout: RolloutId) -> Response:
    """All counts of a rollout, by step and replica."""
    return answer({"tallies": [one.to_json() for one in await desk.ask(lambda: desk.registry.tallies(rollout))]})


@routes.post(
    "/models/{model}/truths",
    response_model=schemas.TruthsTaken,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)],
)
async def put_truths(desk: Here, actor: Actor, model: ModelText, new: schemas.NewTruths) -> Response:
    """Say what turned out to be right for requests; said again, it changes nothing."""
    name = ModelName(model)
    said = [Truth(one.request, one.value, one.place) for one in new.truths]
    return answer({"index": await desk.ask(lambda: desk.registry.put_truths(name, said, actor))})


@routes.get(
    "/models/{model}/truths", response_model=schemas.Truths, dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)]
)
async def truths(
    desk: Here,
    model: ModelText,
    after: Annotated[int, Query(ge=0, le=2**53 - 1, description="The index of the last one that is known")] = 0,
    limit: Annotated[int, Query(ge=1, le=TRUTHS_MAX)] = 1_000,
) -> Response:
    """What turned out to be right, behind an index, in order. It may concern people, and is not for every viewer."""
    name = ModelName(model)
    found = await desk.ask(lambda: desk.registry.truths(name, after=after, limit=limit))
    return answer({"truths": [one.to_json() for one in found]})
