"""Every command of `mlflow` that talks to a server, asked of ours; right is what it says with MLflow's own server.

That stands in `commands.json`; `--update-goldens` has MLflow's server write it again, and the table in
`docs/mlflow.md`.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.mlflow.rooms import ours, theirs
from tests.mlflow.table import COMMANDS, placed
from tests.mlflow.venvs import ROOT, Client

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("scripts") / "commands.py"
GOLDEN = Path(__file__).with_name("commands.json")
PAGE = ROOT / "docs/mlflow.md"
NOT_OFFERED = {"datasets": "data of models are snapshots", "scorers": "for evaluating prompts and agents"}
"""Groups of commands whose calls the server does not offer."""
GROUPS = ("artifacts", "datasets", "experiments", "models", "runs", "scorers", "traces")


def walk(client: Client, url: str, folder: Path) -> dict[str, Any]:
    """What the commands of one client said with one server; nothing of the checkout is around them."""
    folder.mkdir(parents=True)
    script = Path(shutil.copy(SCRIPT, folder))
    client.run(script, url, folder, "said.json", LOGNAME="ana")
    return dict(json.loads((folder / "said.json").read_text(encoding="utf-8")))


def test_commands_say_what_they_say_with_mlflows_server(
    newest: Client, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    update = request.config.getoption("--update-goldens")
    if update:
        with theirs(newest, tmp_path / "server") as url:  # one of its own: commands list what there is
            said = walk(newest, url, tmp_path / "theirs")["said"]
        lines = (f"{json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in said.items())
        GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    right = json.loads(GOLDEN.read_text(encoding="utf-8"))
    with ours(tmp_path / "project") as room:
        found = walk(newest, room.url, tmp_path / "ours")
    assert found["missed"] == [], "every command of these groups is tried"
    assert list(found["said"]) == list(right)
    differ = {name: (said, right[name]) for name, said in found["said"].items() if said != right[name]}
    assert {name: said for name, said in differ.items() if name.split()[0] not in NOT_OFFERED} == {}
    assert {name.split()[0] for name in differ} == set(NOT_OFFERED)
    assert {said[1] for said, _ in differ.values()} == {"RestException ENDPOINT_NOT_FOUND"}
    text = PAGE.read_text(encoding="utf-8")
    written = placed(text, table(list(right)), COMMANDS)
    if update:
        PAGE.write_text(written, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == written


def table(walked: list[str]) -> str:
    """A row for each group of commands."""
    groups: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name in walked:
        first, *others = name.split()
        if first in groups and others[0] not in groups[first]:
            groups[first].append(others[0])
    rows = [
        f"| `mlflow {group}` | {', '.join(f'`{name}`' for name in names)} | {_answer(group)} |"
        for group, names in groups.items()
    ]
    return "\n".join(["| command | tried | answer |", "|---|---|---|", *rows])


def _answer(group: str) -> str:
    return f"not offered: {NOT_OFFERED[group]}" if group in NOT_OFFERED else "works"
