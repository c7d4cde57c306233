"""What somebody had in an MLflow of their own before they moved: run by a real client, on whatever it is told."""

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

experiment = mlflow.set_experiment("first")
rows = pd.DataFrame({"a": np.arange(10.0), "b": np.arange(10.0)[::-1]})
target = (rows["a"] > 4).astype(int)
client = MlflowClient()

with mlflow.start_run(run_name="parent", description="what it was for") as run:
    mlflow.log_params({"lr": 0.1, "name": "x y"})
    for step in range(5):
        mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
    mlflow.log_metric("odd", float("nan"))
    mlflow.set_tag("team", "a")
    mlflow.log_input(mlflow.data.from_pandas(rows, name="rows"), context="training")
    model = LogisticRegression().fit(rows, target)
    mlflow.sklearn.log_model(model, name="model", registered_model_name="Iris Model", input_example=rows.head(2))
    mlflow.log_text("hello", "notes/a.txt")
    with mlflow.start_run(nested=True, run_name="child"):
        mlflow.log_metric("a", 1)

client.set_registered_model_alias("Iris Model", "champion", 1)
client.set_registered_model_tag("Iris Model", "team", "a")
client.set_model_version_tag("Iris Model", "1", "seen", "yes")
client.update_registered_model("Iris Model", description="flowers")
mlflow.sklearn.log_model(model, name="second", registered_model_name="Iris Model")
client.delete_model_version("Iris Model", "2")
mlflow.sklearn.log_model(model, name="third", registered_model_name="Iris Model")
client.delete_run(client.create_run(experiment.experiment_id).info.run_id)
