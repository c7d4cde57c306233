"""Where the story is played: a folder, the real commands, and what they print."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from holdfast.cli.output import Output
from holdfast.config import HOME_NAME, Settings
from holdfast.errors import HoldfastError, Unavailable
from holdfast.names import ModelName, StageName
from holdfast.wire import open_project

__all__ = ["Stage", "free_folder"]

_SERVER_SECONDS_MAX = 60.0
"""A replica opens its first version in a second or two; on a busy laptop ten."""

_END_SECONDS_MAX = 30.0
"""What a server gets to finish its last requests."""

_LINES_MAX = 40
"""Of a command's output that the story shows; the command itself prints all of it."""


def free_folder(wanted: Path) -> Path:
    """`wanted`, or the first of `wanted-2`, `wanted-3` … that does not exist."""
    folder, number = wanted, 1
    while folder.exists():
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


class Stage:
    """Runs commands in the demo's folder and shows them as a terminal would."""

    def __init__(self, folder: Path, output: Output) -> None:
        self.folder = folder
        self._output = output
        self._environment = _environment()

    def say(self, text: str = "") -> None:
        """A line of the story; to standard error when the answer is JSON."""
        if self._output.as_json:
            self._output.talk(text)
        else:
            self._output.line(text)

    def title(self, text: str) -> None:
        """The head of a step."""
        self.say()
        self.say(f"== {text}")

    def play(self, *arguments: str, expect: int = 0) -> str:
        """Run `holdfast` with these arguments, and show command and output.

        Raises:
            HoldfastError: it ended with another exit code than the story expects.
        """
        self.say(f"$ holdfast {' '.join(_quoted(word) for word in arguments)}")
        done = self._run(arguments)
        lines = (done.stdout + done.stderr).splitlines()
        for line in lines[:_LINES_MAX]:
            self.say(f"  {line}")
        if len(lines) > _LINES_MAX:
            self.say(f"  … {len(lines) - _LINES_MAX} more lines")
        if done.returncode != expect:
            raise HoldfastError(
                f"the demo expected exit code {expect} of `holdfast {arguments[0]}` and got {done.returncode}",
                hint=f"Look into {self.folder}; the commands above can be run again by hand.",
            )
        if expect:
            self.say(f"  (exit code {expect}, as it should be)")
        return done.stdout

    def quietly(self, *arguments: str) -> str:
        """What a command prints, not shown."""
        return self._run(arguments).stdout

    def _run(self, arguments: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "holdfast", *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def git(self, *arguments: str) -> None:
        """Run `git` quietly in the demo's folder."""
        subprocess.run(["git", *arguments], cwd=self.folder, env=self._environment, capture_output=True, check=True)

    @contextmanager
    def server(self, model: str) -> Iterator[str]:
        """A real replica while the context lasts; its URL.

        Raises:
            Unavailable: it did not get ready.
        """
        self.say(f"$ holdfast serve {model} --port 0 &")
        log = self.folder / "server.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "holdfast", "serve", model, "--port", "0"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        try:
            yield self._ready(model, process)
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _ready(self, model: str, process: "subprocess.Popen[bytes]") -> str:
        registry = open_project(Settings.at(self.folder / HOME_NAME, {})).registry
        end = time.monotonic() + _SERVER_SECONDS_MAX
        while time.monotonic() < end and process.poll() is None:
            for replica in registry.live_replicas(ModelName(model), StageName("production"), timedelta(seconds=5)):
                if replica.number is not None:
                    return replica.url
            time.sleep(0.05)
        raise Unavailable("the demo's server did not get ready", hint=f"See {self.folder / 'server.log'}")


def _environment() -> Mapping[str, str]:
    """Ours, without settings that would lead the demo into somebody else's project, and with an invented author."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "GIT_"))}
    author = {"NAME": "ana", "EMAIL": "ana@example.org"}
    for role in ("AUTHOR", "COMMITTER"):
        kept |= {f"GIT_{role}_{key}": value for key, value in author.items()}
    beside = str(Path(sys.executable).parent)
    return {**kept, "PATH": f"{beside}{os.pathsep}{kept.get('PATH', '')}"}


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
