"""`register --freeze-environment`: the wheels go wherever the version goes, and it opens where no index is."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from holdfast.canonical import JsonObject
from holdfast.cli.app import run
from holdfast.config import Settings
from holdfast.digest import Digest
from holdfast.errors import BundleFailed, HoldfastError
from holdfast.names import Reference
from holdfast.runtime.environment import Environments
from holdfast.runtime.materialise import materialise
from holdfast.store.tree import load_tree
from holdfast.wire import open_project
from tests.commands import Cli
from tests.projects import blob, flip_bit
from tests.store.collecting import age
from tests.wheels import wheel

pytestmark = pytest.mark.slow

NAME = "holdfast_pinned-1.5-py3-none-any.whl"


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that uv looks into, and pip with it, and nowhere else."""
    folder = tmp_path / "wheels"
    wheel(folder, "holdfast_pinned", "1.5", f"VALUE = '{'pinned' * 1000}'\n")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def frozen(cli: Cli, project: Path, links: Path) -> Path:
    """churn@1, which keeps its one wheel; the folder that it came from is gone."""
    (project / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (project / "lock.txt").write_text("holdfast_pinned==1.5\n")
    given = ("--weights", "model.safetensors", "--preprocessing", "none", "--lock", "lock.txt")
    cli.ok("register", "churn", *given, "--freeze-environment")
    shutil.rmtree(links)
    return project


def environment(cli: Cli, folder: Path | None = None) -> JsonObject:
    found: JsonObject = cli.json("show", "churn@1")["evidence"]["environment"]
    return found


def opened(folder: Path) -> str:
    """The module of the wheel, from an environment that is built now."""
    settings = Settings.find(folder)
    shutil.rmtree(settings.cache, ignore_errors=True)
    with open_project(settings) as project:
        digest = project.registry.resolve(Reference.parse("churn@1")).digest
        files = materialise(project.store, digest, settings.cache)
        interpreter = Environments(settings.cache, project.store).interpreter_for(files)
    found = list(interpreter.executable.parents[1].rglob("holdfast_pinned.py"))
    assert not (interpreter.executable.parents[1] / "wheels").exists()
    return found[0].read_text()


def test_the_manifest_names_the_wheels_and_the_bundle_does_not_hold_them(cli: Cli, frozen: Path) -> None:
    with open_project(Settings.find(frozen)) as project:
        tree = load_tree(project.store, Digest.parse(environment(cli)["wheels"]))
        digest = project.registry.resolve(Reference.parse("churn@1")).digest
        files = materialise(project.store, digest, frozen / "elsewhere")
    assert [str(entry.path) for entry in tree.entries] == [NAME]
    assert files.manifest.minor == 2
    assert [str(entry.path) for entry in files.manifest.files if str(entry.path).endswith(".whl")] == []


def test_it_opens_where_no_index_is(cli: Cli, frozen: Path) -> None:
    assert opened(frozen).startswith("VALUE = 'pinned")


def test_without_the_wheels_the_lock_alone_asks_an_index(cli: Cli, frozen: Path) -> None:
    settings = Settings.find(frozen)
    with open_project(settings) as project:
        digest = project.registry.resolve(Reference.parse("churn@1")).digest
        files = materialise(project.store, digest, settings.cache)
        with pytest.raises(BundleFailed, match="could not be built"):
            Environments(settings.cache).interpreter_for(files)


def test_a_second_version_with_the_same_wheels_takes_no_more_room(cli: Cli, frozen: Path, links: Path) -> None:
    wheel(links, "holdfast_pinned", "1.5", f"VALUE = '{'pinned' * 1000}'\n")
    # A wheel made a second later differs in its times; the first one comes out of the store again.
    with open_project(Settings.find(frozen)) as project:
        tree = load_tree(project.store, Digest.parse(environment(cli)["wheels"]))
        (links / NAME).unlink()
        project.store.copy_to(tree.entries[0].digest, links / NAME, mode=0o644)
    given = ("--weights", "model.safetensors", "--preprocessing", "none", "--lock", "lock.txt", "--param", "n=2")
    cli.ok("register", "churn", *given, "--freeze-environment")
    assert cli.json("show", "churn@2")["evidence"]["environment"]["wheels"] == environment(cli)["wheels"]


def test_the_wheels_go_with_a_push_and_come_with_a_pull(
    cli: Cli, frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.ok("remote", "add", "origin", str(tmp_path / "remote"))
    cli.ok("push")
    there = tmp_path / "there"
    cli.ok("clone", str(tmp_path / "remote"), str(there))
    monkeypatch.chdir(there)
    assert opened(there).startswith("VALUE = 'pinned")


def test_space_is_never_made_by_letting_go_of_wheels(cli: Cli, frozen: Path) -> None:
    for _ in range(2):
        age(frozen / ".holdfast/store")
        cli.ok("gc", "--apply")
    assert opened(frozen).startswith("VALUE = 'pinned")


def test_wheels_are_archived_and_restored_with_their_version(cli: Cli, frozen: Path, tmp_path: Path) -> None:
    (frozen / "holdfast.toml").write_text("[retention]\nversions = 1\nincident_days = 0\nrecent_days = 0\n")
    cli.ok("remote", "add", "cold", str(tmp_path / "cold"))
    cli.ok("archive", "churn@1", "--to", "cold", "--reason", "old")
    for path in (frozen / ".holdfast/store/packs").rglob("*/*"):
        path.unlink()
    with pytest.raises(HoldfastError):
        opened(frozen)
    cli.ok("restore", "churn@1")
    assert opened(frozen).startswith("VALUE = 'pinned")


def test_a_flipped_bit_in_a_wheel_is_named_with_the_version_and_never_installed(cli: Cli, frozen: Path) -> None:
    with open_project(Settings.find(frozen)) as project:
        tree = load_tree(project.store, Digest.parse(environment(cli)["wheels"]))
        flip_bit(blob(project, tree.entries[0].digest))
    told = cli("check", "--json")
    assert told.code != 0
    assert "churn@1" in json.dumps(json.loads(told.out))
    assert run(["gate", "churn@1"]) != 0


def test_what_has_no_wheel_cannot_be_frozen_and_nothing_is_registered(cli: Cli, project: Path, links: Path) -> None:
    (project / "lock.txt").write_text("holdfast_pinned==9.9\n")
    cli.fails("bundle_failed", "register", "churn", "--lock", "lock.txt", "--freeze-environment")
    (project / "lock.txt").write_text("-e ./mine\n")
    told = cli.fails("bundle_failed", "register", "churn", "--lock", "lock.txt", "--freeze-environment")
    assert "-e ./mine" in told["message"]
    assert cli.json("list") == {"models": []} or cli.json("list")["versions"] == []
