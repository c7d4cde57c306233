"""From what was captured of a run to what a bundle says about where it came from."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast.evidence import CodeState, RunReference
from holdfast.flow.bundle import Ingredients
from holdfast.flow.bundle import origin as module
from holdfast.flow.bundle.origin import INPUT, data_input, freeze_opened, gather, keep_capture, kept_capture, to_run
from holdfast.flow.capture import Capture, Distribution, FileSeen, SeedCall, Seeds
from holdfast.flow.capture import CodeState as CapturedCode
from holdfast.flow.snapshot import snapshot
from holdfast.names import ModelName
from holdfast.parts import Hyperparameters, Missing
from holdfast.parts.data_slice import HOLDOUT, TRAIN
from holdfast.tracking.values import NewRun
from holdfast.wire import Project

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHURN = ModelName("churn")


def seen(path: Path) -> FileSeen:
    found = path.stat()
    return FileSeen(str(path), found.st_size, found.st_mtime_ns)


def captured(*inputs: FileSeen, **changes: Any) -> Capture:
    code = CapturedCode(state="git", commit="f3dbee741952", branch="main", dirty=True, patch=b"--- a\n+++ b\n")
    base = Capture(
        argv=("python", "train.py", "--lr", "0.5", "--depth=3"),
        folder="/project",
        started=NOON,
        finished=NOON,
        wall_seconds=1.5,
        code=code,
        interpreter={"version": "3.12.1"},
        used=(Distribution("numpy", "2.1.0"), Distribution("mine", "0.1", "file:///x", editable=True)),
        seeds=Seeds(asked=7, calls=(SeedCall("numpy.random.seed", 11, 1, 1),)),
        hardware={"cpu": "a CPU"},
        inputs=inputs,
    )
    return replace(base, **changes)


def data(project: Project, name: str, text: str = "a,b\n1,2\n") -> Path:
    path = project.settings.project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def given(project: Project, **changes: Any) -> Ingredients:
    return Ingredients(name=CHURN, project=project.settings.project, **changes)


def test_files_that_the_run_opened_are_frozen_under_their_own_role(registry_project: Project) -> None:
    project, store = registry_project.settings.project, registry_project.store
    first, second = data(registry_project, "data/train.csv"), data(registry_project, "data/other.csv", "x\n1\n")
    inputs, notes = freeze_opened(captured(seen(first), seen(second)), (), store, project)
    assert notes == ()
    assert [(item.role, item.name, item.source) for item in inputs] == [
        (INPUT, "train.csv", "data/train.csv"),
        (INPUT, "other.csv", "data/other.csv"),
    ]
    assert all(store.has(item.digest) for item in inputs)


def test_what_was_frozen_by_hand_is_not_frozen_again(registry_project: Project) -> None:
    project, store = registry_project.settings.project, registry_project.store
    inside, beside = data(registry_project, "data/train/a.csv"), data(registry_project, "beside.csv", "x\n")
    frozen = data_input(snapshot(store, project / "data/train", root=project), TRAIN)
    inputs, notes = freeze_opened(captured(seen(inside), seen(beside)), (frozen,), store, project)
    assert [(item.role, item.source) for item in inputs] == [(TRAIN, "data/train"), (INPUT, "beside.csv")]
    assert notes == ()


def test_a_file_that_changed_or_is_gone_is_noted_and_never_frozen_as_what_it_was(registry_project: Project) -> None:
    project, store = registry_project.settings.project, registry_project.store
    changed, gone, kept = (data(registry_project, f"{name}.csv") for name in ("changed", "gone", "kept"))
    capture = captured(seen(changed), seen(gone), seen(kept))
    changed.write_text("something else\n")
    gone.unlink()
    inputs, notes = freeze_opened(capture, (), store, project)
    assert [item.name for item in inputs] == ["kept.csv"]
    assert len(notes) == 2
    assert all("it has changed since the run opened it, or is gone" in note for note in notes)


def test_a_run_that_opens_too_much_is_told_so(registry_project: Project, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_FROZEN_BYTES_MAX", 10)
    first, second = data(registry_project, "a.csv"), data(registry_project, "b.csv", "x,y\n3,4\n")
    inputs, notes = freeze_opened(
        captured(seen(first), seen(second)), (), registry_project.store, registry_project.settings.project
    )
    assert [item.name for item in inputs] == ["a.csv"]
    assert "freeze it by hand" in notes[0]


def test_a_capture_is_kept_with_its_run_and_read_back_whole(registry_project: Project) -> None:
    tracking, store, project = registry_project.tracking, registry_project.store, registry_project.settings.project
    run = tracking.start_run(NewRun("first", CHURN), "ana")
    capture = captured(seen(data(registry_project, "train.csv")))
    assert keep_capture(capture, run.id, store, tracking, project) == ()
    again = tracking.run(run.id)
    assert kept_capture(again, store) == capture
    assert [(item.role, item.name) for item in again.inputs] == [(INPUT, "train.csv")]
    # Keeping it once more, as `register` and the end of the run both do, adds nothing twice.
    keep_capture(capture, run.id, store, tracking, project)
    assert len(tracking.run(run.id).inputs) == 1
    assert kept_capture(tracking.start_run(NewRun(), "ana"), store) is None


def test_an_undecodable_argument_does_not_end_the_training(registry_project: Project) -> None:
    tracking = registry_project.tracking
    run = tracking.start_run(NewRun(), "ana")
    capture = captured(argv=("python", "train.py", "--path", "caf\udce9.csv"))
    keep_capture(capture, run.id, registry_project.store, tracking, registry_project.settings.project)
    found = kept_capture(tracking.run(run.id), registry_project.store)
    assert found is not None
    assert found.argv[-1] == "caf\\udce9.csv"


def test_everything_that_is_known_of_a_run_becomes_an_ingredient(registry_project: Project) -> None:
    tracking, store, project = registry_project.tracking, registry_project.store, registry_project.settings.project
    run = tracking.start_run(NewRun("first", CHURN, {"lr": 0.1}, {"team": "risk"}), "ana")
    tracking.log_metrics(run.id, {"loss": 0.25}, step=3)
    capture = captured(seen(data(registry_project, "train.csv")))
    keep_capture(capture, run.id, store, tracking, project)
    found = gather(given(registry_project), tracking.run(run.id), capture, store)
    assert found.code == CodeState("f3dbee741952", True, None, found.code.values)  # type: ignore[union-attr]
    assert found.patch == b"--- a\n+++ b\n"
    assert found.python == "3.12.1"
    assert found.lock is not None
    assert "numpy==2.1.0\n" in found.lock
    assert "# mine==0.1 was installed from an editable folder" in found.lock
    assert found.environment["hardware"] == {"cpu": "a CPU"}
    assert isinstance(found.run, RunReference)
    assert found.run.id == run.id
    assert found.run.values["tags"] == {"team": "risk"}
    assert found.hyperparameters == Hyperparameters(
        {"lr": 0.1, "depth": 3}, {"lr": "run", "depth": "arguments"}, {"numpy.random.seed": 11, "run": 7}
    )
    assert [item.role for item in found.inputs] == [INPUT]


def test_two_looks_at_one_run_give_the_same_ingredients(registry_project: Project) -> None:
    tracking, store, project = registry_project.tracking, registry_project.store, registry_project.settings.project
    run = tracking.start_run(NewRun("first", CHURN), "ana")
    found = []
    for seconds in (1.5, 2.5):
        capture = captured(seen(data(registry_project, "train.csv")), wall_seconds=seconds)
        keep_capture(capture, run.id, store, tracking, project)
        found.append(gather(given(registry_project), tracking.run(run.id), capture, store))
    assert found[0] == found[1]


def test_a_persons_word_goes_before_what_was_captured(registry_project: Project) -> None:
    own = given(registry_project, lock="six==1.17.0\n", hyperparameters=Hyperparameters({"depth": 9}))
    found = gather(own, None, captured(), registry_project.store)
    assert found.lock == "six==1.17.0\n"
    assert found.hyperparameters is not None
    assert found.hyperparameters.values["depth"] == 9


def test_a_holdout_is_frozen_and_takes_its_role(registry_project: Project) -> None:
    tracking, store, project = registry_project.tracking, registry_project.store, registry_project.settings.project
    train, holdout = data(registry_project, "train.csv"), data(registry_project, "holdout.csv", "a,b\n9,9\n")
    run = tracking.start_run(NewRun(), "ana")
    capture = captured(seen(train), seen(holdout))
    keep_capture(capture, run.id, store, tracking, project)
    found = gather(given(registry_project, holdout="holdout.csv"), tracking.run(run.id), capture, store)
    assert [(item.role, item.name) for item in found.inputs] == [(INPUT, "train.csv"), (HOLDOUT, "holdout.csv")]
    assert found.holdout_snapshot == found.inputs[1].digest


def test_a_file_that_was_trained_on_stays_so_even_when_it_is_the_holdout_too(registry_project: Project) -> None:
    tracking, store, project = registry_project.tracking, registry_project.store, registry_project.settings.project
    path = data(registry_project, "all.csv")
    run = tracking.start_run(NewRun(), "ana")
    tracking.log_inputs(run.id, [to_run(data_input(snapshot(store, path, root=project), TRAIN))])
    found = gather(given(registry_project, holdout=path), tracking.run(run.id), None, store)
    assert [item.role for item in found.inputs] == [TRAIN, HOLDOUT]


def test_code_outside_git_is_missing_with_its_reason(registry_project: Project) -> None:
    for state, reason in (("git_missing", "git is not installed"), ("not_a_repository", "")):
        code = CapturedCode(state=state, reason=reason)
        found = gather(given(registry_project), None, captured(code=code), registry_project.store)
        assert found.code == Missing("code", reason or state)


def test_without_run_and_capture_nothing_is_made_up(registry_project: Project) -> None:
    found = gather(given(registry_project), None, None, registry_project.store)
    assert found == given(registry_project)
