"""The gate on real bundles: its verdict is kept, names what it judged by digest, and can be given again."""

from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from holdfast.canonical import encode, plain
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import NotFound, Unavailable
from holdfast.flow.bundle.origin import data_input
from holdfast.flow.gate import Outcome, Policy, Workbench, gate
from holdfast.flow.gate.case import Case, examine
from holdfast.flow.gate.rules import RULES
from holdfast.flow.promote import Promotion, promote
from holdfast.flow.snapshot import snapshot
from holdfast.names import Reference, StageName, VersionNumber
from holdfast.parts.data_slice import TRAIN
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.rows import Table
from holdfast.runtime.smoke import write_outputs
from holdfast.wire import Project
from tests.projects import (
    CHURN,
    HOLDOUT_ROWS,
    PRODUCTION,
    QUICK,
    TARGET,
    TRAIN_ROWS,
    Workers,
    add_version,
    ask,
    features_of,
    manifest,
    moves_and_events_agree,
    tables,
    version,
    write_csv,
)

pytestmark = pytest.mark.slow


def test_the_verdict_is_kept_under_the_digest_of_its_canonical_body(churn: Project, bench: Workbench) -> None:
    verdict = gate(ask(1), bench, churn.registry)
    kept = churn.registry.verdict(verdict.digest)
    assert hash_bytes(encode(kept.body)) == verdict.digest
    assert plain(kept.body) == kept.body
    assert (kept.outcome, kept.number, kept.stage) == ("pass", 1, PRODUCTION)
    assert kept.body["findings"] == plain([finding.to_json() for finding in verdict.findings])
    assert kept.body["policy"] == plain(QUICK.for_stage(CHURN, PRODUCTION).to_json())


def test_the_verdict_names_by_digest_all_that_it_rests_on(churn: Project, bench: Workbench) -> None:
    promote(Promotion(ask(1)), bench, churn.registry)
    body = churn.registry.verdict(gate(ask(2), bench, churn.registry).digest).body
    inputs = body["inputs"]
    assert inputs["candidate"] == {"version": 2, "digest": str(version(churn, 2).digest)}
    assert inputs["baseline"] == {"version": 1, "digest": str(version(churn, 1).digest)}
    files = {str(entry.path): str(entry.digest) for entry in manifest(churn, 2).files}
    assert inputs["holdout"] == files["holdout/rows.json"]
    assert inputs["rows"] == 180
    # The candidate answered exactly as recorded, so its answers have the digest of the recorded file.
    assert inputs["outputs"] == files["holdout/outputs.json"]
    assert Digest.parse(inputs["baseline_outputs"])


def test_a_gate_moves_nothing_and_writes_nothing_but_its_verdict(churn: Project, bench: Workbench) -> None:
    before = tables(churn, but=("verdicts",))
    for number, outcome in ((1, Outcome.PASS), (5, Outcome.FAIL)):
        assert gate(ask(number), bench, churn.registry).outcome is outcome
    assert tables(churn, but=("verdicts",)) == before
    moves_and_events_agree(churn)


def test_the_verdict_says_what_the_process_was_allowed_and_what_held_it(churn: Project, workers: Workers) -> None:
    bench = replace(churn.workbench, opener=workers)
    policy = Policy.parse("[gate.production]\nworker_seconds_max = 77.0\nworker_network = true", where="x")
    worker = churn.registry.verdict(gate(ask(1, policy=policy), bench, churn.registry).digest).body["inputs"]["worker"]
    assert (worker["limits"]["seconds_max"], worker["limits"]["network"]) == (77, True)
    assert worker["limits"]["untrusted"]
    assert {"file_size", "core_files", "processor_time"} <= {*worker["enforced"]}
    strict = churn.registry.verdict(gate(ask(1), bench, churn.registry).digest).body["inputs"]["worker"]
    assert "network" in {*strict["enforced"], *strict["not_enforced"]}


def test_a_version_that_needs_more_memory_than_the_stage_gives_is_a_finding(churn: Project) -> None:
    policy = Policy.parse("[gate.production]\nworker_memory_bytes_max = 67108864", where="x")
    verdict = gate(ask(1, policy=policy), churn.workbench, churn.registry)
    opens = next(finding for finding in verdict.findings if finding.rule == "opens")
    if verdict.outcome is Outcome.PASS:
        pytest.skip("this system does not count the private memory of a process")
    assert opens.outcome is Outcome.FAIL
    assert opens.hint


def test_its_answer_has_the_keys_that_commands_print(churn: Project, bench: Workbench) -> None:
    value = gate(ask(1), bench, churn.registry).to_json()
    assert {"model", "version", "stage", "outcome", "findings", "verdict"} <= set(value)
    assert {"rule", "outcome", "sentence"} <= set(value["findings"][0])


@pytest.mark.parametrize("number", [2, 4, 5])
def test_a_case_examined_again_gives_the_findings_again(churn: Project, bench: Workbench, number: int) -> None:
    promote(Promotion(ask(1)), bench, churn.registry)
    asked_all = replace(ask(number, policy=Policy()), all_rules=True)
    kept = churn.registry.verdict(gate(asked_all, bench, churn.registry).digest).body
    # Everything that is needed for judging again stands in the verdict: who, against whom, under what policy.
    inputs = kept["inputs"]
    candidate, baseline = (
        churn.registry.resolve(Reference.parse(f"{kept['model']}@{inputs[who]['digest']}"))
        for who in ("candidate", "baseline")
    )
    policy = Policy().for_stage(CHURN, PRODUCTION)
    assert plain(policy.to_json()) == kept["policy"]
    before = tuple(VersionNumber(number) for number in inputs["judged_before"])
    asked = Case(candidate, StageName(kept["stage"]), policy, kept["asked_by"], baseline=baseline, judged_before=before)
    case = examine(asked, bench)
    again = [plain(RULES[name](case).to_json()) for name in kept["policy"]["rules"]]

    def timeless(findings: list[Any]) -> list[Any]:
        return [finding for finding in findings if finding["rule"] != "latency"]

    assert timeless(again) == timeless(kept["findings"])
    assert case.inputs() == inputs


def test_both_versions_are_measured_on_the_candidates_rows(churn: Project, bench: Workbench) -> None:
    promote(Promotion(ask(1)), bench, churn.registry)
    policy = QUICK.for_stage(CHURN, PRODUCTION)
    found = examine(Case(version(churn, 2), PRODUCTION, policy, "ana", baseline=version(churn, 1)), bench)
    alone = examine(Case(version(churn, 1), PRODUCTION, policy, "ana"), bench)
    assert found.against is not None
    assert alone.measured is not None
    assert write_outputs(found.against.answer) == write_outputs(alone.measured.answer)
    assert found.against.metrics is not None
    assert alone.measured.metrics is not None
    assert found.against.metrics.values == alone.measured.metrics.values
    for measured in (found.measured, found.against, alone.measured):
        assert measured is not None
        assert measured.memory_bytes is not None
        assert measured.memory_bytes > 1 << 20


def test_each_version_that_was_judged_on_the_same_rows_counts_once(churn: Project, bench: Workbench) -> None:
    policy = Policy.parse('[gate.production]\nrules = ["opens", "holdout"]', where="policy")
    found = [gate(ask(number, policy=policy), bench, churn.registry) for number in (1, 1, 2, 4, 2)]
    assert [verdict.findings[-1].values["used_by"] for verdict in found] == [[], [], [1], [1, 2], [1, 4]]
    assert churn.registry.verdict(found[-1].digest).body["inputs"]["judged_before"] == [1, 4]


def test_rows_that_were_left_out_are_asked_about(churn: Project, bench: Workbench) -> None:
    policy = Policy.parse('[gate.production]\nrules = ["opens", "holdout"]', where="policy")
    promote(Promotion(ask(2, policy=policy)), bench, churn.registry)
    smaller = add_version(churn, 1, damaged=True, holdout=[*HOLDOUT_ROWS[:120], {**HOLDOUT_ROWS[0], "age": 77.5}])
    verdict = gate(ask(smaller.number, policy=policy), bench, churn.registry)
    finding = verdict.findings[-1]
    assert (finding.values["gone"], finding.values["new"]) == (60, 1)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "on the 60 that are gone accuracy is" in finding.sentence
    before = churn.registry.verdict(verdict.digest).body["inputs"]["baseline_holdout"]
    assert before == {str(entry.path): str(entry.digest) for entry in manifest(churn, 2).files}["holdout/rows.json"]


def test_the_training_data_of_both_versions_are_looked_at_and_named(churn: Project, bench: Workbench) -> None:
    policy = Policy.parse('[gate.production]\nrules = ["integrity", "leakage", "drift"]', where="policy")
    promote(Promotion(ask(1, policy=policy)), bench, churn.registry)
    older = churn.settings.project / "data/older.csv"
    write_csv(older, [{**row, "age": row["age"] + 30} for row in TRAIN_ROWS])
    inputs = tuple(
        data_input(snapshot(churn.store, churn.settings.project / path, root=churn.settings.project), TRAIN)
        for path in ("data/older.csv", "data/train.csv")
    )
    drifted = add_version(churn, 1, inputs=inputs[:1])
    leaky = add_version(churn, 1, inputs=inputs[1:], holdout=[*HOLDOUT_ROWS, *TRAIN_ROWS[:5]])
    verdicts = [gate(ask(one.number, policy=policy), bench, churn.registry) for one in (drifted, leaky)]
    outcomes = [{finding.rule: finding for finding in verdict.findings} for verdict in verdicts]
    assert [found["leakage"].outcome for found in outcomes] == [Outcome.PASS, Outcome.FAIL]
    assert [found["drift"].outcome for found in outcomes] == [Outcome.FAIL, Outcome.PASS]
    assert outcomes[0]["drift"].sentence.startswith("age moved by 30 ")
    assert outcomes[1]["leakage"].sentence.startswith(
        "5 of 185 holdout rows (2.7%) are in train.csv too, 5 with the same"
    )
    body = churn.registry.verdict(verdicts[0].digest).body["inputs"]
    assert (body["training"], body["baseline_training"]) == ([str(inputs[0].digest)], [str(inputs[1].digest)])


def test_unknown_names_are_refused_before_anything_is_examined(churn: Project, bench: Workbench) -> None:
    before = tables(churn)
    with pytest.raises(NotFound, match="no version 9"):
        gate(ask(9), bench, churn.registry)
    with pytest.raises(NotFound, match="no stage prodction"):
        gate(ask(1, stage=StageName("prodction")), bench, churn.registry)
    assert tables(churn) == before


def test_a_version_of_numbers_beside_one_of_labels_decides_nothing(churn: Project, bench: Workbench) -> None:
    """The two answer different questions: no metric may be invented for that, and nothing may crash."""
    regression = LinearRegression().fit(features_of(3)(TRAIN_ROWS), [row[TARGET] for row in TRAIN_ROWS])
    numbers = add_version(churn, 3, model=regression, threshold="identity", metric=None)
    answers = ["yes" if row[TARGET] else "no" for row in TRAIN_ROWS]
    words = add_version(
        churn,
        3,
        model=LogisticRegression(max_iter=5000).fit(features_of(3)(TRAIN_ROWS), answers),
        threshold="argmax",
        metric="accuracy",
        holdout=[{**row, TARGET: "yes" if row[TARGET] else "no"} for row in HOLDOUT_ROWS],
    )
    for holder, candidate in ((words.number, numbers.number), (numbers.number, words.number)):
        stage = StageName(f"stage-{candidate}")
        policy = Policy.parse(f'[stages]\nnames = ["{stage}"]\n[gate.{stage}]\nrules = ["integrity"]', where="policy")
        promote(Promotion(ask(holder, stage=stage, policy=policy)), bench, churn.registry)
        asked = Policy.parse(
            f'[stages]\nnames = ["{stage}"]\n[gate.{stage}]\nrules = ["opens", "not_worse", "groups"]', where="policy"
        )
        verdict = gate(ask(candidate, stage=stage, policy=asked), bench, churn.registry)
        outcomes = {finding.rule: finding.outcome for finding in verdict.findings}
        assert outcomes["opens"] is Outcome.PASS
        assert outcomes["not_worse"] is Outcome.INCONCLUSIVE
        assert outcomes["groups"] is Outcome.INCONCLUSIVE


class Stubborn:
    """A worker that answers many rows at once and never one alone, as code that compares rows with each other does."""

    def __init__(self, predictor: Any) -> None:
        self._predictor = predictor

    def predict(self, table: Table) -> Any:
        if table.count == 1:
            raise Unavailable("one row alone is not answered", hint="Send more.")
        return self._predictor.predict(table)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)


@pytest.mark.parametrize("stubborn", [1, 2])
def test_who_cannot_answer_single_rows_is_the_one_who_is_blamed(
    churn: Project, bench: Workbench, workers: Workers, stubborn: int
) -> None:
    promote(Promotion(ask(1)), bench, churn.registry)

    @contextmanager
    def opener(files: BundleFiles) -> Any:
        with workers(files) as predictor:
            yield Stubborn(predictor) if files.digest == version(churn, stubborn).digest else predictor

    verdict = gate(ask(2, policy=Policy()), replace(bench, opener=opener), churn.registry)
    outcomes = {finding.rule: finding.outcome for finding in verdict.findings}
    assert outcomes["smoke"] is Outcome.PASS
    assert outcomes["not_worse"] is Outcome.PASS
    if stubborn == 1:
        assert verdict.outcome is Outcome.PASS
    else:
        assert outcomes["opens"] is Outcome.INCONCLUSIVE
        assert outcomes["latency"] is Outcome.INCONCLUSIVE
