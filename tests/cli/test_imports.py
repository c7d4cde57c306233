"""A command loads what it needs: counted by what is loaded, which a slow machine cannot falsify."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.cli.exit_codes import EXIT_CODES
from tests.commands import Cli
from tests.patience import PATIENCE_SECONDS

HEAVY = {
    "fastapi",
    "joblib",
    "numpy",
    "obstore",
    "pandas",
    "polars",
    "pyarrow",
    "scipy",
    "sklearn",
    "starlette",
    "uvicorn",
}

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
        capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS,
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
        ["remote", "list"],
        ["push"],
    ],
)
def test_a_command_that_touches_no_model_loads_none_of_the_heavy(
    cli: Cli, incomplete: Path, arguments: list[str]
) -> None:
    assert tops(loaded_by(*arguments)) & HEAVY == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["snapshot", "holdfast.toml"], ["checkout", "sha256:" + "0" * 64, "there"], ["snapshot", "absent"]]
)
def test_who_moves_bytes_waits_for_no_database(cli: Cli, incomplete: Path, arguments: list[str]) -> None:
    loaded = loaded_by(*arguments)
    assert tops(loaded) & {"sqlalchemy", "alembic", "sqlite3", "rich", "pathspec"} == set()
    assert not {
        name for name in loaded if name.startswith(("holdfast.runtime", "holdfast.registry", "holdfast.tracking"))
    }


@pytest.mark.slow
def test_serving_is_loaded_by_serve_alone(cli: Cli, incomplete: Path) -> None:
    assert not {name for name in loaded_by("list") if name.startswith(("holdfast.web", "holdfast.cli.serve"))}
    assert "holdfast.cli.serve" in loaded_by("serve", "churn")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["snapshot", "-h"], ["lst"], ["inventory"]])
def test_no_bar_is_loaded_where_nobody_watches(folder: Path, arguments: list[str]) -> None:
    assert "rich" not in tops(loaded_by(*arguments))


WITHOUT_EXTRAS = """\
import json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from holdfast.cli.app import run
sys.exit(run(json.loads(sys.argv[2])))
"""
"""A machine on which only the light client is installed."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-h"], "done"),
        (["list"], "done"),
        (["show", "churn@1"], "done"),
        (["snapshot", "holdfast.toml"], "done"),
        (["run", "--", "true"], "done"),
        (["doctor"], "done"),
        (["serve", "churn", "--port", "0"], "missing_extra"),
        (["register", "churn", "--weights", "model.joblib"], "missing_extra"),
        (["register", "churn", "--holdout", "rows.csv"], "missing_extra"),
        (["demo", "--folder", "there"], "missing_extra"),
    ],
)
def test_without_the_extras_the_light_commands_work_and_the_others_say_what_to_install(
    cli: Cli, project: Path, arguments: list[str], code: str
) -> None:
    cli.ok("adopt", "churn", "--stage", "production", "--reason", "in service")
    (project / "model.joblib").write_bytes(b"weights")
    (project / "rows.csv").write_text("a,b\n1,2\n")
    absent = sorted(HEAVY | {"httptools", "uvloop"})
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, json.dumps(absent), json.dumps(arguments)],
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == {"done": 0, **EXIT_CODES}[code], done
    assert ("pip install 'holdfast[" in done.stderr) == (code == "missing_extra")
