import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.flow.capture import opened as opened_module
from holdfast.flow.capture.journal import files_of
from holdfast.flow.capture.opened import OpenedFiles, is_data_path

pytestmark = pytest.mark.disk

Watch = Callable[..., OpenedFiles]


@pytest.fixture
def events() -> list[Any]:
    return []


@pytest.fixture
def watch(events: list[Any]) -> Iterator[Watch]:
    started: list[OpenedFiles] = []

    def start(ignore: tuple[str, ...] = ()) -> OpenedFiles:
        started.append(OpenedFiles(events.append, ignore))
        started[-1].start()
        return started[-1]

    yield start
    for opened in started:
        opened.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "train.csv"
    path.write_text("a,y\n1,0\n")
    return path


def paths(events: list[Any], kind: str, under: Path) -> list[str]:
    return [event[2] for event in events if event[1] == kind and event[2].startswith(str(under))]


def test_a_data_file_is_told_once_as_it_was_when_it_was_opened(watch: Watch, events: list[Any], data: Path) -> None:
    before = data.stat()
    watch()
    for _ in range(3):
        data.read_text()
    assert [event[1:] for event in events] == [("read", str(data), before.st_size, before.st_mtime_ns)]


def test_relative_paths_and_bytes_are_told_as_absolute_text(
    watch: Watch, events: list[Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    watch()
    for name in ("train.csv", b"./train.csv", Path("train.csv")):
        with open(name):  # noqa: PTH123 - the kinds of name that open takes
            pass
    os.close(os.open("train.csv", os.O_RDONLY))
    assert paths(events, "read", data.parent) == [str(data)]


def test_nothing_is_told_before_the_start_and_after_the_stop(watch: Watch, events: list[Any], data: Path) -> None:
    data.read_text()
    opened = watch()
    opened.stop()
    opened.stop()
    data.read_text()
    assert events == []


def test_what_the_process_wrote_first_is_an_output_and_no_input(
    watch: Watch, events: list[Any], tmp_path: Path
) -> None:
    watch()
    (tmp_path / "out.csv").write_text("1")
    (tmp_path / "out.csv").read_text()
    with tempfile.NamedTemporaryFile(dir=tmp_path) as scratch:
        scratch.write(b"x")
        scratch.flush()
        Path(scratch.name).read_bytes()
    files = files_of(events)
    assert files.inputs == ()
    assert [Path(file.path).name for file in files.outputs] == ["out.csv"]
    assert files.outputs[0].size == 1


def test_a_file_written_aside_and_renamed_is_an_output_under_its_last_name(
    watch: Watch, events: list[Any], tmp_path: Path
) -> None:
    watch()
    (tmp_path / "model.tmp").write_text("1")
    (tmp_path / "model.tmp").replace(tmp_path / "model.bin")
    (tmp_path / "model.bin").read_text()
    files = files_of(events)
    assert [Path(file.path).name for file in files.outputs] == ["model.bin"]
    assert files.inputs == ()


def test_a_file_read_and_then_written_is_both_and_said_so(watch: Watch, events: list[Any], data: Path) -> None:
    watch()
    data.read_text()
    data.write_text("new")
    files = files_of(events)
    assert [file.path for file in files.inputs] == [file.path for file in files.outputs] == [str(data)]
    assert (files.inputs[0].size, files.outputs[0].size) == (8, 3)
    assert "read and then written" in files.notes[0]


def test_updating_a_file_in_place_is_reading_and_writing(watch: Watch, events: list[Any], data: Path) -> None:
    watch()
    with data.open("r+") as stream:
        stream.read()
    assert paths(events, "read", data) == paths(events, "write", data) == [str(data)]


def test_appending_is_writing(watch: Watch, events: list[Any], data: Path) -> None:
    watch()
    with data.open("a+") as stream:
        stream.write("x")
    assert (paths(events, "read", data), paths(events, "write", data)) == ([], [str(data)])


def test_folders_absent_files_and_descriptors_are_nothing(watch: Watch, events: list[Any], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    watch()
    with pytest.raises(FileNotFoundError):
        (tmp_path / "absent.csv").read_text()
    os.close(os.open(tmp_path, os.O_RDONLY))
    os.close(writing)
    with open(reading) as stream:  # noqa: PTH123 - a descriptor
        assert stream.read() == ""
    assert events == []


def test_a_database_is_noted_because_sqlite_reads_by_itself(watch: Watch, events: list[Any], tmp_path: Path) -> None:
    watch()
    for name in (str(tmp_path / "features.db"), ":memory:"):
        sqlite3.connect(name).close()
    assert paths(events, "database", tmp_path) == [str(tmp_path / "features.db")]
    assert "which rows were read is not known" in files_of(events).notes[0]


def test_ignored_folders_are_not_told(watch: Watch, events: list[Any], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "blob").write_text("x")
    watch((f"{tmp_path}/home/",))
    (tmp_path / "home" / "blob").read_text()
    (tmp_path / "home" / "new").write_text("x")
    assert events == []


def test_a_sink_that_raises_is_counted_and_never_felt(data: Path) -> None:
    def sink(event: object) -> None:
        raise RuntimeError

    opened = OpenedFiles(sink)
    opened.start()
    try:
        assert data.read_text() == "a,y\n1,0\n"
    finally:
        opened.stop()
    assert opened.failures == 1


def test_files_beyond_the_limit_are_counted(
    watch: Watch, events: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_module, "FILES_MAX", 3)
    for number in range(5):
        (tmp_path / f"{number}.csv").touch()
    opened = watch()
    for number in range(5):
        (tmp_path / f"{number}.csv").read_text()
    assert (len(events), opened.dropped) == (3, 2)


@pytest.mark.parametrize(
    "path",
    ["/srv/ana/churn/data/train.parquet", "/data/images/1.png", "/srv/ana/churn/config.yaml", "/tmp/part-0.csv"],
)
def test_a_users_file_is_data(path: str) -> None:
    assert is_data_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "/srv/ana/churn/train.py",
        "/srv/ana/churn/__pycache__/x.bin",
        "/srv/ana/churn/.git/HEAD",
        "/srv/ana/churn/.git",
        "/srv/ana/churn/libraries/churn-2.0.dist-info/METADATA",
        "/srv/ana/churn/.holdfast/registry.db",
        "/opt/env/lib/python3.12/site-packages/sklearn/datasets/data/iris.csv",
        "/etc/passwd",
        "/proc/cpuinfo",
        "/sys/class/net",
        "/dev/null",
        "/usr/share/zoneinfo/UTC",
        "/usr/lib/os-release",
        "/srv/ana/fonts/DejaVu.ttf",
        "/srv/ana/.aws/config",
        "/srv/ana/.local/state/tool/memory",
        "/srv/state/holdfast/logs/0b17",
        "/srv/ana/.netrc",
        "/srv/ana/churn/.env",
        "/srv/ana/churn/key.pem",
        json.__file__,
        os.__file__.replace("os.py", "LICENSE.txt"),
    ],
)
def test_code_system_files_and_secrets_are_not_data(path: str) -> None:
    assert not is_data_path(path)
