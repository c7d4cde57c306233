"""Single rows over HTTP: Holdfast beside a FastAPI server written by hand, with the same weights and the same code.

    python benchmarks/serve_single_row.py [--rounds 3] [--seconds 3] [--json FILE]

Both servers run at once and are measured in turn, A B A B, at 1 and at 16 connections; medians are printed, and their
ratio, which is what carries over to another machine. The server by hand does what most teams write first: parse, build
a frame, preprocess, score, threshold; it verifies nothing and can serve one version only.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import _projects as projects
from _load import measure

PORT, PORT_BY_HAND = 8392, 8393

BY_HAND = """\
import sys

import joblib
import pandas as pd
import uvicorn
from fastapi import FastAPI, Request

from features import plain

model = joblib.load(sys.argv[1])
app = FastAPI()


@app.get("/readyz")
async def readyz():
    return {}


@app.post("/invocations")
async def invocations(request: Request):
    rows = pd.DataFrame((await request.json())["dataframe_records"])
    return {"predictions": [int(score >= 0.5) for score in model.predict_proba(plain(rows))[:, 1]]}


uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
"""


def main() -> None:
    """Serve both, measure in turn, print the medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        projects.make(folder)
        projects.holdfast(folder, "promote", "cancer@1", "--to", "production", "--reason", "the first")
        projects.holdfast(folder, "checkout", "cancer@1", "bundle")
        (folder / "by_hand.py").write_text(BY_HAND)
        (weights,) = (folder / "bundle" / "weights").iterdir()
        command = [sys.executable, "by_hand.py", str(weights), str(PORT_BY_HAND)]
        by_hand = subprocess.Popen(command, cwd=folder, env=projects.environment())
        try:
            with projects.served(folder, PORT) as url:
                other = f"http://127.0.0.1:{PORT_BY_HAND}"
                projects.wait_until_ready(f"{other}/readyz")
                found = compare({"holdfast": url, "fastapi_by_hand": other}, given.rounds, given.seconds)
        finally:
            by_hand.terminate()
            by_hand.wait()
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


def compare(urls: dict[str, str], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """The medians of each server at each number of connections, and the ratio of their rates."""
    body = json.dumps({"dataframe_records": [projects.one_row()]}).encode()
    found = []
    for connections in (1, 16):
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in urls}
        for _ in range(rounds):
            for name, url in urls.items():
                measured[name].append(measure(f"{url}/invocations", body, connections, seconds))
        medians = {
            name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for name, runs in measured.items()
        }
        rates = [medians[name]["requests_per_second"] for name in urls]
        found.append({"connections": connections, **medians, "ratio": round(rates[0] / rates[1], 3)})
    return found


if __name__ == "__main__":
    main()
