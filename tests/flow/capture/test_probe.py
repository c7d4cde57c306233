import ast
import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.flow.capture import machine, probe

PIECES = Path(str(probe.__file__)).parent
SELF_CONTAINED = ["probe.py", "opened.py", "seeds.py", "hook/sitecustomize.py"]
Install = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


@pytest.fixture
def install(site: Path) -> Install:
    """Writes the record of a distribution, as an installer leaves it."""

    def write(
        name: str, *, modules: tuple[str, ...] = (), requires: tuple[str, ...] = (), direct: object = None
    ) -> None:
        record = site / f"{name.replace('-', '_')}-1.0.dist-info"
        record.mkdir()
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            "Version: 1.0",
            *(f"Requires-Dist: {one}" for one in requires),
        ]
        (record / "METADATA").write_text("\n".join(lines) + "\n\nName: not this one\n")
        (record / "RECORD").write_text("".join(f"{module}/__init__.py,,\n" for module in modules))
        if direct is not None:
            (record / "direct_url.json").write_text(json.dumps(direct))

    return write


def used(site: Path, *modules: str, leave_out: tuple[str, ...] = ("holdfast",)) -> list[str]:
    return [one.name for one in probe.used_distributions(modules, [str(site)], leave_out)]


@pytest.mark.parametrize("name", SELF_CONTAINED)
def test_the_pieces_that_run_in_the_users_process_need_only_an_old_python(name: str) -> None:
    tree = ast.parse((PIECES / name).read_text(), feature_version=(3, 8))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported <= set(sys.stdlib_module_names)


def test_names_and_versions_come_from_the_record(site: Path, install: Install) -> None:
    install("scikit-learn", modules=("sklearn",))
    (site / "~broken-1.dist-info").mkdir()
    (site / "old.egg-info").write_text("Name: Old.Thing\nVersion: 0.3\n")
    assert [(one.name, one.version) for one in probe.installed([str(site)])] == [
        ("Old.Thing", "0.3"),
        ("scikit-learn", "1.0"),
    ]


def test_the_first_on_the_path_is_the_one_that_is_imported(site: Path, install: Install, tmp_path: Path) -> None:
    install("lib", modules=("lib",))
    other = tmp_path / "other"
    (other / "lib-2.0.dist-info").mkdir(parents=True)
    (other / "lib-2.0.dist-info" / "METADATA").write_text("Name: lib\nVersion: 2.0\n")
    assert [one.version for one in probe.installed([str(other), str(site), "/absent"])] == ["2.0"]


def test_modules_lead_to_their_distribution_and_what_it_requires(site: Path, install: Install) -> None:
    requires = ("ArrayKit>=1", "jobkit (>=1.2)", 'oldkit; python_version < "3"')
    install("forest-kit", modules=("forestkit",), requires=requires)
    install("arraykit", modules=("arraykit",))
    install("jobkit", modules=("jobkit",))
    install("oldkit", modules=("oldkit",))
    install("unrelated", modules=("unrelated",))
    assert used(site, "forestkit.linear_model", "json", "train") == ["arraykit", "forest-kit", "jobkit", "oldkit"]


def test_extras_count_only_when_they_are_asked_for(site: Path, install: Install) -> None:
    install("server", modules=("server",), requires=('fast; extra == "speed"', 'tests; extra == "dev"'))
    install("app", modules=("app",), requires=("server[speed]>=1",))
    install("fast", modules=("fast",))
    install("tests", modules=("tests",))
    assert used(site, "server") == ["server"]
    assert used(site, "app") == ["app", "fast", "server"]


def test_requirements_in_a_circle_come_to_an_end(site: Path, install: Install) -> None:
    install("a", modules=("a",), requires=("b",))
    install("b", modules=("b",), requires=("a", "absent"))
    assert used(site, "a") == ["a", "b"]


def test_a_shared_namespace_brings_everyone_who_lives_in_it(site: Path, install: Install) -> None:
    install("acme-storage", modules=("acme",))
    install("acme-auth", modules=("acme",))
    assert used(site, "acme") == ["acme-auth", "acme-storage"]


@pytest.mark.parametrize(
    ("direct", "origin", "editable"),
    [
        ({"url": "file:///srv/ana/lib", "dir_info": {"editable": True}}, "file:///srv/ana/lib", True),
        ({"url": "https://x/l.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}, "git+https://x/l.git@abc", False),
        ({"url": "file:///tmp/l.whl", "archive_info": {}}, "file:///tmp/l.whl", False),
        (None, "", False),
    ],
)
def test_where_a_distribution_came_from_is_known(
    site: Path, install: Install, direct: object, origin: str, editable: bool
) -> None:
    install("lib", modules=("lib",), direct=direct)
    (one,) = probe.installed([str(site)])
    assert (one.origin, one.editable) == (origin, editable)


def test_an_editable_distribution_is_used_when_its_folder_is(
    site: Path, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("my-project", direct={"url": f"file://{tmp_path}/src", "dir_info": {"editable": True}})
    module = types.ModuleType("features")
    module.__file__ = f"{tmp_path}/src/features.py"
    monkeypatch.setitem(sys.modules, "features", module)
    assert used(site, "features") == ["my-project"]


@pytest.mark.thorough
def test_what_only_the_left_out_one_needs_is_left_out(
    site: Path, install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("capturer", modules=("capturer",), requires=("database", "web"))
    for name in ("database", "web", "model"):
        install(name, modules=(name,))
    project = types.ModuleType("train")
    project.__file__ = str(tmp_path / "train.py")
    monkeypatch.setitem(sys.modules, "train", project)
    modules = ("train", "capturer", "database", "web", "model")
    assert used(site, *modules, leave_out=("capturer",)) == ["model"]
    project.web = types.ModuleType("web")  # type: ignore[attr-defined]
    assert used(site, *modules, leave_out=("capturer",)) == ["model", "web"]


def test_damaged_records_are_survived(site: Path) -> None:
    (site / "empty-1.0.dist-info").mkdir()
    (site / "bytes-1.0.dist-info").mkdir()
    (site / "bytes-1.0.dist-info" / "METADATA").write_bytes(b"Name: b\xff\nVersion\n")
    (site / "bytes-1.0.dist-info" / "direct_url.json").write_bytes(b"{")
    assert len(probe.installed([str(site)])) == 2
    probe.process_facts([str(site)], ["bytes", "empty"])


def test_facts_are_one_line_of_json_whatever_is_loaded() -> None:
    facts = json.loads(probe.json_line(probe.process_facts()))
    assert facts["interpreter"]["version"] == ".".join(str(part) for part in sys.version_info[:3])
    assert "pytest" in facts["used"]
    assert "pytest" in {one["name"] for one in facts["packages"]}


@pytest.mark.slow
def test_an_interpreter_without_anything_can_run_the_probe(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(PIECES / "probe.py")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts["interpreter"]["implementation"] == sys.implementation.name
    assert facts["used"] == []


def test_the_machine_is_known() -> None:
    assert machine.system_facts()["system"]
    hardware = machine.hardware_facts()
    assert hardware["cpu_count"] >= 1
    assert hardware["memory_bytes"] > 1 << 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "gpus"),
    [
        (
            "echo 'Accelerator 9000, 550.54, 81559 MiB'",
            [{"name": "Accelerator 9000", "driver": "550.54", "memory": "81559 MiB"}],
        ),
        ("echo broken driver; exit 9", [{"unreadable": "nvidia-smi gave no answer: CalledProcessError"}]),
        ("exec sleep 30", [{"unreadable": "nvidia-smi gave no answer: TimeoutExpired"}]),
    ],
)
def test_gpus_are_asked_for_within_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, gpus: object
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(machine, "_GPU_SECONDS_MAX", 0.5)
    assert machine.hardware_facts()["gpus"] == gpus
