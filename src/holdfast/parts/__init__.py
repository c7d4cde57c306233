"""What a version is: five parts pinned together.

    version = (weights, data_slice, preprocessing_code, hyperparameters, eval_threshold)

Each part is a frozen value with a form in JSON; `Parts` holds one of each. A part that is not there is a value too,
`Missing`, which says why, so that nobody can overlook it: `show` prints it and every gate refuses it.

    parts.missing()         ->  (Missing("eval_threshold", why="no threshold was given"),)
    how_to_add("weights")   ->  what a person types to supply it

Nothing here does any I/O, and nothing here knows of stores, registries or serving.

Law: `Parts.from_json(parts.to_json()) == parts`, for unknown fields of a newer minor format too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.parts.data_slice import DataInput, DataSlice
from holdfast.parts.eval_threshold import EvalThreshold
from holdfast.parts.hyperparameters import Hyperparameters
from holdfast.parts.preprocessing_code import PreprocessingCode
from holdfast.parts.weights import Base, Weights

__all__ = [
    "PART_NAMES",
    "Base",
    "DataInput",
    "DataSlice",
    "EvalThreshold",
    "Hyperparameters",
    "Missing",
    "Part",
    "Parts",
    "PreprocessingCode",
    "Weights",
    "how_to_add",
    "present_or_missing",
]

P = TypeVar("P")

Part = Weights | DataSlice | PreprocessingCode | Hyperparameters | EvalThreshold

PART_NAMES = ("weights", "data_slice", "preprocessing_code", "hyperparameters", "eval_threshold")

_HOW_TO_ADD = {
    "weights": "Give the trained model: run.register(model, …), or --weights FILE.",
    "data_slice": "Freeze what was trained on: run.snapshot('data/train.csv') in the script, or --train PATH.",
    "preprocessing_code": (
        "Give the function or fitted transformer: preprocessing=featurise, or --preprocessing features.py:featurise; "
        "'none' states that the weights take raw rows."
    ),
    "hyperparameters": "Log them: holdfast.run(…, params={…}), run.log_params({…}), or --param lr=0.1.",
    "eval_threshold": (
        "Say how a score becomes an answer: threshold=0.42 or --threshold 0.42; 'argmax' for several classes, "
        "'identity' for a regression."
    ),
}


def how_to_add(part: str) -> str:
    """What a person does to supply a missing part; `part` is one of `PART_NAMES`."""
    return _HOW_TO_ADD[part]


@dataclass(frozen=True, slots=True)
class Missing:
    """A part, or a piece of evidence, that is not there.

    Attributes:
        name: which one.
        why: what is known about its absence.
    """

    name: str
    why: str
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The absence as it stands in a manifest, in the place of the part."""
        return {**self.extra, "missing": self.why}


@dataclass(frozen=True, slots=True)
class Parts:
    """The five, each present or stated to be missing."""

    weights: Weights | Missing
    data_slice: DataSlice | Missing
    preprocessing_code: PreprocessingCode | Missing
    hyperparameters: Hyperparameters | Missing
    eval_threshold: EvalThreshold | Missing
    extra: Mapping[str, Json] = field(default_factory=dict)

    def by_name(self) -> dict[str, Part | Missing]:
        """The five in their order, by name."""
        return {name: getattr(self, name) for name in PART_NAMES}

    def missing(self) -> tuple[Missing, ...]:
        """The parts that are not there, in their order."""
        return tuple(part for part in self.by_name().values() if isinstance(part, Missing))

    def to_json(self) -> JsonObject:
        """The five as they stand in a manifest."""
        return {**self.extra, **{name: part.to_json() for name, part in self.by_name().items()}}

    @classmethod
    def from_json(cls, reader: Reader) -> "Parts":
        """The parts that `to_json` wrote."""
        return cls(
            weights=present_or_missing(reader, "weights", Weights.from_json),
            data_slice=present_or_missing(reader, "data_slice", DataSlice.from_json),
            preprocessing_code=present_or_missing(reader, "preprocessing_code", PreprocessingCode.from_json),
            hyperparameters=present_or_missing(reader, "hyperparameters", Hyperparameters.from_json),
            eval_threshold=present_or_missing(reader, "eval_threshold", EvalThreshold.from_json),
            extra=reader.rest(),
        )


def present_or_missing(reader: Reader, name: str, read: Callable[[Reader], P]) -> P | Missing:
    """What stands in the field `name`: the value that `read` takes apart, or its absence."""
    part = reader.reader(name)
    if part.has("missing"):
        return Missing(name, part.text("missing"), part.rest())
    return read(part)
