"""Freezing a file or a folder."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.digest import hash_bytes
from holdfast.errors import NotFound, TooLarge, UnsupportedFormat, UsageError
from holdfast.flow.snapshot import load_tree, scan, snapshot
from holdfast.store.checkout import checkout_tree
from holdfast.store.memory import MemoryStore
from tests.effort import examples


def paths(store: MemoryStore, folder: Path, root: Path) -> list[str]:
    frozen = snapshot(store, folder, root=root)
    return [entry.path.text for entry in load_tree(store, frozen.digest).entries]


def test_a_folder_is_frozen_with_all_its_files(store: MemoryStore, project: Path) -> None:
    frozen = snapshot(store, project / "data", root=project)
    tree = load_tree(store, frozen.digest)
    assert {entry.path.text: entry.digest for entry in tree.entries} == {
        "images/1.png": hash_bytes(b"first"),
        "images/2.png": hash_bytes(b"second"),
        "train.csv": hash_bytes(b"a,b\n1,2\n"),
    }
    assert frozen.digest == tree.digest
    assert frozen.to_json() == {
        "digest": str(tree.digest),
        "files": 3,
        "bytes": 19,
        "bytes_new": 19,
        "name": "data",
        "kind": "folder",
        "source": "data",
    }
    assert store.missing(entry.digest for entry in tree.entries) == set()


def test_a_file_is_a_tree_of_one(store: MemoryStore, project: Path) -> None:
    frozen = snapshot(store, str(project / "data/train.csv"), root=project)
    (entry,) = load_tree(store, frozen.digest).entries
    assert (entry.path.text, entry.size, entry.mode) == ("train.csv", 8, 0o644)
    assert (frozen.kind, frozen.name, frozen.source) == ("file", "train.csv", "data/train.csv")


def test_an_empty_file_is_data_too(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert snapshot(store, tmp_path / "empty", root=tmp_path).bytes == 0


def test_the_same_data_has_the_same_name_wherever_it_lies(store: MemoryStore, project: Path, tmp_path: Path) -> None:
    first = snapshot(store, project / "data", root=project)
    checkout_tree(store, load_tree(store, first.digest), tmp_path / "elsewhere")
    second = snapshot(store, tmp_path / "elsewhere", root=project)
    assert second.digest == first.digest
    assert second.bytes_new == 0
    assert second.source == (tmp_path / "elsewhere").as_posix()


def test_a_change_of_bytes_name_or_permission_to_execute_is_another_snapshot(store: MemoryStore, project: Path) -> None:
    data = project / "data"
    digests = [snapshot(store, data, root=project).digest]
    (data / "train.csv").write_bytes(b"a,b\n1,3\n")
    digests.append(snapshot(store, data, root=project).digest)
    (data / "train.csv").rename(data / "other.csv")
    digests.append(snapshot(store, data, root=project).digest)
    (data / "other.csv").chmod(0o755)
    digests.append(snapshot(store, data, root=project).digest)
    (data / "other.csv").chmod(0o711)
    assert snapshot(store, data, root=project).digest == digests[-1]
    assert len(set(digests)) == 4


def test_the_same_bytes_in_two_files_are_new_once(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in "ab":
        (tmp_path / "data" / name).write_bytes(b"12345")
    frozen = snapshot(store, tmp_path / "data", root=tmp_path)
    assert (frozen.bytes, frozen.bytes_new) == (10, 5)


def test_the_project_itself_can_be_frozen(store: MemoryStore, project: Path) -> None:
    frozen = snapshot(store, project, root=project)
    assert (frozen.source, frozen.name, frozen.files) == (".", "project", 3)


def test_a_path_is_understood_from_where_the_caller_stands(
    store: MemoryStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "data")
    assert snapshot(store, "train.csv", root=project).source == "data/train.csv"
    assert snapshot(store, Path(), root=project).name == "data"


def test_a_project_behind_a_link_is_the_same_project(store: MemoryStore, project: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(project)
    assert snapshot(store, tmp_path / "linked/data", root=project).source == "data"


def test_progress_ends_with_all_bytes(store: MemoryStore, project: Path) -> None:
    told: list[tuple[int, int]] = []
    snapshot(store, project / "data", root=project, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (19, 19)


trees = st.dictionaries(
    st.sampled_from(["a", "b/c", "b/d/e", "é", "x y", "z.sh"]),
    st.tuples(st.binary(max_size=20), st.booleans()),
    min_size=1,
)


@given(trees)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30), deadline=None)
def test_checking_a_snapshot_out_gives_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, tuple[bytes, bool]]
) -> None:
    folder, store = tmp_path_factory.mktemp("law"), MemoryStore()
    for path, (data, executable) in files.items():
        file = folder / "in" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o755 if executable else 0o644)
    frozen = snapshot(store, folder / "in", root=folder)
    checkout_tree(store, load_tree(store, frozen.digest), folder / "out")
    for path, (data, executable) in files.items():
        assert (folder / "out" / path).read_bytes() == data
        assert os.access(folder / "out" / path, os.X_OK) == executable
    assert sum(path.is_file() for path in (folder / "out").rglob("*")) == len(files)


# What is left out


def test_the_home_and_git_are_left_out_at_any_depth(store: MemoryStore, project: Path) -> None:
    for folder in (".git", ".holdfast", "data/.git", "data/images/.holdfast"):
        (project / folder).mkdir()
        (project / folder / "inside").write_text("x")
    (project / "data/images/.git").write_text("gitdir: elsewhere")
    (project / ".gitignore").write_text("x")
    (project / ".holdfastignore").write_text("!.git/\n!.holdfast/\n")
    assert paths(store, project, project) == [
        ".gitignore", "data/images/1.png", "data/images/2.png", "data/train.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ("*.png\n", ["train.csv"]),
        ("images/\n", ["train.csv"]),
        ("/train.csv\n", ["images/1.png", "images/2.png"]),
        ("# nothing\n\n", ["images/1.png", "images/2.png", "train.csv"]),
        ("*.png\n!2.png\n", ["images/2.png", "train.csv"]),
        ("images/\n!images/2.png\n", ["train.csv"]),
        ("**/1.*\n", ["images/2.png", "train.csv"]),
    ],
)
def test_patterns_are_those_of_git(store: MemoryStore, project: Path, patterns: str, left: list[str]) -> None:
    (project / "data/.holdfastignore").write_text(patterns)
    assert paths(store, project / "data", project) == left


def test_the_file_at_the_root_of_the_project_counts_too_and_the_nearer_one_wins(
    store: MemoryStore, project: Path
) -> None:
    (project / ".holdfastignore").write_text("/data/train.csv\n*.png\n/images/\n")
    assert not (project / "images").exists()
    (project / "data/.holdfastignore").write_text("!1.png\n")
    assert paths(store, project / "data", project) == ["images/1.png"]


def test_the_file_of_another_project_does_not_count(store: MemoryStore, project: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/.holdfastignore").write_text("*.png\n")
    assert len(paths(store, project / "data", tmp_path / "other")) == 3


def test_a_file_that_is_named_is_frozen_whatever_the_patterns_say(store: MemoryStore, project: Path) -> None:
    (project / ".holdfastignore").write_text("*.csv\n")
    assert snapshot(store, project / "data/train.csv", root=project).files == 1


@pytest.mark.parametrize("data", [b"!\n", b"\xff\n"])
def test_an_ignore_file_that_cannot_be_read_is_refused(store: MemoryStore, project: Path, data: bytes) -> None:
    (project / ".holdfastignore").write_bytes(data)
    with pytest.raises(UsageError) as caught:
        snapshot(store, project, root=project)
    assert caught.value.details["path"] == str(project / ".holdfastignore")


# Links, and what is not a file


def test_a_link_to_a_file_is_frozen_as_the_file(store: MemoryStore, project: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"outside")
    (project / "data/out").symlink_to(tmp_path / "outside")
    (project / "data/in").symlink_to("train.csv")
    tree = load_tree(store, snapshot(store, project / "data", root=project).digest)
    found = {entry.path.text: entry.digest for entry in tree.entries}
    assert found["out"] == hash_bytes(b"outside")
    assert found["in"] == found["train.csv"]


def test_a_folder_that_is_named_through_a_link_is_frozen(store: MemoryStore, project: Path) -> None:
    (project / "linked").symlink_to("data")
    assert (
        snapshot(store, project / "linked", root=project).digest
        == snapshot(store, project / "data", root=project).digest
    )


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        pytest.param(lambda path: path.symlink_to("images"), "link to a folder", id="folder-link"),
        pytest.param(lambda path: path.symlink_to("absent"), "leads nowhere", id="broken-link"),
        pytest.param(lambda path: path.symlink_to(path.name), "leads nowhere", id="link-to-itself"),
        pytest.param(lambda path: path.symlink_to("train.csv/x"), "leads nowhere", id="link-through-a-file"),
        pytest.param(os.mkfifo, "pipe", id="pipe"),
        pytest.param(make_socket, "socket", id="socket"),
        pytest.param(lambda path: path.symlink_to("/dev/null"), "device", id="device"),
    ],
)
def test_what_cannot_be_frozen_is_named_and_can_be_left_out(
    store: MemoryStore, project: Path, make: Callable[[Path], object], kind: str
) -> None:
    make(project / "data/odd")
    with pytest.raises(UsageError, match=kind) as caught:
        snapshot(store, project / "data", root=project)
    assert caught.value.details["path"] == "odd"
    assert "/odd" in caught.value.hint
    assert list(store.digests()) == []
    (project / "data/.holdfastignore").write_text("/odd\n")
    assert snapshot(store, project / "data", root=project).files == 3


def test_a_link_to_a_folder_is_left_out_by_a_pattern_for_folders(store: MemoryStore, project: Path) -> None:
    (project / "data/odd").symlink_to("images")
    (project / "data/.holdfastignore").write_text("odd/\n")
    assert snapshot(store, project / "data", root=project).files == 3


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_a_source_that_is_not_a_file_is_refused(
    store: MemoryStore, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "odd")
    with pytest.raises(UsageError):
        snapshot(store, tmp_path / "odd", root=tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9", b"back\\slash", b"new\nline"])
def test_a_name_that_cannot_stand_in_a_tree_is_refused(store: MemoryStore, tmp_path: Path, name: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / os.fsdecode(name)).touch()
    with pytest.raises(UsageError) as caught:
        snapshot(store, tmp_path / "data", root=tmp_path)
    assert str(caught.value.details["path"]).encode()


def test_a_name_that_is_not_utf8_can_be_left_out(store: MemoryStore, project: Path) -> None:
    (project / "data" / os.fsdecode(b"caf\xe9.tmp")).touch()
    (project / "data/.holdfastignore").write_text("*.tmp\n")
    assert snapshot(store, project / "data", root=project).files == 3


# What is not there


def test_an_empty_folder_is_nothing_to_freeze(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "data/deep").mkdir(parents=True)
    with pytest.raises(UsageError, match="nothing to freeze"):
        snapshot(store, tmp_path / "data", root=tmp_path)


def test_a_folder_of_which_everything_is_left_out_is_nothing_to_freeze(store: MemoryStore, project: Path) -> None:
    (project / ".holdfastignore").write_text("data/\n")
    with pytest.raises(UsageError, match="nothing to freeze") as caught:
        snapshot(store, project / "data", root=project)
    assert ".holdfastignore" in caught.value.hint


def test_a_missing_source_is_not_found_and_the_nearest_names_are_offered(store: MemoryStore, project: Path) -> None:
    with pytest.raises(NotFound) as caught:
        snapshot(store, project / "data/trian.csv", root=project)
    assert "train.csv" in caught.value.hint
    assert caught.value.details["nearest"] == ["train.csv"]


def test_a_missing_source_in_a_missing_folder_is_not_found(store: MemoryStore, tmp_path: Path) -> None:
    for path in ("absent/absent", "absent"):
        with pytest.raises(NotFound):
            snapshot(store, tmp_path / path, root=tmp_path)


def test_a_source_below_a_file_is_refused(store: MemoryStore, project: Path) -> None:
    with pytest.raises((UsageError, NotFound)):
        snapshot(store, project / "data/train.csv/x", root=project)


@pytest.mark.parametrize("source", [None, 7, [1, 2], {"a": 1}])
def test_what_is_neither_a_path_nor_a_table_is_refused(store: MemoryStore, tmp_path: Path, source: object) -> None:
    with pytest.raises(UsageError, match="cannot be frozen"):
        snapshot(store, source, root=tmp_path)


def test_too_many_files_are_refused(store: MemoryStore, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "ENTRIES_MAX", 2)
    with pytest.raises(TooLarge) as caught:
        snapshot(store, project / "data", root=project)
    assert caught.value.details["limit"] == 2


def test_a_digest_of_something_else_is_not_a_tree(store: MemoryStore, project: Path) -> None:
    snapshot(store, project / "data", root=project)
    with pytest.raises(UnsupportedFormat):
        load_tree(store, hash_bytes(b"first"))
    with pytest.raises(NotFound):
        load_tree(store, hash_bytes(b"absent"))
