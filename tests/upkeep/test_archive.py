"""Older versions go to a remote, proved, and come back; what they were stays readable, and nothing needed goes."""

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest
from sklearn.ensemble import RandomForestClassifier

from holdfast.api.loading import load
from holdfast.config import HOME_NAME
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import Archived, HoldfastError, IntegrityError, NotFound, PermissionRefused
from holdfast.experiments.registered import NewRegistered
from holdfast.flow.bundle.origin import data_input
from holdfast.flow.explain import explain
from holdfast.flow.gate import Workbench
from holdfast.flow.gate import gate as judge
from holdfast.flow.promote import Promotion, promote
from holdfast.flow.rollback import Rollback, roll_back
from holdfast.flow.snapshot import snapshot
from holdfast.names import Reference, VersionNumber
from holdfast.parts import DataInput, DataSlice, Missing
from holdfast.parts.data_slice import TRAIN
from holdfast.registry import Action, Edge, MoveStage, NewVersion, Version
from holdfast.runtime.materialise import materialise
from holdfast.runtime.signed import sign_version
from holdfast.serving.opening import opener
from holdfast.store.collect import claimed
from holdfast.store.local import LocalStore
from holdfast.store.remote.address import Address
from holdfast.tracking import NewRun, RunInput
from holdfast.upkeep.archive import Archiver, Done, Progress, Wish, archive, archive_all, due, prepared, restore, wanted
from holdfast.upkeep.bases import likely_bases
from holdfast.upkeep.check import check
from holdfast.upkeep.doctor import examine_project
from holdfast.upkeep.elsewhere import Lacking
from holdfast.upkeep.gc import Collection
from holdfast.upkeep.keep_rules import KeepRules
from holdfast.upkeep.remotes import NamedRemote, Remotes
from holdfast.upkeep.share import pull, push
from holdfast.wire import (
    Project,
    open_archiver,
    open_collector,
    open_exchange,
    open_named_files,
    open_project,
)
from holdfast.wire.mlflow import open_shelf
from tests.blank import blank_project
from tests.commands import built_once
from tests.projects import (
    CHURN,
    PRODUCTION,
    TARGET,
    TRAIN_ROWS,
    add_version,
    ask,
    blob,
    copied,
    features_of,
    flip_bit,
    manifest,
    version,
    write_csv,
)
from tests.servers import s3_server
from tests.signatures import key_of
from tests.store.collecting import DAY, age

pytestmark = pytest.mark.slow

NO_TIME = KeepRules(versions=1, incident_days=0, recent_days=0)
"""What is not live, last-known-good or held is due at once."""


def build_heavy(folder: Path) -> None:
    """A project with five versions whose weights are most of it."""
    folder.mkdir()
    with open_project(blank_project(folder)) as project:
        write_csv(folder / "data/train.csv", TRAIN_ROWS)
        for seed in range(5):
            forest = RandomForestClassifier(n_estimators=60, random_state=seed)
            targets = [row[TARGET] for row in TRAIN_ROWS]
            add_version(project, 3, model=forest.fit(features_of(3)(TRAIN_ROWS), targets))
    shutil.rmtree(folder / HOME_NAME / "cache", ignore_errors=True)


@pytest.fixture(scope="session")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once("heavy", tmp_path_factory, build_heavy)


@pytest.fixture
def churn(heavy: Path, tmp_path: Path) -> Iterator[Project]:
    with copied(heavy, tmp_path / "project") as project:
        yield project


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


def stop(*_: object) -> NoReturn:
    """Somebody pressed Ctrl-C."""
    raise KeyboardInterrupt


def root(project: Project) -> Path:
    assert isinstance(project.store, LocalStore)
    return project.store.root


def collected(project: Project, rules: KeepRules = NO_TIME) -> Collection:
    """Two runs of gc a day apart, long after everything was written."""
    now = datetime.now(UTC) + timedelta(days=100)
    age(root(project))
    for at in (now, now + DAY):
        collector = replace(open_collector(project), rules=rules, clock=partial(_identity, at))
        found = collector.apply(collector.look())
    return found


def _identity(moment: datetime) -> datetime:
    return moment


def here(project: Project) -> set[Digest]:
    return set(LocalStore(root(project)).digests())


def weights(project: Project, number: int) -> Digest:
    return next(entry.digest for entry in manifest(project, number).files if "weights/" in str(entry.path))


def size(project: Project) -> int:
    return sum(path.stat().st_size for path in root(project).rglob("*") if path.is_file())


def bundle(project: Project, number: int, folder: Path) -> dict[str, bytes]:
    """Every file of a version's bundle, out of the store."""
    project.checkout(Reference.parse(f"churn@{number}"), folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_story(moved: Project, cold: NamedRemote, tmp_path: Path) -> None:
    before = bundle(moved, 1, tmp_path / "before")
    shutil.rmtree(moved.settings.cache, ignore_errors=True)
    signed = sign_version(version(moved, 4), key_of("ana"), moved.registry, moved.store, actor="ana")
    done = archived(moved, cold)
    assert [(one.name, one.is_new) for one in done] == [("churn@1", True), ("churn@4", True), ("churn@5", True)]
    assert (tmp_path / "cold/signatures/churn/000000000004" / signed.digest.hex).is_file()
    full = size(moved)
    found = collected(moved)
    assert found.done is not None
    assert size(moved) < full / 2
    gone, stay = {weights(moved, n) for n in (1, 4, 5)}, {weights(moved, n) for n in (2, 3)}
    assert here(moved) & (gone | stay) == stay
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
        ("churn@1", 1), ("churn@4", 1), ("churn@5", 1)
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


def test_what_a_rule_keeps_is_refused_with_the_reason_and_what_to_do(moved: Project, cold: NamedRemote) -> None:
    hold = moved.registry.hold(Reference.parse("churn@4"), "an audit", "ana")
    keeper = archiver(moved, KeepRules(versions=3, incident_days=0, recent_days=30))
    for name, reason, hint in (
        ("churn@3", "live in production", "Promote another version to production first."),
        ("churn@2", "last-known-good of production", "A rollback of production goes there"),
        ("churn@4", f"hold {hold.id}", f"holdfast hold lift {hold.id}"),
        ("churn@1", "one of the last 3 in production", "`versions` in [retention]"),
        ("churn@5", "registered today", "`recent_days` in [retention]"),
    ):
        with pytest.raises(PermissionRefused, match=f"{name} is kept: {reason}") as refused:
            wanted(keeper, name)
        assert hint in refused.value.hint
    assert due(keeper)[0] == []
    assert not Path(cold.address.place).exists()


def test_what_comes_to_be_kept_while_it_is_sent_is_not_written_down(moved: Project, cold: NamedRemote) -> None:
    exchange, keeper = open_exchange(moved, cold), archiver(moved)
    looks = exchange.look

    def look_after_a_promotion() -> Lacking:
        if moved.registry.stage(CHURN, PRODUCTION).number == 3:
            move(moved, 1, 3)
        return looks()

    meanwhile = replace(exchange, look=look_after_a_promotion)
    one = prepared(keeper, version(moved, 1))
    with pytest.raises(PermissionRefused, match="live in production"):
        archive(keeper, meanwhile, Wish("cold", "ana"), one, silent)
    assert moved.registry.archives() == ()
    found = archive_all(keeper, meanwhile, Wish("cold", "ana"), [version(moved, 1), version(moved, 4)], silent)
    assert [one.name for one in found.done] == ["churn@4"]
    assert [name for name, _ in found.left] == ["churn@1"]
    assert not found.failed
    collected(moved)
    assert weights(moved, 1) in here(moved)


@pytest.mark.parametrize("at", ["send", "look"])
def test_an_archive_that_is_interrupted_is_finished_by_the_next_one(moved: Project, cold: NamedRemote, at: str) -> None:
    keeper, exchange = archiver(moved), open_exchange(moved, cold)
    broken = replace(exchange, look=stop) if at == "look" else exchange
    told: Progress = silent
    if at == "send":
        told = stop
    with pytest.raises(KeyboardInterrupt):
        archive(keeper, broken, Wish("cold", "ana"), prepared(keeper, version(moved, 1)), told)
    assert moved.registry.archives() == ()
    assert exchange.remote.ref("refs/versions/churn/000000000001") is None
    [done] = archived(moved, cold, "churn@1")
    assert done.is_new
    assert (done.blobs == 0) == (at == "look")
    [again] = archived(moved, cold, "churn@1")
    assert (again.is_new, again.blobs) == (False, 0)
    assert len(moved.registry.archives()) == 1
    collected(moved)
    [gone] = archived(moved, cold, "churn@1")
    assert not gone.is_new


def test_a_restore_that_is_interrupted_goes_on_and_nothing_of_it_is_let_go(moved: Project, cold: NamedRemote) -> None:
    archived(moved, cold, "churn@1")
    collected(moved)
    exchange = open_exchange(moved, cold)
    with pytest.raises(KeyboardInterrupt):
        restore(exchange, "cold", version(moved, 1), actor="ana", progress=stop)
    assert len(moved.registry.archives()) == 1
    assert version(moved, 1).digest in claimed(root(moved), datetime.now(UTC))
    now = replace(open_collector(moved), rules=NO_TIME)
    assert now.look().plan.lost == ()
    assert restored(moved, cold, "churn@1").is_new
    assert check(moved.store, moved.registry).damaged == ()


def spoil(cold: NamedRemote, how: str) -> None:
    place = Path(cold.address.place)
    if how == "gone":
        shutil.move(place, place.with_name("unplugged"))
    for path in list((place / how).rglob("*")):
        if path.is_file():
            path.unlink()


@pytest.mark.parametrize("how", ["packs", "index", "gone"])
def test_bytes_stay_when_the_remote_does_not_list_them_any_more(moved: Project, cold: NamedRemote, how: str) -> None:
    archived(moved, cold, "churn@1")
    spoil(cold, how)
    found = collected(moved)
    assert weights(moved, 1) in here(moved)
    assert [why for why, kept in found.plan.kept.items() if why.startswith("churn@1, archived: cold") and kept.blobs]
    assert found.to_json()["archived"] == []


def test_bytes_stay_when_the_remote_cannot_be_asked(moved: Project, cold: NamedRemote) -> None:
    archived(moved, cold, "churn@1")
    Remotes(moved.settings.home).remove("cold")
    found = collected(moved)
    [why] = [why for why, kept in found.plan.kept.items() if why.startswith("churn@1, archived") and kept.blobs]
    assert "cold could not be asked" in why
    [sign] = [sign for sign in examine_project(moved.settings, moved.store, moved.registry) if sign.name == "archive"]
    assert not sign.ok
    assert "holdfast remote add cold" in sign.hint
    with pytest.raises(NotFound):
        Remotes(moved.settings.home).of_archive(moved.registry.archives()[0])
    Remotes(moved.settings.home).add(NamedRemote("glacier", cold.address))
    assert weights(moved, 1) in here(moved)
    collected(moved)
    assert weights(moved, 1) not in here(moved)


def test_files_that_mlflows_clients_can_list_keep_the_bytes_of_an_archived_version_until_they_are_deleted(
    moved: Project, cold: NamedRemote
) -> None:
    shelf, one = open_shelf(moved, moved.store), version(moved, 1)
    run = str(shelf.runs.create("0", "ana", 5)["info"]["run_id"])
    folder = f"0/{run}/artifacts/model"
    shelf.files.put(f"{folder}/weights", moved.store.pieces(weights(moved, 1)))
    shelf.registered.names.describe("churn", "who leaves")
    shelf.registered.words.keep(NewRegistered(one.model, one.number, f"runs:/{run}/model", folder, run), "ana")
    archived(moved, cold, "churn@1")
    shelf.runs.delete(run)
    free = open_collector(moved).free_deleted
    assert free(timedelta(), apply=True) == []
    collected(moved)
    assert weights(moved, 1) in here(moved)
    shelf.registered.words.withdraw("churn", 1, "ana")
    assert [found["files"] for found in free(timedelta(), apply=True)] == [1]
    collected(moved)
    assert weights(moved, 1) not in here(moved)
    assert check(moved.store, moved.registry, files=open_named_files(moved)).damaged == ()
    assert restored(moved, cold, "churn@1").blobs == 1


def test_gc_says_what_is_archived_and_may_go(moved: Project, cold: NamedRemote) -> None:
    archived(moved, cold, "churn@1", "churn@4")
    look = replace(open_collector(moved), rules=NO_TIME)
    value = look.look().to_json()
    assert [(one["what"], one["blobs"]) for one in value["archived"]] == [("churn@1", 1), ("churn@4", 1)]
    assert all(one["bytes"] > 1000 for one in value["archived"])
    assert {"record of churn@1", "record of churn@4"} <= {one["why"] for one in value["kept"]}
    collected(moved)
    assert look.look().to_json()["archived"] == []


def test_a_hold_on_what_is_archived_keeps_what_is_here_and_asks_for_nothing(moved: Project, cold: NamedRemote) -> None:
    archived(moved, cold, "churn@1", "churn@4")
    moved.registry.hold(Reference.parse("churn@1"), "an audit", "ana")
    found = collected(moved)
    assert weights(moved, 1) in here(moved)
    assert weights(moved, 4) not in here(moved)
    moved.registry.hold(Reference.parse("churn@4"), "another audit", "ana")
    found = collected(moved)
    assert found.plan.lost == ()
    restored(moved, cold, "churn@4")
    with pytest.raises(PermissionRefused, match="hold"):
        wanted(archiver(moved), "churn@4")


def test_every_way_in_says_that_it_is_archived(
    moved: Project, cold: NamedRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(moved, cold, "churn@1")
    bench = Workbench(moved.store, moved.settings.cache, moved.opener)
    # Its bytes are still here: it can be looked at, and no stage may rely on them.
    materialise(moved.store, version(moved, 1).digest, tmp_path)
    with pytest.raises(Archived):
        promote(Promotion(ask(1)), bench, moved.registry)
    with pytest.raises(Archived):
        move(moved, 1, 3)
    collected(moved)
    monkeypatch.chdir(moved.settings.project)
    digest = version(moved, 1).digest
    other = NamedRemote("other", Address.parse(str(tmp_path / "other")))
    Remotes(moved.settings.home).add(other)
    for way in (
        lambda: judge(ask(1), bench, moved.registry),
        lambda: promote(Promotion(ask(1)), bench, moved.registry),
        lambda: moved.checkout(Reference.parse("churn@1"), tmp_path / "out"),
        lambda: opener(moved.store, moved.settings.cache, moved.registry)(digest),
        lambda: load("churn@1"),
        lambda: push(open_exchange(moved, other), ["churn@1"]),
        lambda: archive(
            archiver(moved),
            open_exchange(moved, other),
            Wish("other", "ana"),
            prepared(archiver(moved), version(moved, 1)),
            silent,
        ),
    ):
        with pytest.raises(Archived, match="churn@1 is archived in cold since") as refused:
            way()
        assert refused.value.hint == "Bring it back with: holdfast restore churn@1"
    shared = push(open_exchange(moved, other), [])
    assert [archive.name for archive in shared.left] == ["churn@1"]
    assert len(shared.refs) == 4


def test_last_known_good_that_was_archived_long_ago_says_so(moved: Project, cold: NamedRemote) -> None:
    archived(moved, cold, "churn@1")
    move(moved, 2, 3, Action.STAGE_ROLLBACK)
    assert moved.registry.stage(CHURN, PRODUCTION).last_known_good == 1
    # What a rollback would want is not let go of, though it is archived.
    collected(moved)
    assert weights(moved, 1) in here(moved)
    bench = Workbench(moved.store, moved.settings.cache, moved.opener)
    with pytest.raises(Archived, match="churn@1 is archived in cold"):
        roll_back(Rollback(CHURN, PRODUCTION, "ana", emergency=True, reason="on fire"), bench, moved.registry)
    shutil.move(cold.address.place, Path(cold.address.place).with_name("unplugged"))
    assert restored(moved, cold, "churn@1").blobs == 0
    roll_back(Rollback(CHURN, PRODUCTION, "ana", emergency=True, reason="on fire"), bench, moved.registry)
    assert moved.registry.audit_verify().ok


def test_pulling_what_is_archived_brings_it_back(moved: Project, cold: NamedRemote, tmp_path: Path) -> None:
    other = NamedRemote("other", Address.parse(str(tmp_path / "other")))
    push(open_exchange(moved, other), ["churn@1"])
    archived(moved, cold, "churn@1")
    collected(moved)
    pull(open_exchange(moved, other), ["churn@1"], "ana")
    assert moved.registry.archives() == ()
    assert weights(moved, 1) in here(moved)
    collected(moved)
    bundle(moved, 1, tmp_path / "out")


def test_a_lost_record_is_damage_and_comes_back_with_the_rest(moved: Project, cold: NamedRemote) -> None:
    archived(moved, cold, "churn@1")
    collected(moved)
    digest = version(moved, 1).digest
    blob(moved, digest).unlink()
    assert [one.digest for one in check(moved.store, moved.registry).damaged] == [digest]
    with pytest.raises(Archived):
        explain(Reference.parse("churn@1"), moved.registry, moved.store)
    restored(moved, cold, "churn@1")
    assert check(moved.store, moved.registry).damaged == ()


def test_a_copy_that_would_not_be_whole_is_not_written_down(moved: Project, cold: NamedRemote) -> None:
    flip_bit(blob(moved, weights(moved, 1)))
    with pytest.raises(IntegrityError):
        archived(moved, cold, "churn@1")
    exchange = open_exchange(moved, cold)
    forgetful = replace(exchange, look=lambda: set)
    keeper = archiver(moved)
    with pytest.raises(IntegrityError, match="does not list"):
        archive(keeper, forgetful, Wish("cold", "ana"), prepared(keeper, version(moved, 4)), silent)
    found = archive_all(keeper, exchange, Wish("cold", "ana"), [version(moved, 1), version(moved, 4)], silent)
    assert found.failed
    assert [archive.name for archive in moved.registry.archives()] == ["churn@4"]


def test_a_bucket_is_an_archive(moved: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with s3_server() as server:
        server.use(monkeypatch)
        bucket = NamedRemote("cold", Address.parse(f"s3://{server.bucket()}/old"))
        Remotes(moved.settings.home).add(bucket)
        before = bundle(moved, 1, tmp_path / "before")
        archived(moved, bucket, "churn@1")
        collected(moved)
        assert weights(moved, 1) not in here(moved)
        restored(moved, bucket, "churn@1")
        assert bundle(moved, 1, tmp_path / "after") == before
        archived(moved, bucket, "churn@4")
    found = collected(moved)
    assert weights(moved, 4) in here(moved)
    assert any("could not be asked" in why for why in found.plan.kept)


def trained_elsewhere(project: Project, content: bytes, run: str | None = None) -> tuple[Version, Digest, Digest]:
    """A version that is @1 but for its data; with the tree and the file of these."""
    path = project.settings.project / "data/other.csv"
    path.write_bytes(content)
    frozen = snapshot(project.store, path, root=project.settings.project)
    known = manifest(project, 1)
    parts = replace(known.parts, data_slice=DataSlice((data_input(frozen, TRAIN),)))
    changed = replace(known, parts=parts)
    with project.store.writer() as writer:
        writer.add_bytes(changed.encode())
        writer.commit()
    edge = Edge("version", str(changed.digest), "trained_on", "snapshot", str(frozen.digest))
    made = NewVersion(CHURN, changed.digest, complete=True, run_id=run, lineage=(edge,))
    return project.registry.register(made, "ana"), frozen.digest, hash_bytes(content)


CONTENT = Random(7).randbytes(300_000)
"""Enough that its pack is not kept for the list beside it."""


def test_data_goes_with_its_version_unless_another_run_needs_it(
    moved: Project, cold: NamedRemote, tmp_path: Path
) -> None:
    maker, reader = (moved.tracking.start_run(NewRun(), "ana").id for _ in range(2))
    made, tree, file = trained_elsewhere(moved, CONTENT, maker)
    for run in (maker, reader):
        moved.tracking.log_inputs(run, [RunInput("train", "other.csv", tree)])
    archived(moved, cold, f"churn@{made.number}")
    collected(moved)
    assert {tree, file} <= here(moved)
    folder = tmp_path / "again"
    with copied(moved.settings.project, folder) as other:
        assert restored(other, cold, f"churn@{made.number}").blobs == 0
    # The run that made it needs no more than it; of a run that only read the data nothing is let go.
    with sqlite3.connect(moved.settings.database_url.removeprefix("sqlite:///")) as connection:
        connection.execute("DELETE FROM run_inputs WHERE run = ?", (reader,))
    collected(moved)
    assert tree in here(moved)
    assert file not in here(moved)
    with pytest.raises(Archived, match=f"churn@{made.number} is archived in cold"):
        moved.require_data(tree)
    with pytest.raises(Archived):
        add_version(moved, 2, inputs=(DataInput(TRAIN, "other.csv", tree, 1, len(CONTENT), ""),))
    # What is frozen again is here again, for whoever needs it now.
    (moved.settings.project / "data/other.csv").write_bytes(CONTENT)
    snapshot(moved.store, moved.settings.project / "data/other.csv", root=moved.settings.project)
    moved.require_data(tree)
    assert restored(moved, cold, f"churn@{made.number}").is_new


def test_a_snapshot_is_archived_by_its_digest_when_nothing_needs_it(moved: Project, cold: NamedRemote) -> None:
    path = moved.settings.project / "extra.csv"
    path.write_bytes(CONTENT)
    tree = snapshot(moved.store, path, root=moved.settings.project).digest
    hold = moved.registry.hold(tree, "an audit", "ana")
    train = next(iter(manifest(moved, 3).snapshots()))
    keeper = archiver(moved)
    for digest, reason in ((tree, f"hold {hold.id}"), (train, "data of churn@1")):
        with pytest.raises(PermissionRefused, match=reason):
            wanted(keeper, str(digest))
    moved.registry.lift(hold.id, "", "ana")
    with pytest.raises(NotFound):
        wanted(keeper, f"sha256:{64 * '0'}")
    [done] = archived(moved, cold, str(tree))
    assert done.is_new
    collected(moved)
    assert tree in here(moved)
    assert hash_bytes(CONTENT) not in here(moved)
    assert [one.blobs for one in check(moved.store, moved.registry).archived] == [1]
    with pytest.raises(Archived, match=str(tree)):
        moved.require_data(tree)
    moved.registry.hold(tree, "another audit", "ana")
    assert collected(moved).plan.lost == ()
    assert restored(moved, cold, str(tree)).is_new
    assert hash_bytes(CONTENT) in here(moved)


def test_the_likely_bases_are_those_archived_before_from_the_nearest_on(moved: Project, cold: NamedRemote) -> None:
    archived(moved, cold, "churn@1", "churn@4")
    mine = manifest(moved, 5)
    found = likely_bases(version(moved, 5), mine, moved.registry, moved.store)
    assert found == {weights(moved, 5): [weights(moved, 4), weights(moved, 1)]}
    bare = replace(mine, parts=replace(mine.parts, weights=Missing("weights", "none")))
    assert likely_bases(version(moved, 5), bare, moved.registry, moved.store) == {}
