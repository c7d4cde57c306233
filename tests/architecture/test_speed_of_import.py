"""Importing Holdfast loads nothing heavy: counted by what is loaded, which a slow machine cannot falsify."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.wire import create_project
from tests.architecture.sources import SOURCE
from tests.patience import PATIENCE_SECONDS

HEAVY = {
    "alembic",
    "asyncio",
    "fastapi",
    "httpx",
    "joblib",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "starlette",
    "typer",
    "uvicorn",
}

SAY_WHAT_IS_LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `statement`."""
    answer = subprocess.run(
        [sys.executable, "-c", f"{statement}; {SAY_WHAT_IS_LOADED}"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    return {name.partition(".")[0] for name in json.loads(answer.stdout.splitlines()[-1])}


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["import holdfast", "import holdfast.errors", "import holdfast.manifest"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    loaded = loaded_by(statement)
    assert "holdfast" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.slow
def test_freezing_data_waits_for_no_database_no_network_and_no_checker_of_types(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n")
    create_project(tmp_path)
    freeze = f"import os; os.chdir({str(tmp_path)!r}); from holdfast.cli.app import run; run(['snapshot', 'data.csv'])"
    loaded = loaded_by(freeze)
    assert "typer" in loaded
    assert loaded & {"alembic", "asyncio", "fastapi", "httpx", "obstore", "pydantic", "sqlalchemy"} == set()


@pytest.mark.slow
def test_a_server_loads_nothing_that_could_open_a_model() -> None:
    loaded = loaded_by("import holdfast.web.api.app, holdfast.wire.service")
    assert "fastapi" in loaded
    assert loaded & {"cloudpickle", "joblib", "numpy", "pandas", "sklearn", "torch"} == set()
