from pathlib import Path

from holdfast.digest import hash_bytes
from holdfast.flow.capture.locks import LockFile, lock_files


def test_lock_files_of_every_tool_are_found(tmp_path: Path) -> None:
    names = ["requirements.txt", "requirements-dev.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "environment.yml"]
    names += ["conda-lock.yml", "requirements/train.txt"]
    (tmp_path / "requirements").mkdir()
    for name in [*names, "train.py", "notes.txt"]:
        (tmp_path / name).write_text(name)
    found = lock_files(tmp_path)
    assert [lock.path for lock in found] == sorted(names)
    assert all(lock.digest == hash_bytes(lock.path.encode()) for lock in found)


def test_an_empty_lock_is_a_mutex_and_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "data.lock").touch()
    (tmp_path / "folder.lock").mkdir()
    assert lock_files(tmp_path) == ()


def test_no_folder_has_no_locks(tmp_path: Path) -> None:
    assert lock_files(tmp_path / "absent") == ()


def test_json_is_a_round_trip(tmp_path: Path) -> None:
    lock = LockFile("uv.lock", hash_bytes(b"x"))
    assert LockFile.from_json(lock.to_json()) == lock
