"""What is known of this process, for each server that it tracks at. What keeps it is loaded when needed."""

import concurrent.futures.thread  # noqa: F401 - it registers to be called at the end before us, and so is called after
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.mlflow_plugin.datasets import forget, remembered
from holdfast.mlflow_plugin.quiet import quietly
from holdfast.mlflow_plugin.server import Server
from holdfast.mlflow_plugin.watch import Watch

if TYPE_CHECKING:
    from holdfast.mlflow_plugin.keeping import Keeper

__all__ = ["Session", "known_session", "session_with"]


class Session:
    """One process and one server.

    Args:
        server: where runs are tracked.
        watch: what sees the process.
    """

    def __init__(self, server: Server, watch: Watch) -> None:
        self._server, self._watch = server, watch
        self._lock, self._beginning = threading.RLock(), threading.Lock()
        self._keeper: Keeper | None = None
        self._open: dict[str, str] = {}
        self._above: dict[str, str] = {}  # kept past the end: a run may be gone on with
        self._surroundings: threading.Thread | None = None
        self._live: Any = None
        self.pid = os.getpid()
        _before_threads_end(self._end_all)

    def begin(self, run: str, files: str, above: str | None) -> None:
        """A run began. The code is looked at now, beside the script's own work.

        Args:
            run: the run.
            files: where its files go.
            above: the run that it is a part of, if it is.
        """
        with self._beginning:  # and not the other lock, behind which data may be on its way for minutes
            self._open[run] = files
            if above is not None:
                self._above[run] = above
            if self._surroundings is None:
                self._surroundings = threading.Thread(target=self._look_around, name="holdfast-mlflow", daemon=True)
                self._surroundings.start()

    def make_ready(self) -> None:
        """A model is about to be written: load what looks at it while MLflow waits for a process of its own."""
        threading.Thread(target=lambda: quietly("the model", self._keeping, None), daemon=True).start()

    def freeze(self, run: str, inputs: Sequence[Any]) -> None:
        """Datasets were logged: freeze those whose rows are in memory."""
        for one in inputs:
            rows = remembered(one.dataset)
            if rows is not None:
                try:
                    with self._lock:
                        self._keeping().freeze(run, one, rows)
                finally:
                    forget(one.dataset)

    def describe(self, model: Path, beside: Path) -> None:
        """A model's files are about to be sent: keep what its run did so far, and write what is known into `beside`."""
        with self._lock:
            self._keeping().describe(model, beside, self._above)

    def end(self, run: str) -> None:
        """A run ends: keep what it did. A second call does nothing."""
        with self._lock:
            files = self._open.pop(run, None)
            if files is not None:
                self._keeping().end(run, files)

    def _end_all(self) -> None:
        if self.pid != os.getpid():  # a forked child, whose runs these are not
            return
        for run in list(self._open):
            quietly("what the run did", lambda run=run: self.end(run), None)  # type: ignore[misc]  # one run each

    def _look_around(self) -> None:
        self._live = quietly("the code", self._capture_here, None)

    def _capture_here(self) -> Any:
        from holdfast.flow.capture import capture_here

        return capture_here(watch=self._watch)

    def _keeping(self) -> "Keeper":
        with self._lock:
            if self._surroundings is not None:
                self._surroundings.join()
            if self._keeper is None:
                from holdfast.mlflow_plugin.keeping import Keeper

                if self._live is None:  # a run of another process is gone on with, or a model is logged outside of any
                    self._live = self._capture_here()
                self._keeper = Keeper(self._server, self._live)
            return self._keeper


_sessions: dict[str, Session] = {}
_sessions_lock = threading.Lock()


def session_with(server: Server, watch: Watch) -> Session:
    """The session of this process with a server; a forked child has one of its own."""
    with _sessions_lock:
        found = _sessions.get(server.uri)
        if found is None or found.pid != os.getpid():
            found = _sessions[server.uri] = Session(server, watch)
        return found


def known_session(uri: str) -> Session | None:
    """The session of this process with the server at `uri`, if there is one."""
    found = _sessions.get(uri)
    return found if found is not None and found.pid == os.getpid() else None


def _before_threads_end(call: Any) -> None:
    """Have `call` made when the main thread is done and others may still be started.

    MLflow ends an open run after that, when Python starts no thread any more, and the store needs some. Where Python
    has no such moment, or it has passed, what the run did is not kept, with a warning.
    """
    with suppress(AttributeError, RuntimeError):
        threading._register_atexit(call)  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public comes early enough
