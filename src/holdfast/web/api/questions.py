"""Questions about versions: searches, histories of stages, walks along lineage."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import Reader
from holdfast.digest import Digest
from holdfast.names import ByNumber, ModelName, Reference, StageName, VersionNumber
from holdfast.registry import DEPTH_MAX, FOUND_MAX, SPELLS_MAX, VERDICTS_MAX, Direction, Facts, Indexed
from holdfast.service.line import API
from holdfast.web.api import schemas_of_questions as schemas
from holdfast.web.api.desk import Here, answer, refusals
from holdfast.web.api.evidence import NumberPath
from holdfast.web.api.lines import After, ModelText
from holdfast.web.api.needs import Concern, needs

__all__ = ["routes"]

DigestQuery = Annotated[str | None, Query(pattern="^sha256:[0-9a-f]{64}$")]

routes = APIRouter(prefix=API, tags=["questions"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.get("/search", response_model=schemas.Found, dependencies=[needs(Role.VIEWER, Concern.MODEL_ASKED)])
async def search(
    desk: Here,
    *,
    wanted: Annotated[str, Query(alias="filter", max_length=20_000, examples=["metrics.accuracy > 0.9 and live"])] = "",
    model: Annotated[str | None, Query(max_length=256)] = None,
    order_by: Annotated[str, Query(max_length=1_000, examples=["metrics.accuracy desc"])] = "",
    limit: Annotated[int, Query(ge=1, le=FOUND_MAX)] = 100,
    after: Annotated[str | None, Query(max_length=256, description="What the page before said in `next`")] = None,
) -> Response:
    """The versions that fit a filter."""
    name, ask = None if model is None else ModelName(model), desk.registry.search
    found = await desk.ask(lambda: ask(wanted, model=name, order_by=order_by, limit=limit, after=after))
    return answer(found.to_json())


@routes.get(
    "/named-snapshots", response_model=schemas.NamedSnapshots, dependencies=[needs(Role.VIEWER, Concern.PROJECT)]
)
async def named_snapshots(
    desk: Here, after: DigestQuery = None, limit: Annotated[int, Query(ge=1, le=FOUND_MAX)] = FOUND_MAX
) -> Response:
    """The snapshots that indexed versions name."""
    last = None if after is None else Digest.parse(after)
    found = await desk.ask(lambda: desk.registry.named_snapshots(after=last, limit=limit))
    return answer({"digests": list(map(str, found))})


@routes.get("/not-indexed", response_model=schemas.NotIndexed, dependencies=[needs(Role.VIEWER, Concern.PROJECT)])
async def not_indexed(
    desk: Here, after: After = None, limit: Annotated[int, Query(ge=1, le=FOUND_MAX)] = 100
) -> Response:
    """Versions whose facts are not written down."""
    last = None if after is None else Reference.parse(after)
    found = await desk.ask(lambda: desk.registry.not_indexed(after=last, limit=limit))
    return answer({"versions": [one.to_json() for one in found]})


@routes.put(
    "/models/{model}/versions/{number}/facts",
    response_model=schemas.Indexed,
    dependencies=[needs(Role.CONTRIBUTOR, Concern.MODEL)],
)
async def index(desk: Here, model: ModelText, number: NumberPath, new: schemas.NewFacts) -> Response:
    """Write down the facts of a version that has none: from its bytes, where the server has them."""
    name, which = ModelName(model), VersionNumber(number)
    said = Facts.from_json(Reader(new.facts.model_dump(), "facts"))

    def write() -> Indexed:
        version = desk.registry.resolve(Reference(name, ByNumber(which)))
        return desk.registry.index(name, which, said if desk.depot is None else desk.depot.facts(version.digest))

    return answer((await desk.ask(write)).to_json())


@routes.get("/models/{model}/history", response_model=schemas.Spells, dependencies=[needs(Role.VIEWER, Concern.MODEL)])
async def history(
    desk: Here,
    model: ModelText,
    *,
    stage: Annotated[str | None, Query(max_length=256)] = None,
    before: Annotated[int | None, Query(ge=0, le=2**53 - 1, description="Only spells of earlier events")] = None,
    limit: Annotated[int, Query(ge=1, le=SPELLS_MAX)] = 100,
) -> Response:
    """Which version held a stage from when to when, the newest first."""
    name, pointer = ModelName(model), None if stage is None else StageName(stage)
    found = await desk.ask(lambda: desk.registry.history(name, pointer, before=before, limit=limit))
    return answer({"spells": [one.to_json() for one in found]})


@routes.get("/lineage/walk", response_model=schemas.Walk, dependencies=[needs(Role.VIEWER, Concern.PROJECT)])
async def walk(
    desk: Here,
    kind: Annotated[str, Query(max_length=256, examples=["version"])],
    name: Annotated[str, Query(max_length=1_024)],
    direction: Direction,
    depth: Annotated[int, Query(ge=1, le=DEPTH_MAX)] = 3,
) -> Response:
    """What a thing was made from, or what was made from it, step by step."""
    found = await desk.ask(lambda: desk.registry.walk(kind, name, direction, depth=depth))
    return answer(found.to_json())


@routes.get("/verdicts", response_model=schemas.Verdicts, dependencies=[needs(Role.VIEWER, Concern.MODEL_ASKED)])
async def verdicts(
    desk: Here,
    *,
    model: Annotated[str | None, Query(max_length=256)] = None,
    version: Annotated[int | None, Query(ge=1, le=2**53 - 1)] = None,
    stage: Annotated[str | None, Query(max_length=256)] = None,
    beginning: Annotated[str, Query(pattern="^sha256:[0-9a-f]{0,64}$", description="How the digests begin")] = "",
    after: DigestQuery = None,
    limit: Annotated[int, Query(ge=1, le=VERDICTS_MAX)] = VERDICTS_MAX,
) -> Response:
    """The verdicts that are kept, without their bodies, in the order of their digests."""
    ask = desk.registry.verdicts
    found = await desk.ask(
        lambda: ask(
            model=None if model is None else ModelName(model),
            number=None if version is None else VersionNumber(version),
            stage=None if stage is None else StageName(stage),
            beginning=beginning,
            after=None if after is None else Digest.parse(after),
            limit=limit,
        )
    )
    return answer({"verdicts": [one.to_json() for one in found]})
