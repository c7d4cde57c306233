"""One small real project, as the person who trains it sees it: breast tumours, malignant or not.

bare   the data, a training script that knows no Holdfast, its features, and one commit
held   under Holdfast: tumour@1 holds production; @2 was trained on a bad export; @3 has better features and another
       threshold; @4 is @3 with a third threshold
moved  the same after one more promotion: @3 holds production, and @1 is last-known-good
"""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from holdfast.cli.demo.projects import PROJECTS
from holdfast.digest import Digest
from tests.commands import Answer, clean, holdfast, with_json
from tests.patience import PATIENCE_SECONDS
from tests.store.spoiling import alone

PROJECT = PROJECTS["breast-cancer"]

REGISTER = (
    *("register", PROJECT.model, "--weights", "model.joblib", "--preprocessing", "features.py:featurise"),
    *("--holdout", "data/holdout.csv", "--target", PROJECT.target, "--metric", PROJECT.metric),
)


class Person:
    """Somebody at a terminal in the project's folder, with the installed program."""

    def __init__(self, folder: Path, name: str = "ana") -> None:
        self.folder = folder
        self.environment: Mapping[str, str] = {
            **clean(os.environ, folder.parent),
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": f"{name}@example.org",
        }

    def __call__(self, *arguments: str) -> Answer:
        """What `holdfast` answers."""
        return holdfast(*arguments, folder=self.folder, environment=self.environment)

    def ok(self, *arguments: str) -> str:
        """What it prints, when it works."""
        answer = self(*arguments)
        assert answer.code == 0, answer
        return answer.out

    def json(self, *arguments: str) -> Any:
        """What it answers to a program."""
        answer = self(*with_json(arguments))
        assert answer.code == 0, answer
        return answer.value

    def git(self, *arguments: str, text: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            input=text,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_SECONDS,
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything; the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")


def build_bare(folder: Path) -> None:
    folder.mkdir(parents=True)
    PROJECT.write(folder)
    ana = Person(folder)
    ana.git("init", "--quiet", "--initial-branch=main")
    ana.commit("A training script and its features")


def build_held(bare: Path, folder: Path) -> None:
    shutil.copytree(bare, folder)
    ana = Person(folder)
    ana.ok("init")
    ana.commit("Put the project under Holdfast")
    train = ("run", "--model", PROJECT.model, "--", "python", "train.py")
    ana.ok(*train, "--C", "0.1")
    ana.ok(*REGISTER, "--threshold", "0.5")
    ana.ok("promote", "tumour@1", "--reason", "the first")
    ana.ok(*train, "--data", "data/train_bad_export.csv")
    ana.ok(*REGISTER, "--threshold", "0.5")
    (folder / "features.py").write_text(PROJECT.features[1])
    ana.commit("Better features")
    ana.ok(*train)
    ana.ok(*REGISTER, "--threshold", "0.4")
    ana.ok(*REGISTER, "--threshold", "0.35")


def build_moved(held: Path, folder: Path) -> None:
    shutil.copytree(held, folder)
    Person(folder).ok("promote", "tumour@3", "--reason", "better features")


def tables(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the registry and of tracking, by table; but not what replicas report of themselves."""
    with closing(sqlite3.connect(folder / ".holdfast/registry.db")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr)  # noqa: S608 - names from the file
            for name in names
            if name != "replicas"
        }


def blob(folder: Path, digest: str) -> Path:
    """A file that holds a blob of the store, and nothing else does."""
    return alone(folder / ".holdfast/store", Digest.parse(digest))


def flip_bit(path: Path) -> None:
    """Turn one bit around, in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def recorded(person: Person, reference: str, folder: str) -> tuple[list[dict[str, Any]], list[Any]]:
    """The rows that a version froze, and what it answered about them when it was registered."""
    person.ok("checkout", reference, folder)
    table = json.loads((person.folder / folder / "holdout/rows.json").read_text())
    outputs = json.loads((person.folder / folder / "holdout/outputs.json").read_text())
    names, columns = table["names"], table["columns"]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return [{name: cell for name, cell in row.items() if name != PROJECT.target} for row in rows], outputs[
        "predictions"
    ]
