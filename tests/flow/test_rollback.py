"""The way back, against a real registry, a real store and real bundles."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.digest import Digest
from holdfast.errors import (
    GateRefused,
    HoldfastError,
    Incomplete,
    IntegrityError,
    NotFound,
    StageMoved,
    UsageError,
)
from holdfast.flow.gate import Workbench
from holdfast.flow.promote import Promotion, adopt_stage, promote
from holdfast.flow.rollback import Rollback, RolledBack, explain_rollback, roll_back
from holdfast.names import ModelName, StageName
from holdfast.registry import Action, Event
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.predictor import Predictor
from holdfast.wire import Project
from tests.projects import (
    CHURN,
    ONE,
    PRODUCTION,
    QUICK,
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
)

pytestmark = pytest.mark.slow


def back(project: Project, bench: Workbench, **changes: Any) -> RolledBack:
    asked = Rollback(CHURN, PRODUCTION, "ana", reason="complaints")
    return roll_back(replace(asked, **changes), bench, project.registry)


def put(project: Project, bench: Workbench, *numbers: int) -> None:
    for number in numbers:
        promote(Promotion(ask(number)), bench, project.registry)


def adopt(project: Project, number: int) -> None:
    adopt_stage(version(project, number), PRODUCTION, project.registry, actor="ana", reason="in service before")


def state(project: Project) -> tuple[int | None, int | None]:
    """What holds production, and where a rollback would go."""
    stage = project.registry.stage(CHURN, PRODUCTION)
    return stage.number, stage.last_known_good


def last_event(project: Project) -> Event:
    return project.registry.log(CHURN, limit=1)[0]


@contextmanager
def refused(
    project: Project, kind: type[HoldfastError], match: str, *, but: tuple[str, ...] = ()
) -> Iterator[list[Any]]:
    """Inside, the rollback is refused, and nothing changes."""
    before, caught = tables(project, but=but), list[Any]()
    with pytest.raises(kind, match=match) as error:
        yield caught
    assert type(error.value) is kind
    assert error.value.hint
    caught.append(error.value)
    assert tables(project, but=but) == before
    moves_and_events_agree(project)


class TestTheWayBack:
    def test_one_call_brings_back_what_was_replaced(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        rolled = back(churn, bench)
        assert state(churn) == (ONE, None)
        assert rolled.move.to_digest == version(churn, 1).digest
        assert [finding.rule for finding in rolled.findings] == ["completeness", "integrity", "opens", "smoke"]
        moves_and_events_agree(churn)

    def test_its_event_says_who_and_why_and_on_what_verdict(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        rolled, event = back(churn, bench, actor="bob"), last_event(churn)
        assert (event.action, event.actor, event.reason) == (Action.STAGE_ROLLBACK, "bob", "complaints")
        assert (event.from_number, event.to_number, event.details) == (2, 1, {"emergency": False})
        assert rolled.move.verdict is not None
        body = churn.registry.verdict(rolled.move.verdict).body
        assert (body["purpose"], body["outcome"], body["asked_by"]) == ("rollback", "pass", "bob")
        assert body["inputs"]["candidate"]["digest"] == str(version(churn, 1).digest)

    def test_its_answer_has_the_keys_that_commands_print(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        value = back(churn, bench).to_json()
        assert {"model", "stage", "from", "to", "event", "outcome", "verdict"} <= set(value)
        assert (value["from"], value["to"], value["outcome"]) == (2, 1, "pass")

    def test_twice_goes_further_back_and_never_forward(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2, 3)
        back(churn, bench)
        assert state(churn) == (TWO, ONE)
        back(churn, bench)
        assert state(churn) == (ONE, None)
        with refused(churn, NotFound, "nothing to go back to"):
            back(churn, bench)

    def test_back_and_forward_and_back_again(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        back(churn, bench)
        put(churn, bench, 3)
        assert state(churn) == (THREE, ONE)
        back(churn, bench)
        assert state(churn) == (ONE, None)
        moves_and_events_agree(churn)

    def test_the_gate_of_the_stage_is_not_asked_on_the_way_back(self, churn: Project, bench: Workbench) -> None:
        # Version 1 is worse than version 2, which is in trouble; that must not keep anybody from going back.
        put(churn, bench, 1, 2)
        assert state(churn) == (TWO, ONE)
        back(churn, bench)
        assert state(churn) == (ONE, None)


class TestRefusals:
    def test_nothing_was_ever_there(self, churn: Project, bench: Workbench) -> None:
        with refused(churn, NotFound, "production of churn has nothing to go back to") as caught:
            back(churn, bench)
        assert "holdfast list churn" in caught[0].hint
        assert "holdfast promote churn@NUMBER --to production" in caught[0].hint

    def test_the_first_version_has_nothing_behind_it(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1)
        with refused(churn, NotFound, "nothing to go back to"):
            back(churn, bench)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [({"model": ModelName("chrn")}, "no model chrn"), ({"stage": StageName("prodction")}, "no stage prodction")],
    )
    def test_a_name_that_nobody_knows(
        self, churn: Project, bench: Workbench, changes: dict[str, Any], message: str
    ) -> None:
        with refused(churn, NotFound, message) as caught:
            back(churn, bench, **changes)
        assert "Did you mean" in caught[0].hint

    @pytest.mark.parametrize("emergency", [False, True])
    @pytest.mark.parametrize("hurt", [flip_bit, Path.unlink])
    @pytest.mark.parametrize("place", [0, -1, None])
    def test_damaged_bytes_stop_even_an_emergency(
        self, churn: Project, bench: Workbench, emergency: bool, hurt: Callable[[Path], None], place: int | None
    ) -> None:
        put(churn, bench, 1, 2)
        files = manifest(churn, 1).files
        hurt(blob(churn, version(churn, 1).digest if place is None else files[place].digest))
        with refused(churn, IntegrityError, "last-known-good, version 1, is damaged") as caught:
            back(churn, bench, emergency=emergency)
        assert caught[0].details["damaged"]
        assert "holdfast check" in caught[0].hint
        assert state(churn) == (TWO, ONE)

    def test_a_version_that_lacks_a_part_is_no_way_back(self, churn: Project, bench: Workbench) -> None:
        adopt(churn, 5)
        lenient = replace(bench)
        policy = QUICK.parse('[gate.production]\nrules = ["integrity"]', where="policy")
        promote(Promotion(ask(1, policy=policy)), lenient, churn.registry)
        with refused(churn, Incomplete, "version 5, lacks eval_threshold, metrics, holdout") as caught:
            back(churn, bench)
        assert caught[0].details["missing"] == ["eval_threshold", "metrics", "holdout"]

    def test_a_version_that_forgot_what_it_answered_is_refused_and_the_refusal_is_in_the_log(
        self, churn: Project, bench: Workbench
    ) -> None:
        forgetful = add_forgetful(churn)
        adopt(churn, forgetful.number)
        put(churn, bench, 1)
        with refused(
            churn, GateRefused, "works: 180 of 180 predictions", but=("verdicts", "events", "event_nodes")
        ) as caught:
            back(churn, bench)
        event = last_event(churn)
        assert (event.action, event.to_number) == (Action.GATE_REFUSE, forgetful.number)
        assert event.verdict == caught[0].details["verdict"]
        kept = churn.registry.verdict(Digest.parse(str(event.verdict)))
        assert (kept.outcome, kept.body["purpose"]) == ("fail", "rollback")
        assert '--emergency --reason "' in caught[0].hint

    def test_an_emergency_moves_all_the_same_and_the_log_says_so(self, churn: Project, bench: Workbench) -> None:
        forgetful = add_forgetful(churn)
        adopt(churn, forgetful.number)
        put(churn, bench, 1)
        rolled = back(churn, bench, emergency=True, reason="error rate 30 %")
        assert state(churn)[0] == forgetful.number
        event = last_event(churn)
        assert (event.details, event.reason) == ({"emergency": True}, "error rate 30 %")
        assert rolled.findings == ()
        assert rolled.move.verdict is not None
        assert churn.registry.verdict(rolled.move.verdict).outcome == "skipped"
        moves_and_events_agree(churn)

    def test_an_emergency_starts_no_process(self, churn: Project, bench: Workbench) -> None:
        def never(files: BundleFiles) -> Any:
            raise AssertionError(files)

        put(churn, bench, 1, 2)
        back(churn, replace(bench, opener=never), emergency=True)
        assert state(churn) == (ONE, None)

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_an_emergency_needs_a_reason(self, churn: Project, bench: Workbench, reason: str) -> None:
        with refused(churn, UsageError, "an emergency rollback needs a reason") as caught:
            back(churn, bench, emergency=True, reason=reason)
        assert '--emergency --reason "' in caught[0].hint


class TestAgainAndAtTheSameTime:
    def test_the_same_key_again_moves_nothing_and_gives_the_same_answer(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2, 3)
        first = back(churn, bench, idempotency_key="k-1")
        before = tables(churn)
        again = back(churn, bench, idempotency_key="k-1")
        assert again.move == first.move
        assert tables(churn) == before
        assert state(churn) == (TWO, ONE)

    def test_the_key_of_another_request_is_refused(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        promote(Promotion(ask(3), idempotency_key="k-1"), bench, churn.registry)
        with refused(churn, UsageError, "belongs to another request"):
            back(churn, bench, idempotency_key="k-1")
        back(churn, bench, idempotency_key="k-2")
        with refused(churn, UsageError, "belongs to another request"):
            back(churn, bench, idempotency_key="k-2", stage=STAGING)
        with refused(churn, UsageError, "belongs to another request"):
            back(churn, bench, idempotency_key="k-2", model=ModelName("another"))

    def test_a_stage_that_moves_meanwhile_is_left_where_it_is(
        self, churn: Project, bench: Workbench, workers: Workers
    ) -> None:
        put(churn, bench, 1, 2)

        @contextmanager
        def meanwhile(files: BundleFiles) -> Iterator[Predictor]:
            put(churn, bench, 3)
            with workers(files) as predictor:
                yield predictor

        with pytest.raises(StageMoved, match="ana moved it from 2 to 3") as caught:
            back(churn, replace(bench, opener=meanwhile))
        assert (caught.value.details["expected"], caught.value.details["found"]) == (2, 3)
        assert state(churn) == (THREE, TWO)
        moves_and_events_agree(churn)

    def test_the_same_request_sent_twice_at_once_moves_once_and_both_are_told(
        self, churn: Project, bench: Workbench
    ) -> None:
        put(churn, bench, 1, 2, 3)
        answers: list[RolledBack] = []

        def go() -> None:
            answers.append(back(churn, bench, emergency=True, idempotency_key="k-1"))

        threads = [threading.Thread(target=go) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 4
        assert len({answer.move.event for answer in answers}) == 1
        assert state(churn) == (TWO, ONE)

    def test_of_several_at_once_without_a_key_each_goes_one_step_or_is_told(
        self, churn: Project, bench: Workbench
    ) -> None:
        put(churn, bench, 1, 2, 3)
        told: list[object] = []

        def go() -> None:
            try:
                told.append(back(churn, bench, emergency=True))
            except HoldfastError as error:
                told.append(error)

        threads = [threading.Thread(target=go) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        moved = [answer for answer in told if isinstance(answer, RolledBack)]
        assert {type(answer) for answer in told} <= {RolledBack, StageMoved, NotFound}
        assert 1 <= len(moved) <= 2
        assert state(churn)[0] == 3 - len(moved)
        moves_and_events_agree(churn)


class TestExplaining:
    def test_what_made_it_necessary_is_recorded_once_somebody_says_it(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        rolled = back(churn, bench, reason="")
        explain_rollback(rolled.move, "the export was truncated", "bob", churn.registry)
        event = last_event(churn)
        assert (event.action, event.actor, event.reason) == (
            Action.ROLLBACK_EXPLAIN,
            "bob",
            "the export was truncated",
        )
        assert event.details == {"event": rolled.move.event}
        assert state(churn) == (ONE, None)
        moves_and_events_agree(churn)

    def test_an_explanation_needs_words_and_a_rollback(self, churn: Project, bench: Workbench) -> None:
        put(churn, bench, 1, 2)
        moved = promote(Promotion(ask(3)), bench, churn.registry).move
        with refused(churn, UsageError, "is no rollback"):
            explain_rollback(moved, "because", "ana", churn.registry)
        rolled = back(churn, bench)
        with refused(churn, UsageError, "needs words"):
            explain_rollback(rolled.move, "  ", "ana", churn.registry)
