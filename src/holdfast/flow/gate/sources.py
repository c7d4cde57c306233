"""Where the code of a project's own rules and costs stands, as policy says it. Nothing of it is read or run here.

    [rules.fairness]                    # a file of the project, and a function in it
    file = "gates/fairness.py"
    function = "check"
    digest = "sha256:ab12…"             # when it is given, no other bytes are run

    [rules.toxicity]                    # a function of an installed distribution
    entry = "toxicity.gate:check"
    seconds_max = 300.0

Installed distributions offer rules by name, too, as entry points of the group `holdfast.rules`; one is looked for when
policy asks for a rule that neither Holdfast nor the file has.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.flow.gate.catalogue import RULE_NAMES
from holdfast.flow.gate.keys import Reader, count, share, text
from holdfast.names import RelativePath
from holdfast.runtime.project_code import MEMORY_BYTES_MAX, SECONDS_MAX

__all__ = ["ENTRY_POINTS", "CodeSource", "declared", "offered", "require_declared"]

ENTRY_POINTS = "holdfast.rules"
"""The group of entry points under which distributions offer rules."""

_RULE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
"""A name of one's own: it stands in tables, sentences and file names."""

_TAKEN = frozenset({*RULE_NAMES, "cost"})
"""Names of Holdfast's own: of its rules, and of what verdicts call the code that says what mistakes cost."""

_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*\Z")

_HOURS_MAX = 6
_LONGEST = _HOURS_MAX * 3600.0
"""A gate that takes longer than this is no gate that anybody waits for."""

_LEAST_BYTES = 64 << 20
"""An interpreter alone takes most of this."""


@dataclass(frozen=True, slots=True)
class CodeSource:
    """One function of a project's own.

    Attributes:
        file: the project's file that holds it, relative to the project; None for an installed module.
        module: the installed module that holds it; None for a file.
        function: its name there.
        digest: what the bytes of the file or module must be; None: whatever they are, and the finding says it.
        offered_by: the distribution whose entry point it is; None when policy names it itself.
        seconds_max: how long one call may take.
        memory_bytes_max: how much memory it may take.
    """

    function: str
    file: RelativePath | None = None
    module: str | None = None
    digest: Digest | None = None
    offered_by: str | None = None
    seconds_max: float = SECONDS_MAX
    memory_bytes_max: int = MEMORY_BYTES_MAX

    @classmethod
    def parse(cls, name: str, table: Any, where: str) -> "CodeSource":
        """The source that a table of policy names; `where` names the table in errors.

        Raises:
            UsageError: neither a file of the project nor an entry, or both, or a key or value that cannot be.
        """
        if not isinstance(table, dict):
            raise UsageError(
                f"{where} is not a table", hint=f'Write {{ file = "gates/{name}.py", function = "check" }}.'
            )
        readers: dict[str, Reader[Any]] = {
            "file": Reader("a path inside the project, such as gates/fairness.py", _path),
            "function": Reader("the name of a function in that file", lambda value: _if(value, str.isidentifier)),
            "entry": Reader('an installed function, such as "mypkg.gates:check"', lambda v: _if(v, _ENTRY.match)),
            "digest": Reader('the digest of the file, such as "sha256:ab12…"', _digest),
            "seconds_max": share(_LONGEST, f"seconds, above 0 and below {_LONGEST:g}"),
            "memory_bytes_max": count(_LEAST_BYTES),
        }
        read: dict[str, Any] = {}
        for key, value in table.items():
            if key not in readers:
                raise UsageError(f"{where} has the unknown key {key!r}", hint=f"Known: {', '.join(sorted(readers))}")
            read[key] = readers[key].read(value)
            if read[key] is None:
                raise UsageError(f"{where} {key} = {value!r} is not valid", hint=f"It takes {readers[key].takes}.")
        if ("entry" in read) == ("file" in read) or ("function" in read) != ("file" in read):
            raise UsageError(
                f"{where} does not say where its code is",
                hint=f'Write file = "gates/{name}.py" and function = "check", or entry = "mypkg.gates:check".',
            )
        if "entry" in read:
            read["module"], _, read["function"] = read.pop("entry").partition(":")
        return cls(**read)

    @classmethod
    def from_json(cls, name: str, written: Any, where: str) -> "CodeSource":
        """The source that `to_json` wrote.

        Raises:
            UsageError: something else.
        """
        if not isinstance(written, dict):
            return cls.parse(name, written, where)
        by = written.get("offered_by")
        found = cls.parse(name, {key: value for key, value in written.items() if key != "offered_by"}, where)
        return replace(found, offered_by=by) if isinstance(by, str) else found

    def to_json(self) -> JsonObject:
        """The source as a verdict keeps it; what is None is left out."""
        said: JsonObject = {
            "file": None if self.file is None else str(self.file),
            "function": self.function if self.module is None else None,
            "entry": None if self.module is None else f"{self.module}:{self.function}",
            "digest": None if self.digest is None else str(self.digest),
            "offered_by": self.offered_by,
            "seconds_max": self.seconds_max,
            "memory_bytes_max": self.memory_bytes_max,
        }
        return {key: value for key, value in said.items() if value is not None}

    def __str__(self) -> str:
        return f"{self.module or self.file}:{self.function}"


def declared(tables: Any, where: str) -> dict[str, CodeSource]:
    """The rules of one's own that a policy file declares in `[rules]`, by name.

    Raises:
        UsageError: a name that is one of Holdfast's own or cannot be one, or a table that makes no sense.
    """
    if not isinstance(tables, dict):
        raise UsageError(f"{where} [rules] is not a table", hint="Write one table for each rule: [rules.fairness].")
    for name in tables:
        if name in _TAKEN or _RULE_NAME.match(name) is None:
            why = "is a name of Holdfast's own" if name in _TAKEN else "cannot be the name of a rule"
            raise UsageError(
                f"{where} [rules.{name}]: {name!r} {why}",
                hint="Use a name of your own: small letters, digits and _, 64 at most, a letter first.",
            )
    return {name: CodeSource.parse(name, table, f"{where} [rules.{name}]") for name, table in tables.items()}


def offered(names: Collection[str]) -> Mapping[str, CodeSource]:
    """Of these names those that an installed distribution offers as a rule. Nothing of it is imported.

    Raises:
        UsageError: two distributions offer one name, and which is meant cannot be told.
    """
    found: dict[str, CodeSource] = {}
    for one in entry_points(group=ENTRY_POINTS):
        if one.name not in names or one.name in _TAKEN or _ENTRY.match(f"{one.module}:{one.attr}") is None:
            continue
        by = "an unknown distribution" if one.dist is None else f"{one.dist.name} {one.dist.version}"
        source = CodeSource(one.attr, module=one.module, offered_by=by)
        if found.setdefault(one.name, source) != source:
            raise UsageError(
                f"{found[one.name].offered_by} and {by} both offer the rule {one.name!r}",
                hint=f'Say which is meant: [rules.{one.name}] entry = "{source}"',
            )
    return found


def require_declared(custom: Mapping[str, JsonObject], known: set[str], where: str) -> None:
    """Refuse what is to be handed to a rule that nobody has.

    Raises:
        UsageError: there is such; the hint says what is known.
    """
    unknown = sorted(set(custom) - known)
    if unknown:
        raise UsageError(
            f"{where} custom.{unknown[0]} is for a rule that nobody has",
            hint=f"Declare it as [rules.{unknown[0]}]. Known: {', '.join(sorted(known)) or 'none'}",
        )


def _if(value: Any, fits: Any) -> str | None:
    return value if isinstance(value, str) and fits(value) else None


def _path(value: Any) -> RelativePath | None:
    try:
        return RelativePath(text("").read(value) or "")
    except UsageError:
        return None


def _digest(value: Any) -> Digest | None:
    try:
        return Digest.parse(text("").read(value) or "")
    except UsageError:
        return None
