"""The process of a shadow: it has the version open, asks it what the primary was asked, and counts.

    python -P -m holdfast.serving.shadow_worker FD

A process of its own, between the replica and the version's worker, because reading answers takes as long as answering:
in the replica's process it would hold up its event loop. Replica and process exchange frames:

    from the replica   what to open, once; then one frame for each pair; at last `end`
    to the replica     `open`, or `failed` with the error; then how many pairs are done, and the counts as they change

Once they are open, it and the version's worker run when nothing else wants a processor. When the replica is gone, it
ends, and the worker with it.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.canonical import JsonObject, Reader
from holdfast.digest import Digest
from holdfast.errors import BundleFailed, HoldfastError, Unavailable
from holdfast.evidence import Holdout
from holdfast.flow.shadow.counts import Counts
from holdfast.flow.shadow.plan import Plan
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.frames import pack, receive
from holdfast.runtime.limits import Limits
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.sent import Sent
from holdfast.runtime.smoke import compare, read_outputs
from holdfast.runtime.yielding import let_others_first, waited_seconds
from holdfast.serving.live import REQUEST_SECONDS_MAX
from holdfast.serving.pairing import Mirrored, Said, count

__all__ = ["DEATHS_MAX", "Setup", "main"]

DEATHS_MAX = 20
"""A version whose process has died or hung so often is not kept alive: that is what the shadow was to find out."""

_PAUSE_SECONDS = 1.0
"""Between two lives of the version's process: one that dies of every request costs a start a second, and no more."""

_COUNTS_SECONDS = 1.0
"""How often counts are sent while they change; the replica passes them on with its heartbeat."""

_DONE_MAX = 4
"""Pairs that are reported done together; the replica sends ahead a few times as many."""

_END_SECONDS_MAX = 5.0
"""Ended processes are waited for and their folders removed in a moment; nothing is left to do after that."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the process is to open, and how.

    Attributes:
        root: the bundle's directory.
        digest: of its manifest.
        number: of the version.
        interpreter: what it is opened with.
        limits: what the version's worker may use.
        plan: what is counted.
        seconds_max: how long one answer may take.
        yields: whether process and worker get of the processors only what nobody else wants, once they are open.
    """

    root: Path
    digest: Digest
    number: int
    interpreter: Interpreter
    limits: Limits
    plan: Plan
    seconds_max: float = REQUEST_SECONDS_MAX
    yields: bool = True

    def to_json(self) -> JsonObject:
        """The setup as it crosses to the process."""
        python = self.interpreter
        return {
            "root": str(self.root),
            "digest": str(self.digest),
            "number": self.number,
            "executable": str(python.executable),
            "variables": dict(python.variables),
            "built": python.built,
            "in_use": None if python.in_use is None else str(python.in_use),
            "limits": self.limits.to_json(),
            "plan": self.plan.to_json(),
            "seconds_max": self.seconds_max,
            "yields": self.yields,
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Setup":
        """The setup that `to_json` wrote."""
        in_use = reader.maybe_text("in_use")
        return cls(
            root=Path(reader.text("root")),
            digest=Digest.parse(reader.text("digest")),
            number=reader.integer("number"),
            interpreter=Interpreter(
                Path(reader.text("executable")),
                reader.words("variables"),
                reader.flag("built"),
                None if in_use is None else Path(in_use),
            ),
            limits=Limits.from_json(reader.reader("limits")),
            plan=Plan.from_json(reader.mapping("plan")),
            seconds_max=reader.number("seconds_max"),
            yields=reader.flag("yields"),
        )


def main(arguments: list[str]) -> None:
    """Run the process until the replica ends it or is gone."""
    connection = socket.socket(fileno=int(arguments[0]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        setup = Setup.from_json(Reader(receive(connection)[0], "the setup"))
    except Unavailable:
        return  # the replica has given it up before it began
    if setup.yields:
        let_others_first(os.getpid())
    shadow = _Shadow(setup, connection)
    _when_gone(connection)
    try:
        shadow.open()
    except HoldfastError as error:
        shadow.fail(error)
        return
    with suppress(ConnectionError, Unavailable):
        shadow.follow()
    shadow.close()


def _when_gone(connection: socket.socket) -> None:
    """Watch the replica's end from a thread: a version that hangs would keep this process waiting, and alive."""

    def watch() -> None:
        poll = select.poll()
        poll.register(connection.fileno(), getattr(select, "POLLRDHUP", 0))
        poll.poll()
        _end_children()
        # What waits for them finds them ended, and tidies up; whatever it is busy with besides is not worth more.
        time.sleep(_END_SECONDS_MAX)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_children() -> None:
    """End what this process has started, and all that these have: each leads a session of its own."""
    for listing in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            for child in listing.read_text(encoding="ascii").split():
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(int(child), signal.SIGKILL)


class _Shadow:
    """The version, its life, and what was counted."""

    def __init__(self, setup: Setup, connection: socket.socket) -> None:
        self._setup = setup
        self._connection = connection
        self._counts = Counts()
        self._predictor: Predictor | None = None
        self._deaths = 0
        self._done = 0
        self._died_at = 0.0
        self._told_at = 0.0
        self._changed = False

    def open(self) -> None:
        """Open the version, let it score its holdout, and tell the replica.

        Raises:
            HoldfastError: it cannot be opened, or does not answer as it did when it was registered.
        """
        files, predictor = self._start()
        holdout = files.manifest.evidence.holdout
        if isinstance(holdout, Holdout):
            found = compare(read_outputs(files.read(holdout.outputs)), predictor.holdout())
            if not found.within_tolerance:
                raise BundleFailed(
                    f"version {self._setup.number} does not answer as it did when it was registered: {found}",
                    hint="Compare the environments: the pinned requirements, the Python, the processor.",
                    differences=found.to_json(),
                )
        predictor.limits = replace(predictor.limits, seconds_max=self._setup.seconds_max)
        self._send({"event": "open", "pid": predictor.hello.pid})

    def follow(self) -> None:
        """Answer and count one pair after the other, until the replica says that it is enough."""
        while True:
            if not select.select([self._connection], [], [], _COUNTS_SECONDS)[0]:
                self._tell()
                continue
            header, body = receive(self._connection)
            if header.get("op") == "end":
                self._tell(last=True)
                return
            self._one(header, body)
            self._done += 1
            if self._deaths >= DEATHS_MAX:
                self._tell(last=True)
                self.fail(
                    BundleFailed(
                        f"the process of version {self._setup.number} died or hung {self._deaths} times",
                        hint="Look at the log of the replica for what it printed.",
                    )
                )
                return
            self._tell()

    def fail(self, error: HoldfastError) -> None:
        """Tell the replica that there is nothing more to expect."""
        with suppress(ConnectionError):
            self._send({"event": "failed", "error": error.to_json()})
        self.close()

    def close(self) -> None:
        """End the version's process."""
        if self._predictor is not None:
            self._predictor.close()
            self._predictor = None

    def _start(self) -> tuple[BundleFiles, Predictor]:
        setup = self._setup
        files = BundleFiles.open(setup.root, expected=setup.digest)
        self._predictor = Predictor.start(files, setup.interpreter, version=setup.number, limits=setup.limits)
        if setup.yields:
            let_others_first(self._predictor.hello.pid)
        return files, self._predictor

    def _one(self, header: JsonObject, body: bytes) -> None:
        reader = Reader(header, "a pair")
        length, error = reader.integer("length"), reader.maybe_text("error")
        shape, seconds, sent = reader.text("shape"), reader.number("seconds"), Sent.from_json(header)
        mirrored = Mirrored(shape, body[:length], body[length:], error, seconds, sent)
        predictor = self._alive()
        if predictor is None:
            self._counts.drops["away"] += 1
            self._changed = True
            return
        began, waited, answer, code = time.perf_counter(), self._waited(predictor), b"", None
        try:
            answer = predictor.answer(mirrored.shape, mirrored.request, mirrored.sent)
        except HoldfastError as failed:
            code = failed.code
        # What it waited while others went first is not its own slowness.
        seconds = time.perf_counter() - began - max(0.0, self._waited(predictor) - waited)
        count(self._counts, self._setup.plan, mirrored, Said(answer, code, max(0.0, seconds)))
        self._changed = True
        if code is not None and not predictor.open:
            self._deaths += 1
            self._died_at = time.monotonic()
            self.close()

    @staticmethod
    def _waited(predictor: Predictor) -> float:
        return waited_seconds(os.getpid()) + waited_seconds(predictor.hello.pid)

    def _alive(self) -> Predictor | None:
        """The version's process, started again where it has died; None until it may be."""
        if self._predictor is None and time.monotonic() >= self._died_at + _PAUSE_SECONDS:
            try:
                predictor = self._start()[1]
            except HoldfastError:
                self._deaths += 1
                self._died_at = time.monotonic()
            else:
                predictor.limits = replace(predictor.limits, seconds_max=self._setup.seconds_max)
                self._send({"event": "again", "pid": predictor.hello.pid})
        return self._predictor

    def _tell(self, *, last: bool = False) -> None:
        """Say how many pairs are done; in company, while more of them wait already."""
        now = time.monotonic()
        due = self._changed and (last or now >= self._told_at + _COUNTS_SECONDS)
        waiting = self._done < _DONE_MAX and bool(select.select([self._connection], [], [], 0)[0])
        if not due and (waiting or not self._done):
            return
        said: JsonObject = {"event": "done", "done": self._done}
        if due:
            said["counts"] = self._counts.to_json()
            self._changed, self._told_at = False, now
        self._done = 0
        self._send(said)

    def _send(self, said: JsonObject) -> None:
        self._connection.sendall(pack(said))


if __name__ == "__main__":
    main(sys.argv[1:])
