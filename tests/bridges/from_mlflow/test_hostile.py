"""What an MLflow that means no good has: it brings its own files along, and none of this machine's."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from holdfast.bridges import mlflow_line
from holdfast.bridges.from_mlflow import source_of
from holdfast.bridges.from_mlflow.bringing import bring
from holdfast.bridges.from_mlflow.database import DatabaseSource
from holdfast.bridges.from_mlflow.folder import FolderSource
from holdfast.bridges.from_mlflow.places import normal
from holdfast.bridges.from_mlflow.server import ServerSource
from holdfast.bridges.mlflow_line import MlflowLine
from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    NotFound,
    PermissionRefused,
    Unauthenticated,
    Unavailable,
    UsageError,
)
from holdfast.wire import open_project
from holdfast.wire.mlflow import open_shelf
from holdfast.wire.moving import open_target
from tests.blank import blank_project


def brought(root: Path, place: Path | str) -> list[str]:
    return [file.path for file in FolderSource(root).files(str(place))]


def test_a_folder_brings_its_own_files_wherever_it_was_carried(root: Path) -> None:
    assert brought(root, root / "1/run1/artifacts") == ["file"]
    assert brought(root, "file:///elsewhere/mlruns/1/run1/artifacts") == ["file"]


def test_a_folder_brings_no_files_from_elsewhere(root: Path, secret: Path) -> None:
    (root / "1/run1/linked").symlink_to(secret)
    for place in (secret, secret.as_uri(), root / "1/run1/linked", root / ".." / "private", "/x/../../private"):
        with pytest.raises(NotFound):
            brought(root, place)
    assert [file.path for file in FolderSource(root, secret).files(str(secret))] == ["key"]


def test_a_file_that_became_a_link_since_it_was_listed_is_not_read(root: Path, secret: Path) -> None:
    place = root / "1/run1/artifacts"
    (file,) = FolderSource(root).files(str(place))
    (place / "file").unlink()
    (place / "file").symlink_to(secret / "key")
    with pytest.raises(UsageError):
        list(file.pieces())
    (place / "file").unlink()
    place.rmdir()
    place.symlink_to(secret)
    (secret / "file").write_text("secret")
    with pytest.raises(UsageError):
        list(file.pieces())
    place.unlink()
    place.mkdir()
    os.mkfifo(place / "file")
    with pytest.raises(UsageError, match="no file any more"):
        list(file.pieces())


@pytest.mark.usefixtures("secret")
def test_a_database_brings_no_folder_that_is_not_beside_it_and_says_which_flag_does(
    database: Path, tmp_path: Path
) -> None:
    with open_project(blank_project(tmp_path / "project")) as project:
        with DatabaseSource(database) as source:
            moved = bring(source, open_target(project))
        assert (moved.runs, moved.files, moved.versions) == (1, 0, ())
        assert [one.what for one in moved.left] == ["files of run run1", "version 1 of churn"]
        assert all("--files-root" in one.why for one in moved.left)

        with DatabaseSource(database, more=(tmp_path / "private",)) as source:
            again = bring(source, open_target(project))
        assert (again.there, again.files, again.left) == (1, 1, ())
        assert [one.number for one in again.versions] == [1]


def test_a_database_brings_the_folders_that_mlflow_keeps_beside_it(database: Path, secret: Path) -> None:
    home = database.parent
    (home / "mlruns/1/run1/artifacts").mkdir(parents=True)
    (home / "mlruns/1/run1/artifacts/file").write_text("theirs")
    (home / "mlartifacts").symlink_to(secret.parent)
    with DatabaseSource(database) as source:
        for place in (
            "./mlruns/1/run1/artifacts",
            home / "mlruns/1/run1/artifacts",
            "/carried/mlruns/1/run1/artifacts",
        ):
            assert [file.path for file in source.files(str(place))] == ["file"]
        for place in (secret, home / "mlartifacts/private", home / "mlruns/../../private", "../private", home):
            with pytest.raises(NotFound, match="does not belong"):
                list(source.files(str(place)))
    with DatabaseSource(database, secret) as source, pytest.raises(NotFound):
        list(source.files("mlflow-artifacts:/../theirs"))


def test_what_a_server_kept_is_looked_for_beside_its_database(database: Path, secret: Path) -> None:
    served = database.parent / "mlartifacts"
    with DatabaseSource(database) as source, pytest.raises(NotFound, match="kept by a server"):
        list(source.files("mlflow-artifacts:/1/run1/artifacts"))
    (served / "1/run1/artifacts").mkdir(parents=True)
    (served / "1/run1/artifacts/file").write_text("theirs")
    with DatabaseSource(database) as source:
        assert [file.path for file in source.files("mlflow-artifacts:/1/run1/artifacts")] == ["file"]
        for place in ("mlflow-artifacts:/..", f"mlflow-artifacts:/../{secret.name}"):
            with pytest.raises(NotFound):
                list(source.files(place))
    shutil.rmtree(served)
    served.symlink_to(secret.parent)
    with DatabaseSource(database) as source, pytest.raises(NotFound, match="kept by a server"):
        list(source.files(f"mlflow-artifacts:/{secret.name}"))


def test_a_tag_is_what_stands_in_the_folder_and_not_what_it_links_to(root: Path, secret: Path) -> None:
    (root / "1/run1/tags/team").write_text("risk")
    (root / "1/run1/tags/stolen").symlink_to(secret / "key")
    (run,) = FolderSource(root).runs("1")
    assert run.tags == {"team": "risk"}


def test_a_folder_of_tags_or_a_run_that_is_a_link_out_is_refused(root: Path, secret: Path) -> None:
    run = root / "1/run1"
    (run / "params").symlink_to(secret)
    with pytest.raises(IntegrityError, match="params is a link"):
        list(FolderSource(root).runs("1"))
    (run / "params").unlink()
    (secret / "meta.yaml").write_text("status: 3\n")
    (secret / "params").mkdir()
    (secret / "params" / "key").write_text("secret")
    (root / "1/run2").symlink_to(secret)
    with pytest.raises(IntegrityError, match="run2 is a link out of"):
        list(FolderSource(root).runs("1"))
    assert [one.params for one in FolderSource(root, more=(secret,)).runs("1")] == [{}, {"key": "secret"}]


@pytest.mark.parametrize(
    ("linked", "behind"),
    [
        ("1/datasets/x", "private"),
        ("1/run1/inputs/x", "private"),
        ("1/run1/outputs/x", "private"),
        ("1/datasets", "private/x"),
        ("1/run1/inputs", "private/x"),
        ("1/run1/outputs", "private/x"),
    ],
)
def test_what_a_run_read_and_made_is_not_looked_up_in_other_folders(
    root: Path, secret: Path, linked: str, behind: str
) -> None:
    described = root.parent / behind
    described.mkdir(exist_ok=True)
    (described / "meta.yaml").write_text("name: hush\ndestination_type: MODEL_OUTPUT\ndestination_id: m\n")
    (root / linked).parent.mkdir(exist_ok=True)
    (root / linked).symlink_to(secret)
    with pytest.raises(IntegrityError, match="is a link out of"):
        list(FolderSource(root).runs("1"))


@pytest.mark.parametrize("described", ["1", "1/run1", "1/models/m-1", "models/churn", "models/churn/version-1"])
def test_a_description_that_is_a_link_is_refused(root: Path, secret: Path, described: str) -> None:
    (secret / "meta.yaml").write_text("name: hush\n")
    (root / described).mkdir(parents=True, exist_ok=True)
    (root / described / "meta.yaml").unlink(missing_ok=True)
    (root / described / "meta.yaml").symlink_to(secret / "meta.yaml")
    source = FolderSource(root)
    with pytest.raises(IntegrityError, match=r"meta\.yaml is a link, which MLflow does not make"):
        _ = [*source.runs("1"), *source.logged_models("1"), *source.models(), *source.versions("churn")]


def test_a_description_that_became_a_link_as_it_was_read_is_not_followed(
    root: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secret / "meta.yaml").write_text("name: hush\n")
    (root / "1/meta.yaml").unlink()
    (root / "1/meta.yaml").symlink_to(secret / "meta.yaml")
    monkeypatch.setattr(Path, "is_symlink", lambda _: False)
    with pytest.raises(UsageError, match="cannot be used as a file"):
        list(FolderSource(root).experiments())


def test_a_description_that_grows_without_an_end_is_refused(root: Path) -> None:
    levels = ["a: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    (root / "1/meta.yaml").write_text("\n".join([*levels, "name: *a39\n"]))
    with pytest.raises(IntegrityError, match="aliases"):
        list(FolderSource(root).experiments())
    (root / "1/meta.yaml").write_text("name: 2 * 3 *\n")
    assert [one.name for one in FolderSource(root).experiments()] == ["2 * 3 *"]


def test_folders_of_versions_that_are_none_are_passed_over(root: Path) -> None:
    for name in ("version-x", "version--1", "version-99999999999", "version-2"):
        folder = root / "models" / "churn" / name
        folder.mkdir(parents=True)
        (folder / "meta.yaml").write_text("source: x\n")
    assert [one.number for one in FolderSource(root).versions("churn")] == [2]


@pytest.mark.parametrize("host", ["models.example", "127.0.0.1"])
def test_a_server_names_no_folder_of_this_machine_unless_a_person_does_too(host: str, secret: Path) -> None:
    for place in (str(secret), secret.as_uri()):
        with ServerSource(MlflowLine(f"http://{host}:5000")) as source, pytest.raises(NotFound, match="does not serve"):
            list(source.files(place))
        with ServerSource(MlflowLine(f"http://{host}:5000"), (secret.parent,)) as source:
            assert [file.path for file in source.files(place)] == ["key"]


def answering(monkeypatch: pytest.MonkeyPatch, answer: httpx.Response) -> MlflowLine:
    """A line to a server that answers so, whatever it is asked."""
    line = MlflowLine("http://models.example")
    client = httpx.Client(transport=httpx.MockTransport(lambda _: answer), base_url="http://models.example")
    monkeypatch.setattr(line, "_client", client)
    return line


def test_a_server_that_answers_one_page_again_and_again_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    page = httpx.Response(200, json={"experiments": [], "next_page_token": "again"})
    with (
        ServerSource(answering(monkeypatch, page)) as source,
        pytest.raises(IntegrityError, match="without an end"),
    ):
        list(source.experiments())


def test_an_answer_that_would_fill_the_memory_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_line, "_ANSWER_BYTES_MAX", 1 << 20)
    sent: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(1_000):
            sent.append(number)
            yield b" " * 100_000

    for status in (200, 500):
        line = answering(monkeypatch, httpx.Response(status, content=pieces()))
        with line, pytest.raises(IntegrityError, match="more than 1 MiB"):
            line.get("experiments/search")
    assert len(sent) < 100


@pytest.mark.parametrize(
    ("status", "kind"), [(400, UsageError), (401, Unauthenticated), (403, PermissionRefused), (404, NotFound)]
)
def test_a_refusal_is_told_in_the_words_of_the_server(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[HoldfastError]
) -> None:
    refused = httpx.Response(status, json={"error_code": "X", "message": "no such thing"})
    with answering(monkeypatch, refused) as line, pytest.raises(kind, match="runs/get: no such thing"):
        line.get("runs/get", run_id="1")


def test_what_is_no_answer_of_mlflow_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (b"<html>", b"[1]", b"[" * 100_000):
        line = answering(monkeypatch, httpx.Response(200, content=body))
        with line, pytest.raises(IntegrityError, match="answered no"):
            line.post("runs/search")
    line = answering(monkeypatch, httpx.Response(502, content=b"<html>"))
    with line, pytest.raises(Unavailable, match="status 502"):
        line.get("runs/get")


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
def test_a_server_that_sends_elsewhere_is_not_taken_for_one_that_has_nothing(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    line = answering(monkeypatch, httpx.Response(status, headers={"location": "https://models.example.org/"}))
    for ask in (
        lambda: line.get("runs/get"),
        lambda: line.post("runs/create"),
        lambda: list(line.pieces("1/a")),
        lambda: line.put("1/a", iter([b"a"])),
    ):
        with pytest.raises((UsageError, Unavailable)):
            ask()


def test_an_id_that_would_lead_into_another_folder_stays_behind(root: Path, tmp_path: Path) -> None:
    (root / "1/run1").rename(root / "1/run 1")
    with open_project(blank_project(tmp_path / "project")) as project, FolderSource(root) as source:
        moved = bring(source, open_target(project))
    assert (moved.runs, moved.files, [one.what for one in moved.left]) == (0, 0, ["run run 1"])


@pytest.mark.parametrize(
    "place",
    [
        "/" + "a" * 5_000,
        pytest.param("a/" * 4_000, marks=pytest.mark.thorough),
        "file://[x",
        "mlflow-artifacts://[x",
        "a\0b",
    ],
)
def test_what_can_be_no_place_of_files_has_none_and_all_else_comes(root: Path, place: str) -> None:
    with pytest.raises(NotFound):
        brought(root, place)
    assert normal(place)
    with ServerSource(MlflowLine("http://127.0.0.1:1"), (root,)) as source:
        source.may_come(place)
        with pytest.raises((NotFound, UsageError)):
            list(source.files(place))


def test_a_password_in_the_address_of_a_server_is_not_told() -> None:
    with MlflowLine("http://ana:hush@127.0.0.1:1/below") as line, pytest.raises(Unavailable) as caught:
        line.get("experiments/search")
    assert caught.value.message.startswith("http://127.0.0.1:1/below did not answer")
    assert "hush" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "token"), [("http://models.example:5000", "hush"), ("http://ana:hush@models.example", None)]
)
def test_a_token_or_a_password_goes_to_another_machine_by_https_alone(url: str, token: str | None) -> None:
    with pytest.raises(UsageError, match=r"would travel to models\.example unencrypted") as caught:
        source_of(url, token=token)
    assert "hush" not in f"{caught.value.message} {caught.value.hint}"
    MlflowLine(url.replace("http:", "https:"), token).close()
    MlflowLine(url.replace("models.example", "[::1]"), token).close()


@pytest.mark.parametrize("url", ["http://[::1", "http://x\0y"])
def test_what_can_be_no_address_is_told_so(url: str) -> None:
    with pytest.raises(UsageError, match="no URL of a server"):
        MlflowLine(url)


@pytest.mark.parametrize(
    ("place", "folder"),
    [
        ("mlflow-artifacts:/shared/5", "shared/5/run1/artifacts"),
        ("mlflow-artifacts:/", "run1/artifacts"),
        ("mlflow-artifacts://here", "run1/artifacts"),
    ],
)
def test_files_of_runs_come_to_where_the_experiment_of_that_name_has_its_own(
    root: Path, tmp_path: Path, place: str, folder: str
) -> None:
    with open_project(blank_project(tmp_path / "project")) as project, FolderSource(root) as source:
        shelf = open_shelf(project, project.store)
        shelf.experiments.create("first", "ana", place)
        bring(source, open_target(project))
        assert shelf.places.of_run("run1").folder("it") == folder
        assert [file.path for file in shelf.files.below(folder)] == [f"{folder}/file"]


@pytest.mark.parametrize("place", ["s3://bucket/5", "file:///srv/5"])
def test_files_of_runs_that_are_said_to_be_elsewhere_come_below_the_number_of_their_experiment(
    root: Path, tmp_path: Path, place: str
) -> None:
    with open_project(blank_project(tmp_path / "project")) as project, FolderSource(root) as source:
        shelf = open_shelf(project, project.store)
        number = shelf.experiments.create("first", "ana", place)
        bring(source, open_target(project))
        folder = f"{number}/run1/artifacts"
        assert [file.path for file in shelf.files.below(folder)] == [f"{folder}/file"]
