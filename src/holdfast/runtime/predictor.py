"""The parent's end of a worker: start it, ask it, end it.

with Predictor.start(files, interpreter=interpreter_for(files, cache)) as predictor:
    predictor.predict(table).predictions
"""

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.canonical import JsonObject, Reader, decode
from holdfast.errors import BundleFailed, TooLarge, Unavailable, from_json
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.frames import pack, receive
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table
from holdfast.runtime.shapes import TABLE
from holdfast.runtime.smoke import answer_of

__all__ = ["CALL_SECONDS_MAX", "OPEN_SECONDS_MAX", "Hello", "Predictor", "Spawned", "spawn"]

OPEN_SECONDS_MAX = 300.0
"""Tens of gigabytes of weights from a slow disk; a worker that needs longer than this is taken to hang."""

CALL_SECONDS_MAX = 300.0
"""A million rows through a slow model; single requests have limits of their own where they are served."""

_END_SECONDS_MAX = 5.0
"""A worker that has lost its socket has nothing left to do; past this it is killed."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A worker process that has been started, and the parent's end of its socket. It has not said hello yet."""

    process: subprocess.Popen[bytes]
    connection: socket.socket


def spawn(files: BundleFiles, interpreter: Interpreter, stamp: JsonObject) -> Spawned:
    """Start a worker for the bundle, in the interpreter that satisfies its lock.

    Args:
        files: the bundle's directory.
        interpreter: what `runtime.environment` chose.
        stamp: what the worker writes into every answer: `model`, `version`, `digest`.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        arguments = [str(theirs.fileno()), str(files.root), str(files.digest), json.dumps(stamp)]
        environment = {**os.environ, **interpreter.variables}
        environment.pop("HOLDFAST_CAPTURE", None)
        environment["PYTHONPATH"] = _search_path(environment.get("PYTHONPATH", ""))
        try:
            process = subprocess.Popen(
                [str(interpreter.executable), "-P", "-m", "holdfast.runtime.worker", *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        except OSError:
            ours.close()
            raise
    return Spawned(process, ours)


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
    """

    pid: int
    open_seconds: float
    memory_bytes: int

    @classmethod
    def of(cls, header: JsonObject) -> "Hello":
        """The hello in the header of a worker's first frame.

        Raises:
            UnsupportedFormat: it is none.
        """
        reader = Reader(header, "hello")
        return cls(reader.integer("pid"), reader.number("open_seconds"), reader.integer("memory_bytes"))


class Predictor:
    """One open bundle in its own process; not safe for several threads at once.

    Attributes:
        hello: what the worker said when the bundle was open.
    """

    hello: Hello

    def __init__(self, spawned: Spawned, *, call_seconds_max: float = CALL_SECONDS_MAX) -> None:
        self._process = spawned.process
        self._connection = spawned.connection
        self._call_seconds_max = call_seconds_max
        # Between a question and its answer nobody else may ask: an answer that nobody read would be taken for the next.
        self._owes_answer = False

    @classmethod
    def start(
        cls,
        files: BundleFiles,
        interpreter: Interpreter,
        *,
        version: int | None = None,
        open_seconds_max: float = OPEN_SECONDS_MAX,
        call_seconds_max: float = CALL_SECONDS_MAX,
    ) -> "Predictor":
        """Start a worker and wait until the bundle is open.

        Args:
            files: the bundle's directory.
            interpreter: what `runtime.environment` chose.
            version: the version's number, when it has one.
            open_seconds_max: how long opening may take.
            call_seconds_max: how long each answer may take.

        Raises:
            BundleFailed: the bundle's code or weights raised, the process ended, or it could not be started.
            IntegrityError: a file of the bundle is damaged.
            Unavailable: the bundle was not open in time.
        """
        stamp = {"model": str(files.manifest.model), "version": version, "digest": str(files.digest)}
        try:
            spawned = spawn(files, interpreter, stamp)
        except OSError as error:
            raise BundleFailed(
                f"no process for the bundle could be started: {error}",
                hint="Look at the interpreter it needs, and at the limits of this machine.",
            ) from error
        predictor = cls(spawned, call_seconds_max=call_seconds_max)
        try:
            header, _ = predictor._receive(open_seconds_max)
            predictor.hello = Hello.of(header)
        except BaseException:
            predictor.close()
            raise
        return predictor

    def predict(self, table: Table) -> Answer:
        """The bundle's answer to raw rows.

        Raises:
            InvalidInput: the rows do not fit the schema.
            BundleFailed: the bundle's own code raised, or its process has ended.
            TooLarge: the rows or the answer pass the limit of one call.
            Unavailable: no answer in time; the process has been ended.
        """
        body = json.dumps(table.to_json(), separators=(",", ":")).encode()
        return answer_of(self._ask({"op": "predict", "shape": TABLE}, body))

    def holdout(self) -> Answer:
        """The bundle's answer to its own frozen holdout; raises as `predict`."""
        return answer_of(self._ask({"op": "holdout"}, b""))

    def memory_bytes(self) -> int:
        """The most memory that the worker has needed so far, in bytes; raises as `predict`."""
        body = self._ask({"op": "memory"}, b"")
        return Reader(decode(body, what="the worker's memory", exact=True), "memory").integer("memory_bytes")

    def close(self) -> None:
        """End the worker; safe to call twice."""
        self._connection.close()
        try:
            self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _kill(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _ask(self, header: JsonObject, body: bytes) -> bytes:
        frame = pack(header, body)
        if self._owes_answer or self._connection.fileno() < 0:
            raise BundleFailed(
                "the process of this bundle was ended, or left in the middle of an answer",
                hint="Open the version again.",
            )
        self._owes_answer = True
        self._connection.settimeout(self._call_seconds_max)
        try:
            self._connection.sendall(frame)
        except TimeoutError as error:
            raise self._late(self._call_seconds_max) from error
        except OSError as error:
            raise self._ended() from error
        return self._receive(self._call_seconds_max)[1]

    def _receive(self, seconds_max: float) -> tuple[JsonObject, bytes]:
        self._connection.settimeout(seconds_max)
        try:
            header, body = receive(self._connection)
        except Unavailable as error:
            raise self._late(seconds_max) if isinstance(error.__cause__, TimeoutError) else self._ended() from error
        except (TooLarge, ValueError) as error:
            # What cannot be read to its end leaves the stream in the middle of something.
            self._kill()
            raise BundleFailed(
                f"the process of the bundle sent what no answer is: {error}", hint="Look at what its code writes to."
            ) from error
        self._owes_answer = False
        if not header.get("ok"):
            raise from_json(header.get("error", {}))
        return header, body

    def _late(self, seconds_max: float) -> Unavailable:
        self._kill()
        return Unavailable(
            f"the bundle did not answer within {seconds_max:g} s; its process has been ended",
            hint="Send fewer rows, or look at what its code waits for.",
            seconds_max=seconds_max,
        )

    def _ended(self) -> BundleFailed:
        try:
            code: int | None = self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            code = None
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return BundleFailed(
            f"the process that ran the bundle ended {how if code is not None else 'the conversation'}",
            hint="Its standard error says why; a signal 9 is usually a lack of memory.",
            exit_code=code,
        )
