"""What the plugin does before MLflow has met a server of ours, and that it stays out of the way."""

import logging
import os
import random
import sys
from pathlib import Path

import pytest

from holdfast.flow.capture import capture_here
from holdfast.mlflow_plugin.entry import RunContext
from holdfast.mlflow_plugin.quiet import MODE, quietly, turned_off
from holdfast.mlflow_plugin.watch import Watch


def fail() -> int:
    message = "the disk is full"
    raise OSError(message)


def test_a_failure_is_one_warning_and_never_the_scripts_own(caplog: pytest.LogCaptureFixture) -> None:
    what = f"the data of {os.urandom(4).hex()}"
    with caplog.at_level(logging.WARNING, "holdfast"):
        assert [quietly(what, fail, 7) for _ in range(3)] == [7, 7, 7]
    (told,) = caplog.records
    assert f"{what} could not be kept: OSError: the disk is full" in told.getMessage()
    assert f"{MODE}=off" in told.getMessage()


@pytest.mark.parametrize(("said", "off"), [("off", True), ("OFF", True), ("0", True), ("debug", False), ("", False)])
def test_a_variable_turns_it_off(said: str, off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODE, said)
    assert turned_off() is off


def test_a_run_context_never_adds_tags_of_its_own() -> None:
    context = RunContext()
    assert context.in_context() is False
    assert context.tags() == {}


@pytest.mark.disk
def test_what_was_opened_before_anybody_asked_stands_in_the_capture(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("age\n41\n")
    before = random.seed
    watch = Watch()
    watch.start()
    watch.start()
    try:
        rows.read_text()
        random.seed(7)
        capture = capture_here(tmp_path, watch=watch).so_far()
    finally:
        watch.stop()
    assert [file.path for file in capture.inputs] == [str(rows)]
    assert [(call.name, call.value) for call in capture.seeds.calls] == [("random.seed", 7)]
    assert random.seed is before


def test_a_watch_that_is_stopped_forgets_and_sees_nothing(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("age\n41\n")
    watch = Watch()
    watch.start()
    rows.read_text()
    watch.stop()
    rows.with_name("more.csv").write_text("age\n")
    assert watch.events == []


def test_secrets_of_mlflow_and_downloads_are_nobodys_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    watch = Watch()
    watch.start()
    try:
        for place in (".mlflow/words.csv", ".cache/hub/words.csv", "words.csv"):
            path = tmp_path / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("word\n")
        with Path(os.devnull).open():
            pass
        watch.events.clear()
        for place in (".mlflow/words.csv", ".cache/hub/words.csv"):
            (tmp_path / place).read_text()
    finally:
        watch.stop()
    assert [event for event in watch.events if event[1] == "read"] == []


def test_what_mlflow_loads_with_every_import_loads_nothing_heavy() -> None:
    entry = sys.modules["holdfast.mlflow_plugin.entry"]
    text = Path(str(entry.__file__)).read_text(encoding="utf-8")
    top = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    ours = [line.split()[1] for line in top if "holdfast" in line]
    assert ours == ["holdfast.mlflow_plugin.quiet", "holdfast.mlflow_plugin.watch"]
    assert not any("mlflow." in line and "holdfast" not in line for line in top)
