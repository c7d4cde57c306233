"""The Dockerfile: what it takes in, what it leaves behind, and as whom it runs. test_rehearsal.py carries it out."""

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from holdfast.config import VERSION
from tests.deploy.written import ROOT, only, option, stages, variables

BUILD, IMAGE = stages()


def test_both_stages_stand_on_one_python_whose_minor_version_is_said() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=3\.\d+$", text, flags=re.MULTILINE)
    assert only(BUILD, "FROM").value == "python:${PYTHON}-slim-trixie AS build"
    assert only(IMAGE, "FROM").value == "python:${PYTHON}-slim-trixie"


def test_nothing_is_installed_but_what_a_lock_names_by_hash() -> None:
    steps = [step.strip() for one in BUILD if one.name == "RUN" for step in one.value.split("&&")]
    for step in steps:
        assert step.startswith(("python -m pip install", "uv venv", "uv pip sync", "uv build", "uv pip install")), step
        assert "--require-hashes" in step or step.startswith("uv venv") or "--no-index" in step, step
    assert not any(
        word in one.value for one in IMAGE for word in ("pip install", "apt-get", "curl") if one.name == "RUN"
    )


def is_kept_back(path: str) -> bool:
    """Whether .dockerignore does: of its lines that match a path or a folder above it, the last one counts."""
    back = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        for place in (PurePosixPath(path), *PurePosixPath(path).parents[:-1]):
            name = place.name if pattern.startswith("**/") else str(place) if "/" not in str(place) else None
            if name is not None and not line.startswith("#") and fnmatchcase(name, pattern.removeprefix("**/")):
                back = not line.startswith("!")
    return back


def test_what_it_copies_is_there_and_is_sent_to_the_builder_and_little_else_is() -> None:
    copied = [name for one in BUILD if one.name == "COPY" for name in one.value.split()[:-1]]
    assert copied
    for name in copied:
        path = ROOT / name
        files = [name] if path.is_file() else [str(found.relative_to(ROOT)) for found in path.glob("**/*.py")]
        assert files, name
        assert [file for file in files if is_kept_back(file)] == []
    for name in (".env", ".git/config", "secret.yaml", "tests/conftest.py", "src/holdfast/__pycache__/wire.pyc"):
        assert is_kept_back(name), name


def test_it_runs_as_a_number_that_is_not_root_and_without_a_shell() -> None:
    assert only(IMAGE, "USER").value == "65532:65532"
    assert only(IMAGE, "STOPSIGNAL").value == "SIGTERM"
    assert only(IMAGE, "ENTRYPOINT").words == ["holdfast"]
    assert only(IMAGE, "CMD").words[0] == "server"
    [_, check] = re.split(r"CMD\s+", only(IMAGE, "HEALTHCHECK").value)
    assert check.startswith('["python", ')
    assert IMAGE.index(only(IMAGE, "USER")) > max(at for at, one in enumerate(IMAGE) if one.name in {"RUN", "COPY"})


def test_all_that_it_writes_lies_in_the_home_and_the_home_is_a_volume() -> None:
    home = only(IMAGE, "VOLUME").value
    found = variables(IMAGE)
    assert found["HOLDFAST_HOME"] == home == f"{only(IMAGE, 'WORKDIR').value}/.holdfast"
    for name in ("XDG_STATE_HOME", "UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"):
        assert found[name].startswith(f"{home}/"), name


def test_one_port_is_listened_on_shown_and_checked() -> None:
    port = only(IMAGE, "EXPOSE").value
    assert option(only(IMAGE, "CMD").words, "--port") == port
    assert f"http://127.0.0.1:{port}/healthz" in only(IMAGE, "HEALTHCHECK").value


def test_its_label_says_the_version() -> None:
    assert [one.value for one in IMAGE if one.name == "ARG"] == [f"VERSION={VERSION}"]
    labels = only(IMAGE, "LABEL").value
    for name in ("title", "description", "version", "licenses"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_no_secret_stands_in_a_layer() -> None:
    for one in (*BUILD, *IMAGE):
        assert not re.search(r"PASSWORD|SECRET|TOKEN|_KEY", one.value), one
