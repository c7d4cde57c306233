"""Where MLflow says files are, and the files of a folder.

An MLflow names any folder as the place of files, and so does whoever may write to it. So nothing is read from a folder
that neither came with it nor was named by the person who brings it here.
"""

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from holdfast.bridges.from_mlflow.records import File
from holdfast.bridges.mlflow_line import PROXIED
from holdfast.errors import NotFound, PermissionRefused, UsageError
from holdfast.store.disk import refusal, refusing

__all__ = ["Roots", "folder_of", "logged_model_of", "normal", "split"]

_MODELS = "models:/"
"""How the name of a logged model begins, and that of a version of a registered one."""

_PIECE_BYTES = 4 << 20
"""Read at a time: large enough for a disk, small enough for a machine with little memory."""

_CARRIED_PARTS_MIN = 3
"""An experiment, a run, and `artifacts`: what ends alike in less may be another folder."""


def split(place: str) -> SplitResult:
    """The parts of a place, as those of a URI.

    Raises:
        NotFound: it is no URI.
    """
    try:
        return urlsplit(place)
    except ValueError as error:
        raise NotFound(f"{place[:200]} is no place of files", hint="Look at it there.") from error


def folder_of(place: str, files: Path | None) -> Path:
    """The folder that a place names.

    Args:
        place: a path, a `file:` URI, or what a server keeps.
        files: the folder in which that server keeps it.

    Raises:
        NotFound: it is elsewhere.
    """
    if not place:
        raise NotFound("no place of its files is said", hint="It has none.")
    parts = split(place)
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
    try:
        parts = split(place)
    except NotFound:
        return place
    path = unquote(parts.path).rstrip("/") if parts.scheme else place.rstrip("/")
    return path if parts.scheme in {"", "file"} else f"{parts.scheme}://{parts.netloc}{path}"


class Roots(NamedTuple):
    """The folders that files may be read from.

    Attributes:
        own: came with what is read.
        named: by the person who brings it here.
    """

    own: tuple[Path, ...]
    named: tuple[Path, ...]

    @classmethod
    def of(cls, home: Path | None, own: tuple[Path, ...], named: tuple[Path | None, ...]) -> "Roots":
        """All of them, without links on the way to them.

        Args:
            home: what the own ones have to be in, for a link among them may lead anywhere; None: there are none.
            own: came with what is read.
            named: by a person, who may name a link; None is passed over.
        """
        kept = () if home is None else (_real(one) for one in own if _real(one).is_relative_to(_real(home)))
        return cls(tuple(kept), tuple(_real(one) for one in named if one is not None))

    def holds(self, path: Path) -> bool:
        """Whether a path is in one of them, wherever links on the way to it lead."""
        return self._of(_real(path)) is not None

    def files(self, folder: Path) -> Iterator[File]:
        """The regular files below a folder, by path; no link is followed, then or whenever one is opened.

        Args:
            folder: as it was named; it may have been carried below one of the roots since.

        Raises:
            NotFound: there is no such folder, or it is in none of the roots.
            PermissionRefused: it cannot be read, and none was found below a root in its stead.
        """
        refused: PermissionRefused | None = None
        is_elsewhere = False
        for place in (folder, *self._carried(folder)):
            try:
                if not _is_folder(place):
                    continue
            except PermissionRefused as error:
                refused = refused or error
                continue
            is_elsewhere, real = True, _real(place)
            root = self._of(real)
            if root is not None:
                yield from _files_below(root, real.relative_to(root))
                return
        if refused is not None:
            raise refused
        if not is_elsewhere:
            raise NotFound(f"there is no folder {folder}", hint="It was moved or deleted.")
        raise NotFound(
            f"{str(folder)[:200]} is a folder of this machine that does not belong to what is brought",
            hint="If its files are to come, name it, or a folder that it is in: --files-root FOLDER",
        )

    def _of(self, real: Path) -> Path | None:
        return next((one for one in (*self.own, *self.named) if real.is_relative_to(one)), None)

    def _carried(self, folder: Path) -> Iterator[Path]:
        """The same folder below each root: all of it may have been carried elsewhere since."""
        parts = [part for part in folder.parts if part != folder.anchor]
        for root in (*self.own, *self.named):
            yield from (root.joinpath(*parts[number:]) for number in range(len(parts) - _CARRIED_PARTS_MIN + 1))


def _is_folder(path: Path) -> bool:
    """Whether it is one; what can be the name of nothing here is none."""
    try:
        return path.is_dir()
    except PermissionError as error:
        raise PermissionRefused(
            f"{str(path)[:200]} cannot be looked at: {error.strerror}",
            hint="Ask whose it is. If its files were copied, name the folder that they are in: --files-root FOLDER",
        ) from error
    except OSError:
        return False


def _real(path: Path) -> Path:
    """Without links; unlike `Path.resolve`, one that goes round in circles is no error."""
    return Path(os.path.realpath(path))


def _files_below(root: Path, folder: Path) -> Iterator[File]:
    with refusing(root / folder):
        # Unlike `rglob`, which passes over a folder that may not be read as if it were empty.
        below = (Path(home, name) for home, _, names in os.walk(root / folder, onerror=_refuse) for name in names)
        found = sorted(path for path in below if path.is_file() and not path.is_symlink())
    for path in found:
        inside = path.relative_to(root)
        yield File(inside.relative_to(folder).as_posix(), _opened(root, inside))


def _refuse(error: OSError) -> NoReturn:
    raise refusal(error, Path(error.filename)) from error


def _opened(root: Path, inside: Path) -> Callable[[], Iterator[bytes]]:
    return partial(_pieces, root, inside)


def _pieces(root: Path, inside: Path) -> Iterator[bytes]:
    with refusing(root / inside), os.fdopen(_descriptor(root, inside), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError(f"{root / inside} is no file any more", hint="It was changed meanwhile: repeat.")
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _descriptor(root: Path, inside: Path) -> int:
    """Go down folder by folder, so that no link that was put there since the file was listed leads out of the root."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for folder in inside.parts[:-1]:
        try:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
        finally:
            os.close(at)
        at = below
    try:
        return os.open(inside.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)
