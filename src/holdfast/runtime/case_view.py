"""What a rule of a project's own is given: one case to look at, which it cannot change.

    def check(case):
        right = [said == true for said, true in zip(case.candidate.predictions, case.targets)]
        share = sum(right) / len(right)
        if share < case.parameters["share_min"]:
            return case.failed(f"{share:.2f} of all rows are right", "Train longer.", {"share": share})
        return case.passed(f"{share:.2f} of all rows are right", {"share": share})

This is a public interface: what is here stays, and more may come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from holdfast.canonical import Json, JsonObject

__all__ = ["CaseView", "VersionView", "frozen", "rows_of"]


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version, and what it said about the rows.

    Attributes:
        version: its number.
        manifest: its manifest, as JSON; see docs/FORMAT.md.
        predictions: one answer for each row, after the threshold.
        scores: what the model gave for each row before it: a number, or one for each class.
        classes: the class that each place of a score stands for; None where a score is one number.
        metrics: by name; empty where the rows have no true answers.
    """

    version: int
    manifest: Mapping[str, Json]
    predictions: tuple[Json, ...]
    scores: tuple[Json, ...]
    classes: tuple[Json, ...] | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CaseView:
    """One version that wants a stage, beside the one that holds it.

    Attributes:
        model: the name of the model.
        stage: the name of the stage.
        candidate: the version that wants it.
        baseline: the one that holds it, asked about the same rows; None where none does, or it could not answer.
        rows: the candidate's frozen rows, one mapping for each, without the true answer.
        targets: the true answer of each row; empty where the rows have none.
        parameters: what policy says in `[gate.STAGE.custom.RULE]`.
    """

    model: str
    stage: str
    candidate: VersionView
    baseline: VersionView | None
    rows: tuple[Mapping[str, Json], ...]
    targets: tuple[Json, ...]
    parameters: Mapping[str, Json]

    def column(self, name: str) -> tuple[Json, ...]:
        """The values of one column, row by row.

        Raises:
            KeyError: the rows have no such column.
        """
        return tuple(row[name] for row in self.rows)

    def passed(self, sentence: str, values: Mapping[str, Json] | None = None) -> JsonObject:
        """The finding that lets the version through."""
        return {"outcome": "pass", "sentence": sentence, "values": dict(values or {})}

    def failed(self, sentence: str, hint: str, values: Mapping[str, Json] | None = None) -> JsonObject:
        """The finding that harm was shown; `hint` says what to do about it."""
        return {"outcome": "fail", "sentence": sentence, "hint": hint, "values": dict(values or {})}

    def inconclusive(self, sentence: str, hint: str, values: Mapping[str, Json] | None = None) -> JsonObject:
        """The finding that nothing could be decided; `hint` says what would decide it."""
        return {"outcome": "inconclusive", "sentence": sentence, "hint": hint, "values": dict(values or {})}

    @classmethod
    def of(cls, document: JsonObject) -> "CaseView":
        """The view of a case that `flow.gate` wrote down; rows stand there by column."""
        return cls(
            model=document["model"],
            stage=document["stage"],
            candidate=_version(document["candidate"]),
            baseline=None if document["baseline"] is None else _version(document["baseline"]),
            rows=rows_of(document["rows"]),
            targets=tuple(frozen(document["targets"])),
            parameters=frozen(document["parameters"]),
        )


def _version(document: JsonObject) -> VersionView:
    return VersionView(**{name: frozen(document[name]) for name in VersionView.__slots__})


def rows_of(table: JsonObject) -> tuple[Mapping[str, Json], ...]:
    """The rows of a table that is written by column."""
    rows = zip(*table["columns"], strict=True)
    return tuple(frozen(dict(zip(table["names"], row, strict=True))) for row in rows)


def frozen(value: Json) -> Json:
    """The value with nothing in it that could be changed."""
    if isinstance(value, Mapping):
        return MappingProxyType({name: frozen(item) for name, item in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(frozen(item) for item in value)
    return value
