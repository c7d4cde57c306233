"""How large a step a semantic version has to take, from what changed between two bundles.

    MAJOR   who sends rows or reads answers may break; or the weights are of another kind
    MINOR   trained anew: weights, data or hyperparameters; or rows may hold more
    PATCH   the same training: preprocessing, threshold, metrics, holdout, environment, card

The numbers are those of https://semver.org (2.0.0), and the meaning of the steps is Holdfast's. Below 1.0.0, where a
number promises little, each step may be one smaller. A suggestion is one that a person may pass by with a larger step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from holdfast.canonical import Json
from holdfast.evidence import Card, Environment, FeatureSchema, Holdout
from holdfast.manifest import Manifest
from holdfast.names import BySemver, RelativePath
from holdfast.parts import DataSlice, EvalThreshold, PreprocessingCode, Weights
from holdfast.runtime.compatibility import answer_changes, changes

__all__ = ["Reason", "Step", "asked_step", "numbers", "reasons", "step_between", "suggested"]


class Step(IntEnum):
    """Which of the three numbers goes up; a larger step is a larger number."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that changed, and the step that it asks for."""

    step: Step
    sentence: str


def reasons(old: Manifest, new: Manifest) -> tuple[Reason, ...]:
    """What changed, the largest step first; empty where nothing did."""
    found = (*_promises(old, new), *_training(old, new), *_beside(old, new))
    return tuple(sorted(found, key=lambda reason: -reason.step))


def _promises(old: Manifest, new: Manifest) -> Iterator[Reason]:
    before, now = old.evidence.schema, new.evidence.schema
    if isinstance(before, FeatureSchema) and isinstance(now, FeatureSchema):
        for change in changes(before, now):
            yield Reason(Step.MAJOR if change.breaks else Step.MINOR, change.sentence)
    rule, rule_now = old.parts.eval_threshold, new.parts.eval_threshold
    if isinstance(rule, EvalThreshold) and isinstance(rule_now, EvalThreshold):
        for change in answer_changes(rule, rule_now, None, None):
            yield Reason(Step.MAJOR, change.sentence)


def _training(old: Manifest, new: Manifest) -> Iterator[Reason]:
    before, now = old.parts.weights, new.parts.weights
    if isinstance(before, Weights) and isinstance(now, Weights):
        for what, was, held in (
            ("model", before.model_class, now.model_class),
            ("loader", before.loader, now.loader),
            ("format of the weights", before.format, now.format),
        ):
            if was != held:
                yield Reason(Step.MAJOR, f"the {what} is {held}, and was {was}")
    if _weights(old) != _weights(new):
        yield Reason(Step.MINOR, "the weights are others")
    if _data(old) != _data(new):
        yield Reason(Step.MINOR, "the data is another")
    if old.parts.hyperparameters.to_json() != new.parts.hyperparameters.to_json():
        yield Reason(Step.MINOR, "the hyperparameters are others")


def _beside(old: Manifest, new: Manifest) -> Iterator[Reason]:
    if _preprocessing(old) != _preprocessing(new):
        yield Reason(Step.PATCH, "the preprocessing code is another")
    if old.parts.eval_threshold.to_json() != new.parts.eval_threshold.to_json():
        yield Reason(Step.PATCH, "the threshold is another")
    if old.evidence.metrics.to_json() != new.evidence.metrics.to_json():
        yield Reason(Step.PATCH, "the metrics are others")
    for what, kind in (("environment", Environment), ("card", Card), ("holdout", Holdout)):
        if _file_of(old, what, kind) != _file_of(new, what, kind):
            yield Reason(Step.PATCH, f"the {what} is another")


def _digests(manifest: Manifest, paths: Sequence[RelativePath]) -> list[Json]:
    return [str(manifest.file(path).digest) for path in paths]


def _weights(manifest: Manifest) -> Json:
    part = manifest.parts.weights
    if not isinstance(part, Weights):
        return None
    return [*_digests(manifest, part.files), None if part.base is None else str(part.base.digest)]


def _data(manifest: Manifest) -> Json:
    part = manifest.parts.data_slice
    return sorted([item.role, str(item.digest)] for item in part.inputs) if isinstance(part, DataSlice) else None


def _preprocessing(manifest: Manifest) -> Json:
    part = manifest.parts.preprocessing_code
    if not isinstance(part, PreprocessingCode):
        return None
    state = [] if part.state is None else [part.state]
    return [part.kind, part.entry_point, *_digests(manifest, [*part.files, *state])]


def _file_of(manifest: Manifest, name: str, kind: type) -> Json:
    """The digest of the file that a piece of evidence is, or is about."""
    piece = getattr(manifest.evidence, name)
    if not isinstance(piece, kind):
        return None
    path = {"environment": "lock", "card": "file", "holdout": "rows"}[name]
    return str(manifest.file(getattr(piece, path)).digest)


def numbers(semver: str) -> tuple[int, int, int]:
    """The three numbers of a semantic version.

    Raises:
        UsageError: it is none.
    """
    major, minor, patch = str(BySemver(semver)).split(".")
    return int(major), int(minor), int(patch)


def step_between(old: str, new: str) -> Step | None:
    """The step from one semantic version to a later one; None when it goes back."""
    before, now = numbers(old), numbers(new)
    if now < before:
        return None
    places = (Step.MAJOR, Step.MINOR, Step.PATCH)
    return next((step for step, was, held in zip(places, before, now, strict=True) if was != held), Step.NONE)


def asked_step(old: str, found: Sequence[Reason]) -> Step:
    """The least step from the semantic version `old` that says what changed."""
    largest = max((reason.step for reason in found), default=Step.NONE)
    return Step(max(largest - 1, min(largest, Step.PATCH))) if numbers(old)[0] == 0 else largest


def suggested(old: str, step: Step) -> str:
    """The next semantic version after `old` by this step."""
    major, minor, patch = numbers(old)
    match step:
        case Step.MAJOR:
            return f"{major + 1}.0.0"
        case Step.MINOR:
            return f"{major}.{minor + 1}.0"
        case Step.PATCH:
            return f"{major}.{minor}.{patch + 1}"
    return old
