"""A command loads what it needs: counted by what is loaded, which a slow machine cannot falsify."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import Cli

HEAVY = {"fastapi", "joblib", "numpy", "pandas", "polars", "pyarrow", "scipy", "sklearn", "starlette", "uvicorn"}

LOADED = """\
import contextlib, io, json, sys
sys.argv = ["holdfast", *json.loads(sys.argv[1])]
from holdfast.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    with contextlib.suppress(SystemExit):
        main()
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a fresh interpreter has loaded once the command is done."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(arguments)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return set(json.loads(done.stdout))


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.slow
def test_the_version_loads_nothing(folder: Path) -> None:
    loaded = loaded_by("--version")
    assert tops(loaded) & (HEAVY | {"typer", "sqlalchemy", "rich", "click", "asyncio", "httpx", "pydantic"}) == set()
    assert {name for name in loaded if name.startswith("holdfast.")} == {
        "holdfast.cli", "holdfast.config", "holdfast.errors"
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["-h"],
        ["list"],
        ["list", "--json"],
        ["show", "churn@1"],
        ["search"],
        ["live", "churn"],
        ["log"],
        ["gate", "churn@1"],
        ["approve", "churn@1"],
        ["snapshot", "holdfast.toml"],
        ["register", "churn", "--param", "a=1"],
        ["checkout", "churn@1", "there"],
        ["run", "--", "true"],
        ["check"],
        ["audit", "verify"],
        ["doctor"],
        ["inventory"],
    ],
)
def test_a_command_that_touches_no_model_loads_none_of_the_heavy(
    cli: Cli, incomplete: Path, arguments: list[str]
) -> None:
    assert tops(loaded_by(*arguments)) & HEAVY == set()


@pytest.mark.slow
def test_serving_is_loaded_by_serve_alone(cli: Cli, incomplete: Path) -> None:
    assert not {name for name in loaded_by("list") if name.startswith(("holdfast.web", "holdfast.cli.serve"))}
    assert "holdfast.cli.serve" in loaded_by("serve", "churn")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["snapshot", "-h"], ["lst"], ["inventory"]])
def test_no_bar_is_loaded_where_nobody_watches(folder: Path, arguments: list[str]) -> None:
    assert "rich" not in tops(loaded_by(*arguments))
