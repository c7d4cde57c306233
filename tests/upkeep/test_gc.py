"""`gc` keeps what versions, runs, holds and people at work need, and deletes the rest."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from holdfast.database.engine import Database
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, Unavailable, UsageError
from holdfast.experiments.files import SqlFiles, now_ms
from holdfast.experiments.tables import file_uploads, run_files
from holdfast.experiments.uploads import AGE_MS_MAX, SqlUploads
from holdfast.experiments.waiting import WAITING_BYTES_MAX
from holdfast.flow.snapshot import snapshot
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry import Action, NewEvent, NewVerdict, NewVersion
from holdfast.registry.ledger_pages import LedgerPage
from holdfast.service.line import Line
from holdfast.store.local import LocalStore
from holdfast.tracking import NewRun, RunInput
from holdfast.upkeep.check import check
from holdfast.upkeep.gc import Collection, Collector
from holdfast.upkeep.retention import Retention
from holdfast.wire import Project, open_collector, open_named_files, open_project
from tests.blank import blank_project
from tests.projects import add_version
from tests.store.collecting import DAY, NOW, age
from tests.store.spoiling import spoil

LARGE = WAITING_BYTES_MAX + 1


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project whose registry knows nothing."""
    for name in ("HOLDFAST_STORE_URL", "HOLDFAST_DATABASE_URL", "HOLDFAST_HOME", "HOLDFAST_URL"):
        monkeypatch.delenv(name, raising=False)
    with open_project(blank_project(tmp_path)) as opened:
        yield opened


def database_of(project: Project) -> Database:
    assert not isinstance(project.names, Line)
    return project.names.database()


def root(project: Project) -> Path:
    assert isinstance(project.store, LocalStore)
    return project.store.root


def at(project: Project, now: datetime) -> Collector:
    return replace(open_collector(project), clock=lambda: now)


def run(project: Project, now: datetime = NOW) -> Collection:
    collector = at(project, now)
    return collector.apply(collector.look())


def run_twice(project: Project) -> Collection:
    age(root(project))
    run(project)
    return run(project, NOW + DAY)


def frozen(project: Project, name: str, content: bytes) -> tuple[Digest, Digest]:
    """A snapshot of one file: the tree and the file."""
    path = project.settings.project / name
    path.write_bytes(content)
    return snapshot(project.store, path, root=project.settings.project).digest, hash_bytes(content)


def here(project: Project) -> set[Digest]:
    return set(LocalStore(root(project)).digests())


def test_what_a_run_read_stays_and_what_nobody_read_goes(project: Project) -> None:
    read, dropped = frozen(project, "read.csv", b"read"), frozen(project, "dropped.csv", b"dropped")
    started = project.tracking.start_run(NewRun(), "ana")
    opened = hash_bytes(b"opened by the run and never frozen")
    project.tracking.log_inputs(
        started.id, [RunInput("train", "read.csv", read[0]), RunInput("opened", "other", opened)]
    )
    found = run_twice(project)
    assert found.done is not None
    assert len(found.done.deleted) == 1
    assert here(project) == set(read)
    assert not here(project) & set(dropped)
    assert [why for why, kept in found.plan.kept.items() if kept.blobs] == [f"run {started.id}"]


def test_what_a_file_has_stays_as_long_as_it_has_its_name(project: Project) -> None:
    files = SqlFiles(database_of(project), project.store)
    paths = ["3/4f/artifacts/model/a", "3/models/m-1/artifacts/b", "3/traces/tr-1/artifacts/c", "d"]
    kept = [files.put(path, [path.encode() * LARGE]).digest for path in paths]
    files.put(paths[0], [b"written over"])
    files.below("")
    found = run_twice(project)
    assert here(project) == {*kept[1:], hash_bytes(b"written over")}
    assert {why for why, some in found.plan.kept.items() if some.blobs} == {
        *("run 4f", "logged model m-1", "trace tr-1", "files of d")
    }
    files.remove("3")
    run(project, NOW + 2 * DAY)
    run(project, NOW + 3 * DAY)
    assert here(project) == {kept[3]}


def test_a_file_that_comes_to_need_bytes_while_they_are_about_to_go_keeps_them(project: Project) -> None:
    with project.store.writer() as writer:
        digest = writer.add_bytes(b"nobody needs it").digest
        writer.commit()
    started = project.tracking.start_run(NewRun(), "ana")
    project.tracking.log_inputs(started.id, [RunInput("train", "x", frozen(project, "x.csv", b"x")[0])])
    age(root(project))
    run(project)
    collector = at(project, NOW + DAY)
    found = collector.look()
    with database_of(project).change() as connection:
        row = {"path": "3/4f/artifacts/a", "digest": str(digest), "bytes": 15, "created_ms": 1}
        connection.execute(insert(run_files), row)
    with pytest.raises(Unavailable, match="a file or a hold was added"):
        collector.apply(found)
    assert digest in here(project)


def test_a_damaged_file_is_named_by_check_with_its_run(project: Project) -> None:
    files = SqlFiles(database_of(project), project.store)
    files.put("3/4f/artifacts/a", [b"lost"])
    files.below("")
    assert isinstance(project.store, LocalStore)
    spoil(project.store, hash_bytes(b"lost"), b"found")
    found = check(project.store, project.registry, files=open_named_files(project))
    assert [(one.digest, one.versions) for one in found.damaged] == [(hash_bytes(b"lost"), ("run 4f",))]


def test_a_part_of_a_file_stays_as_long_as_its_upload_may_come_to_an_end(project: Project) -> None:
    database, files = database_of(project), SqlFiles(database_of(project), project.store)
    young = SqlUploads(database, project.store, files)
    old = SqlUploads(database, project.store, files, clock=lambda: now_ms() - 2 * AGE_MS_MAX)
    kept, _ = (
        one.put(one.begin("3/4f/artifacts/a", 1, "ana").id, 1, [word * LARGE])
        for one, word in ((young, b"kept"), (old, b"gone"))
    )
    found = run_twice(project)
    assert here(project) == {kept}
    assert {why for why, some in found.plan.kept.items() if some.blobs} == {"upload to run 4f"}
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(file_uploads)).scalar_one() == 1


def test_what_is_held_stays_until_it_is_lifted(project: Project) -> None:
    held, other = frozen(project, "held.csv", b"held"), frozen(project, "other.csv", b"other")
    made = project.registry.hold(held[0], "an audit", "ana")
    started = project.tracking.start_run(NewRun(), "ana")
    project.tracking.log_inputs(started.id, [RunInput("train", "other.csv", other[0])])
    run_twice(project)
    assert here(project) == {*held, *other}
    project.registry.lift(made.id, "", "ana")
    run(project, NOW + 2 * DAY)
    run(project, NOW + 3 * DAY)
    assert here(project) == set(other)


def test_what_was_frozen_again_unchanged_is_in_use(project: Project) -> None:
    path = project.settings.project / "data.csv"
    path.write_bytes(b"frozen long ago, and again today")
    seen = project.settings.cache / "seen"
    tree = snapshot(project.store, path, root=project.settings.project, seen=seen).digest
    age(root(project))
    again = snapshot(project.store, path, root=project.settings.project, seen=seen)
    assert (again.digest, again.bytes_new) == (tree, 0)
    plan = at(project, NOW).look().plan
    assert {why: kept.blobs for why, kept in plan.kept.items()} == {"in use": 2}
    assert plan.doomed == ()


def test_what_a_verdict_rests_on_stays_and_its_absence_stops_nothing(project: Project) -> None:
    with project.store.writer() as writer:
        answers = writer.add_bytes(b"what both versions answered").digest
        dropped = writer.add_bytes(b"what nobody names").digest
        writer.commit()
    registered = project.registry.ensure_model(ModelName("churn"), "ana")
    one = project.registry.register(NewVersion(registered.name, answers, complete=True), "ana")
    lost = str(hash_bytes(b"judged at another store"))
    for blobs in ([str(answers)], [lost]):
        body = {"findings": [], "blobs": blobs}
        project.registry.put_verdict(NewVerdict(one.model, one.number, StageName("production"), "pass", body))
    found = list(Retention(project.store, project.registry, project.tracking).needs())
    assert (answers, "a verdict on churn@1") in found
    assert not {Digest.parse(lost), dropped} & {digest for digest, _ in found}


def test_a_page_of_the_ledger_stays_until_its_time_is_over_and_longer_where_it_is_held(project: Project) -> None:
    with project.store.writer() as writer:
        pages = [writer.add_bytes(f"page {n}".encode()).digest for n in range(3)]
        finder = writer.add_bytes(b"finder").digest
        writer.commit()
    model = project.registry.ensure_model(ModelName("churn"), "ana").name
    for n, (page, kept_until) in enumerate(zip(pages, (None, NOW + DAY / 2, NOW + DAY / 2), strict=True)):
        project.registry.record(sealed(model, n + 1, page, finder if n == 1 else None, kept_until), "a replica")
    project.registry.hold(pages[2], "an inquiry", "ana")
    age(root(project))
    run(project)
    assert here(project) == {*pages, finder}
    run(project, NOW + DAY)
    run(project, NOW + 2 * DAY)
    assert here(project) == {pages[0], pages[2]}


def test_a_page_of_the_ledger_that_is_lost_is_damage_while_its_time_lasts(project: Project) -> None:
    model = project.registry.ensure_model(ModelName("churn"), "ana").name
    project.registry.record(sealed(model, 1, hash_bytes(b"lost"), None, NOW + DAY), "a replica")
    (damaged,) = check(project.store, project.registry, now=NOW).damaged
    assert (damaged.digest, damaged.versions) == (hash_bytes(b"lost"), ("ledger of churn",))
    assert check(project.store, project.registry, now=NOW + 2 * DAY).damaged == ()
    collector = at(project, NOW)
    with pytest.raises(IntegrityError):
        collector.apply(collector.look())


def sealed(
    model: ModelName, sequence: int, page: Digest, finder: Digest | None, kept_until: datetime | None
) -> NewEvent:
    told = LedgerPage(
        model=model,
        stage=StageName("production"),
        replica="one",
        sequence=sequence,
        digest=page,
        finder=finder,
        rows=1,
        bytes=6,
        first_at=NOW,
        last_at=NOW,
        dropped=0,
        sample=1.0,
        interrupted=False,
        kept_until=kept_until,
    )
    return NewEvent(Action.PAGE_SEAL, model, StageName("production"), details=told.details())


def test_a_registry_that_knows_nothing_lets_nothing_go(project: Project) -> None:
    tree, _ = frozen(project, "data.csv", b"data")
    age(root(project))
    with pytest.raises(UsageError, match="knows no version") as refused:
        run(project)
    assert "--nothing-needed" in refused.value.hint
    collector = at(project, NOW)
    assert collector.apply(collector.look(), nothing_needed=True).done is not None
    assert tree in here(project)


@pytest.mark.parametrize("setting", ["store_url", "database_url"])
def test_a_store_that_another_registry_may_use_is_left_alone(project: Project, setting: str) -> None:
    frozen(project, "data.csv", b"data")
    collector = at(project, NOW)
    mine, elsewhere = collector.settings, "/srv/shared"
    shared = replace(
        collector,
        settings=replace(mine, store_url=elsewhere)
        if setting == "store_url"
        else replace(mine, database_url=elsewhere),
    )
    found = shared.look()
    with pytest.raises(UsageError, match=f"HOLDFAST_{setting.upper()} is set"):
        shared.apply(found)
    assert shared.apply(found, sole_registry=True).done is not None


def test_a_tree_that_cannot_be_read_lets_nothing_go(project: Project) -> None:
    tree, data = frozen(project, "data.csv", b"data")
    project.registry.hold(tree, "why", "ana")
    assert isinstance(project.store, LocalStore)
    spoil(project.store, tree, b"no tree at all")
    age(root(project))
    found = at(project, NOW).look()
    assert found.to_json()["unread"] == [str(tree)]
    with pytest.raises(IntegrityError, match="not known"):
        at(project, NOW).apply(found)
    assert data in here(project)


def test_a_hold_on_what_is_not_there_lets_nothing_go(project: Project) -> None:
    frozen(project, "data.csv", b"data")
    project.registry.hold(hash_bytes(b"lost"), "why", "ana")
    age(root(project))
    with pytest.raises(IntegrityError):
        run(project)


def test_what_comes_to_be_needed_meanwhile_stops_it(project: Project) -> None:
    tree, _ = frozen(project, "data.csv", b"data")
    started = project.tracking.start_run(NewRun(), "ana")
    project.tracking.log_inputs(started.id, [RunInput("train", "x", hash_bytes(b"elsewhere"))])
    age(root(project))
    collector = at(project, NOW)
    found = collector.look()
    project.registry.hold(tree, "just in time", "ana")
    with pytest.raises(Unavailable):
        collector.apply(found, nothing_needed=True)


def test_a_tree_that_many_need_is_read_once(project: Project) -> None:
    tree, data = frozen(project, "data.csv", b"data")
    for _ in range(3):
        project.registry.hold(tree, "why", "ana")
    needs = [digest for digest, _ in Retention(project.store, project.registry, project.tracking).needs()]
    assert sorted(set(needs)) == sorted({tree, data})
    assert needs.count(data) == 1


@pytest.mark.slow
def test_every_version_keeps_its_bundle_and_data(churn: Project) -> None:
    frozen(churn, "dropped.csv", b"nobody needs this")
    found = run_twice(churn)
    assert found.done is not None
    assert hash_bytes(b"nobody needs this") not in here(churn)
    with open_project(churn.settings) as after:
        checked = check(after.store, after.registry)
        assert checked.damaged == ()
        assert checked.notes == ()
        for number in range(1, 6):
            after.checkout(Reference.parse(f"churn@{number}"), churn.settings.project / f"out-{number}")
        assert set(found.plan.kept) >= {f"churn@{number}" for number in range(1, 6)}
        add_version(after, 3, threshold=0.41)
    assert run(churn, NOW + timedelta(days=3)).plan.lost == ()
