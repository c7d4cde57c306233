"""What people really save passes, and what the walk says of it is what an unpickler does."""

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from holdfast.formats import Allowed, Ground, Standing, scan

FEATURES = np.abs(np.random.default_rng(7).normal(size=(60, 4)))
TARGETS = (FEATURES[:, 0] > 0.7).astype(int)
TEXTS = [f"word{number} and word{number % 7}" for number in range(60)]
TABLE = pd.DataFrame({"age": FEATURES[:, 0], "plan": ["basic", "pro", "plus"] * 20})


def columns() -> Pipeline:
    chosen = make_column_selector(dtype_include="number")
    steps = [("numbers", StandardScaler(), chosen), ("plan", OneHotEncoder(), ["plan"])]
    return make_pipeline(ColumnTransformer(steps), LogisticRegression()).fit(TABLE, TARGETS)


def searched() -> GridSearchCV:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, scoring=make_scorer(recall_score))
    return search.fit(FEATURES, TARGETS)


MODELS: dict[str, Any] = {
    "pipeline": lambda: make_pipeline(StandardScaler(), SelectKBest(k=2), SVC()).fit(FEATURES, TARGETS),
    "columns": columns,
    "forest": lambda: RandomForestClassifier(5, random_state=0).fit(FEATURES, TARGETS),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3, random_state=0).fit(FEATURES, TARGETS),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(FEATURES, TARGETS),
    "neighbours": lambda: KNeighborsClassifier().fit(FEATURES, TARGETS),
    "network": lambda: MLPClassifier((3,), max_iter=5000, tol=1.0, random_state=0).fit(FEATURES, TARGETS),
    "terms": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, TARGETS),
    "counts": lambda: CountVectorizer(ngram_range=(1, 2)).fit(TEXTS),
    "function": lambda: FunctionTransformer(np.log1p).fit(FEATURES),
    "search": searched,
    "state": lambda: {"seeds": np.random.RandomState(1), "generator": np.random.default_rng(1)},
    "arrays": lambda: {
        "numbers": np.arange(6.0).reshape(2, 3, order="F"),
        "records": np.zeros(2, dtype=[("a", "<i4"), ("b", "<f8", (2,))]),
        "texts": np.array(["ä", "bc"]),
        "times": np.array(["2020-01-01"], dtype="M8[ns]"),
        "references": np.array(["a", None, {"b": 1}], dtype=object),
        "none": np.zeros((0, 3)),
        "scalar": np.array(1.0),
    },
    "tables": lambda: [TABLE, TABLE.set_index("plan"), pd.Series(pd.date_range("2020", periods=3))],
}


@pytest.fixture(scope="session")
def models() -> dict[str, Any]:
    return {name: make() for name, make in MODELS.items()}


def dumped(value: object, **how: Any) -> bytes:
    sink = io.BytesIO()
    joblib.dump(value, sink, **how)
    return sink.getvalue()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("compress", [0, 1, ("gzip", 1), ("bz2", 1), ("lzma", 1), ("xz", 1)], ids=str)
def test_what_joblib_writes_is_allowed(models: dict[str, Any], name: str, compress: Any) -> None:
    found = scan(dumped(models[name], compress=compress), "model.joblib")
    assert (found.standing, found.refused, found.reasons) == (Standing.ALLOWED, (), ())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("protocol", range(6))
def test_what_pickle_writes_is_allowed_under_every_protocol(models: dict[str, Any], name: str, protocol: int) -> None:
    found = scan(pickle.dumps(models[name], protocol), "model.pkl")
    assert (found.standing, found.refused, found.reasons) == (Standing.ALLOWED, (), ())


class Recorder(pickle._Unpickler):
    """An unpickler that writes down what it is asked to import; for our own pickles only."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.names: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        old = self.proto < 3  # type: ignore[attr-defined]
        self.names.add(
            f"{ {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}.get(module, module) if old else module }.{name}"
        )
        return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_the_names_listed_are_those_that_an_unpickler_asks_for(
    models: dict[str, Any], name: str, protocol: int
) -> None:
    data = pickle.dumps(models[name], protocol)
    recorder = Recorder(data)
    recorder.load()
    assert {one.name for one in scan(data, "x").imports} == recorder.names


def test_data_in_a_pickle_is_data() -> None:
    for protocol in range(6):
        found = scan(pickle.dumps({"a": [1, 2.5, "x", b"y" * 20, None, (True,), 2**80]}, protocol), "x")
        assert found.standing is (Standing.ALLOWED if protocol < 3 else Standing.DATA), found


def test_the_bundles_own_classes_and_what_policy_adds_are_listed_as_such() -> None:
    data = b"cfeatures\nScale\n)\x81cmypkg.model\nNet\n)\x81cfeatures\nos\n."
    allowed = Allowed({"features": frozenset({"Scale"})}, frozenset({"mypkg.model.Net", "os.system"}))
    grounds = {one.name: one.ground for one in scan(b"\x80\x02" + data, "x", allowed=allowed).imports}
    assert grounds == {"features.Scale": Ground.OWN, "mypkg.model.Net": Ground.POLICY, "features.os": Ground.REFUSED}
    assert allowed.ground("os", "system", called=False) is Ground.REFUSED


def npz() -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, a=np.zeros(3), b=np.array(["x"]))
    return sink.getvalue()


def npy(array: Any) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def safetensors(behind: bytes = b"") -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8) + behind


def keras() -> bytes:
    sink = io.BytesIO()
    layers = {"module": "keras.layers", "class_name": "Dense", "config": {"layers": [{"module": None}]}}
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("config.json", json.dumps(layers))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")
    return sink.getvalue()


def field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2, len(data))) + data


def onnx(location: bytes = b"weights.bin", domain: bytes = b"") -> bytes:
    external = field(13, field(1, b"location") + field(2, location))  # 13 << 3 fits one byte, as all numbers below do
    graph = field(1, field(4, b"Add") + field(7, domain)) + field(5, external)
    return b"\x08\x08" + field(7, graph) + field(8, b"\x10\x0d")


HARMLESS: dict[str, tuple[bytes, str]] = {
    "npy": (npy(np.zeros((2, 3))), "npy"),
    "npy of records": (npy(np.zeros(2, dtype=[("a", "<i4"), ("b", "<f8", (2,))])), "npy"),
    "npz": (npz(), "npz"),
    "safetensors": (safetensors(), "safetensors"),
    "gguf": (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "gguf"),
    "onnx": (onnx(), "onnx"),
    "keras": (keras(), "keras"),
    "ubjson": (b"{L\0\0\0\0\0\0\0\7learner[$d#L\0\0\0\0\0\0\0\1\0\0\0\0}", "ubjson"),
    "json": (b'[{"age": 1}]', "json"),
    "csv": (b"customer,age\n1,2\n", "text"),
    "a lock that begins with c": (b"certifi==2024.2.2\nnumpy==2.1\n", "text"),
    "lightgbm": (b"tree\nversion=v4\nnum_class=1\n", "lightgbm"),
    "parquet": (b"PAR1" + b"\0" * 20 + b"PAR1", "parquet"),
    "png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 20 + b"IEND\xaeB`\x82", "png"),
    "nothing": (b"", "empty"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_data_is_recognised_by_its_content_and_is_data(name: str) -> None:
    data, kind = HARMLESS[name]
    found = scan(data, "model.pkl")
    assert (found.kind, found.standing, found.imports) == (kind, Standing.DATA, ())


@pytest.mark.parametrize("length", range(0x80, 0x100))
def test_no_length_of_a_header_makes_tensors_a_pickle(length: int) -> None:
    header = json.dumps({"w": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode().ljust(length)
    assert scan(len(header).to_bytes(8, "little") + header + b"1", "x").kind == "safetensors"


def test_tensors_with_something_behind_or_missing_are_not_believed() -> None:
    for data in (safetensors(b"x"), safetensors()[:-1]):
        assert scan(data, "x").standing is Standing.UNREADABLE


def test_a_file_of_tensors_is_known_by_its_beginning_when_it_is_too_large_to_be_read() -> None:
    whole = safetensors()
    assert scan(whole[:-8], "x", size=len(whole)).standing is Standing.DATA
    assert scan(pickle.dumps(1), "x", size=1 << 40).standing is Standing.UNREADABLE


@pytest.mark.parametrize("location", [b"../x", b"/etc/x", b"a/../../x", b"..\\x", b"C:x"])
def test_a_graph_that_reads_outside_of_its_folder_is_refused(location: bytes) -> None:
    found = scan(onnx(location), "model.onnx")
    assert found.standing is Standing.CODE
    assert "outside of its folder" in found.reasons[0]


def test_operators_of_others_are_named() -> None:
    found = scan(onnx(domain=b"com.example"), "model.onnx")
    assert (found.standing, found.reasons) == (
        Standing.DATA,
        ("it uses operators of com.example, which its runtime must bring",),
    )


def test_a_file_of_torch_may_name_its_tensors_from_outside() -> None:
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + b"0X\x03\0\0\0cpuK\x02tQ"
    data = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0K\x02\x85K\x01\x85\x89tR."
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, inner in OrderedDict([("m/data.pkl", data), ("m/version", b"3\n"), ("m/data/0", bytes(8))]).items():
            archive.writestr(name, inner)
    found = scan(sink.getvalue(), "model.pt")
    assert (found.kind, found.standing, found.reasons) == ("torch", Standing.ALLOWED, ())
