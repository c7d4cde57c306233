"""A server asks for the signatures of its own policy, whatever verdict a client has sent."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from holdfast.access import Grant, NewUser, Role
from holdfast.access.sql import SqlAccess
from holdfast.access.standing import StageAsks, standing
from holdfast.database.engine import Database
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import GateRefused
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry import Action, Meaning, Move, MoveStage, NewApproval, NewVerdict, NewVersion
from holdfast.registry.sql import SqlRegistry
from tests.signatures import key_of, signature_of

CHURN, PRODUCTION = ModelName("churn"), StageName("production")
ONE, TWO = VersionNumber(1), VersionNumber(2)


def digest(number: int) -> Digest:
    return hash_bytes(str(number).encode())


@pytest.fixture
def promote(database: Database, access: SqlAccess, clock: Callable[[], datetime]) -> Callable[..., Move]:
    """Promotes a version with all else that is needed: a verdict that passes, and an approval."""
    access.add_user(NewUser("bob"), "root")
    access.grant("bob", Grant(Role.APPROVER), "root")
    ids, seconds = itertools.count(), itertools.count()

    def now() -> datetime:
        return clock() + timedelta(seconds=next(seconds))

    def registry(asks: StageAsks) -> SqlRegistry:
        return SqlRegistry(database, now, lambda: f"id-{next(ids)}", guard=standing(lambda *_: asks))

    names = registry(StageAsks(1, second_person=False, rules=()))
    names.create_model(CHURN, "ana")
    for number in (1, 2):
        names.register(NewVersion(CHURN, digest(number), complete=True), "ana")

    def move(number: VersionNumber, *trusted: str, least: int = 1) -> Move:
        body = {"outcome": "pass", "findings": [{"rule": "signature", "outcome": "pass"}], "try": next(ids)}
        verdict = names.put_verdict(NewVerdict(CHURN, number, PRODUCTION, "pass", body)).digest
        said = NewApproval(CHURN, number, digest(number), PRODUCTION, Meaning.APPROVE, "good", verdict)
        approval = names.approve(said, "bob")
        keys = frozenset(key_of(name).public.fingerprint for name in trusted)
        asked = MoveStage(
            CHURN, PRODUCTION, number, names.stage(CHURN, PRODUCTION).number, Action.STAGE_PROMOTE,
            verdict=verdict, approvals=(approval.id,),
        )  # fmt: skip
        return registry(
            StageAsks(1, second_person=False, rules=("signature",), signed_by=keys, signatures_min=least)
        ).move_stage(asked, "bob")

    return move


def test_a_verdict_that_says_signed_is_no_signature(promote: Callable[..., Move], database: Database) -> None:
    names = SqlRegistry(database, lambda: pytest.fail("nothing is written without a moment"), str)
    with pytest.raises(GateRefused, match="signed by 0 of 1 keys that the server trusts for production"):
        promote(ONE, "ana")
    assert names.stage(CHURN, PRODUCTION).number is None


def test_only_trusted_keys_count_each_once_and_for_their_version(
    promote: Callable[..., Move], database: Database, clock: Callable[[], datetime]
) -> None:
    names = SqlRegistry(database, lambda: clock() + timedelta(days=1), str)
    names.put_signature(signature_of(CHURN, ONE, digest(1), "eve"), "eve")
    with pytest.raises(GateRefused, match="0 of 1"):
        promote(ONE, "ana")
    names.put_signature(signature_of(CHURN, ONE, digest(1), "ana"), "ana")
    with pytest.raises(GateRefused, match="1 of 2"):
        promote(ONE, "ana", "bob", least=2)
    with pytest.raises(GateRefused, match="0 of 1"):
        promote(TWO, "ana")
    names.put_signature(signature_of(CHURN, ONE, digest(1), "bob"), "bob")
    assert promote(ONE, "ana", "bob", least=2).to_number == ONE
    assert promote(TWO).to_number == TWO
