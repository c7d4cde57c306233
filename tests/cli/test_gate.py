"""`gate` and `ci`: verdicts asked for, shown, computed again, and handed to a build."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.config import Settings
from holdfast.wire import open_project
from tests.commands import Cli
from tests.projects import blob, flip_bit, manifest

NEEDS_ROWS = """\
[gate.production]
rules = ["completeness", "integrity", "opens", "smoke", "not_worse", "approver"]
rows_min = 1000
"""
"""A policy whose comparison cannot be decided on the rows that there are."""


@pytest.mark.thorough
def test_the_word_judge_may_be_left_out(cli: Cli, incomplete: Path) -> None:
    short, long = cli("gate", "churn@1", "--json"), cli("gate", "judge", "churn@1", "--json")
    assert short.code == long.code == EXIT_CODES["gate_refused"]
    assert short.value["findings"] == long.value["findings"]
    assert "judge" in cli.ok("gate", "-h").out


def test_a_verdict_is_written_in_every_form_and_shown_again(cli: Cli, incomplete: Path) -> None:
    digest = cli("gate", "churn@1", "--json").value["verdict"]
    begin = {"text": "fail: churn@1", "markdown": "<!-- holdfast gate -->\n", "html": "<!DOCTYPE html>\n", "json": "{"}
    for form, words in begin.items():
        said = cli.ok("gate", "show", digest[7:17], "--format", form).out
        assert said.startswith(words)
        told = cli("gate", "show", digest, "--format", form, "--output", f"verdict.{form}")
        assert told.out.startswith("fail: churn@1 for production\n")
        written = Path(f"verdict.{form}").read_text(encoding="utf-8")
        assert json.loads(written) == json.loads(said) if form == "json" else written == said
    value = cli.json("gate", "show", "churn@1")
    assert (value["verdict"], value["body"]["format_version"]) == (digest, "1.1")
    assert cli.ok("gate", "show", "churn@1", "--json", "--format", "html", "--output", "x.html").value == value
    assert cli.json("gate", "show", "churn@1", "--format", "html") == value


def test_a_file_that_cannot_be_written_is_told(cli: Cli, incomplete: Path) -> None:
    cli("gate", "churn@1")
    cli.fails("not_found", "gate", "show", "churn@1", "--output", "no/such/folder/v.html")


def test_no_gate_takes_its_time_for_a_file_that_cannot_be_written(cli: Cli, incomplete: Path) -> None:
    for command in (["gate", "churn@1", "--output"], ["ci", "churn@1", "--to", "production", "--junit"]):
        error = cli.fails("not_found", *command, "no/such/folder/v.html")
        assert error["message"] == "there is no folder no/such/folder to write v.html into"
    cli.fails("not_found", "gate", "show", "churn@1")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["gate", "show", "0" * 64], "not_found"),
        (["gate", "show", "abc"], "usage"),
        (["gate", "show", "churn@1"], "not_found"),
        (["gate", "replay", "churn@1", "--to", "staging"], "not_found"),
        (["ci"], "usage"),
        (["ci", "churn@1", "--run", "abc"], "usage"),
        (["ci", "--run", "a' or live"], "usage"),
        (["ci", "--run", "abc"], "not_found"),
        (["ci", "churn@1", "--to", "nowhere"], "not_found"),
    ],
)
def test_what_there_is_no_verdict_for(cli: Cli, incomplete: Path, arguments: list[str], code: str) -> None:
    cli.fails(code, *arguments)


def test_a_build_fails_where_a_part_is_missing_and_says_so_where_it_is_looked_for(
    cli: Cli, incomplete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = incomplete / "summary.md"
    summary.write_text("from the step before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    told = cli("ci", "churn@1", "--junit", "gate.xml", "--json")
    assert told.code == EXIT_CODES["incomplete_version"]
    assert (told.value["outcome"], told.value["verdict"], told.value["stage"]) == ("fail", None, None)
    said = summary.read_text(encoding="utf-8")
    assert said.startswith("from the step before\n<!-- holdfast gate -->")
    assert "missing: weights" in said
    case = ET.parse(incomplete / "gate.xml").find("testsuite/testcase")  # noqa: S314 - our own, a line above
    assert case is not None
    assert case.attrib["name"] == "completeness"
    assert case.find("failure") is not None
    gated = cli("ci", "churn@1", "--to", "archived", "--json")
    assert gated.code == EXIT_CODES["incomplete_version"]
    assert {finding["rule"]: finding["outcome"] for finding in gated.value["findings"]} == {
        "completeness": "fail",
        "integrity": "pass",
        "approver": "pass",
    }


@pytest.mark.slow
def test_a_verdict_is_computed_again(cli: Cli, moved: Path) -> None:
    judged = cli.json("gate", "churn@3")
    value = cli.json("gate", "replay", judged["verdict"][7:19])
    assert (value["standing"], value["verdict"]) == ("holds", judged["verdict"])
    assert {rule["standing"] for rule in value["rules"]} == {"holds"}
    said = cli.ok("gate", "replay", "churn@3").out
    assert said.startswith("holds: the verdict on churn@3 for production was pass\n")
    assert "  candidate: answers every row as it did\n" in said


@pytest.mark.slow
def test_what_cannot_be_decided_ends_otherwise_than_what_failed(cli: Cli, moved: Path) -> None:
    assert cli("gate", "churn@4").code == EXIT_CODES["gate_refused"]
    assert cli("ci", "churn@4", "--to", "production").code == EXIT_CODES["gate_refused"]
    (moved / "holdfast.toml").write_text(NEEDS_ROWS)
    undecided = cli("gate", "churn@3", "--json")
    assert (undecided.code, undecided.value["outcome"]) == (EXIT_CODES["gate_inconclusive"], "inconclusive")
    (moved / "holdfast.toml").write_text(NEEDS_ROWS.replace("rows_min = 1000", "approvals_min = 2"))
    assert cli("gate", "churn@3").code == EXIT_CODES["gate_refused"]
    assert cli("ci", "churn@3", "--to", "production").code == EXIT_CODES["approval_required"]
    assert cli("ci", "churn@3").code == 0


@pytest.mark.slow
def test_a_verdict_that_does_not_hold_has_an_end_of_its_own(cli: Cli, moved: Path) -> None:
    judged = cli.json("gate", "churn@3")
    assert judged["outcome"] == "pass"
    with open_project(Settings.at(moved / ".holdfast", {})) as project:
        weights = next(one for one in manifest(project, 3).files if str(one.path).startswith("weights/"))
        flip_bit(blob(project, weights.digest))
    told = cli("gate", "replay", judged["verdict"])
    assert told.code == EXIT_CODES["replay_differs"]
    assert "differs: the verdict on churn@3" in told.out
    assert "  differs  integrity: pass then, fail now: " in told.out
