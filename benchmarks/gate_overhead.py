"""How long a gate takes: every rule, on a holdout of 10,000 rows, a small model, its environment there already.

    python benchmarks/gate_overhead.py [--rows 10000] [--repeat 3] [--json FILE]

Two versions of a scikit-learn pipeline are registered on seeded rows with twelve columns of both kinds, and the first
one holds production. Then the second one is judged by every rule that a policy can ask of it without other people or
keys, with groups and with the command's own start, as `holdfast gate` is called. Target: under 20 s.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ALSO = ["drift", "threshold", "calibration", "memory", "guards"]
"""Rules beside those that production asks by default; `signature`, `card`, `semver` and `rehearsed` look at records."""

POLICY = """\
[gate.production]
rules_also = {also}
margin = 0.01
threshold_metric = "accuracy"
groups = ["region", "plan"]
metrics_min = {{ roc_auc = 0.5 }}
memory_bytes_max = 4_000_000_000

[gate.production.guards.recall]
margin = 0.02
"""

FEATURES = """\
def featurise(rows):
    return rows
"""

TRAIN = """\
import sys

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import holdfast
from features import featurise

which, rows = int(sys.argv[1]), int(sys.argv[2])
chance = np.random.default_rng(20_260_101)
count = 4 * rows
numbers = chance.normal(size=(count, 10)).round(4)
frame = pd.DataFrame(numbers, columns=[f"number_{place}" for place in range(10)])
frame["region"] = chance.choice(["north", "south", "east", "west"], count)
frame["plan"] = chance.choice(["basic", "plus", "pro"], count)
lean = numbers[:, :4].sum(axis=1) + 0.7 * (frame["plan"] == "basic") + chance.normal(size=count)
frame["left"] = (lean > 0).astype(int)
train, holdout = frame[rows:], frame[:rows]
columns = make_column_transformer(
    (StandardScaler(), [f"number_{place}" for place in range(10)]), (OneHotEncoder(), ["region", "plan"])
)
model = make_pipeline(columns, LogisticRegression(C=0.0005 if which == 1 else 1.0, max_iter=500))
with holdfast.run("churn", params={"C": which}, seed=7) as run:
    train.to_csv("train.csv", index=False)
    run.snapshot("train.csv")
    model.fit(train.drop(columns="left"), train["left"])
    run.register(
        model, preprocessing=featurise, threshold=0.5, holdout=holdout, target="left", metric="roc_auc",
        groups=("region", "plan"),
    )
"""


def main() -> None:
    """Build the project, judge, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    holdfast = str(Path(sys.executable).with_name("holdfast"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "features.py").write_text(FEATURES)
        (folder / "train.py").write_text(TRAIN)
        subprocess.run([holdfast, "init"], cwd=folder, check=True, capture_output=True)
        for which in (1, 2):
            subprocess.run([sys.executable, "train.py", str(which), str(given.rows)], cwd=folder, check=True)
            if which == 1:
                move = [holdfast, "promote", "churn@1", "--to", "production", "--reason", "the first"]
                subprocess.run(move, cwd=folder, check=True, capture_output=True)
        (folder / "holdfast.toml").write_text(POLICY.format(also=json.dumps(ALSO)))
        seconds = []
        for _ in range(given.repeat):
            begun = time.perf_counter()
            done = subprocess.run(
                [holdfast, "gate", "churn@2", "--json"], cwd=folder, capture_output=True, text=True, check=False
            )
            seconds.append(time.perf_counter() - begun)
            found = json.loads(done.stdout)
    for finding in found["findings"]:
        print(f"{finding['outcome']:13} {finding['rule']}: {finding['sentence']}")
    middle = statistics.median(seconds)
    print(f"\n{len(found['findings'])} rules on {given.rows:,} rows: {middle:.1f} s (under 20 asked)")
    if given.json:
        rules = {finding["rule"]: finding["outcome"] for finding in found["findings"]}
        given.json.write_text(json.dumps({"rows": given.rows, "seconds": seconds, "rules": rules}))


if __name__ == "__main__":
    main()
