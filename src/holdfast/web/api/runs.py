"""Runs: params, metrics, tags, inputs, and searching them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import Reader
from holdfast.database.times import from_text
from holdfast.names import ModelName
from holdfast.service.line import API
from holdfast.tracking import RUNS_MAX, NewRun, Point, Run, RunStatus, documents
from holdfast.web.api import schemas_of_runs as schemas
from holdfast.web.api.caller import Caller
from holdfast.web.api.desk import Actor, Here, Key, Who, answer, refusals
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

RunText = Annotated[str, Path(max_length=256)]

routes = APIRouter(prefix=API, tags=["runs"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.get("/runs", response_model=schemas.Runs, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def search(
    desk: Here,
    who: Who,
    *,
    wanted: Annotated[str, Query(alias="filter", max_length=10_000, examples=["metrics.accuracy > 0.9"])] = "",
    order_by: Annotated[str, Query(max_length=1_000)] = "",
    limit: Annotated[int, Query(ge=1, le=RUNS_MAX)] = 100,
) -> Response:
    """The runs that fit a filter, of those that the caller may see."""
    looked_at = limit if who.may(Role.VIEWER) else RUNS_MAX
    found = await desk.ask(lambda: desk.tracking.search(wanted, order_by=order_by, limit=looked_at))
    seen = [one.to_json() for one in found if _sees(who, one)]
    return answer({"runs": seen[:limit]})


@routes.post(
    "/runs", response_model=schemas.Run, status_code=201, dependencies=[needs(Role.CONTRIBUTOR, Concern.RUN_SAID)]
)
async def start(desk: Here, actor: Actor, new: schemas.NewRun, key: Key = None) -> Response:
    """Begin a run, with its first params and tags; with the same Idempotency-Key only once."""
    asked = NewRun(
        name=new.name,
        model=None if new.model is None else ModelName(new.model),
        params=new.params,
        tags=new.tags,
        notes=new.notes,
    )
    return answer((await desk.ask(lambda: desk.tracking.start_run(asked, actor, key=key))).to_json(), 201)


@routes.get("/runs/{run}", response_model=schemas.Run, dependencies=[needs(Role.VIEWER, Concern.RUN)])
async def one(desk: Here, run: RunText) -> Response:
    """The run as it stands."""
    return answer((await desk.ask(lambda: desk.tracking.run(run))).to_json())


@routes.post("/runs/{run}/params", status_code=204, dependencies=[needs(Role.CONTRIBUTOR, Concern.RUN)])
async def log_params(desk: Here, run: RunText, new: schemas.Params) -> Response:
    """Add params; the same value again changes nothing."""
    await desk.ask(lambda: desk.tracking.log_params(run, new.params))
    return Response(status_code=204)


@routes.post("/runs/{run}/points", status_code=204, dependencies=[needs(Role.CONTRIBUTOR, Concern.RUN)])
async def log_points(desk: Here, run: RunText, new: schemas.Points) -> Response:
    """Add points of any metrics, all together or not at all; the same again changes nothing."""
    points = [
        Point(one.name, documents.value(one.value), one.step, None if one.time is None else from_text(one.time))
        for one in new.points
    ]
    await desk.ask(lambda: desk.tracking.log_points(run, points))
    return Response(status_code=204)


@routes.get(
    "/runs/{run}/metrics/{metric:path}",
    response_model=schemas.SaidPoints,
    dependencies=[needs(Role.VIEWER, Concern.RUN)],
)
async def history(desk: Here, run: RunText, metric: Annotated[str, Path(max_length=1_000)]) -> Response:
    """Every point of a metric, by step."""
    found = await desk.ask(lambda: desk.tracking.history(run, metric))
    return answer({"points": [point.to_json() for point in found]})


@routes.post("/runs/{run}/tags", status_code=204, dependencies=[needs(Role.CONTRIBUTOR, Concern.RUN)])
async def set_tags(desk: Here, run: RunText, new: schemas.Tags) -> Response:
    """Set tags; a tag that is there gets the new value."""
    await desk.ask(lambda: desk.tracking.set_tags(run, new.tags))
    return Response(status_code=204)


@routes.post("/runs/{run}/inputs", status_code=204, dependencies=[needs(Role.CONTRIBUTOR, Concern.RUN)])
async def log_inputs(desk: Here, run: RunText, new: schemas.Inputs) -> Response:
    """Add inputs; the same again changes nothing."""
    inputs = [documents.run_input(Reader(one.model_dump(), "input")) for one in new.inputs]
    await desk.ask(lambda: desk.tracking.log_inputs(run, inputs))
    return Response(status_code=204)


@routes.post("/runs/{run}/finish", response_model=schemas.Run, dependencies=[needs(Role.CONTRIBUTOR, Concern.RUN)])
async def finish(desk: Here, run: RunText, how: schemas.End) -> Response:
    """End a run for good; the same end again changes nothing."""
    status = RunStatus(how.status)
    return answer((await desk.ask(lambda: desk.tracking.finish_run(run, status, notes=how.notes))).to_json())


@routes.get("/run-digests", response_model=schemas.Digests, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def digests(desk: Here) -> Response:
    """Every digest that a run names, with the run."""
    found = await desk.ask(desk.tracking.digests)
    return answer({"digests": [{"run": run, "digest": str(digest)} for run, digest in found]})


def _sees(who: Caller, run: Run) -> bool:
    if run.model is None:
        return run.actor == who.name or who.may(Role.VIEWER)
    return who.sees(run.model)
