"""The project's own code at work for a gate: read once, run in a process of its own, named by its digest."""

from dataclasses import dataclass
from pathlib import Path

from holdfast.canonical import Json, JsonObject
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.flow.gate.sources import CodeSource
from holdfast.runtime.project_code import Program, call, of_file, of_module

__all__ = ["OwnProgram"]


@dataclass(frozen=True, slots=True)
class OwnProgram:
    """One function of the project's own, with its bytes as they stood when it was read.

    Attributes:
        source: where policy says that it is.
        program: what runs.
    """

    source: CodeSource
    program: Program

    @classmethod
    def read(cls, source: CodeSource, project: Path | None) -> "OwnProgram":
        """The program that policy names; nothing of it is run.

        Raises:
            UsageError: it is not there, not what policy says it is, or nobody may run code here.
            PermissionRefused: it cannot be read.
        """
        if project is None:
            raise UsageError(
                f"{source} is code of a project, and there is no project here", hint="Ask from the project's folder."
            )
        if source.file is not None:
            program = of_file(project, source.file, source.function)
        else:
            program = of_module(source.module or "", source.function)
        if source.digest is not None and source.digest != program.digest:
            raise UsageError(
                f"{program.name} is {program.digest}, and policy asks for {source.digest}",
                hint="Look at what changed in it; then put its new digest into the policy.",
            )
        return cls(source, program)

    @property
    def digest(self) -> Digest:
        """Of the bytes that run."""
        return self.program.digest

    def to_json(self) -> JsonObject:
        """Where it is, and the digest of what ran."""
        return {**self.source.to_json(), "digest": str(self.digest)}

    def ask(self, request: JsonObject) -> Json:
        """What it answers; raises as `runtime.project_code.call`."""
        return call(
            self.program,
            request,
            seconds_max=self.source.seconds_max,
            memory_bytes_max=self.source.memory_bytes_max,
        )
