"""Preprocessing code: the step from raw rows to features, carried inside the bundle."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.names import RelativePath

__all__ = ["FUNCTION", "IDENTITY", "TRANSFORMER", "PreprocessingCode"]

FUNCTION = "function"
TRANSFORMER = "transformer"
IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class PreprocessingCode:
    """What turns the rows of a request into what the weights expect.

    Attributes:
        kind: `function` (called with the rows), `transformer` (a fitted one, its `transform` is called), or `identity`:
            the explicit statement that the weights take raw rows.
        entry_point: `module:name` of the function inside the bundle's code; None for other kinds.
        state: the fitted transformer's file; None for other kinds.
        files: every file of the part, sources and state.
        commit: the Git commit the sources were taken from; None outside Git.
        executes_code: whether opening the part unpickles a state file.
        extra: fields of a newer minor format.
    """

    kind: str
    entry_point: str | None = None
    state: RelativePath | None = None
    files: tuple[RelativePath, ...] = ()
    commit: str | None = None
    executes_code: bool = False
    extra: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The part as it stands in a manifest."""
        return {
            **self.extra,
            "kind": self.kind,
            "entry_point": self.entry_point,
            "state": None if self.state is None else str(self.state),
            "files": [str(path) for path in self.files],
            "commit": self.commit,
            "executes_code": self.executes_code,
        }

    @classmethod
    def from_json(cls, reader: Reader) -> "PreprocessingCode":
        """The part that `to_json` wrote."""
        state = reader.maybe_text("state")
        return cls(
            kind=reader.text("kind"),
            entry_point=reader.maybe_text("entry_point"),
            state=None if state is None else RelativePath(state),
            files=tuple(RelativePath(path) for path in reader.texts("files")),
            commit=reader.maybe_text("commit"),
            executes_code=reader.flag("executes_code", default=True),
            extra=reader.rest(),
        )
