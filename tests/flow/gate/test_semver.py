"""`semver`: the number says how much changed."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.digest import hash_bytes
from holdfast.evidence import Column, FeatureSchema, Metrics
from holdfast.flow.bundle.step import Reason, Step, asked_step, numbers, reasons, step_between, suggested
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Outcome
from holdfast.flow.gate.semver import semver
from holdfast.manifest import FileEntry, Manifest
from holdfast.names import RelativePath
from holdfast.parts import DataInput, DataSlice, Hyperparameters, Weights
from tests.flow.gate.cases import CUT_OFF, RIGHT, case, manifest

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE

SEMVERS = st.tuples(*[st.integers(0, 20)] * 3).map(lambda found: ".".join(map(str, found)))


def with_file(path: str, **changes: Any) -> Manifest:
    """A manifest in which one file has other bytes."""
    found = manifest(**changes)
    files = tuple(
        FileEntry(entry.path, hash_bytes(b"other"), entry.size) if str(entry.path) == path else entry
        for entry in found.files
    )
    return replace(found, files=files)


def following(new: Manifest, mine: str | None, theirs: str | None, old: Manifest | None = None) -> Case:
    found = case(RIGHT, RIGHT)
    assert found.baseline is not None
    return replace(
        found,
        candidate=replace(found.candidate, semver=mine),
        baseline=replace(found.baseline, semver=theirs),
        manifest=new,
        baseline_manifest=manifest() if old is None else old,
    )


WEIGHTS = Weights("safetensors", "torch", "m.Net", False, (RelativePath("weights/model.bin"),))
CHANGES = [
    (manifest(), Step.NONE, ""),
    (with_file("code/features.py"), Step.PATCH, "the preprocessing code is another"),
    (with_file("environment/requirements.lock"), Step.PATCH, "the environment is another"),
    (with_file("holdout/rows.json"), Step.PATCH, "the holdout is another"),
    (with_file("holdout/outputs.json"), Step.NONE, ""),
    (manifest(eval_threshold=replace(CUT_OFF, value=0.4)), Step.PATCH, "the threshold is another"),
    (manifest(metrics=Metrics("accuracy", {"accuracy": 0.9}, {"accuracy": True}, 100)), Step.PATCH, "the metrics"),
    (with_file("weights/model.bin"), Step.MINOR, "the weights are others"),
    (manifest(hyperparameters=Hyperparameters({"C": 2.0})), Step.MINOR, "the hyperparameters are others"),
    (
        manifest(data_slice=DataSlice((DataInput("train", "train.csv", hash_bytes(b"more"), 1, 4),))),
        Step.MINOR,
        "the data is another",
    ),
    (manifest(schema=FeatureSchema("rows", (Column("age", "float64", nullable=True),))), Step.MINOR, "may be left out"),
    (manifest(schema=FeatureSchema("rows", (Column("age", "int8"),))), Step.MAJOR, "takes int8 now"),
    (manifest(eval_threshold=replace(CUT_OFF, positive=2)), Step.MAJOR, "2 is answered now"),
    (manifest(weights=WEIGHTS), Step.MAJOR, "the model is m.Net, and was m.Model"),
    (manifest(weights=replace(WEIGHTS, model_class="m.Model")), Step.MAJOR, "the loader is torch, and was sklearn"),
]


@pytest.mark.parametrize(("new", "step", "why"), CHANGES)
def test_each_kind_of_change_asks_for_its_step(new: Manifest, step: Step, why: str) -> None:
    found = reasons(manifest(), new)
    assert asked_step("1.4.2", found) is step
    assert why in " ".join(reason.sentence for reason in found)


@given(SEMVERS, st.sampled_from(list(Step)))
def test_the_suggested_number_is_the_step_it_was_suggested_for(old: str, step: Step) -> None:
    assert step_between(old, suggested(old, step)) is step
    assert numbers(suggested(old, step)) >= numbers(old)


@given(SEMVERS, SEMVERS)
def test_a_step_goes_one_way_only(old: str, new: str) -> None:
    assert (step_between(old, new) is None) == (numbers(new) < numbers(old))


def test_below_one_each_step_may_be_one_smaller() -> None:
    for step, asked in zip(Step, (Step.NONE, Step.PATCH, Step.PATCH, Step.MINOR), strict=True):
        assert asked_step("0.4.2", [Reason(step, "it")]) is asked


@pytest.mark.parametrize(
    ("mine", "theirs", "outcome", "said"),
    [
        ("1.4.3", "1.4.2", FAIL, "1.4.3 is a step of PATCH from 1.4.2 of version 1, and what changed asks for MINOR"),
        ("1.4.1", "1.4.2", FAIL, "1.4.1 goes back from 1.4.2"),
        ("1.5.0", "1.4.2", PASS, "is a step of MINOR, and MINOR is asked for: the weights are others (MINOR)"),
        ("2.0.0", "1.4.2", PASS, "is a step of MAJOR, and MINOR is asked for; 1.5.0 would have done"),
        ("0.4.3", "0.4.2", PASS, "is a step of PATCH, and PATCH is asked for"),
        ("1.0.0", None, PASS, "version 1 has no semantic version; 1.0.0 is the first"),
    ],
)
def test_a_step_too_small_fails_and_one_too_large_is_told(
    mine: str, theirs: str | None, outcome: Outcome, said: str
) -> None:
    finding = semver(following(with_file("weights/model.bin"), mine, theirs))
    assert finding.outcome is outcome
    assert said in finding.sentence
    if outcome is FAIL:
        assert finding.hint == "Register it again, as 1.5.0 or more."


def test_a_version_without_one_is_told_which_it_should_have() -> None:
    finding = semver(following(with_file("weights/model.bin"), None, "1.4.2"))
    assert finding.outcome is INCONCLUSIVE
    assert finding.hint.endswith("--semver 1.5.0")
    assert semver(following(manifest(), None, None)).hint.endswith("--semver 1.0.0")


def test_the_first_one_of_a_stage_passes_and_an_unreadable_one_decides_nothing() -> None:
    first = case()
    assert semver(replace(first, candidate=replace(first.candidate, semver="1.0.0"))).outcome is PASS
    lost = replace(following(manifest(), "1.0.1", "1.0.0"), baseline_manifest=None)
    assert semver(lost).outcome is INCONCLUSIVE
