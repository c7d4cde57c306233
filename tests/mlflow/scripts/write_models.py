"""Write three models, as `mlflow.*.save_model` does it, with what they answer beside each; argument: the folder."""

import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from holdfast.runtime.loaders.mlflow import estimator_scores, rows_of, two_sided
from holdfast.runtime.pipeline import Answer
from holdfast.runtime.rows import table_of, write_table
from holdfast.runtime.smoke import write_outputs

OUT = Path(sys.argv[1])
PINNED = [f"mlflow=={mlflow.__version__}"]
"""Said, so that MLflow need not open each model in a process of its own to find it out."""


FROM_CODE = """
import mlflow

class Doubling(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return 2 * model_input["age"]

mlflow.models.set_model(Doubling())
"""
"""A model from code: MLflow keeps the script instead of a pickle."""


class OwnCode(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Code of a project's own module, which goes along."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Half of the age, as the module has it."""
        from ages import half  # type: ignore[import-not-found]  # made below

        return half(model_input["age"])


def describe(name: str, rows: Any, truth: Any) -> None:
    """Write what the model answers, and what it should, as the plugin writes it."""
    model = mlflow.pyfunc.load_model(str(OUT / name))
    told = rows_of(model.predict(rows))
    inside = estimator_scores(model)
    answer = Answer(told, told, None)
    if inside is not None:
        answer = Answer(told, two_sided(rows_of(inside[1](rows)), inside[0]), inside[0])
    folder = OUT / name / "holdfast"
    folder.mkdir()
    (folder / "holdout_rows.json").write_bytes(write_table(table_of(rows.assign(truth=truth)).named()))
    (folder / "holdout_outputs.json").write_bytes(write_outputs(answer))


def main() -> None:
    """Make them."""
    rows = pd.DataFrame({"age": np.linspace(18.0, 80.0, 40), "calls": np.arange(40) % 7})
    left = np.where(rows.age + 5 * rows.calls > 60, "yes", "no")
    classifier = LogisticRegression(max_iter=500).fit(rows, left)
    signature = infer_signature(rows, classifier.predict(rows))
    mlflow.sklearn.save_model(classifier, OUT / "classifier", signature=signature, pip_requirements=PINNED)
    describe("classifier", rows, left)
    module = OUT / "ages.py"
    module.write_text("def half(ages):\n    return ages / 2\n", encoding="utf-8")
    sys.path.insert(0, str(OUT))
    signature = infer_signature(rows[["age"]], rows["age"])
    mlflow.pyfunc.save_model(
        OUT / "own_code",
        python_model=OwnCode(),
        code_paths=[str(module)],
        signature=signature,
        pip_requirements=PINNED,
    )
    describe("own_code", rows[["age"]], rows["age"])
    code = OUT / "doubling.py"
    code.write_text(FROM_CODE, encoding="utf-8")
    mlflow.pyfunc.save_model(OUT / "from_code", python_model=str(code), signature=signature, pip_requirements=PINNED)
    describe("from_code", rows[["age"]], rows["age"])


if __name__ == "__main__":
    main()
