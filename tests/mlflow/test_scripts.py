"""Scripts as MLflow's users have them, on the real client: they print what they print with MLflow's server.

What that is stands in `printed/`; `--update-goldens` has MLflow's own server write it again.
"""

import re
from pathlib import Path

import pytest

from tests.mlflow.rooms import Room
from tests.mlflow.venvs import CLIENTS, ROOT, Client

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples/mlflow"
PRINTED = Path(__file__).with_name("printed")
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "words_to_numbers")


def settled(printed: str) -> str:
    """Without the addresses of runs, which the client prints when they end."""
    return "".join(line for line in printed.splitlines(keepends=True) if not re.search(r" at: http", line))


NOT_WITH_OLD = {"lightning_autolog"}
"""The older client is older than the PyTorch that this script is written for."""

PAIRS = [(client, name) for client in CLIENTS for name in SCRIPTS if client != "old" or name not in NOT_WITH_OLD]

NEEDS = {"lightning_autolog": "lightning"}
"""What a script needs that is too large for the lock of the clients: whoever has it installed runs the test."""


@pytest.mark.parametrize(("real", "name"), PAIRS, indirect=["real"])
def test_a_script_prints_what_it_prints_with_mlflow(
    real: Client, name: str, room: Room, empty: Path, request: pytest.FixtureRequest
) -> None:
    library = NEEDS.get(name)
    if library is not None and not list(real.folder.glob(f"lib/python*/site-packages/{library}")):
        pytest.skip(f"{library} is not installed in {real.folder.name}: the locks leave it out, it needs gigabytes")
    golden = PRINTED / f"{name}.txt"
    if request.config.getoption("--update-goldens"):
        if real.name == "new":
            url = request.getfixturevalue("mlflow_server")
            golden.write_text(settled(real.run(EXAMPLES / f"{name}.py", url, empty)), encoding="utf-8")
        return
    printed = settled(real.run(EXAMPLES / f"{name}.py", room.url, empty))
    assert printed == golden.read_text(encoding="utf-8")
    assert list(empty.iterdir()) == [], "a script leaves nothing in its own folder"
