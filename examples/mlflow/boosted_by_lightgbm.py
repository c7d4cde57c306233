"""A booster of LightGBM with early stopping: autolog writes what each round scored, and which was the best."""

import lightgbm
import mlflow
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

mlflow.set_experiment("tumours by lightgbm")
mlflow.lightgbm.autolog(registered_model_name="tumour-lightgbm")

rows, target = load_breast_cancer(return_X_y=True, as_frame=True)
rows.columns = [name.replace(" ", "_") for name in rows.columns]
train_rows, test_rows, train_target, test_target = train_test_split(rows, target, random_state=7)
train = lightgbm.Dataset(train_rows, train_target)
test = lightgbm.Dataset(test_rows, test_target, reference=train)

with mlflow.start_run() as run:
    booster = lightgbm.train(
        {"objective": "binary", "learning_rate": 0.1, "num_leaves": 7, "seed": 7, "num_threads": 2, "verbosity": -1},
        train,
        num_boost_round=40,
        valid_sets=[test],
        valid_names=["test"],
        callbacks=[lightgbm.early_stopping(5, verbose=False)],
    )

found = mlflow.get_run(run.info.run_id)
print("best round:", int(found.data.metrics["best_iteration"]) == booster.best_iteration)
print("metrics:", sorted(found.data.metrics))
print("files:", sorted(file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)))
again = mlflow.lightgbm.load_model("models:/tumour-lightgbm/1")
assert (again.predict(test_rows) == booster.predict(test_rows)).all()
print("version:", mlflow.MlflowClient().get_model_version("tumour-lightgbm", "1").run_id == run.info.run_id)
