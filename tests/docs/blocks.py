"""Documents whose blocks of commands are run as a reader would run them.

In a ```console block, lines that begin with `$ ` are commands; the lines after one are what it prints, standard error
included. `…` within a line stands for any text, and a line that is `…` alone for any lines. A command works, unless a
line shown under it begins with `error:`; then it must fail.

A comment before a block says what else is to be done with it:

    <!-- test: skip REASON -->       it is not run
    <!-- test: background -->        its command runs until the end of the document
    <!-- test: file PATH -->         it is written to PATH

A ```sh block is a script, a ```python block a program; both must work. Blocks of any other kind are not run.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE_SECONDS

RUN = {"console", "sh", "python"}
DIRECTIVES = {"skip", "background", "file"}

_COMMENT = re.compile(r"<!-- test: (\w+) ?(.*?) ?-->")
_FENCE = re.compile(r"```(\w*)\s*")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        line: of its fence, counted from 1.
        kind: the word after the fence.
        text: what stands in it.
        directive: skip, background, file, or empty.
        argument: the reason, or the path.
    """

    line: int
    kind: str
    text: str
    directive: str = ""
    argument: str = ""


@dataclass(frozen=True)
class Shown:
    """A command and the lines that the document shows under it."""

    command: str
    lines: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        return any(line.startswith("error:") for line in self.lines)


def blocks(text: str) -> Iterator[Block]:
    """Every fenced block of a Markdown text."""
    directive, inside = ("", ""), None
    kept: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.fullmatch(line)
        if inside is not None:
            if fence:
                yield Block(inside[0], inside[1], "".join(f"{one}\n" for one in kept), *directive)
                directive, inside, kept = ("", ""), None, []
            else:
                kept.append(line)
        elif fence:
            inside = (number, fence[1])
        elif comment := _COMMENT.fullmatch(line.strip()):
            directive = (comment[1], comment[2])
            if comment[1] not in DIRECTIVES:
                raise ValueError(f"line {number}: no such directive: {comment[1]}")
        elif line.strip():
            directive = ("", "")
    if inside is not None:
        raise ValueError(f"line {inside[0]}: this block is never closed")


def indented_commands(text: str) -> list[str]:
    """Lines outside any fence that look like a block of commands: nobody would run those."""
    outside, fenced = [], False
    for line in text.splitlines():
        if _FENCE.fullmatch(line):
            fenced = not fenced
        elif not fenced and re.match(r"    (?:\$ |holdfast |python |curl |pip |make )", line):
            outside.append(line)
    return outside


def shown(text: str) -> list[Shown]:
    """The commands of a console block, each with what stands under it."""
    found: list[tuple[str, list[str]]] = []
    goes_on = False
    for line in text.splitlines():
        if goes_on:
            found[-1] = (f"{found[-1][0]}\n{line.removeprefix('> ')}", [])
        elif line.startswith("$ "):
            found.append((line[2:], []))
        elif not found:
            raise ValueError(f"what prints this? {line!r}")
        else:
            found[-1][1].append(line)
            continue
        goes_on = line.endswith("\\")
    return [Shown(command, tuple(lines)) for command, lines in found]


_VARY = (
    (re.compile(r"sha256:[0-9a-f]{6,64}"), "sha256:⟨hex⟩"),
    (re.compile(r"\b[0-9a-f]{7,64}\b"), "⟨hex⟩"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?"), "⟨time⟩"),
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), r"\1:⟨port⟩"),
    (re.compile(r"\b\d+(?:\.\d+)? (s|ms|min)\b"), r"⟨number⟩ \1"),
    (re.compile(r"\(\d+(?:\.\d+)? to \d+(?:\.\d+)?\)"), "⟨range⟩"),
    (re.compile(r"\b\d+ (requests|by version)\b"), r"⟨number⟩ \1"),
    (re.compile(r"(?<=\S)\s+"), " "),
)
"""What differs from one run to the next, and what it is read as: digests and ids, moments, ports, durations, counts,
and the width of a column."""


def settled(line: str) -> str:
    """The line without what differs from one run to the next."""
    for pattern, word in _VARY:
        line = pattern.sub(word, line)
    return line.rstrip()


def _pattern(line: str) -> str:
    words = [r"(?: .*)? " if piece == " … " else ".*" if piece == "…" else re.escape(piece) for piece in _pieces(line)]
    return "".join(words)


def _pieces(line: str) -> list[str]:
    return re.split(r"( … |…)", settled(line))


def matches(expected: Sequence[str], printed: str) -> bool:
    """Whether a command printed what a document shows."""
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "…" else _pattern(line) + r"\n" for line in expected)
    text = "".join(f"{settled(line)}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, text) is not None


def absent(excerpt: Sequence[str], printed: str) -> list[str]:
    """The lines of an excerpt that are not among what was printed, in their order."""
    left = iter([settled(line) for line in printed.splitlines()])
    wanted = [line for line in excerpt if line.strip() not in {"", "…"}]
    return [line for line in wanted if not any(re.fullmatch(_pattern(line), found) for found in left)]


class Reader:
    """Somebody who follows a document from its first block to its last, in a folder of their own."""

    def __init__(self, folder: Path, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "GIT_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
        own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "PATH": path}
        # What uv downloads is kept for all tests of this run, as everywhere in them.
        self._environment = {"UV_CACHE_DIR": os.environ["TESTS_UV_CACHE_DIR"], **kept, **own}
        self._environment.pop("PYTHONPATH", None)
        self._folder = folder
        self._home = home
        self._started: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def reading(self) -> Iterator["Reader"]:
        """While this lasts, what runs in the background runs; afterwards it is ended, each by its own process id."""
        try:
            yield self
        finally:
            for process in self._started:
                process.terminate()
            for process in self._started:
                process.wait(PATIENCE_SECONDS)

    def follow(self, block: Block) -> None:
        """Do what the block asks of its reader."""
        if block.directive == "skip":
            return
        if block.directive == "file":
            (self._folder / block.argument).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / block.argument).write_text(block.text, encoding="utf-8")
        elif block.directive == "background":
            self._start(block)
        elif block.kind == "console":
            for one in shown(block.text):
                self._check(block, one)
        elif block.kind == "sh":
            code, printed = self._run(f"set -e\n{block.text}")
            assert code == 0, f"line {block.line}: exit code {code}\n{printed}"
        elif block.kind == "python":
            code, printed = self._run(f"python - <<'END-OF-BLOCK'\n{block.text}\nEND-OF-BLOCK")
            assert code == 0, f"line {block.line}: exit code {code}\n{printed}"

    def _start(self, block: Block) -> None:
        for number, one in enumerate(shown(block.text)):
            with (self._home / f"background-{block.line}-{number}.log").open("wb") as log:
                process = subprocess.Popen(
                    ["bash", "-c", f"exec {one.command}"],
                    cwd=self._folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self._started.append(process)
        time.sleep(0.5)  # a command that cannot start at all has ended by now
        assert [process.args for process in self._started if process.poll() is not None] == []

    def _check(self, block: Block, one: Shown) -> None:
        code, printed = self._run(one.command)
        told = f"line {block.line}: $ {one.command}\nexit code {code}, and this was printed:\n{printed}"
        assert (code != 0) == one.fails, told
        assert matches(one.lines, printed), f"{told}\nThe document shows:\n" + "\n".join(one.lines)

    def _run(self, command: str) -> tuple[int, str]:
        """One command in the reader's shell: where it went and what it exported stays for the next one."""
        kept = self._home / "shell"
        kept.mkdir(exist_ok=True)
        script = f'{command}\ncode=$?\npwd -P > "{kept}/folder"\nenv -0 > "{kept}/environment"\nexit $code\n'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if (kept / "environment").exists():
            self._folder = Path((kept / "folder").read_text().rstrip("\n"))
            pairs = (kept / "environment").read_bytes().decode().split("\0")
            self._environment = dict(pair.partition("=")[::2] for pair in pairs if pair)
        return done.returncode, done.stdout.decode()
