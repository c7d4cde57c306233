"""The parent's end of a worker: start it, ask it, end it.

with Predictor.start(files, interpreter=interpreter_for(files, cache)) as predictor:
    predictor.predict(table).predictions
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.canonical import JsonObject, Reader, decode
from holdfast.errors import BundleFailed, HoldfastError, TooLarge, Unavailable, from_json
from holdfast.manifest import Manifest
from holdfast.parts import Weights
from holdfast.runtime.at_the_limit import how_it_ended
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.confine import Walls
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.frames import pack, receive
from holdfast.runtime.limits import Limits
from holdfast.runtime.loaders.mlflow import EACH
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table
from holdfast.runtime.sent import Sent
from holdfast.runtime.session import Printed, end_session, processes_in
from holdfast.runtime.shapes import TABLE
from holdfast.runtime.shelf import held_in_use
from holdfast.runtime.smoke import answer_of
from holdfast.store.disk import refusing

__all__ = ["SERVED", "Hello", "Predictor", "Spawned", "spawn"]

_LOOK_SECONDS = 0.25
"""How often a worker that is waited for is looked at: a fork bomb has some hundred processes then, not a million."""

_END_SECONDS_MAX = 5.0
"""A worker that has lost its socket has nothing left to do; past this it is killed."""

_MESSAGE_CHARACTERS_MAX = 2000
"""What is believed of a worker's account of an error: its code may have written it."""

_AS_JSON = Sent()

SERVED = Limits()
"""The limits of a version that somebody relies on already."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A worker process that has been started, and the parent's end of its socket. It has not said hello yet.

    Attributes:
        process: the process; it leads a session of its own.
        connection: the parent's end.
        scratch: the one folder that it may write to; `end` removes it.
        limits: what it may use: what was asked for, and room for what its loader has to write.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket
    scratch: Path
    limits: Limits

    def end(self, seconds: float) -> int | None:
        """Wait for the process, which has lost its socket, end all that is left of it, and tidy up; its exit code."""
        try:
            return end_session(self.process, seconds)
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)


def spawn(
    files: BundleFiles,
    interpreter: Interpreter,
    stamp: JsonObject,
    limits: Limits = SERVED,
    *,
    printed: Printed | None = None,
) -> Spawned:
    """Start a worker for the bundle, in the interpreter that satisfies its lock.

    Args:
        files: the bundle's directory.
        interpreter: what `runtime.environment` chose.
        stamp: what the worker writes into every answer: `model`, `version`, `digest`.
        limits: what it may use.
        printed: where its standard error goes; None: to ours.

    Raises:
        OSError: the process could not be started.
        NoSpace, PermissionRefused: there is no temporary folder to give it.
    """
    with refusing(Path(tempfile.gettempdir())):
        scratch = Path(tempfile.mkdtemp(prefix="holdfast-worker-"))
    limits = limits.with_room_for(_written_out(files.manifest))
    ours, theirs = socket.socketpair()
    with theirs, _in_use(interpreter) as kept:
        arguments = [str(theirs.fileno()), str(files.root), str(files.digest), json.dumps(stamp)]
        arguments += [json.dumps(limits.to_json()), str(scratch)]
        # Of our settings a worker needs none, and tokens and passphrases are among them.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        environment = {**inherited, **interpreter.variables, "TMPDIR": str(scratch)}
        environment["PYTHONPATH"] = _search_path(environment.get("PYTHONPATH", ""))
        # What wheels of somebody else's choice do when an interpreter starts is put off until the limits stand.
        flags = ["-P", "-S"] if interpreter.built else ["-P"]
        try:
            process = subprocess.Popen(
                [str(interpreter.executable), *flags, "-m", "holdfast.runtime.worker", *arguments],
                pass_fds=[theirs.fileno(), *kept],
                stdin=subprocess.DEVNULL,
                stderr=None if printed is None else printed.write,
                env=environment,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    return Spawned(process, ours, scratch, limits)


def _written_out(manifest: Manifest) -> int:
    """The length of the longest file that the loader of these weights has to write: MLflow opens folders alone."""
    weights = manifest.parts.weights
    if not isinstance(weights, Weights) or weights.loader not in EACH:
        return 0
    return max((manifest.file(path).size for path in weights.files), default=0)


@contextmanager
def _in_use(interpreter: Interpreter) -> Iterator[list[int]]:
    """What a process is handed so that nobody removes the environment that it runs in; ours is closed afterwards."""
    if interpreter.in_use is None:
        yield []
        return
    handle = held_in_use(interpreter.in_use)
    try:
        yield [handle]
    finally:
        os.close(handle)


def _search_path(given: str) -> str:
    """Of the folders in PYTHONPATH, those that hold Holdfast or installed distributions.

    A folder of plain sources is the project, and a bundle that leaned on it would answer here and nowhere else.
    """
    folders = [Path(entry) for entry in given.split(os.pathsep) if entry]
    kept = [one for one in folders if (one / "holdfast" / "runtime").is_dir() or any(one.glob("*.dist-info"))]
    return os.pathsep.join(str(folder) for folder in kept)


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker said of itself when it had opened its bundle.

    Attributes:
        pid: its process.
        open_seconds: how long verifying, importing and loading took.
        memory_bytes: the most memory that it had needed by then.
        walls: which of its limits the system holds.
        foreign: which library wrote the weights and which opened them, where they differ.
    """

    pid: int
    open_seconds: float
    memory_bytes: int
    walls: Walls
    foreign: str | None

    @classmethod
    def of(cls, header: JsonObject) -> "Hello":
        """The hello in the header of a worker's first frame.

        Raises:
            UnsupportedFormat: it is none.
        """
        reader = Reader(header, "hello")
        return cls(
            reader.integer("pid"),
            reader.number("open_seconds"),
            reader.integer("memory_bytes"),
            Walls.from_json(reader.reader("walls")),
            reader.maybe_text("foreign"),
        )


class Predictor:
    """One open bundle in its own process; not safe for several threads at once.

    Attributes:
        hello: what the worker said when the bundle was open.
        limits: what it may use.
    """

    hello: Hello

    def __init__(self, spawned: Spawned, printed: Printed) -> None:
        self.limits = spawned.limits
        self._spawned = spawned
        self._process = spawned.process
        self._connection = spawned.connection
        self._printed = printed
        self._looked_at = time.monotonic()
        # Between a question and its answer nobody else may ask: an answer that nobody read would be taken for the next.
        self._owes_answer = False

    @classmethod
    def start(
        cls, files: BundleFiles, interpreter: Interpreter, *, version: int | None = None, limits: Limits = SERVED
    ) -> "Predictor":
        """Start a worker and wait until the bundle is open.

        Args:
            files: the bundle's directory.
            interpreter: what `runtime.environment` chose.
            version: the version's number, when it has one.
            limits: what the worker may use.

        Raises:
            BundleFailed: the bundle's code or weights raised, the process ended or passed a limit, or it could not be
                started.
            IntegrityError: a file of the bundle is damaged.
            Unavailable: the bundle was not open in time.
            NoSpace, PermissionRefused: there is no temporary folder to give it.
        """
        stamp = {"model": str(files.manifest.model), "version": version, "digest": str(files.digest)}
        printed = Printed()
        try:
            spawned = spawn(files, interpreter, stamp, limits, printed=printed)
        except HoldfastError:
            printed.drop()
            raise
        except OSError as error:
            printed.drop()
            raise BundleFailed(
                f"no process for the bundle could be started: {error}",
                hint="Look at the interpreter it needs, and at the limits of this machine.",
            ) from error
        printed.start()
        predictor = cls(spawned, printed)
        try:
            header, _ = predictor._receive()
            predictor.hello = Hello.of(header)
        except BaseException:
            predictor.close()
            raise
        return predictor

    @property
    def open(self) -> bool:
        """Whether it can be asked; not after its process has ended, or was too late."""
        return self._connection.fileno() >= 0

    def predict(self, table: Table) -> Answer:
        """The bundle's answer to raw rows.

        Raises:
            InvalidInput: the rows do not fit the schema.
            BundleFailed: the bundle's own code raised, its process has ended or passed a limit, or it answered another
                number of rows.
            TooLarge: the rows or the answer pass the limit of one call.
            Unavailable: no answer in time; the process has been ended.
        """
        body = json.dumps(table.to_json(), separators=(",", ":")).encode()
        answer = answer_of(self._ask({"op": "predict", "shape": TABLE}, body))
        # The worker has counted them too; but its code may write to its socket as well as we do.
        if not len(answer.predictions) == len(answer.scores) == table.count:
            raise _nonsense(f"{len(answer.predictions)} predictions for {table.count} rows")
        return answer

    def answer(self, shape: str, body: bytes, sent: Sent = _AS_JSON) -> bytes:
        """The bundle's answer to a request as it came, in the shape of `runtime.shapes`; raises as `predict`."""
        return self._ask({"op": "predict", "shape": shape, **sent.to_json()}, body)

    def holdout(self) -> Answer:
        """The bundle's answer to its own frozen holdout; raises as `predict`."""
        return answer_of(self._ask({"op": "holdout"}, b""))

    def memory_bytes(self) -> int:
        """The most memory that the worker has needed so far, in bytes; raises as `predict`."""
        body = self._ask({"op": "memory"}, b"")
        return Reader(decode(body, what="the worker's memory", exact=True), "memory").integer("memory_bytes")

    def close(self) -> None:
        """End the worker and all that it started; safe to call twice."""
        self._end(_END_SECONDS_MAX)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self, seconds: float) -> int | None:
        self._connection.close()
        code = self._spawned.end(seconds)
        self._printed.stop()
        return code

    def _ask(self, header: JsonObject, body: bytes) -> bytes:
        frame = pack(header, body)
        if self._owes_answer or self._connection.fileno() < 0:
            raise BundleFailed(
                "the process of this bundle was ended, or left in the middle of an answer",
                hint="Open the version again.",
            )
        self._owes_answer = True
        self._connection.settimeout(self.limits.seconds_max)
        try:
            self._connection.sendall(frame)
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:
            raise self._ended() from error
        return self._receive()[1]

    def _receive(self) -> tuple[JsonObject, bytes]:
        deadline = time.monotonic() + self.limits.seconds_max
        self._connection.settimeout(min(_LOOK_SECONDS, self.limits.seconds_max))
        try:
            header, body = receive(self._connection, lambda: self._wait(deadline))
        except Unavailable as error:
            # What `_wait` raised has ended the worker already; otherwise the other end is closed.
            raise error if self._connection.fileno() < 0 else self._ended() from error
        except (TooLarge, ValueError) as error:
            # What cannot be read to its end leaves the stream in the middle of something.
            self._end(0)
            raise _nonsense(f"what no answer is: {error}") from error
        self._owes_answer = False
        if header.get("ok") is not True:
            raise _told(header)
        return header, body

    def _wait(self, deadline: float) -> None:
        """Between two looks at the socket: whether the worker still has time, and has not become a crowd."""
        now = time.monotonic()
        if now >= deadline:
            raise self._late()
        if self.limits.processes_max is None or now < self._looked_at + _LOOK_SECONDS:
            return
        found = processes_in(self._process.pid)
        self._looked_at = time.monotonic()
        if found is not None and found > self.limits.processes_max:
            self._end(0)
            raise BundleFailed(
                f"the bundle had {found} processes at once, and {self.limits.processes_max} are allowed; "
                "all of them have been ended",
                hint="Let its code start fewer; set n_jobs=1 where it answers.",
                limit="processes",
            )

    def _late(self) -> Unavailable:
        self._end(0)
        seconds = self.limits.seconds_max
        return Unavailable(
            f"the bundle did not answer within {seconds:g} s; its process has been ended",
            hint="Send fewer rows, or look at what its code waits for; a stage gives more time with "
            "worker_seconds_max in holdfast.toml.",
            seconds_max=seconds,
            limit="seconds",
        )

    def _ended(self) -> BundleFailed:
        self._connection.close()
        try:
            code: int | None = self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            code = None
        return how_it_ended(code, self.limits)


def _nonsense(what: str) -> BundleFailed:
    return BundleFailed(f"the process of the bundle sent {what}", hint="Look at what its code writes to.")


def _told(header: JsonObject) -> HoldfastError:
    """The error that a worker described, as far as it is one."""
    value = header.get("error")
    if not isinstance(value, dict):
        return _nonsense("an error that says nothing")
    error = from_json(value)
    if len(error.message) <= _MESSAGE_CHARACTERS_MAX:
        return error
    return from_json({**value, "message": error.message[:_MESSAGE_CHARACTERS_MAX] + " …"})
