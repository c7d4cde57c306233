"""The interpreter that a bundle runs in: one that satisfies its lock, built with uv where none does.

The current interpreter will do when it has the Python that the bundle names and every pin of its lock. Otherwise an
environment named by the lock's digest is built once and kept in the cache: from the wheels that the version brings
along, or from the index that uv knows.
"""

import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from holdfast.config import ENVIRONMENTS_BYTES_MAX
from holdfast.digest import hash_bytes
from holdfast.errors import BundleFailed
from holdfast.evidence import Environment
from holdfast.parts import Missing
from holdfast.runtime.building import Order, build
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.shelf import Shelf
from holdfast.store.checkout import checkout_snapshot
from holdfast.store.disk import refusing
from holdfast.store.interface import Store

__all__ = ["AS_OF", "Environments", "Interpreter", "interpreter_for", "pins", "unsatisfied"]

_CARRIED = ("holdfast", "rfc8785")
"""What a worker needs beside the bundle's own requirements; both are pure Python and linked in, not installed."""

_PYTHON_MIN = (3, 11)
"""The oldest Python that a worker runs in."""

AS_OF = "resolved_as_of"
"""What an environment says in its values whose lock pins only what somebody named, and not what that needs in turn: the
moment whose index decides about the rest, such as `2026-03-01T09:00:00Z`."""

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)

_PIN = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;#\\]+)")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can open a bundle.

    Attributes:
        executable: the program to start.
        variables: environment variables that it is started with.
        built: whether it was made for a bundle, so that what is installed in it is as little trusted as the bundle.
        in_use: the file that says so, locked for as long as a process runs in it; None where nobody would remove it.
    """

    executable: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    built: bool = False
    in_use: Path | None = None


@dataclass(frozen=True, slots=True)
class Environments:
    """Where interpreters come from.

    Attributes:
        cache: the folder in which built environments are kept.
        store: where the wheels are that versions bring along; None: such a version is built from the index.
        from_source: whether a requirement without a wheel may be built, which runs code of its author's.
        bytes_max: what all environments may take together; those unused for longest are removed.
    """

    cache: Path
    store: Store | None = None
    from_source: bool = False
    bytes_max: int = ENVIRONMENTS_BYTES_MAX

    def interpreter_for(self, files: BundleFiles) -> Interpreter:
        """The interpreter for a bundle.

        Raises:
            BundleFailed: the lock could not be installed; the message carries the end of what uv said.
            NotFound, IntegrityError: the wheels that the version brings along are not in the store, or damaged.
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
        wheels = environment.wheels if self.store is not None else None
        python = _python(environment)
        as_of = _as_of(environment)
        source = "\n".join(
            [environment.python, lock, *([] if wheels is None else [str(wheels)]), *([as_of] if as_of else [])]
        )
        shelf = Shelf(self.cache / "environments", self.bytes_max)

        def put_together(folder: Path) -> None:
            taken = None
            if wheels is not None and self.store is not None:
                taken = folder / "wheels"
                checkout_snapshot(self.store, wheels, taken)
            build(Order(python, lock, len(pins(lock)), taken, self.from_source, as_of), folder)

        with refusing(self.cache):
            folder, in_use = shelf.take(hash_bytes(source.encode()).hex, put_together)
            carried = _carried(self.cache)
        return Interpreter(folder / "bin" / "python", {"PYTHONPATH": str(carried)}, built=True, in_use=in_use)


def interpreter_for(files: BundleFiles, cache: Path) -> Interpreter:
    """The interpreter for a bundle, without the wheels that its version may bring along; raises as `Environments`."""
    return Environments(cache).interpreter_for(files)


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


def _python(environment: Environment) -> str:
    python = tuple(int(step) for step in environment.python.split(".")[:2] if step.isdecimal())
    if len(python) != 2 or python < _PYTHON_MIN:  # noqa: PLR2004 - major and minor
        raise BundleFailed(
            f"the bundle names Python {environment.python[:20]}, in which no worker runs",
            hint=f"Register the version from Python {'.'.join(map(str, _PYTHON_MIN))} or newer.",
        )
    return ".".join(map(str, python))


def _as_of(environment: Environment) -> str | None:
    """For a lock that says of itself that it does not name everything: the moment that decides about the rest."""
    found = environment.values.get(AS_OF)
    return found if isinstance(found, str) and _MOMENT.fullmatch(found) else None


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
        try:
            scratch.rename(folder)
        except OSError:
            # Another process made the same folder first; one that is there is whole.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder
