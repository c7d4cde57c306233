"""Register: a number only after every byte is durable, and after a failure the registry as it was."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import AlreadyExists, CannotPackage, HoldfastError, IntegrityError, NoSpace, NotFound, UsageError
from holdfast.evidence import CodeState, RunReference
from holdfast.flow.bundle import Ingredients
from holdfast.flow.register import Registered, Workshop, register
from holdfast.names import ModelName, Reference
from holdfast.parts import DataInput, Hyperparameters
from holdfast.runtime.materialise import materialise, read_manifest
from holdfast.store.interface import Store, Stored, StoreWriter
from holdfast.tracking.values import NewRun
from holdfast.wire import Project, open_project
from tests.blank import blank_project

CHURN = ModelName("churn")
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)
    with open_project(blank_project(tmp_path / "project")) as project:
        yield project


def given(project: Project, weights: bytes = b"the weights", **changes: Any) -> Ingredients:
    """A bundle that nothing here opens, and that therefore needs no worker: what is tested is what comes after it."""
    (project.settings.project / "model.pt").write_bytes(weights)
    return replace(
        Ingredients(
            name=CHURN, project=project.settings.project, model="model.pt", hyperparameters=Hyperparameters({"lr": 1})
        ),
        **changes,
    )


def registered(project: Project, ingredients: Ingredients, **named: Any) -> Registered:
    return register(ingredients, named.pop("workshop", project.workshop), project.registry, actor="ana", **named)


def state(project: Project) -> Any:
    """All that the registry says."""
    models = project.registry.models()
    return [(model, project.registry.versions(model.name)) for model in models], project.registry.log()


def scratch(project: Project) -> list[Path]:
    folder = project.settings.scratch
    return list(folder.iterdir()) if folder.exists() else []


def test_versions_are_numbered_and_every_byte_is_in_the_store(fresh: Project) -> None:
    first = registered(fresh, given(fresh), reason="first try", semver="1.0.0")
    second = registered(fresh, given(fresh, b"other weights"))
    assert (first.version.number, second.version.number) == (1, 2)
    for one in (first, second):
        assert read_manifest(fresh.store, one.version.digest) == one.manifest
        for entry in one.manifest.files:
            assert fresh.store.verify(entry.digest) == entry.size
    assert fresh.registry.resolve(Reference.parse("churn@1.0.0")) == first.version
    assert first.to_json()["missing"][0] == "data_slice"
    assert first.version.complete is False
    assert scratch(fresh) == []
    files = materialise(fresh.store, first.version.digest, fresh.settings.cache)
    assert files.manifest == first.manifest


def test_what_a_version_came_from_is_its_lineage(fresh: Project) -> None:
    run = fresh.tracking.start_run(NewRun("first", CHURN), "ana")
    inputs = (DataInput("train", "a.csv", given_digest(fresh), 1, 3),)
    made = registered(fresh, given(fresh, run=RunReference(run.id), code=CodeState("f3dbee", False), inputs=inputs * 2))
    assert made.version.run_id == run.id
    edges = {
        (edge.relation, edge.parent_kind, edge.parent)
        for edge in fresh.registry.lineage("version", str(made.version.digest))
    }
    assert edges == {
        ("trained_on", "snapshot", str(inputs[0].digest)),
        ("produced_by", "run", run.id),
        ("built_from", "commit", "f3dbee"),
    }


def given_digest(project: Project) -> Any:
    with project.store.writer() as writer:
        stored = writer.add_bytes(b"a,b\n")
        writer.commit()
    return stored.digest


def test_data_that_is_not_in_the_store_stops_the_registration(fresh: Project) -> None:
    absent = DataInput("train", "train", hash_bytes(b"let go of long ago"), 1, 4, "train.csv")
    before = state(fresh)
    with pytest.raises(NotFound, match="not in the store"):
        registered(fresh, given(fresh, inputs=(absent,)))
    assert state(fresh) == before


def test_data_that_a_version_names_is_claimed_before_it_has_its_row(fresh: Project) -> None:
    frozen = DataInput("train", "train", given_digest(fresh), 1, 4, "train.csv")
    registered(fresh, given(fresh, inputs=(frozen,)))
    claims = Path(fresh.settings.store_url) / "claims"
    assert frozen.digest.hex in {path.name for path in claims.iterdir()}


def test_the_same_bundle_again_names_the_version_that_it_is(fresh: Project) -> None:
    first = registered(fresh, given(fresh))
    before = state(fresh)
    with pytest.raises(AlreadyExists) as error:
        registered(fresh, given(fresh))
    assert error.value.details["version"] == 1
    assert "churn@1" in error.value.message + error.value.hint
    assert state(fresh) == before
    assert scratch(fresh) == []
    other = registered(fresh, given(fresh, name=ModelName("fraud")))
    assert other.version.number == 1
    assert other.version.digest != first.version.digest


class Spoiled:
    """A store that is the real one until the n-th call of its writer."""

    def __init__(self, real: Store, at: str, act: Callable[[], None]) -> None:
        self._real, self._at, self._act = real, at, act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextmanager
    def writer(self) -> Iterator["_SpoiledWriter"]:
        with self._real.writer() as writer:
            yield _SpoiledWriter(writer, self._at, self._act)


class _SpoiledWriter:
    def __init__(self, real: StoreWriter, at: str, act: Callable[[], None]) -> None:
        self._real, self._at, self._act = real, at, act

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if name == self._at:
                self._act()
            found = real(*arguments, **named)
            if f"after {name}" == self._at:
                self._act()
            return found

        return call

    def add_files(self, paths: Sequence[str | Path], progress: Callable[[int], None] | None = None) -> list[Stored]:
        if self._at == "in the middle":
            self._real.add_files(paths[: len(paths) // 2 + 1])
            self._act()
        return list(self.__getattr__("add_files")(paths, progress))


def full() -> None:
    raise NoSpace("no space for a blob", hint="Free some space, then repeat.")


@pytest.mark.parametrize("at", ["add_files", "in the middle", "after add_files", "add_bytes", "commit", "after commit"])
def test_a_full_disk_leaves_the_registry_as_it_was_and_no_scratch(fresh: Project, at: str) -> None:
    registered(fresh, given(fresh, b"a version that is there"))
    before = state(fresh)
    workshop = replace(fresh.workshop, store=Spoiled(fresh.store, at, full))
    with pytest.raises(NoSpace):
        registered(fresh, given(fresh), workshop=workshop)
    assert state(fresh) == before
    assert scratch(fresh) == []
    # With space again the same call succeeds, with the next number and nothing to clean up by hand.
    assert registered(fresh, given(fresh)).version.number == 2


def test_a_scratch_folder_that_cannot_be_made_is_an_error_of_ours(fresh: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    workshop = replace(fresh.workshop, scratch=tmp_path / "file" / "scratch")
    with pytest.raises(HoldfastError) as error:
        registered(fresh, given(fresh), workshop=workshop)
    assert error.value.hint
    assert fresh.registry.models() == ()


def test_a_file_that_changes_while_it_is_kept_is_refused(fresh: Project) -> None:
    def spoil() -> None:
        (folder,) = scratch(fresh)
        (folder / "weights" / "model.pt").write_bytes(b"swapped")

    workshop = replace(fresh.workshop, store=Spoiled(fresh.store, "add_files", spoil))
    with pytest.raises(IntegrityError, match="changed while the bundle was being registered"):
        registered(fresh, given(fresh), workshop=workshop)
    assert list(fresh.registry.models()) == []
    assert scratch(fresh) == []


@pytest.mark.parametrize(
    ("changes", "semver", "error"),
    [
        ({"model": "absent.pt"}, None, NotFound),
        ({"model": object()}, None, CannotPackage),
        ({"threshold": "half"}, None, UsageError),
        ({}, "1.0", UsageError),
        ({}, "v1.0.0", UsageError),
    ],
)
def test_bad_input_leaves_nothing(
    fresh: Project, changes: dict[str, Any], semver: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        registered(fresh, given(fresh, **changes), semver=semver)
    assert list(fresh.registry.models()) == []
    assert scratch(fresh) == []
    assert list(fresh.store.digests()) == []


def test_a_semantic_version_is_given_once(fresh: Project) -> None:
    registered(fresh, given(fresh), semver="1.0.0")
    before = state(fresh)
    with pytest.raises(AlreadyExists):
        registered(fresh, given(fresh, b"other"), semver="1.0.0")
    assert state(fresh) == before


CRASH = """
    import os, signal, sys
    from pathlib import Path
    from holdfast.config import Settings
    from holdfast.flow.bundle import Ingredients
    from holdfast.flow.register import register
    from holdfast.names import ModelName
    from holdfast.store import local_writer
    from holdfast.wire import open_project

    def die(*arguments, **named):
        os.kill(os.getpid(), signal.SIGKILL)

    home, moment = sys.argv[1:]
    project = open_project(Settings.at(Path(home), {}))
    owner = {"register": type(project.registry), "ensure_model": type(project.registry),
             "commit": local_writer.LocalWriter, "add_bytes": local_writer.LocalWriter}[moment]
    setattr(owner, moment, die)
    given = Ingredients(name=ModelName("churn"), project=project.settings.project, model="model.pt")
    register(given, project.workshop, project.registry, actor="ana")
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["add_bytes", "commit", "ensure_model", "register"])
def test_a_crash_before_the_version_row_leaves_no_version(fresh: Project, moment: str) -> None:
    given(fresh)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CRASH), str(fresh.settings.home), moment],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    models = [model.name for model in fresh.registry.models()]
    assert models == ([CHURN] if moment == "register" else [])
    if models:
        assert list(fresh.registry.versions(CHURN)) == []
    with open_project(fresh.settings) as again:
        made = registered(again, given(again))
        assert made.version.number == 1
        assert again.registry.resolve(Reference.parse("churn@1")) == made.version
        assert fresh.store.verify(made.version.digest) > 0


def test_what_a_crash_left_in_the_scratch_folder_is_swept_by_the_next_registration(
    fresh: Project, tmp_path: Path
) -> None:
    assert isinstance(fresh.workshop, Workshop)
    left = fresh.settings.scratch / "bundle-left-by-a-crash"
    (left / "weights").mkdir(parents=True)
    registered(fresh, given(fresh))
    assert not left.exists()
    assert list(fresh.settings.scratch.iterdir()) == []
