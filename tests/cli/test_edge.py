"""The edge of the process: interrupted, cut off, out of space, or broken."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from holdfast.cli import app, look
from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.config import VERSION
from tests.commands import PROGRAM, Cli, holdfast
from tests.patience import PATIENCE_SECONDS


def breaking(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, every command that opens a project meets `error` there."""

    def broken() -> None:
        raise error

    monkeypatch.setattr(look, "here", broken)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_ctrl_c_is_told_and_has_its_own_exit_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    breaking(error, monkeypatch)
    spoken = cli("list")
    assert (spoken.code, spoken.out, spoken.err) == (130, "", "interrupted\n")
    told = cli("list", "--json")
    assert (told.code, told.error["code"]) == (130, "interrupted")
    assert told.error["hint"]


def test_a_defect_is_told_whole(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(RuntimeError("a wheel came off"), monkeypatch)
    for arguments in (["list"], ["list", "--json"]):
        answer = cli(*arguments)
        assert answer.code == EXIT_CODES["unexpected"]
        assert "RuntimeError: a wheel came off" in answer.err
        assert "This is a defect of Holdfast" in answer.err
    assert answer.error["code"] == "unexpected"
    assert answer.error["message"] == "a wheel came off"


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "no_space"), (errno.EROFS, "permission_refused"), (errno.EACCES, "permission_refused")],
)
def test_what_the_machine_refuses_is_no_defect(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    breaking(OSError(number, os.strerror(number), "/somewhere"), monkeypatch)
    assert "/somewhere" in cli.fails(code, "list")["message"]


def test_a_pipe_that_breaks_inside_is_not_taken_for_a_reader_that_left(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking(BrokenPipeError(errno.EPIPE, "a worker is gone"), monkeypatch)
    assert cli("list").code == EXIT_CODES["unexpected"]


@pytest.mark.slow
def test_a_reader_that_leaves_early_changes_neither_the_exit_code_nor_says_a_word(cli: Cli, incomplete: Path) -> None:
    for command, code in ((["log"], 0), (["list", "--json"], 0), (["gate", "churn@1"], EXIT_CODES["gate_refused"])):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            [str(PROGRAM), *command],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        os.close(write)
        assert (done.returncode, done.stderr) == (code, ""), command


@pytest.mark.slow
def test_many_lines_into_head(cli: Cli, project: Path) -> None:
    for number in range(40):
        cli.ok("register", "churn", "--param", f"seed={number}", "--reason", "x" * 3000)
    shell = f"set -o pipefail; '{PROGRAM}' log | head -1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("event")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", [["log"], ["log", "--json"]])
def test_a_full_disk_under_standard_output_is_told_on_the_other_stream(incomplete: Path, command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(PROGRAM), *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    assert done.returncode == EXIT_CODES["no_space"]
    assert "no space" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-", "0<&-"])
def test_a_stream_that_is_closed_from_the_start_is_not_missed(incomplete: Path, closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{PROGRAM}' list --json {closed}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ("1>&-" in closed) == (done.stdout == "")


@pytest.mark.slow
def test_a_name_that_the_terminal_cannot_show_is_shown_all_the_same(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "アナ")
    cli.ok("approve", "churn@1")
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    spoken = holdfast("log", folder=incomplete)
    assert (spoken.code, spoken.err) == (0, "")
    assert "\\u30a2\\u30ca" in spoken.out
    told = holdfast("log", "--json", folder=incomplete)
    assert json.loads(told.out)["events"][0]["actor"] == "アナ <ana@example.org>"


@pytest.mark.slow
def test_the_version_is_said_before_anything_is_loaded(folder: Path) -> None:
    answer = holdfast("--version", folder=folder)
    assert (answer.code, answer.out, answer.err) == (0, f"holdfast {VERSION}\n", "")
    module = subprocess.run(
        [sys.executable, "-m", "holdfast", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    assert module.stdout == answer.out


@pytest.mark.slow
def test_the_installed_program_answers_like_this_process(cli: Cli, incomplete: Path) -> None:
    for arguments in (["list", "--json"], ["show", "churn@9", "--json"], ["show", "churn@9"], ["lst"]):
        assert holdfast(*arguments, folder=incomplete) == cli(*arguments)


@pytest.mark.slow
def test_a_shell_can_complete(folder: Path) -> None:
    environment = {**os.environ, "_HOLDFAST_COMPLETE": "complete_bash", "COMP_WORDS": "holdfast pro", "COMP_CWORD": "1"}
    answer = holdfast(folder=folder, environment=environment)
    assert answer.out.split() == ["promote"]
    assert app.COMMANDS["promote"] == "move"
