"""Step 9 is not built yet: a place kept. These tests fail on the day it is, and are then replaced by its own."""

from pathlib import Path

import pytest

from holdfast.cli.app import COMMANDS, run
from holdfast.cli.exit_codes import EXIT_CODES

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("command", ["shadow", "canary"])
def test_the_command_is_unknown_and_says_so(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert command not in COMMANDS
    assert run([command, "tumour@3"]) == EXIT_CODES["usage"]
    said = capsys.readouterr()
    assert said.out == ""
    assert f"No such command '{command}'" in said.err


def test_the_readme_says_that_they_are_not_built_yet() -> None:
    (sentence,) = [line for line in README.read_text().split(". ") if "not built yet" in line]
    assert "shadow" in sentence.lower()
    assert "canary" in sentence.lower()
