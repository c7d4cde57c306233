"""The holdout of a logged model: the rows and answers that the plugin wrote beside it, and what they measure.

    holdfast/holdout_rows.json      rows, the target among them: `runtime.rows.write_table`
    holdfast/holdout_outputs.json   what the model answered: `runtime.smoke.write_outputs` of an `Answer` whose
                                    predictions are what the pyfunc answers, one a row; and, where the estimator inside
                                    has classes, whose scores are its own for each of them (`estimator_scores`)
    holdfast/holdout.json           optional: {"target": "churned", "snapshot": "sha256:…", "of": "eval"}

From these follow the outputs that the bundle must give, by its own rule and loader; a gate asks it, and compares.
"""

from dataclasses import dataclass, field

from holdfast.bridges.mlflow.documents import json_in, mapping_of
from holdfast.bridges.mlflow.mlmodel import LoggedModel
from holdfast.bridges.mlflow.said import LoggedFiles, Said
from holdfast.bridges.mlflow.weights import ADDED_FOLDER
from holdfast.canonical import Json, JsonObject, encode
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UsageError
from holdfast.evidence import FeatureSchema, Holdout, Metrics
from holdfast.flow.bundle.adding import ANSWERS_RECORDED
from holdfast.flow.bundle.infer import groups_in
from holdfast.flow.bundle.metrics import measure
from holdfast.flow.bundle.places import OUTPUTS, ROWS
from holdfast.parts import EvalThreshold, Missing
from holdfast.runtime.loaders.mlflow import LABELS, SCORES
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import Table, read_table, write_table
from holdfast.runtime.schema import conform
from holdfast.runtime.smoke import read_outputs, write_outputs

__all__ = ["Measured", "Recorded", "measured", "recorded"]

HOLDOUT_BYTES_MAX = 64 << 20
"""A thousand rows of a thousand columns have twenty megabytes; it is read whole, and measured here."""


_COLUMNS_MAX = 5
"""Columns that one sentence names."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded beside the model, as it came.

    Attributes:
        rows: the raw rows.
        answer: what the model said of them.
        more: the optional third file.
    """

    rows: Table
    answer: Answer
    more: JsonObject = field(default_factory=dict)

    @property
    def of(self) -> str | None:
        """Which data the rows were taken from, such as `eval` or `train`, where the plugin said it."""
        told = self.more.get("of")
        return told[:40] if isinstance(told, str) else None


@dataclass(frozen=True, slots=True)
class Measured:
    """The two pieces of evidence, and the files that the first names; empty when it is missing."""

    holdout: Holdout | Missing
    metrics: Metrics | Missing
    rows: bytes = b""
    outputs: bytes = b""


def recorded(files: LoggedFiles, model: LoggedModel | None) -> Recorded | Missing:
    """The rows and answers that the plugin wrote."""
    rows, outputs = (f"{ADDED_FOLDER}/holdout_{name}.json" for name in ("rows", "outputs"))
    if not files.has(rows) or not files.has(outputs):
        example = " beside its input example" if model is not None and model.example else ""
        return Missing("holdout", f"nobody recorded what the model answers on rows that it was not trained on{example}")
    try:
        table = read_table(files.read(rows, HOLDOUT_BYTES_MAX)).named()
        answer = read_outputs(files.read(outputs, HOLDOUT_BYTES_MAX))
    except HoldfastError as error:
        return Missing("holdout", f"what was recorded cannot be read: {error.message}")
    if not table.count or not len(answer.predictions) == len(answer.scores) == table.count:
        return Missing("holdout", f"{len(answer.predictions)} answers were recorded for {table.count} rows")
    return Recorded(table, answer, mapping_of(json_in(files, f"{ADDED_FOLDER}/holdout.json")))


def measured(
    found: Recorded | Missing,
    said: Said,
    model: LoggedModel | None,
    *,
    schema: FeatureSchema | Missing,
    rule: EvalThreshold | Missing,
    loader: str,
) -> Measured:
    """The holdout with the outputs that the bundle must give on it, and what they measure."""
    none = Missing("metrics", "there is no holdout with targets to measure on")
    if isinstance(found, Missing):
        return Measured(found, none)
    if isinstance(schema, Missing) or isinstance(rule, Missing):
        return Measured(Missing("holdout", ANSWERS_RECORDED), Missing("metrics", ANSWERS_RECORDED))
    more = found.more
    target = _target(found.rows, schema, said.word("holdfast.target", {}) or more.get("target"))
    try:
        conform(schema, found.rows.without(target))
        answer = _by_rule(found.answer, rule, loader)
        outputs = write_outputs(answer)
    except HoldfastError as error:
        why = f"what was recorded is not what the bundle answers: {error.message}"
        return Measured(Missing("holdout", why), Missing("metrics", why))
    if target is None:
        return Measured(Missing("holdout", _unanswered(found, schema)), none)
    holdout = Holdout(
        ROWS, OUTPUTS, found.rows.count, target, groups_in(found.rows, target), _snapshot(more.get("snapshot"))
    )
    primary = said.word("holdfast.metric", {} if model is None else model.metadata)
    metrics = _metrics(found.rows.column(target), answer, rule, primary)
    return Measured(holdout, metrics, write_table(found.rows), outputs)


def _target(rows: Table, schema: FeatureSchema, told: Json) -> str | None:
    """The column with the true answers: the one that was named, or the only one that is no feature."""
    if isinstance(told, str) and told in (rows.names or ()):
        return told
    others = _no_features(rows, schema)
    return others[0] if len(others) == 1 else None


def _no_features(rows: Table, schema: FeatureSchema) -> list[str]:
    features = {column.name for column in schema.columns}
    return [name for name in rows.names or () if name not in features]


def _unanswered(found: Recorded, schema: FeatureSchema) -> str:
    """Why rows whose true answers are not known are no holdout: whatever is answered on them, nothing is right."""
    others = _no_features(found.rows, schema)
    if others:
        named = ", ".join(others[:_COLUMNS_MAX]) + (", …" if len(others) > _COLUMNS_MAX else "")
        return f"nobody said which column of the recorded rows has the true answers: {named}"
    whose = {"input_example": "of its input example", None: "that were recorded"}.get(found.of, f"of {found.of} data")
    return f"the {found.rows.count} rows {whose} have no true answers, and prove nothing"


def _by_rule(answer: Answer, rule: EvalThreshold, loader: str) -> Answer:
    """The answer that the bundle gives, from what its model was seen to answer.

    Raises:
        UsageError: the rule does not fit what was recorded.
    """
    scores: list[Json] = answer.predictions
    classes: list[Json] | None = None
    if loader in {LABELS, SCORES}:
        if answer.classes is None:
            raise UsageError("no classes were recorded, and the rule needs them", hint="Log the model again.")
        classes = answer.classes
        scores = answer.scores if loader == SCORES else [_votes(label, classes) for label in answer.predictions]
    return Answer(rule.decide(scores, classes), scores, classes)


def _votes(label: Json, classes: list[Json]) -> list[Json]:
    told = encode(label)
    found: list[Json] = [float(encode(known) == told) for known in classes]
    if not any(found):
        raise UsageError("an answer that is none of the model's classes was recorded", hint="Log the model again.")
    return found


def _metrics(targets: list[Json], answer: Answer, rule: EvalThreshold, primary: str | None) -> Metrics | Missing:
    try:
        return measure(targets, answer, rule, primary=primary)
    except HoldfastError as error:
        return Missing("metrics", error.message)


def _snapshot(told: Json) -> Digest | None:
    try:
        return Digest.parse(told) if isinstance(told, str) else None
    except UsageError:
        return None
