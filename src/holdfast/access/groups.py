"""What a provider's groups are granted: `[access]` of the policy file.

[access]
groups_claim = "groups"         # under which name the provider says them

[access.groups]
fraud-team = [{ role = "contributor", pattern = "fraud-*" }]
release = [{ role = "approver", pattern = "*", stages = ["production"] }]
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.access.roles import Grant, Pattern, Role
from holdfast.errors import UsageError
from holdfast.names import StageName

__all__ = ["Groups"]

_GROUPS_MAX = 1_000
"""What somebody may be in, as far as it is looked at: providers know of thousands, and policies of a dozen."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The grants of groups.

    Attributes:
        claim: the name under which the provider says them.
        grants: by group.
    """

    claim: str = "groups"
    grants: Mapping[str, tuple[Grant, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, table: Any, where: str) -> "Groups":
        """What `[access]` of a policy says.

        Raises:
            UsageError: not what it must be; the message says where.
        """
        hint = 'Write it like: fraud-team = [{ role = "contributor", pattern = "fraud-*" }]'
        if not isinstance(table, dict) or set(table) - {"groups_claim", "groups"}:
            raise UsageError(f"{where} [access] holds groups_claim and groups, and nothing else", hint=hint)
        claim, groups = table.get("groups_claim", "groups"), table.get("groups", {})
        if not isinstance(claim, str) or not isinstance(groups, dict):
            raise UsageError(f"{where} [access] is not valid", hint=hint)
        return cls(
            claim, {name: _grants(said, f"{where} [access.groups] {name}", hint) for name, said in groups.items()}
        )

    def of(self, names: Iterable[object]) -> tuple[Grant, ...]:
        """What somebody is granted who is in these groups."""
        found: list[Grant] = []
        for _, name in zip(range(_GROUPS_MAX), names, strict=False):
            found += self.grants.get(name, ()) if isinstance(name, str) else ()
        return tuple(dict.fromkeys(found))


def _grants(said: Any, where: str, hint: str) -> tuple[Grant, ...]:
    if not isinstance(said, list):
        raise UsageError(f"{where} is no list of grants", hint=hint)
    return tuple(_grant(one, where, hint) for one in said)


def _grant(said: Any, where: str, hint: str) -> Grant:
    if not isinstance(said, dict) or set(said) - {"role", "pattern", "stages"} or not isinstance(said.get("role"), str):
        raise UsageError(f"{where} is no grant: role, pattern, stages", hint=hint)
    stages = said.get("stages", [])
    if not isinstance(stages, list) or not isinstance(said.get("pattern", "*"), str):
        raise UsageError(f"{where} is no grant: role, pattern, stages", hint=hint)
    try:
        return Grant(
            Role.parse(said["role"]), Pattern(said.get("pattern", "*")), tuple(map(StageName, map(str, stages)))
        )
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from error
