"""Step 7: a version that would do harm is refused with its reasons, and the refusal stays on record."""

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from tests.story.tumour import Person, tables

pytestmark = pytest.mark.slow


def test_a_version_trained_on_damaged_labels_is_refused_and_nothing_moves(held: Person) -> None:
    before = tables(held.folder)
    refused = held("promote", "tumour@2", "--reason", "fresh data", "--json")
    assert refused.code == EXIT_CODES["gate_refused"]
    findings = {finding["rule"]: finding for finding in refused.error["findings"]}
    assert {rule for rule, finding in findings.items() if finding["outcome"] == "fail"} == {"not_worse", "groups"}
    assert "f1 0.67" in findings["not_worse"]["sentence"]
    assert "malignant=1" in findings["groups"]["sentence"]
    after = tables(held.folder)
    assert {name for name in after if after[name] != before[name]} == {"events", "event_nodes", "verdicts"}
    event = held.json("log")["events"][0]
    assert (event["action"], event["to"], event["verdict"]) == ("gate:verdict:refuse", 2, refused.error["verdict"])
    assert held.json("live", "tumour")["stages"]["production"]["version"] == 1


def test_a_better_version_passes_every_rule(held: Person) -> None:
    verdict = held.json("gate", "tumour@3")
    assert verdict["outcome"] == "pass"
    assert {finding["outcome"] for finding in verdict["findings"]} == {"pass"}
    assert {"completeness", "integrity", "smoke", "not_worse", "groups", "latency", "approver"} <= {
        finding["rule"] for finding in verdict["findings"]
    }


def test_the_gate_asks_the_bundle_and_not_the_working_folder(held: Person) -> None:
    (held.folder / "features.py").write_text("raise SystemExit('the folder was used')\n")
    (held.folder / "model.joblib").unlink()
    assert held.json("gate", "tumour@3")["outcome"] == "pass"


def test_a_policy_can_ask_for_more(held: Person) -> None:
    (held.folder / "holdfast.toml").write_text("[gate.production]\nmetrics_min = { f1 = 0.99 }\n")
    refused = held("gate", "tumour@3", "--json")
    assert refused.code == EXIT_CODES["gate_refused"]
    failed = [finding["rule"] for finding in refused.value["findings"] if finding["outcome"] == "fail"]
    assert failed == ["metrics_min"]
