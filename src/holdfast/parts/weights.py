"""Weights: the trained model itself, as files of the bundle, in a named format."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.errors import UsageError
from holdfast.names import RelativePath

__all__ = ["Weights"]


@dataclass(frozen=True, slots=True)
class Weights:
    """The serialised model.

    Attributes:
        format: how the bytes are written, such as `joblib` or `safetensors`.
        loader: the loader that turns them into a scorer, such as `sklearn`; `none` when Holdfast cannot open them.
        model_class: the full name of the model's class, for people.
        executes_code: whether loading this format can run code that is hidden in the bytes (pickle and its kin).
        files: the files of the bundle that hold the bytes; never empty.
        extra: fields of a newer minor format, kept as they came.
    """

    format: str
    loader: str
    model_class: str
    executes_code: bool
    files: tuple[RelativePath, ...]
    extra: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.files:
            raise UsageError(
                "weights without a file are no weights", hint="Give the trained model, or say it is missing."
            )

    def to_json(self) -> JsonObject:
        """The part as it stands in a manifest."""
        return {
            **self.extra,
            "format": self.format,
            "loader": self.loader,
            "model_class": self.model_class,
            "executes_code": self.executes_code,
            "files": [str(path) for path in self.files],
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Weights":
        """The part that `to_json` wrote."""
        return cls(
            format=reader.text("format"),
            loader=reader.text("loader"),
            model_class=reader.text("model_class"),
            executes_code=reader.flag("executes_code", default=True),
            files=tuple(RelativePath(path) for path in reader.texts("files")),
            extra=reader.rest(),
        )
