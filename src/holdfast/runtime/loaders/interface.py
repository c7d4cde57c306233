"""What a loader and a scorer promise."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from holdfast.canonical import Json

__all__ = ["Loader", "Saved", "Scorer"]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a loader wrote.

    Attributes:
        format: the name of the format.
        executes_code: whether loading it can run code that is hidden in the bytes.
        files: the names of the files, relative to the folder it was given.
    """

    format: str
    executes_code: bool
    files: tuple[str, ...]


class Scorer(Protocol):
    """A model that is ready to score.

    Attributes:
        classes: the label of each column of a row of scores; None when a score is one number.
        foreign: which library wrote the model and which opened it, where they differ; None where they do not.
    """

    classes: list[Json] | None
    foreign: str | None

    def score(self, features: Any) -> list[Json]:
        """One score a row: a number, or a list with a number for each class."""
        ...


class Loader(Protocol):
    """Writes models of one kind and reads them back."""

    name: str

    def recognises(self, model: object) -> bool:
        """Whether `model` is of this loader's kind; MUST NOT import the framework to find out."""
        ...

    def save(self, model: Any, folder: Path) -> Saved:
        """Write `model` into `folder`."""
        ...

    def load(self, files: Mapping[str, bytes], format_name: str) -> Scorer:
        """The scorer in `files`, whose bytes have been verified; MUST NOT read anything else."""
        ...
