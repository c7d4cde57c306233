"""A model of one's own: a Python class, a file that it needs, and a module of the project that goes along."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow
import pandas
import words_to_numbers
from mlflow.models import infer_signature


class Reader(mlflow.pyfunc.PythonModel):
    """Says how many minutes a text takes to read."""

    def load_context(self, context):
        """Reads the pace from the file that was logged with the model."""
        self.words_a_minute = json.loads(Path(context.artifacts["pace"]).read_text())["words_a_minute"]

    def predict(self, context, model_input, params=None):
        """Minutes for each row; `factor` stretches them."""
        words = words_to_numbers.length_of(model_input["text"])
        return [count / self.words_a_minute * (params or {}).get("factor", 1.0) for count in words]


mlflow.set_experiment("reading")
here = Path(__file__).parent
texts = pandas.DataFrame({"text": ["one two three", "one", ""]})

with tempfile.TemporaryDirectory() as folder, mlflow.start_run():
    pace = Path(folder) / "pace.json"
    pace.write_text(json.dumps({"words_a_minute": 2}))
    info = mlflow.pyfunc.log_model(
        name="reader",
        python_model=Reader(),
        artifacts={"pace": str(pace)},
        code_paths=[str(here / "words_to_numbers.py")],
        signature=infer_signature(texts, [1.5, 0.5, 0.0], params={"factor": 1.0}),
        registered_model_name="reader",
    )

loaded = mlflow.pyfunc.load_model("models:/reader/1")
print("minutes:", loaded.predict(texts), loaded.predict(texts, params={"factor": 2.0}))

# The module comes with the model: a program elsewhere, which has no such file, can load it too.
elsewhere = """
import mlflow, pandas
print(mlflow.pyfunc.load_model("models:/reader/1").predict(pandas.DataFrame({"text": ["a b c d"]})))
"""
with tempfile.TemporaryDirectory() as folder:
    answer = subprocess.run([sys.executable, "-c", elsewhere], cwd=folder, capture_output=True, text=True, check=True)
print("elsewhere:", answer.stdout.strip())
