"""Options of `pytest` itself, which only the outermost conftest can add, and what all processes of tests inherit."""

import os
import signal
import tempfile

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has them ignore interrupts, and so would all that they start:
    # tests of what an interrupt does would then test nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the golden files instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    """What tests see of logs is nothing that the person who runs them should remember."""
    folder = tempfile.TemporaryDirectory(prefix="holdfast-state-")
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_STATE_HOME"] = folder.name
