"""The commands that an inventory proposes, with the names of the project's own files in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from holdfast.flow.inventory.formats import Kind, is_holdout, kind_of
from holdfast.flow.inventory.sources import Source, Topic
from holdfast.flow.inventory.walking import File

__all__ = ["Commands", "quoted", "suggest", "training_scripts"]


@dataclass(frozen=True, slots=True)
class Commands:
    """What to type next; words in capitals are the person's to replace.

    Attributes:
        model: a name for the model: that of the project's folder.
        script: the script that trains; None when none was found.
        weights: the largest file of weights, if there is one.
        preprocessing: `file.py:function`, if one function does it.
        holdout: the holdout, if a file is named as one.
    """

    model: str
    script: str | None = None
    weights: str | None = None
    preprocessing: str | None = None
    holdout: str | None = None

    @property
    def run(self) -> str:
        """Run the training, captured."""
        return f"holdfast run --model {self.model} -- python {quoted(self.script or 'SCRIPT.py')}"

    @property
    def adopt(self) -> str:
        """Give a version to weights that exist already."""
        return f"holdfast adopt {self.model} --weights {quoted(self.weights or 'WEIGHTS')}"

    def register(self, *, threshold: bool = False) -> str:
        """Freeze the five parts as a version; with `threshold`, the place for it is shown."""
        words = [f"holdfast register {self.model} --weights {quoted(self.weights or 'WEIGHTS')}"]
        if self.preprocessing:
            words.append(f"--preprocessing {quoted(self.preprocessing)}")
        if threshold:
            words.append("--threshold NUMBER")
        if self.holdout:
            words.append(f"--holdout {quoted(self.holdout)} --target COLUMN")
        return " ".join(words)


def suggest(folder: str, files: Sequence[File], sources: Sequence[Source]) -> Commands:
    """The commands for a project in a folder of this name."""
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.lower()).strip("-._")
    weights = [file for file in files if kind_of(file.path, file.size) is Kind.WEIGHTS]
    holdouts = [file.path for file in files if kind_of(file.path, file.size) is Kind.DATA and is_holdout(file.path)]
    functions = [
        f"{source.path}:{sight.text.removeprefix('function ')}"
        for source in sources
        for sight in source.sights
        if sight.topic is Topic.PREPROCESSING and sight.text.startswith("function ") and not source.serves
    ]
    return Commands(
        model=name if name and not name.isdigit() else "model",
        script=next(iter(training_scripts(sources)), None),
        weights=max(weights, key=lambda file: file.size).path if weights else None,
        preprocessing=functions[0] if len(functions) == 1 else None,
        holdout=min(holdouts, key=lambda path: ("holdout" not in path, path), default=None),
    )


def training_scripts(sources: Sequence[Source]) -> list[str]:
    """The files that fit a model, the likeliest to be started first: named for training, then nearest to the root."""

    def order(source: Source) -> tuple[bool, int, str]:
        named = bool(re.search(r"(?:^|[_/.-])(?:train|fit)", PurePosixPath(source.path).name.lower()))
        return not named, source.path.count("/"), source.path

    return [source.path for source in sorted(sources, key=order) if source.trains]


def quoted(path: str) -> str:
    """The path as a shell takes it."""
    return path if re.fullmatch(r"[\w./@+=:,-]+", path) else "'" + path.replace("'", "'\\''") + "'"
