"""`run`: the command keeps its streams, its exit code and its signals; what was captured is told beside them."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import PROGRAM, Cli, holdfast
from tests.patience import PATIENCE_SECONDS, until

# Each of these starts one short command, well under a second.


def test_the_command_keeps_standard_output_to_itself(cli: Cli, project: Path) -> None:
    answer = cli.ok("run", "--", "sh", "-c", "echo data; echo talk >&2")
    assert answer.out == "data\n"
    assert "talk\n" in answer.err
    assert "finished" in answer.err


def test_with_json_the_answer_is_alone_on_standard_output(cli: Cli, project: Path) -> None:
    answer = cli.ok("run", "--json", "--model", "churn", "--name", "try", "--", "sh", "-c", "echo data; echo talk >&2")
    value = answer.value
    assert (value["status"], value["exit_code"], value["model"], value["name"]) == ("finished", 0, "churn", "try")
    assert {"id", "params", "metrics", "inputs", "notes", "started_at", "finished_at", "actor"} <= set(value)
    assert value["actor"] == "ana <ana@example.org>"
    assert "data\n" in answer.err
    assert "talk\n" in answer.err


def test_json_behind_the_dashes_belongs_to_the_command(cli: Cli, project: Path) -> None:
    assert cli.ok("run", "--", "echo", "--json").out == "--json\n"


def test_options_behind_the_command_belong_to_it_without_dashes_too(cli: Cli, project: Path) -> None:
    assert cli.ok("run", "echo", "--name", "x").out == "--name x\n"


def test_dashes_within_the_command_stay(cli: Cli, project: Path) -> None:
    assert cli.ok("run", "--", "echo", "a", "--", "b").out == "a -- b\n"


@pytest.mark.parametrize("code", [1, 2, 7, 255])
def test_the_exit_code_is_the_commands_own(cli: Cli, project: Path, code: int) -> None:
    answer = cli("run", "--json", "--", "sh", "-c", f"exit {code}")
    assert answer.code == code
    assert (answer.value["exit_code"], answer.value["status"]) == (code, "failed")


def test_a_command_that_was_killed_ends_as_a_shell_would_say(cli: Cli, project: Path) -> None:
    answer = cli("run", "--json", "--", "sh", "-c", "kill -9 $$")
    assert answer.code == 128 + signal.SIGKILL
    assert answer.value["status"] == "killed"


def test_a_command_that_cannot_be_started_is_recorded_as_failed(cli: Cli, project: Path) -> None:
    cli.fails("usage", "run", "--", "no-such-program")
    statuses = [found["status"] for found in cli.json("search", "--runs")["runs"]]
    assert statuses == ["failed", "failed"]


def test_the_run_is_found_again(cli: Cli, project: Path) -> None:
    made = cli.json("run", "--model", "churn", "--", "true")
    (found,) = cli.json("search", "--runs")["runs"]
    assert found["id"] == made["id"]
    told = cli.ok("run", "--", "true").err
    assert told.split()[1] == cli.json("search", "--runs")["runs"][0]["id"]


def test_a_folder_that_is_no_repository_is_said_and_no_error(cli: Cli, project: Path) -> None:
    assert "no Git repository" in cli.ok("run", "--", "true").err


@pytest.mark.slow
def test_standard_input_reaches_the_command(project: Path) -> None:
    answer = holdfast("run", "--", "cat", folder=project, stdin="three\nlines\nof text")
    assert (answer.code, answer.out) == (0, "three\nlines\nof text")


@pytest.mark.slow
def test_a_seed_and_the_arguments_are_in_the_run(cli: Cli, project: Path) -> None:
    (project / "train.py").write_text("import random, sys\nprint(random.random())\n")
    first = cli.ok("run", "--seed", "7", "--", sys.executable, "train.py", "--lr", "0.1")
    again = cli.ok("run", "--seed", "7", "--", sys.executable, "train.py", "--lr", "0.1")
    assert first.out == again.out
    assert cli.json("search", "--runs", "params.lr = 0.1")["runs"][0]["name"] == "train.py"


@pytest.mark.slow
def test_the_data_that_the_command_read_is_frozen(cli: Cli, project: Path) -> None:
    (project / "train.csv").write_text("a,b\n1,2\n")
    (project / "train.py").write_text("print(len(open('train.csv').read()))\n")
    value = cli.json("run", "--", sys.executable, "train.py")
    (read,) = value["inputs"]
    assert (read["name"], read["bytes"]) == ("train.csv", 8)
    assert cli.json("checkout", read["digest"], "back")["files"] == 1


@pytest.mark.slow
def test_a_terminal_stays_a_terminal(project: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [str(PROGRAM), "run", "--", sys.executable, "-c", "import sys; print('tty', sys.stdin.isatty())"],
        cwd=project,
        stdin=theirs,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    os.close(ours)
    os.close(theirs)
    assert done.stdout == "tty True\n"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_and_the_run_is_kept(
    cli: Cli, project: Path, number: signal.Signals, code: int
) -> None:
    (project / "train.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [str(PROGRAM), "run", "--", sys.executable, "train.py"], cwd=project, stderr=subprocess.PIPE, text=True
    )
    until((project / "begun").exists)
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code
    assert "defect of Holdfast" not in said
    (found,) = cli.json("search", "--runs")["runs"]
    assert found["status"] == "killed"


@pytest.mark.slow
def test_a_full_disk_after_the_training_leaves_a_finished_run_that_says_so(cli: Cli, project: Path) -> None:
    (project / "big.csv").write_bytes(os.urandom(800_000))  # what compresses would find room
    (project / "train.py").write_text("open('big.csv', 'rb').read()\nprint('trained')\n")
    # Nothing this process or its children write may pass the limit: the disk is full for the data, not for the rest.
    limited = f"ulimit -f 400; exec {PROGRAM} run --json -- {sys.executable} train.py"
    done = subprocess.run(
        ["sh", "-c", limited], cwd=project, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert "trained" in done.stderr
    (found,) = cli.json("search", "--runs")["runs"]
    assert found["status"] == "finished"
    assert "not frozen" in found["notes"] or "not captured whole" in found["notes"]
