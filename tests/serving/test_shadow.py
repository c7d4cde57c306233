"""Mirroring: what a version in the shadow does, and that whatever it does changes not one answer of the primary."""

import itertools
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast.database.engine import Database
from holdfast.flow.shadow.beginning import counted, last
from holdfast.flow.shadow.counts import ONLY_SHADOW, Counts
from holdfast.flow.shadow.plan import Plan
from holdfast.manifest import MANIFEST_NAME, least_minor
from holdfast.names import VersionNumber
from holdfast.registry import Action, MoveStage, NewVersion, Registry
from holdfast.registry.rollouts import NewRollout, Rollout, RolloutKind, RolloutState, Turn
from holdfast.registry.sql import SqlRegistry
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.limits import Limits
from holdfast.runtime.shapes import V2
from holdfast.serving.observing import Observed
from holdfast.serving.replica import Replica
from holdfast.serving.route import PRIMARY, Route
from holdfast.serving.shadow import Mirror, limits_of_a_shadow
from tests.blank import blank_registry
from tests.serving.building import CODE, MODEL, ROWS, Built, with_code
from tests.serving.stages import STAGE, HandMovedStage, Shelf, pointer, run, running, until

STAYS = {
    91.0: "raise RuntimeError('no such plan')",
    92.0: "[print('x' * 1000) for _ in range(5000)]",
    93.0: "__import__('socket').create_connection(('127.0.0.1', 9), 1)",
    94.0: "open(WRITTEN, 'w')",
    95.0: "LEAKED.append(np.ones(1 << 26))",
}
"""What a candidate does at a row of this age, which the primary answers as any other, and lives on."""

ENDS = {
    96.0: "os.kill(os.getpid(), signal.SIGKILL)",
    97.0: "[os.write(fd, b'nonsense' * 64) for fd in range(3, 32) if is_socket(fd)]",
    98.0: "time.sleep(1000)",
}
"""What its process does not survive."""

PRELUDE = """
import stat

LEAKED = []
WRITTEN = {written!r}


def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
"""


def pure(built: Built, folder: Path, source: str | None = None) -> Built:
    """The bundle in a folder of its own, with other code, and without side effects by its own account."""
    shutil.copytree(built.files.root, folder)
    copied = Built(BundleFiles.open(folder), built.outputs)
    if source is not None:
        copied = with_code(copied, source)
    manifest = copied.files.manifest
    minor = least_minor(manifest.parts, manifest.evidence, side_effect_free=True)
    (folder / MANIFEST_NAME).write_bytes(replace(manifest, side_effect_free=True, minor=minor).encode())
    return Built(BundleFiles.open(folder), built.outputs)


def misbehaving(built: Built, folder: Path) -> Built:
    """A candidate that is version 1, but at the rows of `STAYS` and `ENDS`."""
    cases = "".join(
        f"    if any(row['age'] == {age} for row in rows):\n        {how}\n" for age, how in {**STAYS, **ENDS}.items()
    )
    prelude = PRELUDE.replace("{written!r}", repr(str(folder.parent / "written")))
    source = CODE.replace("{factor}", "1.0").replace("    seconds = max(", f"{cases}    seconds = max(")
    return pure(built, folder, source.replace("\n\ndef featurise", f"{prelude}\n\ndef featurise"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    ids = itertools.count(1)
    database = Database.open(blank_registry(tmp_path / "registry.db"))
    registry = SqlRegistry(database, lambda: datetime.now(UTC), lambda: f"id-{next(ids)}")
    registry.create_model(MODEL, "ana")
    yield registry
    database.close()


def begun(registry: Registry, primary: Built, candidate: Built, plan: Plan | None = None) -> Rollout:
    for built in (primary, candidate):
        registry.register(NewVersion(MODEL, built.digest, complete=True), "ana")
    registry.move_stage(MoveStage(MODEL, STAGE, VersionNumber(1), None, Action.STAGE_ADOPT, "first"), "ana")
    new = NewRollout(
        RolloutKind.SHADOW, MODEL, STAGE, VersionNumber(2), VersionNumber(1), (plan or Plan()).to_json(), "try it"
    )
    return registry.begin_rollout(new, "ana")


def body(age: float) -> bytes:
    row = {**ROWS[3], "age": age}
    kinds = {"age": "FP64", "calls": "INT64", "plan": "BYTES", "sleep": "FP64"}
    tensors = [{"name": n, "shape": [1], "datatype": kinds[n], "data": [value]} for n, value in row.items()]
    return json.dumps({"inputs": tensors}).encode()


@dataclass
class Stand:
    """A replica with its mirror, asked as the HTTP edge asks it."""

    replica: Replica
    mirror: Mirror
    numbers: "itertools.count[int]"

    @property
    def route(self) -> Route:
        assert self.replica.route is not None
        return self.replica.route

    async def ask(self, age: float) -> Any:
        route, began = self.replica.take(), time.perf_counter()
        assert route is not None
        answer = await route.primary.predict(V2, body(age))
        seconds = time.perf_counter() - began
        self.mirror.see(self.observed(route, body(age), answer, seconds))
        self.replica.leave(route)
        return {tensor["name"]: tensor["data"] for tensor in json.loads(answer)["outputs"]}

    def observed(self, route: Route, request: bytes, answer: bytes | None, seconds: float) -> Observed:
        name = f"request-{next(self.numbers)}"
        return Observed(name, 0.0, route, route.primary, PRIMARY, None, seconds, V2, request, answer, None)


@asynccontextmanager
async def mirrored(
    registry: Registry, primary: Built, candidate: Built, *, limits: Limits | None = None, seconds_max: float = 30.0
) -> AsyncIterator[Stand]:
    stage, shelf = HandMovedStage(), Shelf(primary, candidate)
    stage.move(pointer(1, primary))
    mirror = Mirror(
        registry, MODEL, STAGE, shelf, replica="here", actor="ana",
        limits=lambda: limits or limits_of_a_shadow(), seconds_max=seconds_max, yields=False,
    )  # fmt: skip
    async with running(stage, shelf) as replica:
        await until(lambda: replica.route is not None, "the route")
        await mirror.start()
        try:
            yield Stand(replica, mirror, itertools.count())
        finally:
            await mirror.stop()


def counts_of(registry: Registry) -> Counts:
    return counted(last(MODEL, STAGE, registry), registry)


@pytest.mark.slow
def test_pairs_are_counted_told_and_kept_when_the_shadow_is_passed(
    registry: Registry, first: Built, tmp_path: Path
) -> None:
    rollout = begun(registry, first, pure(first, tmp_path / "pure"), Plan(requests=20, by=("plan",)))

    async def work() -> None:
        async with mirrored(registry, first, pure_again(tmp_path)) as stand:
            await until(lambda: stand.mirror._going is not None, "the shadow")
            for age in range(20, 40):
                await stand.ask(float(age))
            await until(lambda: counts_of(registry).requests == 20, "twenty pairs")
            registry.turn_rollout(Turn(rollout.id, rollout.event, RolloutState.PASSED, 0, "enough", {}), "ana")
            await until(lambda: stand.mirror._going is None, "the end")
            await stand.ask(41.0)

    run(work)
    found = counts_of(registry)
    assert (found.requests, found.agreed, found.pairs) == (20, 20, 20)
    assert sum(found.differences.values()) == sum(found.primary_scores.values()) == 20
    assert sum(found.groups.values()) == 20
    assert not found.drops


def pure_again(tmp_path: Path) -> Built:
    files = BundleFiles.open(tmp_path / "pure")
    return Built(files, None)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("ages", [STAYS, ENDS], ids=["lives on", "does not survive"])
def test_whatever_a_candidate_does_not_one_answer_of_the_primary_changes(
    registry: Registry, first: Built, tmp_path: Path, ages: dict[float, str]
) -> None:
    candidate = misbehaving(first, tmp_path / "bad")
    begun(registry, first, candidate)

    async def work() -> None:
        limits = replace(limits_of_a_shadow(), memory_bytes_max=1 << 29)
        async with mirrored(registry, first, candidate, limits=limits, seconds_max=1.0) as stand:
            alone = {age: await stand.ask(age) for age in (20.0, *ages)}
            await until(lambda: stand.mirror._going is not None, "the shadow")
            for turn, age in enumerate(ages, 1):
                assert await stand.ask(age) == alone[age]
                await until(partial(compared, registry, 2 * turn - 1), f"the pair of {age}")
                # Until its process is there again, what it is asked is dropped.
                while counts_of(registry).pairs < 2 * turn:
                    assert await stand.ask(20.0) == alone[20.0]
                    await until(told(registry), "another pair")
            assert stand.route.primary.up

    run(work)
    found = counts_of(registry)
    failed = [age for age in ages if "print" not in ages[age]]
    assert found.errors[ONLY_SHADOW] == len(failed)
    assert found.agreed == found.requests
    assert not (tmp_path / "written").exists()


def compared(registry: Registry, pairs: int) -> bool:
    return counts_of(registry).pairs == pairs


def told(registry: Registry) -> Callable[[], bool]:
    """Whether the counts are others than they are now."""
    before = counts_of(registry).to_json()
    return lambda: counts_of(registry).to_json() != before


@pytest.mark.slow
def test_a_version_that_does_not_open_or_was_not_declared_ends_the_shadow_with_the_reason(
    registry: Registry, first: Built, second: Built, tmp_path: Path
) -> None:
    broken = pure(first, tmp_path / "broken", "raise ImportError('no such module')")
    begun(registry, second, broken)

    async def work(candidate: Built, reason: str) -> None:
        async with mirrored(registry, second, candidate) as stand:
            await until(lambda: not last(MODEL, STAGE, registry).state.going_on, "the abort")
            await stand.ask(20.0)
        assert last(MODEL, STAGE, registry).state is RolloutState.ABORTED
        assert reason in last(MODEL, STAGE, registry).reason

    run(lambda: work(broken, "bundle_failed"))
    registry.register(NewVersion(MODEL, first.digest, complete=True), "ana")
    new = NewRollout(
        RolloutKind.SHADOW, MODEL, STAGE, VersionNumber(3), VersionNumber(1), Plan().to_json(), "undeclared"
    )
    registry.begin_rollout(new, "ana")
    run(lambda: work(first, "no side effects"))
