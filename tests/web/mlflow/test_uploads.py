"""Files that break off on their way, and who may write and read whose."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import insert
from starlette.requests import Request
from starlette.types import Message

from holdfast.access import Grant, Identity, Kind, Pattern, Role
from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError, PermissionRefused, Unavailable, UsageError, WrongBytes
from holdfast.experiments.files import SqlFiles
from holdfast.experiments.places import SqlPlaces
from holdfast.experiments.tables import registered_models, registered_versions
from holdfast.names import ModelName
from holdfast.registry import NewVersion
from holdfast.registry.sql import SqlRegistry
from holdfast.store.local import LocalStore
from holdfast.web.api.caller import Caller
from holdfast.web.mlflow import uploads
from holdfast.web.mlflow.files import require
from holdfast.web.mlflow.room import Here
from holdfast.web.mlflow.uploads import taken
from tests.blank import blank_registry

PIECE = b"x" * (1 << 20)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(blank_registry(tmp_path / "registry.db"))
    yield database
    database.close()


@pytest.fixture
def files(database: Database, tmp_path: Path) -> SqlFiles:
    return SqlFiles(database, LocalStore(tmp_path / "store"))


def sent(pieces: list[bytes], length: int | None, *, ends: bool | None) -> Request:
    """A request whose body has these pieces, and then ends, or breaks off, or with None goes silent."""
    coming = iter(pieces)

    async def receive() -> Message:
        piece = next(coming, None)
        if piece is not None:
            return {"type": "http.request", "body": piece, "more_body": True}
        if ends is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"}

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "method": "PUT", "path": "/", "headers": headers}, receive)


@pytest.mark.parametrize(
    ("request_of", "error"),
    [
        (lambda: sent([b"half"], 8, ends=False), Unavailable),
        (lambda: sent([PIECE] * 3, 5 << 20, ends=False), Unavailable),
        (lambda: sent([PIECE] * 3, None, ends=False), Unavailable),
        (lambda: sent([b"half"], 8, ends=None), Unavailable),
        (lambda: sent([PIECE] * 3, 5 << 20, ends=None), Unavailable),
        (lambda: sent([b"half"], 8, ends=True), WrongBytes),
        (lambda: sent([PIECE] * 3, 5 << 20, ends=True), WrongBytes),
        (lambda: sent([b"too much"], 3, ends=True), UsageError),
        (lambda: sent([PIECE] * 3, 2 << 20, ends=True), UsageError),
    ],
)
def test_a_body_that_is_not_whole_leaves_nothing(
    files: SqlFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_of: Callable[[], Request],
    error: type[HoldfastError],
) -> None:
    monkeypatch.setattr(uploads, "_IDLE_SECONDS", 0.05)
    with pytest.raises(error):
        asyncio.run(taken(request_of(), partial(files.put, "3/run/artifacts/a")))
    assert files.below("") == []
    store = LocalStore(tmp_path / "store")
    assert list(store.digests()) == []
    assert [one for one in store.root.glob("tmp/*") if one.is_dir()] == []


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 16, "x"])
def test_a_length_that_is_none_is_refused(files: SqlFiles, length: str) -> None:
    request = sent([], None, ends=True)
    request.scope["headers"] = [(b"content-length", length.encode())]
    with pytest.raises(UsageError, match="is no length of a file"):
        asyncio.run(taken(request, partial(files.put, "a")))


def here(database: Database, *grants: Grant) -> Here:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    caller = Caller("bea", Identity("bea", Kind.PERSON, "t", moment, grants))
    return Here(caller, cast("Any", None), cast("Any", SimpleNamespace(places=SqlPlaces(database))))


def test_files_of_a_registered_version_are_for_who_may_see_its_model(database: Database) -> None:
    registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: "id")
    moments = {"created_ms": 1, "updated_ms": 1, "created_by": "ana"}
    for name in ("churn", "fraud"):
        registry.create_model(ModelName(name), "ana")
        registry.register(NewVersion(ModelName(name), hash_bytes(name.encode()), complete=True), "ana")
        path = f"3/models/m-{name}/artifacts"
        version = {"model": name, "number": 1, "source": "", "path": path, "rest": "None", **moments}
        with database.change() as connection:
            connection.execute(insert(registered_models), {"model": name, "name": name, **moments})
            connection.execute(insert(registered_versions), version)
    bea = here(database, Grant(Role.CONTRIBUTOR, Pattern("churn")))
    require(bea, Role.CONTRIBUTOR, "3/models/m-churn/artifacts/MLmodel")
    require(bea, Role.CONTRIBUTOR, "3/run/artifacts/of-nobody")
    with pytest.raises(PermissionRefused, match="bea is no viewer of fraud"):
        require(bea, Role.VIEWER, "3/models/m-fraud/artifacts/data/model.pkl")
    require(here(database, Grant(Role.VIEWER)), Role.VIEWER, "3/models/m-fraud/artifacts/MLmodel")
