"""The plugin, beside real clients: what it adds where the server is ours, and that it stands aside where it is not."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from holdfast.access import Role
from tests.mlflow.rooms import Room, ours
from tests.mlflow.venvs import ROOT, Client

pytestmark = pytest.mark.slow

ONE = pytest.mark.parametrize("real", ["new"], indirect=True)
"""One client is enough for what does not depend on MLflow's release."""

SCRIPTS = Path(__file__).with_name("plugged")


@pytest.fixture(scope="session")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What has a client's environment hold Holdfast too: built and installed as users have it, its libraries ours."""
    folder = tmp_path_factory.mktemp("plugged")
    uv = str(Path(sys.executable).with_name("uv"))
    built = ["--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", str(folder)]
    done = subprocess.run([uv, "pip", "install", "-q", *built, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # At the end of the path, so that what the client brings is the client's.
    text = f"import sys\nsys.path.append({sysconfig.get_path('purelib')!r})\n"
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def shown(room: Room, version: str) -> dict[str, Any]:
    value = room.holdfast("show", version)
    assert isinstance(value, dict)
    return value


def test_an_unchanged_script_of_autolog_registers_a_complete_version(
    real: Client, room: Room, empty: Path, plugged: dict[str, str]
) -> None:
    real.run(SCRIPTS / "autolog.py", room.url, empty, **plugged)
    version = shown(room, "churn@1")
    assert (version["complete"], version["missing"]) == (True, [])
    (data,) = version["parts"]["data_slice"]["inputs"]
    assert (data["role"], data["files"]) == ("train", 2)
    assert version["evidence"]["holdout"]["count"] == 400
    assert version["evidence"]["metrics"]["values"]["accuracy"] > 0.9
    # It was measured on rows that it was trained on, and says so.
    assert version["evidence"]["run"]["mlflow"]["holdout_of"] == "train"
    # The folder is its user's home as well, where caches are.
    assert [path.name for path in empty.iterdir() if path.name not in {".cache", ".config"}] == []


@ONE
def test_files_and_changes_and_the_rows_of_a_test_become_part_of_the_version(
    real: Client, room: Room, empty: Path, plugged: dict[str, str]
) -> None:
    lines = [f"{number},{number % 7},{3 * number + number % 7}" for number in range(100)]
    (empty / "rows.csv").write_text("\n".join(["width,depth,price", *lines, ""]), encoding="utf-8")
    shutil.copy(SCRIPTS / "files_and_test_rows.py", empty / "train.py")
    known = (["config", "user.name", "ana"], ["config", "user.email", "ana@example.org"])
    for words in (["init", "-q"], *known, ["add", "."], ["commit", "-qm", "begin"]):
        subprocess.run(["git", *words], cwd=empty, check=True, env={"PATH": os.environ["PATH"], "HOME": str(empty)})
    with (empty / "train.py").open("a", encoding="utf-8") as script:
        script.write("# not committed\n")
    real.run(empty / "train.py", room.url, empty, **plugged)

    version = shown(room, "prices@1")
    assert (version["complete"], version["missing"]) == (True, [])
    inputs = {item["role"]: item for item in version["parts"]["data_slice"]["inputs"]}
    assert inputs["input"]["source"] == "rows.csv"
    assert inputs["train"]["name"].startswith("train-")
    assert inputs["holdout"]["digest"] == version["evidence"]["holdout"]["snapshot"]
    assert version["evidence"]["holdout"]["count"] == 20
    assert version["evidence"]["code"]["dirty"] is True
    assert version["evidence"]["code"]["patch"] is not None
    assert version["evidence"]["run"]["mlflow"]["holdout_of"] == "eval"
    assert version["parts"]["hyperparameters"]["seeds"]["random.seed"] == 11
    assert version["created_by"] == "ana <ana@example.org>"


@ONE
def test_a_model_of_ones_own_code_is_asked_about_rows_where_its_author_says_so(
    real: Client, room: Room, empty: Path, plugged: dict[str, str]
) -> None:
    real.run(SCRIPTS / "own_code.py", room.url, empty, **plugged)
    asked, unasked = shown(room, "asked@1"), shown(room, "unasked@1")
    assert (asked["complete"], asked["missing"]) == (True, [])
    assert asked["evidence"]["metrics"]["values"]["mean_absolute_error"] == 0.5
    assert (asked["evidence"]["run"]["mlflow"]["holdout_of"], asked["evidence"]["holdout"]["count"]) == ("eval", 20)
    assert unasked["missing"] == ["metrics", "holdout"]


@ONE
def test_a_model_in_a_folder_of_its_run_is_known_and_one_of_another_run_is_a_file_like_others(
    real: Client, room: Room, empty: Path, plugged: dict[str, str]
) -> None:
    real.run(SCRIPTS / "folder_of_a_run.py", room.url, empty, **plugged)
    mine, found = shown(room, "mine@1"), shown(room, "found@1")
    assert (mine["complete"], mine["missing"]) == (True, [])
    assert mine["evidence"]["holdout"]["count"] == 80
    assert found["missing"] == ["metrics", "holdout"]


def test_a_server_that_asks_who_somebody_is_gets_complete_versions_and_keeps_no_token(
    newest: Client, tmp_path: Path, empty: Path, plugged: dict[str, str]
) -> None:
    people = {"root": Role.ADMIN, "ana": Role.CONTRIBUTOR, "eve": Role.VIEWER}
    with ours(tmp_path / "project", people=people) as room:
        tokens = {name.upper(): secret for name, secret in room.tokens.items()}
        asked = {"WRONG": "not-a-token", "EVE": tokens["EVE"]}
        no, wrong, viewer = newest.run(
            SCRIPTS / "refused.py", room.url, empty, "NO", *asked, NO="", **asked, **plugged
        ).splitlines()
        assert no == (
            "NO UNAUTHENTICATED: this server asks who you are, and the request carries no token. "
            "Set MLFLOW_TRACKING_TOKEN to a token of this server; holdfast token create makes one."
        )
        assert wrong.startswith("WRONG UNAUTHENTICATED: this token is not good: it was never issued, or has expired")
        assert viewer == (
            "EVE PERMISSION_DENIED: eve is no contributor of any model. "
            "Ask an admin: holdfast user grant eve contributor --model NAME"
        )
        # In the address, as older scripts have it; the client sends it as a name and a password.
        url = room.url.replace("http://", f"http://somebody:{tokens['ANA']}@")
        newest.run(SCRIPTS / "autolog.py", url, empty, **plugged)
        version = shown(room, "churn@1")
        assert (version["complete"], version["missing"], version["created_by"]) == (True, [], "ana")
    places = (tmp_path, newest.folder / "home")
    files = [path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
    kept = [path for path in files if any(secret.encode() in path.read_bytes() for secret in tokens.values())]
    assert kept == []


def test_it_stands_aside_where_the_server_is_mlflows(
    newest: Client, mlflow_server: str, empty: Path, plugged: dict[str, str]
) -> None:
    said = json.loads(newest.run(SCRIPTS / "standing.py", mlflow_server, empty, **plugged).splitlines()[-1])
    assert said["at_import"] == [
        "holdfast",
        "holdfast.config",
        "holdfast.errors",
        "holdfast.mlflow_plugin",
        "holdfast.mlflow_plugin.entry",
        "holdfast.mlflow_plugin.quiet",
        "holdfast.mlflow_plugin.watch",
    ], "what every import of MLflow pays for"
    assert (said["store"], said["repository"]) == ("RestStore", "MlflowArtifactsRepository")
    assert (said["hears_datasets"], said["files"]) == (False, ["a.json"])


@ONE
def test_it_stands_aside_where_runs_go_to_a_file_and_where_it_is_turned_off(
    real: Client, room: Room, empty: Path, plugged: dict[str, str]
) -> None:
    said = json.loads(real.run(SCRIPTS / "standing.py", f"sqlite:///{empty}/m.db", empty, **plugged).splitlines()[-1])
    assert (said["store"], said["hears_datasets"]) == ("SqlAlchemyStore", False)
    off = {**plugged, "HOLDFAST_MLFLOW": "off"}
    said = json.loads(real.run(SCRIPTS / "standing.py", room.url, empty, **off).splitlines()[-1])
    assert (said["store"], said["hears_datasets"], said["files"]) == ("RestStore", False, ["a.json"])


def test_its_pieces_hold_on_each_client(real: Client, empty: Path, plugged: dict[str, str]) -> None:
    said = real.run(SCRIPTS / "pieces.py", "http://127.0.0.1:9", empty, **plugged)
    assert said.splitlines()[-1] == "held"
