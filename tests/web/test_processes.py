"""Processes behind one socket: none is left when the first one is gone."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS, until

FIRST = """
import os, signal, sys, time
from pathlib import Path
from holdfast.web.listening import listen
from holdfast.web.processes import supervise

folder = Path(sys.argv[1])
listening = listen("127.0.0.1", 0)

def work(place):
    def told(number, frame):
        (folder / f"{place}.told").write_text(str(number))
        raise SystemExit(0)
    signal.signal(signal.SIGTERM, told)
    (folder / f"{place}.new").write_text(str(os.getpid()))
    (folder / f"{place}.new").rename(folder / f"{place}.began")
    while True:
        time.sleep(3600)

print(listening.getsockname()[1], flush=True)
supervise(2, work)
"""
"""Two processes that hold one socket, and note that they began, and which signal they were told to end by."""


def until_there(paths: list[Path]) -> None:
    until(lambda: all(path.exists() for path in paths), f"{paths} are there")


def until_free(port: int) -> None:
    def free() -> bool:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    until(free, f"port {port} is free")


@pytest.mark.slow
@pytest.mark.parametrize("replaced", [False, True])
def test_when_the_first_process_is_killed_the_others_end_as_if_told_and_free_the_port(
    tmp_path: Path, *, replaced: bool
) -> None:
    began, told = ([tmp_path / f"{place}.{what}" for place in (0, 1)] for what in ("began", "told"))
    with subprocess.Popen([sys.executable, "-c", FIRST, str(tmp_path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        port = int(first.stdout.readline())
        until_there(began)
        if replaced:  # who takes a place later sees the end, too
            one = int(began[0].read_text())
            began[0].unlink()
            os.kill(one, signal.SIGKILL)
            until_there(began)
        first.kill()
        until_there(told)
        assert {int(path.read_text()) for path in told} == {signal.SIGTERM}
        until_free(port)


HASTY = """
import os, signal, time
from holdfast.web.processes import supervise

fork = os.fork

def hasty():
    process = fork()
    if process:
        os.kill(os.getpid(), signal.SIGTERM)  # held back until the mask of signals is what it was
    return process

os.fork = hasty
supervise(2, lambda place: time.sleep(3600))
"""
"""Told to end while its first process has begun and is not noted yet."""


@pytest.mark.slow
def test_who_is_told_to_end_while_a_process_begins_ends_that_one_too() -> None:
    with subprocess.Popen([sys.executable, "-c", HASTY], start_new_session=True) as first:
        try:
            assert first.wait(PATIENCE_SECONDS) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGKILL)
