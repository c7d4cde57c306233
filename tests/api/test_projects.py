"""Where a training script's project is: around it, or made at the Git root, or here; and never made by a reader."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import holdfast
from holdfast.api.projects import find_or_make_project
from holdfast.config import HOME_NAME
from holdfast.errors import HoldfastError, NoProject, UsageError
from tests.blank import blank_project


def home() -> Path:
    with find_or_make_project() as project:
        return project.settings.home


def test_outside_git_it_is_made_here(folder: Path) -> None:
    assert home() == folder / HOME_NAME


def test_inside_git_it_is_made_at_the_root(
    folder: Path, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init")
    (folder / "src/deep").mkdir(parents=True)
    monkeypatch.chdir(folder / "src/deep")
    assert home() == folder / HOME_NAME
    assert git("status", "--porcelain", "--", HOME_NAME) == ""


def test_one_that_is_above_is_used(folder: Path, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    git("init")
    (folder / "src/deep").mkdir(parents=True)
    blank_project(folder / "src")
    monkeypatch.chdir(folder / "src/deep")
    assert home() == folder / "src" / HOME_NAME


def test_without_git_installed_it_is_made_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert home() == folder / HOME_NAME


def test_of_several_trainings_that_begin_at_once_each_gets_the_same_one(folder: Path) -> None:
    found: list[object] = []
    start = threading.Barrier(4)

    def go() -> None:
        start.wait()
        try:
            found.append(home())
        except HoldfastError as error:
            found.append(error)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [folder / HOME_NAME] * 4


def test_a_home_that_was_named_and_is_not_there_is_not_made_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(folder / "nowhere"))
    with pytest.raises(NoProject, match="nowhere"):
        home()
    assert not (folder / HOME_NAME).exists()


def test_what_is_no_server_is_refused_in_words_and_nothing_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_URL", "holdfast.example")
    with pytest.raises(UsageError, match="HOLDFAST_URL"), holdfast.run("churn"):
        pass
    assert not (folder / HOME_NAME).exists()


def test_asking_makes_no_project(folder: Path) -> None:
    with pytest.raises(NoProject, match=r"no \.holdfast/"):
        holdfast.search_runs()
    with pytest.raises(NoProject):
        holdfast.load("churn@production")
    assert not (folder / HOME_NAME).exists()


def test_freezing_makes_one_and_says_what_it_froze(folder: Path) -> None:
    frozen = holdfast.snapshot("data/train.csv")
    assert (frozen.files, frozen.source) == (1, "data/train.csv")
    assert holdfast.snapshot(folder / "data/train.csv").digest == frozen.digest
