"""The demo's two projects: real data that ships with scikit-learn, and a training script that knows no Holdfast."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import MissingExtra

__all__ = ["PROJECTS", "DemoProject"]

_TRAIN = '''\
"""Train a classifier. This script knows nothing of Holdfast."""

import argparse

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from features import featurise

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="data/train.csv")
parser.add_argument("--C", type=float, default=1.0)
parser.add_argument("--seed", type=int, default=7)
args = parser.parse_args()

rows = pd.read_csv(args.data)
target = rows.pop("{target}")
model = make_pipeline(StandardScaler(), LogisticRegression(C=args.C, max_iter=5000, random_state=args.seed))
model.fit(featurise(rows), target)
joblib.dump(model, "model.joblib")
print(f"trained on {{len(rows)}} rows")
'''

_CANCER_FIRST = '''\
"""From a raw row to features."""


def featurise(rows):
    return rows[["mean_radius", "mean_texture", "mean_smoothness", "mean_compactness"]]
'''

_CANCER_BETTER = '''\
"""From a raw row to features."""


def featurise(rows):
    features = rows.copy()
    features["area_growth"] = rows["worst_area"] / rows["mean_area"]
    return features
'''

_DIGITS_FIRST = '''\
"""From 64 pixels to features: how dark each row and each column of the picture is."""

import numpy as np


def featurise(rows):
    picture = rows.to_numpy(dtype=float).reshape(-1, 8, 8)
    return np.hstack([picture.sum(axis=1), picture.sum(axis=2)])
'''

_DIGITS_BETTER = '''\
"""From 64 pixels to features: the pixels, and how dark each row and each column of the picture is."""

import numpy as np


def featurise(rows):
    pixels = rows.to_numpy(dtype=float)
    picture = pixels.reshape(-1, 8, 8)
    return np.hstack([pixels, picture.sum(axis=1), picture.sum(axis=2)])
'''


@dataclass(frozen=True, slots=True)
class DemoProject:
    """A project to tell the story with.

    Attributes:
        model: what its model is called.
        target: the column with the true answer.
        metric: the metric to judge by.
        thresholds: the first version's threshold, and the better one's.
        features: the first version's preprocessing, and the better one's.
        loader: the function of `sklearn.datasets` that brings the data.
    """

    model: str
    target: str
    metric: str
    thresholds: tuple[str, str]
    features: tuple[str, str]
    loader: str

    def write(self, folder: Path) -> Mapping[str, int]:
        """Write data and scripts into `folder`; the number of rows of each file.

        Raises:
            MissingExtra: scikit-learn or pandas is not installed.
        """
        train, holdout = self._frames()
        damaged = train.copy()
        # A bad export: every third label belongs to another row.
        damaged.loc[::3, self.target] = damaged.loc[::3, self.target].sample(frac=1.0, random_state=1).to_numpy()
        shifted = damaged.index[::2]
        damaged.loc[shifted, self.target] = damaged.loc[shifted, self.target].to_numpy()[::-1]
        (folder / "data").mkdir()
        frames = {"train": train, "train_bad_export": damaged, "holdout": holdout}
        for name, frame in frames.items():
            frame.to_csv(folder / "data" / f"{name}.csv", index=False)
        (folder / "train.py").write_text(_TRAIN.format(target=self.target), encoding="utf-8")
        (folder / "features.py").write_text(self.features[0], encoding="utf-8")
        (folder / ".gitignore").write_text("data/\nmodel.joblib\nserver.log\n__pycache__/\n", encoding="utf-8")
        return {name: len(frame) for name, frame in frames.items()}

    def _frames(self) -> tuple[Any, Any]:
        try:
            import pandas as pd
            from sklearn import datasets
            from sklearn.model_selection import train_test_split
        except ImportError as error:
            raise MissingExtra(
                f"the demo trains a real model and needs {error.name}", hint="Install it: pip install 'holdfast[all]'"
            ) from error
        bunch = getattr(datasets, self.loader)()
        names = [str(name).replace(" ", "_") for name in bunch.feature_names]
        frame = pd.DataFrame(bunch.data, columns=names)
        # In scikit-learn's copy 0 is malignant; people ask for the illness, so it is 1 here.
        frame[self.target] = 1 - bunch.target if self.loader == "load_breast_cancer" else bunch.target
        train, holdout = train_test_split(frame, test_size=0.4, random_state=7, stratify=frame[self.target])
        return train.reset_index(drop=True), holdout.reset_index(drop=True)


PROJECTS: Mapping[str, DemoProject] = {
    "breast-cancer": DemoProject(
        model="tumour",
        target="malignant",
        metric="f1",
        thresholds=("0.5", "0.4"),
        features=(_CANCER_FIRST, _CANCER_BETTER),
        loader="load_breast_cancer",
    ),
    "digits": DemoProject(
        model="digit",
        target="digit",
        metric="accuracy",
        thresholds=("argmax", "argmax:0.3"),
        features=(_DIGITS_FIRST, _DIGITS_BETTER),
        loader="load_digits",
    ),
}
"""The demo's projects, by the name that `--data` takes."""
