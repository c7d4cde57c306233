"""Weights: the trained model itself, as files of the bundle, in a named format; or a delta on another version's."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ByNumber, ModelName, RelativePath, VersionNumber

__all__ = ["Base", "Weights"]


@dataclass(frozen=True, slots=True)
class Base:
    """The version whose weights an adapter is a delta on.

    Attributes:
        digest: of the base version's manifest; this alone says which version it is.
        model: what the base was called where the adapter was registered, for people.
        number: its number there, for people.
        format: how the base's bytes are written.
        files: the files of this bundle that hold the base's weights; never empty.
        extra: fields of a newer minor format, kept as they came.
    """

    digest: Digest
    model: ModelName
    number: VersionNumber
    format: str
    files: tuple[RelativePath, ...]
    extra: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ByNumber(self.number)
        if not self.files:
            raise UsageError("a base without a file is none", hint="Name a version that has weights.")

    def __str__(self) -> str:
        return f"{self.model}@{self.number}"

    def to_json(self) -> JsonObject:
        """The base as it stands in a manifest."""
        return {
            **self.extra,
            "digest": str(self.digest),
            "model": str(self.model),
            "number": self.number,
            "format": self.format,
            "files": [str(path) for path in self.files],
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "Base":
        """The base that `to_json` wrote."""
        return cls(
            digest=Digest.parse(reader.text("digest")),
            model=ModelName(reader.text("model")),
            number=VersionNumber(reader.integer("number")),
            format=reader.text("format"),
            files=tuple(RelativePath(path) for path in reader.texts("files")),
            extra=reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """The serialised model.

    Attributes:
        format: how the bytes are written, such as `joblib` or `safetensors`.
        loader: the loader that turns them into a scorer, such as `sklearn`; `none` when Holdfast cannot open them.
        model_class: the full name of the model's class, for people.
        executes_code: whether loading this format can run code that is hidden in the bytes (pickle and its kin).
        files: the files of the bundle that hold the bytes; never empty.
        base: what they are a delta on; None when they are whole. Its files are not among `files`.
        extra: fields of a newer minor format, kept as they came.
    """

    format: str
    loader: str
    model_class: str
    executes_code: bool
    files: tuple[RelativePath, ...]
    base: Base | None = None
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
            # Only where there is one: whole weights keep the bytes, and so the digest, that they always had.
            **({} if self.base is None else {"base": self.base.to_json()}),
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
            base=Base.from_json(reader.reader("base")) if reader.has("base") else None,
            extra=reader.rest(),
        )
