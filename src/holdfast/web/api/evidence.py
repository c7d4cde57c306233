"""Events, approvals, verdicts, lineage, holds, and what replicas say of themselves."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import Reader
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.errors import PermissionRefused, UnsupportedFormat, UsageError
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import EVENTS_MAX, Meaning, NewApproval, NewEvent, NewVerdict, documents
from holdfast.service.line import API
from holdfast.web.api import schemas
from holdfast.web.api.desk import Actor, Here, Key, Who, action_of, answer, refusals
from holdfast.web.api.lines import ModelText, StageText
from holdfast.web.api.needs import Concern, needs
from holdfast.web.api.schemas_of_stages import Live

__all__ = ["routes"]

_AGE_SECONDS_MAX = 7 * 86_400.0
"""Nobody keeps a replica's word for longer."""

NumberPath = Annotated[int, Path(ge=1, le=2**53 - 1)]
DigestPath = Annotated[str, Path(pattern="^sha256:[0-9a-f]{64}$")]
MomentQuery = Annotated[str | None, Query(max_length=40, examples=["2026-03-01T09:00:00.000000Z"])]

routes = APIRouter(prefix=API, tags=["evidence"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.get("/events", response_model=schemas.Events, dependencies=[needs(Role.VIEWER, Concern.MODEL_ASKED)])
async def log(
    desk: Here,
    *,
    model: Annotated[str | None, Query(max_length=256)] = None,
    since: MomentQuery = None,
    before: Annotated[int | None, Query(ge=0, le=2**53 - 1, description="Only events with a smaller index")] = None,
    after: Annotated[
        int | None, Query(ge=-1, le=2**53 - 1, description="Only events with a larger index, oldest first")
    ] = None,
    action: Annotated[list[str] | None, Query(max_length=64, description="With `after`: only these")] = None,
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = 100,
) -> Response:
    """The log, newest first; or onwards from an event, oldest first."""
    name, begin = None if model is None else ModelName(model), _moment(since)
    if after is not None:
        actions = [*map(action_of, action or ())]
        onwards = await desk.ask(lambda: desk.registry.following(after, model=name, actions=actions, limit=limit))
        return answer({"events": [one.to_json() for one in onwards]})
    found = await desk.ask(lambda: desk.registry.log(name, since=begin, before=before, limit=limit))
    return answer({"events": [one.to_json() for one in found]})


@routes.post(
    "/events", response_model=schemas.Event, status_code=201, dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL_SAID)]
)
async def record(desk: Here, actor: Actor, new: schemas.NewEvent, key: Key = None) -> Response:
    """Write down what changed nothing but the log."""
    asked = NewEvent(
        action=action_of(new.action),
        model=None if new.model is None else ModelName(new.model),
        stage=None if new.stage is None else StageName(new.stage),
        from_number=_number(new.from_),
        to_number=_number(new.to),
        reason=new.reason,
        verdict=_digest(new.verdict),
        details=new.details,
    )
    return answer((await desk.ask(lambda: desk.registry.record(asked, actor, key=key))).to_json(), 201)


@routes.get("/models/{model}/live", response_model=Live, dependencies=[needs(Role.VIEWER, Concern.MODEL)])
async def live(desk: Here, model: ModelText, at: MomentQuery = None) -> Response:
    """What held each stage at a moment, or now, read from the events alone."""
    name, moment = ModelName(model), _moment(at)
    return answer((await desk.ask(lambda: desk.registry.live(name, moment))).to_json())


@routes.post(
    "/models/{model}/versions/{number}/approvals",
    response_model=schemas.Approval,
    status_code=201,
    dependencies=[needs(Role.APPROVER, Concern.JUDGED)],
)
async def approve(
    desk: Here, who: Who, model: ModelText, *, number: NumberPath, new: schemas.NewApproval, key: Key = None
) -> Response:
    """Write down a judgement of a version for a stage."""
    if who.is_service:
        raise PermissionRefused(f"{who.name} is a service, and a machine approves nothing", hint="A person approves.")
    asked = NewApproval(
        model=ModelName(model),
        number=VersionNumber(number),
        digest=Digest.parse(new.digest),
        stage=StageName(new.stage),
        meaning=Meaning(new.meaning),
        reason=new.reason,
        verdict=_digest(new.verdict),
    )
    return answer((await desk.ask(lambda: desk.registry.approve(asked, who.name, key=key))).to_json(), 201)


@routes.get(
    "/models/{model}/versions/{number}/approvals",
    response_model=schemas.Approvals,
    dependencies=[needs(Role.VIEWER, Concern.MODEL)],
)
async def approvals(desk: Here, model: ModelText, number: NumberPath) -> Response:
    """All judgements of a version, oldest first."""
    found = await desk.ask(lambda: desk.registry.approvals(ModelName(model), VersionNumber(number)))
    return answer({"approvals": [one.to_json() for one in found]})


@routes.put(
    "/verdicts/{digest}", response_model=schemas.Verdict, dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL_SAID)]
)
async def put_verdict(desk: Here, digest: DigestPath, new: schemas.NewVerdict) -> Response:
    """Keep a verdict under the digest of its canonical body."""
    asked = NewVerdict(ModelName(new.model), VersionNumber(new.version), StageName(new.stage), new.outcome, new.body)
    if str(asked.digest) != digest:
        raise UsageError(
            f"this verdict is {asked.digest}, and was put under {digest}",
            hint="The name of a verdict is the digest of its body in canonical JSON.",
            expected=digest,
            found=str(asked.digest),
        )
    return answer((await desk.ask(lambda: desk.registry.put_verdict(asked))).to_json())


@routes.get("/verdicts/{digest}", response_model=schemas.Verdict, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def verdict(desk: Here, who: Who, digest: DigestPath) -> Response:
    """A verdict, checked against its name."""
    found = await desk.ask(lambda: desk.registry.verdict(Digest.parse(digest)))
    who.require(Role.VIEWER, found.model)
    return answer(found.to_json())


@routes.get("/models/{model}/judged", response_model=schemas.Judged, dependencies=[needs(Role.VIEWER, Concern.MODEL)])
async def judged_on(
    desk: Here, model: ModelText, rows: Annotated[str, Query(pattern="^sha256:[0-9a-f]{64}$")]
) -> Response:
    """The versions that a gate has judged on these frozen rows, by number."""
    found = await desk.ask(lambda: desk.registry.judged_on(ModelName(model), Digest.parse(rows)))
    return answer({"versions": [int(number) for number in found]})


@routes.get("/lineage", response_model=schemas.Edges, dependencies=[needs(Role.VIEWER, Concern.VERSION_ASKED)])
async def lineage(
    desk: Here,
    kind: Annotated[str, Query(max_length=256, examples=["version"])],
    name: Annotated[str, Query(max_length=1_024)],
) -> Response:
    """The edges that touch a thing, as child or as parent."""
    return answer({"edges": [one.to_json() for one in await desk.ask(lambda: desk.registry.lineage(kind, name))]})


@routes.put(
    "/replicas/{replica}", response_model=schemas.Replica, dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL_SAID)]
)
async def report(desk: Here, replica: Annotated[str, Path(max_length=256)], said: schemas.NewReplica) -> Response:
    """Take a replica's word on what it serves."""
    if said.id != replica:
        raise UsageError("the report is another replica's", hint="Its id is in the path and in the body.")
    word = documents.replica(Reader(said.model_dump(), "replica"))
    return answer((await desk.ask(lambda: desk.registry.report(word))).to_json())


@routes.get(
    "/models/{model}/stages/{stage}/replicas",
    response_model=schemas.Replicas,
    dependencies=[needs(Role.VIEWER, Concern.MODEL)],
)
async def replicas(
    desk: Here, model: ModelText, stage: StageText, max_age_seconds: Annotated[float, Query(ge=0, le=_AGE_SECONDS_MAX)]
) -> Response:
    """The replicas that follow a stage, have not stopped, and have spoken lately."""
    name, pointer, age = ModelName(model), StageName(stage), timedelta(seconds=max_age_seconds)
    found = await desk.ask(lambda: desk.registry.live_replicas(name, pointer, age))
    return answer({"replicas": [one.to_json() for one in found]})


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return from_text(text)
    except UnsupportedFormat as error:
        raise UsageError(f"{text!r} is no moment", hint="Write it like 2026-03-01T09:00:00Z.") from error


def _number(number: int | None) -> VersionNumber | None:
    return None if number is None else VersionNumber(number)


def _digest(text: str | None) -> Digest | None:
    return None if text is None else Digest.parse(text)
