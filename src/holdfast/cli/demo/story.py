"""The story: three versions, one refusal, a promotion under load, and the way back."""

import csv
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.cli.demo.projects import DemoProject
from holdfast.cli.demo.stage import Stage
from holdfast.cli.demo.traffic import Traffic, ask
from holdfast.cli.exit_codes import EXIT_CODES
from holdfast.errors import GateRefused, IntegrityError

__all__ = ["Told", "tell"]

_BEFORE_SECONDS = 1.0
"""Traffic before and after the move, so that both versions are seen to answer."""


_TELLING_ROWS = 4
"""Of the rows that the first version gets wrong: a line of a terminal holds their answers."""


@dataclass(frozen=True, slots=True)
class Told:
    """How the story went.

    Attributes:
        folder: where it was played; it stays.
        model: the model's name.
        requests: sent while the stage moved.
        failed: of those, without a prediction.
        mixed: of those, naming two versions.
        answers: how many each version gave.
        seconds: how long the story took.
    """

    folder: Path
    model: str
    requests: int
    failed: int
    mixed: int
    answers: dict[str, int]
    seconds: float

    def to_json(self) -> JsonObject:
        """What `demo --json` prints."""
        return {
            "folder": str(self.folder),
            "model": self.model,
            "requests": self.requests,
            "failed": self.failed,
            "mixed": self.mixed,
            "answers": self.answers,
            "seconds": round(self.seconds, 1),
        }

    def lines(self) -> Iterator[str]:
        """What to do next."""
        yield ""
        yield f"The story took {self.seconds:.0f} s. Its folder stays; go on with:"
        yield ""
        yield f"  cd {self.folder}"
        if shutil.which("holdfast") is None:
            yield f'  export PATH="{Path(sys.executable).parent}:$PATH"'
        yield f"  holdfast show {self.model}@production"
        yield f"  holdfast log {self.model}"
        yield f"  holdfast promote {self.model}@3 --to production --reason 'back to the better one'"
        yield f"  holdfast serve {self.model} --port 8081"
        yield f"  holdfast checkout {self.model}@1 ./{self.model}-1"


def tell(project: DemoProject, stage: Stage) -> Told:
    """Play the story from an empty folder to a verified log."""
    started = time.monotonic()
    model = project.model
    stage.folder.mkdir(parents=True)
    rows = project.write(stage.folder)
    stage.git("init", "--quiet", "--initial-branch=main")
    _commit(stage, "A training script and its features")
    stage.say(f"A project in {stage.folder}: train.py, features.py, and real data: {rows}")

    stage.title("1. Inventory: what is there, and what is missing")
    stage.play("inventory")
    stage.play("init")
    _commit(stage, "Put the project under Holdfast")

    stage.title("2. The unchanged script runs; code, data, environment, seeds and parameters are captured")
    stage.play("run", "--model", model, "--", "python", "train.py", "--C", "0.1")

    stage.title("3. Data is frozen: a name that always means the same bytes")
    stage.play("snapshot", "data/holdout.csv")

    stage.title("4. Version 1: five parts pinned together, then promoted through the gate")
    stage.play("register", model, *_register(project, 0))
    stage.play("promote", f"{model}@1", "--to", "production", "--reason", "first version")
    while_first = _moment()

    stage.title("5. A server answers with whatever holds the stage")
    with stage.server(model) as url:
        telling = _telling(url, project.target, stage.folder / "data" / "holdout.csv")
        _show_answer(stage, url, telling)
        _refused(project, stage)
        traffic = _better(project, stage, url)
        _back(project, stage, url, telling)

    stage.title("9. The log is whole, and the past has an answer")
    stage.play("log", model)
    stage.play("audit", "verify")
    stage.say(f"Which version was live at {while_first}, before anything else happened?")
    stage.play("live", model, "--at", while_first)
    stage.play("check")
    return Told(
        folder=stage.folder,
        model=model,
        requests=traffic.sent,
        failed=traffic.failed,
        mixed=traffic.mixed,
        answers=dict(traffic.answers),
        seconds=time.monotonic() - started,
    )


def _register(project: DemoProject, which: int) -> tuple[str, ...]:
    return (
        *("--weights", "model.joblib", "--preprocessing", "features.py:featurise"),
        *("--threshold", project.thresholds[which], "--holdout", "data/holdout.csv"),
        *("--target", project.target, "--metric", project.metric),
    )


def _refused(project: DemoProject, stage: Stage) -> None:
    stage.title("6. Version 2, trained on a bad export with damaged labels, is refused, with the reasons")
    stage.play("run", "--model", project.model, "--", "python", "train.py", "--data", "data/train_bad_export.csv")
    stage.play("register", project.model, *_register(project, 0))
    refused = EXIT_CODES[GateRefused.code]
    stage.play("promote", f"{project.model}@2", "--to", "production", "--reason", "fresh data", expect=refused)


def _better(project: DemoProject, stage: Stage, url: str) -> Traffic:
    stage.title("7. Version 3, with better features and another threshold, takes over under steady load")
    (stage.folder / "features.py").write_text(project.features[1], encoding="utf-8")
    _commit(stage, "Better features")
    stage.play("run", "--model", project.model, "--", "python", "train.py")
    stage.play("register", project.model, *_register(project, 1))
    rows = _rows(stage.folder / "data" / "holdout.csv", project.target)
    with Traffic(url, rows) as traffic:
        time.sleep(_BEFORE_SECONDS)
        stage.play("promote", f"{project.model}@3", "--to", "production", "--reason", "better features", "--wait")
        time.sleep(_BEFORE_SECONDS)
    said = ", ".join(f"{count} by version {version}" for version, count in sorted(traffic.answers.items()))
    stage.say(f"{traffic.sent} requests meanwhile: {said}; {traffic.failed} dropped, {traffic.mixed} mixed")
    if traffic.failed or traffic.mixed:
        raise IntegrityError(
            "requests were dropped or mixed while the stage moved", hint=f"See {stage.folder / 'server.log'}"
        )
    return traffic


def _back(project: DemoProject, stage: Stage, url: str, telling: list[JsonObject]) -> None:
    _show_answer(stage, url, telling)
    stage.title("8. One command back: weights, preprocessing and threshold together")
    stage.play("rollback", project.model, "--reason", "complaints about version 3", "--wait")
    _show_answer(stage, url, telling)
    for version in ("1", "3"):
        stage.say(f"what version {version} pins:")
        for line in stage.quietly("show", f"{project.model}@{version}").splitlines():
            if line.strip().startswith(("weights", "preprocessing_code", "eval_threshold")):
                stage.say(f"  {line}")


def _telling(url: str, target: str, holdout: Path) -> list[JsonObject]:
    """Rows that tell versions apart: some that the first version gets wrong, and one that it gets right."""
    with holdout.open(encoding="utf-8", newline="") as stream:
        truth = [float(row[target]) for row in csv.DictReader(stream)]
    rows = _rows(holdout, target)
    said = ask(url, rows)[0]["predictions"]
    wrong = [row for row, true, answer in zip(rows, truth, said, strict=True) if answer != true]
    return [*wrong[:_TELLING_ROWS], rows[0]]


def _show_answer(stage: Stage, url: str, telling: list[JsonObject]) -> None:
    body, headers = ask(url, telling)
    stage.say(f"$ curl {url}/invocations -d @{len(telling)}-rows.json")
    stage.say(
        f"  predictions {body['predictions']}  X-Model-Version {headers['x-model-version']}"
        f"  X-Model-Digest {headers['x-model-digest'][:19]}…  X-Route-Epoch {headers['x-route-epoch']}"
    )


def _commit(stage: Stage, message: str) -> None:
    stage.git("add", "--all")
    stage.git("commit", "--quiet", "--message", message)


def _moment() -> str:
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    # A moment has passed before anything else can happen in it.
    time.sleep(0.01)
    return moment


def _rows(path: Path, target: str) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [{name: float(v) for name, v in row.items() if name != target} for row in csv.DictReader(stream)]
