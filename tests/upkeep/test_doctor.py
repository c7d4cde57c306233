"""The doctor looks at the machine and at the project, and says of each sign what to do."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from holdfast.digest import hash_bytes
from holdfast.names import ModelName
from holdfast.registry.values import NewVersion
from holdfast.upkeep import doctor
from holdfast.upkeep.doctor import Sign, examine_machine, examine_project
from holdfast.wire import Project, open_project
from tests.blank import blank_project


class Usage(NamedTuple):
    """What `shutil.disk_usage` answers."""

    total: int
    used: int
    free: int


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)
    with open_project(blank_project(tmp_path / "new")) as project:
        yield project


def signs(found: Iterator[Sign]) -> dict[str, Sign]:
    return {sign.name: sign for sign in found}


def of_project(project: Project) -> dict[str, Sign]:
    return signs(examine_project(project.settings, project.store, project.registry))


def test_this_machine_can_work(tmp_path: Path) -> None:
    found = signs(examine_machine(tmp_path))
    assert {"python", "git", "uv", "disk", "extra gate", "extra serve", "extra tables"} <= set(found)
    assert found["python"].ok
    assert sys.executable in found["python"].sentence
    assert found["uv"].ok
    assert all(sign.hint for sign in found.values())


def test_a_missing_tool_or_library_is_named_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "uvloop" else name)
    found = signs(examine_machine(tmp_path))
    assert (found["git"].ok, found["git"].needed) == (False, False)
    assert (found["extra serve"].ok, found["extra serve"].needed) == (False, False)
    assert found["extra serve"].sentence == "uvloop not installed"
    assert found["extra serve"].hint == "pip install 'holdfast[serve]'"
    assert found["extra gate"].ok


def test_a_disk_that_is_nearly_full_is_an_illness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 40, 1 << 40, 1000))
    sign = signs(examine_machine(tmp_path))["disk"]
    assert (sign.ok, sign.needed) == (False, True)
    assert "Make room" in sign.hint


def test_a_new_project_is_well(project: Project) -> None:
    found = of_project(project)
    assert set(found) == {"home", "registry", "store", "audit log", "index", "scratch"}
    assert all(sign.ok for sign in found.values())
    assert found["registry"].sentence == "0 model(s), 0 version(s)"


def test_looking_leaves_nothing_in_the_store(project: Project) -> None:
    of_project(project)
    assert list(project.store.digests()) == []


def test_a_log_that_somebody_edited_is_an_illness(project: Project) -> None:
    project.registry.ensure_model(ModelName("churn"), "ana")
    project.registry.register(NewVersion(ModelName("churn"), hash_bytes(b"1"), complete=True), "ana")
    with closing(sqlite3.connect(project.settings.database_url.removeprefix("sqlite:///"))) as connection:
        triggers = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE events SET actor = 'eve'")
        connection.commit()
    sign = of_project(project)["audit log"]
    assert (sign.ok, sign.needed) == (False, True)
    assert "holdfast audit verify" in sign.hint


def test_a_store_that_takes_no_bytes_is_an_illness(project: Project) -> None:
    tmp = Path(project.settings.store_url) / "tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.write_bytes(b"in the way")
    sign = of_project(project)["store"]
    assert (sign.ok, sign.needed) == (False, True)
    assert sign.hint


def test_what_a_crash_left_over_is_a_note_and_no_illness(project: Project) -> None:
    (project.settings.scratch / "bundle-1").mkdir(parents=True)
    sign = of_project(project)["scratch"]
    assert (sign.ok, sign.needed) == (False, False)
    assert "1 unfinished folder(s)" in sign.sentence


def test_a_sign_that_is_well_gives_no_hint() -> None:
    assert Sign("disk", ok=True, sentence="much", hint="Make room.").to_json()["hint"] == ""
    assert Sign("disk", ok=False, sentence="none", hint="Make room.").to_json()["hint"] == "Make room."
