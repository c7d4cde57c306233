"""Roles, the models that they are granted for, and how a token narrows them."""

import re
from dataclasses import dataclass
from enum import StrEnum

from holdfast.canonical import JsonObject
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName

__all__ = ["EVERYTHING", "Ceiling", "Grant", "Pattern", "Role"]

_PATTERN = re.compile(r"([a-z0-9][a-z0-9._-]{0,127})?\*?\Z")

_STAGES_MAX = 64
"""As many as a model may have."""


class Role(StrEnum):
    """What a user may do; each includes those before it.

    viewer: read. contributor: run, register, judge. approver: approve, promote and roll back. admin: say who may.
    """

    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    APPROVER = "approver"
    ADMIN = "admin"

    @classmethod
    def parse(cls, text: str) -> "Role":
        """The role of that name.

        Raises:
            UsageError: there is none.
        """
        try:
            return cls(text)
        except ValueError as error:
            raise UsageError(f"{text[:40]!r} is no role", hint=f"One of {', '.join(cls)}.") from error

    def includes(self, other: "Role") -> bool:
        """Whether who has this role has the other one too."""
        return _ORDER[self] >= _ORDER[other]

    def capped(self, ceiling: "Role") -> "Role":
        """This role, or the ceiling where that is lower."""
        return self if ceiling.includes(self) else ceiling


_ORDER = {role: place for place, role in enumerate(Role)}


@dataclass(frozen=True, order=True, slots=True)
class Pattern:
    """Models by name: one name, the beginning of names followed by `*`, or `*` for the whole project.

    A star stands at the end only, so that one look says whether one pattern covers another.
    """

    text: str

    def __post_init__(self) -> None:
        if not self.text or not _PATTERN.match(self.text):
            raise UsageError(
                f"{self.text[:80]!r} names no models",
                hint="Write the name of a model, the beginning of names followed by *, or * for all.",
            )
        if not self.text.endswith("*"):
            ModelName(self.text)

    def __str__(self) -> str:
        return self.text

    def covers(self, other: "Pattern | ModelName") -> bool:
        """Whether all that the other names is named by this."""
        said = str(other)
        return said.startswith(self.text[:-1]) if self.text.endswith("*") else said == self.text

    def narrowed(self, other: "Pattern") -> "Pattern | None":
        """What both name; None where that is nothing."""
        if self.covers(other):
            return other
        return self if other.covers(self) else None


EVERYTHING = Pattern("*")
"""The whole project: all its models, and what belongs to none."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, for some models.

    Attributes:
        role: the role.
        pattern: the models.
        stages: an approver's stages; empty for all of them.
    """

    role: Role
    pattern: Pattern = EVERYTHING
    stages: tuple[StageName, ...] = ()

    def __post_init__(self) -> None:
        if self.stages and self.role is not Role.APPROVER:
            raise UsageError(
                f"a grant of {self.role} is not limited to stages", hint="Only an approver's grant names stages."
            )
        if len(self.stages) > _STAGES_MAX:
            raise UsageError(f"a grant names at most {_STAGES_MAX} stages", hint="Name none, for all of them.")

    def gives(self, role: Role, model: "ModelName | Pattern", stage: StageName | None) -> bool:
        """Whether it lets its holder act in `role` on `model`, and on `stage` where one is concerned."""
        fits = self.role.includes(role) and self.pattern.covers(model)
        return fits and (stage is None or not self.stages or stage in self.stages)

    def to_json(self) -> JsonObject:
        """One grant of a user."""
        return {
            "role": str(self.role),
            "pattern": str(self.pattern),
            "stages": [str(stage) for stage in self.stages],
        }


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that a token lets its user do: what the user may, but no role above and no model beside this."""

    role: Role = Role.ADMIN
    pattern: Pattern = EVERYTHING

    def under(self, grant: Grant) -> Grant | None:
        """What is left of a grant; None where that is nothing."""
        pattern = self.pattern.narrowed(grant.pattern)
        role = grant.role.capped(self.role)
        if pattern is None:
            return None
        return Grant(role, pattern, grant.stages if role is Role.APPROVER else ())

    def covers(self, other: "Ceiling") -> bool:
        """Whether the other one allows nothing that this does not."""
        return self.role.includes(other.role) and self.pattern.covers(other.pattern)
