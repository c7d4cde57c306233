"""Files of runs, logged models and registered versions: taken in, given out, listed and taken away.

What is registered is frozen: whoever would write or delete there is refused. URLs past the server are answered as
MLflow answers where its store has none. Files in parts, and downloads in ranges: `parts.py`.
"""

from functools import partial
from posixpath import join
from typing import NoReturn

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.canonical import JsonObject
from holdfast.errors import UsageError
from holdfast.experiments.files import Listed
from holdfast.experiments.paths import safe_path
from holdfast.experiments.places import Place
from holdfast.web.mlflow.asking import Asked, missing
from holdfast.web.mlflow.downloads import answered
from holdfast.web.mlflow.endpoint import V2, Endpoint
from holdfast.web.mlflow.paths import FILES
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.telling import said, tell
from holdfast.web.mlflow.uploads import taken

__all__ = ["ENDPOINTS", "require"]

_PAGE_BYTES_MAX = 10 << 20
"""What MLflow's own pages may send as one file."""

_SECONDS_MAX = 604_800
"""A week: what clouds sign a URL for at most."""


async def put(request: Request, here: Here) -> Response:
    """Take a file in."""
    text = request.path_params["path"]
    path = safe_path(text)
    if text.endswith("/"):
        path = ""  # what would be a file's name without the slash is refused, as the root is
    await run_in_threadpool(require, here, Role.CONTRIBUTOR, path)
    await taken(request, partial(here.shelf.files.put, path))
    return Response()


async def get(request: Request, here: Here) -> Response:
    """Give a file out."""
    return await _given(request, here, safe_path(request.path_params["path"]))


async def delete(request: Request, here: Here) -> Response:
    """Take the name of a file, or of all below a folder, away; what is not there is no error."""
    path = safe_path(request.path_params["path"])

    def work() -> None:
        require(here, Role.CONTRIBUTOR, path)
        here.shelf.files.remove(path)

    await run_in_threadpool(work)
    return tell({})


def listed(asked: Asked, here: Here) -> JsonObject:
    """What stands in a folder; the names are relative to it."""
    return _list(here, safe_path(asked.maybe_text("path") or ""), "")


def listed_of_run(asked: Asked, here: Here) -> JsonObject:
    """What stands in a folder of a run; the names are relative to the run."""
    place = here.shelf.places.of_run(_run(asked))
    relative = safe_path(asked.maybe_text("path") or "")
    return {**_list(here, join(place.folder("this run"), relative).rstrip("/"), relative), "root_uri": place.uri}


def listed_of_logged_model(asked: Asked, here: Here) -> JsonObject:
    """What stands in a folder of a logged model; the names are relative to the model."""
    place = here.shelf.places.of_logged_model(asked.text("model_id"))
    relative = safe_path(asked.maybe_text("artifact_directory_path") or "")
    return {**_list(here, join(place.folder("this model"), relative).rstrip("/"), relative), "root_uri": place.uri}


async def of_run(request: Request, here: Here) -> Response:
    """Give out a file of a run."""
    asked = _query(request)
    relative, run = safe_path(asked.text("path")), _run(asked)
    place = await run_in_threadpool(here.shelf.places.of_run, run)
    return await _given(request, here, _below(place, relative, "this run"))


async def of_version(request: Request, here: Here) -> Response:
    """Give out a file of a registered version."""
    asked = _query(request)
    relative, name, number = safe_path(asked.text("path")), asked.text("name"), asked.integer("version")
    place = await run_in_threadpool(here.shelf.places.of_version, name, number)
    return await _given(request, here, _below(place, relative, "this version"))


async def of_logged_model(request: Request, here: Here) -> Response:
    """Give out a file of a logged model."""
    asked = _query(request)
    if not asked.has("artifact_file_path"):
        raise UsageError(
            'Request must include the "artifact_file_path" query parameter.', hint="Give it.", mlflow="BAD_REQUEST"
        )
    relative = safe_path(asked.text("artifact_file_path"))
    place = await run_in_threadpool(here.shelf.places.of_logged_model, request.path_params["model_id"])
    return await _given(request, here, _below(place, relative, "this model"))


async def upload(request: Request, here: Here) -> Response:
    """Take in a small file of a run, as MLflow's own pages send it."""
    asked = _query(request)
    for name in ("run_uuid", "path"):
        if not asked.has(name):
            raise UsageError(f"Request must specify {name}.", hint="Give it.")
    relative = safe_path(asked.text("path"))
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > _PAGE_BYTES_MAX:
        raise UsageError("Artifact size is too large. Max size is 10MB.", hint="Use a client of MLflow.")
    if int(length) == 0:
        raise UsageError("Request must specify data.", hint="Send the bytes of the file.")
    place = await run_in_threadpool(here.shelf.places.of_run, asked.text("run_uuid"))
    path = _below(place, relative, "this run")
    await run_in_threadpool(require, here, Role.CONTRIBUTOR, path)
    await taken(request, partial(here.shelf.files.put, path))
    return Response(media_type="application/json")


def signed_upload(asked: Asked, here: Here) -> NoReturn:
    """Files are sent to this server."""
    run, model = asked.maybe_text("run_id"), asked.maybe_text("model_id")
    if bool(run) == bool(model):
        raise UsageError("Exactly one of run_id and model_id must be provided.", hint="Give one of them.")
    safe_path(asked.text("path"))
    places = here.shelf.places
    uri = (places.of_run(run) if run else places.of_logged_model(str(model))).uri
    raise UsageError(
        f"Presigned upload is not supported for proxied artifact storage (artifact URI scheme: {_scheme(uri)}). "
        "This endpoint requires a direct cloud storage artifact URI.",
        hint="PUT the file.",
    )


def signed_download(asked: Asked, here: Here) -> NoReturn:
    """Files are read from this server."""
    run = asked.text("run_id")
    safe_path(asked.text("path"))
    seconds = asked.integer("expiration", _SECONDS_MAX)
    if not 1 <= seconds <= _SECONDS_MAX:
        raise UsageError(
            f"expiration must be between 1 and {_SECONDS_MAX} seconds (got {seconds}).", hint="Give another one."
        )
    uri = here.shelf.places.of_run(run).uri
    raise UsageError(
        "Presigned download is not supported for runs with proxied artifact storage "
        f"(artifact URI scheme: {_scheme(uri)}). "
        "This endpoint requires a run with a direct cloud storage artifact URI.",
        hint="GET the file.",
    )


def require(here: Here, role: Role, path: str) -> None:
    """Go on only where the caller has the role for a model that the path concerns, or the path concerns none.

    Raises:
        PermissionRefused: they have it for none of them.
    """
    if here.caller.may(role):
        return
    models = here.shelf.places.models_behind(path)
    if models and not any(here.caller.may(role, model) for model in models):
        raise here.caller.refused(role, " or ".join(map(str, models)))


async def _given(request: Request, here: Here, path: str) -> Response:
    await run_in_threadpool(require, here, Role.VIEWER, path)
    file = await run_in_threadpool(here.shelf.files.find, path)
    return await answered(request, here.shelf, file)


def _list(here: Here, folder: str, relative: str) -> JsonObject:
    require(here, Role.VIEWER, folder)
    files = [_told(one, relative) for one in here.shelf.files.listed(folder)]
    return said(files=files or None)


def _told(one: Listed, relative: str) -> JsonObject:
    return said(path=join(relative, one.name), is_dir=one.bytes is None, file_size=one.bytes)


def _below(place: Place, relative: str, what: str) -> str:
    if not relative:
        raise UsageError(f"The files of {what} are a directory, not a file", hint="Name one of them.")
    return join(place.folder(what), relative)


def _query(request: Request) -> Asked:
    return Asked.of_query(request.url.query, {}, {})


def _run(asked: Asked) -> str:
    run = asked.maybe_text("run_id") or asked.maybe_text("run_uuid")
    if not run:
        raise missing("run_id")
    return run


def _scheme(uri: str) -> str:
    return uri.partition(":")[0]


_FILE = f"{FILES}/artifacts/{{path:path}}"
_FILES_OF_LOGGED_MODEL = f"{V2}/logged-models/{{model_id}}/artifacts"

ENDPOINTS = (
    Endpoint("GET", f"{FILES}/artifacts", Role.VIEWER, answers=listed),
    Endpoint("GET", _FILE, Role.VIEWER, streams=get),
    Endpoint("HEAD", _FILE, Role.VIEWER, streams=get),
    Endpoint("PUT", _FILE, Role.CONTRIBUTOR, streams=put),
    Endpoint("DELETE", _FILE, Role.CONTRIBUTOR, streams=delete),
    Endpoint("POST", f"{V2}/artifacts/presigned-upload-url", Role.CONTRIBUTOR, answers=signed_upload),
    Endpoint("POST", f"{V2}/artifacts/presigned-download-url", Role.VIEWER, answers=signed_download),
    Endpoint("GET", f"{V2}/artifacts/list", Role.VIEWER, answers=listed_of_run),
    Endpoint("GET", f"{_FILES_OF_LOGGED_MODEL}/directories", Role.VIEWER, answers=listed_of_logged_model),
    Endpoint("POST", f"{V2}/upload-artifact", Role.CONTRIBUTOR, streams=upload),
    *(
        Endpoint(method, path, Role.VIEWER, streams=streams)
        for method in ("GET", "HEAD")
        for path, streams in (
            ("/get-artifact", of_run),
            ("/model-versions/get-artifact", of_version),
            (f"{_FILES_OF_LOGGED_MODEL}/files", of_logged_model),
        )
    ),
)
