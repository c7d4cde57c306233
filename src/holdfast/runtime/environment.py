"""The interpreter that a bundle runs in: one that satisfies its lock, built with uv where none does.

The current interpreter will do when it has the Python that the bundle names and every pin of its lock. Otherwise an
environment named by the lock's digest is built once and kept in the cache.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from holdfast.digest import hash_bytes
from holdfast.errors import BundleFailed
from holdfast.evidence import Environment
from holdfast.parts import Missing
from holdfast.runtime.bundle_files import BundleFiles

__all__ = ["Interpreter", "interpreter_for", "unsatisfied"]

_BUILD_SECONDS_MAX = 1800.0
"""Half an hour: a GPU framework over a slow line; longer means that the index does not answer."""

_MESSAGE_CHARACTERS_MAX = 2000
"""The end of uv's output, which is where it says what it could not find."""

_CARRIED = ("holdfast", "rfc8785")
"""What a worker needs beside the bundle's own requirements; both are pure Python and linked in, not installed."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can open a bundle.

    Attributes:
        executable: the program to start.
        variables: environment variables that it is started with.
        differences: the pins that it does not satisfy; empty but for bundles that have no lock.
    """

    executable: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    differences: tuple[str, ...] = ()


def interpreter_for(files: BundleFiles, cache: Path) -> Interpreter:
    """The interpreter for a bundle.

    Args:
        files: the bundle.
        cache: where built environments are kept.

    Raises:
        BundleFailed: the lock could not be installed; the message carries the end of what uv said.
    """
    environment = files.manifest.evidence.environment
    if isinstance(environment, Missing):
        return Interpreter(Path(sys.executable))
    lock = files.read(environment.lock).decode()
    if not unsatisfied(environment, lock):
        return Interpreter(Path(sys.executable))
    name = hash_bytes(f"{environment.python}\n{lock}".encode()).hex
    folder = cache / "environments" / name
    if not folder.is_dir():
        _build(environment, lock, folder)
    return Interpreter(folder / "bin" / "python", {"PYTHONPATH": str(folder / "carried")})


def unsatisfied(environment: Environment, lock: str) -> tuple[str, ...]:
    """What the current interpreter lacks of a bundle's environment: one phrase for each difference."""
    differences = []
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    theirs = ".".join(environment.python.split(".")[:2])
    if ours != theirs:
        differences.append(f"python {theirs}, not {ours}")
    for line in lock.splitlines():
        pin = line.partition("#")[0].strip()
        name, separator, wanted = pin.partition("==")
        if not separator:
            continue
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "none"
        if found != wanted:
            differences.append(f"{name} {wanted}, not {found}")
    return tuple(differences)


def _build(environment: Environment, lock: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{folder.name}.{uuid4().hex}")
    requirements = scratch / "requirements.txt"
    python = ".".join(environment.python.split(".")[:2])
    try:
        # Relocatable, because the folder gets its final name only when it is whole.
        _uv(["venv", "--quiet", "--relocatable", "--python", python, str(scratch)])
        requirements.write_text(lock)
        target = ["--python", str(scratch / "bin" / "python"), "--compile-bytecode"]
        _uv(["pip", "install", "--quiet", "--no-deps", *target, "-r", str(requirements)])
        carried = scratch / "carried"
        carried.mkdir()
        for name in _CARRIED:
            spec = find_spec(name)
            for place in (spec.submodule_search_locations or []) if spec else []:
                (carried / name).symlink_to(place)
        scratch.rename(folder)
    except OSError:
        # Another process built the same environment first; a folder that is there is whole.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _uv(arguments: list[str]) -> None:
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    program = str(beside) if beside.exists() else shutil.which("uv") or "uv"
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS_MAX,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BundleFailed(
            f"the bundle's environment could not be built: {error}", hint="Install uv: pip install uv"
        ) from error
    if done.returncode != 0:
        raise BundleFailed(
            f"the bundle's environment could not be built: {done.stderr[-_MESSAGE_CHARACTERS_MAX:].strip()}",
            hint="Make the pinned packages reachable, or run where the version was registered.",
        )
