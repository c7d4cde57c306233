"""Real workers: what a bundle answers, and what becomes of everything that its code may do."""

import json
import os
import pickle
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.svm import LinearSVC

from holdfast.errors import (
    BundleFailed,
    HoldfastError,
    Incomplete,
    IntegrityError,
    InvalidInput,
    TooLarge,
    Unavailable,
    UnsupportedFormat,
    UsageError,
)
from holdfast.evidence import Column, FeatureSchema
from holdfast.manifest import MANIFEST_NAME
from holdfast.parts import EvalThreshold, Missing
from holdfast.runtime import frames
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.limits import Limits
from holdfast.runtime.predictor import Predictor, spawn
from holdfast.runtime.rows import Table, table_of
from tests.patience import PATIENCE_SECONDS, until
from tests.runtime.conftest import CODE, HERE, ROWS, SCHEMA, Bundles, fitted

pytestmark = pytest.mark.slow

GOOD = Table.of_records(ROWS)


@contextmanager
def opened(files: BundleFiles, **limits: Any) -> Iterator[Predictor]:
    with Predictor.start(files, HERE, version=4, **limits) as predictor:
        yield predictor


def test_schema_preprocessing_model_threshold_in_that_order(bundles: Bundles) -> None:
    code = """
        def featurise(rows):
            assert all(set(row) == {"age", "plan"} and type(row["age"]) is float for row in rows), rows
            return [[row["age"] * 2, float(row["plan"] == "plus")] for row in rows]
    """
    files = bundles(code, fitted(), threshold=EvalThreshold("cut_off", 0.9, "leaves", "stays"))
    rows: list[dict[str, Any]] = [{"plan": "plus", "stranger": "x", "age": 35}, {"age": 10.0}]
    with opened(files) as predictor:
        answer = predictor.predict(Table.of_records(rows))
    model = fitted()
    expected = model.predict_proba([[70.0, 1.0], [20.0, 0.0]])
    assert answer.classes == ["leaves", "stays"]
    assert np.allclose(answer.scores, expected)
    assert answer.predictions == ["leaves" if row[0] >= 0.9 else "stays" for row in expected]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"plan": "plus"}], "lack age"),
        ([{"age": "41"}], "column 'age', row 0: a number was expected"),
        ([{"age": 41.0}, {"age": None}], "column 'age', row 1: a value was expected"),
        ([{"age": 130}], "above 120"),
        ([{"age": -1}], "below 0"),
        ([{"age": 41.0, "plan": 3}], "column 'plan', row 0: a string was expected"),
        ([{"age": True}], "a number was expected"),
        ([[1.0]], "2 values were expected, 1 were sent"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_the_next_ones_are_answered(
    rows: Any, says: str, bundles: Bundles
) -> None:
    with opened(bundles()) as predictor:
        table = Table.of_arrays(rows) if isinstance(rows[0], list) else Table.of_records(rows)
        with pytest.raises(InvalidInput, match=says):
            predictor.predict(table)
        assert len(predictor.predict(GOOD).predictions) == 3


def test_an_unknown_category_is_let_through_unless_it_is_enforced(bundles: Bundles) -> None:
    gold = Table.of_records([{"age": 41.0, "plan": "gold"}])
    with opened(bundles()) as predictor:
        assert len(predictor.predict(gold).predictions) == 1
    enforced = bundles(schema=SCHEMA.with_column("plan", enforce=True))
    with opened(enforced) as predictor, pytest.raises(InvalidInput, match="'gold' is none of"):
        predictor.predict(gold)


def test_no_rows_have_no_answers(bundles: Bundles) -> None:
    with opened(bundles("def featurise(rows):\n    raise ValueError\n")) as predictor:
        for empty in (Table.of_records([]), Table.of_arrays([]), Table.of_columns(["age", "plan"], [[], []])):
            answer = predictor.predict(empty)
            assert (answer.predictions, answer.scores) == ([], [])


def test_the_holdout_is_answered_from_the_bundle(bundles: Bundles) -> None:
    with opened(bundles()) as predictor:
        assert predictor.holdout() == predictor.predict(GOOD)
    bare = bundles()
    evidence = replace(bare.manifest.evidence, holdout=Missing("holdout", "none"))
    with opened(bundles(evidence=evidence)) as predictor, pytest.raises(UsageError, match="no holdout"):
        predictor.holdout()


def test_two_bundles_with_a_module_of_the_same_name(bundles: Bundles) -> None:
    second = CODE.replace("row['age']", "-row['age']")
    with opened(bundles()) as one, opened(bundles(second)) as other:
        for _ in range(3):
            assert one.predict(GOOD).predictions != other.predict(GOOD).predictions


@pytest.mark.parametrize("part", ["weights", "preprocessing_code", "eval_threshold", "schema"])
def test_a_bundle_without_what_scoring_needs_says_which(bundles: Bundles, part: str) -> None:
    base = bundles().manifest
    absent = Missing(part, "nobody gave it")
    named: dict[str, Any] = {part: absent}
    changes: dict[str, Any] = (
        {"evidence": replace(base.evidence, **named)} if part == "schema" else {"parts": replace(base.parts, **named)}
    )
    with pytest.raises(Incomplete, match=f"no {part}") as error, opened(bundles(**changes)):
        pass
    assert error.value.details["missing"] == [part]


@pytest.mark.parametrize("name", ["weights/model.joblib", "code/features.py", MANIFEST_NAME])
def test_a_flipped_bit_is_never_opened(bundles: Bundles, name: str) -> None:
    files = bundles()
    path = files.root / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError), opened(files):
        pass


def test_a_stray_module_in_the_folder_cannot_be_imported(
    bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = bundles("import stray\n" + CODE)
    for folder in (files.root, files.root / "code", tmp_path):
        (folder / "stray.py").write_text("print('stray code ran')\n")
    monkeypatch.chdir(files.root / "code")
    with pytest.raises(BundleFailed, match="No module named 'stray'"), opened(files):
        pass


def test_the_projects_own_sources_on_the_path_are_not_part_of_a_bundle(
    bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, site = tmp_path / "sources", tmp_path / "site"
    (site / "six-1.0.dist-info").mkdir(parents=True)
    sources.mkdir()
    (sources / "ours_plain.py").write_text("x = 1\n")
    (site / "theirs_installed.py").write_text("x = 2\n")
    source = HERE.variables["PYTHONPATH"]
    path = os.pathsep.join([str(sources), str(site), source, "", "/nowhere"])
    interpreter = replace(HERE, variables={"PYTHONPATH": path})
    with Predictor.start(bundles("import theirs_installed\n" + CODE), interpreter) as predictor:
        assert predictor.predict(GOOD).predictions
    with pytest.raises(BundleFailed, match="No module named 'ours_plain'"):
        Predictor.start(bundles("import ours_plain\n" + CODE), interpreter)


def test_a_module_of_the_bundle_may_be_imported_late(bundles: Bundles) -> None:
    code = {
        "features": "def featurise(rows):\n    from late import table\n    return table(rows)\n",
        "late": CODE.replace("featurise", "table"),
    }
    with opened(bundles(code)) as predictor:
        assert predictor.predict(GOOD).predictions


# What the bundle's own code may do


def test_a_bundle_that_prints_does_not_disturb_its_answers(bundles: Bundles, capfd: pytest.CaptureFixture[str]) -> None:
    code = """
        import os, sys
        print("imported", flush=True)
        os.write(1, b"bytes on one\\n")
        def featurise(rows):
            print("called", flush=True)
            sys.stdout.write("x" * 100_000)
            os.system("echo from a shell")
            return [[row["age"], 0.0] for row in rows]
    """
    with opened(bundles(code)) as predictor:
        assert len(predictor.predict(GOOD).predictions) == 3
        assert len(predictor.predict(GOOD).predictions) == 3
    said = capfd.readouterr()
    assert said.out == ""
    for text in ("imported", "bytes on one", "called", "from a shell"):
        assert text in said.err


def test_a_bundle_that_raises_says_where_and_answers_the_next_rows(
    bundles: Bundles, capfd: pytest.CaptureFixture[str]
) -> None:
    code = """
        def featurise(rows):
            if rows[0]["age"] > 100:
                raise ValueError("a" * 10_000)
            return [[row["age"], 0.0] for row in rows]
    """
    with opened(bundles(code)) as predictor:
        with pytest.raises(BundleFailed, match="the preprocessing code raised ValueError: aaa") as error:
            predictor.predict(Table.of_records([{"age": 101.0}]))
        assert error.value.details["place"] == "features.py:4 in featurise"
        assert len(error.value.message) < 600
        assert len(predictor.predict(GOOD).predictions) == 3
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert "ValueError: aaa" in said


def heard(capfd: pytest.CaptureFixture[str], last: str) -> str:
    """What the worker wrote, up to this: its log goes another way than its answer, and may come later."""
    said = capfd.readouterr().err

    def more() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return last in said

    until(more, lambda: f"{last!r} in {said}")
    return said


def test_the_log_of_rows_that_fail_holds_the_frames_of_the_bundle_and_none_of_ours(
    bundles: Bundles, capfd: pytest.CaptureFixture[str]
) -> None:
    code = """
        import json
        def deeper(depth):
            return deeper(depth - 1) if depth else json.loads("{")
        def featurise(rows):
            try:
                {}["plan"]
            except KeyError as error:
                raise RuntimeError("no plan") from error if rows[0]["age"] < 50 else deeper(40)
    """
    with opened(bundles(code)) as predictor:
        capfd.readouterr()
        with pytest.raises(BundleFailed):
            predictor.predict(Table.of_records([{"age": 41.0}]))
        said = heard(capfd, "RuntimeError: no plan\n")
        assert "KeyError: 'plan'" in said
        assert said.endswith("RuntimeError: no plan\n")
        assert said.count("features.py") == 2
        assert "pipeline.py" not in said
        assert len(said.splitlines()) < 15
        with pytest.raises(BundleFailed):
            predictor.predict(Table.of_records([{"age": 51.0}]))
        said = heard(capfd, "JSONDecodeError: ")
        assert "JSONDecodeError" in said
        assert "decoder.py" in said
        assert len(said.splitlines()) < 70


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise RuntimeError('at import')", "opening the preprocessing code raised RuntimeError: at import"),
        ("import not_there_at_all", "No module named 'not_there_at_all'"),
        ("x = 3", "has no attribute 'featurise'"),
        ("def featurise(:", "raised SyntaxError"),
        ("import os\nos._exit(7)", "ended with exit code 7"),
        ("import sys\nsys.exit(3)", "ended with exit code 3"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11"),
    ],
)
def test_a_bundle_that_cannot_be_opened_says_why(bundles: Bundles, code: str, says: str) -> None:
    with pytest.raises(BundleFailed, match=says), opened(bundles(code)):
        pass


@pytest.mark.parametrize(
    ("line", "says"),
    [("os._exit(9)", "ended with exit code 9"), ("os.kill(os.getpid(), 9)", "ended by signal 9"),
    ("raise SystemExit(4)", "exit code 4"),
     ("raise KeyboardInterrupt", "ended")],
)  # fmt: skip
def test_a_bundle_that_ends_its_process_while_answering(bundles: Bundles, line: str, says: str) -> None:
    code = f"import os\ndef featurise(rows):\n    {line}\n"
    with opened(bundles(code)) as predictor:
        with pytest.raises(BundleFailed, match=says):
            predictor.predict(GOOD)
        with pytest.raises(BundleFailed):
            predictor.predict(GOOD)


def test_a_bundle_that_hangs_is_ended_at_its_limit_and_never_answers_somebody_else(bundles: Bundles) -> None:
    code = """
        import time
        def featurise(rows):
            time.sleep(rows[0]["age"])
            return [[row["age"], 0.0] for row in rows]
    """
    with opened(bundles(code)) as predictor:
        assert predictor.predict(Table.of_records([{"age": 0.0}])).predictions
        predictor.limits = replace(predictor.limits, seconds_max=1.0)
        before = time.monotonic()
        with pytest.raises(Unavailable, match="did not answer within 1 s") as error:
            predictor.predict(Table.of_records([{"age": 100.0}]))
        assert time.monotonic() - before < 100
        assert error.value.details["seconds_max"] == 1.0
        assert predictor._process.poll() == -signal.SIGKILL
        # The late answer must not be taken for the answer to what is asked next.
        with pytest.raises(BundleFailed):
            predictor.predict(Table.of_records([{"age": 0.0}]))


def test_a_bundle_that_hangs_while_it_opens_is_ended(bundles: Bundles) -> None:
    with pytest.raises(Unavailable, match="did not answer within 2 s"):
        Predictor.start(bundles("import time\ntime.sleep(100)\n"), HERE, limits=Limits(seconds_max=2.0))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return [[1.0, 2.0]]", "answered 1 scores for 3 rows"),
        ("return [[1.0, 2.0]] * 4", "answered 4 scores for 3 rows"),
        ("return [[1.0]] * 3", "the model raised ValueError"),
        ("return None", "the model raised"),
        ("return [[float('nan'), 1.0]] * 3", "scores row 0 with NaN or infinity"),
    ],
)
def test_preprocessing_that_answers_something_else(bundles: Bundles, body: str, says: str) -> None:
    with opened(bundles(f"def featurise(rows):\n    {body}\n")) as predictor, pytest.raises(BundleFailed, match=says):
        predictor.predict(GOOD)


ODD = """
    class Odd:
        classes_ = None
        def __init__(self, answer): self.answer = answer
        def fit(self, x, y): return self
        def predict(self, x): return eval(self.answer, {"x": x, "n": len(x)})

    def featurise(rows):
        return [row["age"] for row in rows]
"""


class Odd:
    """Stands in for the class of the bundle of the same name while its pickle is written."""

    def __init__(self, answer: str) -> None:
        self.answer = answer


@pytest.mark.parametrize(
    ("answer", "threshold", "says"),
    [
        ("[float('nan')] * n", EvalThreshold("cut_off", 0.5, 1, 0), "scores row 0 with NaN or infinity"),
        ("[0.1, float('inf'), 0.2]", EvalThreshold("cut_off", 0.5, 1, 0), "scores row 1 with NaN or infinity"),
        ("[[0.1, float('nan')]] * n", EvalThreshold("argmax"), "NaN or infinity"),
        ("[float('nan')] * n", EvalThreshold("identity"), "NaN or infinity"),
        ("['yes'] * n", EvalThreshold("cut_off", 0.5, 1, 0), "a cut-off needs a number for each row"),
        ("[0.5] * n", EvalThreshold("argmax"), "argmax needs a score for each class"),
        ("3", EvalThreshold("identity"), "the model raised TypeError"),
        ("1/0", EvalThreshold("identity"), "the model raised ZeroDivisionError"),
        ("[object()] * n", EvalThreshold("identity"), "could not be answered"),
        ("[0.5] * n", EvalThreshold("top_k", 3.0), "not known here"),
    ],
)
def test_scores_that_no_threshold_can_decide(
    bundles: Bundles, answer: str, threshold: EvalThreshold, says: str
) -> None:
    model = pickled_as("features", Odd(answer))
    refused = pytest.raises((BundleFailed, UsageError, UnsupportedFormat), match=says)
    with opened(bundles(ODD, model, threshold=threshold)) as predictor, refused:
        predictor.predict(GOOD)


def pickled_as(module: str, value: Any) -> bytes:
    """The value's pickle as if its class were defined in another module."""
    return pickle.dumps(value, protocol=0).replace(f"c{__name__}\n".encode(), f"c{module}\n".encode())


def test_a_model_whose_class_lies_in_the_bundle(bundles: Bundles) -> None:
    files = bundles(ODD, pickled_as("features", Odd("[age / 100 for age in x]")), threshold=EvalThreshold("identity"))
    with opened(files) as predictor:
        assert predictor.predict(GOOD).predictions == [0.2, 0.7, 0.4]


def test_a_decision_value_speaks_for_both_classes(bundles: Bundles) -> None:
    model = LinearSVC().fit(np.array([[20.0, 0], [30, 0], [60, 1], [70, 1]]), ["a", "a", "b", "b"])
    for positive, negative in (("a", "b"), ("b", "a")):
        threshold = EvalThreshold("cut_off", 0.0, positive, negative)
        with opened(bundles(CODE, model, threshold=threshold)) as predictor:
            answer = predictor.predict(GOOD)
        assert answer.classes == ["a", "b"]
        assert answer.predictions == model.predict([[20.0, 0], [70, 1], [40, 0]]).tolist()
        assert all(row[0] == -row[1] for row in answer.scores)


def test_a_regression_that_answers_with_a_column(bundles: Bundles) -> None:
    model = LinearRegression().fit([[0.0, 0.0], [10.0, 1.0]], [[0.0], [10.0]])
    with opened(bundles(CODE, model, threshold=EvalThreshold("identity"))) as predictor:
        answer = predictor.predict(GOOD)
    assert np.allclose(answer.predictions, model.predict([[20.0, 0], [70, 1], [40, 0]]).ravel())


@pytest.mark.parametrize("model", [b"", b"not a pickle", b"\x80\x05.", b"cnot_there_at_all\nX\n."])
def test_weights_that_are_no_model(bundles: Bundles, model: bytes) -> None:
    with pytest.raises(BundleFailed, match="opening the weights raised"), opened(bundles(CODE, model)):
        pass


# The process itself


def test_a_worker_that_is_killed_is_an_error_and_not_a_hang(bundles: Bundles) -> None:
    with opened(bundles()) as predictor:
        predictor._process.kill()
        with pytest.raises(BundleFailed, match="ended by signal 9") as error:
            predictor.predict(GOOD)
        assert error.value.details["exit_code"] == -signal.SIGKILL
        assert "memory" in error.value.hint


def test_a_worker_says_how_much_memory_it_has_needed_and_never_the_parents(bundles: Bundles) -> None:
    code = """
        HELD = []
        def featurise(rows):
            HELD.append(bytearray(200 << 20))
            HELD.clear()
            return [[row["age"], 0.0] for row in rows]
    """
    # The parent is larger than the worker: what it needs must not be taken for what the worker needs.
    ours = b"x" * (300 << 20)
    with opened(bundles(code)) as predictor:
        before = predictor.hello.memory_bytes
        assert 0 < before < len(ours)
        assert predictor.hello.pid == predictor._process.pid
        predictor.predict(GOOD)
        assert before + (190 << 20) < predictor.memory_bytes() < before + len(ours)


def test_a_worker_ends_with_its_parents_end_of_the_socket(bundles: Bundles) -> None:
    predictor = Predictor.start(bundles(), HERE)
    process = predictor._process
    predictor.close()
    assert process.returncode == 0
    predictor.close()
    with pytest.raises(BundleFailed):
        predictor.predict(GOOD)


def test_an_interrupt_at_the_terminal_does_not_end_a_worker(bundles: Bundles) -> None:
    with opened(bundles()) as predictor:
        predictor._process.send_signal(signal.SIGINT)
        assert predictor.predict(GOOD).predictions


def test_an_interpreter_that_is_not_there(bundles: Bundles) -> None:
    with pytest.raises(BundleFailed, match="no process for the bundle could be started"):
        Predictor.start(bundles(), Interpreter(Path("/nowhere/python")))


def test_an_interpreter_without_holdfast(bundles: Bundles, tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho not a python >&2\nexit 5\n")
    script.chmod(0o755)
    with pytest.raises(BundleFailed, match="ended with exit code 5"):
        Predictor.start(bundles(), Interpreter(script))


def test_an_operation_that_nobody_knows_is_an_error_and_the_worker_goes_on(bundles: Bundles) -> None:
    with opened(bundles()) as predictor:
        for header in ({"op": "delete"}, {"op": "predict", "shape": "xml"}, {"op": "predict"}, {}):
            with pytest.raises(UsageError, match="does not know this operation"):
                predictor._ask(header, b"")
        with pytest.raises(InvalidInput):
            predictor._ask({"op": "predict", "shape": "table"}, b"{")
        assert predictor.predict(GOOD).predictions


def test_garbage_from_the_other_side_ends_the_conversation(bundles: Bundles) -> None:
    code = """
        import os, stat
        PLACES = [int(name) for name in os.listdir("/proc/self/fd")]
        SOCKETS = []
        for place in PLACES:
            try:
                SOCKETS += [place] if stat.S_ISSOCK(os.fstat(place).st_mode) else []
            except OSError:
                pass  # the listing's own
        def featurise(rows):
            for place in SOCKETS:
                os.write(place, b"\\x00\\x00\\x00\\x04\\x00\\x00\\x00\\x00junk")
            return [[row["age"], 0.0] for row in rows]
    """
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not list a process's files")
    with opened(bundles(code)) as predictor:
        with pytest.raises(BundleFailed, match="what no answer is"):
            predictor.predict(GOOD)
        with pytest.raises(BundleFailed):
            predictor.predict(GOOD)


def test_a_large_table_goes_there_and_comes_back(bundles: Bundles) -> None:
    count = 200_000
    table = Table.of_columns(["age", "plan"], [[float(n % 100) for n in range(count)], ["plus" * 10] * count])
    with opened(bundles()) as predictor:
        answer = predictor.predict(table)
    assert len(answer.predictions) == len(answer.scores) == count


def test_a_table_past_the_limit_is_refused_before_it_is_sent(bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "BODY_BYTES_MAX", 10_000)
    big = Table.of_columns(["age", "plan"], [[1.0] * 5000, ["x"] * 5000])
    with opened(bundles()) as predictor:
        with pytest.raises(TooLarge):
            predictor.predict(big)
        assert predictor.predict(GOOD).predictions


def test_identifiers_past_every_exact_float_cross_both_ways(bundles: Bundles) -> None:
    ids = [2**53 + 1, 2**63 - 1, -(2**63)]
    schema = FeatureSchema("rows", (Column("id", "int64"),))
    code = ODD.replace('row["age"]', 'row["id"]')
    model = pickled_as("features", Odd("[one for one in x]"))
    with opened(bundles(code, model, schema=schema, threshold=EvalThreshold("identity"))) as predictor:
        assert predictor.predict(Table.of_records([{"id": one} for one in ids])).predictions == ids
        assert predictor.predict(table_of({"id": np.array(ids)})).predictions == ids


def test_the_stamp_is_what_the_parent_said(bundles: Bundles) -> None:
    files = bundles()
    spawned = spawn(files, HERE, {"model": "churn", "version": 4, "digest": str(files.digest)})
    try:
        hello, _ = frames.receive(spawned.connection)
        assert hello["ok"]
        assert hello["digest"] == str(files.digest)
        assert hello["pid"] == spawned.process.pid
        body = json.dumps({"dataframe_records": ROWS}).encode()
        spawned.connection.sendall(frames.pack({"op": "predict", "shape": "invocations"}, body))
        answer = json.loads(frames.receive(spawned.connection)[1])
        assert (answer["model"], answer["version"], answer["digest"]) == ("churn", 4, str(files.digest))
    finally:
        spawned.connection.close()
        spawned.process.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("shape", ["invocations", "v2"])
def test_a_score_that_is_no_number_is_no_answer_in_any_shape(bundles: Bundles, shape: str) -> None:
    files = bundles(
        ODD, pickled_as("features", Odd("[float('nan')] * n")), threshold=EvalThreshold("cut_off", 0.5, 1, 0)
    )
    rows = {"dataframe_records": ROWS, "inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [41.0]}]}
    body = {key: rows[key] for key in (("inputs",) if shape == "v2" else ("dataframe_records",))}
    with opened(files) as predictor, pytest.raises(BundleFailed, match="NaN"):
        predictor._ask({"op": "predict", "shape": shape}, json.dumps(body).encode())


def test_errors_keep_their_kind_across_the_border(bundles: Bundles) -> None:
    with opened(bundles()) as predictor, pytest.raises(HoldfastError) as error:
        predictor.predict(Table.of_records([{"age": "x"}]))
    assert type(error.value) is InvalidInput
    assert error.value.details == {"column": "age", "row": 0}
    assert error.value.hint
