"""The project around the current folder, found or made."""

import logging
import os
import subprocess
from pathlib import Path

from holdfast.config import HOME_NAME, Settings
from holdfast.errors import AlreadyExists, NoProject
from holdfast.wire import Project, create_project, open_project

__all__ = ["find_or_make_project", "find_project"]

_LOG = logging.getLogger("holdfast")

_GIT_SECONDS_MAX = 5.0
"""Git finds its own root in milliseconds; past this the current folder is the project."""


def find_project() -> Project:
    """The project around the current folder.

    Raises:
        NoProject: there is none.
    """
    return open_project(Settings.find(Path.cwd()))


def find_or_make_project() -> Project:
    """The project around the current folder; one is made where there is none, for a script that trains."""
    try:
        return find_project()
    except NoProject:
        if os.environ.get("HOLDFAST_HOME"):
            raise
    root = _root(Path.cwd())
    try:
        _LOG.warning("made %s in %s", HOME_NAME, create_project(root).project)
    except AlreadyExists:
        # Another process of the same training made it in this moment.
        return open_project(Settings.at(root / HOME_NAME))
    return open_project(Settings.at(root / HOME_NAME))


def _root(here: Path) -> Path:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return here
    found = done.stdout.strip()
    return Path(found) if done.returncode == 0 and found else here
