"""What goes wrong on ordinary days: each time an error with a code and a hint, and a registry as it was before."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from tests.commands import PROGRAM, Answer
from tests.patience import PATIENCE_SECONDS, until
from tests.story.tumour import REGISTER, Person, blob, flip_bit, tables

pytestmark = pytest.mark.slow


def refused(answer: Answer, code: str) -> dict[str, Any]:
    """The error, told in the one shape, with the exit code of its code."""
    error = answer.error
    assert (error["code"], answer.code) == (code, EXIT_CODES[code])
    assert error["message"]
    assert error["hint"]
    return error


def loaded(person: Person, reference: str) -> dict[str, Any]:
    """The error with which `holdfast.load` refuses."""
    script = (
        "import holdfast, json, sys\n"
        "try:\n"
        f"    holdfast.load({reference!r}).predict([{{}}])\n"
        "except holdfast.HoldfastError as error:\n"
        "    print(json.dumps(error.to_json(), default=str))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=person.folder, env=dict(person.environment), capture_output=True, text=True, check=True,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    error: dict[str, Any] = json.loads(done.stdout)
    assert error["message"]
    assert error["hint"]
    return error


# An unknown model


def test_an_unknown_model_is_answered_with_the_nearest_and_changes_nothing(held: Person) -> None:
    before = tables(held.folder)
    for arguments in (
        ["show", "tumor@1"],
        ["gate", "tumor@1"],
        ["promote", "tumor@1"],
        ["approve", "tumor@1"],
        ["rollback", "tumor"],
        ["live", "tumor"],
        ["list", "tumor"],
        ["log", "tumor"],
        ["serve", "tumor"],
        ["checkout", "tumor@1", "there"],
    ):
        error = refused(held(*arguments, "--json"), "not_found")
        assert (error["nearest"], error["hint"]) == (["tumour"], "Did you mean tumour?")
    assert loaded(held, "tumor@production")["code"] == "not_found"
    assert tables(held.folder) == before


# Data that is gone


def test_a_snapshot_of_a_file_that_was_deleted(held: Person) -> None:
    before = tables(held.folder)
    (held.folder / "data/train.csv").unlink()
    assert "data/train.csv" in refused(held("snapshot", "data/train.csv", "--json"), "not_found")["message"]
    assert tables(held.folder) == before


def test_data_deleted_between_run_and_register_is_in_the_version_all_the_same(held: Person) -> None:
    held.ok("run", "--model", "tumour", "--", "python", "train.py", "--C", "0.5")
    data = (held.folder / "data/train.csv").read_bytes()
    (held.folder / "data/train.csv").unlink()
    version = held.json(*REGISTER, "--threshold", "0.5")
    assert (version["complete"], version["missing"]) == (True, [])
    inputs = held.json("show", f"tumour@{version['version']}")["parts"]["data_slice"]["inputs"]
    held.ok("checkout", inputs[0]["digest"], "back")
    assert (held.folder / "back/train.csv").read_bytes() == data


def test_a_holdout_that_was_deleted(held: Person) -> None:
    before = tables(held.folder)
    (held.folder / "data/holdout.csv").unlink()
    assert "holdout.csv" in refused(held(*REGISTER, "--threshold", "0.5", "--json"), "not_found")["message"]
    assert tables(held.folder) == before


def test_data_that_the_script_deleted_itself_is_noted_and_the_version_lacks_it(held: Person) -> None:
    with (held.folder / "train.py").open("a") as script:
        script.write("import os\nos.remove(args.data)\n")
    run = held.json("run", "--model", "tumour", "--", "python", "train.py", "--C", "0.2")
    assert (run["exit_code"], run["inputs"]) == (0, [])
    assert [note for note in run["notes"] if "train.csv: not frozen" in note]
    (held.folder / "data/holdout.csv").rename(held.folder / "data/rows.csv")
    version = held.json("register", "tumour", "--weights", "model.joblib", "--threshold", "0.5")
    assert version["complete"] is False
    assert "data_slice" in version["missing"]
    refused(held("promote", f"tumour@{version['version']}", "--json"), "gate_refused")


# A dirty repository


def test_uncommitted_changes_are_recorded_and_can_be_had_again(held: Person) -> None:
    features = held.folder / "features.py"
    features.write_text(features.read_text().replace('["worst_area"]', '["worst_radius"]'))
    (held.folder / "notes.txt").write_text("not committed either\n")
    held.ok("run", "--model", "tumour", "--", "python", "train.py", "--C", "0.7")
    version = held.json(*REGISTER, "--threshold", "0.5")
    code = held.json("show", f"tumour@{version['version']}")["evidence"]["code"]
    assert code["dirty"] is True
    assert "with uncommitted changes, kept as a patch" in held.ok("show", f"tumour@{version['version']}")
    held.ok("checkout", f"tumour@{version['version']}", "bundle")
    patch = (held.folder / "bundle" / code["patch"]).read_text()
    held.git("clone", "--quiet", ".", "fresh")
    fresh = Person(held.folder / "fresh")
    fresh.git("checkout", "--quiet", code["commit"])
    assert "worst_radius" not in (fresh.folder / "features.py").read_text()
    fresh.git("apply", "-", text=patch)
    assert (fresh.folder / "features.py").read_text() == features.read_text()


# A full disk


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """`folder` on a disk of its own that holds `size`; only root may have one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def bigger_weights(person: Person) -> None:
    """Weights of another megabyte, in the place of the model's."""
    (person.folder / "model.onnx").write_bytes(os.urandom(1 << 20))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_while_registering_leaves_everything_as_it_was(held: Person, tmp_path: Path) -> None:
    home = held.folder / ".holdfast"
    kept = home.rename(tmp_path / "kept")
    home.mkdir()
    bigger_weights(held)
    with small_disk(home, "24m"):
        subprocess.run(["cp", "-a", f"{kept}/.", str(home)], check=True)
        before, visible = tables(held.folder), sorted((home / "store/index").rglob("*"))
        free = os.statvfs(home).f_bavail * os.statvfs(home).f_frsize
        filler = home / "filler"
        filler.write_bytes(b"x" * (free - 300_000))
        error = refused(
            held("register", "tumour", "--weights", "model.onnx", "--threshold", "0.5", "--json"), "no_space"
        )
        assert "Free some space" in error["hint"] or "Make room" in error["hint"]
        assert tables(held.folder) == before
        assert sorted((home / "store/index").rglob("*")) == visible
        assert list((home / "tmp").glob("*")) == []
        filler.unlink()
        assert held.json("audit", "verify")["ok"] is True
        assert held.json("check")["ok"] is True
        assert held.json("register", "tumour", "--weights", "model.onnx", "--threshold", "0.5")["version"] == 5


def test_a_file_size_limit_while_registering_leaves_everything_as_it_was(held: Person) -> None:
    bigger_weights(held)
    before = tables(held.folder)
    limited = f"ulimit -f 600; exec '{PROGRAM}' register tumour --weights model.onnx --threshold 0.5 --json"
    done = subprocess.run(
        ["sh", "-c", limited],
        cwd=held.folder, env=dict(held.environment), capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    refused(Answer(done.returncode, done.stdout, done.stderr), "no_space")
    assert tables(held.folder) == before
    assert held.json("check")["ok"] is True
    assert held.json("register", "tumour", "--weights", "model.onnx", "--threshold", "0.5")["version"] == 5


# One flipped bit


def test_a_bundle_with_one_flipped_bit_is_refused_by_everything_that_would_use_it(held: Person) -> None:
    digest = next(f["digest"] for f in held.json("show", "tumour@1")["files"] if f["path"].startswith("weights/"))
    before = tables(held.folder)
    subprocess.run(["rm", "-r", str(held.folder / ".holdfast/cache")], check=True)
    flip_bit(blob(held.folder, digest))

    found = held("check", "--json")
    assert found.code == EXIT_CODES["integrity"]
    assert [(one["digest"], one["versions"]) for one in found.value["damaged"]] == [(digest, ["tumour@1"])]
    assert digest in refused(held("checkout", "tumour@1", "there", "--json"), "integrity")["message"]
    assert not (held.folder / "there").exists()
    assert loaded(held, "tumour@1")["code"] == "integrity"
    assert digest in never_answered(held)
    assert tables(held.folder) == before

    error = refused(held("promote", "tumour@1", "--to", "staging", "--json"), "gate_refused")
    assert [finding["rule"] for finding in error["findings"] if finding["outcome"] == "fail"] == ["integrity"]
    after = tables(held.folder)
    assert {name for name in after if after[name] != before[name]} == {"events", "event_nodes", "verdicts"}
    assert held.json("live", "tumour")["stages"]["staging"] is None


def test_a_damaged_last_known_good_is_not_gone_back_to(moved: Person) -> None:
    digest = next(f["digest"] for f in moved.json("show", "tumour@1")["files"] if f["path"].startswith("code/"))
    before = tables(moved.folder)
    flip_bit(blob(moved.folder, digest))
    refused(moved("rollback", "tumour", "--json"), "integrity")
    refused(moved("rollback", "tumour", "--emergency", "--reason", "now!", "--json"), "integrity")
    assert tables(moved.folder) == before


def never_answered(person: Person) -> str:
    """Start a replica, see that it refuses to answer, and return what it says about it."""
    log = person.folder / "serve.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [str(PROGRAM), "serve", "tumour", "--port", "0", "--json"],
            cwd=person.folder, env=dict(person.environment), stdout=subprocess.PIPE, stderr=stream, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        until(lambda: "not served" in log.read_text(), log.read_text)
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(f"{url}/invocations", b'{"dataframe_records": [{}]}', timeout=PATIENCE_SECONDS)
        assert refusal.value.code == 503
        assert json.loads(refusal.value.read())["error"]["code"] == "unavailable"
        refusal.value.close()
    finally:
        process.kill()
        process.communicate()
    return log.read_text()


# Two people at once


def test_two_people_promote_at_once_and_exactly_one_wins(held: Person) -> None:
    people = {"ana": ("tumour@3", Person(held.folder, "ana")), "ben": ("tumour@4", Person(held.folder, "ben"))}
    processes = {
        name: subprocess.Popen(
            [str(PROGRAM), "promote", version, "--expect", "1", "--reason", f"{name}'s is better", "--json"],
            cwd=held.folder, env=dict(person.environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name, (version, person) in people.items()
    }  # fmt: skip
    answers = {}
    for name, process in processes.items():
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        answers[name] = Answer(process.returncode, out, err)
    winners = [name for name, answer in answers.items() if answer.code == 0]
    assert len(winners) == 1, answers
    (winner,), (loser,) = winners, [name for name in answers if name not in winners]
    move = answers[winner].value
    error = refused(answers[loser], "stage_moved")
    event = held.json("log", "tumour")["events"]
    (promoted,) = [one for one in event if one["index"] == move["event"]]
    assert promoted["actor"] == f"{winner} <{winner}@example.org>"
    for told in (promoted["actor"], promoted["time"], "from 1 ", f"to {move['to']}"):
        assert told in error["message"]
    moves = [one for one in event if one["action"] == "stage:pointer:promote"]
    assert [(one["from"], one["to"]) for one in moves] == [(1, move["to"]), (None, 1)]
    assert held.json("live", "tumour")["stages"]["production"]["version"] == move["to"]
    assert held.json("audit", "verify")["ok"] is True


# A version with no threshold


def test_a_version_without_a_threshold_is_kept_shown_and_never_let_through(held: Person) -> None:
    version = held.json(*REGISTER, "--run", held.json("show", "tumour@4")["run"])
    # Without a threshold there is no answer to record, and so no outputs and no metrics on the holdout either.
    assert (version["complete"], version["missing"]) == (False, ["eval_threshold", "metrics", "holdout"])
    assert "--threshold 0.42" in held.ok("show", "tumour@5")
    before = tables(held.folder)
    error = refused(held("promote", "tumour@5", "--reason", "please", "--json"), "gate_refused")
    assert "no threshold was given" in error["message"]
    assert "--threshold 0.42" in error["hint"]
    after = tables(held.folder)
    assert {name for name in after if after[name] != before[name]} == {"events", "event_nodes", "verdicts"}
    assert [event["action"] for event in held.json("log", "--limit", "1")["events"]] == ["gate:verdict:refuse"]
    assert held.json("live", "tumour")["stages"]["production"]["version"] == 1
