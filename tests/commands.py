"""Running `holdfast` as a person or a script does, and looking at everything that comes back."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.app import run
from holdfast.cli.exit_codes import ENDINGS, EXIT_CODES
from tests.patience import PATIENCE_SECONDS

SOURCE = Path(__file__).parents[1] / "src"
PROGRAM = Path(sys.executable).with_name("holdfast")
"""The installed entry point beside this interpreter."""


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON value on standard output; anything beside it fails here."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        value = self.value
        assert set(value) == {"error"}
        return dict(value["error"])


class Cli:
    """The command line inside this process: the same edge, without the cost of a new interpreter."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> Answer:
        self._capture.readouterr()
        code = run(list(arguments))
        said = self._capture.readouterr()
        return Answer(code, said.out, said.err)

    def ok(self, *arguments: str) -> Answer:
        """It worked, and nothing was said beside the answer that sounds like trouble."""
        answer = self(*arguments)
        assert answer.code == 0, answer
        assert "error:" not in answer.err
        return answer

    def json(self, *arguments: str) -> Any:
        """What it answers with `--json`: one value, and nothing else on standard output."""
        return self.ok(*with_json(arguments)).value

    def fails(self, code: str, *arguments: str, **details: Any) -> dict[str, Any]:
        """It ends with `code`, told to a program and to a person alike; the details must be among what is told."""
        told = self(*with_json(arguments))
        assert told.code == EXIT_CODES[code], told
        error = told.error
        assert error["code"] == code
        assert error["message"]
        assert error["hint"]
        assert {name: error.get(name) for name in details} == details
        spoken = self(*arguments)
        assert (spoken.code, spoken.out) == (told.code, "")
        # A person reads the findings one by one instead of the sentence that sums them up.
        said = error["message"].partition(": ")[0] if "findings" in error else error["message"]
        assert f"error: {said}" in spoken.err
        assert all(finding["sentence"] in spoken.err for finding in error.get("findings", []))
        assert "hint: " + "\n      ".join(error["hint"].split("\n")) in spoken.err
        assert code in ENDINGS.get(command_of(arguments), ("usage",)), "its -h does not name this ending"
        return error


def with_json(arguments: tuple[str, ...]) -> list[str]:
    """The arguments with `--json` where it belongs to us: in front of two dashes."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:at], "--json", *arguments[at:]]


def command_of(arguments: tuple[str, ...]) -> str:
    two = " ".join(arguments[:2])
    if arguments[0] == "gate" and two not in ENDINGS:
        return "gate judge"  # the word may be left out
    return two if two in ENDINGS else arguments[0]


def clean(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """An environment without anybody's settings: an empty home, an invented author, this checkout's program.

    What uv downloads is kept for the other tests of this run: in a home of its own, each would ask an index anew.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(("HOLDFAST_", "GIT_"))}
    return {
        "UV_CACHE_DIR": os.environ["TESTS_UV_CACHE_DIR"],
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "ana",
        "GIT_AUTHOR_EMAIL": "ana@example.org",
        "GIT_COMMITTER_NAME": "ana",
        "GIT_COMMITTER_EMAIL": "ana@example.org",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "PYTHONPATH": str(SOURCE),
    }


def use(environment: Mapping[str, str], patch: pytest.MonkeyPatch) -> None:
    """Make it this process's environment, until the patch is undone."""
    for name in set(os.environ) - set(environment):
        patch.delenv(name)
    for name, value in environment.items():
        patch.setenv(name, value)


def holdfast(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    seconds_max: float = PATIENCE_SECONDS,
) -> Answer:
    """The installed program, in a process of its own."""
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        cwd=folder,
        env=None if environment is None else dict(environment),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def built_once(name: str, factory: pytest.TempPathFactory, build: Callable[[Path], None]) -> Path:
    """A folder that is built once for all test processes, by whichever comes first."""
    root = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    folder, done = root / name, root / f"{name}.done"
    with (root / f"{name}.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            use(clean(os.environ, root), patch)
            build(folder)
            done.touch()
    return folder
