"""`check` re-hashes everything, and names exactly the versions that damage hurts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.evidence import Holdout
from holdfast.flow.snapshot import snapshot
from holdfast.parts import DataSlice
from holdfast.store.tree import load_tree
from holdfast.upkeep.check import check
from holdfast.wire import Project, open_project
from tests.blank import blank_project
from tests.projects import HOLDOUT_ROWS, add_version, blob, flip_bit, manifest, tables, version, write_csv

pytestmark = pytest.mark.slow


def truncate(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as handle:
        handle.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HURTS: list[Callable[[Path], None]] = [flip_bit, truncate, empty, Path.unlink, replace_by_folder]


def file_of(project: Project, number: int, path: str) -> Digest:
    return next(entry.digest for entry in manifest(project, number).files if str(entry.path) == path)


def train_of(project: Project, number: int) -> Digest:
    part = manifest(project, number).parts.data_slice
    assert isinstance(part, DataSlice)
    return part.inputs[0].digest


def found(project: Project) -> dict[Digest, tuple[str, ...]]:
    """The versions that each damaged blob hurts."""
    return {one.digest: one.versions for one in check(project.store, project.registry).damaged}


def test_a_whole_project_is_whole(churn: Project) -> None:
    checked = check(churn.store, churn.registry)
    assert checked.damaged == ()
    digests = list(churn.store.digests())
    assert checked.to_json() == {
        "ok": True,
        "blobs": len(digests),
        "bytes": sum(map(churn.store.size, digests)),
        "bytes_read": checked.bytes_read,
        "damaged": [],
        "notes": [],
        "repaired": [],
        "archived": [],
        "indexed": 0,
        "not_indexed": 0,
    }
    assert 0 < checked.bytes_read <= checked.bytes


@pytest.mark.parametrize("hurt", HURTS)
@pytest.mark.parametrize("path", ["weights/model.joblib", "holdout/outputs.json"])
def test_damage_to_a_file_of_one_version_hurts_that_version_alone(
    churn: Project, hurt: Callable[[Path], None], path: str
) -> None:
    digest = file_of(churn, 2, path)
    hurt(blob(churn, digest))
    hurting = {"weights/model.joblib": ("churn@2", "churn@5"), "holdout/outputs.json": ("churn@2",)}
    assert found(churn) == {digest: hurting[path]}


@pytest.mark.parametrize("hurt", HURTS)
def test_damage_to_what_versions_share_hurts_each_of_them_once(churn: Project, hurt: Callable[[Path], None]) -> None:
    code = file_of(churn, 1, "code/features.py")
    assert code == file_of(churn, 4, "code/features.py")
    hurt(blob(churn, code))
    assert found(churn) == {code: ("churn@1", "churn@4")}


@pytest.mark.parametrize("hurt", HURTS)
def test_damage_to_the_data_hurts_every_version_that_was_trained_on_it(
    churn: Project, hurt: Callable[[Path], None]
) -> None:
    data = load_tree(churn.store, train_of(churn, 1)).entries[0].digest
    hurt(blob(churn, data))
    assert found(churn) == {data: tuple(f"churn@{number}" for number in range(1, 6))}


@pytest.mark.parametrize("hurt", HURTS)
def test_damage_to_the_list_of_the_data_hurts_every_version_that_was_trained_on_it(
    churn: Project, hurt: Callable[[Path], None]
) -> None:
    tree = train_of(churn, 1)
    hurt(blob(churn, tree))
    assert found(churn) == {tree: tuple(f"churn@{number}" for number in range(1, 6))}


@pytest.mark.parametrize("hurt", HURTS)
def test_damage_to_a_manifest_hurts_its_version(churn: Project, hurt: Callable[[Path], None]) -> None:
    digest = version(churn, 3).digest
    hurt(blob(churn, digest))
    assert found(churn) == {digest: ("churn@3",)}


def test_with_its_manifest_lost_a_version_still_knows_its_data(churn: Project) -> None:
    data = load_tree(churn.store, train_of(churn, 1)).entries[0].digest
    blob(churn, version(churn, 3).digest).unlink()
    flip_bit(blob(churn, data))
    assert found(churn) == {
        version(churn, 3).digest: ("churn@3",),
        data: tuple(f"churn@{number}" for number in range(1, 6)),
    }


def test_damage_to_the_snapshot_that_the_holdout_was_read_from_is_told_of(churn: Project) -> None:
    path = churn.settings.project / "data/holdout.csv"
    write_csv(path, HOLDOUT_ROWS)
    frozen = snapshot(churn.store, path, root=churn.settings.project)
    # Nothing was trained on: the data slice is missing, and the holdout knows its snapshot all the same.
    made = add_version(churn, 3, inputs=(), holdout_snapshot=frozen.digest)
    assert isinstance(manifest(churn, made.number).evidence.holdout, Holdout)
    data = hash_bytes(path.read_bytes())
    blob(churn, data).unlink()
    assert found(churn) == {data: (f"churn@{made.number}",)}


def test_a_version_that_needs_the_same_bytes_twice_is_named_once(churn: Project) -> None:
    folder = churn.settings.project / "data"
    (folder / "again.csv").write_bytes((folder / "train.csv").read_bytes())
    everything = snapshot(churn.store, folder, root=churn.settings.project)
    add_version(churn, 3, holdout_snapshot=everything.digest, threshold=0.41)
    data = load_tree(churn.store, train_of(churn, 1)).entries[0].digest
    flip_bit(blob(churn, data))
    assert found(churn) == {data: tuple(f"churn@{number}" for number in range(1, 7))}


def test_damage_that_no_version_needs_is_told_of_too(churn: Project) -> None:
    with churn.store.writer() as writer:
        digest = writer.add_bytes(b"nobody needs this").digest
        writer.commit()
    flip_bit(blob(churn, digest))
    assert found(churn) == {digest: ()}


def test_several_damages_are_all_told_of(churn: Project) -> None:
    weights, code = file_of(churn, 3, "weights/model.joblib"), file_of(churn, 1, "code/features.py")
    flip_bit(blob(churn, weights))
    blob(churn, code).unlink()
    assert found(churn) == {weights: ("churn@3",), code: ("churn@1", "churn@4")}
    value = check(churn.store, churn.registry).to_json()
    assert value["ok"] is False
    assert {one["digest"] for one in value["damaged"]} == {str(weights), str(code)}
    assert all(one["reason"] for one in value["damaged"])


def test_checking_changes_nothing_in_the_registry(churn: Project) -> None:
    before = tables(churn)
    flip_bit(blob(churn, file_of(churn, 3, "weights/model.joblib")))
    check(churn.store, churn.registry)
    assert tables(churn) == before


def test_adding_the_same_bytes_again_heals_what_was_found(churn: Project) -> None:
    digest = file_of(churn, 3, "code/features.py")
    data = churn.store.read(digest, bytes_max=1 << 20)
    flip_bit(blob(churn, digest))
    assert digest in found(churn)
    with churn.store.writer() as writer:
        writer.add_bytes(data)
        writer.commit()
    assert found(churn) == {}


def test_it_says_how_far_it_is(churn: Project) -> None:
    told: list[tuple[int, int]] = []
    checked = check(churn.store, churn.registry, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] >= checked.bytes_read > 0
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_an_empty_project_is_whole(tmp_path: Path) -> None:
    with open_project(blank_project(tmp_path / "new")) as project:
        assert check(project.store, project.registry).to_json() == {
            "ok": True,
            "blobs": 0,
            "bytes": 0,
            "bytes_read": 0,
            "damaged": [],
            "notes": [],
            "repaired": [],
            "archived": [],
            "indexed": 0,
            "not_indexed": 0,
        }
