"""What was captured: one frozen value.

Law: `Capture.from_json(capture.to_json()) == capture`. The JSON holds nothing that RFC 8785 cannot (times in
nanoseconds are written as text), and no secret: whoever makes a `Capture` has redacted it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.flow.capture.git import CodeState
from holdfast.flow.capture.locks import LockFile

__all__ = ["Capture", "Distribution", "FileSeen", "SeedCall", "Seeds", "requirements_lock"]


@dataclass(frozen=True, order=True, slots=True)
class FileSeen:
    """A data file of the run.

    Attributes:
        path: absolute.
        size: in bytes; of an input, when it was opened first; of an output, at the end.
        mtime_ns: when it was last changed, in nanoseconds since 1970, at the same moment.
    """

    path: str
    size: int
    mtime_ns: int

    def to_json(self) -> JsonObject:
        """`{"path", "size", "mtime_ns"}`, the last as text: JSON numbers end at 2**53."""
        return {"path": self.path, "size": self.size, "mtime_ns": str(self.mtime_ns)}

    @classmethod
    def from_json(cls, value: Json) -> "FileSeen":
        """The inverse of `to_json`."""
        reader = Reader(value, "file")
        return cls(reader.text("path"), reader.integer("size"), int(reader.text("mtime_ns")))

    def unchanged(self) -> bool:
        """Whether the file on disk is, by size and time, still the one that was seen."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True, order=True, slots=True)
class Distribution:
    """A Python distribution that is installed.

    Attributes:
        name: as its author writes it.
        version: its version.
        origin: the folder or URL it was installed from, when that is not an index.
        editable: whether its code is the folder in `origin` itself, and so may differ from what the version says.
    """

    name: str
    version: str
    origin: str | None = None
    editable: bool = False

    def to_json(self) -> JsonObject:
        """`{"name", "version"}`, and `{"origin", "editable"}` where they say something."""
        value: JsonObject = {"name": self.name, "version": self.version}
        if self.origin is not None:
            value["origin"] = self.origin
        if self.editable:
            value["editable"] = True
        return value

    @classmethod
    def from_json(cls, value: Json) -> "Distribution":
        """The inverse of `to_json`."""
        reader = Reader(value, "distribution")
        return cls(reader.text("name"), reader.text("version"), reader.maybe_text("origin"), reader.flag("editable"))


@dataclass(frozen=True, slots=True)
class SeedCall:
    """The last call of one seeding function.

    Attributes:
        name: `random.seed`, `numpy.random.seed`, `numpy.random.default_rng` or `torch.manual_seed`.
        value: what was passed: a number, None, or text that describes it.
        order: its place among all seeding calls of the process, from 1.
        times: how often the function was called.
        by_holdfast: whether Holdfast made the call because it was asked for a seed.
    """

    name: str
    value: int | float | str | None
    order: int
    times: int
    by_holdfast: bool = False

    def to_json(self) -> JsonObject:
        """All fields."""
        return {
            "name": self.name,
            "value": self.value,
            "order": self.order,
            "times": self.times,
            "by_holdfast": self.by_holdfast,
        }

    @classmethod
    def from_json(cls, value: Json) -> "SeedCall":
        """The inverse of `to_json`."""
        reader = Reader(value, "seed call")
        return cls(
            name=reader.text("name"),
            value=reader.any("value"),
            order=reader.integer("order"),
            times=reader.integer("times"),
            by_holdfast=reader.flag("by_holdfast"),
        )


@dataclass(frozen=True, slots=True)
class Seeds:
    """What fixed the randomness of the run.

    Attributes:
        asked: the seed that the person asked Holdfast to set.
        hash_seed: `PYTHONHASHSEED` of the process; None when Python chose one at random.
        calls: the last call of each seeding function, in order.
    """

    asked: int | None = None
    hash_seed: str | None = None
    calls: tuple[SeedCall, ...] = ()

    def to_json(self) -> JsonObject:
        """`{"asked", "PYTHONHASHSEED", "calls"}`."""
        return {"asked": self.asked, "PYTHONHASHSEED": self.hash_seed, "calls": [call.to_json() for call in self.calls]}

    @classmethod
    def from_json(cls, value: Json) -> "Seeds":
        """The inverse of `to_json`."""
        reader = Reader(value, "seeds")
        return cls(
            asked=reader.maybe_integer("asked"),
            hash_seed=reader.maybe_text("PYTHONHASHSEED"),
            calls=tuple(SeedCall.from_json(item) for item in reader.items("calls")),
        )


@dataclass(frozen=True, slots=True)
class Capture:
    """Everything about one training process that was captured without being asked for.

    Attributes:
        argv: the command, secrets redacted.
        folder: the folder it ran in, absolute.
        started: when it began, UTC.
        finished: when it ended, UTC.
        wall_seconds: how long it took, by a clock that nobody sets.
        exit_code: what it returned; 128 + n when signal n ended it; None while it is not a process of its own.
        killed_by: the name of that signal.
        processes: how many Python processes were seen.
        interpreter: facts about the Python that ran; empty when no Python process reported.
        frameworks: facts that only a loaded framework knows, such as the CUDA version that torch was built for.
        system: operating system, kernel, C library.
        hardware: CPU, memory, GPUs with driver.
        packages: every distribution installed in that interpreter, by name.
        used: those that the process used, and what they require.
        seeds: what fixed its randomness.
        environment: the variables of an allow-list that were set.
        locks: lock files of the project when it began.
        code: the code under Git when it began; its patch is `code.patch`.
        inputs: data files opened for reading, in the order of their first opening.
        outputs: files written that existed at the end, by path.
        notes: what could not be captured, and why.
    """

    argv: tuple[str, ...]
    folder: str
    started: datetime
    finished: datetime
    wall_seconds: float
    code: CodeState
    exit_code: int | None = None
    killed_by: str | None = None
    processes: int = 0
    interpreter: Mapping[str, Json] = field(default_factory=dict)
    frameworks: Mapping[str, Json] = field(default_factory=dict)
    system: Mapping[str, Json] = field(default_factory=dict)
    hardware: Mapping[str, Json] = field(default_factory=dict)
    packages: tuple[Distribution, ...] = ()
    used: tuple[Distribution, ...] = ()
    seeds: Seeds = Seeds()
    environment: Mapping[str, str] = field(default_factory=dict)
    locks: tuple[LockFile, ...] = ()
    inputs: tuple[FileSeen, ...] = ()
    outputs: tuple[FileSeen, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Every field; the bytes of the patch are not among them."""
        return {
            "argv": list(self.argv),
            "folder": self.folder,
            "started": self.started.isoformat(),
            "finished": self.finished.isoformat(),
            "wall_seconds": self.wall_seconds,
            "exit_code": self.exit_code,
            "killed_by": self.killed_by,
            "processes": self.processes,
            "interpreter": dict(self.interpreter),
            "frameworks": dict(self.frameworks),
            "system": dict(self.system),
            "hardware": dict(self.hardware),
            "packages": [one.to_json() for one in self.packages],
            "used": [one.to_json() for one in self.used],
            "seeds": self.seeds.to_json(),
            "environment": dict(self.environment),
            "locks": [lock.to_json() for lock in self.locks],
            "code": self.code.to_json(),
            "inputs": [file.to_json() for file in self.inputs],
            "outputs": [file.to_json() for file in self.outputs],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, value: Json) -> "Capture":
        """The inverse of `to_json`.

        Raises:
            UnsupportedFormat: a field is missing or of another type.
        """
        reader = Reader(value, "capture")
        return cls(
            argv=reader.texts("argv"),
            folder=reader.text("folder"),
            started=datetime.fromisoformat(reader.text("started")),
            finished=datetime.fromisoformat(reader.text("finished")),
            wall_seconds=reader.number("wall_seconds"),
            exit_code=reader.maybe_integer("exit_code"),
            killed_by=reader.maybe_text("killed_by"),
            processes=reader.integer("processes"),
            interpreter=reader.mapping("interpreter"),
            frameworks=reader.mapping("frameworks"),
            system=reader.mapping("system"),
            hardware=reader.mapping("hardware"),
            packages=tuple(Distribution.from_json(item) for item in reader.items("packages")),
            used=tuple(Distribution.from_json(item) for item in reader.items("used")),
            seeds=Seeds.from_json(reader.any("seeds")),
            environment=reader.mapping("environment"),
            locks=tuple(LockFile.from_json(item) for item in reader.items("locks")),
            code=CodeState.from_json(reader.any("code")),
            inputs=tuple(FileSeen.from_json(item) for item in reader.items("inputs")),
            outputs=tuple(FileSeen.from_json(item) for item in reader.items("outputs")),
            notes=reader.texts("notes"),
        )


def requirements_lock(capture: Capture) -> str:
    """The distributions that the run used, pinned, in the format of a requirements file.

    What did not come from an index (an editable folder, a Git commit, a local file) stands as a comment: a pin of its
    version would bring something else. Holdfast itself is left out: a version does not need it to score.
    """
    lines = []
    for one in sorted(capture.used, key=lambda one: one.name.lower()):
        if one.name.lower() == "holdfast":
            continue
        pin = f"{one.name}=={one.version}"
        if one.editable or one.origin:
            kind = "an editable folder" if one.editable else "its own origin"
            lines.append(f"# {pin} was installed from {kind}, not from an index: {one.origin or 'unknown'}")
        else:
            lines.append(pin if one.version else f"# {one.name}: its version is not recorded")
    return "".join(f"{line}\n" for line in lines)
