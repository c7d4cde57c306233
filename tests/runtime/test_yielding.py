"""A process that lets others go first says so wherever the system looks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.runtime.yielding import let_others_first, waited_seconds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has sessions with a worth of their own")


@pytest.fixture
def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "60"], start_new_session=True)


def test_a_session_is_last_in_every_order_that_there_is(sleeper: "subprocess.Popen[bytes]") -> None:
    try:
        let_others_first(sleeper.pid)
        assert os.getpriority(os.PRIO_PROCESS, sleeper.pid) == 19
        assert os.sched_getscheduler(sleeper.pid) == os.SCHED_IDLE
        group = Path("/proc", str(sleeper.pid), "autogroup")
        assert not group.exists() or group.read_text().split()[-1] == "19"
    finally:
        sleeper.kill()
        sleeper.wait()


def test_what_does_not_exist_is_no_error() -> None:
    let_others_first(2**22 + 1)
    assert waited_seconds(2**22 + 1) == 0.0
    assert waited_seconds(os.getpid()) >= 0.0
