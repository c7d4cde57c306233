"""A script that reads a file, seeds its chance, logs the rows of its test, and registers a model itself."""

import random
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

random.seed(11)
with Path("rows.csv").open() as file:
    rows = pd.read_csv(file)
train, test = rows.iloc[:80], rows.iloc[80:]

with mlflow.start_run():
    model = LinearRegression().fit(train[["width", "depth"]], train["price"])
    mlflow.log_params({"fit_intercept": True})
    mlflow.log_input(mlflow.data.from_pandas(train, targets="price", name="train"), context="training")
    mlflow.log_input(mlflow.data.from_pandas(test, targets="price", name="test"), context="test")
    signature = infer_signature(train[["width", "depth"]], model.predict(train[["width", "depth"]]))
    mlflow.sklearn.log_model(model, name="prices", signature=signature, registered_model_name="prices")
