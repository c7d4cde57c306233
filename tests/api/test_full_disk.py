"""A disk that fills up while a version is registered: an error with a code, and the registry as before."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import holdfast
from holdfast.config import HOME_NAME, Settings
from holdfast.errors import HoldfastError, NoSpace
from holdfast.tracking.values import RunStatus
from holdfast.wire import open_project
from tests.projects import FEATURES, HOLDOUT_ROWS, TARGET, tables

pytestmark = pytest.mark.slow

RUNS = ("runs", "metrics", "params", "tags", "inputs", "run_tags", "run_inputs", "metric_points", "run_params")


def large_model() -> KNeighborsClassifier:
    """A model of a megabyte, which is its training data."""
    rows = np.random.default_rng(0).normal(size=(40_000, 3))
    return KNeighborsClassifier(3).fit(rows, rows[:, 0] > 0)


def register(run: holdfast.LiveRun) -> int:
    rows = [{**row, TARGET: bool(row[TARGET])} for row in HOLDOUT_ROWS]
    return run.register(
        large_model(), preprocessing="features.py:featurise", threshold=0.5, holdout=rows, target=TARGET
    ).number


def registry(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with open_project(Settings.at(folder / HOME_NAME, {})) as project:
        found = project.registry.audit_verify()
        assert found.ok, found.sentence
        return tables(project, but=RUNS)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 16 MB of its own, and the current folder on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a disk needs root")
    monkeypatch.chdir(disk)
    yield disk
    monkeypatch.chdir(tmp_path)
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("left", [0, 64 << 10, 600 << 10, 1800 << 10])
def test_on_a_disk_that_is_really_full(small_disk: Path, left: int) -> None:
    with holdfast.run("churn") as run:
        (small_disk / "train.csv").write_text("a,b\n1,2\n")
        (small_disk / "features.py").write_text(FEATURES[3], encoding="utf-8")
        run.snapshot("train.csv")
        before = registry(small_disk)
        filler = small_disk / "filler"
        fill(filler, small_disk, left)
        with pytest.raises(NoSpace) as caught:
            register(run)
        assert caught.value.hint
        assert registry(small_disk) == before
        filler.unlink()
        assert list((small_disk / HOME_NAME / "tmp").glob("*")) == []
        assert register(run) == 1
    assert holdfast.search_runs()[0].status is RunStatus.FINISHED


def fill(path: Path, disk: Path, left: int) -> None:
    """Fill the disk but for `left` bytes."""
    status = os.statvfs(disk)
    free = status.f_bavail * status.f_frsize - left
    with path.open("wb") as handle:
        handle.write(b"\0" * max(free, 0))


def test_a_training_on_a_full_disk_ends_as_it_would_have(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    (small_disk / "result.txt").write_text("")
    with holdfast.run("churn") as run:
        fill(small_disk / "filler", small_disk, 0)
    (small_disk / "filler").unlink()
    assert run.id in caplog.text
    with holdfast.run("churn"):
        pass


CALLS = ("write", "fsync", "rename")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_with_a_disk_that_says_no_at_one_call(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """The same without root: the operating system refuses every write of the store from some moment on."""
    with holdfast.run("churn") as run:
        run.snapshot("data/train.csv")
        (folder / "features.py").write_text(FEATURES[3], encoding="utf-8")
        before = registry(folder)

        def refuse(*arguments: object, **named: object) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            with pytest.raises(HoldfastError) as caught:
                register(run)
        assert caught.value.code == "no_space"
        assert registry(folder) == before
        assert register(run) == 1
