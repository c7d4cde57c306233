"""Who may what in a project: asked of its database, or of the server that keeps it."""

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.canonical import JsonObject
from holdfast.errors import UsageError
from holdfast.service.line import Line
from holdfast.wire.project import Project, new_id, utc_now

if TYPE_CHECKING:
    from holdfast.access import Access
    from holdfast.access.groups import Groups
    from holdfast.access.sql import SqlAccess
    from holdfast.access.standing import StageAsks
    from holdfast.flow.gate import Policy
    from holdfast.registry.guard import Evidence
    from holdfast.registry.provable import ProvableRegistry

__all__ = ["asked_of_move", "open_access", "open_doors", "open_groups", "open_guarded", "whoami"]


def open_access(project: Project) -> "Access":
    """Users, grants and tokens; who can open the database may change them.

    Raises:
        As `Project.registry`.
    """
    if isinstance(project.names, Line):
        from holdfast.access.http import HttpAccess

        return HttpAccess(project.names)
    return open_doors(project)


def open_doors(project: Project) -> "SqlAccess":
    """What a server asks who somebody is.

    Raises:
        UsageError: another server keeps the project.
    """
    from holdfast.access.sql import SqlAccess

    if isinstance(project.names, Line):
        raise UsageError("HOLDFAST_URL names a server, and that one knows its people", hint="Unset HOLDFAST_URL here.")
    return SqlAccess(project.names.database(), utc_now, new_id)


def open_guarded(project: Project) -> "ProvableRegistry":
    """The registry as a server gives it to people it knows: each move is held against the policy in force.

    That is the registry's, where one is set, else that of the project on the server's disk.

    Raises:
        UsageError: another server keeps the project, or the policy file is not valid.
    """
    from holdfast.access.standing import standing
    from holdfast.registry.sql import SqlRegistry

    if isinstance(project.names, Line):
        raise UsageError("HOLDFAST_URL names a server, and that one guards its moves", hint="Unset HOLDFAST_URL here.")
    policy, folder = project.policy, project.settings.project

    def asks(case: "Evidence") -> "StageAsks":
        return asked_of_move(policy, case, folder)

    return SqlRegistry(project.names.database(), utc_now, new_id, guard=standing(asks))


def open_groups(project: Project) -> "Groups":
    """What the policy of the project grants to the groups that a provider names.

    Raises:
        UsageError: the policy file is not valid.
    """
    from holdfast.access.groups import Groups

    return Groups.parse(project.policy.document.get("access", {}), project.policy.where)


def whoami(project: Project) -> JsonObject:
    """Who the server of the project says one is; embedded, who the project says.

    Raises:
        Unauthenticated, Unavailable: the server does not know, or does not answer.
    """
    if isinstance(project.names, Line):
        said = project.names.get("/whoami")
        found: JsonObject = said if isinstance(said, dict) else {}
        return {**found, "url": project.names.url, "user": found.get("user") or project.actor}
    return {"user": project.actor, "kind": None, "token": None, "expires_at": None, "grants": [], "url": None}


def asked_of_move(policy: "Policy", case: "Evidence", folder: Path) -> "StageAsks":
    """What is asked of a promotion: by the registry's policy, where one is in force, else by `policy`.

    Args:
        policy: of the project on the server's disk.
        case: the promotion.
        folder: of that project, where files of keys stand.

    Raises:
        UsageError: the registry's policy cannot be read by this Holdfast; then nothing moves under it.
    """
    from holdfast.access.standing import StageAsks, Waived
    from holdfast.flow.gate.precedence import read_kept
    from holdfast.flow.gate.waivers import in_force
    from holdfast.runtime.key_files import trusted

    kept = policy if case.policy is None else read_kept(case.policy)
    found = kept.for_stage(case.asked.model, case.asked.stage)
    standing = {rule: in_force(found.waive, rule, case.asked.to, case.now.date()) for rule in found.rules}
    return StageAsks(
        found.approvals_min,
        found.second_person,
        found.rules,
        any_of=found.any_of,
        waived={rule: Waived(**one.told()) for rule, one in standing.items() if one is not None},
        signed_by=frozenset(trusted(found.signed_by, folder)),
        signatures_min=found.signatures_min,
    )
