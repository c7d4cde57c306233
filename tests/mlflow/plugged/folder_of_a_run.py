"""A script that sends its models as clients before MLflow 3 do: as a folder of the run, which no logged model knows."""

import mlflow
import pandas as pd
from mlflow.models import Model, infer_signature
from sklearn.linear_model import LinearRegression

rows = pd.DataFrame({"width": range(80), "depth": [number % 7 for number in range(80)]})
price = pd.Series(3 * rows["width"] + rows["depth"], name="price")
model = LinearRegression().fit(rows, price)
signature = infer_signature(rows, model.predict(rows))

with mlflow.start_run() as run:
    mlflow.log_params({"fit_intercept": True})
    mlflow.log_input(mlflow.data.from_pandas(rows.assign(price=price), targets="price"), context="training")
    for name, of in (("mine", run.info.run_id), ("found", "0" * 32)):
        described = Model(run_id=of, artifact_path=name)
        mlflow.sklearn.save_model(model, name, mlflow_model=described, signature=signature)
        mlflow.log_artifacts(name, name)
for name in ("mine", "found"):
    mlflow.register_model(f"runs:/{run.info.run_id}/{name}", name)
