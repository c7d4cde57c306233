"""Two versions of a registered model, an alias that moves between them, and a caller that only knows the alias."""

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

NAME = "iris"

mlflow.set_experiment("flowers")
rows, target = load_iris(return_X_y=True, as_frame=True)
client = MlflowClient()

for strength in (0.001, 10.0):
    with mlflow.start_run(run_name=f"C={strength}"):
        model = LogisticRegression(C=strength, max_iter=2000).fit(rows, target)
        mlflow.log_param("C", strength)
        mlflow.log_metric("accuracy", model.score(rows, target))
        mlflow.sklearn.log_model(
            model, name="model", input_example=rows.head(3), registered_model_name=NAME, params={"C": strength}
        )

versions = client.search_model_versions(f"name = '{NAME}'", order_by=["version_number ASC"])
print("versions:", [version.version for version in versions])
scores = {v.version: client.get_run(v.run_id).data.metrics["accuracy"] for v in versions}
best = max(scores, key=scores.get)
client.update_model_version(NAME, best, description="the one that fits best")
client.set_model_version_tag(NAME, best, "checked", "yes")

client.set_registered_model_alias(NAME, "champion", "1")
before = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(rows)
client.set_registered_model_alias(NAME, "champion", best)
after = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(rows)
print("alias:", client.get_registered_model(NAME).aliases, "changed:", int((before != after).sum() > 0))
assert (after == model.predict(rows)).all()

assert (mlflow.pyfunc.load_model(f"models:/{NAME}/1").predict(rows) == before).all()
assert (mlflow.sklearn.load_model(f"models:/{NAME}/{best}").predict(rows) == after).all()
found = client.get_model_version_by_alias(NAME, "champion")
print("champion:", found.version, found.aliases, found.description, found.tags["checked"])
client.delete_registered_model_alias(NAME, "champion")
print("aliases left:", client.get_registered_model(NAME).aliases)
