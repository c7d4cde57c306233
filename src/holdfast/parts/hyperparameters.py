"""Hyperparameters: the whole configuration of the training, with its random seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.canonical import Json, JsonObject, Reader

__all__ = ["Hyperparameters"]


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Every value that shaped the training.

    Attributes:
        values: name to JSON value.
        sources: where each came from: `run` (logged), `arguments` (the command line) or `estimator` (the model itself).
        seeds: library to the seed it was given (`python`, `numpy`, `torch`, `run`); empty when none was set.
        extra: fields of a newer minor format.
    """

    values: Mapping[str, Json]
    sources: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, Json] = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The part as it stands in a manifest."""
        return {
            **self.extra,
            "values": dict(self.values),
            "sources": dict(self.sources),
            "seeds": dict(self.seeds),
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Hyperparameters":
        """The part that `to_json` wrote."""
        return cls(
            values=reader.mapping("values"),
            sources=reader.words("sources"),
            seeds=reader.mapping("seeds"),
            extra=reader.rest(),
        )
