"""Whether this interpreter satisfies a bundle's lock."""

import sys
from importlib.metadata import version

import pytest

from holdfast.evidence import Environment
from holdfast.names import RelativePath
from holdfast.runtime.environment import unsatisfied

HERE = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
LOCK = RelativePath("requirements.lock")


def test_an_empty_lock_is_satisfied_by_the_same_python() -> None:
    assert unsatisfied(Environment(HERE, LOCK), "") == ()


def test_another_python_is_a_difference_and_another_patch_is_none() -> None:
    assert unsatisfied(Environment("3.9.1", LOCK), "") == (f"python 3.9, not {HERE.rpartition('.')[0]}",)
    patched = f"{sys.version_info.major}.{sys.version_info.minor}.99"
    assert unsatisfied(Environment(patched, LOCK), "") == ()


@pytest.mark.parametrize("form", ["{}=={}", "{}=={}  # via the model", "  {}=={}\n# a comment\n\n--index nowhere"])
def test_pins_that_are_installed_are_satisfied(form: str) -> None:
    assert unsatisfied(Environment(HERE, LOCK), form.format("pytest", version("pytest"))) == ()


def test_each_pin_that_is_missing_or_another_is_named() -> None:
    lock = "pytest==0.0.1\nno-such-thing-anywhere==2.0\n"
    found = unsatisfied(Environment(HERE, LOCK), lock)
    assert found == (f"pytest 0.0.1, not {version('pytest')}", "no-such-thing-anywhere 2.0, not none")
