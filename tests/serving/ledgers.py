"""A registry and a store in a folder, decisions that are made up, and replicas that write them down."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast

from holdfast.database.engine import Database
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, StageName
from holdfast.registry import Action, MoveStage, NewVersion, Registry, Version
from holdfast.registry.sql import SqlRegistry
from holdfast.runtime.shapes import INVOCATIONS
from holdfast.serving.ledger.finding import Ledger
from holdfast.serving.ledger.recorder import Recorder
from holdfast.serving.ledger.sealing import Bench
from holdfast.serving.observing import Observed
from holdfast.serving.settings import LedgerSettings
from holdfast.store.interface import Store
from holdfast.store.local import LocalStore
from tests.blank import blank_registry

MODEL = ModelName("churn")
STAGE = StageName("production")
BEGAN = 1_767_225_600.0
"""The first second of 2026."""

ALL = LedgerSettings(keep="all")


@dataclass(frozen=True)
class _Live:
    number: int
    digest: Any
    schema: None = None


@dataclass(frozen=True)
class _Route:
    epoch: int


@dataclass(frozen=True)
class World:
    """A project's ledger.

    Attributes:
        home: of the project.
        registry, store: of it.
        version: that holds the stage.
    """

    home: Path
    registry: Registry
    store: Store
    version: Version

    @classmethod
    def of(cls, home: Path) -> "World":
        blank_registry(home / "registry.db")
        registry = _registry(home)
        registry.ensure_model(MODEL, "ana")
        version = registry.register(NewVersion(MODEL, hash_bytes(b"a bundle"), True, ()), "ana", "the first")
        registry.move_stage(MoveStage(MODEL, STAGE, version.number, None, Action.STAGE_ADOPT, "in service"), "ana")
        return cls(home, registry, LocalStore(home / "store"), version)

    @classmethod
    def opened(cls, home: Path) -> "World":
        """The one that another process made."""
        registry = _registry(home)
        return cls(home, registry, LocalStore(home / "store"), registry.versions()[0])

    def observed(
        self,
        request_id: str,
        *,
        at: float = BEGAN,
        key: str | None = None,
        asked: object = None,
        error: str | None = None,
        reason: str = "primary",
    ) -> Observed:
        body = {"dataframe_records": [{"age": 41, "name": "Bo"}]} if asked is None else asked
        return Observed(
            request_id=request_id,
            at=at,
            route=cast("Any", _Route(1)),
            live=cast("Any", _Live(self.version.number, self.version.digest)),
            reason=reason,
            key=key,
            seconds=0.002,
            shape=INVOCATIONS,
            request=body if isinstance(body, bytes) else json.dumps(body).encode(),
            answer=None if error else b'{"predictions":[1]}',
            error=error,
        )

    def recorder(self, replica: str, settings: LedgerSettings = ALL, *, store: Store | None = None) -> Recorder:
        bench = Bench(store or self.store, self.registry, "a replica", lambda: datetime.now(UTC))
        return Recorder(self.home, MODEL, STAGE, replica, settings=settings, bench=bench)

    def recorded(
        self,
        seen: Sequence[Observed],
        settings: LedgerSettings = ALL,
        *,
        replica: str = "one",
        store: Store | None = None,
    ) -> Recorder:
        """A replica that answered all of these, and ended."""
        recorder = self.recorder(replica, settings, store=store)

        async def serve() -> None:
            await recorder.start()
            for one in seen:
                recorder.see(one)
            await recorder.stop()

        asyncio.run(serve())
        return recorder

    def ledger(self, now: datetime | None = None) -> Ledger:
        return Ledger(self.registry, self.store, self.home, now or datetime.now(UTC))


def _registry(home: Path) -> Registry:
    ids = count(1)
    database = Database.open(f"sqlite:///{home / 'registry.db'}")
    return SqlRegistry(database, lambda: datetime.now(UTC), lambda: f"id-{next(ids)}")
