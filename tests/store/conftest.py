"""Shared by the tests of the store: what a disk, a crash or a stranger can do."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.store import layout, local_writer
from holdfast.store.local import LocalStore
from tests.store.fine import FINE

NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


@pytest.fixture
def fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that are made from now on cut from a thousand bytes on."""
    monkeypatch.setattr(layout, "CUTTING", FINE)


@pytest.fixture
def exactly(fine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, and every file that is cut is kept as an exact file."""
    monkeypatch.setattr(local_writer, "deserves_exact_file", lambda *_: True)


@pytest.fixture
def no_rights() -> Iterator[None]:
    """Without the rights of root, which no mode can refuse."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that somebody without rights can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="holdfast-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
