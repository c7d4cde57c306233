"""A kept verdict is computed again: on real bundles, after the stage has moved on, and after somebody's tampering."""

from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import MissingExtra, NotFound, UnsupportedFormat, UsageError
from holdfast.flow.gate import Policy, Workbench, gate
from holdfast.flow.gate.answered import read_row_digests, root_of
from holdfast.flow.gate.kept import verdict_named
from holdfast.flow.gate.replay import Replayed, Standing, replay
from holdfast.flow.promote import Promotion, promote
from holdfast.flow.rollback import Rollback, roll_back
from holdfast.names import StageName
from holdfast.registry.records import Meaning, NewApproval, NewVerdict
from holdfast.runtime.signed import sign_version
from holdfast.runtime.smoke import read_outputs
from holdfast.wire import Project
from tests.projects import CHURN, PRODUCTION, ask, blob, flip_bit, manifest, tables, version
from tests.signatures import key_of

pytestmark = pytest.mark.slow

TIMED = Policy.parse('[gate.production]\nrules_also = ["latency"]\nrows_min = 10', where="policy")


@pytest.fixture
def judged(churn: Project, bench: Workbench) -> Digest:
    """The verdict on churn@2, against churn@1 which holds the stage; everything is asked, latency too."""
    promote(Promotion(ask(1)), bench, churn.registry)
    return gate(ask(2, policy=TIMED), bench, churn.registry).digest


def standings(replayed: Replayed) -> dict[str, Standing]:
    return {rule.rule: rule.standing for rule in replayed.rules}


def rewritten(churn: Project, digest: Digest, **changes: object) -> Digest:
    """The verdict again with other fields, as a forger or an older Holdfast would have kept it; None takes one out."""
    kept = churn.registry.verdict(digest)
    body: JsonObject = {key: value for key, value in {**kept.body, **changes}.items() if value is not None}
    new = NewVerdict(kept.model, kept.number, kept.stage, kept.outcome, body)
    return churn.registry.put_verdict(new).digest


def test_every_rule_holds_and_nothing_is_written(churn: Project, bench: Workbench, judged: Digest) -> None:
    before = tables(churn)
    replayed = replay(judged, bench, churn.registry)
    assert replayed.standing is Standing.HOLDS
    assert {rule.rule: rule.changed for rule in replayed.rules if rule.changed} == {}
    assert "latency" in standings(replayed)
    assert [(answers.who, answers.same, answers.rows) for answers in replayed.answers] == [
        ("candidate", True, 0),
        ("baseline", True, 0),
    ]
    assert tables(churn) == before


def test_it_is_judged_against_the_version_that_held_the_stage_then(
    churn: Project, bench: Workbench, judged: Digest
) -> None:
    later = gate(ask(3), bench, churn.registry).digest
    promote(Promotion(ask(2)), bench, churn.registry)
    verdicts = [judged, later]
    first = [replay(one, bench, churn.registry).to_json() for one in verdicts]
    again = [replay(one, bench, churn.registry).to_json() for one in reversed(verdicts)]
    assert first == again[::-1]
    assert [one["standing"] for one in first] == ["holds", "holds"]


def test_the_verdict_keeps_what_both_versions_answered(churn: Project, bench: Workbench, judged: Digest) -> None:
    body = churn.registry.verdict(judged).body
    kept = body["answers"]["candidate"]
    outputs = read_outputs(churn.store.read(Digest.parse(kept["outputs"]), bytes_max=1 << 20))
    lines = churn.store.read(Digest.parse(kept["row_digests"]), bytes_max=1 << 20)
    assert len(outputs.predictions) == len(read_row_digests(lines)) == kept["rows"] == body["inputs"]["rows"]
    assert str(root_of(lines)) == kept["root"]
    assert set(body["blobs"]) == {one[key] for one in body["answers"].values() for key in ("outputs", "row_digests")}
    assert body["environments"]["candidate"]["lock"] in {str(entry.digest) for entry in manifest(churn, 2).files}
    assert body["environments"]["gate"]["numpy"]
    assert {len(times) for times in body["latencies_ms"].values()} == {200}
    assert {(one["rule"], one["margin"]) for one in body["estimates"]} >= {("not_worse", 0), ("groups", 0.05)}


def test_rows_that_are_answered_otherwise_are_named(churn: Project, bench: Workbench, judged: Digest) -> None:
    body = churn.registry.verdict(judged).body
    lines = churn.store.read(Digest.parse(body["answers"]["candidate"]["row_digests"]), bytes_max=1 << 20).splitlines()
    for place in (3, 170):
        lines[place] = b"0" * 64
    with churn.store.writer() as writer:
        forged = writer.add_bytes(b"\n".join(lines) + b"\n").digest
        writer.commit()
    answers = {**body["answers"], "candidate": {**body["answers"]["candidate"], "row_digests": str(forged)}}
    inputs = {**body["inputs"], "outputs": f"sha256:{'0' * 64}"}
    replayed = replay(rewritten(churn, judged, answers=answers, inputs=inputs), bench, churn.registry)
    assert replayed.answers[0].same is False
    assert (replayed.answers[0].rows, replayed.answers[0].named) == (2, (3, 170))
    assert replayed.answers[1].same is True


def test_a_bundle_that_was_tampered_with_is_found(churn: Project, bench: Workbench, judged: Digest) -> None:
    weights = next(entry for entry in manifest(churn, 2).files if str(entry.path).startswith("weights/"))
    flip_bit(blob(churn, weights.digest))
    replayed = replay(judged, bench, churn.registry)
    assert replayed.standing is Standing.DIFFERS
    assert standings(replayed)["integrity"] is Standing.DIFFERS
    assert standings(replayed)["approver"] is Standing.HOLDS
    assert replayed.answers[0].same is None


def test_evidence_that_was_tampered_with_is_found(churn: Project, bench: Workbench, judged: Digest) -> None:
    kept = Digest.parse(churn.registry.verdict(judged).body["answers"]["baseline"]["row_digests"])
    flip_bit(blob(churn, kept))
    replayed = replay(judged, bench, churn.registry)
    assert set(standings(replayed).values()) == {Standing.HOLDS}
    assert replayed.standing is Standing.OPEN
    assert any(kept.hex[:12] in sentence for sentence in replayed.evidence)


def test_findings_that_were_made_up_do_not_hold(churn: Project, bench: Workbench, judged: Digest) -> None:
    findings = [
        {**one, "outcome": "fail"}
        if one["rule"] == "smoke"
        else {**one, "values": {**one["values"], "gain": 0.9}}
        if one["rule"] == "not_worse"
        else one
        for one in churn.registry.verdict(judged).body["findings"]
    ]
    replayed = replay(rewritten(churn, judged, findings=findings), bench, churn.registry)
    by_rule = {rule.rule: rule for rule in replayed.rules}
    assert replayed.standing is Standing.DIFFERS
    assert by_rule["smoke"].standing is Standing.DIFFERS
    assert by_rule["not_worse"].changed == ("gain",)


def test_a_verdict_of_before_is_computed_again_as_far_as_it_goes(
    churn: Project, bench: Workbench, judged: Digest
) -> None:
    new = (
        "data",
        "environments",
        "estimates",
        "answers",
        "latencies_ms",
        "seeds",
        "approvals",
        "judged_before",
        "blobs",
    )
    old = rewritten(churn, judged, format_version="1.0", **dict.fromkeys(new))
    replayed = replay(old, bench, churn.registry)
    latency = next(rule for rule in replayed.rules if rule.rule == "latency")
    assert (latency.standing, latency.now) == (Standing.OPEN, None)
    assert "--time" in latency.sentence
    assert {standing for rule, standing in standings(replayed).items() if rule != "latency"} == {Standing.HOLDS}
    assert [answers.same for answers in replayed.answers] == [True, True]
    assert replay(old, bench, churn.registry, timed=True).rules[-1].now is not None


def test_what_a_person_says_later_changes_no_earlier_verdict(churn: Project, bench: Workbench, judged: Digest) -> None:
    said = version(churn, 2)
    rejection = NewApproval(said.model, said.number, said.digest, PRODUCTION, Meaning.REJECT, "worse for me")
    churn.registry.approve(rejection, "ben")
    assert gate(ask(2), bench, churn.registry).findings[-1].outcome == "fail"
    assert standings(replay(judged, bench, churn.registry))["approver"] is Standing.HOLDS


def test_what_is_signed_later_changes_no_earlier_verdict(churn: Project, bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "ana.pub").write_text(key_of("ana").public.pem)
    there = replace(bench, project=tmp_path)
    policy = Policy.parse('[gate.production]\nrules = ["signature"]\nsigned_by = ["ana.pub"]', where="policy")
    judged = version(churn, 1)
    unsigned = gate(ask(1, policy=policy), there, churn.registry)
    sign_version(judged, key_of("ana"), churn.registry, churn.store, actor="ana")
    signed = gate(ask(1, policy=policy), there, churn.registry)
    assert (unsigned.outcome, signed.outcome) == ("fail", "pass")
    for verdict in (unsigned, signed):
        assert replay(verdict.digest, there, churn.registry).standing is Standing.HOLDS


def test_how_often_the_rows_were_used_is_that_of_then(churn: Project, bench: Workbench) -> None:
    promote(Promotion(ask(1)), bench, churn.registry)
    asked = Policy.parse('[gate.production]\nrules = ["opens", "holdout", "drift", "leakage"]', where="policy")
    first = gate(ask(2, policy=asked), bench, churn.registry).digest
    gate(ask(3), bench, churn.registry)
    assert churn.registry.verdict(first).body["judged_before"] == [1]
    replayed = replay(first, bench, churn.registry)
    assert replayed.standing is Standing.HOLDS
    assert {rule.rule: rule.changed for rule in replayed.rules if rule.changed} == {}


def test_what_this_holdfast_cannot_ask_is_not_guessed(churn: Project, bench: Workbench, judged: Digest) -> None:
    body = churn.registry.verdict(judged).body
    unknown = rewritten(churn, judged, policy={**body["policy"], "of_tomorrow": 1})
    with pytest.raises(UnsupportedFormat, match="of_tomorrow"):
        replay(unknown, bench, churn.registry)
    with pytest.raises(UnsupportedFormat, match="format"):
        replay(rewritten(churn, judged, format_version="2.0"), bench, churn.registry)
    rule = {"rule": "of tomorrow", "outcome": "pass", "sentence": "fine", "hint": "", "values": {}}
    replayed = replay(rewritten(churn, judged, findings=[*body["findings"], rule]), bench, churn.registry)
    assert standings(replayed)["of tomorrow"] is Standing.OPEN


def test_the_verdict_of_a_rollback_names_no_policy(churn: Project, bench: Workbench, judged: Digest) -> None:
    promote(Promotion(ask(2)), bench, churn.registry)
    back = roll_back(Rollback(CHURN, PRODUCTION, "ana", "worse"), bench, churn.registry)
    assert back.move.verdict is not None
    with pytest.raises(UsageError, match="names no policy"):
        replay(back.move.verdict, bench, churn.registry)


def test_a_verdict_is_found_by_its_beginning_or_as_the_last_one(
    churn: Project, bench: Workbench, judged: Digest
) -> None:
    assert verdict_named(judged.hex[:10], PRODUCTION, churn.registry).digest == judged
    assert verdict_named(f"sha256:{judged.hex[:10]}", PRODUCTION, churn.registry).digest == judged
    assert verdict_named("churn@2", PRODUCTION, churn.registry).digest == judged
    last = rewritten(churn, judged, seconds=0)
    assert verdict_named("churn@2", PRODUCTION, churn.registry).digest == last
    for name, wrong in (("churn@3", NotFound), ("churn@9", NotFound), ("0" * 64, NotFound), ("xyz", UsageError)):
        with pytest.raises(wrong):
            verdict_named(name, PRODUCTION, churn.registry)
    with pytest.raises(NotFound, match="no gate has judged"):
        verdict_named("churn@2", StageName("staging"), churn.registry)


def test_a_machine_that_cannot_open_the_bundle_leaves_it_open(
    churn: Project, bench: Workbench, judged: Digest, tmp_path: Path
) -> None:
    def opener(files: object) -> object:
        raise MissingExtra("no such thing here", hint="Install it.")

    replayed = replay(judged, replace(bench, opener=opener, cache=tmp_path), churn.registry)  # type: ignore[arg-type]
    assert replayed.standing is Standing.OPEN
    assert standings(replayed)["integrity"] is Standing.HOLDS
    assert standings(replayed)["smoke"] is Standing.OPEN
