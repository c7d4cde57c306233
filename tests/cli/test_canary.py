"""`canary` and `truth`: what they say and refuse, and a whole canary with two replicas."""

import http.client
import itertools
import json
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from holdfast.config import HOME_NAME, Settings
from holdfast.registry.rollouts import Tally
from holdfast.serving import trying
from holdfast.serving.counting import Counted
from holdfast.wire import open_project
from tests import projects
from tests.cli.test_serve import serving
from tests.commands import Cli
from tests.patience import PATIENCE_SECONDS, until
from tests.projects import HOLDOUT_ROWS, TARGET, add_version

pytestmark = pytest.mark.usefixtures("kept_workers")

FAILING = """
def featurise(rows):
    if any(row["calls"] == 10 for row in rows) and len(rows) == 1:
        raise RuntimeError("no such bucket")
    return [[row["age"], row["calls"], float(row["plan"] == "basic")] for row in rows]
"""


def test_a_canary_is_begun_through_the_gate_and_says_what_it_would_find(cli: Cli, moved: Path) -> None:
    said = cli.json("canary", "churn@3", "--percent", "10", "--rate", "50", "--reason", "to try it")
    assert (said["version"], said["against"], said["state"], said["step"]) == (3, 2, "running", 0)
    assert said["plan"]["steps"] == [{"share": 1000, "seconds": 600, "requests": 1000}]
    assert said["plan"]["score_edges"] == sorted(set(said["plan"]["score_edges"]))
    assert said["plan"]["score_edges"]
    crash, fivefold, twofold = said["detection"]
    assert crash["requests"] < 300 < fivefold["requests"] < 5_000 < twofold["requests"]
    assert crash["seconds"] == pytest.approx(crash["requests"] / 50, abs=0.1)
    (event,) = [one for one in cli.json("log", "churn")["events"] if one["action"] == "stage:rollout:begin"]
    assert (event["index"], event["reason"]) == (said["rollout"], "to try it")
    assert said["verdict"] == event["verdict"]
    again = cli.fails("already_exists", "canary", "churn@3", "--percent", "10")
    assert again["rollout"] == said["rollout"]
    text = cli.ok("canary", "churn", "--rate", "50").out
    assert text.startswith("churn@3 beside @2 at production: running, step 1 of 1, 10 % by request\n")
    assert "errors 0.01 -> 0.02" in text


def test_a_person_holds_resumes_advances_and_aborts_with_reasons(cli: Cli, moved: Path) -> None:
    cli.ok("canary", "churn@3", "--steps", "1,5,25", "--each", "90s", "--requests", "5", "--key", "column:age")
    cli.fails("usage", "canary", "churn", "--hold")
    cli.fails("usage", "canary", "churn", "--hold", "--abort", "--reason", "both")
    for turn, state, step in (("hold", "held", 0), ("resume", "running", 0), ("advance", "running", 1)):
        said = cli.json("canary", "churn", f"--{turn}", "--reason", f"to {turn}")
        assert (said["state"], said["step"], said["reason"]) == (state, step, f"to {turn}")
    cli.ok("canary", "churn", "--advance", "--reason", "on")
    done = cli.json("canary", "churn", "--advance", "--reason", "on")
    assert (done["state"], done["step"], done["done"]) == ("passed", 3, True)
    assert "holdfast promote churn@3 --to production" in cli.ok("canary", "churn").out
    ended = cli.json("canary", "churn", "--abort", "--reason", "enough")
    assert (ended["state"], ended["reason"], ended["detection"]) == ("aborted", "enough", [])
    cli.fails("stage_moved", "canary", "churn", "--resume", "--reason", "again")
    cli.fails("gate_refused", "canary", "churn", "--watch")


def test_a_turn_that_a_canary_cannot_take_changes_nothing(cli: Cli, moved: Path) -> None:
    begun = cli.json("canary", "churn@3", "--steps", "1,5")
    error = cli.fails("usage", "canary", "churn", "--resume", "--reason", "it is not held")
    assert "running already" in error["message"]
    assert "--advance" in error["hint"]
    assert cli.json("canary", "churn")["event"] == begun["event"]
    cli.ok("canary", "churn", "--advance", "--reason", "on")
    passed = cli.json("canary", "churn", "--advance", "--reason", "on")
    assert passed["state"] == "passed"
    for turn in ("resume", "advance"):
        error = cli.fails("usage", "canary", "churn", f"--{turn}", "--reason", "more")
        assert "has passed" in error["message"]
        assert "holdfast promote churn@3 --to production" in error["hint"]
        assert "--abort" in error["hint"]
    still = cli.json("canary", "churn")
    assert (still["event"], still["state"], still["step"]) == (passed["event"], "passed", 2)


def test_a_held_canary_is_advanced_step_by_step_until_it_has_passed(cli: Cli, moved: Path) -> None:
    cli.ok("canary", "churn@3", "--steps", "1,5")
    for state, step in (("running", 1), ("passed", 2)):
        cli.ok("canary", "churn", "--hold", "--reason", "a look first")
        said = cli.json("canary", "churn", "--advance", "--reason", "on")
        assert (said["state"], said["step"]) == (state, step)
    cli.ok("canary", "churn", "--hold", "--reason", "not yet")
    assert cli.json("canary", "churn", "--resume", "--reason", "it is good")["state"] == "passed"


def test_a_canary_that_is_watched_to_its_end_is_promoted_through_the_gate(cli: Cli, moved: Path) -> None:
    cli.ok("canary", "churn@3", "--percent", "50")
    cli.ok("canary", "churn", "--advance", "--reason", "seen enough")
    said = cli.json("canary", "churn", "--watch", "--promote", "--reason", "it was good")
    assert (said["state"], said["promoted"]["to"], said["promoted"]["outcome"]) == ("passed", 3, "pass")
    assert cli.json("live", "churn")["stages"]["production"]["version"] == 3
    over = cli.json("canary", "churn")
    assert (over["state"], over["done"], over["detection"]) == ("passed", False, [])


def test_what_a_gate_refuses_gets_no_requests(cli: Cli, moved: Path) -> None:
    error = cli.fails("gate_refused", "canary", "churn@4", "--percent", "10")
    assert error["message"].startswith("churn@4 gets no requests of production: ")
    cli.fails("gate_refused", "canary", "churn@5", "--percent", "10")
    cli.fails("not_found", "canary", "churn")


def test_approvals_may_come_later_and_a_rejection_is_heard(cli: Cli, moved: Path) -> None:
    with (moved / "holdfast.toml").open("a") as policy:
        policy.write("approvals_min = 2\n")
    cli.fails("approval_required", "promote", "churn@3")
    cli.ok("approve", "churn@3", "--reject", "--reason", "no")
    cli.fails("gate_refused", "canary", "churn@3", "--percent", "10")
    cli.ok("approve", "churn@3", "--reason", "yes, try it")
    assert cli.json("canary", "churn@3", "--percent", "10")["state"] == "running"


@pytest.mark.parametrize(
    "arguments",
    [
        ["churn@3"],
        ["churn@3", "--percent", "0"],
        ["churn@3", "--percent", "100"],
        ["churn@3", "--percent", "ten"],
        ["churn@3", "--steps", "5,1"],
        ["churn@3", "--percent", "10", "--each", "10"],
        ["churn@3", "--percent", "10", "--key", "cookie:a"],
        ["churn@3", "--percent", "10", "--guard", "weather"],
        ["churn@3", "--percent", "10", "--alpha", "1"],
        ["churn@3", "--percent", "10", "--hold"],
        ["churn@3", "--percent", "10", "--steps", "1,5"],
        ["churn@3", "--percent", "10", "--promote"],
        ["churn", "--promote"],
        ["churn@2", "--percent", "10"],
    ],
)
def test_what_is_no_canary_is_refused(cli: Cli, moved: Path, arguments: list[str]) -> None:
    cli.fails("usage", "canary", *arguments)


def test_a_key_that_is_no_column_of_the_rows_is_refused_unless_callers_send_it(cli: Cli, moved: Path) -> None:
    error = cli.fails("usage", "canary", "churn@3", "--percent", "10", "--key", "column:plam")
    assert (error["column"], error["hint"].split("?")[0]) == ("plam", "Did you mean plan")
    said = cli.json("canary", "churn@3", "--percent", "10", "--key", "column:user_id", "--any-column")
    assert said["plan"]["key"] == "column:user_id"


def test_requests_that_had_no_key_are_told(cli: Cli, moved: Path) -> None:
    begun = cli.json("canary", "churn@3", "--percent", "10", "--key", "header:x-user")
    assert "without the key" not in cli.ok("canary", "churn").out
    tell(moved, begun, step=0, requests=7, without_key=3)
    assert cli.json("canary", "churn")["found"]["outcome"] == "go_on"
    assert cli.json("canary", "churn")["figures"]["without_key"] == 3
    assert "  without the key: 3 of these, which were assigned by their ids\n" in cli.ok("canary", "churn").out


def test_what_cannot_be_tried_is_refused_before_the_gate_is_asked(
    cli: Cli, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.ok("canary", "churn@3", "--percent", "10")

    def asked(*_: object) -> NoReturn:
        raise AssertionError("the gate was asked")

    monkeypatch.setattr(trying, "gate", asked)
    cli.fails("usage", "canary", "churn@2", "--percent", "10")
    error = cli.fails("already_exists", "canary", "churn@4", "--percent", "10")
    assert (error["version"], "--abort" in error["hint"]) == (3, True)


def test_a_canary_that_has_passed_tells_what_all_its_steps_have_counted(cli: Cli, moved: Path) -> None:
    begun = cli.json("canary", "churn@3", "--steps", "10,20")
    tell(moved, begun, step=0, requests=3)
    cli.ok("canary", "churn", "--advance", "--reason", "on")
    tell(moved, begun, step=1, requests=4)
    assert cli.json("canary", "churn")["figures"]["candidate"]["requests"] == 4
    cli.ok("canary", "churn", "--advance", "--reason", "on")
    tell(moved, begun, step=2, requests=1)
    text = cli.ok("canary", "churn").out
    assert "  candidate  8 requests, 0 errors\n  other      8 requests, 0 errors\n" in text


def tell(folder: Path, begun: dict[str, Any], *, step: int, requests: int, without_key: int = 0) -> None:
    """What a replica would have counted."""
    counted = Counted(len(begun["plan"]["score_edges"]) + 1)
    for arm in (counted.candidate, counted.other):
        arm.requests = requests
    counted.without_key = without_key
    with open_project(Settings.at(folder / HOME_NAME, {})) as project:
        project.registry.tally(Tally(begun["rollout"], step, "one", counted.to_json()))


def test_truths_are_brought_from_a_file(cli: Cli, moved: Path) -> None:
    (moved / "truths.csv").write_text("request,value\nr1,1\nr2,0\n")
    assert cli.json("truth", "churn", "truths.csv") == {"model": "churn", "truths": 2, "index": 2}
    assert cli.ok("truth", "churn", "truths.csv").out == "2 truths of churn were brought\n"
    cli.fails("not_found", "truth", "churn", "nowhere.csv")
    (moved / "truths.csv").write_text("request\nr1\n")
    cli.fails("invalid_input", "truth", "churn", "truths.csv")


@pytest.mark.slow
def test_two_replicas_give_a_failing_candidate_up_together_and_say_why(
    cli: Cli, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(projects.FEATURES, 3, FAILING)
    with open_project(Settings.at(moved / HOME_NAME, {})) as project:
        candidate = add_version(project, 3).number
    (row,) = [
        {name: cell for name, cell in one.items() if name != TARGET}
        for one in itertools.islice((one for one in HOLDOUT_ROWS if one["calls"] == 10), 1)
    ]
    with (
        serving(moved, "churn", "--port", "0", "--json") as one,
        serving(moved, "churn", "--port", "0", "--json") as two,
    ):
        urls = [json.loads(process.stdout.readline())["url"] for process in (one, two) if process.stdout]
        begun = cli.json("canary", f"churn@{candidate}", "--percent", "20", "--key", "header:x-user")
        until(lambda: all(canary_of(url) is not None for url in urls))
        answers: list[tuple[int, str]] = []
        for number in range(4_000):
            answers.append(ask(urls[number % 2], row, f"user-{number}"))
            if number % 20 == 0 and cli.json("canary", "churn")["state"] == "aborted":
                break
        until(lambda: all(canary_of(url) is None for url in urls))
        after = [ask(urls[number % 2], row, f"user-{number}") for number in range(40)]
    assert {version for status, version in answers if status != 200} == {str(candidate)}
    assert after == [(200, "2")] * 40
    ended = cli.json("canary", "churn")
    assert (ended["rollout"], ended["state"], ended["figures"]["guard"]) == (begun["rollout"], "aborted", "errors")
    assert "bundle_failed" in ended["reason"]
    assert any(ended["reason"] == event["reason"] for event in cli.json("log", "churn")["events"])


def ask(url: str, row: dict[str, Any], user: str) -> tuple[int, str]:
    place = urlsplit(url)
    line = http.client.HTTPConnection(str(place.hostname), place.port, timeout=PATIENCE_SECONDS)
    try:
        body = json.dumps({"dataframe_records": [row]})
        line.request("POST", "/invocations", body, {"content-type": "application/json", "x-user": user})
        answer = line.getresponse()
        answer.read()
        return answer.status, str(answer.headers["x-model-version"])
    finally:
        line.close()


def canary_of(url: str) -> object:
    place = urlsplit(url)
    line = http.client.HTTPConnection(str(place.hostname), place.port, timeout=PATIENCE_SECONDS)
    try:
        line.request("GET", "/version")
        return json.loads(line.getresponse().read())["canary"]
    finally:
        line.close()
