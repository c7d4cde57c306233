"""`leakage` on frozen tables: honest splits pass, planted rows are found, and what was not looked at is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from holdfast.digest import hash_bytes
from holdfast.evidence import Holdout, RunReference
from holdfast.flow.bundle.origin import INPUT, data_input
from holdfast.flow.bundle.places import OUTPUTS, ROWS
from holdfast.flow.gate import tables
from holdfast.flow.gate.case import Case
from holdfast.flow.gate.finding import Finding, Outcome
from holdfast.flow.gate.leakage import leakage
from holdfast.flow.gate.stage_policy import StagePolicy
from holdfast.flow.gate.training import look
from holdfast.flow.snapshot import snapshot
from holdfast.parts import DataInput, DataSlice
from holdfast.parts.data_slice import HOLDOUT, TRAIN
from holdfast.runtime.rows import table_of
from holdfast.store.memory import MemoryStore
from tests.flow.gate.cases import case, manifest

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
TARGET = "churned"
LOADERS = ("iris", "wine", "breast_cancer", "diabetes", "digits")

WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "parquet": lambda frame, path: frame.to_parquet(path),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True, double_precision=15),
    "json": lambda frame, path: frame.to_json(path, orient="records", double_precision=15),
}


class Bench:
    """A store and a folder in which tables are frozen and looked at."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.folder = folder

    def frozen(self, frame: pd.DataFrame, kind: str = "csv", role: str = TRAIN, name: str = "train") -> DataInput:
        path = self.folder / f"{name}.{kind}"
        WRITERS[kind](frame, path)
        return self.frozen_path(path, role)

    def frozen_path(self, path: Path, role: str) -> DataInput:
        return data_input(snapshot(self.store, path, root=self.folder), role)

    def asked(self, holdout: pd.DataFrame, *inputs: DataInput, **policy: Any) -> Case:
        rows = table_of(holdout)
        known = manifest(data_slice=DataSlice(inputs))
        target = TARGET if TARGET in holdout else None
        found = look(self.store, known, rows=rows, target=target)
        return replace(case(), rows=rows, manifest=known, training=found, policy=StagePolicy(**policy))

    def judged(self, holdout: pd.DataFrame, *inputs: DataInput, **policy: Any) -> Finding:
        return leakage(self.asked(holdout, *inputs, **policy))


def looked_at(finding: Finding) -> Any:
    return finding.to_json()["values"]["looked_at"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def customers(count: int, seed: int = 1) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": np.round(chance.normal(45, 12, count), 2),
            "calls": chance.integers(0, 30, count),
            "plan": chance.choice(["basic", "plus", "pro"], count),
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(chance.integers(0, 900, count), unit="D"),
            TARGET: chance.integers(0, 2, count),
        }
    )


def split(name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame.rename(columns={"target": TARGET})
    mixed = frame.sample(frac=1.0, random_state=seed)
    cut = len(mixed) * 7 // 10
    return mixed[:cut], mixed[cut:]


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_honest_splits_of_the_data_that_ships_with_sklearn_pass(bench: Bench, name: str, seed: int) -> None:
    train, holdout = split(name, seed)
    finding = bench.judged(holdout, bench.frozen(train))
    assert finding.outcome is PASS, finding.sentence


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("planted", ["few", "all"])
def test_planted_rows_fail_and_the_sentence_says_how_many(bench: Bench, name: str, planted: str) -> None:
    train, holdout = split(name, 1)
    # Iris repeats a row by itself, and 150 rows of one digit behind the point show less than others do.
    count = {"few": 9 if name == "iris" else 5, "all": len(holdout)}[planted]
    already = looked_at(bench.judged(holdout, bench.frozen(train, name="honest")))[0]["found"][0]["found"]
    finding = bench.judged(holdout, bench.frozen(pd.concat([train, holdout[:count]])))
    assert finding.outcome is FAIL
    found = looked_at(finding)[0]["found"][0]["found"]
    assert count <= found <= count + already
    assert finding.sentence.startswith(
        f"{found} of {len(holdout)} holdout rows ({found / len(holdout):.1%}) are in train.csv"
    )
    assert "with the same answer" in finding.sentence
    assert "freeze the part that is trained on" in finding.hint


def test_whoever_logged_the_model_with_mlflow_is_told_what_to_log_there(bench: Bench) -> None:
    rows = customers(200)
    asked = bench.asked(rows, bench.frozen(rows))
    assert asked.manifest is not None
    run = RunReference("r1", {"mlflow": {}})
    logged = replace(asked.manifest, evidence=replace(asked.manifest.evidence, run=run))
    finding = leakage(replace(asked, manifest=logged))
    assert (finding.outcome, "mlflow.log_input(" in finding.hint) == (FAIL, True)


def test_a_holdout_that_is_the_training_data_fails_where_no_table_can_show_it(bench: Bench) -> None:
    folder = bench.folder / "arrays"
    folder.mkdir()
    for name in ("features", "targets"):
        np.save(folder / f"{name}.npy", np.arange(8.0))
    rows = customers(8)
    arrays = bench.frozen_path(folder, TRAIN)
    asked = bench.asked(rows, arrays)
    known = asked.manifest
    assert known is not None

    def judged(snapshot_of: DataInput) -> Finding:
        holdout = Holdout(ROWS, OUTPUTS, len(rows), TARGET, (), snapshot_of.digest)
        changed = replace(known, evidence=replace(known.evidence, holdout=holdout))
        return leakage(replace(asked, manifest=changed))

    finding = judged(arrays)
    assert finding.outcome is FAIL
    assert finding.sentence.startswith("the holdout was taken from arrays, which the model was trained on")
    assert judged(bench.frozen(customers(8, seed=2), name="others")).outcome is PASS


def test_a_hundredth_of_the_holdout_among_many_rows_fails(bench: Bench) -> None:
    holdout = customers(400, seed=2)
    finding = bench.judged(holdout, bench.frozen(pd.concat([customers(3000), holdout[:4]])))
    assert finding.outcome is FAIL
    assert finding.sentence.startswith("4 of 400 holdout rows (1.0%) are in train.csv too, 4 with the same answer")


def test_iris_repeats_a_row_and_that_is_no_leak(bench: Bench) -> None:
    frame = datasets.load_iris(as_frame=True).frame.rename(columns={"target": TARGET})
    twin = frame.index[frame.duplicated(keep=False)]
    assert len(twin) == 2
    holdout = frame.loc[[twin[0], *range(0, 90, 3)]]
    finding = bench.judged(holdout, bench.frozen(frame.drop(holdout.index)))
    assert finding.outcome is PASS
    assert "which chance explains (p " in finding.sentence


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_rows_are_the_same_whatever_the_file_of_the_training_data(bench: Bench, kind: str) -> None:
    holdout = customers(60, seed=2)
    train = pd.concat([customers(300), holdout[:7]]).sample(frac=1.0, random_state=1)[reversed(holdout.columns)]
    if kind in {"json", "jsonl"}:
        train["since"] = train["since"].astype(str)
    finding = bench.judged(holdout, bench.frozen(train, kind))
    assert finding.outcome is FAIL
    assert finding.sentence.startswith(f"7 of 60 holdout rows (11.7%) are in train.{kind} too, 7 with the same answer")


def test_rows_that_were_rounded_are_found_as_near(bench: Bench) -> None:
    holdout = pd.DataFrame(np.random.default_rng(3).normal(size=(80, 5)), columns=list("abcde"))
    train = pd.DataFrame(np.random.default_rng(4).normal(size=(500, 5)), columns=list("abcde"))
    finding = bench.judged(holdout, bench.frozen(pd.concat([train, holdout[:6].round(4)])))
    assert finding.outcome is FAIL
    assert finding.sentence.startswith(
        "6 of 80 holdout rows (7.5%) are in train.csv too, or rows whose numbers are all but"
    )


def test_a_table_of_few_different_rows_repeats_by_chance_until_strict_asks_for_proof(bench: Bench) -> None:
    def answers(count: int, seed: int) -> pd.DataFrame:
        chance = np.random.default_rng(seed)
        return pd.DataFrame({name: chance.choice(["yes", "no", "unsure"], count) for name in "abc"})

    train = bench.frozen(answers(400, 1))
    finding = bench.judged(answers(100, 2), train)
    assert finding.outcome is PASS
    assert finding.sentence.startswith("100 of 100 holdout rows (100.0%)")
    assert "100.0% of its own rows repeat one another" in finding.sentence
    assert bench.judged(answers(100, 2), train, policy="strict").outcome is INCONCLUSIVE


def test_a_share_that_policy_allows_is_no_failure(bench: Bench) -> None:
    holdout = customers(100, seed=2)
    train = bench.frozen(pd.concat([customers(900), holdout[:3]]))
    assert bench.judged(holdout, train).outcome is FAIL
    assert bench.judged(holdout, train, leakage_share_max=0.03).outcome is PASS


class TestOpenedByTheRun:
    """Nobody said what these files were for."""

    def test_a_few_rows_of_the_holdout_in_one_are_a_leak(self, bench: Bench) -> None:
        holdout = customers(100, seed=2)
        assert bench.judged(holdout, bench.frozen(pd.concat([customers(300), holdout[:5]]), role=INPUT)).outcome is FAIL

    def test_the_table_from_which_both_were_cut_leaves_open_what_was_trained_on(self, bench: Bench) -> None:
        holdout = customers(100, seed=2)
        finding = bench.judged(holdout, bench.frozen(pd.concat([customers(300), holdout]), role=INPUT))
        assert finding.outcome is INCONCLUSIVE
        assert "holds all 100 rows of the holdout among its 400, and nobody said" in finding.sentence
        assert "Cut the table in a script of its own" in finding.hint

    def test_the_part_that_was_named_does_not_show_that_nothing_else_of_it_was_trained_on(self, bench: Bench) -> None:
        rows, holdout = customers(300), customers(100, seed=2)
        opened = bench.frozen(pd.concat([rows, holdout]), role=INPUT, name="all")
        finding = bench.judged(holdout, opened, bench.frozen(rows, "parquet"))
        assert finding.outcome is INCONCLUSIVE
        assert finding.sentence.endswith("among its 400, and nothing shows that it was trained on train.parquet alone")

    def test_files_that_were_cut_apart_before_decide_it(self, bench: Bench) -> None:
        rows, holdout = customers(300), customers(100, seed=2)
        parts = bench.frozen(rows, role=INPUT), bench.frozen(holdout, role=INPUT, name="test")
        assert bench.judged(holdout, *parts, bench.frozen(rows, "parquet", name="fit")).outcome is PASS

    def test_the_holdout_itself_was_opened_to_measure(self, bench: Bench) -> None:
        holdout = customers(100, seed=2)
        opened = bench.frozen(holdout.sample(frac=1.0, random_state=1), role=INPUT, name="measured")
        finding = bench.judged(holdout, opened, bench.frozen(customers(300)))
        assert finding.outcome is PASS
        assert finding.sentence == "none of 100 holdout rows is among the 300 rows that were trained on"

    def test_data_of_another_role_is_not_what_was_trained_on(self, bench: Bench) -> None:
        holdout = customers(100, seed=2)
        given = bench.frozen(holdout, role=HOLDOUT, name="measured"), bench.frozen(holdout, role="calibration")
        assert looked_at(bench.judged(holdout, *given)) == []


class TestNotLookedAt:
    def test_a_table_with_other_columns_is_passed_over_and_named(self, bench: Bench) -> None:
        events = customers(50).rename(columns={"age": "born", "plan": "tariff"})
        finding = bench.judged(customers(60, seed=2), bench.frozen(events))
        assert finding.outcome is PASS
        assert "train.csv lacks age, plan, which the holdout has; nothing is known of leaks" in finding.sentence
        asked = bench.judged(customers(60, seed=2), bench.frozen(events), leakage_unread="inconclusive")
        assert asked.outcome is INCONCLUSIVE
        assert StagePolicy.parse("production", {"policy": "strict"}, "policy").leakage_unread == "inconclusive"

    def test_files_that_are_no_tables_are_counted(self, bench: Bench) -> None:
        (bench.folder / "images").mkdir()
        for place in range(3):
            (bench.folder / "images" / f"{place}.png").write_bytes(bytes([place]))
        finding = bench.judged(customers(60), bench.frozen_path(bench.folder / "images", TRAIN))
        assert finding.outcome is PASS
        assert "3 files of images are no tables" in finding.sentence

    def test_what_is_lost_is_inconclusive_under_every_policy(self, bench: Bench) -> None:
        lost = DataInput(TRAIN, "train.csv", hash_bytes(b"nobody has it"), 1, 4)
        finding = bench.judged(customers(60), lost)
        assert finding.outcome is INCONCLUSIVE
        assert "train.csv could not be looked at" in finding.sentence

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.parquet", b"no parquet"),
            ("a.jsonl", b"{"),
            ("a.csv", b'a,b\n"1'),
            ("a.json", b"7"),
            ("a.csv", b"\xff\xfe\x00,"),
        ],
        ids=["parquet", "lines", "quote", "number", "encoding"],
    )
    def test_what_is_not_what_its_name_says_is_inconclusive(self, bench: Bench, name: str, content: bytes) -> None:
        (bench.folder / name).write_bytes(content)
        finding = bench.judged(customers(60), bench.frozen_path(bench.folder / name, TRAIN))
        assert finding.outcome is INCONCLUSIVE
        assert name in finding.sentence

    def test_a_table_wider_than_what_is_looked_at_is_refused(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tables, "COLUMNS_MAX", 4)
        finding = bench.judged(customers(60), bench.frozen(customers(50)))
        assert finding.outcome is INCONCLUSIVE
        assert "train.csv has 5 columns" in finding.sentence

    def test_a_gate_that_could_not_collect_decides_nothing(self) -> None:
        assert leakage(case()).outcome is INCONCLUSIVE


def test_a_folder_of_tables_is_one_table_and_what_lacks_a_column_is_named(bench: Bench) -> None:
    holdout = customers(60, seed=2)
    (bench.folder / "parts").mkdir()
    for place, frame in enumerate((customers(100), pd.concat([customers(100, seed=3), holdout[:4]]))):
        frame.to_parquet(bench.folder / "parts" / f"{place}.parquet")
    (bench.folder / "parts" / "labels.csv").write_text("id\n1\n")
    finding = bench.judged(holdout, bench.frozen_path(bench.folder / "parts", TRAIN))
    assert finding.outcome is FAIL
    (looked,) = looked_at(finding)
    assert looked["rows"] == 204
    assert looked["passed_over"] == ["labels.csv lacks age, calls, plan, since, which the holdout has"]


def test_images_are_compared_by_their_digests_with_those_that_the_holdout_came_from(bench: Bench) -> None:
    for folder, places in {"train": range(40), "seen": range(35, 55), "fresh": range(60, 80)}.items():
        (bench.folder / folder).mkdir()
        for place in places:
            (bench.folder / folder / f"{folder}-{place}.png").write_bytes(bytes([place]))
    train, seen, fresh = (
        bench.frozen_path(bench.folder / name, role)
        for name, role in (("train", TRAIN), ("seen", HOLDOUT), ("fresh", HOLDOUT))
    )
    rows = pd.DataFrame({"image": [f"{place}.png" for place in range(20)]})
    finding = bench.judged(rows, train, seen)
    assert finding.outcome is FAIL
    assert finding.sentence.startswith("5 of 20 of the holdout's files (25.0%) are in train too")
    assert bench.judged(rows, train, fresh).outcome is PASS


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["float32", ">f8", "int16"])
def test_rows_of_arrays_are_looked_for_as_those_of_tables_are(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, order: Any, kind: str
) -> None:
    monkeypatch.setattr(tables, "_CELLS_AT_ONCE", 60)  # several pieces, the last of them shorter
    drawn = np.random.default_rng(3).normal(0, 1000, (250, 4)).astype(kind)
    trained, apart = drawn[:200], drawn[200:]

    def judged(held_back: Any) -> Finding:
        given = arrays(bench, "train", np.asarray(trained, order=order), np.arange(200) % 2)
        whole = arrays(bench, "test", held_back, np.arange(len(held_back)) % 2, HOLDOUT)
        frame = pd.DataFrame(held_back.astype("float64"), columns=[f"x{place}" for place in range(4)])
        return bench.judged(frame.assign(churned=np.arange(len(held_back)) % 2), given, whole)

    honest = judged(apart)
    assert (honest.outcome, looked_at(honest)[0]["rows"]) == (PASS, 200)
    assert honest.sentence == "none of 50 holdout rows is among the 200 rows that were trained on"
    leaked = judged(np.concatenate([apart[:30], trained[150:170]]))
    assert (leaked.outcome, leaked.sentence.startswith("20 of 50 holdout rows")) == (FAIL, True)


def test_arrays_that_are_no_rows_prove_nothing_and_the_finding_says_so(bench: Bench) -> None:
    pictures = np.random.default_rng(3).normal(size=(9, 4, 4))
    given = arrays(bench, "train", pictures, np.arange(9))
    whole = arrays(bench, "test", pictures + 1, np.arange(9), HOLDOUT)
    finding = bench.judged(customers(9), given, whole, leakage_unread="inconclusive")
    assert finding.outcome is INCONCLUSIVE
    assert "features.npy has no rows that can be compared" in finding.sentence


def arrays(bench: Bench, name: str, features: Any, targets: Any, role: str = TRAIN) -> DataInput:
    """Frozen as the plugin of MLflow's clients freezes them."""
    folder = bench.folder / name
    folder.mkdir(exist_ok=True)
    for file, held in (("features", features), ("targets", targets)):
        np.save(folder / f"{file}.npy", held)
    return bench.frozen_path(folder, role)
