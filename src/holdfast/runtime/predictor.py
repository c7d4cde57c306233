"""The parent's end of a worker: start it, ask it, end it.

with Predictor.start(files, interpreter=interpreter_for(files, cache)) as predictor:
    predictor.predict(table).predictions
"""

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from holdfast.canonical import JsonObject, Reader, decode
from holdfast.errors import BundleFailed, Unavailable, from_json
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.frames import pack, receive
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table
from holdfast.runtime.shapes import TABLE

__all__ = ["OPEN_SECONDS_MAX", "Predictor", "Spawned", "spawn"]

OPEN_SECONDS_MAX = 300.0
"""Tens of gigabytes of weights from a slow disk; a worker that needs longer than this is taken to hang."""

_CALL_SECONDS_MAX = 300.0
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


class Predictor:
    """One open bundle in its own process; not safe for several threads at once."""

    def __init__(self, spawned: Spawned) -> None:
        self._process = spawned.process
        self._connection = spawned.connection

    @classmethod
    def start(cls, files: BundleFiles, interpreter: Interpreter, *, version: int | None = None) -> "Predictor":
        """Start a worker and wait until the bundle is open.

        Raises:
            BundleFailed: the bundle's code or weights raised, or the process ended.
            IntegrityError: a file of the bundle is damaged.
        """
        stamp = {"model": str(files.manifest.model), "version": version, "digest": str(files.digest)}
        predictor = cls(spawn(files, interpreter, stamp))
        try:
            predictor._connection.settimeout(OPEN_SECONDS_MAX)
            predictor._receive()
            predictor._connection.settimeout(_CALL_SECONDS_MAX)
        except BaseException:
            predictor.close()
            raise
        return predictor

    def predict(self, table: Table) -> Answer:
        """The bundle's answer to raw rows.

        Raises:
            InvalidInput: the rows do not fit the schema.
            BundleFailed: the bundle's own code raised.
        """
        body = json.dumps(table.to_json(), separators=(",", ":")).encode()
        return self._ask({"op": "predict", "shape": TABLE}, body)

    def holdout(self) -> Answer:
        """The bundle's answer to its own frozen holdout."""
        return self._ask({"op": "holdout"}, b"")

    def close(self) -> None:
        """End the worker; safe to call twice."""
        self._connection.close()
        try:
            self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, header: JsonObject, body: bytes) -> Answer:
        try:
            self._connection.sendall(pack(header, body))
        except ConnectionError as error:
            raise self._ended() from error
        reader = Reader(decode(self._receive(), what="the worker's answer"), "answer")
        classes = reader.items("classes") if reader.has("classes") else None
        return Answer(reader.items("predictions"), reader.items("scores"), classes)

    def _receive(self) -> bytes:
        try:
            header, body = receive(self._connection)
        except Unavailable as error:
            if self._process.poll() is None and "in time" in error.message:
                raise
            raise self._ended() from error
        if not header.get("ok"):
            raise from_json(header.get("error", {}))
        return body

    def _ended(self) -> BundleFailed:
        try:
            code = self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            code = None
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return BundleFailed(
            f"the process that ran the bundle ended {how}",
            hint="Its standard error says why; a signal 9 is usually a lack of memory.",
            exit_code=code,
        )
