"""What an MLflow that means no good has: it brings its own files along, and none of this machine's."""

from pathlib import Path

import httpx
import pytest

from holdfast.bridges.from_mlflow.bringing import bring
from holdfast.bridges.from_mlflow.folder import FolderSource
from holdfast.bridges.from_mlflow.server import ServerSource
from holdfast.errors import IntegrityError, NotFound
from holdfast.wire import create_project, open_project
from holdfast.wire.moving import open_target


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder of this machine that is nobody's business."""
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "key").write_text("secret")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder `mlruns` with one run."""
    run = tmp_path / "mlruns" / "1" / "run1"
    (run / "artifacts").mkdir(parents=True)
    (run / "tags").mkdir()
    (run / "artifacts" / "file").write_text("theirs")
    (run / "meta.yaml").write_text("status: 3\n")
    (run.parent / "meta.yaml").write_text("name: first\nexperiment_id: '1'\n")
    return tmp_path / "mlruns"


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


def test_a_tag_is_what_stands_in_the_folder_and_not_what_it_links_to(root: Path, secret: Path) -> None:
    (root / "1/run1/tags/team").write_text("risk")
    (root / "1/run1/tags/stolen").symlink_to(secret / "key")
    (run,) = FolderSource(root).runs("1")
    assert run.tags == {"team": "risk"}


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


def test_a_server_elsewhere_names_no_folder_of_this_machine(secret: Path) -> None:
    for place in (str(secret), secret.as_uri()):
        with ServerSource("http://models.example:5000") as source, pytest.raises(NotFound, match="own machine"):
            list(source.files(place))
        with ServerSource("http://127.0.0.1:5000") as source:
            assert [file.path for file in source.files(place)] == ["key"]


def test_a_server_that_answers_one_page_again_and_again_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"experiments": [], "next_page_token": "again"})

    with ServerSource("http://models.example") as source:
        line = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://models.example")
        monkeypatch.setattr(source, "_line", line)
        with pytest.raises(IntegrityError, match="without an end"):
            list(source.experiments())


def test_an_id_that_would_lead_into_another_folder_stays_behind(root: Path, tmp_path: Path) -> None:
    (root / "1/run1").rename(root / "1/run 1")
    with open_project(create_project(tmp_path / "project")) as project, FolderSource(root) as source:
        moved = bring(source, open_target(project))
    assert (moved.runs, moved.files, [one.what for one in moved.left]) == (0, 0, ["run run 1"])
