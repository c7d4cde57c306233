"""A model from code, of columns with one value each, whose author says that it may be asked about rows."""

from pathlib import Path

import mlflow
import pandas as pd

CODE = """
import mlflow

class Doubling(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return 2 * model_input["width"]

mlflow.models.set_model(Doubling())
"""

code = Path("doubling.py")
code.write_text(CODE, encoding="utf-8")
rows = pd.DataFrame({"width": [float(number) for number in range(40)]})
sold = rows.assign(price=2 * rows["width"] + 0.5)
for name, words in (("asked", {"holdfast.ask": "rows"}), ("unasked", {})):
    with mlflow.start_run():
        mlflow.log_params({"factor": 2})
        mlflow.log_input(mlflow.data.from_pandas(sold[:20], targets="price", name="train"), context="training")
        mlflow.log_input(mlflow.data.from_pandas(sold[20:], targets="price", name="test"), context="eval")
        mlflow.set_tags({"holdfast.threshold": "identity", **words})
        mlflow.pyfunc.log_model(
            name=name, python_model=str(code), input_example=rows.head(3), registered_model_name=name
        )
code.unlink()
