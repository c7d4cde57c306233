"""A version that was trained with another scikit-learn: judged beside one of this machine's, and served in its own."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

import pytest

from holdfast.errors import BundleFailed
from holdfast.flow.capture.probe import used_distributions
from holdfast.runtime.building import Order, build
from holdfast.serving.answers import Answers
from holdfast.web.inference.loopback import load
from tests.cli.test_serve import answered, serving
from tests.commands import Cli
from tests.patience import PATIENCE_SECONDS, until
from tests.projects import HOLDOUT_ROWS, TARGET, TRAIN_ROWS, write_csv

pytestmark = pytest.mark.slow

OLDER = "1.6.1"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

TRAIN = """
import json, joblib, sklearn
from sklearn.linear_model import LogisticRegression
from features import featurise
rows = json.load(open("train.json"))
model = LogisticRegression(C=0.5, max_iter=1000).fit(featurise(rows), [row["TARGET"] for row in rows])
joblib.dump(model, "model.joblib")
print(sklearn.__version__)
"""

FEATURES = """
import sklearn

def featurise(rows):
    assert sklearn.__version__ == "VERSION", sklearn.__version__
    rows = rows if isinstance(rows, list) else rows.to_dict("records")
    return [[row["age"], row["calls"], float(row["plan"] == "basic")] for row in rows]
"""

POLICY = """
[gate.production]
rules = ["completeness", "integrity", "formats", "opens", "smoke", "not_worse", "groups", "approver"]
"""


def lock(scikit_learn: str) -> str:
    """All that scikit-learn needs, as it is here, and this version of it."""
    pins = {one.name: one.version for one in used_distributions({"sklearn", "joblib"})}
    return "".join(f"{name}=={pin}\n" for name, pin in sorted({**pins, "scikit-learn": scikit_learn}.items()))


@pytest.fixture(scope="session")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the older scikit-learn, as somebody trained with a year ago."""
    folder = tmp_path_factory.mktemp("older") / "environment"
    try:
        build(Order(PYTHON, lock(OLDER), lock(OLDER).count("=="), None, from_source=False), folder)
    except BundleFailed as error:
        pytest.skip(f"no index serves scikit-learn {OLDER} here: {error.message[-300:]}")
    # Holdfast and what it needs come from here, behind what the environment has itself.
    places = [path for path in sys.path if path.endswith("site-packages")]
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "zz_holdfast.pth").write_text("".join(f"{place}\n" for place in places))
    return folder / "bin" / "python"


def trained(folder: Path, python: Path | str, scikit_learn: str) -> None:
    """A model in the folder, trained by that interpreter; its preprocessing refuses to run beside another library."""
    (folder / "train.json").write_text(json.dumps(TRAIN_ROWS))
    write_csv(folder / "holdout.csv", HOLDOUT_ROWS)
    (folder / "features.py").write_text(FEATURES.replace("VERSION", scikit_learn))
    (folder / "train.py").write_text(TRAIN.replace("TARGET", TARGET))
    (folder / "lock.txt").write_text(lock(scikit_learn))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "train.py"], cwd=folder, check=False, capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout.strip()) == (0, scikit_learn), done.stderr


REGISTER = (
    "register", "churn", "--weights", "model.joblib", "--preprocessing", "features.py:featurise",
    "--threshold", "0.5", "--holdout", "holdout.csv", "--target", TARGET, "--metric", "accuracy",
    "--train", "train.json", "--param", "C=0.5", "--lock", "lock.txt",
)  # fmt: skip


@pytest.fixture
def both(cli: Cli, project: Path, old_python: Path) -> Path:
    """churn@1 of this machine's scikit-learn, in production; @2 of the older one, with its wheels."""
    (project / "holdfast.toml").write_text(POLICY)
    trained(project, sys.executable, version("scikit-learn"))
    cli.ok(*REGISTER)
    cli.ok("promote", "churn@1", "--reason", "the first")
    trained(project, old_python, OLDER)
    done = subprocess.run(
        [str(old_python), "-m", "holdfast", *REGISTER, "--freeze-environment"],
        cwd=project,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(project / ".holdfast/cache")
    return project


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No index answers, and nothing of one is cached."""
    for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "no-cache"))


def test_it_is_judged_served_and_taken_back_in_its_own_environment_where_no_index_is(
    cli: Cli, both: Path, offline: None
) -> None:
    """One test, since an environment takes longer to build than all that is done in it."""
    verdict = cli.json("gate", "churn@2")
    assert verdict["outcome"] == "pass", verdict["findings"]
    assert verdict["against"] == 1
    (built,) = [path for path in (both / ".holdfast/cache/environments").iterdir() if path.is_dir()]
    assert list(built.rglob(f"scikit_learn-{OLDER}.dist-info"))
    cli.ok("promote", "churn@2", "--reason", "it is what the trial used")
    row = {name: cell for name, cell in HOLDOUT_ROWS[0].items() if name != TARGET}
    answers = Answers()
    with serving(both, "churn", "--port", "0", "--json") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        body, status = answered(f"{url}/invocations", {"dataframe_records": [row]})
        assert (status, body["version"], len(body["predictions"])) == (200, 2, 1)
        with load(url, [{"dataframe_records": [row]}], answers):
            until(lambda: held_beside(url) == 1)
            until(lambda: answers.good(2) >= 20)
            cli.ok("rollback", "churn", "--reason", "the other library", "--wait")
            since = time.monotonic()
            until(lambda: answers.good(1, since) >= 20)
    assert (answers.failed, answers.mixed) == ((), ())
    assert {one.version for one in answers.taken() if one.begun >= since} == {1}


def held_beside(url: str) -> int | None:
    with urllib.request.urlopen(f"{url}/version", timeout=PATIENCE_SECONDS) as response:
        found: int | None = json.loads(response.read())["last_known_good"]
    return found
