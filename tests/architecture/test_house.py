"""The repository: its folders are the design's, its locks name no address, and its files speak of Holdfast alone."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pathspec
import pytest

from tests.architecture.sources import ROOT, SOURCE, modules

HOUSE = SOURCE / "holdfast"

ROOMS = {
    "parts": {"weights", "data_slice", "preprocessing_code", "hyperparameters", "eval_threshold"},
    "flow": {"capture", "snapshot", "bundle", "register", "gate", "promote", "rollback"},
    "store": set(),
    "registry": set(),
    "tracking": set(),
    "runtime": set(),
    "serving": set(),
    "upkeep": set(),
    "bridges": set(),
    "web": {"problems"},
    "cli": {"exit_codes", "output"},
}
"""Each folder of the design, and what must be found in it."""

FURNITURE = ("errors", "digest", "config", "names", "canonical", "evidence", "manifest", "wire", "api")

PAPERS = (
    ".ci/run",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "compose.yaml",
    "docs/ERRORS.md",
    "docs/FORMAT.md",
    "docs/GLOSSARY.md",
    "docs/decisions/README.md",
    "pyproject.toml",
    "requirements/bootstrap.txt",
    "requirements/dev.txt",
    "requirements/server.txt",
    "scripts/setup",
)

WORDS_IN_A_DOCSTRING_MIN = 5

ELSEWHERE = {
    # Where KServe mounts a bundle is a promise of KServe's, and no machine of ours.
    "a machine's path": re.compile(r"(?<![\w.~$}])/(?:(?:home|root|Users|work)/\w|mnt/(?!models\b)\w)"),
    "an address of a package index": re.compile(r"(?:pypi|pythonhosted)\.(?:org|io)"),
    "a note to oneself": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b"),
}
"""What no file may speak of."""


@lru_cache(maxsize=1)
def files() -> tuple[Path, ...]:
    """The files that belong to the repository: all that .gitignore does not name."""
    ignored = pathspec.GitIgnoreSpec.from_lines(
        [".git/", *(ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()]
    )

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            shown = path.relative_to(ROOT).as_posix() + ("/" if path.is_dir() else "")
            if not ignored.match_file(shown):
                yield from walk(path) if path.is_dir() and not path.is_symlink() else (path,)

    return tuple(walk(ROOT))


def texts() -> Iterator[tuple[str, str]]:
    """Every file that is text, with its path from the root."""
    for path in files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@lru_cache(maxsize=1)
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def plain_name(requirement: str) -> str:
    """`scikit-learn` of `scikit-learn>=1.5`."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def dependencies() -> dict[str, set[str]]:
    """The declared dependencies by the heading under which their reasons stand."""
    found = project()
    groups = {
        "Always": found["project"]["dependencies"],
        "Development": found["dependency-groups"]["dev"],
        **found["project"]["optional-dependencies"],
    }
    named = {group: {plain_name(line) for line in lines} - {"holdfast"} for group, lines in groups.items()}
    return {group: names for group, names in named.items() if names}


def locked(name: str) -> dict[str, set[str]]:
    """The locked packages of one file of requirements/, with their versions (markers may choose among several)."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([a-z0-9._-]+)==([^ ;]+)", line):
            found.setdefault(plain_name(match[1]), set()).add(match[2])
    return found


def is_room(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("folder", ROOMS)
def test_the_folders_of_the_design_exist(folder: str) -> None:
    assert (HOUSE / folder / "__init__.py").is_file()
    assert [name for name in sorted(ROOMS[folder]) if not is_room(HOUSE / folder / name)] == []


def test_the_modules_of_the_design_exist() -> None:
    assert [name for name in FURNITURE if not is_room(HOUSE / name)] == []


def test_the_listing_of_parts_is_the_tuple() -> None:
    listed = {path.stem for path in (HOUSE / "parts").glob("*.py")} - {"__init__"}
    assert listed == ROOMS["parts"]


def test_every_folder_says_what_it_is() -> None:
    mute = [
        module.place
        for module in modules()
        if module.is_package and len((ast.get_docstring(module.tree) or "").split()) < WORDS_IN_A_DOCSTRING_MIN
    ]
    assert mute == []


@pytest.mark.parametrize("path", PAPERS)
def test_the_papers_of_the_house_exist(path: str) -> None:
    assert (ROOT / path).is_file()
    assert (ROOT / path).stat().st_size > 0


@pytest.mark.parametrize("what", ELSEWHERE)
def test_files_speak_of_nothing_but_holdfast(what: str) -> None:
    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if ELSEWHERE[what].search(line) or (what == "a machine's path" and f"{ROOT}/" in line)
    ]
    assert not found, f"{what}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "name", ["bootstrap.txt", "dev.txt", "kserve.txt", "mlflow-new.txt", "mlflow-old.txt", "server.txt"]
)
def test_a_lock_names_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-|--)(i|f|e|index-url|extra-index-url|find-links|editable)\b", text, flags=re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) >= len(locked(name)) > 0
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_holds_what_the_project_declares() -> None:
    declared = set().union(*dependencies().values())
    assert declared - set(locked("dev.txt")) == set()


def test_both_locks_agree_on_the_installer() -> None:
    assert locked("bootstrap.txt") == {"uv": locked("dev.txt")["uv"]}


def test_what_is_installed_for_production_is_what_is_tested() -> None:
    wanted = set().union(*(dependencies()[group] for group in ("Always", "server", "serve", "gate", "tables")))
    assert wanted - set(locked("server.txt")) == set()
    tested = locked("dev.txt")
    assert {name: found for name, found in locked("server.txt").items() if tested.get(name) != found} == {}


def test_every_dependency_has_a_line_of_reason() -> None:
    text = (ROOT / "docs/decisions/accepted/0002-dependencies.md").read_text(encoding="utf-8")
    given: dict[str, set[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").strip("`")
        elif match := re.fullmatch(r"\| `([^`]+)` \| (.{10,}) \|", line):
            given.setdefault(heading, set()).add(match[1])
    assert given == dependencies()


IMPORTED_AS = {
    "grpcio": "grpc",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "opentelemetry-sdk": "opentelemetry",
    "protobuf": "google",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}

ANOTHER_PERSONS_CHOICE = {
    "cloudpickle": "a format that a user's own environment may hold",
    "mlflow": "the client of scripts that the plugin runs in, and what opens the models that it logged",
    "polars": "snapshots accept its tables where a user has it",
    "sitecustomize": "the user's own start-up module, which a captured script must not lose",
    "torch": "seeds are captured and set where a user has it",
}
"""Imported where it is found, and never asked for."""


def test_everything_that_is_imported_is_declared() -> None:
    runtime = {name for group, names in dependencies().items() if group != "Development" for name in names}
    declared = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in runtime}
    found = {
        f"{found.top} (src/holdfast/{module.place}:{found.line})"
        for module in modules()
        for found in module.imports
        if not found.is_ours and not found.is_standard and found.top not in {*declared, *ANOTHER_PERSONS_CHOICE}
    }
    assert found == set()


def test_continuous_integration_runs_what_the_readme_says() -> None:
    run = (ROOT / ".ci/run").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "set -euo pipefail" in run
    assert re.search(r"^make test$", run, flags=re.MULTILINE)
    assert re.search(r"^make lint$", run, flags=re.MULTILINE)
    assert "make test" in readme
    for path in (".ci/run", "scripts/setup"):
        assert (ROOT / path).stat().st_mode & 0o111, f"{path} cannot be executed"


def test_make_explains_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE)) - {"look"}
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, flags=re.MULTILINE))
    assert targets == explained
    assert {
        "help",
        "setup",
        "demo",
        "test",
        "test-fast",
        "lint",
        "format",
        "story",
        "goldens",
        "bench",
        "lock",
        "clean",
    } <= targets


def test_decisions_are_numbered_once_and_have_their_sections() -> None:
    numbers = []
    for path in sorted((ROOT / "docs/decisions").glob("*/[0-9]*.md")):
        text = path.read_text(encoding="utf-8")
        numbers.append(path.name[:4])
        sections = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
        assert sections == ["Status", "Context", "Decision", "Consequences"], path.name
        assert text.startswith(f"# {path.name[:4]}: "), path.name
    assert len(numbers) == len(set(numbers)) > 0


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^\]]+)\]", text, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
