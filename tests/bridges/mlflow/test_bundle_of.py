"""What is made of a logged model: stated where it is true, and missing, with its reason, where nobody said it."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.bridges.mlflow import LoggedDataset, LoggedFiles, Prepared, Said, bundle_of
from holdfast.bridges.mlflow.bundle import param_value
from holdfast.digest import hash_bytes
from holdfast.evidence import CodeState, Environment, FeatureSchema, Holdout, Metrics, RunReference
from holdfast.flow.bundle.adding import how_to_supply, lines_of, lines_to_add
from holdfast.flow.capture import Capture, Distribution
from holdfast.flow.capture import CodeState as CapturedCode
from holdfast.manifest import Manifest
from holdfast.names import ModelName, RelativePath
from holdfast.parts import DataSlice, EvalThreshold, Hyperparameters, Missing, PreprocessingCode, Weights
from holdfast.runtime.environment import AS_OF
from holdfast.runtime.rows import Table, read_table, write_table
from holdfast.runtime.smoke import read_outputs
from holdfast.tracking.values import RunInput
from tests.bridges.mlflow.logged import MODELS, files_of, kept, recorded, skops

CHURN = ModelName("churn")
COMMIT = {"mlflow.source.git.commit": "9f2c" * 10}
TRAIN = RunInput("train", "train.parquet", hash_bytes(b"the tree"), "train.parquet", 1, 100)


def bundle(name: str, said: Said | None = None, more: Mapping[str, bytes] | None = None) -> Prepared:
    return bundle_of(said or Said(), kept({**files_of(name), **(more or {})}), CHURN)


def lacks(manifest: Manifest) -> set[str]:
    return {missing.name for missing in manifest.missing()}


def why(manifest: Manifest, name: str) -> str:
    (found,) = (missing.why for missing in manifest.missing() if missing.name == name)
    return found


@pytest.mark.parametrize(
    ("name", "loader", "rule", "runs_code", "container"),
    [
        ("classifier", "mlflow-labels", "argmax", False, "pandas"),
        ("regressor", "mlflow", "identity", False, "numpy"),
        ("probabilities", "mlflow", None, True, "pandas"),
        ("own_code", "mlflow", "cut_off", True, "pandas"),
        ("without_signature", "mlflow-labels", "argmax", True, None),
        ("catboost", "mlflow-labels", "argmax", False, "pandas"),
        ("from_code", "mlflow", None, True, "pandas"),
        ("agent", "mlflow", None, True, None),
        ("forecast", "mlflow", None, True, "pandas"),
    ],
)
def test_each_kind_of_model_is_stated_as_what_it_is(
    name: str, loader: str, rule: str | None, runs_code: bool, container: str | None
) -> None:
    manifest = bundle(name).manifest
    weights, threshold, schema = manifest.parts.weights, manifest.parts.eval_threshold, manifest.evidence.schema
    assert isinstance(weights, Weights)
    assert (weights.loader, weights.executes_code) == (loader, runs_code)
    assert (threshold.rule if isinstance(threshold, EvalThreshold) else None) == rule
    assert (schema.container if isinstance(schema, FeatureSchema) else None) == container
    assert Manifest.parse(manifest.encode()) == manifest


def test_a_model_that_says_everything_and_whose_data_is_frozen_lacks_nothing() -> None:
    prepared = bundle("classifier", Said(run_id="r1", params={"C": "1.0"}, inputs=(TRAIN,), tags=COMMIT), recorded())
    evidence = prepared.manifest.evidence
    assert lacks(prepared.manifest) == set()
    assert isinstance(evidence.holdout, Holdout)
    assert (evidence.holdout.count, evidence.holdout.target) == (4, "churned")
    assert isinstance(evidence.metrics, Metrics)
    assert evidence.metrics.values["accuracy"] == 0.75
    # A vote for the class that it answers, whatever the probabilities are: this is what the bundle will say again.
    answer = read_outputs(prepared.small[evidence.holdout.outputs])
    assert (answer.predictions, answer.scores[1]) == ([0, 0, 1, 1], [1.0, 0.0])
    assert {str(entry.path): entry.digest for entry in prepared.manifest.files if entry.path in prepared.small} == {
        str(path): hash_bytes(data) for path, data in prepared.small.items()
    }


CUT = {"holdfast.threshold": "0.4"}


@pytest.mark.parametrize(
    "said", [Said(tags=CUT), Said(params=CUT), Said(model_tags=CUT)], ids=["tag", "param", "model"]
)
def test_a_cut_that_a_script_said_is_one_of_probabilities(said: Said) -> None:
    prepared = bundle("classifier", said, recorded())
    threshold, weights = prepared.manifest.parts.eval_threshold, prepared.manifest.parts.weights
    assert isinstance(threshold, EvalThreshold)
    assert (threshold.rule, threshold.value, threshold.positive, threshold.negative) == ("cut_off", 0.4, 1, 0)
    assert isinstance(weights, Weights)
    assert weights.loader == "mlflow-scores"
    holdout = prepared.manifest.evidence.holdout
    assert isinstance(holdout, Holdout)
    # The second row has 0.45: below a half, and above this cut.
    assert read_outputs(prepared.small[holdout.outputs]).predictions == [0, 1, 1, 1]


def test_the_labels_of_a_cut_are_those_that_are_named_and_never_guessed_for_texts() -> None:
    tags = {"holdfast.threshold": "0.4", "holdfast.positive": "0"}
    named = bundle("classifier", Said(tags=tags), recorded()).manifest.parts.eval_threshold
    assert isinstance(named, EvalThreshold)
    assert (named.positive, named.negative) == (0, 1)
    texts = {**files_of("classifier"), **recorded()}
    texts["MLmodel"] = texts["MLmodel"].replace(b'"dtype": "int64", "shape": [-1]', b'"dtype": "object", "shape": [-1]')
    del texts["holdfast/holdout_outputs.json"]
    found = bundle_of(Said(tags={"holdfast.threshold": "0.4"}), kept(texts), CHURN).manifest
    assert "holdfast.positive" in why(found, "eval_threshold")


def test_a_threshold_that_is_none_is_missing_and_not_passed_over() -> None:
    found = bundle("classifier", Said(tags={"holdfast.threshold": "high"})).manifest
    assert "'high'" in why(found, "eval_threshold")


def test_a_param_called_threshold_is_the_estimators_own_where_that_answers_with_numbers() -> None:
    found = bundle("regressor", Said(params={"threshold": "0.1"})).manifest.parts.eval_threshold
    assert isinstance(found, EvalThreshold)
    assert found.rule == "identity"


def test_a_booster_answers_as_its_objective_says_and_where_that_is_a_probability_nobody_knows() -> None:
    booster = files_of("regressor")
    booster["MLmodel"] = booster["MLmodel"].replace(b"sklearn", b"xgboost")
    found = {
        objective: bundle_of(Said(params={"objective": objective}), kept(booster), CHURN).manifest.parts.eval_threshold
        for objective in ("reg:squarederror", "binary:logistic")
    }
    assert isinstance(found["reg:squarederror"], EvalThreshold)
    assert isinstance(found["binary:logistic"], Missing)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('{"uri": "data/train.csv"}', "from data/train.csv;"),
        ('{"url": "https://ana:secret@example.org/train.csv"}', "from https://example.org/train.csv;"),
        ('{"uri": "s3://rows/a@b.csv"}', "from s3://rows/a@b.csv;"),
        ('{"tags": {"mlflow.source.name": "train.py"}}', "from train.py;"),
        ("[]", "from a place that was not said;"),
        ("not JSON", "from not JSON;"),
    ],
)
def test_a_pointer_says_where_it_points_and_no_password(source: str, told: str) -> None:
    dataset = LoggedDataset("rows", "d25cfbf8", "local", source)
    manifest = bundle("classifier", Said(run_id="r1", datasets=(dataset,))).manifest
    assert told in why(manifest, "data_slice")
    assert b"secret" not in manifest.encode()


@pytest.mark.parametrize(("trusted", "runs"), [("lightgbm.basic.Booster", False), ("os.system", True)])
def test_what_skops_is_told_to_trust_decides_whether_it_can_run_code(trusted: str, runs: bool) -> None:
    files = files_of("classifier")
    said = files["MLmodel"].replace(b"skops_trusted_types: null", f"skops_trusted_types: [{trusted}]".encode())
    files["MLmodel"] = said.replace(b"sklearn_version", b"lgb_version").replace(b"sklearn", b"lightgbm")
    weights = bundle_of(Said(), kept(files), CHURN).manifest.parts.weights
    assert isinstance(weights, Weights)
    assert weights.executes_code is runs


@pytest.mark.parametrize("folder", [".", "./", "env/..", "elsewhere"])
def test_a_model_that_names_a_folder_of_code_can_run_code_whatever_is_in_the_folder(folder: str) -> None:
    files = files_of("classifier")
    assert b"    loader_module:" in files["MLmodel"]
    files["MLmodel"] = files["MLmodel"].replace(
        b"    loader_module:", f"    code: {folder}\n    loader_module:".encode()
    )
    files["numpy.py"] = b"import this"
    weights = bundle_of(Said(), kept(files), CHURN).manifest.parts.weights
    assert isinstance(weights, Weights)
    assert weights.executes_code


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ((b"    serialization_format: skops\n", b""), b"    serialization_format: skops\n"),
        ((b"", b""), b"    data: below/model.skops\n"),
        ((b"", b""), b"    data: below\n"),
        ((b"serialization_format: skops", b"serialization_format: [skops]"), b""),
    ],
)
def test_a_model_that_mlflow_would_unpickle_can_run_code_whatever_else_it_says(
    change: tuple[bytes, bytes], more: bytes
) -> None:
    files = files_of("classifier")
    said = files["MLmodel"].replace(*change) if change[0] else files["MLmodel"]
    files["MLmodel"] = said.replace(b"    loader_module:", more + b"    loader_module:")
    files["below/model.skops"] = b"a pickle"
    assert files["MLmodel"] != files_of("classifier")["MLmodel"]
    weights = bundle_of(Said(), kept(files), CHURN).manifest.parts.weights
    assert isinstance(weights, Weights)
    assert weights.executes_code


@pytest.mark.parametrize(
    ("model_class", "written", "runs"),
    [
        ("lightgbm.basic.Booster", "none", False),
        ("lightgbm.sklearn.LGBMClassifier", "skops", False),
        ("lightgbm.sklearn.LGBMClassifier", "none", True),
    ],
)
def test_a_class_of_lightgbm_runs_code_unless_skops_wrote_it(model_class: str, written: str, runs: bool) -> None:
    files = files_of("classifier")
    said = files["MLmodel"].replace(b"sklearn_version", b"lgb_version").replace(b"sklearn", b"lightgbm")
    how = f"serialization_format: {written}\n    model_class: {model_class}".encode()
    files["MLmodel"] = said.replace(b"serialization_format: skops", how)
    weights = bundle_of(Said(), kept(files), CHURN).manifest.parts.weights
    assert isinstance(weights, Weights)
    assert weights.executes_code is runs


def test_a_search_is_what_it_searched_for_and_not_what_that_is_made_of() -> None:
    boosted = skops("sklearn.model_selection._search.GridSearchCV", "sklearn.ensemble._gb.GradientBoostingClassifier",
                    "sklearn.tree._classes.DecisionTreeRegressor")  # fmt: skip
    weights = bundle("classifier", more={"model.skops": boosted}).manifest.parts.weights
    assert isinstance(weights, Weights)
    assert (weights.loader, weights.model_class.rpartition(".")[2]) == ("mlflow-labels", "GridSearchCV")


def test_a_dataset_without_bytes_is_a_pointer_and_no_data_slice() -> None:
    dataset = LoggedDataset("train.csv", "d25cfbf8", "local", '{"uri": "data/train.csv"}', "training")
    manifest = bundle("classifier", Said(run_id="r1", datasets=(dataset,))).manifest
    told = why(manifest, "data_slice")
    assert all(word in told for word in ("pointer", "train.csv", "d25cfbf8", "no bytes were frozen"))
    frozen = bundle("classifier", Said(run_id="r1", datasets=(dataset,), inputs=(TRAIN,))).manifest.parts.data_slice
    assert isinstance(frozen, DataSlice)


def test_a_dataset_that_was_frozen_to_ask_the_model_about_is_no_pointer_to_training_data() -> None:
    asked = LoggedDataset("test", "070050ed", "code", "{}", "eval")
    frozen = replace(TRAIN, role="holdout", name="test-070050ed.parquet")
    manifest = bundle("classifier", Said(run_id="r1", datasets=(asked,), inputs=(frozen,))).manifest
    assert why(manifest, "data_slice") == "no training data was frozen"
    train = LoggedDataset("train", "d25cfbf8", "code", "{}", "training")
    manifest = bundle("classifier", Said(run_id="r1", datasets=(asked, train), inputs=(frozen,))).manifest
    assert "d25cfbf8" in why(manifest, "data_slice")
    assert "070050ed" not in why(manifest, "data_slice")
    for digest in ("", "t", "0ed"):  # which a client may say
        manifest = bundle(
            "classifier", Said(run_id="r1", datasets=(replace(train, digest=digest),), inputs=(frozen,))
        ).manifest
        assert "pointer: train digest" in why(manifest, "data_slice")


def test_code_that_was_logged_belongs_to_the_preprocessing_and_stands_where_bundles_import_from() -> None:
    manifest = bundle("own_code", Said(tags=COMMIT)).manifest
    code, weights = manifest.parts.preprocessing_code, manifest.parts.weights
    assert isinstance(code, PreprocessingCode)
    assert isinstance(weights, Weights)
    assert (code.kind, code.files, code.commit) == (
        "identity", (RelativePath("code/mylib/__init__.py"),), COMMIT["mlflow.source.git.commit"]
    )  # fmt: skip
    assert not set(code.files) & set(weights.files)


def test_a_commit_without_a_look_at_the_files_says_so() -> None:
    blind = bundle("classifier", Said(tags=COMMIT)).manifest.evidence.code
    seen = bundle("classifier", Said(tags={**COMMIT, "holdfast.git.dirty": "false"})).manifest.evidence.code
    patched = bundle("classifier", Said(tags=COMMIT), {"holdfast/patch.diff": b"--- a\n+++ b\n"}).manifest.evidence.code
    assert isinstance(blind, CodeState)
    assert isinstance(seen, CodeState)
    assert isinstance(patched, CodeState)
    assert (blind.values.get("compared"), seen.values.get("compared")) == (False, None)
    assert (patched.dirty, str(patched.patch)) == (True, "evidence/uncommitted.patch")


def test_an_environment_is_what_was_pinned_and_says_what_was_not() -> None:
    wanted = b"--extra-index-url https://user:secret@pypi.example/simple\nscikit-learn==1.7.0\npandas>=2\n"
    prepared = bundle("classifier", more={"requirements.txt": wanted})
    environment = prepared.manifest.evidence.environment
    assert isinstance(environment, Environment)
    assert prepared.small[environment.lock] == b"scikit-learn==1.7.0\n"
    assert (environment.values["unpinned"], environment.values[AS_OF]) == (["pandas"], "2026-03-01T09:00:00Z")
    assert b"secret" not in prepared.manifest.encode() + b"".join(prepared.small.values())
    locked = bundle("classifier", more={"holdfast/requirements.lock": b"scipy==1.17.1\n"})
    captured = locked.manifest.evidence.environment
    assert isinstance(captured, Environment)
    assert AS_OF not in captured.values
    assert {b"scipy==1.17.1", b"mlflow==3.17.2"} <= set(locked.small[captured.lock].splitlines())


def test_without_requirements_those_for_conda_are_read() -> None:
    files = {path: data for path, data in files_of("classifier").items() if path != "requirements.txt"}
    prepared = bundle_of(Said(), kept(files), CHURN)
    environment = prepared.manifest.evidence.environment
    assert isinstance(environment, Environment)
    assert b"skops==0.16.0" in prepared.small[environment.lock]


def test_what_grows_after_registration_is_no_part_of_the_version() -> None:
    tags = {"team": "growth", "holdfast.capture": "sha256:1", "mlflow.log-model.history": "[]"}
    run = bundle("classifier", Said(run_id="r1", run_name="try", metrics={"auc": 0.9}, tags=tags)).manifest.evidence.run
    assert isinstance(run, RunReference)
    assert (run.id, run.values["metrics"], run.values["tags"]) == ("r1", {"auc": 0.9}, {"team": "growth"})


def test_rows_that_the_bundle_would_refuse_are_no_holdout() -> None:
    damaged = recorded() | {
        "holdfast/holdout_rows.json": recorded()["holdfast/holdout_rows.json"].replace(b'"age"', b'"old"')
    }
    found = bundle("classifier", more=damaged).manifest
    assert "age" in why(found, "holdout")


def rows_of(*columns: str) -> bytes:
    """The recorded rows of `classifier`, with only the columns that are named."""
    rows = read_table(recorded()["holdfast/holdout_rows.json"])
    return write_table(Table.of_columns(columns, [rows.column(name) for name in columns]))


@pytest.mark.parametrize(
    ("told", "whose"),
    [(b'{"of": "eval"}', "of eval data"), (b'{"of": "input_example"}', "of its input example"), (b"{}", "that were")],
)
def test_rows_without_true_answers_are_no_holdout_and_the_line_to_add_is_said(told: bytes, whose: str) -> None:
    blind = {"holdfast/holdout_rows.json": rows_of("age", "plan", "vip"), "holdfast/holdout.json": told}
    said = Said(run_id="r1", params={"C": "1.0"}, inputs=(TRAIN,), tags=COMMIT)
    prepared = bundle("classifier", said, recorded() | blind)
    assert lacks(prepared.manifest) == {"holdout", "metrics"}
    assert f"the 4 rows {whose}" in why(prepared.manifest, "holdout")
    assert not [path for path in prepared.small if str(path).startswith("holdout/")]
    for missing in prepared.manifest.missing():
        assert 'from_pandas(test, targets="churned"), context="eval")' in how_to_supply(missing, prepared.manifest)


def test_a_column_of_answers_counts_once_somebody_says_which_it_is() -> None:
    rows = read_table(recorded()["holdfast/holdout_rows.json"])
    both = Table.of_columns([*(rows.names or ()), "paid"], [*rows.columns, [1, 1, 0, 0]])
    files = recorded() | {"holdfast/holdout_rows.json": write_table(both)}
    assert "churned, paid" in why(bundle("classifier", more=files).manifest, "holdout")
    said = bundle("classifier", Said(tags={"holdfast.target": "churned"}), files).manifest.evidence.holdout
    assert isinstance(said, Holdout)
    assert said.target == "churned"


@pytest.mark.slow
def test_whoever_registers_a_measured_model_loads_no_library_of_numbers() -> None:
    program = (
        "import json, sys\n"
        "from holdfast.bridges.mlflow import Said, bundle_of\n"
        "from holdfast.names import ModelName\n"
        "from tests.bridges.mlflow.logged import files_of, kept, recorded\n"
        "made = bundle_of(Said(), kept(files_of('classifier') | recorded()), ModelName('churn'))\n"
        "assert made.manifest.evidence.metrics.values['accuracy'] == 0.75\n"
        "print(json.dumps(sorted({'joblib', 'numpy', 'pandas', 'scipy', 'sklearn'} & set(sys.modules))))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


def test_a_folder_that_is_no_model_is_kept_and_said_to_be_none() -> None:
    manifest = bundle_of(Said(), kept({"notes.txt": b"hello"}), CHURN).manifest
    assert isinstance(manifest.parts.weights, Weights)
    assert manifest.parts.weights.loader == "none"
    assert "MLmodel" in why(manifest, "preprocessing_code")
    assert isinstance(bundle_of(Said(), kept({}), CHURN).manifest.parts.weights, Missing)


@pytest.mark.parametrize(
    "document",
    [
        b"a: &a [1, 1]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (i, i, i - 1, i - 1) for i in range(98, 122)),
        b"{" * 3000,
        b"a: " * 100,
        b"flavors: [1, 2]\n",
        b"flavors: {sklearn: !!python/object/apply:os.system [id]}\n",
        b"date: 2026-99-99\n",
        b"\xff\xfe\x00",
        b"",
    ],
    ids=["aliases", "deep", "nonsense", "a list", "a call", "no date", "no text", "nothing"],
)  # fmt: skip
def test_a_document_that_cannot_be_believed_makes_a_version_that_cannot_be_opened(document: bytes) -> None:
    manifest = bundle("classifier", more={"MLmodel": document}).manifest
    weights = manifest.parts.weights
    assert isinstance(weights, Weights)
    assert weights.loader == "none"
    assert {"preprocessing_code", "eval_threshold", "schema"} <= lacks(manifest)


@settings(deadline=None)
@given(data=st.data())
def test_whatever_the_documents_say_there_is_a_manifest(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(path.name for path in MODELS.iterdir())))
    files = files_of(name) | recorded()
    path = data.draw(st.sampled_from(sorted(files)))
    begin = data.draw(st.integers(0, len(files[path])))
    end = data.draw(st.integers(begin, min(len(files[path]), begin + 40)))
    files[path] = files[path][:begin] + data.draw(st.binary(max_size=8)) + files[path][end:]
    manifest = bundle_of(Said(), kept(files), CHURN).manifest
    assert Manifest.parse(manifest.encode()) == manifest


@given(
    text=st.one_of(st.text(), st.floats().map(str), st.integers().map(str), st.sampled_from(["True", "None", "1e5"]))
)
def test_a_param_is_a_number_only_where_it_is_written_as_that_number_is(text: str) -> None:
    found = param_value(text)
    assert str(found) == text
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_is_missing_is_told_in_the_words_of_an_mlflow_script() -> None:
    manifest = bundle("without_signature", Said(run_id="r1")).manifest
    told = {missing.name: how_to_supply(missing, manifest) for missing in manifest.missing()}
    assert set(told) == {"data_slice", "preprocessing_code", "hyperparameters", "schema", "metrics", "holdout"}
    assert "signature=" in told["preprocessing_code"]
    assert not [line for line in told.values() if len(line) > 160 or "\n" in line], "one line is read at a glance"
    assert told["metrics"] == told["holdout"], "without rows there is no column to name"
    silent: Any = bundle("probabilities", Said(run_id="r1")).manifest.parts.eval_threshold
    assert 'mlflow.set_tag("holdfast.threshold"' in how_to_supply(silent, manifest)


def test_nobody_is_told_to_install_the_plugin_that_was_there() -> None:
    lock = {"holdfast/requirements.lock": b"numpy==2.3.0\n"}
    with_it = bundle("without_signature", Said(run_id="r1"), lock).manifest
    told = {missing.name: how_to_supply(missing, with_it) for missing in with_it.missing()}
    assert not [name for name, words in told.items() if "pip install" in words]
    assert 'context="training")' in told["data_slice"]
    assert 'context="eval")' in told["holdout"]
    without = bundle("without_signature", Said(run_id="r1")).manifest
    told = {missing.name: how_to_supply(missing, without) for missing in without.missing()}
    assert {name for name, words in told.items() if "pip install" in words} == {"data_slice", "metrics", "holdout"}


def told_by(name: str, said: Said | None = None, more: Mapping[str, bytes] | None = None) -> dict[str, str]:
    manifest = bundle(name, said, {"holdfast/requirements.lock": b"numpy==2.3.0\n", **(more or {})}).manifest
    return {missing.name: how_to_supply(missing, manifest) for missing in manifest.missing()}


def test_a_classifier_of_catboost_is_known_by_the_word_that_mlflow_has_for_its_class() -> None:
    weights = bundle("catboost").manifest.parts.weights
    assert isinstance(weights, Weights)
    assert weights.model_class == "catboost.CatBoostClassifier"
    number = {"MLmodel": files_of("catboost")["MLmodel"].replace(b"CatBoostClassifier", b"CatBoostRegressor")}
    rule = bundle("catboost", more=number).manifest.parts.eval_threshold
    assert isinstance(rule, EvalThreshold)
    assert rule.rule == "identity"


def test_what_python_compiled_beside_a_model_from_code_is_no_part_of_the_bundle() -> None:
    compiled = {"__pycache__/doubling.cpython-311.pyc": b"\xa7\r\r\n", "__pycache__.pyc": b"\xa7\r\r\n"}
    paths = {str(entry.path) for entry in bundle("from_code", more=compiled).manifest.files}
    assert "weights/doubling.py" in paths
    assert [path for path in paths if path.endswith(".pyc")] == ["weights/__pycache__.pyc"]


def test_the_line_that_is_told_is_one_that_helps_this_model() -> None:
    agent = told_by("agent")
    assert "one value each" in agent["schema"]
    assert agent["preprocessing_code"] == agent["schema"], "it has a signature: another one like it would not do"
    assert "PythonModel whose predict" in told_by("forecast")["eval_threshold"]
    assert 'mlflow.set_tag("holdfast.ask", "rows")' in told_by("from_code")["holdout"]
    assert "holdfast.ask" not in told_by("forecast")["holdout"]
    undecided = told_by("from_code", more=recorded())
    assert "mlflow.set_tag" in undecided["eval_threshold"]
    assert undecided["holdout"] == undecided["metrics"]
    assert "log_input" not in undecided["holdout"], "the rows are there"
    decided = bundle("from_code", Said(tags={"holdfast.threshold": "identity"})).manifest
    assert "eval_threshold" not in lacks(decided)


def test_what_is_missing_is_a_list_with_one_line_of_code_for_each() -> None:
    manifest = bundle("without_signature", Said(run_id="r1")).manifest
    names = [missing.name for missing in manifest.missing()]
    assert [line.partition(": ")[0] for line in lines_to_add(manifest)] == [
        "data_slice", "preprocessing_code, schema", "hyperparameters", "metrics, holdout",
    ]  # fmt: skip
    *lines, last = lines_of(names)
    assert [line.partition(": ")[0] for line in lines] == [
        "data_slice", "preprocessing_code, schema", "hyperparameters", "metrics, holdout",
    ]  # fmt: skip
    assert last.endswith("pip install holdfast"), "by names alone nobody knows whether the plugin was there"
    assert lines_of(["eval_threshold"])[-1].startswith('eval_threshold: mlflow.set_tag("holdfast.threshold"')


def test_hyperparameters_are_those_of_run_and_model_with_the_seeds_among_them() -> None:
    said = Said(params={"C": "0.5", "random_state": "7"}, model_params={"depth": "3"})
    found = bundle("classifier", said).manifest.parts.hyperparameters
    assert isinstance(found, Hyperparameters)
    assert (dict(found.values), dict(found.seeds)) == ({"C": 0.5, "random_state": 7, "depth": 3}, {"random_state": 7})


def test_a_files_bytes_are_only_read_up_to_a_limit() -> None:
    files = kept({"MLmodel": b"x" * 100})

    def refuse(*_: object) -> bytes:
        raise AssertionError("a description of many gigabytes was read")

    huge = LoggedFiles({RelativePath("MLmodel"): (files.files[RelativePath("MLmodel")][0], 1 << 40)}, refuse)
    assert "MLmodel" in why(bundle_of(Said(), huge, CHURN).manifest, "preprocessing_code")


def test_what_the_plugin_captured_goes_before_what_mlflow_wrote() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    capture = Capture(
        ("train.py", "--depth", "3"), "/project", now, now, 1.0,
        CapturedCode("git", commit="ab" * 20, dirty=True, patch=b"--- a\n+++ b\n"),
        interpreter={"version": "3.12.1"}, used=(Distribution("scipy", "1.17.1"),),
    )  # fmt: skip
    prepared = bundle("classifier", Said(run_id="r1", tags=COMMIT, capture=capture))
    environment, code = prepared.manifest.evidence.environment, prepared.manifest.evidence.code
    assert isinstance(environment, Environment)
    assert isinstance(code, CodeState)
    assert (environment.python, AS_OF in environment.values) == ("3.12.1", False)
    assert {b"scipy==1.17.1", b"mlflow==3.17.2"} <= set(prepared.small[environment.lock].splitlines())
    assert (code.commit, code.dirty, str(code.patch)) == ("ab" * 20, True, "evidence/uncommitted.patch")
    assert isinstance(prepared.manifest.parts.hyperparameters, Hyperparameters)
    assert prepared.manifest.parts.hyperparameters.values == {"depth": 3}
