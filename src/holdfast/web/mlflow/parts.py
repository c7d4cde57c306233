"""Large files: in parts on their way in, and in ranges on their way out, several at once.

MLflow's clients are given a URL for each part, and one for the ranges; all of them are at this server, for its store
proves bytes on their way and no bucket does. Clients send nothing of theirs with such a URL but the headers that they
were given with it.
"""

import re
from functools import partial
from posixpath import join

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import JsonObject
from holdfast.errors import UsageError
from holdfast.experiments.paths import safe_path
from holdfast.experiments.uploads import AGE_MS_MAX
from holdfast.web.mlflow.asking import Asked
from holdfast.web.mlflow.endpoint import Answers, Endpoint
from holdfast.web.mlflow.files import require
from holdfast.web.mlflow.links import links
from holdfast.web.mlflow.paths import FILES
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import tell
from holdfast.web.mlflow.uploads import taken

__all__ = ["ENDPOINTS"]

_PARTS = f"{FILES}/mpu/parts"

_PART_SECONDS = AGE_MS_MAX // 1000
"""As long as the upload may take."""

_RANGE_SECONDS = 3_600
"""For all ranges of a file; a client that was slower asks for another URL, and goes on."""

_SEPARATOR = re.compile(r"[/\\]")
"""Of folders, on any client's machine."""

_DIGITS_MAX = 9
"""Of a part's number."""


def create(asked: Asked, here: Here) -> JsonObject:
    """Begin a file of so many parts: a URL for each."""
    path = _path(asked)
    require(here, Role.CONTRIBUTOR, path)
    upload = here.shelf.uploads.begin(path, asked.integer("num_parts", 1), here.caller.name)
    link = links(here, "PUT", _PART_SECONDS)
    credentials = [
        {"part_number": number, **link(f"{_PARTS}/{upload.id}/{number}")._asdict()}
        for number in range(1, upload.parts + 1)
    ]
    return {"upload_id": upload.id, "credentials": credentials}


async def put(request: Request, here: Here) -> Response:
    """Take a part in; its `ETag` is what `complete` has to say of it."""
    id_, number = request.path_params["upload"], request.path_params["number"]
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS_MAX):
        raise UsageError(f"{number[:40]!r} is no number of a part", hint="Ask the URL as it was given.")
    uploads = here.shelf.uploads

    def may() -> None:
        require(here, Role.CONTRIBUTOR, uploads.find(id_).path)

    await run_in_threadpool(may)
    digest = await taken(request, partial(uploads.put, id_, int(number)))
    return Response(headers={"etag": f'"{digest}"'})


def complete(asked: Asked, here: Here) -> JsonObject:
    """Make the file of its parts."""
    path = _path(asked)
    require(here, Role.CONTRIBUTOR, path)
    said = [(one.integer("part_number"), (one.maybe_text("etag") or "").strip('"')) for one in asked.items("parts")]
    here.shelf.uploads.complete(asked.text("upload_id"), path, said)
    return {}


def abort(asked: Asked, here: Here) -> JsonObject:
    """Forget a file that began; what is not there is no error, for clients do this after any other."""
    path = _path(asked)
    require(here, Role.CONTRIBUTOR, path)
    here.shelf.uploads.abort(asked.text("upload_id"), path)
    return {}


async def ranges(request: Request, here: Here) -> Response:
    """Where the ranges of a file are read, and how long it is."""
    path = safe_path(request.path_params["path"])

    def work() -> JsonObject:
        require(here, Role.VIEWER, path)
        file = here.shelf.files.find(path)
        link = links(here, "GET", _RANGE_SECONDS)(f"{FILES}/artifacts/{path}")
        return {**link._asdict(), "file_size": file.bytes}

    return tell(await run_in_threadpool(work), headers={"cache-control": "no-store"})


def _path(asked: Asked) -> str:
    """Of the file: clients say its folder in the URL, and what it is called on their machine beside it."""
    name = _SEPARATOR.split(asked.text("path"))[-1]
    if name in {"", "."}:
        raise UsageError("Artifact path must include a filename (cannot end with '/').", hint="Name a file.")
    return safe_path(join(safe_path(asked.maybe_text("folder") or ""), name))


def _verb(name: str, answers: Answers) -> tuple[Endpoint, ...]:
    path = f"{FILES}/mpu/{name}"
    return (
        Endpoint("POST", path, Role.CONTRIBUTOR, answers=answers),
        Endpoint("POST", f"{path}/{{folder:path}}", Role.CONTRIBUTOR, answers=answers),
    )


ENDPOINTS = (
    *_verb("create", create),
    *_verb("complete", complete),
    *_verb("abort", abort),
    Endpoint("PUT", f"{_PARTS}/{{upload}}/{{number}}", Role.CONTRIBUTOR, streams=put),
    Endpoint("GET", f"{FILES}/presigned/{{path:path}}", Role.VIEWER, streams=ranges),
)
