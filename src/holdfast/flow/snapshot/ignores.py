"""Which files of a folder are left out: `.holdfastignore`, in the language of `.gitignore`.

Two files are read: the one at the project's root and the one at the root of the folder that is frozen; where both
have an opinion the latter has the last word. `.holdfast` and `.git` are left out always, and so are the ignore files
that were read, for the name of some data should not depend on how it was chosen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.config import HOME_NAME
from holdfast.errors import UsageError
from holdfast.store.disk import refusing

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["IGNORE_NAME", "OUR_NAMES", "Ignores"]

IGNORE_NAME = ".holdfastignore"

_NEVER = {HOME_NAME, ".git"}

OUR_NAMES = frozenset({*_NEVER, IGNORE_NAME})
"""The only names that may stay out where no pattern says anything."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """The patterns of one file; `prefix` leads from its folder to the frozen one, and is empty or ends in `/`."""

    prefix: str
    patterns: "GitIgnoreSpec"


class Ignores:
    """What is left out of one folder.

    Args:
        folder: the folder that is frozen, absolute.
        root: the project's root, absolute; its file counts only when `folder` lies inside.

    Raises:
        UsageError: an ignore file with a line that is not a pattern, or not in UTF-8.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        places = [(folder, "")]
        if folder != root and folder.is_relative_to(root):
            places.insert(0, (root, folder.relative_to(root).as_posix() + "/"))
        self._layers = [
            _Layer(prefix, patterns) for place, prefix in places if (patterns := _read(place / IGNORE_NAME)) is not None
        ]

    @property
    def has_patterns(self) -> bool:
        """Whether any pattern has to be asked."""
        return bool(self._layers)

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        """Whether the file or folder at `path`, relative to the folder that is frozen, stays out.

        A folder that stays out is not looked into, so nothing inside it can come in again; as in Git.
        """
        if path.rpartition("/")[2] in _NEVER or path == IGNORE_NAME:
            return True
        for layer in reversed(self._layers):
            opinion = layer.patterns.check_file(layer.prefix + path + ("/" if is_folder else "")).include
            if opinion is not None:
                return opinion
        return False


def _read(path: Path) -> "GitIgnoreSpec | None":
    with refusing(path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(data.decode().splitlines())
    except ValueError as error:  # a pattern that is none, or bytes that are not UTF-8
        raise UsageError(
            f"{path} cannot be read as a list of patterns: {error}",
            hint="Write one pattern a line, as in a .gitignore file, in UTF-8.",
            path=str(path),
        ) from error
