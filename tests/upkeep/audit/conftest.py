"""A small project with a log of a few events, and its logbook as it would be opened by the next command."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.config import Settings
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.names import ModelName
from holdfast.registry import NewVersion
from holdfast.registry.sql import SqlRegistry
from holdfast.upkeep.audit.key import LogKey
from holdfast.upkeep.audit.logbook import Logbook
from holdfast.upkeep.audit.memory import Memory, Watch
from tests.blank import blank_registry

CHURN = ModelName("churn")

EVENTS = 6
"""One for the model, one for each version."""


class Place:
    """A project's home and a user's state, with a registry that is opened for each act, as commands open it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "churn/.holdfast"
        self.home.mkdir(parents=True)
        self.settings = Settings.at(self.home, {"XDG_STATE_HOME": str(folder / "state")})
        self.database = self.home / "registry.db"
        blank_registry(self.database)
        self.key = LogKey.of(self.settings)
        self.memory = Memory.of(self.settings)
        self.watch = Watch.of(self.settings)

    def registry(self, *, watched: bool = False) -> SqlRegistry:
        database = Database.open(self.settings.database_url)
        grown = self.watch.grown if watched else None
        return SqlRegistry(database, lambda: datetime.now(UTC), lambda: "approval", grown)

    def book(self) -> Logbook:
        return Logbook.of(self.settings, self.registry())

    def register(self, *numbers: int) -> None:
        """As a command does: it looks, writes, and remembers."""
        registry = self.registry(watched=True)
        with closing(registry._database):
            self.watch.opened(registry)
            registry.ensure_model(CHURN, "ana")
            for number in numbers:
                registry.register(
                    NewVersion(CHURN, hash_bytes(str(number).encode()), complete=True), "ana", f"try {number}"
                )

    def look(self) -> None:
        """As a command that only reads."""
        registry = self.registry()
        with closing(registry._database):
            self.watch.opened(registry)

    def save(self) -> Path:
        return Path(shutil.copy(self.database, self.home.parent / f"backup-{os.urandom(4).hex()}.db"))

    def restore(self, backup: Path) -> None:
        for path in self.home.glob("registry.db*"):
            path.unlink()
        shutil.copy(backup, self.database)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.register(*range(1, EVENTS))
    return place


@pytest.fixture
def book(place: Place) -> Iterator[Logbook]:
    book = place.book()
    yield book
    assert isinstance(book.registry, SqlRegistry)
    book.registry._database.close()


@pytest.fixture
def exported(book: Logbook) -> list[bytes]:
    return b"".join(book.export()).splitlines(keepends=True)


Write = Callable[[list[bytes]], Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(lines: list[bytes]) -> Path:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    return write
