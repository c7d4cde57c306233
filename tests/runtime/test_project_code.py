"""A project's own code in a process of its own: whatever it does, there is an answer or a sentence; nothing stays."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError, Unavailable, UsageError
from holdfast.names import RelativePath
from holdfast.runtime.project_code import SOURCE_BYTES_MAX, Program, call, of_file, of_module
from tests.patience import until

slow = pytest.mark.slow

CASE: dict[str, Any] = {
    "model": "churn",
    "stage": "production",
    "candidate": {
        "version": 2,
        "manifest": {"parts": {"weights": ["a"]}},
        "predictions": [1, 0, 1],
        "scores": [0.9, 0.2, 0.7],
        "classes": None,
        "metrics": {"recall": 1.0},
    },
    "baseline": None,
    "rows": {"names": ["age", "plan"], "columns": [[41, 17, 23], ["basic", "pro", "basic"]]},
    "targets": [1, 0, 0],
    "parameters": {"share_min": 0.5},
}


def program(body: str, function: str = "check") -> Program:
    return Program("gates/own.py", "project_own", body.encode(), function)


def asked(body: str, **limits: Any) -> Any:
    return call(program(body), {"op": "check", "case": CASE}, **limits)


def refused(body: str, **limits: Any) -> str:
    with pytest.raises(UsageError) as caught:
        asked(body, **limits)
    assert caught.value.hint
    return caught.value.message


PASSING = '{"outcome": "pass", "sentence": "well"}'


@slow
class TestAnswers:
    def test_a_rule_sees_rows_answers_manifest_and_parameters(self) -> None:
        found = asked(
            """
def check(case):
    right = [said == true for said, true in zip(case.candidate.predictions, case.targets)]
    of_basic = [ok for ok, plan in zip(right, case.column("plan")) if plan == "basic"]
    return case.failed("seen", "look", {
        "right": sum(right), "basic": len(of_basic), "age": case.rows[0]["age"], "score": case.candidate.scores[0],
        "part": case.candidate.manifest["parts"]["weights"][0], "asked": case.parameters["share_min"],
        "who": [case.model, case.stage, case.candidate.version], "recall": case.candidate.metrics["recall"],
        "baseline": case.baseline, "parameters": case.parameters,
    })
"""
        )
        assert found == {
            "outcome": "fail",
            "sentence": "seen",
            "hint": "look",
            "values": {
                "right": 2,
                "basic": 2,
                "age": 41,
                "score": 0.9,
                "part": "a",
                "asked": 0.5,
                "who": ["churn", "production", 2],
                "recall": 1.0,
                "baseline": None,
                "parameters": {"share_min": 0.5},
            },
        }

    def test_whatever_has_an_outcome_and_a_sentence_is_a_finding(self) -> None:
        found = asked(
            "class Found:\n    outcome, sentence, hint = 'inconclusive', 'who knows', 'ask'\n"
            "def check(case):\n    return Found()\n"
        )
        assert found == {"outcome": "inconclusive", "sentence": "who knows", "hint": "ask"}

    def test_numbers_of_numpy_are_numbers(self) -> None:
        found = asked(
            "import numpy\n"
            "def check(case):\n"
            "    return case.passed('well', {'mean': numpy.float64(0.5), 'each': numpy.arange(3)})\n"
        )
        assert found["values"] == {"mean": 0.5, "each": [0, 1, 2]}

    @pytest.mark.parametrize(
        "line",
        ["case.targets[0] = 1", "case.rows[0]['age'] = 1", "case.stage = 'x'", "case.parameters['share_min'] = 0"],
    )
    def test_the_view_cannot_be_changed(self, line: str) -> None:
        message = refused(f"def check(case):\n    {line}\n    return case.passed('changed')\n")
        assert "raised at line 2" in message

    def test_costs_are_asked_with_targets_predictions_scores_and_rows(self) -> None:
        body = """
def costs(targets, predictions, scores, rows):
    return [row["age"] * (true != said) + score for true, said, score, row in zip(targets, predictions, scores, rows)]
"""
        request = {"op": "costs", "targets": [1, 0, 0], "predictions": [1, 1, 0], "scores": [0.5, 0.25, 0.0]}
        assert call(program(body, "costs"), {**request, "rows": CASE["rows"]}) == [0.5, 17.25, 0.0]

    def test_the_bytes_that_were_read_run_whatever_the_file_holds_by_then(self, tmp_path: Path) -> None:
        file = tmp_path / "rule.py"
        file.write_text("def check(case):\n    return case.passed('first')\n")
        kept = of_file(tmp_path, RelativePath("rule.py"), "check")
        file.write_text("def check(case):\n    return case.passed('second')\n")
        assert call(kept, {"op": "check", "case": CASE})["sentence"] == "first"
        assert kept.digest == hash_bytes(b"def check(case):\n    return case.passed('first')\n")


@slow
class TestAttacks:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("def check(case):\n    return 1 / 0\n", "raised at line 2: ZeroDivisionError: division by zero"),
            ("raise ValueError('at once')\n", "raised at line 1: ValueError: at once"),
            ("def check(case:\n", "raised: "),
            ("x = 1\n", "has no function check"),
            ("import gates_of_the_project\n", "raised at line 1: ModuleNotFoundError"),
            ("def check(case):\n    return None\n", "returned NoneType"),
            ("def check(case):\n    return True\n", "returned bool"),
            ("def check(case):\n    return {'outcom': 'pass'}\n", "a finding has no 'outcom'"),
            ("def check(case):\n    return case.passed('well', {'x': float('nan')})\n", "not JSON compliant"),
            ("def check(case):\n    return case.passed('well', {'x': {1, 2}})\n", "a set is no JSON value"),
            ("def check(case):\n    return case.passed('well', {1: 1, '1': 2})\n", "no JSON value"),
            ("import os\ndef check(case):\n    os._exit(0)\n", "ended without an answer, with exit code 0"),
            ("import os\ndef check(case):\n    os._exit(7)\n", "ended without an answer, with exit code 7"),
            ("import sys\nsys.exit('enough')\n", "ended without an answer, with exit code 1: enough"),
            ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "by signal 11"),
            ("def check(case):\n    print('hello')\n    return case.passed('well')\n", "printed 'hello'"),
            (
                "import os\ndef check(case):\n    os.write(1, b'\\x1b[2J')\n    return case.passed('well')\n",
                "printed '[2J'",
            ),
            ("def check(case):\n    return [0] * (1 << 40)\n", "MemoryError"),
            ("def check(case):\n    return check(case)\n", "RecursionError"),
            ("class E(Exception):\n    def __str__(self): raise E\ndef check(case):\n    raise E\n", "raised at line "),
        ],
    )
    def test_what_is_no_finding_is_told_in_a_sentence(self, body: str, said: str) -> None:
        assert said in refused(body)

    def test_a_gigabyte_of_print_stops_at_the_limit_of_a_file(self) -> None:
        body = f"def check(case):\n    for _ in range(1024):\n        print('x' * (1 << 20))\n    return {PASSING}\n"
        assert "printed 'xxx" in refused(body)
        quiet = "import os\ndef check(case):\n    for _ in range(1024):\n        os.write(2, b'x' * (1 << 20))\n"
        assert "File too large" in refused(quiet)

    def test_what_hangs_is_ended_with_all_that_it_started(self) -> None:
        mark = str(uuid4().int % 10**9 + 10**9)
        body = f"""
import os, time
def check(case):
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "{mark}"])
    while True:
        time.sleep(1)
"""
        with pytest.raises(Unavailable, match="did not answer within 3 s"):
            asked(body, seconds_max=3.0)
        gone(mark)

    def test_a_process_that_it_leaves_behind_is_ended(self) -> None:
        mark = str(uuid4().int % 10**9 + 10**9)
        body = f"""
import subprocess
def check(case):
    subprocess.Popen(["sleep", "{mark}"])
    return case.passed("left one behind")
"""
        assert asked(body)["outcome"] == "pass"
        gone(mark)

    def test_a_fork_bomb_is_ended(self) -> None:
        body = """
import os, time
def check(case):
    for _ in range(400):
        if os.fork() == 0:
            time.sleep(600)
    time.sleep(600)
"""
        assert "more than 256 processes" in refused(body)

    @pytest.mark.skipif(sys.platform != "linux", reason="the network is refused on Linux")
    def test_it_has_no_network(self) -> None:
        assert "PermissionError" in refused("import socket\nsocket.socket()\n")

    def test_of_a_rule_that_forks_and_comes_back_twice_one_is_heard(self) -> None:
        body = """
import os
def check(case):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return case.passed("parent") if child else case.failed("child", "never heard")
"""
        assert asked(body)["sentence"] == "parent"

    def test_a_thread_that_never_ends_keeps_nobody_waiting(self) -> None:
        body = f"""
import threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
def check(case):
    return {PASSING}
"""
        assert asked(body)["outcome"] == "pass"

    def test_it_sees_no_token_and_stands_in_an_empty_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOLDFAST_TOKEN", "secret")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        body = """
import os
def check(case):
    return case.passed("well", {"seen": [n for n, v in os.environ.items() if v == "secret"], "here": os.listdir(".")})
"""
        assert asked(body)["values"] == {"seen": [], "here": []}

    def test_it_imports_nothing_of_the_project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "neighbour.py").write_text("share = 0.5\n")
        (tmp_path / "rule.py").write_text("import neighbour\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        with pytest.raises(UsageError, match="No module named 'neighbour'"):
            call(of_file(tmp_path, RelativePath("rule.py"), "check"), {"op": "check", "case": CASE})


def gone(mark: str) -> None:
    """Wait until no process has the mark among its arguments."""
    until(lambda: not any(mark in arguments for arguments in running()), f"the end of a process with {mark}")


def running() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
    return found


class TestWhereItIs:
    def test_a_file_outside_the_project_is_not_read(self, tmp_path: Path) -> None:
        project = tmp_path / "project"
        project.mkdir()
        (tmp_path / "outside.py").write_text("def check(case): ...\n")
        (project / "rule.py").symlink_to(tmp_path / "outside.py")
        (project / "gates").symlink_to(tmp_path)
        for name in ("rule.py", "gates/outside.py"):
            with pytest.raises(UsageError, match="leads out of the project"):
                of_file(project, RelativePath(name), "check")

    def test_a_link_within_the_project_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "real.py").write_text("x = 1\n")
        (tmp_path / "rule.py").symlink_to("real.py")
        assert of_file(tmp_path, RelativePath("rule.py"), "check").text == b"x = 1\n"

    def test_what_is_no_file_of_a_sensible_size_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "loop.py").symlink_to("loop.py")
        (tmp_path / "folder.py").mkdir()
        (tmp_path / "large.py").write_bytes(b"#" * (SOURCE_BYTES_MAX + 1))
        os.mkfifo(tmp_path / "pipe.py")
        for name in ("loop.py", "folder.py", "large.py", "pipe.py", "absent.py"):
            with pytest.raises(HoldfastError) as caught:
                of_file(tmp_path, RelativePath(name), "check")
            assert name in caught.value.message

    def test_a_module_is_found_without_being_imported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = tmp_path / "ownpkg"
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
        (package / "gate.py").write_text("def check(case): ...\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        found = of_module("ownpkg.gate", "check")
        assert (found.text, found.installed) == (b"def check(case): ...\n", True)
        for absent in ("ownpkg.absent", "nowhere.gate", "sys"):
            with pytest.raises(UsageError, match="no module"):
                of_module(absent, "check")
