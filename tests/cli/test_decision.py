"""`decision`: any single past answer, shown and computed again, on the machine that served and behind a server."""

import json
import signal
import urllib.request
from pathlib import Path
from typing import Any

import duckdb
import pytest

from holdfast.digest import Digest
from holdfast.registry import Action
from holdfast.runtime.materialise import read_manifest
from holdfast.serving.ledger.finding import Wanted
from holdfast.store.local import LocalStore
from tests.cli.test_serve import answered, serving
from tests.cli.test_server import server
from tests.commands import Cli
from tests.patience import PATIENCE_SECONDS
from tests.projects import HOLDOUT_ROWS, TARGET
from tests.serving.ledgers import BEGAN, World
from tests.store.spoiling import spoil

ROW = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}

LEDGER = """
[model.churn.serve.ledger]
keep = "all"
"""


BY_DAY = """
SELECT version, strftime(answered_at, '%Y-%m-%d') AS day, count(*) AS asked, count(error) AS failed, sum(rows) AS rows,
       avg(json_extract(decode(output), '$.predictions[0]')::DOUBLE) AS positive
FROM ledger GROUP BY ALL ORDER BY day
"""

ONE = """
SELECT json_extract_string(decode(input), '$.dataframe_records[0].name') FROM ledger WHERE request_id = 'late'
"""


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("r1", "--list"),
        ("--list", "--export", "out"),
        ("--replay",),
        ("--list", "--replay"),
        ("r1", "--from", "2026-01-01"),
        ("--list", "--at", "2026-01-01"),
        ("r1", "--at", "yesterday"),
        ("--list", "--version", "0"),
    ],
)
def test_what_does_not_go_together_is_refused(cli: Cli, project: Path, arguments: tuple[str, ...]) -> None:
    cli.fails("usage", "decision", *arguments)


def test_where_nothing_was_kept_there_is_nothing_to_show(cli: Cli, incomplete: Path) -> None:
    assert cli.json("decision", "--list") == {"decisions": []}
    assert cli.json("decision", "--export", "out") == {"pages": []}
    cli.fails("not_found", "decision", "r1")
    cli.fails("not_found", "decision", "--list", "--model", "other")


@pytest.mark.parametrize(
    "settings",
    ['keep = "some"', "sample = 0", 'inputs = "part"', "page_seconds = 1", "redact = [1]", "pages = 3"],
)
def test_a_setting_of_the_ledger_that_cannot_be_is_an_error(cli: Cli, project: Path, settings: str) -> None:
    (project / "holdfast.toml").write_text(f"[serve.ledger]\n{settings}\n")
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    assert "[serve.ledger]" in cli.fails("usage", "serve", "churn", "--port", "0")["message"]


def asked(url: str, request_id: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/invocations", body, headers), timeout=PATIENCE_SECONDS
    ) as answer:
        assert answer.headers["X-Request-Id"] == request_id


@pytest.mark.slow
def test_a_decision_is_shown_and_computed_again_and_cannot_be_when_the_bundle_changed(
    cli: Cli, moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (moved / "holdfast.toml").open("a") as policy:
        policy.write(LEDGER)
    body = json.dumps({"dataframe_records": [ROW]}).encode()
    with serving(moved, "churn", "--port", "0", "--json") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        answer, _ = answered(f"{url}/invocations", {"dataframe_records": [ROW]})
        asked(url, "the-one", body)
        asked(url, "another", body)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
    told = cli.json("decision", "the-one", "--model", "churn", "--replay")
    assert (told["version"], told["digest"]) == (2, answer["digest"])
    assert told["input"] == {**told["input"], "kept": "whole", "value": {"dataframe_records": [ROW]}}
    assert told["output"]["predictions"] == answer["predictions"]
    assert (told["move"]["reason"], told["move"]["to"]) == ("better", 2)
    assert told["move"]["by"].startswith("ana")
    assert told["verdict"]["outcome"] == "pass"
    assert all(one["sentence"] for one in told["verdict"]["findings"])
    assert told["data"]
    assert (told["page"]["rows"], told["page"]["dropped"]) == (3, 0)
    assert told["replay"] == {**told["replay"], "same": True, "exact": True, "differs": []}
    said = cli.ok("decision", "the-one", "--replay").out
    assert "churn@2 answered request the-one" in said
    assert "replay    the same answer, to the byte" in said
    assert len(cli.json("decision", "--list", "--version", "2")["decisions"]) == 3
    assert any(one["action"] == Action.PAGE_SEAL for one in cli.json("log", "churn")["events"])
    assert cli.json("audit", "verify")["ok"]
    # Behind a server, from a folder that holds nothing.
    here = moved.parent / "elsewhere"
    here.mkdir()
    with server(moved) as (address, _):
        monkeypatch.setenv("HOLDFAST_URL", address)
        monkeypatch.chdir(here)
        cli.ok("init")
        assert cli.json("decision", "the-one")["output"] == told["output"]
    monkeypatch.delenv("HOLDFAST_URL")
    monkeypatch.chdir(moved)
    spoiled(moved, told["digest"])
    assert cli.json("decision", "the-one")["output"] == told["output"]
    cli.fails("integrity", "decision", "the-one", "--replay")


def spoiled(project: Path, digest: str) -> None:
    """Other weights stand under the name of a version's, in the store and where it was checked out."""
    store = LocalStore(project / ".holdfast/store")
    manifest = read_manifest(store, Digest.parse(digest))
    weights: Any = manifest.parts.weights
    path = weights.files[0]
    spoil(store, manifest.file(path).digest, b"other weights")
    for copy in (project / ".holdfast/cache").rglob(str(path)):
        copy.parent.chmod(0o755)
        copy.unlink()
        copy.write_bytes(b"other weights")


def test_pages_are_files_that_duckdb_reads(tmp_path: Path) -> None:
    world = World.of(tmp_path)
    world.recorded(
        [world.observed(f"r{n}", at=BEGAN + n, error="invalid_input" if n == 7 else None) for n in range(10)]
    )
    world.recorded([world.observed("late", at=BEGAN + 86_400)], replica="two")
    made = world.ledger().export(Wanted(), tmp_path / "out")
    assert {path.parent for _, path in made} == {tmp_path / "out" / "churn"}
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(f"CREATE VIEW ledger AS FROM '{tmp_path}/out/churn/*.parquet'")
        rows = database.execute(BY_DAY).fetchall()
        found = database.execute(ONE).fetchall()
    assert rows == [(1, "2026-01-01", 10, 1, 9, 1.0), (1, "2026-01-02", 1, 0, 1, 1.0)]
    assert found == [("Bo",)]
