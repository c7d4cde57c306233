"""The rule `signature`: what counts, what does not, and what cannot be said."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import HoldfastError, IntegrityError, NotFound, Unavailable
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Outcome
from holdfast.flow.gate.signature import signature
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.registry.vouching import Signature
from holdfast.runtime.signed import Looked, Vouched
from tests.flow.gate.cases import case
from tests.signatures import key_of, signature_of

NAMES = ("ana", "bob", "eve")


def kept(by: str) -> Signature:
    asked = case().candidate
    new, key = signature_of(asked.model, asked.number, asked.digest, by), key_of(by).public
    return Signature(
        new.digest, new.model, new.number, key.fingerprint, key.pem, new.body, by, datetime(2026, 3, 1, tzinfo=UTC)
    )


def asking(*looked: tuple[str, str], least: int = 1) -> Case:
    policy = StagePolicy(rules=("signature",), signed_by=NAMES, signatures_min=least)
    vouched = Vouched(tuple(Looked(kept(by), fault) for by, fault in looked))
    return replace(
        case(), policy=policy, vouched=vouched, trusted={key_of(name).public.fingerprint: name for name in NAMES}
    )


def test_enough_different_keys_pass() -> None:
    found = signature(asking(("ana", ""), ("bob", ""), least=2))
    assert found.outcome is Outcome.PASS
    assert {name in found.sentence for name in ("ana", "bob")} == {True}
    assert signature(asking(("ana", ""), ("bob", "it is damaged"))).outcome is Outcome.PASS


@pytest.mark.parametrize("looked", [(), (("ana", ""),), (("ana", ""), ("ana", "")), (("ana", ""), ("bob", "x"))])
def test_fewer_fail_and_every_one_that_does_not_count_is_named(looked: tuple[tuple[str, str], ...]) -> None:
    found = signature(asking(*looked, least=2))
    assert found.outcome is Outcome.FAIL
    assert all(f"signature {kept(by).digest.short}: {fault}" in found.sentence for by, fault in looked if fault)
    assert len(found.values["signatures"]) == len(looked)


def test_many_that_do_not_count_are_counted() -> None:
    found = signature(asking(*(("eve", f"fault {n}") for n in range(9))))
    assert "fault 2; and 6 more" in found.sentence
    assert len(found.values["signatures"]) == 9


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (IntegrityError("m", hint="h"), Outcome.FAIL),
        (NotFound("m", hint="h"), Outcome.INCONCLUSIVE),
        (Unavailable("m", hint="h"), Outcome.INCONCLUSIVE),
    ],
)
def test_what_kept_it_from_being_found_out_is_said_and_lets_nothing_through(
    trouble: HoldfastError, outcome: Outcome
) -> None:
    asked = replace(asking(("ana", "")), vouched=None, vouching_trouble=trouble)
    assert (signature(asked).outcome, signature(asked).sentence) == (outcome, "m")


def test_without_keys_or_without_a_manifest_nothing_passes() -> None:
    asked = asking(("ana", ""))
    assert signature(replace(asked, policy=StagePolicy())).outcome is Outcome.FAIL
    assert signature(replace(asked, vouched=None)).outcome is Outcome.INCONCLUSIVE


def test_keys_in_a_policy_ask_the_rule_whatever_rules_it_names() -> None:
    parse = StagePolicy.parse
    assert "signature" not in parse("production", {}, "x").rules
    assert parse("archived", {"signed_by": ["a.pub"]}, "x").rules == ("integrity", "signature", "approver")
    named = str(hash_bytes(b"key"))
    assert parse("production", {"rules": ["opens"], "signed_by": [named]}, "x").rules == ("signature", "opens")
