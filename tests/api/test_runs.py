"""`holdfast.run`: a training is captured, and never fails because of that."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import holdfast
from holdfast.errors import AlreadyExists, NotFound, UsageError
from holdfast.flow.bundle.origin import kept_capture
from holdfast.flow.capture import Capture
from holdfast.tracking.values import NewRun, Run, RunStatus
from holdfast.wire import Project
from tests.patience import PATIENCE_SECONDS
from tests.projects import SOURCE, open_handles, tables

Opener = Callable[[], Project]


def only_run() -> Run:
    (found,) = holdfast.search_runs()
    return found


def capture_of(project: Opener, run: Run) -> Capture:
    found = kept_capture(run, project().store)
    assert found is not None
    return found


class TestAsAContextManager:
    def test_a_training_is_one_run_with_all_that_was_logged(self, folder: Path) -> None:
        with holdfast.run("churn", params={"lr": 0.1}, name="first", tags={"who": "me"}) as run:
            run.log_params({"depth": np.int64(3), "seed": 7})
            run.log_metrics({"accuracy": 0.5, "f1": np.float64(0.25)}, step=1)
            run.log_metric("accuracy", 0.94, step=2)
            run.set_tags({"data": "march"})
            assert only_run().status is RunStatus.RUNNING
        found = only_run()
        assert found.id == run.id
        assert (found.status, found.name, str(found.model)) == (RunStatus.FINISHED, "first", "churn")
        assert found.params == {"lr": 0.1, "depth": 3, "seed": 7}
        assert found.metrics == {"accuracy": 0.94, "f1": 0.25}
        assert {"who": "me", "data": "march"}.items() <= dict(found.tags).items()
        assert found.actor == "ana <ana@example.org>"
        assert found.finished_at is not None

    @pytest.mark.disk
    def test_what_the_process_did_is_captured_without_being_asked_for(self, folder: Path, project: Opener) -> None:
        with holdfast.run("churn", seed=7):
            (folder / "data/train.csv").read_text()
        found = only_run()
        capture = capture_of(project, found)
        assert capture.interpreter["version"] == ".".join(str(part) for part in sys.version_info[:3])
        assert capture.seeds.asked == 7
        assert capture.used
        assert [(item.role, item.name) for item in found.inputs] == [("input", "data/train.csv")]
        assert found.inputs[0].digest == holdfast.snapshot("data/train.csv").digest

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ValueError("no convergence"), RunStatus.FAILED),
            (KeyboardInterrupt(), RunStatus.KILLED),
            (SystemExit(3), RunStatus.FAILED),
            (SystemExit("it went wrong"), RunStatus.FAILED),
            (SystemExit(0), RunStatus.FINISHED),
            (SystemExit(), RunStatus.FINISHED),
        ],
    )
    def test_an_exception_passes_through_unchanged_and_the_run_says_how_it_ended(
        self, folder: Path, error: BaseException, status: RunStatus
    ) -> None:
        with pytest.raises(type(error)) as caught, holdfast.run("churn"):
            raise error
        assert caught.value is error
        assert caught.value.__context__ is None
        found = only_run()
        assert found.status is status
        assert (repr(error)[:20] in found.notes) == (status is not RunStatus.FINISHED)

    def test_an_exception_that_cannot_be_shown_passes_through_too(self, folder: Path) -> None:
        class Mute(Exception):
            def __repr__(self) -> str:
                raise RuntimeError

        with pytest.raises(Mute), holdfast.run("churn"):
            raise Mute

    def test_outside_its_block_a_run_takes_nothing_and_says_why(self, folder: Path) -> None:
        run = holdfast.run("churn")
        with pytest.raises(UsageError, match="has not begun"):
            _ = run.id
        for call in (lambda: run.log_metric("f1", 1.0), lambda: run.snapshot("data"), lambda: run.register(None)):
            with pytest.raises(UsageError, match="the run is not open") as caught:
                call()
            assert "with holdfast.run(" in caught.value.hint

    def test_it_cannot_be_opened_twice_at_once_but_again_afterwards(self, folder: Path) -> None:
        run = holdfast.run("churn")
        with run:
            first = run.id
            with pytest.raises(UsageError, match="open already"), run:
                pass
        with run:
            assert run.id != first
        assert [found.status for found in holdfast.search_runs()] == [RunStatus.FINISHED] * 2

    def test_runs_may_lie_inside_each_other(self, folder: Path) -> None:
        with holdfast.run("churn", params={"outer": True}) as outer, holdfast.run("churn") as inner:
            inner.log_metric("f1", 0.5)
            outer.log_metric("f1", 0.7)
        metrics = {found.id: found.metrics for found in holdfast.search_runs()}
        assert metrics == {outer.id: {"f1": 0.7}, inner.id: {"f1": 0.5}}

    def test_a_param_that_is_there_keeps_its_value_and_the_caller_is_told(self, folder: Path) -> None:
        with holdfast.run("churn", params={"lr": 0.1}) as run:
            run.log_params({"lr": 0.1})
            with pytest.raises(AlreadyExists):
                run.log_params({"lr": 0.2, "depth": 3})
        assert only_run().params == {"lr": 0.1}

    def test_a_model_that_cannot_be_a_name_is_refused_before_anything_begins(self, folder: Path) -> None:
        with pytest.raises(UsageError, match="cannot be the name of a model"):
            holdfast.run("Churn Model")
        assert not (folder / ".holdfast").exists()


class TestAsADecorator:
    def test_each_call_is_a_run_with_its_settings_among_its_params(self, folder: Path) -> None:
        @holdfast.run("churn", params={"team": "a"})
        def train(frame: pd.DataFrame, lr: float, *, depth: int = 3, layers: tuple[int, ...] = (8, 4)) -> float:
            """Fit."""
            return lr * depth

        frame = pd.DataFrame({"a": [1]})
        assert train(frame, 0.5) == 1.5
        assert train(frame=frame, lr=np.float64(0.25), depth=4) == 1.0
        assert (train.__name__, train.__doc__) == ("train", "Fit.")
        second, first = holdfast.search_runs()
        assert first.params == {"team": "a", "lr": 0.5, "depth": 3, "layers": [8, 4]}
        assert second.params == {"team": "a", "lr": 0.25, "depth": 4, "layers": [8, 4]}
        assert [first.name, first.status] == ["train", RunStatus.FINISHED]

    def test_arguments_without_a_name_and_methods_are_no_trouble(self, folder: Path) -> None:
        class Trainer:
            @holdfast.run("churn")
            def fit(self, *parts: int, **options: float) -> int:
                return len(parts) + len(options)

        assert Trainer().fit(1, 2, lr=0.5) == 3
        assert only_run().params == {"parts": [1, 2], "lr": 0.5}

    def test_a_long_argument_is_data_and_no_param(self, folder: Path) -> None:
        @holdfast.run("churn")
        def train(text: str, numbers: list[float]) -> int:
            return len(text)

        assert train("x" * 100_000, [0.5] * 100_000) == 100_000
        assert only_run().params == {}

    def test_a_call_that_does_not_fit_fails_as_it_would_have(self, folder: Path) -> None:
        @holdfast.run("churn")
        def train(lr: float) -> float:
            return lr

        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            train()  # type: ignore[call-arg]
        assert only_run().status is RunStatus.FAILED

    def test_its_exception_passes_through_unchanged(self, folder: Path) -> None:
        error = ValueError("no convergence")

        @holdfast.run("churn")
        def train() -> None:
            raise error

        with pytest.raises(ValueError, match="no convergence") as caught:
            train()
        assert caught.value is error

    def test_work_that_begins_after_the_call_is_refused(self) -> None:
        async def later() -> None: ...

        def pieces() -> Any:
            yield 1

        for function in (later, pieces):
            with pytest.raises(UsageError, match="returns before its work begins"):
                holdfast.run("churn")(function)

    def test_threads_have_runs_of_their_own(self, folder: Path) -> None:
        @holdfast.run("churn")
        def train(number: int) -> int:
            return number

        threads = [threading.Thread(target=train, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = holdfast.search_runs()
        assert sorted(run.params["number"] for run in found) == list(range(6))
        assert {run.status for run in found} == {RunStatus.FINISHED}


class TestWhateverTheRepositoryIsLike:
    """Not in Git, without commits, detached, dirty: recorded as such, and never an exception."""

    def state(self, project: Opener) -> Any:
        with holdfast.run("churn"):
            pass
        run = only_run()
        assert run.status is RunStatus.FINISHED
        return capture_of(project, run).code

    def test_not_in_git(self, folder: Path, project: Opener) -> None:
        assert self.state(project).state == "not_a_repository"

    def test_git_is_not_installed(self, folder: Path, project: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        assert self.state(project).state in {"git_missing", "not_a_repository"}

    def test_no_commits(self, folder: Path, project: Opener, git: Callable[..., str]) -> None:
        git("init")
        assert self.state(project).state == "no_commits"

    def test_clean_then_dirty(self, folder: Path, project: Opener, git: Callable[..., str]) -> None:
        (folder / "train.py").write_text("a = 1\n")
        (folder / ".gitignore").write_text("data/\nholdfast.toml\n")
        git("init")
        git("add", ".")
        git("commit", "-m", "first")
        (folder / "train.py").write_text("a = 2\n")
        code = self.state(project)
        assert (code.state, code.dirty, code.commit) == ("git", True, git("rev-parse", "HEAD"))
        assert b"+a = 2" in code.patch

    def test_detached(self, folder: Path, project: Opener, git: Callable[..., str]) -> None:
        git("init")
        git("commit", "--allow-empty", "-m", "first")
        git("checkout", "--detach")
        code = self.state(project)
        assert (code.state, code.branch) == ("git", None)

    def test_broken(self, folder: Path, project: Opener, git: Callable[..., str]) -> None:
        git("init")
        (folder / ".git/HEAD").write_bytes(b"\x00nonsense")
        self.state(project)


class TestWhenHoldfastItselfIsInTrouble:
    def test_a_store_that_is_gone_at_the_end_costs_the_capture_and_not_the_training(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "holdfast"), holdfast.run("churn") as run:
            run.log_metric("f1", 0.5)
            shutil.rmtree(folder / ".holdfast/store")
            (folder / ".holdfast/store").write_text("in the way")
        assert run.id in caplog.text
        (folder / ".holdfast/store").unlink()
        assert (only_run().status, only_run().metrics) == (RunStatus.FINISHED, {"f1": 0.5})

    @pytest.mark.parametrize("error", [None, ValueError("the training's own")])
    def test_a_home_that_is_gone_at_the_end_changes_neither_result_nor_error(
        self, folder: Path, caplog: pytest.LogCaptureFixture, error: Exception | None
    ) -> None:
        def train() -> str:
            with holdfast.run("churn"):
                shutil.rmtree(folder / ".holdfast")
                if error is not None:
                    raise error
            return "trained"

        if error is None:
            assert train() == "trained"
        else:
            with pytest.raises(ValueError, match="the training's own") as caught:
                train()
            assert caught.value is error
        assert caplog.text

    def test_nothing_stays_open_after_a_run(self, folder: Path) -> None:
        with holdfast.run("churn"):
            pass
        holdfast.snapshot("data/train.csv")
        holdfast.search_runs()
        with pytest.raises(ValueError, match="no"), holdfast.run("churn"):
            raise ValueError("no")
        assert open_handles(folder) == []


class TestFreezing:
    def test_a_file_and_a_folder(self, folder: Path) -> None:
        with holdfast.run("churn") as run:
            train = run.snapshot("data/train.csv")
            everything = run.snapshot(folder / "data", role="everything")
        assert train.path == Path("data/train.csv")
        assert train.digest.startswith("sha256:")
        assert everything.snapshot.files == 2
        assert {(item.role, item.name): str(item.digest) for item in only_run().inputs} == {
            ("train", "data/train.csv"): train.digest,
            ("everything", "data"): everything.digest,
        }

    @pytest.mark.parametrize("frame", [pd.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [1, 2]})])
    def test_a_table_in_memory(self, folder: Path, frame: Any, caplog: pytest.LogCaptureFixture) -> None:
        holdfast.snapshot("data")
        caplog.clear()
        with holdfast.run("churn") as run:
            first = run.snapshot(frame, name="train.parquet")
            second = run.snapshot(frame.head(1), role="holdout")
        assert caplog.text == ""
        assert first.path is None
        assert first.digest != second.digest
        assert {(item.role, item.name) for item in only_run().inputs} == {
            ("train", "train.parquet"),
            ("holdout", "table.parquet"),
        }

    def test_a_second_table_of_the_same_name_is_refused_and_the_first_stays(self, folder: Path) -> None:
        with holdfast.run("churn") as run:
            run.snapshot(pd.DataFrame({"a": [1]}))
            with pytest.raises(AlreadyExists):
                run.snapshot(pd.DataFrame({"a": [2]}))
            run.snapshot(pd.DataFrame({"a": [2]}), name="second.parquet")
        assert {item.name for item in only_run().inputs} == {"table.parquet", "second.parquet"}

    def test_what_is_not_there_is_refused_and_nothing_is_recorded(self, folder: Path) -> None:
        with holdfast.run("churn") as run, pytest.raises(NotFound, match="trian"):
            run.snapshot("data/trian.csv")
        assert only_run().inputs == ()

    def test_a_relative_path_is_relative_to_where_the_script_is(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        holdfast.snapshot("data")
        monkeypatch.chdir(folder / "data")
        with holdfast.run("churn") as run:
            assert run.snapshot("train.csv").snapshot.source == "data/train.csv"


class TestSearching:
    def test_runs_are_found_by_what_they_logged(self, folder: Path) -> None:
        for lr in (0.1, 0.2, 0.3):
            with holdfast.run("churn", params={"lr": lr}) as run:
                run.log_metrics({"f1": 1 - lr})
        found = holdfast.search_runs("metrics.f1 > 0.75 and params.lr < 0.3", order_by="metrics.f1 desc")
        assert [run.params["lr"] for run in found] == [0.1, 0.2]
        assert len(holdfast.search_runs(limit=2)) == 2
        with pytest.raises(UsageError):
            holdfast.search_runs("metrics.f1 >")


class TestInsideAnotherRun:
    """Under `holdfast run -- …` a script joins the run that is there, where that makes sense."""

    @pytest.fixture
    def begun(self, folder: Path, project: Opener, monkeypatch: pytest.MonkeyPatch) -> Run:
        holdfast.snapshot("data/train.csv")
        begun = project().tracking.start_run(NewRun("train.py"), "ana")
        monkeypatch.setenv("HOLDFAST_RUN", begun.id)
        return begun

    def test_it_joins_and_does_not_finish_it(self, begun: Run) -> None:
        with holdfast.run("churn", params={"lr": 0.1}, tags={"a": "b"}) as run:
            run.log_metric("f1", 0.5)
            assert run.id == begun.id
        found = only_run()
        assert (found.status, found.params, found.metrics) == (RunStatus.RUNNING, {"lr": 0.1}, {"f1": 0.5})
        assert found.tags["a"] == "b"

    def test_its_failure_is_told_by_whoever_began_it(self, begun: Run) -> None:
        with pytest.raises(ValueError, match="no"), holdfast.run("churn"):
            raise ValueError("no")
        assert only_run().status is RunStatus.RUNNING

    def test_a_second_block_with_the_same_params_joins_and_one_with_others_is_a_run_of_its_own(
        self, begun: Run
    ) -> None:
        ids = []
        for lr in (0.1, 0.1, 0.2):
            with holdfast.run("churn", params={"lr": lr}) as run:
                ids.append(run.id)
        assert ids[:2] == [begun.id] * 2
        assert ids[2] != begun.id
        params = {run.id: (run.params, run.status) for run in holdfast.search_runs()}
        assert params[ids[2]] == ({"lr": 0.2}, RunStatus.FINISHED)

    def test_a_run_that_has_ended_is_not_joined(self, begun: Run, project: Opener) -> None:
        project().tracking.finish_run(begun.id, RunStatus.FINISHED)
        with holdfast.run("churn") as run:
            assert run.id != begun.id

    def test_a_run_of_another_project_is_not_joined(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOLDFAST_RUN", "0123456789abcdef")
        with holdfast.run("churn") as run:
            pass
        assert (only_run().id, only_run().status) == (run.id, RunStatus.FINISHED)


SCRIPT = """
import sys
import holdfast

with holdfast.run("churn", params={"lr": 0.1}) as run:
    print(run.id, flush=True)
    run.snapshot("data/train.csv")
    run.log_metric("f1", 0.5)
    if "wait" in sys.argv:
        sys.stdin.readline()
    if "fail" in sys.argv:
        raise ValueError("no convergence")
"""


@pytest.mark.slow
class TestRealProcesses:
    def holdfast_run(self, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
        (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
        (folder / "features.py").write_text("", encoding="utf-8")
        holdfast.snapshot("data/holdout.csv")
        command = [sys.executable, "-m", "holdfast", "run", "--", sys.executable, "train.py", *arguments]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )

    def test_a_script_under_holdfast_run_is_one_run(self, folder: Path) -> None:
        done = self.holdfast_run(folder, "--epochs", "3")
        assert done.returncode == 0, done.stderr
        found = only_run()
        assert found.id == done.stdout.splitlines()[0]
        assert found.status is RunStatus.FINISHED
        assert found.params == {"lr": 0.1, "epochs": 3}
        assert found.metrics == {"f1": 0.5}
        assert [(item.role, item.name) for item in found.inputs] == [("train", "data/train.csv")]

    def test_its_failure_is_the_failure_of_the_run(self, folder: Path) -> None:
        done = self.holdfast_run(folder, "fail")
        assert done.returncode == 1
        assert "ValueError: no convergence" in done.stderr
        assert only_run().status is RunStatus.FAILED

    def test_a_training_that_is_killed_leaves_its_run_open_and_nothing_broken(
        self, folder: Path, project: Opener
    ) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "wait"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        with process:
            assert process.stdout is not None
            run_id = process.stdout.readline().strip()
            while not only_run().metrics:
                pass
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        found = only_run()
        assert (found.id, found.status, found.metrics) == (run_id, RunStatus.RUNNING, {"f1": 0.5})
        assert project().registry.audit_verify().ok
        with holdfast.run("churn"):
            pass
        assert len(holdfast.search_runs()) == 2
        assert tables(project())["versions"] == []
