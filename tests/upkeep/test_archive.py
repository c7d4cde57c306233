"""Older versions go to a remote, proved, and come back; what they were stays readable, and nothing needed goes."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import AlreadyExists, Archived, HoldfastError, IntegrityError, NotFound, PermissionRefused
from holdfast.flow.explain import explain
from holdfast.flow.gate import Workbench
from holdfast.flow.gate import gate as judge
from holdfast.flow.promote import Promotion, promote
from holdfast.flow.rollback import Rollback, roll_back
from holdfast.names import Reference, VersionNumber
from holdfast.registry import Action, MoveStage, NewArchive
from holdfast.runtime.materialise import materialise
from holdfast.serving.opening import opener
from holdfast.store.collect import claimed
from holdfast.store.local import LocalStore
from holdfast.store.remote.address import Address
from holdfast.tracking import NewRun, RunInput
from holdfast.upkeep.archive import Archiver, Done, Wish, archive, archive_all, due, prepared, restore, wanted
from holdfast.upkeep.check import check
from holdfast.upkeep.doctor import examine_project
from holdfast.upkeep.gc import Collection
from holdfast.upkeep.keep_rules import KeepRules
from holdfast.upkeep.remotes import NamedRemote, Remotes
from holdfast.upkeep.share import Exchange, pull, push
from holdfast.wire import Project, open_archiver, open_collector, open_exchange
from tests.projects import CHURN, PRODUCTION, THREE, add_version, ask, manifest, version
from tests.store.collecting import DAY, age

pytestmark = pytest.mark.slow

NO_TIME = KeepRules(versions=1, incident_days=0, recent_days=0)
"""What is not live, last-known-good or held is due at once."""


@pytest.fixture
def cold(churn: Project, tmp_path: Path) -> NamedRemote:
    named = NamedRemote("cold", Address.parse(str(tmp_path / "cold")))
    Remotes(churn.settings.home).add(named)
    return named


@pytest.fixture
def moved(churn: Project) -> Project:
    """@3 is live, @2 is last-known-good; @1 has been live too."""
    for number, before in ((1, None), (2, 1), (3, 2)):
        move(churn, number, before)
    return churn


def move(project: Project, to: int, expect: int | None, action: Action = Action.STAGE_PROMOTE) -> None:
    held = None if expect is None else VersionNumber(expect)
    project.registry.move_stage(MoveStage(CHURN, PRODUCTION, VersionNumber(to), held, action), "ana")


def archiver(project: Project, rules: KeepRules = NO_TIME) -> Archiver:
    return replace(open_archiver(project), rules=rules)


def archived(project: Project, cold: NamedRemote, *what: str, rules: KeepRules = NO_TIME) -> tuple[Done, ...]:
    """Archive these, or all that is due."""
    keeper = archiver(project, rules)
    things = [wanted(keeper, text) for text in what] if what else due(keeper)[0]
    found = archive_all(keeper, open_exchange(project, cold), Wish("cold", "ana"), things, silent, all_of_them=True)
    return found.done


def restored(project: Project, cold: NamedRemote, what: str) -> Done:
    thing = Digest.parse(what) if what.startswith("sha256:") else project.registry.resolve(Reference.parse(what))
    return restore(open_exchange(project, cold), "cold", thing, actor="ana", progress=silent)


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def root(project: Project) -> Path:
    assert isinstance(project.store, LocalStore)
    return project.store.root


def collected(project: Project, rules: KeepRules = NO_TIME) -> Collection:
    """Two runs of gc a day apart, long after everything was written."""
    now = datetime.now(UTC) + timedelta(days=100)
    age(root(project))
    for at in (now, now + DAY):
        collector = replace(open_collector(project), rules=rules, clock=lambda at=at: at)
        found = collector.apply(collector.look())
    return found


def here(project: Project) -> set[Digest]:
    return set(LocalStore(root(project)).digests())


def weights(project: Project, number: int) -> Digest:
    return next(entry.digest for entry in manifest(project, number).files if "weights/" in str(entry.path))


def bundle(project: Project, number: int, folder: Path) -> dict[str, bytes]:
    """Every file of a version's bundle, out of the store."""
    project.checkout(Reference.parse(f"churn@{number}"), folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_story(moved: Project, cold: NamedRemote, tmp_path: Path) -> None:
    before = bundle(moved, 1, tmp_path / "before")
    shutil.rmtree(moved.settings.cache, ignore_errors=True)
    done = archived(moved, cold)
    # @3 is live and @2 last-known-good; @5 shares its weights with @2, and is archived all the same.
    assert [(one.name, one.is_new) for one in done] == [("churn@1", True), ("churn@4", True), ("churn@5", True)]
    found = collected(moved)
    assert found.done is not None
    assert found.done.deleted
    gone = {weights(moved, 1), weights(moved, 4)}
    assert not gone & here(moved)
    assert weights(moved, 5) == weights(moved, 2)
    assert weights(moved, 5) in here(moved)
    # The record can be read without the remote.
    shutil.move(str(tmp_path / "cold"), tmp_path / "unplugged")
    shown = explain(Reference.parse("churn@1"), moved.registry, moved.store)
    assert shown.archive is not None
    assert shown.manifest.complete
    small = [entry for entry in shown.manifest.files if "weights/" not in str(entry.path)]
    assert moved.store.missing(entry.digest for entry in small) == set()
    assert moved.registry.audit_verify().ok
    checked = check(moved.store, moved.registry)
    assert (checked.damaged, checked.notes) == ((), ())
    assert [(one.archive.name, one.blobs) for one in checked.archived] == [
        ("churn@1", 1), ("churn@4", 1), ("churn@5", 0)
    ]  # fmt: skip
    with pytest.raises(Archived, match=r"churn@1 is archived in cold since 20\d\d-") as refused:
        bundle(moved, 1, tmp_path / "away")
    assert refused.value.hint == "Bring it back with: holdfast restore churn@1"
    with pytest.raises(HoldfastError):
        restored(moved, cold, "churn@1")
    shutil.move(str(tmp_path / "unplugged"), tmp_path / "cold")
    back = restored(moved, cold, "churn@1")
    assert (back.is_new, back.blobs) == (True, 1)
    assert bundle(moved, 1, tmp_path / "after") == before
    again = restored(moved, cold, "churn@1")
    assert (again.is_new, again.blobs) == (False, 0)
    assert moved.registry.audit_verify().ok
    kept, _ = archiver(moved, KeepRules(versions=0, incident_days=0)).keeps(version(moved, 1))
    assert kept is not None
    assert kept.reason == "restored today"
    assert check(moved.store, moved.registry).damaged == ()
    collected(moved)
    assert weights(moved, 1) in here(moved)
    move(moved, 1, 3)
