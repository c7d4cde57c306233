"""`holdfast.load`: a version that answers, by its name or from a folder, in a process of its own."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import holdfast
from holdfast.errors import BundleFailed, IntegrityError, InvalidInput, NotFound, UsageError
from holdfast.flow.promote import adopt_stage
from holdfast.runtime.materialise import checkout_bundle
from holdfast.wire import Project
from tests.projects import (
    HOLDOUT_ROWS,
    PRODUCTION,
    TARGET,
    blob,
    copied,
    features_of,
    five_versions,
    flip_bit,
    manifest,
    trained,
    version,
    workers_of,
)

pytestmark = pytest.mark.slow

ROWS = [{name: value for name, value in row.items() if name != TARGET} for row in HOLDOUT_ROWS[:40]]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return five_versions(tmp_path_factory)


@pytest.fixture
def churn(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with copied(template, tmp_path / "project") as project:
        monkeypatch.chdir(tmp_path / "project")
        yield project


def expected(flavour: int, threshold: float) -> list[int]:
    scores = trained(flavour).predict_proba(features_of(flavour)(ROWS))[:, 1]
    return [int(score >= threshold) for score in scores]


def test_a_version_is_loaded_by_every_kind_of_name(churn: Project) -> None:
    adopt_stage(version(churn, 2), PRODUCTION, churn.registry, actor="ana", reason="in service")
    digest = str(version(churn, 2).digest)
    for reference in ("churn@2", "churn@production", f"churn@{digest[:20]}", "models:/churn/2"):
        with holdfast.load(reference) as loaded:
            assert loaded.digest == digest
            assert loaded.predict(ROWS) == expected(2, 0.45)


def test_rows_may_come_in_every_shape(churn: Project) -> None:
    frame = pd.DataFrame(ROWS)
    with holdfast.load("churn@3") as loaded:
        answer = expected(3, 0.4)
        for rows in (
            ROWS,
            frame,
            frame[["plan", "calls", "age"]],
            frame.assign(more=1),
            pl.DataFrame(ROWS),
            frame.to_dict(orient="list"),
            frame.to_numpy(),
            frame.to_numpy().tolist(),
        ):
            assert loaded.predict(rows) == answer
        assert loaded.predict(np.array(frame, dtype=object)[:1]) == answer[:1]
        assert loaded.predict([]) == []


def test_scores_are_what_stands_before_the_threshold(churn: Project) -> None:
    with holdfast.load("churn@3") as loaded:
        scores = [row[1] for row in loaded.scores(ROWS)]
        assert loaded.predict(ROWS) == [int(score >= 0.4) for score in scores]


def test_rows_that_do_not_fit_are_refused_and_the_next_ones_answered(churn: Project) -> None:
    wrong: list[Any] = [[{"age": 41.0}], [{**ROWS[0], "age": "old"}], 7, "rows", [[1.0]]]
    with holdfast.load("churn@3") as loaded:
        for rows in wrong:
            with pytest.raises(InvalidInput):
                loaded.predict(rows)
        assert loaded.predict(ROWS[:2]) == expected(3, 0.4)[:2]


def test_a_bundle_that_was_checked_out_answers_without_its_project(
    churn: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    checkout_bundle(churn.store, version(churn, 1).digest, tmp_path / "elsewhere/churn-1")
    digest = str(version(churn, 1).digest)
    churn.close()
    monkeypatch.chdir(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "project")
    for place in (tmp_path / "elsewhere/churn-1", str(tmp_path / "elsewhere/churn-1"), "churn-1", Path("churn-1")):
        with holdfast.load(place) as loaded:
            assert loaded.digest == digest
            assert loaded.predict(ROWS) == expected(1, 0.5)


@pytest.mark.parametrize("place", ["./churn-1", "some/folder", "/nowhere", Path("churn-1")])
def test_a_folder_that_is_no_bundle_is_refused_in_words(churn: Project, place: Any) -> None:
    with pytest.raises(NotFound) as caught:
        holdfast.load(place)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("chrn@1", "no model chrn"),
        ("churn@9", "no version 9"),
        ("churn@production", "nothing holds production of churn yet"),
        ("churn@prodction", "no stage prodction"),
    ],
)
def test_a_name_that_nobody_knows_is_refused(churn: Project, reference: str, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        holdfast.load(reference)


def test_half_a_name_is_refused_with_the_way_to_write_it(churn: Project) -> None:
    with pytest.raises(UsageError, match="names no version") as caught:
        holdfast.load("churn")
    assert "churn@production" in caught.value.hint


def test_a_damaged_bundle_is_never_opened(churn: Project, tmp_path: Path) -> None:
    checkout_bundle(churn.store, version(churn, 1).digest, tmp_path / "churn-1")
    path = tmp_path / "churn-1/weights/model.joblib"
    flip_bit(path)
    with pytest.raises(IntegrityError, match=r"weights/model\.joblib"):
        holdfast.load(tmp_path / "churn-1")
    entry = next(entry for entry in manifest(churn, 2).files if str(entry.path).startswith("weights"))
    flip_bit(blob(churn, entry.digest))
    with pytest.raises(IntegrityError):
        holdfast.load("churn@2")


def test_a_version_without_a_threshold_cannot_answer_and_says_so(churn: Project) -> None:
    with pytest.raises(holdfast.HoldfastError, match="eval_threshold"):
        holdfast.load("churn@5")


def test_after_close_nothing_is_answered_and_closing_twice_is_no_harm(churn: Project) -> None:
    loaded = holdfast.load("churn@1")
    loaded.close()
    loaded.close()
    with pytest.raises(UsageError, match="was closed"):
        loaded.predict(ROWS)


def test_the_shortest_use_of_all_leaves_no_process_behind(churn: Project) -> None:
    assert holdfast.load("churn@1").predict(ROWS) == expected(1, 0.5)


def test_a_process_that_is_killed_is_an_error_with_a_code_and_not_a_hang(churn: Project) -> None:
    before = set(workers_of(os.getpid()))
    with holdfast.load("churn@1") as loaded:
        (worker,) = set(workers_of(os.getpid())) - before
        os.kill(worker, 9)
        with pytest.raises(BundleFailed, match="by signal 9"):
            loaded.predict(ROWS)
        with pytest.raises(BundleFailed):
            loaded.predict(ROWS)


def test_threads_are_answered_in_turn_and_each_gets_its_own(churn: Project) -> None:
    answers: dict[int, list[Any]] = {}
    with holdfast.load("churn@3") as loaded:

        def go(number: int) -> None:
            for _ in range(10):
                answers[number] = loaded.predict(ROWS[number : number + 3])

        threads = [threading.Thread(target=go, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    whole = expected(3, 0.4)
    assert answers == {number: whole[number : number + 3] for number in range(8)}


def test_two_versions_are_open_at_once_without_mixing(churn: Project) -> None:
    with holdfast.load("churn@1") as first, holdfast.load("churn@3") as third:
        assert first.predict(ROWS) == expected(1, 0.5)
        assert third.predict(ROWS) == expected(3, 0.4)
        assert first.predict(ROWS) == expected(1, 0.5)
    assert expected(1, 0.5) != expected(3, 0.4)
