"""A rehearsal: the whole rollback, taken in a scratch stage, so that somebody knows that it works before it must.

The steps have the numbers of the rollback procedure:

    (1) find       the version to go back to, and that its bytes are meant to be here
    (2) verify     its bundle has all parts, by digest
    (3) build      a fresh copy of its bundle and, where this interpreter will not do, of its environment
        smoke      it answers its frozen rows as it did when it was registered
    (4) serve      the version that is left is served from the scratch stage, under steady load
        move       the scratch stage goes back
    (5) pick up    the replica has reported it
    (6) watch      the load goes on: every request is answered, and by one version
    (7) return     a rollback asks why it was needed; a rehearsal goes forward again, and leaves nothing behind

The scratch stage stands in a registry of its own, in a folder of its own, that knows these two versions and nothing
else. The real stage is read once and never moved; nobody else can see the scratch one. Bytes come from the real store.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from holdfast.canonical import Json, JsonObject
from holdfast.config import VERSION
from holdfast.database.times import to_text
from holdfast.digest import Digest
from holdfast.errors import GateRefused, HoldfastError, NotFound, UsageError
from holdfast.evidence import Environment, Holdout
from holdfast.flow.capture.machine import hardware_facts, system_facts
from holdfast.flow.gate import Outcome, Workbench
from holdfast.flow.gate.case import manifest_of
from holdfast.flow.rollback import require_restored, require_whole, smoke_again, way_back
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry import Registry, Version
from holdfast.registry.certificates import FORMAT, FORMAT_VERSION
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.rows import read_table
from holdfast.serving.answers import Answers
from holdfast.serving.opening import Opened, Opener
from holdfast.serving.switch import Hosting, Switch, Way

__all__ = ["Rehearse", "Scene", "rehearse"]

_ROWS_MAX = 200
"""Different requests, sent in turns: enough that no cache answers them, and a few hundred kilobytes."""


@dataclass(frozen=True, slots=True)
class Rehearse:
    """Try the way back of a stage.

    Attributes:
        model: whose stage.
        stage: which one; it does not move.
        actor: who asks.
        left: the version that is left; None: the one that holds the stage.
        back: the version that is gone back to; None: the one that a rollback from `left` would go to.
    """

    model: ModelName
    stage: StageName
    actor: str
    left: Reference | None = None
    back: Reference | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a rehearsal is held with.

    Attributes:
        registry: where the versions are numbered; it is only read.
        bench: judges bundles in the scratch folder: nothing that was checked out or built before is used.
        fresh: fetches a bundle and its environment, likewise.
        ready: fetches them as a replica would, with what this machine has of them already.
        names: makes an empty registry in the scratch folder.
        hosting: puts a replica on the loopback interface, and sends it requests.
        scratch: the folder, which is removed afterwards whatever happens.
        clock: gives the moment, in UTC.
        new_id: gives an id that nobody has had.
        told: is told each step as it ends.
    """

    registry: Registry
    bench: Workbench
    fresh: Opener
    ready: Opener
    names: Callable[[Path], AbstractContextManager[Registry]]
    hosting: Hosting
    scratch: Path
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    told: Callable[[str], None]


@dataclass(slots=True)
class _Record:
    """The certificate as it comes about."""

    told: Callable[[str], None]
    steps: list[JsonObject] = field(default_factory=list)
    failed: JsonObject | None = None
    answers: Answers = field(default_factory=Answers)
    times: dict[str, Json] = field(default_factory=dict)

    @contextmanager
    def step(self, number: int, name: str) -> Iterator[list[str]]:
        """One step; what it puts into the list is its sentence. An error in it ends the rehearsal, and is told."""
        said: list[str] = []
        begun = time.monotonic()
        try:
            yield said
        except HoldfastError as error:
            self._ended(number, name, "fail", begun, error.message)
            self.failed = {
                "step": number,
                "name": name,
                "code": error.code,
                "why": error.message,
                "hint": error.hint,
            }
            raise
        self._ended(number, name, "pass", begun, "; ".join(said))

    def _ended(self, number: int, name: str, outcome: str, begun: float, sentence: str) -> None:
        seconds = round(time.monotonic() - begun, 3)
        step: JsonObject = {"step": number, "name": name, "outcome": outcome, "seconds": seconds, "sentence": sentence}
        self.steps.append(step)
        self.told(f"({number}) {name:<8} {outcome}  {seconds:8.3f} s  {sentence}".rstrip())


def rehearse(asked: Rehearse, scene: Scene) -> JsonObject:
    """Hold the rehearsal; its certificate, whatever came out.

    Raises:
        NotFound: no such model, stage or version; nothing holds the stage, or there is nothing to go back to.
        UsageError: both versions are the same.
        MissingExtra: what serves is not installed.
    """
    way = _way(asked, scene.registry)
    record, at, begun = _Record(scene.told), scene.clock(), time.monotonic()
    try:
        _take(asked, scene, record, way)
    except HoldfastError:
        if record.failed is None:
            raise
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": str(asked.model),
        "stage": str(asked.stage),
        "outcome": "pass" if record.failed is None else "fail",
        "failed": record.failed,
        "at": to_text(at),
        "seconds": round(time.monotonic() - begun, 3),
        "from": _named(way.left, scene),
        "to": _named(way.back, scene),
        "steps": record.steps,
        "load": {**record.answers.to_json(), "connections": scene.hosting.connections},
        "switch_ms": record.times.get("switch_ms"),
        "confirmed_ms": record.times.get("confirmed_ms"),
        "return_ms": record.times.get("return_ms"),
        "machine": {**system_facts(), **hardware_facts()},
        "asked_by": asked.actor,
        "holdfast": VERSION,
    }


def _way(asked: Rehearse, registry: Registry) -> Way:
    """The version that is left, and the one that is gone back to."""
    stage = registry.stage(asked.model, asked.stage)
    if stage.number is None:
        raise NotFound(
            f"nothing holds {asked.stage} of {asked.model}, so there is no way back to rehearse",
            hint=f"Promote a version first: holdfast promote {asked.model}@1 --to {asked.stage}",
        )
    holder = registry.resolve(Reference.parse(f"{asked.model}@{stage.number}"))
    left = holder if asked.left is None else registry.resolve(asked.left)
    if asked.back is not None:
        back = registry.resolve(asked.back)
    else:
        # Once another version were promoted, last-known-good would be what holds the stage now.
        back = holder if left.number != holder.number else way_back(stage, registry)
    if asked.left is None and back.number == left.number and stage.last_known_good is not None:
        left = way_back(stage, registry)  # two versions are needed: come to what holds the stage from where it came
    for version in (left, back):
        if version.model != asked.model:
            raise UsageError(f"{version.model}@{version.number} is no version of {asked.model}", hint="Name one of it.")
    if left.number == back.number:
        raise UsageError(
            f"{asked.model}@{left.number} cannot be gone back to from itself",
            hint=f"Name another version to come from: holdfast rehearse {asked.model} --from {asked.model}@NUMBER",
        )
    return Way(asked.stage, left, back)


def _named(version: Version, scene: Scene) -> JsonObject:
    try:
        manifest = manifest_of(scene.bench.store, version)
    except HoldfastError:
        return {"version": version.number, "digest": str(version.digest), "environment": None}
    found = manifest.evidence.environment
    environment: Json = None
    if isinstance(found, Environment):
        wheels = None if found.wheels is None else str(found.wheels)
        environment = {"python": found.python, "lock": str(manifest.file(found.lock).digest), "wheels": wheels}
    return {"version": version.number, "digest": str(version.digest), "environment": environment}


def _take(asked: Rehearse, scene: Scene, record: _Record, way: Way) -> None:
    left, back = way.left, way.back
    with record.step(1, "find") as said:
        require_restored(back, scene.registry)
        said.append(f"from {left.model}@{left.number} back to {back.model}@{back.number}")
    with record.step(2, "verify") as said:
        require_whole(back, scene.bench)
        manifest = manifest_of(scene.bench.store, back)
        said.append(f"{len(manifest.files)} files with {sum(one.size for one in manifest.files)} bytes, by digest")
    with record.step(3, "build") as said:
        opened = scene.fresh(back.digest)
        said.append(f"opens with {opened.interpreter.executable}")
    with record.step(3, "smoke") as said:
        said.append(_smoked(asked, scene, back))
    with ExitStack() as stage:
        # (4) to (7) on the scratch stage; leaving this ends the replica, its workers and its registry.
        with record.step(4, "serve") as said:
            switch = stage.enter_context(_set(asked, scene, way, record.answers, opened))
            said.append(f"{left.model}@{left.number} answers on {switch.url}, {len(record.answers.taken())} requests")
        with record.step(4, "move") as said:
            moved = switch.back()
            said.append(f"the scratch stage holds {back.model}@{back.number}")
        with record.step(5, "pick up") as said:
            record.times["confirmed_ms"] = switch.confirm(moved)
            said.append(f"confirmed after {record.times['confirmed_ms']:.0f} ms")
        with record.step(6, "watch") as said:
            switch.watch(back.number, moved)
            record.times["switch_ms"] = record.answers.last_of(left.number, moved.at)
            said.append(f"last old answer {record.times['switch_ms']:.1f} ms after the move; none failed, none mixed")
        with record.step(7, "return") as said:
            again = switch.forward()
            switch.confirm(again)
            switch.watch(left.number, again)
            record.times["return_ms"] = record.answers.last_of(back.number, again.at)
            said.append(f"{left.model}@{left.number} answers again; {len(record.answers.taken())} requests in all")


def _smoked(asked: Rehearse, scene: Scene, back: Version) -> str:
    findings = smoke_again(back, asked.stage, asked.actor, scene.bench)
    bad = [finding for finding in findings if finding.outcome is not Outcome.PASS]
    if bad:
        raise GateRefused(
            f"version {back.number} no longer works: {bad[0].sentence}",
            hint=bad[0].hint,
            findings=[finding.to_json() for finding in findings],
        )
    return findings[-1].sentence


@contextmanager
def _set(asked: Rehearse, scene: Scene, way: Way, answers: Answers, opened: Opened) -> Iterator[Switch]:
    """The version that is left, served under load, with the other one warm beside it, as on a real replica."""
    first = scene.ready(way.left.digest)

    def at_hand(digest: Digest) -> Opened:
        return opened if digest == way.back.digest else first

    with scene.names(scene.scratch / "names") as names:
        switch = Switch(names, way, asked.actor, answers)
        bodies = _requests(first.files, opened.files)
        with switch.running(scene.hosting, at_hand, bodies, clock=scene.clock, new_id=scene.new_id):
            yield switch


def _requests(first: BundleFiles, other: BundleFiles) -> Sequence[JsonObject]:
    """The frozen rows of the version that is left, which are the traffic that it gets; else those of the other."""
    for files in (first, other):
        holdout = files.manifest.evidence.holdout
        if isinstance(holdout, Holdout):
            table = read_table(files.read(holdout.rows)).without(holdout.target)
            rows = [table.row(place) for place in range(min(table.count, _ROWS_MAX))]
            return [
                {"dataframe_split": {"columns": row.names and list(row.names), "data": [[c[0] for c in row.columns]]}}
                for row in rows
            ]
    raise UsageError("neither version has frozen rows to ask it with", hint="Register versions with --holdout PATH.")
