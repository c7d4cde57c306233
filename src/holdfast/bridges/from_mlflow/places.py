"""Where MLflow says files are, and the files of a folder."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from holdfast.bridges.from_mlflow.records import File
from holdfast.errors import NotFound
from holdfast.store.disk import refusing

__all__ = ["PROXIED", "files_below", "folder_of", "logged_model_of", "normal"]

PROXIED = "mlflow-artifacts"
"""The scheme of places that a server keeps."""

_MODELS = "models:/"
"""How the name of a logged model begins, and that of a version of a registered one."""

_PIECE_BYTES = 4 << 20
"""Read at a time: large enough for a disk, small enough for a machine with little memory."""


def folder_of(place: str, files: Path | None) -> Path:
    """The folder that a place names.

    Args:
        place: a path, a `file:` URI, or what a server keeps.
        files: the folder in which that server keeps it.

    Raises:
        NotFound: it is elsewhere.
    """
    parts = urlsplit(place)
    if parts.scheme in {"", "file"}:
        return Path(unquote(parts.path) if parts.scheme else place)
    if parts.scheme == PROXIED and files is not None:
        return files / unquote(parts.path).lstrip("/")
    if parts.scheme == PROXIED:
        raise NotFound(
            f"{place[:200]} is kept by a server", hint="Name the server's URL, or its folder of files with --files."
        )
    raise NotFound(
        f"{place[:200]} is in a storage of its own", hint="Name the URL of the `mlflow server` that reads it."
    )


def logged_model_of(source: str) -> str | None:
    """The logged model that a version says it is."""
    return source.removeprefix(_MODELS) if source.startswith(f"{_MODELS}m-") else None


def normal(place: str) -> str:
    """One way to write a place: MLflow names one folder now as a path and now as a URI."""
    parts = urlsplit(place)
    path = unquote(parts.path).rstrip("/") if parts.scheme else place.rstrip("/")
    return path if parts.scheme in {"", "file"} else f"{parts.scheme}://{parts.netloc}{path}"


def files_below(folder: Path) -> Iterator[File]:
    """The regular files below a folder, by path; links are not followed.

    Raises:
        NotFound: there is no such folder.
        PermissionRefused: it cannot be read.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", hint="It was moved or deleted.")
    with refusing(folder):
        found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    for path in found:
        yield File(path.relative_to(folder).as_posix(), _opened(path))


def _opened(path: Path) -> Callable[[], Iterator[bytes]]:
    return partial(_pieces, path)


def _pieces(path: Path) -> Iterator[bytes]:
    with refusing(path), path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
