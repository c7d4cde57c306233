"""Limits as values, and what is said where a system cannot hold them."""

import errno
import platform
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.canonical import Reader
from holdfast.errors import BundleFailed
from holdfast.runtime import limits as module
from holdfast.runtime.at_the_limit import how_it_ended, said_with_limit
from holdfast.runtime.confine import FILE_SIZE, FILES, MEMORY, NETWORK, Walls
from holdfast.runtime.landlock import write_only_below
from holdfast.runtime.limits import Limits, machine_bytes
from holdfast.runtime.system_calls import refuse_calls

WALLS = Walls((MEMORY, FILES, NETWORK, FILE_SIZE))
FAILED = BundleFailed("the model raised X", hint="Look.", place="features.py:1 in featurise")


@given(
    memory=st.none() | st.integers(1, 2**50),
    seconds=st.floats(0.01, 1e6),
    processes=st.none() | st.integers(1, 10_000),
    network=st.booleans(),
)
def test_limits_cross_to_a_worker_as_they_are(
    memory: int | None, seconds: float, processes: int | None, network: bool
) -> None:
    for limits in (
        Limits(memory, seconds, processes_max=processes, network=network),
        Limits.of_gate(memory_bytes_max=memory, seconds_max=seconds, network=network),
    ):
        assert Limits.from_json(Reader(limits.to_json(), "limits")) == limits


def test_what_nobody_relies_on_yet_may_do_less() -> None:
    served, judged = Limits(), Limits.of_gate()
    assert (served.network, served.untrusted, served.processes_max, served.cpu_seconds_max) == (True, False, None, None)
    assert (judged.network, judged.untrusted, judged.seconds_max) == (False, True, served.seconds_max)
    assert judged.cpu_seconds_max is not None
    assert judged.cpu_seconds_max > judged.seconds_max


def test_a_worker_may_write_as_much_as_its_loader_has_to_and_nothing_else_is_given_up() -> None:
    judged = Limits.of_gate()
    assert judged.with_room_for(judged.file_bytes_max) == judged
    wider = judged.with_room_for(judged.file_bytes_max + 1)
    assert wider == replace(judged, file_bytes_max=judged.file_bytes_max + 1)


def test_the_memory_of_a_machine_is_that_of_its_container_where_that_is_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "memory.max"
    monkeypatch.setattr(module, "_CGROUP_LIMITS", (place,))
    whole = machine_bytes()
    assert whole > 1 << 20
    for said, expected in (("max\n", whole), (f"{1 << 24}\n", 1 << 24), (f"{whole * 2}\n", whole)):
        place.write_text(said)
        assert machine_bytes() == expected


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "riscv64"), ("FreeBSD", "amd64")])
def test_a_system_without_a_filter_of_calls_says_so(system: str, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert refuse_calls(network=False) == f"there is no filter of system calls for {system} on {machine}"


def test_a_system_without_landlock_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert write_only_below([tmp_path], network=False) == "Darwin has no Landlock"


@pytest.mark.parametrize(
    ("cause", "limit"),
    [
        (MemoryError(), MEMORY),
        (PermissionError(errno.EACCES, "Permission denied"), NETWORK),
        (socket.gaierror(-3, "Temporary failure in name resolution"), NETWORK),
        (PermissionError(errno.EACCES, "Permission denied", "/etc/motd"), FILES),
        (OSError(errno.EFBIG, "File too large"), FILE_SIZE),
        (ValueError("x"), None),
        (OSError(errno.ENOENT, "No such file", "a"), None),
    ],
)
def test_an_error_that_a_limit_caused_names_it_however_deep_it_lies(cause: BaseException, limit: str | None) -> None:
    middle = ConnectionError("wrapped")
    middle.__cause__ = cause
    error = BundleFailed(FAILED.message, hint=FAILED.hint, **FAILED.details)
    error.__context__ = middle
    told = said_with_limit(error, Limits(), WALLS)
    assert told.details.get("limit") == limit
    assert told.details["place"] == "features.py:1 in featurise"
    assert told.message.endswith("the model raised X")
    # Where the wall does not stand, it was not the wall.
    assert said_with_limit(error, Limits(), Walls()) is error


def test_causes_that_lead_back_to_themselves_are_followed_no_further() -> None:
    error = BundleFailed("x", hint="y")
    other = ValueError()
    error.__cause__, other.__cause__ = other, error
    assert said_with_limit(error, Limits(), WALLS) is error


@pytest.mark.parametrize(
    ("code", "says", "hint"),
    [
        (3, "exit code 3", "standard error"),
        (-signal.SIGKILL, "signal 9", "worker_memory_bytes_max"),
        (-signal.SIGXCPU, "7 s of processor time", "worker_seconds_max"),
        (-signal.SIGABRT, "signal 6", "worker_memory_bytes_max"),
        (-signal.SIGSEGV, "signal 11", "crashed"),
        (None, "ended the conversation", "did not open"),
    ],
)
def test_the_end_of_a_process_is_told_with_what_to_do(code: int | None, says: str, hint: str) -> None:
    error = how_it_ended(code, Limits(cpu_seconds_max=7))
    assert says in error.message
    assert hint in error.hint
    assert error.details["exit_code"] == code
