"""The interpreter that a bundle runs in: one that satisfies its lock, built with uv where none does.

The current interpreter will do when it has the Python that the bundle names and every pin of its lock. Otherwise an
environment named by the lock's digest is built once and kept in the cache.
"""

import os
import re
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
from holdfast.store.disk import refusing

__all__ = ["Interpreter", "interpreter_for", "pins", "unsatisfied"]

_BUILD_SECONDS_MAX = 1800.0
"""Half an hour: a GPU framework over a slow line; longer means that the index does not answer."""

_MESSAGE_CHARACTERS_MAX = 2000
"""The end of uv's output, which is where it says what it could not find."""

_CARRIED = ("holdfast", "rfc8785")
"""What a worker needs beside the bundle's own requirements; both are pure Python and linked in, not installed."""


_PYTHON_MIN = (3, 11)
"""The oldest Python that a worker runs in."""

_PIN = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;#\\]+)")

_TRUST = {"SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS"}
"""Variables by which somebody has said already whom uv is to trust."""

_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where machines keep the certificates they trust; uv brings a list of its own, which knows no company's proxy."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can open a bundle.

    Attributes:
        executable: the program to start.
        variables: environment variables that it is started with.
    """

    executable: Path
    variables: Mapping[str, str] = field(default_factory=dict)


def interpreter_for(files: BundleFiles, cache: Path) -> Interpreter:
    """The interpreter for a bundle.

    Args:
        files: the bundle.
        cache: where built environments are kept.

    Raises:
        BundleFailed: the lock could not be installed; the message carries the end of what uv said.
        NoSpace, PermissionRefused: the cache cannot be written.
    """
    environment = files.manifest.evidence.environment
    if isinstance(environment, Missing):
        return Interpreter(Path(sys.executable))
    try:
        lock = files.read(environment.lock).decode()
    except UnicodeDecodeError as error:
        raise BundleFailed(f"the bundle's lock is not text: {error}", hint="Register the version again.") from error
    if not unsatisfied(environment, lock):
        return Interpreter(Path(sys.executable))
    folder = cache / "environments" / hash_bytes(f"{environment.python}\n{lock}".encode()).hex
    with refusing(folder):
        # The interpreter is a link; one that leads nowhere any more makes the environment worth building again.
        if not (folder / "bin" / "python").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _build(environment, lock, folder)
        carried = _carried(cache)
    return Interpreter(folder / "bin" / "python", {"PYTHONPATH": str(carried)})


def unsatisfied(environment: Environment, lock: str) -> tuple[str, ...]:
    """What the current interpreter lacks of a bundle's environment: one phrase for each difference."""
    differences = []
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    theirs = ".".join(environment.python.split(".")[:2])
    if ours != theirs:
        differences.append(f"python {theirs}, not {ours}")
    for name, wanted in pins(lock):
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "none"
        if found != wanted:
            differences.append(f"{name} {wanted}, not {found}")
    return tuple(differences)


def pins(lock: str) -> list[tuple[str, str]]:
    """Each distribution that the lock pins, with its version; extras, markers, hashes and comments are passed over.

    A requirement with a marker counts whatever the marker says: at worst an environment is built, and uv reads markers.
    """
    return [(match[1], match[2]) for line in lock.splitlines() if (match := _PIN.match(line))]


def _build(environment: Environment, lock: str, folder: Path) -> None:
    python = tuple(int(step) for step in environment.python.split(".")[:2] if step.isdecimal())
    if len(python) != 2 or python < _PYTHON_MIN:  # noqa: PLR2004 - major and minor
        raise BundleFailed(
            f"the bundle names Python {environment.python[:20]}, in which no worker runs",
            hint=f"Register the version from Python {'.'.join(map(str, _PYTHON_MIN))} or newer.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{folder.name}.{uuid4().hex}")
    requirements = scratch / "requirements.txt"
    try:
        # Relocatable, because the folder gets its final name only when it is whole.
        _uv(["venv", "--quiet", "--relocatable", "--python", ".".join(map(str, python)), str(scratch)])
        requirements.write_text(lock, encoding="utf-8")
        target = ["--python", str(scratch / "bin" / "python"), "--compile-bytecode"]
        _uv(["pip", "install", "--quiet", "--no-deps", *target, "-r", str(requirements)])
        _put(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _carried(cache: Path) -> Path:
    """A folder that leads to what a worker needs of this Holdfast; another installation makes another folder."""
    found = [(name, find_spec(name)) for name in _CARRIED]
    places = {name: place for name, spec in found if spec for place in spec.submodule_search_locations or []}
    folder = cache / "carried" / hash_bytes(repr(sorted(places.items())).encode()).hex[:16]
    if all((folder / name).exists() for name in places):
        return folder
    scratch = folder.with_name(f".{folder.name}.{uuid4().hex}")
    scratch.mkdir(parents=True)
    try:
        for name, place in places.items():
            (scratch / name).symlink_to(place)
        _put(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _put(scratch: Path, folder: Path) -> None:
    try:
        scratch.rename(folder)
    except OSError:
        # Another process made the same folder first; one that is there is whole.
        if not folder.is_dir():
            raise


def _uv(arguments: list[str]) -> None:
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    program = str(beside) if beside.exists() else shutil.which("uv") or "uv"
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS_MAX,
            check=False,
            env=_variables(os.environ),
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


def _variables(ours: Mapping[str, str]) -> dict[str, str]:
    """What uv is started with: our environment, and trust in the certificates that pip, git and curl trust here."""
    variables = {name: value for name, value in ours.items() if name != "VIRTUAL_ENV"}
    if not _TRUST & variables.keys() and any(Path(place).exists() for place in _CERTIFICATES):
        variables |= {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}  # the second is its name in older versions
    return variables
