"""What a command costs, what a folder holds, and what a machine must do between two measurements to be fair to both."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("_launch.py")

RACY_SECONDS = 2.5
"""Tools that remember the times of files do not trust a file that was written less than two seconds ago: the data of a
benchmark is older than that, as a person's is."""

READ_BYTES = 1 << 20

TOLD_CHARACTERS_MAX = 200
"""How much of the last line that a failed command said is repeated."""


class StepFailed(Exception):
    """A command of a tool failed, or its answer was wrong; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Command:
    """One process: its arguments, its folder, and its whole environment."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cost:
    """What commands cost together.

    Attributes:
        wall_s: from the start of the first to the end of the last, without the time between them.
        cpu_s: user and system time, children included.
        peak_bytes: the largest resident set of any one process among them.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        peak = max(self.peak_bytes, other.peak_bytes)
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, peak)


def run(commands: Sequence[Command], logs: Path, seconds_max: float) -> tuple[Cost, str]:
    """Run commands one after the other; their cost, and what the last one printed.

    Raises:
        StepFailed: one of them failed, or they took longer than `seconds_max` together.
    """
    logs.mkdir(parents=True, exist_ok=True)
    outs = [(logs / f"{number}.out", logs / f"{number}.err") for number in range(len(commands))]
    request = {
        "seconds_max": seconds_max,
        "commands": [
            {"argv": one.argv, "cwd": str(one.cwd), "env": dict(one.env), "out": str(out), "err": str(err)}
            for one, (out, err) in zip(commands, outs, strict=True)
        ],
    }
    launched = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER)],
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    cost = Cost(0.0, 0.0, 0)
    for one, (out, err), answer in zip(commands, outs, json.loads(launched.stdout), strict=False):
        if answer["stopped"]:
            raise StepFailed(f"stopped after {seconds_max:g} s")
        if answer["code"] != 0:
            raise _failed(one, answer["code"], out.read_text(errors="replace") + err.read_text(errors="replace"))
        cost += Cost(answer["wall_s"], answer["cpu_s"], answer["peak_bytes"])
    return cost, outs[-1][0].read_text(errors="replace")


def say(command: Command) -> str:
    """What a command prints; it costs nobody anything.

    Raises:
        StepFailed: it failed.
    """
    done = subprocess.run(
        command.argv,
        cwd=command.cwd,
        env=command.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise _failed(command, done.returncode, done.stdout + done.stderr)
    return done.stdout


def _failed(command: Command, code: int, said: str) -> StepFailed:
    words = [word for word in command.argv if "/" not in word][:3]
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    return StepFailed(f"`{' '.join(words)}` ended with {code}: {lines[-1][-TOLD_CHARACTERS_MAX:]}")


def settle() -> None:
    """Write what is still to be written, so that one tool's writeback is not paid by the next."""
    os.sync()


def rest() -> None:
    """Let the data grow old enough for its times to be trusted."""
    os.sync()
    time.sleep(RACY_SECONDS)


def files_of(folder: Path) -> Iterator[tuple[str, str]]:
    """The relative and the full path of each file, in the order of their names."""
    found = []
    for parent, _, names in os.walk(folder):
        inside = os.path.relpath(parent, folder)
        found += [(os.path.normpath(f"{inside}/{name}"), f"{parent}/{name}") for name in names]
    yield from sorted(found)


def warm(folder: Path) -> None:
    """Read everything once, so that each tool finds the data in the page cache."""
    buffer = bytearray(READ_BYTES)
    for _, path in files_of(folder):
        with Path(path).open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def hollow(folder: Path) -> None:
    """Give back the space of a folder's files, and leave the files.

    ext4 does not give the number of a file that was removed to another one for some minutes, and looks at all those
    numbers one by one whenever it makes a file: what one tool removes makes the next one many times slower. So
    nothing is removed before all measurements are over. A file that has another name as well loses only this one.
    """
    for path in (Path(found) for _, found in files_of(folder)):
        status = path.lstat()
        if status.st_nlink > 1:
            path.unlink()
        elif stat.S_ISREG(status.st_mode) and status.st_size:
            path.chmod(stat.S_IRUSR | stat.S_IWUSR)
            os.truncate(path, 0)


def tree_digest(folder: Path) -> str:
    """One digest for the names and the bytes of all files of a folder."""
    whole = hashlib.sha256()
    for relative, path in files_of(folder):
        with Path(path).open("rb", buffering=0) as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{inner} {relative}\n".encode())
    return whole.hexdigest()


def bytes_in(folder: Path) -> int:
    """What `du -s --apparent-size` says of a folder, in bytes; 0 when there is none."""
    if not folder.exists():
        return 0
    told = subprocess.run(
        ["du", "-s", "--apparent-size", "--block-size=1", str(folder)], capture_output=True, text=True, check=True
    )
    return int(told.stdout.split()[0])
