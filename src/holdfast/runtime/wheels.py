"""The wheels that a lock pins, fetched with pip: uv installs wheels, but gives none of them out.

pip is told of the index that uv is told of, where it was not told of one itself: the same name from another index would
be somebody else's code.
"""

import os
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from holdfast.errors import BundleFailed
from holdfast.runtime.building import is_hashed, run_tool, uv_program, variables_for_uv
from holdfast.runtime.environment import pins

__all__ = ["fetch_wheels"]

_AS_PIP_CALLS_IT = {
    "UV_FIND_LINKS": "PIP_FIND_LINKS",
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX_URL": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_EXTRA_INDEX_URL": "PIP_EXTRA_INDEX_URL",
    "UV_NO_INDEX": "PIP_NO_INDEX",
    "UV_OFFLINE": "PIP_NO_INDEX",
}

_NAMED_INDEX = re.compile(r"(?:^|(?<=\s))[A-Za-z][A-Za-z0-9_-]*=(?=[a-z+]+://)")
"""uv may give an index a name, `name=https://…`; pip knows none."""

_NOT_PINNED = re.compile(r"\s*(?:-e\b|--editable\b|[A-Za-z0-9][^#]*\s@\s)")
"""What leads to a folder or a URL: there is no wheel of it that anybody else could fetch."""


def fetch_wheels(lock: str, python: str, folder: Path) -> None:
    """Put the wheels of everything that the lock pins into `folder`: for this platform, and this version of Python.

    Args:
        lock: the pinned requirements.
        python: such as `3.11.7`.
        folder: an empty folder.

    Raises:
        BundleFailed: one of them cannot be fetched, or has no wheel.
    """
    elsewhere = [line.strip() for line in lock.splitlines() if _NOT_PINNED.match(line)]
    if elsewhere or not pins(lock):
        what = f"the lock asks for {elsewhere[0][:200]}, of which" if elsewhere else "the lock pins nothing, of which"
        raise BundleFailed(f"{what} there is no wheel to keep", hint="Register without --freeze-environment.")
    requirements = folder.with_name(f"{folder.name}.txt")
    requirements.write_text(lock, encoding="utf-8")
    version = ".".join(python.split(".")[:2])
    arguments = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", version]
    arguments += ["--require-hashes"] if is_hashed(lock) else []
    told = f"holdfast: fetching the wheels of {len(pins(lock))} requirements\n"
    said = run_tool([*_pip(), *arguments, "-d", str(folder), "-r", str(requirements)], _variables(os.environ), told)
    requirements.unlink()
    if said is not None:
        raise BundleFailed(
            f"the environment could not be frozen: {said}",
            hint="Make the pinned packages reachable for pip, as wheels; or register without --freeze-environment.",
        )


def _pip() -> list[str]:
    """The pip of this interpreter, or one that uv brings."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    return [uv_program(), "tool", "run", "pip"]


def _variables(ours: Mapping[str, str]) -> dict[str, str]:
    variables = {**variables_for_uv(ours), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    for theirs, name in _AS_PIP_CALLS_IT.items():
        if theirs in ours and name not in variables:
            variables[name] = _NAMED_INDEX.sub("", ours[theirs])
    return variables
