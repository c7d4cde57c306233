"""Scripts as MLflow's users have them, on the real client: they print what they print with MLflow's server.

What that is stands in `printed/`; `--update-goldens` has MLflow's own server write it again.
"""

import re
from pathlib import Path

import pytest

from tests.mlflow.rooms import Room
from tests.mlflow.venvs import ROOT, Client

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples/mlflow"
PRINTED = Path(__file__).with_name("printed")
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "words_to_numbers")


def settled(printed: str) -> str:
    """Without the addresses of runs, which the client prints when they end."""
    return "".join(line for line in printed.splitlines(keepends=True) if not re.search(r" at: http", line))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_it_prints_with_mlflow(
    name: str, real: Client, room: Room, empty: Path, request: pytest.FixtureRequest
) -> None:
    golden = PRINTED / f"{name}.txt"
    if request.config.getoption("--update-goldens"):
        if real.name == "new":
            url = request.getfixturevalue("mlflow_server")
            golden.write_text(settled(real.run(EXAMPLES / f"{name}.py", url, empty)), encoding="utf-8")
        return
    printed = settled(real.run(EXAMPLES / f"{name}.py", room.url, empty))
    assert printed == golden.read_text(encoding="utf-8")
    assert list(empty.iterdir()) == [], "a script leaves nothing in its own folder"
