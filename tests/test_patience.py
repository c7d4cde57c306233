"""What is late is told from what never comes, and what never comes is told."""

import asyncio
import tomllib
from pathlib import Path

import pytest

from tests import patience
from tests.patience import PATIENCE_SECONDS, until, until_async

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def test_what_comes_late_is_waited_for_and_said() -> None:
    answers = iter([[], [], ["here"]])
    assert until(lambda: next(answers), pause_seconds=0.0) == ["here"]
    answers = iter([[], ["there"]])
    assert asyncio.run(until_async(lambda: next(answers))) == ["there"]


def test_what_never_comes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(AssertionError, match="never happened: the end of the world"):
        until(lambda: False, "the end of the world")
    with pytest.raises(AssertionError, match="never happened: the log of it"):
        asyncio.run(until_async(lambda: False, lambda: "the log of it"))


def test_patience_ends_before_pytest_ends_the_test() -> None:
    options = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert options["timeout"] > PATIENCE_SECONDS
