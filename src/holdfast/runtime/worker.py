"""The process that runs one bundle and answers frames on one socket.

    python -P [-S] -m holdfast.runtime.worker FD BUNDLE DIGEST STAMP LIMITS SCRATCH

It puts its limits around itself, opens the bundle (every byte verified on the way in), says hello or why it could not,
and then answers one frame at a time, in order, until its parent closes the socket. What the bundle's code prints goes
to standard error.
"""

import json
import os
import signal
import site
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from holdfast.canonical import JsonObject, Reader
from holdfast.digest import Digest
from holdfast.errors import BundleFailed, HoldfastError, Unavailable, UsageError
from holdfast.evidence import Holdout
from holdfast.runtime.at_the_limit import said_with_limit
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.confine import Walls, confine
from holdfast.runtime.frames import pack, receive, split
from holdfast.runtime.limits import Limits
from holdfast.runtime.memory import peak_memory_bytes
from holdfast.runtime.pipeline import Pipeline
from holdfast.runtime.rows import read_table
from holdfast.runtime.sent import Sent
from holdfast.runtime.shapes import SHAPES, TABLE, answer_body, table_in
from holdfast.runtime.together import Part, answer_together, one_by_one, sample

__all__ = ["main"]

_OWN = str(Path(__file__).parents[1])
"""Where Holdfast's own code is: how it came to the bundle's is the same for every row that fails."""

_FRAMES_MAX = 16
"""Frames of one error that are shown, the innermost: a bundle's own, and those of the library that it stumbled in."""


def main(arguments: list[str]) -> None:
    """Run the worker until the parent closes its end."""
    handle, root, digest, stamp, allowed, scratch = arguments
    connection = socket.socket(fileno=int(handle))
    # The parent decides when a worker ends; a Ctrl-C at the terminal reaches the whole group and must not race it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    limits = Limits.from_json(Reader(json.loads(allowed), "limits"))
    walls = confine(limits, Path(scratch))
    if sys.flags.no_site:
        # What wheels put into `.pth` files and `sitecustomize` runs here and not before: behind the same limits.
        site.main()
    started = time.perf_counter()
    try:
        files = BundleFiles.open(Path(root), expected=Digest.parse(digest))
        pipeline = Pipeline(files)
    except HoldfastError as error:
        traceback.print_exc()
        connection.sendall(_refusal(error, limits, walls))
        return
    hello = {
        "digest": digest,
        "pid": os.getpid(),
        "open_seconds": time.perf_counter() - started,
        "memory_bytes": peak_memory_bytes(),
        "foreign": pipeline.foreign,
        "walls": walls.to_json(),
    }
    # A parent that has closed its end, at any moment, no longer wants this process.
    with suppress(ConnectionError):
        connection.sendall(pack({"ok": True, **hello}))
        _Answering(files, pipeline, json.loads(stamp), limits, walls).serve(connection)


@dataclass(frozen=True, slots=True)
class _Answering:
    """One open bundle, and what its process was told."""

    files: BundleFiles
    pipeline: Pipeline
    stamp: JsonObject
    limits: Limits
    walls: Walls

    def serve(self, connection: socket.socket) -> None:
        while True:
            try:
                header, body = receive(connection)
            except Unavailable:
                return
            connection.sendall(self._frame(header, body))

    def _frame(self, header: JsonObject, body: bytes) -> bytes:
        match header:
            case {"op": "together", "rows": int(rows_max)}:
                return self._guarded(lambda: pack({"ok": True}, b"".join(self._together(body, rows_max))))
        return self._guarded(lambda: pack({"ok": True}, _answer(header, body, self.files, self.pipeline, self.stamp)))

    def _together(self, body: bytes, rows_max: int) -> list[bytes]:
        """The frames that answer the frames in the body."""
        frames: list[bytes] = []
        parts: list[Part] = []
        places: list[int] = []
        for place, (head, sent) in enumerate(split(body)):
            frames.append(self._guarded(partial(self._read, json.loads(head), sent, parts)))
            if len(parts) > len(places):
                places.append(place)
        for place, frame in zip(places, answer_together(parts, self.pipeline, self.stamp, rows_max), strict=True):
            frames[place] = frame
        return frames

    def _read(self, header: JsonObject, body: bytes, parts: list[Part]) -> bytes:
        """Put one of several requests with those that can be answered; what stands in its place until it is."""
        shape, sent = header["shape"], Sent.from_json(header)
        table, request = table_in(shape, body, sent, self.pipeline.schema)
        rows = self.pipeline.checked(table)
        parts.append(Part(shape, request, rows, partial(self._frame, header, body), sent.wanted))
        return b""

    def _guarded(self, call: Callable[[], bytes]) -> bytes:
        """The frame that a call makes; that of its error, where it fails."""
        try:
            return call()
        except HoldfastError as error:
            if isinstance(error, BundleFailed):
                _print_what_failed(error)
            return _refusal(error, self.limits, self.walls)
        except Exception as error:  # noqa: BLE001 - the process's edge: one request must not end the one that answers all
            traceback.print_exc()
            failed = BundleFailed(
                f"the request could not be answered: {type(error).__name__}",
                hint="Send fewer rows and flat values; the log of the process has the details.",
            )
            failed.__cause__ = error
            return _refusal(failed, self.limits, self.walls)


def _print_what_failed(error: BundleFailed) -> None:
    """The traceback of what the bundle's code raised, without the frames that are ours."""
    shown = traceback.TracebackException.from_exception(error.__cause__ or error)
    left: list[traceback.TracebackException | None] = [shown]
    while left:
        if (one := left.pop()) is not None:
            kept = [frame for frame in one.stack if not frame.filename.startswith(_OWN)]
            one.stack = traceback.StackSummary.from_list(kept[-_FRAMES_MAX:])
            left += [one.__cause__, one.__context__, *(one.exceptions or ())]
    shown.print()


def _refusal(error: HoldfastError, limits: Limits, walls: Walls) -> bytes:
    told = said_with_limit(error, limits, walls) if isinstance(error, BundleFailed) else error
    return pack({"ok": False, "error": told.to_json()})


def _answer(header: JsonObject, body: bytes, files: BundleFiles, pipeline: Pipeline, stamp: JsonObject) -> bytes:
    match header:
        case {"op": "predict", "shape": str(shape)} if shape in SHAPES:
            sent = Sent.from_json(header)
            table, request = table_in(shape, body, sent, pipeline.schema)
            return answer_body(shape, pipeline.predict(table), request, stamp, sent.wanted)
        case {"op": "holdout"}:
            holdout = files.manifest.evidence.holdout
            if not isinstance(holdout, Holdout):
                raise UsageError("the bundle has no holdout", hint="Register the version with --holdout PATH.")
            table = read_table(files.read(holdout.rows)).without(holdout.target)
            if isinstance(count := header.get("rows"), int):
                table = sample(table, count)
            answer = one_by_one(pipeline, table) if header.get("alone") is True else pipeline.predict(table)
            return answer_body(TABLE, answer, {}, stamp)
        case {"op": "memory"}:
            return json.dumps({"memory_bytes": peak_memory_bytes()}).encode()
        case _:
            raise UsageError("the worker does not know this operation", hint="Parent and worker differ in version.")


if __name__ == "__main__":
    main(sys.argv[1:])
