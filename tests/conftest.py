"""Options of `pytest` itself, which only the outermost conftest can add, and what all processes of tests inherit."""

import fcntl
import gc
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.database.engine import Database
from tests import effort
from tests.blank import blank_registry, forget
from tests.patience import wait_for_answers

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

_ROOM_BYTES_MIN = 4 << 30
"""Ten times what the tests of one process have there at once; a container has 64 MiB unless somebody asks for more."""

_IN_MEMORY = "holdfast-tests-"

_SLOW = re.compile(r"^pytestmark = (?:\[\s*)?pytest\.mark\.slow\b", re.MULTILINE)
"""How a module says it of all its tests."""

_QUICK = {"not slow", "not slow and not thorough"}
"""What `-m` says where nothing slow is wanted; the second is `make test-fast`."""

_BUILT_BY_PROCESSES = "template"
"""The fixture of everybody who copies the project of `tests/projects.py`."""

_WORKERS_MORE_MAX = 4
"""Each has a gigabyte of libraries in memory."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has them ignore interrupts, and so would all that they start:
    # tests of what an interrupt does would then test nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)


effort.register()
wait_for_answers()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the golden files instead of comparing")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Half as many again as there are cores: tests wait, for processes and for the disk, and others run meanwhile."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + min(-(-cores // 2), _WORKERS_MORE_MAX)


def pytest_configure(config: pytest.Config) -> None:
    """What tests see of logs is nothing that the person who runs them should remember."""
    folder = tempfile.TemporaryDirectory(prefix="holdfast-state-")
    config.add_cleanup(folder.cleanup)
    config.add_cleanup(forget)
    os.environ["XDG_STATE_HOME"] = folder.name
    if not hasattr(config, "workerinput"):  # its workers inherit it
        wheels = tempfile.TemporaryDirectory(prefix="holdfast-uv-", ignore_cleanup_errors=True)
        config.add_cleanup(wheels.cleanup)
        os.environ["TESTS_UV_CACHE_DIR"] = wheels.name


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules unread that are slow as a whole, where nothing slow is wanted: they import what is slow, too."""
    if config.option.markexpr not in _QUICK or collection_path.suffix != ".py":
        return None
    return _SLOW.search(collection_path.read_text(encoding="utf-8")) is not None or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The project of five versions is made by worker processes, which what asks for it is as slow as."""
    for item in items:
        if _BUILT_BY_PROCESSES in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.thorough)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """What all test modules have imported stays to the end: no search for garbage need walk through it again.

    It is most of a process's memory, and a search takes a second; what tests leave behind is found as before.
    """
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let what was imported go as it always does, or libraries complain about what they find left at the end."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Path | None]:
    """A folder in memory; None where there is none, or too little room in it.

    `HOLDFAST_TEST_MEMORY` names another place for it, and says nothing where there should be none.
    """
    place = os.environ.get("HOLDFAST_TEST_MEMORY", "/dev/shm")
    if not place or not os.access(place, os.W_OK) or shutil.disk_usage(place).free < _ROOM_BYTES_MIN:
        yield None
        return
    _sweep(Path(place))
    with tempfile.TemporaryDirectory(prefix=_IN_MEMORY, dir=place, ignore_cleanup_errors=True) as folder:
        new = Path(folder, "lock.new")
        with new.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            new.rename(new.with_name("lock"))
            yield Path(folder).resolve()


def _sweep(place: Path) -> None:
    """Give back the memory that tests had which were killed: nobody holds their lock any more."""
    for left in place.glob(f"{_IN_MEMORY}*"):
        with suppress(OSError), (left / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path, in_memory: Path | None) -> Iterator[Path]:
    """A test's folder: in memory, for a disk takes milliseconds to promise what it keeps, thousands of times.

    No test here takes the machine's power away, so that none can tell the difference; but below /dev, where memory is,
    a file is a device to what captures a run. What starts processes may capture runs, and so has its folder on a disk.
    """
    try:
        Path.cwd()
    except FileNotFoundError:  # the folder of a test before this one, which has left us in it
        os.chdir(request.config.rootpath)
    if in_memory is None or any(request.node.get_closest_marker(name) for name in ("slow", "disk")):
        yield tmp_path
        return
    folder = in_memory / tmp_path.name
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """One for each process of tests; it is started by the first test that asks."""
    from tests.postgres import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_database(postgres: "PostgresServer") -> Iterator[str]:
    """The name of a database with the tables of Holdfast and nothing in them."""
    name = postgres.lend()
    yield name
    postgres.give_back(name)


@pytest.fixture
def postgres_url(postgres: "PostgresServer", postgres_database: str) -> str:
    """The same as a URL."""
    return postgres.url(postgres_database)


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    """An empty registry on SQLite, of this test alone."""
    path = tmp_path / "registry.db"
    blank_registry(path)
    return path


@pytest.fixture
def database(database_path: Path) -> Iterator[Database]:
    """The same, open."""
    with closing(Database.open(f"sqlite:///{database_path}")) as database:
        yield database


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def anywhere(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty registry of this test alone, open: on SQLite, and on PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('database_path')}"
    else:
        url = request.getfixturevalue("postgres_url")
    with closing(Database.open(url)) as database:
        yield database
