"""The log as what can be proven: what it is, that it only grew, that an event is in it, and its bytes for an export."""

from base64 import b64encode
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import Reader
from holdfast.registry import documents
from holdfast.service.line import API
from holdfast.web.api import schemas_of_proofs as schemas
from holdfast.web.api.desk import Here, Signer, answer, refusals
from holdfast.web.api.needs import Concern, needs

__all__ = ["BODIES_MAX", "routes"]

BODIES_MAX = 10_000
"""Bodies in one answer: a few megabytes; more is read in pages."""

_EARLIER_MAX = 1_000
"""Sizes asked for at once: a person has seen a registry from a few places, and not from a thousand."""

Size = Annotated[int | None, Query(ge=0, le=2**53 - 1, description="What the log was with so many events; now")]

routes = APIRouter(prefix=API, tags=["log"], responses=refusals(400, 401, 403, 404, 409, 413, 422, 503))
"""Each parses, calls and presents."""


@routes.get("/log/heads", response_model=schemas.Heads, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def heads(
    desk: Here,
    earlier: Annotated[list[int] | None, Query(max_length=_EARLIER_MAX, description="Sizes that it had")] = None,
) -> Response:
    """What the log is, and what it was at earlier sizes."""
    now, found = await desk.ask(lambda: desk.registry.heads(earlier or ()))
    return answer({"head": now.to_json(), "earlier": [one.to_json() for one in found.values()]})


@routes.get(
    "/log/events/{index}/proof", response_model=schemas.Inclusion, dependencies=[needs(Role.VIEWER, Concern.PROJECT)]
)
async def prove(desk: Here, index: Annotated[int, Path(ge=0, le=2**53 - 1)], size: Size = None) -> Response:
    """That an event is in the log."""
    return answer((await desk.ask(lambda: desk.registry.prove(index, size))).to_json())


@routes.get("/log/growth", response_model=schemas.Consistency, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def prove_growth(desk: Here, since: Annotated[int, Query(ge=0, le=2**53 - 1)], size: Size = None) -> Response:
    """That the log begins with what it was."""
    return answer((await desk.ask(lambda: desk.registry.prove_growth(since, size))).to_json())


@routes.get(
    "/log/checkpoint", response_model=schemas.SignedCheckpoint, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)]
)
async def checkpoint(desk: Here, signer: Signer) -> Response:
    """What the log is now, signed by this server's key of the log."""
    note = await desk.ask(lambda: signer.sign(desk.registry))
    return answer({"checkpoint": note.decode()})


@routes.get("/log/key", response_model=schemas.LogKey, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def key(desk: Here, signer: Signer) -> Response:
    """The public key that checkpoints are signed with, and those that the log had before."""
    found, *retired = await desk.ask(signer.verifiers)
    return answer({"key": str(found), "origin": found.name, "retired": [str(one) for one in retired]})


@routes.get("/log/edge", response_model=schemas.Edge, dependencies=[needs(Role.VIEWER, Concern.SOMEWHERE)])
async def edge(desk: Here, size: Annotated[int, Query(ge=0, le=2**53 - 1)]) -> Response:
    """The hashes of the full subtrees that the log with so many events consists of."""
    found = await desk.ask(lambda: desk.registry.edge(size))
    return answer({"edge": [b64encode(one).decode() for one in found]})


@routes.get("/log/bodies", response_model=schemas.Bodies, dependencies=[needs(Role.VIEWER, Concern.PROJECT)])
async def bodies(
    desk: Here,
    since: Annotated[int, Query(ge=0, le=2**53 - 1)],
    size: Annotated[int, Query(ge=0, le=2**53 - 1)],
) -> Response:
    """The canonical JSON of events, each as one text; a page of them."""
    end = min(size, since + BODIES_MAX)
    found = await desk.ask(lambda: [body.decode() for body in desk.registry.bodies(since, end)])
    return answer({"bodies": found})


@routes.post("/log/audit", response_model=schemas.Audit, dependencies=[needs(Role.VIEWER, Concern.PROJECT)])
async def audit(desk: Here, seen: schemas.Seen) -> Response:
    """Recompute the whole log and what must stand after it, and compare it with what somebody saw of it before."""
    heads_seen = [documents.head(Reader(one.model_dump(), "head")) for one in seen.seen]
    return answer((await desk.ask(lambda: desk.registry.audit_verify(heads_seen))).to_json())
