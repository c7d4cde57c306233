"""Evidence: what stands beside the five parts and makes them checkable.

    environment   the interpreter and the locked requirements; a bundle is opened in this and in nothing else
    schema        the raw features: names, dtypes, ranges, categories
    metrics       what was measured on the frozen holdout, with the threshold that was used
    holdout       the frozen rows, their targets, and the outputs recorded at registration
    run           the execution of training code that this came from
    code          the Git state of that code, dirty changes included
    card          the model card

The first four are required by every gate: without them nothing can be opened, checked or compared. Each is present or
`Missing`, as the parts are. Nothing here does any I/O. Law: `Evidence.from_json(evidence.to_json()) == evidence`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.digest import Digest
from holdfast.errors import NotFound, UsageError
from holdfast.names import RelativePath
from holdfast.parts import Missing, present_or_missing

__all__ = [
    "EVIDENCE_NAMES",
    "REQUIRED",
    "Card",
    "CodeState",
    "Column",
    "Environment",
    "Evidence",
    "FeatureSchema",
    "Holdout",
    "Metrics",
    "RunReference",
    "how_to_add",
]

EVIDENCE_NAMES = ("environment", "schema", "metrics", "holdout", "run", "code", "card")

REQUIRED = ("environment", "schema", "metrics", "holdout")
"""The evidence without which a gate could decide nothing."""

_HOW_TO_ADD = {
    "environment": "Register from the environment that trained the model, or give --lock requirements.txt.",
    "schema": "Give rows to infer it from: holdout=…, or --holdout PATH.",
    "metrics": "Give a holdout with its target and the metric to judge by: --holdout PATH --target NAME --metric NAME.",
    "holdout": "Give rows that the model was not trained on: holdout='data/holdout.csv', or --holdout PATH.",
    "run": "Train under `holdfast run -- python train.py`, or inside `with holdfast.run(…)`.",
    "code": "Keep the training code in Git.",
    "card": "Write one in Markdown: run.register(…, card='CARD.md'), or --card CARD.md; else a stub is written.",
}


def how_to_add(name: str) -> str:
    """What a person does to supply a missing piece of evidence; `name` is one of `EVIDENCE_NAMES`."""
    return _HOW_TO_ADD[name]


@dataclass(frozen=True, slots=True)
class Environment:
    """What the bundle runs in.

    Attributes:
        python: the interpreter's version, such as `3.11.7`.
        lock: the file of pinned requirements inside the bundle.
        values: the rest that was captured: platform, hardware, drivers, all installed distributions.
        wheels: the snapshot of the wheels that the lock names, for the platform of `values`; None: not frozen.
    """

    python: str
    lock: RelativePath
    values: Mapping[str, Json] = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)
    wheels: Digest | None = None

    def to_json(self) -> JsonObject:
        """The environment as it stands in a manifest."""
        wheels = {} if self.wheels is None else {"wheels": str(self.wheels)}
        return {**self.extra, **wheels, "python": self.python, "lock": str(self.lock), "values": dict(self.values)}

    @classmethod
    def from_json(cls, reader: Reader) -> "Environment":
        """The environment that `to_json` wrote."""
        return cls(
            python=reader.text("python"),
            lock=RelativePath(reader.text("lock")),
            values=reader.mapping("values"),
            wheels=Digest.parse(reader.text("wheels")) if reader.has("wheels") else None,
            extra=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class Column:
    """One raw feature.

    Attributes:
        name: its name in requests.
        dtype: `float64`, `float32`, `int64` … `bool`, `string`, `category` or `datetime`.
        nullable: whether a row may lack it.
        minimum: the smallest value seen in training; None for what has no order.
        maximum: the largest.
        categories: the values seen, for categories and booleans; empty otherwise.
        enforce: whether a value outside the range or the categories is refused; by default it is let through.
        native: the container's own name for the dtype, such as `Int64`, `object` or `datetime64[us, UTC]`, where
            `dtype` alone does not say it; the code is handed what it was written for, whatever values a request holds.
    """

    name: str
    dtype: str
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[Json, ...] = ()
    enforce: bool = False
    native: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The column as it stands in a manifest."""
        return {
            **self.extra,
            "name": self.name,
            "dtype": self.dtype,
            "nullable": self.nullable,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "categories": list(self.categories),
            "enforce": self.enforce,
            **({} if self.native is None else {"native": self.native}),
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Column":
        """The column that `to_json` wrote."""
        return cls(
            name=reader.text("name"),
            dtype=reader.text("dtype"),
            nullable=reader.flag("nullable"),
            minimum=reader.maybe_number("minimum"),
            maximum=reader.maybe_number("maximum"),
            categories=tuple(reader.items("categories")),
            enforce=reader.flag("enforce"),
            native=reader.text("native") if reader.has("native") else None,
            extra=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """The raw rows that a version takes.

    Attributes:
        container: what the preprocessing code is given: `pandas`, `polars`, `numpy` or `rows` (a list of dicts).
        columns: the features, in the order in which the model was trained on them.
    """

    container: str
    columns: tuple[Column, ...]
    extra: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise UsageError(f"the schema names {', '.join(twice)} twice", hint="Give each column a name of its own.")

    def column(self, name: str) -> Column:
        """The column of this name.

        Raises:
            NotFound: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise NotFound(f"the schema has no column {name!r}", hint=f"It has: {', '.join(c.name for c in self.columns)}")

    def with_column(self, name: str, **changes: Any) -> "FeatureSchema":
        """The schema with some attributes of one column changed, such as `minimum=0, enforce=True`."""
        changed = replace(self.column(name), **changes)
        return replace(self, columns=tuple(changed if c.name == name else c for c in self.columns))

    def to_json(self) -> JsonObject:
        """The schema as it stands in a manifest."""
        return {**self.extra, "container": self.container, "columns": [column.to_json() for column in self.columns]}

    @classmethod
    def from_json(cls, reader: Reader) -> "FeatureSchema":
        """The schema that `to_json` wrote."""
        return cls(
            container=reader.text("container"),
            columns=tuple(
                Column.from_json(Reader(item, f"{reader.where}.columns[{index}]"))
                for index, item in enumerate(reader.items("columns"))
            ),
            extra=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured on the frozen holdout when the version was registered.

    Attributes:
        primary: the metric that gates judge by.
        values: name to value; a metric is never stored without the threshold it was measured at.
        higher_is_better: the direction of each metric, by name.
        rows: how many holdout rows they were measured on.
        threshold: the decision rule's cut at the time; None when the rule has none.
    """

    primary: str
    values: Mapping[str, float]
    higher_is_better: Mapping[str, bool]
    rows: int
    threshold: float | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The metrics as they stand in a manifest."""
        return {
            **self.extra,
            "primary": self.primary,
            "values": dict(self.values),
            "higher_is_better": dict(self.higher_is_better),
            "rows": self.rows,
            "threshold": self.threshold,
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Metrics":
        """The metrics that `to_json` wrote."""
        return cls(
            primary=reader.text("primary"),
            values=reader.numbers("values"),
            higher_is_better=reader.flags("higher_is_better"),
            rows=reader.integer("rows"),
            threshold=reader.maybe_number("threshold"),
            extra=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class Holdout:
    """The frozen evaluation rows and what the version answered on them.

    Attributes:
        rows: the file with the raw rows.
        outputs: the file with the recorded scores and predictions.
        count: how many rows.
        target: the name of the true answer; None when the rows carry none.
        groups: the columns whose values are the subgroups that a gate watches.
        snapshot: the snapshot the rows were read from; None for a table in memory.
    """

    rows: RelativePath
    outputs: RelativePath
    count: int
    target: str | None = None
    groups: tuple[str, ...] = ()
    snapshot: Digest | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The holdout as it stands in a manifest."""
        return {
            **self.extra,
            "rows": str(self.rows),
            "outputs": str(self.outputs),
            "count": self.count,
            "target": self.target,
            "groups": list(self.groups),
            "snapshot": None if self.snapshot is None else str(self.snapshot),
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Holdout":
        """The holdout that `to_json` wrote."""
        snapshot = reader.maybe_text("snapshot")
        return cls(
            rows=RelativePath(reader.text("rows")),
            outputs=RelativePath(reader.text("outputs")),
            count=reader.integer("count"),
            target=reader.maybe_text("target"),
            groups=reader.texts("groups"),
            snapshot=None if snapshot is None else Digest.parse(snapshot),
            extra=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class RunReference:
    """The run that a version came from.

    Attributes:
        id: the run's identifier in the tracking store.
        values: what was true of it when the version was registered: name, start, argv, logged metrics.
    """

    id: str
    values: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The reference as it stands in a manifest."""
        return {**self.values, "id": self.id}

    @classmethod
    def from_json(cls, reader: Reader) -> "RunReference":
        """The reference that `to_json` wrote."""
        return cls(id=reader.text("id"), values=reader.rest())


@dataclass(frozen=True, slots=True)
class CodeState:
    """The Git state of the training code.

    Attributes:
        commit: the commit; None outside Git or before the first commit.
        dirty: whether the working tree differed from it.
        patch: the file of the bundle that holds the difference; None when clean or outside Git.
        values: branch, remote, and what could not be read, as captured.
    """

    commit: str | None
    dirty: bool
    patch: RelativePath | None = None
    values: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The state as it stands in a manifest."""
        patch = None if self.patch is None else str(self.patch)
        return {**self.values, "commit": self.commit, "dirty": self.dirty, "patch": patch}

    @classmethod
    def from_json(cls, reader: Reader) -> "CodeState":
        """The state that `to_json` wrote."""
        patch = reader.maybe_text("patch")
        return cls(
            commit=reader.maybe_text("commit"),
            dirty=reader.flag("dirty"),
            patch=None if patch is None else RelativePath(patch),
            values=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class Card:
    """The model card: a file of the bundle, and hence pinned with the rest."""

    file: RelativePath
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The card as it stands in a manifest."""
        return {**self.extra, "file": str(self.file)}

    @classmethod
    def from_json(cls, reader: Reader) -> "Card":
        """The card that `to_json` wrote."""
        return cls(file=RelativePath(reader.text("file")), extra=reader.rest())


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything beside the five parts, each piece present or stated to be missing."""

    environment: Environment | Missing
    schema: FeatureSchema | Missing
    metrics: Metrics | Missing
    holdout: Holdout | Missing
    run: RunReference | Missing
    code: CodeState | Missing
    card: Card | Missing
    extra: Mapping[str, Json] = field(default_factory=dict)

    def missing(self) -> tuple[Missing, ...]:
        """The required pieces that are not there."""
        found = (getattr(self, name) for name in REQUIRED)
        return tuple(piece for piece in found if isinstance(piece, Missing))

    def to_json(self) -> JsonObject:
        """The evidence as it stands in a manifest."""
        return {**self.extra, **{name: getattr(self, name).to_json() for name in EVIDENCE_NAMES}}

    @classmethod
    def from_json(cls, reader: Reader) -> "Evidence":
        """The evidence that `to_json` wrote."""
        return cls(
            environment=present_or_missing(reader, "environment", Environment.from_json),
            schema=present_or_missing(reader, "schema", FeatureSchema.from_json),
            metrics=present_or_missing(reader, "metrics", Metrics.from_json),
            holdout=present_or_missing(reader, "holdout", Holdout.from_json),
            run=present_or_missing(reader, "run", RunReference.from_json),
            code=present_or_missing(reader, "code", CodeState.from_json),
            card=present_or_missing(reader, "card", Card.from_json),
            extra=reader.rest(),
        )
