"""A folder is what was signed, file by file, or it is refused: whatever else somebody puts into it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import IntegrityError, NotFound, TooLarge, UsageError
from holdfast.runtime import signed as module
from holdfast.runtime.signed import hashed, verified_folder
from holdfast.signing import Statement, sign
from tests.signatures import key_of

ANA = key_of("ana")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "churn-1"
    for path in ("CARD.md", "code/a.py", "holdfast.json"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


@pytest.fixture
def body(folder: Path) -> bytes:
    return sign(Statement("churn", hashed(folder)), ANA)


def test_a_folder_as_it_was_signed_is_good_wherever_it_lies(folder: Path, body: bytes, tmp_path: Path) -> None:
    assert hashed(folder) == {path: hash_bytes(path.encode()) for path in ("CARD.md", "code/a.py", "holdfast.json")}
    (folder / "nothing/in/here").mkdir(parents=True)
    moved = folder.rename(tmp_path / "elsewhere")
    (tmp_path / "current").symlink_to(moved)
    for place in (moved, tmp_path / "current"):
        key, files = verified_folder(place, body, [key_of("bob").public, ANA.public])
        assert (key, len(files)) == (ANA.public, 3)


def planted(path: str) -> Callable[[Path], object]:
    def plant(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("evil")

    return plant


def linked(folder: Path) -> None:
    (folder / "CARD.md").rename(folder.parent / "CARD.md")
    (folder / "CARD.md").symlink_to(folder.parent / "CARD.md")


def linked_folder(folder: Path) -> None:
    (folder / "code").rename(folder.parent / "code")
    (folder / "code").symlink_to(folder.parent / "code")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (planted("evil.py"), r"it says nothing of evil\.py"),
        (planted(".git/hooks/evil"), r"it says nothing of \.git/hooks/evil"),
        (planted("code/__pycache__/a.pyc"), "it says nothing of code/__pycache__"),
        (planted("churn.sig"), r"it says nothing of churn\.sig"),
        (planted("CARD.md"), r"it is over other bytes of CARD\.md"),
        (lambda folder: (folder / "CARD.md").unlink(), r"over files that are not there: CARD\.md"),
        (lambda folder: (folder / "CARD.md").rename(folder / "card.md"), r"it says nothing of card\.md"),
        (linked, r"CARD\.md is a link"),
        (linked_folder, "code is a link"),
        (lambda folder: os.mkfifo(folder / "pipe"), "pipe is no regular file"),
        (planted("a\\b"), "backslash"),
        (planted("a\nb"), "control character"),
        (lambda folder: (folder / os.fsdecode(b"\xff")).write_text("x"), "not valid Unicode"),
    ],
)
def test_a_folder_that_is_not_as_it_was_signed_is_refused(
    folder: Path, body: bytes, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(folder)
    with pytest.raises(IntegrityError, match=said):
        verified_folder(folder, body, [ANA.public])


def test_without_keys_and_with_others_nothing_is_good(folder: Path, body: bytes) -> None:
    with pytest.raises(UsageError, match="no key"):
        verified_folder(folder, body, [])
    with pytest.raises(IntegrityError, match="another key"):
        verified_folder(folder, body, [key_of("bob").public, key_of("eve").public])
    with pytest.raises(IntegrityError):
        verified_folder(folder, b"none", [ANA.public])


def test_what_is_no_folder_of_a_bundle_is_refused(
    folder: Path, body: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound):
        verified_folder(tmp_path / "nowhere", body, [ANA.public])
    with pytest.raises(UsageError):
        verified_folder(folder / "CARD.md", body, [ANA.public])
    (tmp_path / "empty").mkdir()
    with pytest.raises(IntegrityError, match="not there"):
        verified_folder(tmp_path / "empty", body, [ANA.public])
    monkeypatch.setattr(module, "_FILES_MAX", 2)
    with pytest.raises(TooLarge, match="more than 2 files"):
        hashed(folder)
