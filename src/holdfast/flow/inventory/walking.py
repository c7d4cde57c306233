"""The files of a project, bounded in number, without the folders that tools keep for themselves."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENTRIES_MAX", "File", "Walk", "walk"]

ENTRIES_MAX = 100_000
"""Files looked at: a few seconds on a cold disk. What an inventory has to say does not change with more of the same."""

_SKIPPED = {
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    ".env",
    "env",
    "node_modules",
    ".holdfast",
    "site-packages",
    "__pycache__",
}
_SKIPPED |= {
    ".tox",
    ".nox",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".ipynb_checkpoints",
    ".idea",
}
_SKIPPED |= {
    ".vscode",
    ".eggs",
    "dist",
    "build",
    "mlruns",
    "wandb",
    ".cache",
    ".github",
    ".gitlab",
    ".dvc",
    "lightning_logs",
}

_TRACES = {
    ".dvc": "dvc",
    "dvc.yaml": "dvc",
    "mlruns": "mlflow",
    "MLproject": "mlflow",
    "wandb": "wandb",
    ".lakectl.yaml": "lakefs",
    "lakectl.yaml": "lakefs",
    ".lakefs_ref.yaml": "lakefs",
    ".hydra": "hydra",
    "lightning_logs": "lightning",
}


@dataclass(frozen=True, order=True, slots=True)
class File:
    """One file.

    Attributes:
        path: relative to the project, with forward slashes.
        size: in bytes.
    """

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Walk:
    """The files of a project.

    Attributes:
        files: by path.
        tools: other tools that left traces.
        whole: False when the limit was reached and files are missing.
    """

    files: tuple[File, ...]
    tools: frozenset[str]
    whole: bool


def walk(folder: Path) -> Walk:
    """The files below `folder`; links to folders are not followed, unreadable folders are passed over."""
    files: list[File] = []
    tools: set[str] = set()
    waiting = [("", str(folder))]
    while waiting and len(files) < ENTRIES_MAX:
        prefix, place = waiting.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            continue
        tools |= {_TRACES[entry.name] for entry in entries if entry.name in _TRACES}
        for entry in entries:
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED and not _is_environment(entry.path):
                    waiting.append((f"{path}/", entry.path))
            elif _is_text(path) and (size := _size(entry)) is not None:
                files.append(File(path, size))
    return Walk(tuple(sorted(files[:ENTRIES_MAX])), frozenset(tools), whole=not waiting and len(files) <= ENTRIES_MAX)


def _is_environment(place: str) -> bool:
    """A virtual or conda environment under any name."""
    return (Path(place) / "pyvenv.cfg").exists() or (Path(place) / "conda-meta").is_dir()


def _size(entry: "os.DirEntry[str]") -> int | None:
    try:
        return entry.stat().st_size if entry.is_file() else None
    except OSError:
        return None


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
