"""A booster of XGBoost: autolog writes a metric for each round, the importances, the data it read, and the model."""

import mlflow
import xgboost
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

mlflow.set_experiment("progression")
mlflow.xgboost.autolog()

rows, target = load_diabetes(return_X_y=True, as_frame=True)
train_rows, test_rows, train_target, test_target = train_test_split(rows, target, random_state=7)
train = xgboost.DMatrix(train_rows, train_target)
test = xgboost.DMatrix(test_rows, test_target)

with mlflow.start_run() as run:
    params = {"max_depth": 3, "eta": 0.2, "objective": "reg:squarederror", "seed": 7}
    booster = xgboost.train(params, train, num_boost_round=12, evals=[(test, "test")], verbose_eval=False)

client = mlflow.MlflowClient()
history = client.get_metric_history(run.info.run_id, "test-rmse")
print("rounds:", [point.step for point in history])
assert history[-1].value < history[0].value
print("params:", {key: client.get_run(run.info.run_id).data.params[key] for key in ("eta", "max_depth")})
print(
    "data:",
    [(found.dataset.name, found.tags[0].value) for found in client.get_run(run.info.run_id).inputs.dataset_inputs],
)
model = mlflow.last_logged_model()
again = mlflow.xgboost.load_model(model.model_uri)
assert (again.predict(test) == booster.predict(test)).all()
print("same predictions:", mlflow.pyfunc.load_model(model.model_uri).predict(test_rows).shape)
