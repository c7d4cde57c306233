"""Loading a version to ask it, from the registry or from a bundle that somebody checked out."""

import os
import threading
import weakref
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from holdfast.api.projects import find_project
from holdfast.canonical import Json
from holdfast.config import Settings
from holdfast.errors import NoProject, NotFound, UsageError
from holdfast.manifest import MANIFEST_NAME
from holdfast.names import Reference
from holdfast.runtime.at_hand import require_at_hand
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Environments
from holdfast.runtime.materialise import materialise
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import table_of
from holdfast.wire.workers import environments

__all__ = ["LoadedVersion", "load"]


class LoadedVersion(AbstractContextManager["LoadedVersion"]):
    """A version that answers: schema check, preprocessing, model, threshold, from the bundle alone.

    It runs in a process of its own, which ends with `close()`, with the `with` block, or when nobody has the version
    any more. Any number of threads may ask; they are answered in turn.
    """

    def __init__(self, files: BundleFiles, predictor: Predictor) -> None:
        self.files = files
        self._predictor = predictor
        self._turn = threading.Lock()
        self._end = weakref.finalize(self, predictor.close)

    @property
    def digest(self) -> str:
        """The version's digest, `sha256:…`."""
        return str(self.files.digest)

    def predict(self, rows: Any) -> list[Json]:
        """One prediction a row, after the threshold.

        Args:
            rows: a frame, a two-dimensional array, a list of dicts, or a dict of columns.

        Raises:
            InvalidInput: the rows do not fit the schema.
            BundleFailed: the bundle's own code raised, or its process has ended.
        """
        return self._answer(rows).predictions

    def scores(self, rows: Any) -> list[Json]:
        """One score a row, before the threshold: a number, or one for each class."""
        return self._answer(rows).scores

    def close(self) -> None:
        """End the process; safe to call twice."""
        with self._turn:
            self._end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, rows: Any) -> Answer:
        table = table_of(rows)
        with self._turn:
            if not self._end.alive:
                raise UsageError("this version was closed", hint="Load it again with: holdfast.load(…)")
            return self._predictor.predict(table)


def load(reference: str | PathLike[str]) -> LoadedVersion:
    """The version that `reference` names, opened: `churn@production`, `churn@4`, or the path of a bundle.

    Raises:
        NotFound: no such version, no bundle at that path, or no project to look in.
        Archived: it was archived, and its bytes are not here.
        IntegrityError: a byte of it is not what it should be.
        BundleFailed: it cannot be opened.
    """
    path = Path(reference)
    if isinstance(reference, PathLike) or (path / MANIFEST_NAME).is_file():
        files, number = BundleFiles.open(path.absolute()), None
        interpreter = Environments(_cache_beside(path)).interpreter_for(files)
    elif _is_path(reference):
        raise NotFound(
            f"{reference} is no bundle: it has no {MANIFEST_NAME}",
            hint=f"Check one out with: holdfast checkout churn@4 {reference}",
            path=reference,
        )
    else:
        with find_project() as project:
            version = project.registry.resolve(Reference.parse(reference))
            number = version.number
            require_at_hand(version, project.registry, project.store)
            files = materialise(project.store, version.digest, project.settings.cache)
            interpreter = environments(project.settings, project.store).interpreter_for(files)
    return LoadedVersion(files, Predictor.start(files, interpreter, version=number))


def _is_path(text: str) -> bool:
    """Whether a person meant a folder: no name of a model holds a slash or begins with a dot."""
    return not text.startswith("models:/") and (os.sep in text or text.startswith("."))


def _cache_beside(path: Path) -> Path:
    """Where an environment for a bundle outside any project is kept: the project around it, or the user's cache."""
    try:
        return Settings.find(path).cache
    except NoProject:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast"
