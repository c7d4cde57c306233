"""Cases made by hand: what a gate would have collected, without a store, a registry or a process."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from holdfast.canonical import Json
from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError
from holdfast.evidence import CodeState, Column, Environment, Evidence, FeatureSchema, Holdout, Metrics
from holdfast.flow.bundle.metrics import measure
from holdfast.flow.gate.case import Case, Measured
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.formats import Listing, Standing
from holdfast.manifest import FileEntry, Manifest
from holdfast.names import ModelName, RelativePath, StageName, VersionNumber
from holdfast.parts import (
    DataInput,
    DataSlice,
    EvalThreshold,
    Hyperparameters,
    Missing,
    Parts,
    PreprocessingCode,
    Weights,
)
from holdfast.registry.records import Approval, Meaning
from holdfast.registry.values import Version
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)

CUT_OFF = EvalThreshold("cut_off", 0.5, 1, 0)
NUMBERS = EvalThreshold("identity")

PATHS = [
    "code/features.py",
    "environment/requirements.lock",
    "holdout/outputs.json",
    "holdout/rows.json",
    "weights/model.bin",
]

RIGHT = [1, 0] * 50
"""A hundred true answers, half of each class."""


def wrong_at(*places: int, targets: list[Json] | None = None) -> list[Json]:
    """The true answers, but for those at `places`."""
    given = RIGHT if targets is None else targets
    return [1 - label if place in places else label for place, label in enumerate(given)]


def manifest(*, groups: tuple[str, ...] = (), **changes: Any) -> Manifest:
    """A complete manifest; a part or a piece of evidence may be given by name."""
    parts: dict[str, Any] = {
        "weights": Weights("safetensors", "sklearn", "m.Model", False, (RelativePath("weights/model.bin"),)),
        "data_slice": DataSlice((DataInput("train", "train.csv", hash_bytes(b"rows"), 1, 4),)),
        "preprocessing_code": PreprocessingCode("function", "features:f", files=(RelativePath("code/features.py"),)),
        "hyperparameters": Hyperparameters({"C": 1.0}),
        "eval_threshold": CUT_OFF,
    }
    rows, outputs = RelativePath("holdout/rows.json"), RelativePath("holdout/outputs.json")
    evidence: dict[str, Any] = {
        "environment": Environment("3.12.1", RelativePath("environment/requirements.lock")),
        "schema": FeatureSchema("rows", (Column("age", "float64"),)),
        "metrics": Metrics("accuracy", {"accuracy": 1.0}, {"accuracy": True}, len(RIGHT)),
        "holdout": Holdout(rows, outputs, len(RIGHT), "churned", groups),
        "run": Missing("run", "made by hand"),
        "code": CodeState(None, dirty=False),
        "card": Missing("card", "made by hand"),
    }
    parts |= {name: value for name, value in changes.items() if name in parts}
    evidence |= {name: value for name, value in changes.items() if name in evidence}
    files = tuple(FileEntry(RelativePath(path), hash_bytes(path.encode()), len(path)) for path in PATHS)
    return Manifest(CHURN, Parts(**parts), Evidence(**evidence), files)


def version(number: int, *, by: str = "ana") -> Version:
    return Version(
        model=CHURN,
        number=VersionNumber(number),
        digest=hash_bytes(str(number).encode()),
        complete=True,
        missing=(),
        run_id=None,
        semver=None,
        summary={},
        created_at=NOW,
        created_by=by,
    )


def said(predictions: list[Json], scores: list[Json] | None = None) -> Answer:
    return Answer(predictions, [float(p) for p in predictions] if scores is None else scores, None)


def measured(answer: Answer, targets: list[Json], threshold: EvalThreshold, primary: str | None = None) -> Measured:
    return Measured(answer, measure(targets, answer, threshold, primary=primary))


def case(
    mine: list[Json] | None = None,
    theirs: list[Json] | None = None,
    *,
    targets: list[Json] | None = None,
    threshold: EvalThreshold = CUT_OFF,
    primary: str | None = "accuracy",
    columns: dict[str, list[Json]] | None = None,
    groups: tuple[str, ...] = (),
    **policy: Any,
) -> Case:
    """A case in which the candidate said `mine`, and the version that holds the stage, if there is one, `theirs`."""
    truth: list[Json] = RIGHT if targets is None else targets
    answer = said(truth if mine is None else mine)
    table = Table.of_columns(
        ("age", *(columns or {}), "churned"), [[1.0] * len(truth), *(columns or {}).values(), truth]
    )
    candidate = measured(answer, truth, threshold, primary)
    metrics = candidate.metrics
    found = Case(
        candidate=version(2),
        stage=PRODUCTION,
        policy=StagePolicy(**policy),
        actor="ana",
        manifest=manifest(eval_threshold=threshold, groups=groups, metrics=metrics),
        listings=dict.fromkeys(PATHS, Listing("text", Standing.DATA)),
        recorded=answer,
        rows=table,
        targets=tuple(truth),
        measured=candidate,
    )
    if theirs is None:
        return found
    return replace(found, baseline=version(1), against=measured(said(theirs), truth, threshold, primary))


def without_answer(found: Case, trouble: HoldfastError | None = None) -> Case:
    """The case as if the candidate had not answered."""
    return replace(found, measured=None, against=None, trouble=trouble)


def without_baseline_answer(found: Case, trouble: HoldfastError | None = None) -> Case:
    """The case as if the version that holds the stage had not answered."""
    return replace(found, against=None, against_trouble=trouble)


def approval(who: str, meaning: Meaning = Meaning.APPROVE, **changes: Any) -> Approval:
    given = Approval(
        id=f"{who}-{meaning}",
        model=CHURN,
        number=VersionNumber(2),
        digest=version(2).digest,
        stage=PRODUCTION,
        meaning=meaning,
        approver=who,
        reason="",
        verdict=None,
        created_at=NOW,
    )
    return replace(given, **changes)


Rule = Callable[[Case], Any]
