"""Promotion, against a real registry, a real store and real bundles: a stage moves through its gate or not at all."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from holdfast.digest import Digest
from holdfast.errors import (
    AlreadyExists,
    ApprovalRequired,
    GateRefused,
    HoldfastError,
    NotFound,
    StageMoved,
    UsageError,
)
from holdfast.flow.gate import Outcome, Policy, Workbench
from holdfast.flow.gate.catalogue import usual
from holdfast.flow.promote import Promoted, Promotion, adopt_stage, promote
from holdfast.flow.rollback import Rollback, roll_back
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry import Action, Event, Meaning, NewApproval, Registry, Stage
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.predictor import Predictor
from holdfast.wire import Project
from tests.projects import (
    CHURN,
    FIVE,
    FOUR,
    ONE,
    PRODUCTION,
    SOURCE,
    STAGING,
    THREE,
    TWO,
    Workers,
    add_forgetful,
    ask,
    blob,
    flip_bit,
    manifest,
    moves_and_events_agree,
    tables,
    version,
    workers_of,
)

pytestmark = pytest.mark.slow

SECOND_PERSON = Policy.parse(
    '[gate.production]\nrules = ["completeness", "integrity", "approver"]\nsecond_person = true', where="policy"
)


def events(project: Project) -> list[Event]:
    return list(reversed(project.registry.log(CHURN)))


def moves(project: Project) -> list[tuple[str, int | None, int | None]]:
    """Every move of any stage: what, from, to."""
    kinds = {Action.STAGE_PROMOTE, Action.STAGE_ROLLBACK, Action.STAGE_ADOPT}
    return [(e.action, e.from_number, e.to_number) for e in events(project) if e.action in kinds]


def holder(project: Project) -> int | None:
    return project.registry.stage(CHURN, PRODUCTION).number


def put(project: Project, bench: Workbench, *numbers: int, actor: str = "ana") -> Promoted:
    """Promote these versions, one after the other."""
    for number in numbers:
        promoted = promote(Promotion(ask(number, actor), reason=f"on to {number}"), bench, project.registry)
    return promoted


@contextmanager
def nothing_changes(project: Project, *, but: tuple[str, ...] = ()) -> Iterator[None]:
    """Inside, no row of the registry or of tracking changes, but in these tables."""
    before = tables(project, but=but)
    yield
    assert tables(project, but=but) == before
    moves_and_events_agree(project)


@contextmanager
def refused(project: Project, kind: type[HoldfastError] = GateRefused) -> Iterator[list[Any]]:
    """Inside, a gate refuses: the verdict and one event about it are kept, and nothing else changes."""
    before, caught = events(project), list[Any]()
    with nothing_changes(project, but=("verdicts", "events", "event_nodes")):
        with pytest.raises(HoldfastError) as error:
            yield caught
        assert type(error.value) is kind, error.value
    caught.append(error.value)
    more = events(project)[len(before) :]
    assert [event.action for event in more] == [Action.GATE_REFUSE]
    assert more[0].verdict == error.value.details["verdict"]
    assert project.registry.verdict(Digest.parse(str(more[0].verdict))).outcome != "pass"


def failed(error: Any) -> dict[str, str]:
    """The findings that did not pass, by rule."""
    return {f["rule"]: f["sentence"] for f in error.details["findings"] if f["outcome"] != "pass"}


class TestMoves:
    def test_a_promotion_moves_the_stage_with_its_evidence(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        promoted = promote(Promotion(ask(2, "bob"), "beats 1 on f1", expect=ONE), bench, churn.registry)
        stage, event = churn.registry.stage(CHURN, PRODUCTION), events(churn)[-1]
        assert (stage.number, stage.last_known_good, stage.event) == (TWO, ONE, event.index)
        assert (event.actor, event.reason, event.from_number, event.to_number) == ("bob", "beats 1 on f1", 1, 2)
        assert promoted.verdict is not None
        assert event.verdict == str(promoted.verdict.digest)
        assert [approval["approver"] for approval in event.approvals] == ["bob"]
        assert [approval["verdict"] for approval in event.approvals] == [event.verdict]
        moves_and_events_agree(churn)

    def test_its_answer_has_the_keys_that_commands_print(self, churn: Project, bench: Workbench) -> None:
        value = put(churn, bench, 1).to_json()
        assert {"model", "stage", "from", "to", "event", "outcome", "verdict", "findings"} <= set(value)
        assert (value["from"], value["to"], value["outcome"]) == (None, 1, "pass")

    def test_every_promotion_sets_last_known_good(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2, 3)
        assert churn.registry.stage(CHURN, PRODUCTION).last_known_good == TWO
        assert moves(churn) == [
            (Action.STAGE_PROMOTE, None, 1),
            (Action.STAGE_PROMOTE, 1, 2),
            (Action.STAGE_PROMOTE, 2, 3),
        ]

    def test_a_version_may_come_back_through_the_gate_after_a_rollback(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        roll_back(Rollback(CHURN, PRODUCTION, "ana"), bench, churn.registry)
        put(churn, bench, 2)
        assert (holder(churn), churn.registry.stage(CHURN, PRODUCTION).last_known_good) == (TWO, ONE)
        # The approval of the first time was of the first verdict; the second move rests on its own.
        assert [approval["verdict"] for approval in events(churn)[-1].approvals] == [events(churn)[-1].verdict]
        moves_and_events_agree(churn)

    def test_the_whole_gate_with_its_own_processes_leaves_none_behind(self, churn: Project) -> None:
        before = workers_of(os.getpid())
        policy = Policy()
        for number in (1, 2):
            promoted = promote(Promotion(ask(number, policy=policy)), churn.workbench, churn.registry)
        assert promoted.verdict is not None
        assert [finding.rule for finding in promoted.verdict.findings] == list(usual("production"))
        assert {finding.outcome for finding in promoted.verdict.findings} == {Outcome.PASS}
        with pytest.raises(GateRefused):
            promote(Promotion(ask(4, policy=policy)), churn.workbench, churn.registry)
        assert workers_of(os.getpid()) == before

    def test_a_stage_that_only_the_policy_names_is_made_when_it_is_asked_for(
        self, churn: Project, bench: Workbench
    ) -> None:
        text = '[stages]\nnames = ["production", "canary"]\n[gate.canary]\nrules = ["integrity"]'
        policy, canary = Policy.parse(text, where="policy"), StageName("canary")
        promote(Promotion(ask(1, stage=canary, policy=policy)), bench, churn.registry)
        assert churn.registry.stage(CHURN, canary).number == ONE
        moves_and_events_agree(churn)

    def test_a_rule_list_without_questions_to_the_bundle_starts_no_process(self, churn: Project) -> None:
        def never(files: BundleFiles) -> Any:
            raise AssertionError(files)

        bench = Workbench(churn.store, churn.settings.cache, never)
        promote(Promotion(ask(5, stage=StageName("archived"))), bench, churn.registry)
        assert churn.registry.stage(CHURN, StageName("archived")).number == FIVE


class TestRefusals:
    def test_a_worse_version(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 2)
        with refused(churn) as caught:
            put(churn, bench, 4)
        error = caught[0]
        assert set(failed(error)) == {"not_worse", "groups"}
        assert "not_worse: f1 0.3103 against 0.8187 of version 2" in error.message
        assert error.details["outcome"] == "fail"

    def test_a_version_without_a_threshold_is_told_what_is_missing_and_how_to_add_it(
        self, churn: Project, bench: Workbench
    ) -> None:
        put(churn, bench, 1)
        with refused(churn) as caught:
            put(churn, bench, 5)
        error = caught[0]
        assert "completeness: missing: eval_threshold (no threshold was given)" in error.message
        assert "not decided" not in error.message
        assert "eval_threshold: " in error.hint
        assert "--threshold 0.42" in error.hint

    def test_a_bundle_that_forgot_what_it_answered(self, churn: Project, bench: Workbench) -> None:
        forgetful = add_forgetful(churn)
        with refused(churn) as caught:
            put(churn, bench, forgetful.number)
        assert "180 of 180 predictions differ" in failed(caught[0])["smoke"]

    @pytest.mark.parametrize("path", ["weights/model.joblib", "code/features.py", "holdout/rows.json"])
    def test_one_flipped_bit(self, churn: Project, bench: Workbench, path: str) -> None:
        entry = next(entry for entry in manifest(churn, 1).files if str(entry.path) == path)
        flip_bit(blob(churn, entry.digest))
        with refused(churn) as caught:
            put(churn, bench, 1)
        assert path in failed(caught[0])["integrity"]
        assert str(entry.digest) in failed(caught[0])["integrity"]

    def test_a_deleted_blob(self, churn: Project, bench: Workbench) -> None:
        entry = manifest(churn, 1).files[-1]
        blob(churn, entry.digest).unlink()
        with refused(churn) as caught:
            put(churn, bench, 1)
        assert str(entry.path) in failed(caught[0])["integrity"]

    @pytest.mark.parametrize("hurt", [flip_bit, Path.unlink])
    def test_a_damaged_or_lost_manifest(self, churn: Project, bench: Workbench, hurt: Callable[[Path], None]) -> None:
        hurt(blob(churn, version(churn, 1).digest))
        with refused(churn) as caught:
            put(churn, bench, 1)
        assert "integrity" in failed(caught[0])

    def test_damage_to_the_version_that_holds_the_stage_decides_nothing(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        weights = manifest(churn, 1).parts.weights
        entry = next(entry for entry in manifest(churn, 1).files if entry.path in weights.files)  # type: ignore[union-attr]
        flip_bit(blob(churn, entry.digest))
        flip_bit_in_cache(churn, 1)
        with refused(churn) as caught:
            put(churn, bench, 2)
        assert caught[0].details["outcome"] == "inconclusive"
        assert "version 1 cannot be compared" in failed(caught[0])["not_worse"]

    def test_a_metric_in_the_policy_that_does_not_fit_decides_nothing_and_blames_no_bundle(
        self, churn: Project, bench: Workbench
    ) -> None:
        put(churn, bench, 1)
        text = '[gate.production]\nrules = ["opens", "smoke", "not_worse"]\nmetric = "r2"'
        with refused(churn) as caught:
            promote(Promotion(ask(2, policy=Policy.parse(text, where="policy"))), bench, churn.registry)
        assert set(failed(caught[0])) == {"smoke", "not_worse"}
        assert "'r2'" in failed(caught[0])["not_worse"]
        assert caught[0].details["outcome"] == "inconclusive"

    def test_a_rejection(self, churn: Project, bench: Workbench) -> None:
        judged = version(churn, 1)
        churn.registry.approve(NewApproval(CHURN, ONE, judged.digest, PRODUCTION, Meaning.REJECT, "no"), "bob")
        with refused(churn, ApprovalRequired) as caught:
            put(churn, bench, 1)
        assert "rejected by bob" in caught[0].message

    def test_an_approval_for_another_stage_or_another_version_does_not_count(
        self, churn: Project, bench: Workbench
    ) -> None:
        for number, stage in ((ONE, STAGING), (TWO, PRODUCTION)):
            churn.registry.approve(NewApproval(CHURN, number, version(churn, number).digest, stage), "bob")
        with refused(churn, ApprovalRequired):
            promote(Promotion(ask(1, policy=SECOND_PERSON)), bench, churn.registry)

    def test_a_second_person_is_asked_for_and_then_approves(self, churn: Project, bench: Workbench) -> None:
        promotion = Promotion(ask(1, policy=SECOND_PERSON))
        with refused(churn, ApprovalRequired) as caught:
            promote(promotion, bench, churn.registry)
        assert caught[0].hint == "Another person runs: holdfast approve churn@1 --stage production"
        digest = version(churn, 1).digest
        approval = churn.registry.approve(NewApproval(CHURN, ONE, digest, PRODUCTION, reason="looked"), "bob")
        promoted = promote(promotion, bench, churn.registry)
        assert promoted.verdict is not None
        assert promoted.verdict.approvals == (approval.id,)
        approvals = events(churn)[-1].approvals
        assert sorted(str(one["approver"]) for one in approvals) == ["ana", "bob"]

    def test_an_approval_that_was_bound_to_one_verdict_is_none_for_the_next(
        self, churn: Project, bench: Workbench
    ) -> None:
        put(churn, bench, 1, 2, actor="bob")
        roll_back(Rollback(CHURN, PRODUCTION, "bob"), bench, churn.registry)
        with refused(churn, ApprovalRequired):
            promote(Promotion(ask(2, policy=SECOND_PERSON)), bench, churn.registry)


def flip_bit_in_cache(project: Project, number: int) -> None:
    """Damage the copy in the cache too, which would otherwise serve."""
    for path in (project.settings.cache / "bundles" / version(project, number).digest.hex / "weights").iterdir():
        flip_bit(path)


class TestRequestsThatMakeNoSense:
    def test_the_version_holds_the_stage_already(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        with nothing_changes(churn), pytest.raises(AlreadyExists, match="churn@1 holds production already"):
            put(churn, bench, 1)

    def test_another_version_holds_the_stage_than_expected(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        put(churn, bench, 2, actor="bob")
        with nothing_changes(churn), pytest.raises(StageMoved) as caught:
            promote(Promotion(ask(3), expect=ONE), bench, churn.registry)
        last = events(churn)[-1]
        assert caught.value.details == {
            "model": "churn",
            "stage": "production",
            "expected": 1,
            "found": 2,
            "moved_by": "bob",
            "moved_at": last.to_json()["time"],
            "moved_from": 1,
            "moved_to": 2,
            "event": last.index,
        }
        assert f"bob moved it from 1 to 2 at {last.to_json()['time']}" in caught.value.message

    def test_nothing_holds_the_stage_where_a_version_was_expected(self, churn: Project, bench: Workbench) -> None:
        with nothing_changes(churn), pytest.raises(StageMoved, match="nothing has ever held it") as caught:
            promote(Promotion(ask(3), expect=ONE), bench, churn.registry)
        assert caught.value.details["moved_by"] is None

    @pytest.mark.parametrize(
        ("reference", "stage", "said"),
        [
            ("chrn@1", "production", ("there is no model chrn", "churn")),
            ("churn@9", "production", ("churn has no version 9", "1 to 5")),
            ("churn@1", "prodction", ("churn has no stage prodction", "production")),
            ("churn@staging", "production", ("nothing holds staging of churn yet", "--to staging")),
            ("churn@9.9.9", "production", ("churn has no version 9.9.9", "1 to 5")),
        ],
    )
    def test_a_name_that_nobody_knows_is_answered_with_the_nearest_ones(
        self, churn: Project, bench: Workbench, reference: str, stage: str, said: tuple[str, str]
    ) -> None:
        asked = replace(ask(1, stage=StageName(stage)), reference=Reference.parse(reference))
        with nothing_changes(churn), pytest.raises(NotFound) as caught:
            promote(Promotion(asked), bench, churn.registry)
        assert caught.value.message == said[0]
        assert said[1] in caught.value.hint

    def test_the_same_key_again_moves_nothing_and_gives_the_same_answer(self, churn: Project, bench: Workbench) -> None:
        promotion = Promotion(ask(1), idempotency_key="k-1")
        first = promote(promotion, bench, churn.registry)
        put(churn, bench, 2)
        with nothing_changes(churn):
            again = promote(promotion, bench, churn.registry)
        assert (again.move, again.verdict) == (first.move, None)
        assert holder(churn) == TWO

    @pytest.mark.parametrize("other", [ask(2), ask(1, stage=STAGING)])
    def test_the_same_key_for_another_request_is_refused(self, churn: Project, bench: Workbench, other: Any) -> None:
        promote(Promotion(ask(1), idempotency_key="k-1"), bench, churn.registry)
        with nothing_changes(churn), pytest.raises(UsageError, match="belongs to another request"):
            promote(Promotion(other, idempotency_key="k-1"), bench, churn.registry)

    def test_the_key_of_a_rollback_is_none_of_a_promotion(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        rollback = Rollback(CHURN, PRODUCTION, "ana", idempotency_key="k-1")
        roll_back(rollback, bench, churn.registry)
        with nothing_changes(churn), pytest.raises(UsageError, match="stage:pointer:rollback of production"):
            promote(Promotion(ask(1), idempotency_key="k-1"), bench, churn.registry)


class AfterTheFirstLook:
    """A registry in which something happens between the first look at a stage and whatever comes then."""

    def __init__(self, inner: Registry, happens: Callable[[], object]) -> None:
        self._inner = inner
        self._happens: Callable[[], object] | None = happens

    def stage(self, model: ModelName, name: StageName) -> Stage:
        found = self._inner.stage(model, name)
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Meanwhile:
    """Real workers, before the first of which something else happens: a stage that moves while a gate judges."""

    def __init__(self, workers: Workers, act: Callable[[], object]) -> None:
        self._workers = workers
        self._acts = [act]

    @contextmanager
    def __call__(self, files: BundleFiles) -> Iterator[Predictor]:
        if self._acts:
            self._acts.pop()()
        with self._workers(files) as predictor:
            yield predictor


class Late:
    """The registry, for somebody who is just too late: something else happens between looking and moving."""

    def __init__(self, registry: Registry, act: Callable[[], object]) -> None:
        self._registry = registry
        self._acts = [act]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def approve(self, new: NewApproval, actor: str) -> Any:
        if self._acts:
            self._acts.pop()()
        return self._registry.approve(new, actor)


class TestAtTheSameTime:
    def test_a_stage_that_moves_while_the_gate_judges_is_left_where_it_is(
        self, churn: Project, bench: Workbench, workers: Workers
    ) -> None:
        put(churn, bench, 1)
        meanwhile = Meanwhile(workers, lambda: put(churn, bench, 3, actor="bob"))
        with pytest.raises(StageMoved) as caught:
            promote(Promotion(ask(2)), replace(bench, opener=meanwhile), churn.registry)
        details = caught.value.details
        assert (details["expected"], details["found"]) == (1, 3)
        assert (details["moved_by"], details["moved_from"], details["moved_to"]) == ("bob", 1, 3)
        assert holder(churn) == THREE
        assert [to for _, _, to in moves(churn)] == [1, 3]
        assert {approval.approver for approval in churn.registry.approvals(CHURN, TWO)} == set()
        moves_and_events_agree(churn)

    def test_a_stage_that_moves_before_the_gate_looks_is_not_judged_in_place_of_the_one_expected(
        self, churn: Project, bench: Workbench
    ) -> None:
        put(churn, bench, 1)
        looked = AfterTheFirstLook(churn.registry, lambda: put(churn, bench, 3, actor="bob"))
        with pytest.raises(StageMoved) as caught:
            promote(Promotion(ask(2), expect=ONE), bench, cast("Registry", looked))
        assert (caught.value.details["expected"], caught.value.details["found"]) == (1, 3)
        assert holder(churn) == THREE
        assert [event.action for event in churn.registry.log(limit=1)] == ["stage:pointer:promote"]

    def test_the_same_request_sent_twice_at_once_moves_once_and_both_are_told(
        self, churn: Project, bench: Workbench, workers: Workers
    ) -> None:
        promotion = Promotion(ask(1), idempotency_key="k-1")
        first: list[Promoted] = []
        meanwhile = Meanwhile(workers, lambda: first.append(promote(promotion, bench, churn.registry)))
        second = promote(promotion, replace(bench, opener=meanwhile), churn.registry)
        assert second.move == first[0].move
        assert [to for _, _, to in moves(churn)] == [1]

    def test_of_two_answers_to_one_request_the_later_is_that_of_the_earlier(
        self, churn: Project, bench: Workbench
    ) -> None:
        """As above, with the other one first by the time between looking and moving."""
        promotion = Promotion(ask(1), idempotency_key="k-1")
        first: list[Promoted] = []
        late = Late(churn.registry, lambda: first.append(promote(promotion, bench, churn.registry)))
        second = promote(promotion, bench, cast("Registry", late))
        assert second.move == first[0].move
        assert [to for _, _, to in moves(churn)] == [1]
        moves_and_events_agree(churn)

    def test_a_stage_that_moves_at_the_last_moment_is_left_where_it_is(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        late = Late(churn.registry, lambda: put(churn, bench, 3, actor="bob"))
        with pytest.raises(StageMoved) as caught:
            promote(Promotion(ask(2)), bench, cast("Registry", late))
        assert (caught.value.details["moved_by"], caught.value.details["moved_to"]) == ("bob", 3)
        assert holder(churn) == THREE
        moves_and_events_agree(churn)

    def test_of_two_threads_one_wins_and_the_other_is_told_who(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        said: dict[str, Promoted | HoldfastError] = {}
        start = threading.Barrier(2)

        def go(actor: str, number: int) -> None:
            start.wait()
            try:
                said[actor] = promote(Promotion(ask(number, actor), expect=ONE), churn.workbench, churn.registry)
            except HoldfastError as error:
                said[actor] = error

        threads = [threading.Thread(target=go, args=pair) for pair in (("bob", 2), ("eve", 3))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winner = next(actor for actor, answer in said.items() if isinstance(answer, Promoted))
        loser = next(answer for answer in said.values() if isinstance(answer, HoldfastError))
        assert isinstance(loser, StageMoved)
        assert loser.details["moved_by"] == winner
        assert loser.details["moved_from"] == 1
        assert loser.details["moved_to"] == holder(churn)
        assert loser.details["moved_at"] == events(churn)[-1].to_json()["time"]
        assert [to for _, _, to in moves(churn)] == [1, holder(churn)]
        moves_and_events_agree(churn)

    def test_of_two_processes_one_wins_and_the_other_is_told_who(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        program = """
import json, sys
from pathlib import Path
from holdfast.config import Settings
from holdfast.errors import HoldfastError
from holdfast.flow.promote import Promotion, promote
from holdfast.wire import open_project
from tests.projects import ask, ONE

home, actor, number = sys.argv[1:]
with open_project(Settings.at(Path(home), {})) as project:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        answer = promote(Promotion(ask(int(number), actor), expect=ONE), project.workbench, project.registry).to_json()
    except HoldfastError as error:
        answer = {"error": error.to_json()}
print(json.dumps(answer))
"""
        path = os.pathsep.join([str(SOURCE), str(SOURCE.parent)])
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(churn.settings.home), actor, number],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
            for actor, number in (("bob", "2"), ("eve", "3"))
        ]
        answers = talk(processes)
        won = [answer for answer in answers if "error" not in answer]
        lost = [answer["error"] for answer in answers if "error" in answer]
        assert len(won) == len(lost) == 1
        last = events(churn)[-1]
        assert lost[0]["code"] == "stage_moved"
        assert lost[0]["moved_by"] == last.actor
        assert (lost[0]["moved_from"], lost[0]["moved_to"]) == (1, won[0]["to"])
        assert lost[0]["moved_at"] == last.to_json()["time"]
        assert holder(churn) == won[0]["to"]
        assert [to for _, _, to in moves(churn)] == [1, won[0]["to"]]
        moves_and_events_agree(churn)


def talk(processes: list["subprocess.Popen[str]"]) -> list[Any]:
    """Let all go at once, and hear what each says at its end."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return answers


class TestAdoption:
    def adopt(self, project: Project, number: int, reason: str = "in service since March") -> Any:
        return adopt_stage(version(project, number), PRODUCTION, project.registry, actor="ana", reason=reason)

    def test_an_empty_stage_takes_over_what_is_served_and_says_so(self, churn: Project) -> None:
        self.adopt(churn, 5)
        assert holder(churn) == FIVE
        event = events(churn)[-1]
        assert (event.action, event.reason) == (Action.STAGE_ADOPT, "in service since March")
        assert event.details == {"missing": ["eval_threshold", "metrics", "holdout"]}
        moves_and_events_agree(churn)

    def test_it_needs_a_reason(self, churn: Project) -> None:
        with nothing_changes(churn), pytest.raises(UsageError, match="needs a reason"):
            self.adopt(churn, 1, reason="  ")

    def test_a_stage_that_has_held_anything_moves_through_its_gate_only(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        with nothing_changes(churn), pytest.raises(StageMoved, match="through its gate only") as caught:
            self.adopt(churn, 4)
        assert caught.value.details["moved_by"] == "ana"
        assert caught.value.hint == "Use: holdfast promote churn@4 --to production"
        self.adopted_elsewhere(churn)

    def adopted_elsewhere(self, project: Project) -> None:
        adopt_stage(version(project, 4), STAGING, project.registry, actor="ana", reason="an experiment")
        assert project.registry.stage(CHURN, STAGING).number == FOUR

    def test_what_was_adopted_incomplete_cannot_be_lost_to_unseen(self, churn: Project, bench: Workbench) -> None:
        self.adopt(churn, 5)
        with refused(churn) as caught:
            put(churn, bench, 1)
        assert caught[0].details["outcome"] == "inconclusive"
        assert "no eval_threshold" in failed(caught[0])["not_worse"]
        assert "Version 5 lacks eval_threshold, metrics, holdout" in caught[0].hint
