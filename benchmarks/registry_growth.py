"""What a registry costs as it grows: a small one beside one that is ten times as large, question by question.

    python benchmarks/registry_growth.py [--scale 1] [--json FILE]

The large one has 1,000 models with 100 versions each, a run for every version, and 1,000,000 events, nearly all of them
moves of stages; the small one a tenth of each. They are filled past the registry, in transactions of thousands, and
their logs are what they must be: every event hashes the one before, and the tree over them is whole. What is asked of
a row, and what moves a stage, must cost the same in both; the last column says how many times as much it is.
"""

import argparse
import itertools
import json
import random
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from _tables import keep
from holdfast.database.engine import Database
from holdfast.database.times import to_text
from holdfast.digest import Digest, hash_bytes
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import Action, Event, MoveStage, NewVersion
from holdfast.registry.merkle import Tree
from holdfast.registry.sql import SqlRegistry
from holdfast.registry.tables import events as event_columns
from holdfast.tracking.sql import SqlTracking

MODELS, VERSIONS, EVENTS = 1_000, 100, 1_000_000
"""Of the large registry."""

CALLS = 200
"""Of each question, each about another model."""

FLAT_MAX = 1.5
"""How many times as much a read or a move may cost in the large one: what a deeper index takes, and noise."""

_SECONDS_MAX = 5.0
"""A slow question is asked less often."""

_EVENTS_A_TRANSACTION = 20_000
_PRODUCTION = "production"
_ACTOR = "ana <ana@example.org>"
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_COLUMNS = [column.name for column in event_columns.columns]
_QUOTED = ", ".join(f'"{name}"' for name in _COLUMNS)
_INSERT = f"INSERT INTO events ({_QUOTED}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


class Filler:
    """Writes a registry's rows past the registry; the database's own triggers look at every one of them."""

    def __init__(self, path: Path) -> None:
        Database.open(f"sqlite:///{path}").close()
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("BEGIN")
        self._tree = Tree()
        self._prev: str | None = None
        self._held: dict[str, tuple[int | None, int | None, int]] = {}

    def close(self) -> None:
        """Commit, and let go of the file."""
        self._database.execute("COMMIT")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    def model(self, name: str, versions: int) -> None:
        """A model with its stages, its versions, and a run for each of them."""
        begun = self._event(Action.MODEL_CREATE, name, details={"description": "", "stages": [_PRODUCTION]})
        self._put("models", name=name, created_at=begun[1], created_by=_ACTOR, description="")
        self._put("version_counters", model=name, value=0)
        self._put("stages", model=name, name=_PRODUCTION, epoch=0, event=begun[0], changed_at=begun[1])
        self._held[name] = (None, None, 0)
        for number in range(1, versions + 1):
            self._version(name, number)

    def _version(self, name: str, number: int) -> None:
        digest, run, score = _digest(name, number), uuid.uuid4().hex, (number * 37 % 101) / 101
        said = {"complete": True, "missing": [], "run": run, "semver": None, "summary": str(hash_bytes(b"{}"))}
        details = {**said, "lineage": []}
        event = self._event(Action.VERSION_REGISTER, name, to_number=number, to_digest=digest, details=details)
        at = event[1]
        self._put("runs", id=run, model=name, name="", status="running", started_at=at, actor="ana", notes="")
        for key in ("accuracy", "loss"):
            self._put("run_metrics", run=run, key=key, step=0, time=at, value=score)
        self._put("run_params", run=run, key="depth", value=str(number % 7), number=number % 7, text=str(number % 7))
        self._database.execute("UPDATE runs SET status = 'finished', finished_at = ? WHERE id = ?", (at, run))
        self._database.execute("UPDATE version_counters SET value = value + 1 WHERE model = ?", (name,))
        row = {"model": name, "number": number, "digest": digest, "complete": 1, "missing": "[]", "run_id": run}
        self._put("versions", **row, summary="{}", created_at=at, created_by=_ACTOR)

    def move(self, name: str, to: int) -> None:
        """A move of the model's stage, with its event."""
        number, _, epoch = self._held[name]
        place, time = self._event(
            Action.STAGE_PROMOTE,
            name,
            stage=_PRODUCTION,
            from_number=number,
            from_digest=None if number is None else _digest(name, number),
            to_number=to,
            to_digest=_digest(name, to),
            epoch=epoch + 1,
            last_known_good=number,
            reason="better than what serves",
            idempotency_key=uuid.uuid4().hex,
        )
        self._database.execute(
            "UPDATE stages SET number = ?, epoch = ?, last_known_good = ?, event = ?, changed_at = ? "
            "WHERE model = ? AND name = ?",
            (to, epoch + 1, number, place, time, name, _PRODUCTION),
        )
        self._held[name] = (to, number, epoch + 1)

    @property
    def events(self) -> int:
        """How many there are."""
        return self._tree.size

    def _event(self, action: Action, model: str, **said: Any) -> tuple[int, str]:
        place = self._tree.size
        fields = {**_NOTHING, **said, "index": place, "action": str(action), "model": model, "prev": self._prev}
        at = _BEGINNING + timedelta(seconds=place)
        event = Event(**fields, time=at, hash="")
        # Of these texts and numbers the canonical JSON is the sorted one, which is written ten times as fast.
        shown = event.to_json()
        del shown["hash"]
        body = json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()
        self._prev = str(hash_bytes(body))
        details = json.dumps(fields["details"], sort_keys=True, separators=(",", ":"))
        row = {**fields, "time": to_text(at), "approvals": "[]", "details": details, "hash": self._prev, "body": body}
        self._database.execute(_INSERT, [row[name] for name in _COLUMNS])
        self._put("event_nodes", event=place, nodes=self._tree.append(body))
        if place % _EVENTS_A_TRANSACTION == 0:
            self._database.execute("COMMIT")
            self._database.execute("BEGIN")
        return place, to_text(at)

    def _put(self, table: str, **row: Any) -> None:
        names, places = ", ".join(row), ", ".join("?" * len(row))
        self._database.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))  # noqa: S608


_NOTHING: dict[str, Any] = {
    "actor": _ACTOR,
    "stage": None,
    "from_number": None,
    "from_digest": None,
    "to_number": None,
    "to_digest": None,
    "epoch": None,
    "last_known_good": None,
    "reason": "",
    "verdict": None,
    "approvals": (),
    "idempotency_key": None,
    "details": {},
}


def _digest(model: str, number: int) -> str:
    return str(hash_bytes(f"{model}@{number}".encode()))


def filled(path: Path, models: int, versions: int, events: int) -> float:
    """Write a registry of this size; the seconds that it took."""
    begun = time.perf_counter()
    with closing(Filler(path)) as filler:
        for number in range(models):
            filler.model(f"model-{number}", versions)
        # Each round moves the stage of every model: what belongs to one model lies far apart, as it does in life.
        for turn in itertools.count():
            for number in range(models):
                if filler.events >= events:
                    return time.perf_counter() - begun
                filler.move(f"model-{number}", 1 + turn % versions)
    raise AssertionError


def questions(database: Database, models: int, versions: int, events: int) -> dict[str, Callable[[int], object]]:
    """What is measured; each is called with a number that nobody had before."""
    registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)
    tracking = SqlTracking(database, lambda: datetime.now(UTC), lambda: uuid.uuid4().hex)
    chance = random.Random(7)
    middle = _BEGINNING + timedelta(seconds=events // 2)
    stage = StageName(_PRODUCTION)

    def name(_: int) -> ModelName:
        return ModelName(f"model-{chance.randrange(models)}")

    def move(number: int) -> None:
        model = name(number)
        held = registry.stage(model, stage).number
        to = VersionNumber(1 + (held or 0) % versions)
        key = uuid.uuid4().hex
        registry.move_stage(MoveStage(model, stage, to, held, Action.STAGE_PROMOTE, idempotency_key=key), "ana")

    def rollback(number: int) -> None:
        model = name(number)
        found = registry.stage(model, stage)
        good = found.last_known_good or VersionNumber(1)
        asked = MoveStage(model, stage, good, found.number, Action.STAGE_ROLLBACK)
        registry.move_stage(asked, "ana")

    def register(number: int) -> None:
        digest = Digest.parse(_digest("fresh", number))
        registry.register(NewVersion(name(number), digest, complete=True), "ana")

    return {
        "read a stage": lambda n: registry.stage(name(n), stage),
        "resolve by stage": lambda n: registry.resolve(Reference.parse(f"{name(n)}@{_PRODUCTION}")),
        "resolve by number": lambda n: registry.resolve(Reference.parse(f"{name(n)}@{1 + n % versions}")),
        "resolve by digest": lambda n: registry.resolve(
            Reference.parse(f"{(model := name(n))}@{_digest(str(model), 1 + n % versions)[:19]}")
        ),
        "live": lambda n: registry.live(name(n)),
        "live --at": lambda n: registry.live(name(n), middle),
        "log: newest page": lambda _: registry.log(),
        "log: page in the middle": lambda _: registry.log(before=events // 2),
        "log: of a model": lambda n: registry.log(name(n)),
        "log: since the middle, of a model": lambda n: registry.log(name(n), since=middle),
        "move a stage": move,
        "roll back": rollback,
        "register a version": register,
        "proof of an event": lambda _: registry.prove(chance.randrange(events)),
        "search runs of a model": lambda n: tracking.search(f"model = '{name(n)}'"),
        "search runs by metric": lambda _: tracking.search("metrics.accuracy > 0.98 and params.depth = 3"),
        "search runs, sorted": lambda _: tracking.search("", order_by="metrics.accuracy DESC"),
    }


FLAT = (
    "read a stage",
    "resolve by stage",
    "resolve by number",
    "resolve by digest",
    "live",
    "live --at",
    "log: newest page",
    "log: page in the middle",
    "move a stage",
    "register a version",
    "proof of an event",
    "search runs of a model",
)
"""What must not cost more in a larger registry. The others touch more rows there, as they are asked for."""


def medians(asks: Sequence[Callable[[int], object]], calls: int) -> list[float]:
    """The median of each in milliseconds; they are called in turn, so that what disturbs one disturbs all."""
    spent: list[list[float]] = [[] for _ in asks]
    end = time.perf_counter() + _SECONDS_MAX
    for number in range(calls):
        for ask, times in zip(asks, spent, strict=True):
            begun = time.perf_counter()
            ask(number)
            times.append(time.perf_counter() - begun)
        if time.perf_counter() > end:
            break
    return [round(statistics.median(times) * 1000, 3) for times in spent]


def main() -> None:
    """Fill both, measure both, and print them beside each other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="shrinks both registries")
    parser.add_argument("--calls", type=int, default=CALLS, help="of each question")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    sizes: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        asked = []
        for said, share in (("small", 0.1), ("large", 1.0)):
            models, events = max(2, int(MODELS * share * given.scale)), int(EVENTS * share * given.scale)
            path = Path(folder) / f"{said}.db"
            took = filled(path, models, VERSIONS, events)
            print(f"{said}: {models} models, {models * VERSIONS} versions, {events} events, filled in {took:.0f} s")
            sizes[said] = {"models": models, "events": events, "bytes": path.stat().st_size}
            database = opened.enter_context(closing(Database.open(f"sqlite:///{path}")))
            asked.append(questions(database, models, VERSIONS, events))
        small, large = asked
        figures = {said: medians((ask, large[said]), given.calls) for said, ask in small.items()}
    print(f"\n{'median in ms':<36}{'small':>10}{'large':>10}{'ratio':>8}")
    for said, (before, after) in figures.items():
        print(f"{said:<36}{before:>10.3f}{after:>10.3f}{after / before:>7.2f}x{'  flat' if said in FLAT else ''}")
    steep = [said for said in FLAT if figures[said][1] > FLAT_MAX * figures[said][0]]
    print(f"\ntarget: at most {FLAT_MAX}x where it says flat; past it: {', '.join(steep) or 'none'}")
    keep(given.json, {"registries": sizes, "ms": figures})


if __name__ == "__main__":
    main()
