import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Git = Callable[..., str]


@pytest.fixture
def git_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "ana")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ana@example.org")


@pytest.fixture
def git(tmp_path: Path, git_environment: None) -> Git:
    """Runs git in the project folder, which is `tmp_path / "project"`."""
    project = tmp_path / "project"
    project.mkdir()

    def run(*words: str, folder: Path = project) -> str:
        done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    run("init", "--quiet", "--initial-branch=main")
    return run


@pytest.fixture
def repository(git: Git, tmp_path: Path) -> Path:
    """A repository with one commit."""
    project = tmp_path / "project"
    (project / "train.py").write_text("RATE = 0.1\n")
    (project / "binary.bin").write_bytes(bytes(range(256)))
    git("add", "--all")
    git("commit", "--quiet", "--message=first")
    return project
