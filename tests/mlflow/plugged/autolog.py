"""A script as autolog's users have it; nothing in it knows of Holdfast."""

import mlflow
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

mlflow.sklearn.autolog(registered_model_name="churn")
rows, churned = make_classification(400, 6, random_state=1)
LogisticRegression(C=0.7).fit(rows, churned)
