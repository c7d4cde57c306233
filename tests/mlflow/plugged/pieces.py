"""The pieces of the plugin that need MLflow's own classes, tried without a server; the last line says that all held."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from holdfast.mlflow_plugin.answers import Asked, answers_rows, best_first, replaces, says_rows
from holdfast.mlflow_plugin.datasets import Rows, forget, listen_to_datasets, remembered
from holdfast.mlflow_plugin.freezing import ROWS_MAX, freeze_dataset, role_of, sample
from holdfast.mlflow_plugin.server import find_server
from holdfast.store.memory import MemoryStore

# Roles: what people and autolog call the use of a dataset.
for context, role in {
    "train": "train",
    "training": "train",
    "TEST": "holdout",
    "eval": "holdout",
    "validation": "holdout",
    "fine tuning/2": "fine-tuning-2",
}.items():
    tags = [InputTag(MLFLOW_DATASET_CONTEXT, context)]
    assert role_of(tags, answered=True) == role, context
    assert role_of(tags, answered=False) == ("eval" if role == "holdout" else role), "rows alone prove nothing"
assert role_of([], answered=False) == "input"

# A sample goes over all the rows, in their order, and keeps answers beside their rows.
many = Rows(pd.DataFrame({"x": range(10 * ROWS_MAX)}), pd.Series(range(10 * ROWS_MAX)))
some = sample(many)
assert len(some) == ROWS_MAX
assert list(some.features["x"]) == list(some.targets) == list(range(0, 10 * ROWS_MAX, 10))
few = Rows(np.arange(6).reshape(3, 2))
assert sample(few).features.tolist() == few.features.tolist()
assert sample(few).targets is None

# What answers quickly is asked about a thousand rows; a network is where it is small, and nothing that may ask others.
assert answers_rows("mlflow.sklearn", 1 << 29)
assert answers_rows("mlflow.pytorch", 1 << 20)
assert not answers_rows("mlflow.pytorch", 1 << 26)
assert not answers_rows("mlflow.pyfunc.model", 1)
assert says_rows({"holdfast.ask": "rows"})
assert not says_rows({"holdfast.ask": "no"})
assert not says_rows({})

# A model is asked about rows whose answers are known before others, and then about those that it was not trained on.
blind = Asked("eval", Rows(pd.DataFrame({"x": [1.0], "z": [2.0]})), 1)
inside = Asked("eval", Rows(pd.DataFrame({"x": [1.0], "z": [2.0], "sold": [3]})), 1)
seen = Asked("eval", Rows(blind.rows.features, pd.Series([3])), 1)
trained = Asked("train", Rows(np.ones((9, 2)), np.ones(9)), 9)
assert replaces(blind, None)
assert replaces(blind, blind)
assert replaces(seen, blind)
assert not replaces(blind, seen), "what a model is asked to predict later has no answers"
assert not replaces(blind, inside), "the answers may be a column of the rows"
assert best_first(seen, trained) == (seen, trained)
assert best_first(inside, trained) == (inside, trained)
assert best_first(blind, trained) == (trained, blind)
assert best_first(blind, None) == (blind,)
assert best_first(None, trained) == (trained,)

# What MLflow describes is found again, with the answers that only its caller knows.
listen_to_datasets()
listen_to_datasets()


def described_by_autolog(rows: Any, y: Any) -> Any:
    return mlflow.data.from_pandas(rows, name="rows")._to_mlflow_entity()


frame, answers = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]}), pd.Series([5, 6], name="sold", index=[7, 8])
entity = described_by_autolog(frame, answers)
found = remembered(entity)
assert found is not None
assert found.features is frame
assert found.targets is answers
assert found.name == "sold"
again = mlflow.data.from_pandas(frame, name="rows")._to_mlflow_entity()
assert remembered(again) is found, "described again, from where the answers are out of sight"
own = remembered(mlflow.data.from_pandas(frame, name="own", targets="y")._to_mlflow_entity())
forget(again)
assert remembered(again) is None
entity = described_by_autolog(frame, answers)
assert own is not None
assert list(own.features.columns) == ["x"]
assert (own.name, list(own.targets)) == ("y", [0, 1])
for number in range(20):
    mlflow.data.from_numpy(np.full((2, 2), number), name=f"n{number}")._to_mlflow_entity()
assert remembered(entity) is None, "a few at a time"

# The same rows are the same snapshot, and one row more is another.
store = MemoryStore()
one = freeze_dataset(store, entity, found, Path.cwd())
assert one.digest == freeze_dataset(store, entity, found, Path.cwd()).digest
assert one.name == f"rows-{entity.digest}.parquet"
longer = Rows(pd.concat([frame, frame]), pd.concat([answers, answers]), "sold")
assert freeze_dataset(store, entity, longer, Path.cwd()).digest != one.digest
arrays = freeze_dataset(store, entity, Rows(np.eye(3), np.arange(3)), Path.cwd())
assert arrays.files == 2

# Whatever is no address of HTTP is not asked, and what does not answer may be ours.
assert find_server("sqlite:///mlflow.db").is_holdfast is False
assert find_server("http://127.0.0.1:9").is_holdfast is None


class Holdfast(BaseHTTPRequestHandler):
    """A server that says of itself what ours says."""

    def do_GET(self) -> None:
        said = b'{"holdfast": {}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


# A server that starts after the script is met as soon as it answers MLflow. What its address holds is not for showing.
with HTTPServer(("127.0.0.1", 0), Holdfast, bind_and_activate=False) as server:
    server.server_bind()  # others cannot take the port, and nobody answers yet
    uri = f"http://ana:pass%40word@127.0.0.1:{server.server_address[1]}"
    assert find_server(uri).is_holdfast is None
    server.server_activate()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    met = find_server(uri, awake=True)
    server.shutdown()
assert (met.is_holdfast, met.token) == (True, "pass@word")
assert met.address == f"http://127.0.0.1:{server.server_address[1]}"
assert "word" not in met.address
print("held")
