"""A real project with a line of small versions, built once and copied for each test.

churn@1, @2, @3   each better than the one before; they differ in weights, preprocessing and threshold
churn@4           trained on labels turned around: complete, and worse than all of them
churn@5           without a threshold, and so incomplete
"""

import csv
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from holdfast.config import HOME_NAME, Settings
from holdfast.digest import Digest, hash_bytes
from holdfast.evidence import Holdout
from holdfast.flow.bundle import Ingredients
from holdfast.flow.bundle.origin import data_input
from holdfast.flow.gate import GateRequest, Policy, Workbench
from holdfast.flow.register import register
from holdfast.flow.snapshot import snapshot
from holdfast.manifest import FileEntry, Manifest
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.parts.data_slice import TRAIN
from holdfast.registry.values import NewVersion, Version
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import interpreter_for
from holdfast.runtime.limits import Limits
from holdfast.runtime.materialise import read_manifest
from holdfast.runtime.predictor import SERVED, Predictor
from holdfast.wire import Project, open_project
from tests.blank import blank_project
from tests.commands import built_once
from tests.store.spoiling import alone

CHURN, PRODUCTION, STAGING = ModelName("churn"), StageName("production"), StageName("staging")
SOURCE = Path(__file__).parents[1] / "src"
TARGET = "churned"

QUICK = Policy.parse(
    '[gate.production]\nrules = ["completeness", "integrity", "opens", "smoke", "not_worse", "groups", "approver"]',
    where="policy",
)
"""All that protects production, but for the latency of single rows, which takes a second to measure."""

FEATURES = {
    1: 'def featurise(rows):\n    return [[row["age"]] for row in rows]\n',
    2: 'def featurise(rows):\n    return [[row["age"], row["calls"]] for row in rows]\n',
    3: 'def featurise(rows):\n    return [[row["age"], row["calls"], float(row["plan"] == "basic")] for row in rows]\n',
}
THRESHOLDS = {1: 0.5, 2: 0.45, 3: 0.4}


def rows(start: int, count: int) -> list[dict[str, Any]]:
    """Customers, the same ones every time and no two alike; who leaves depends on all three features."""
    found = []
    for i in range(start, start + count):
        age, calls = 18 + (i * 37) % 61, (i * i * 7 + i * 13) % 11
        plan = ("basic", "plus", "pro")[(i * 5 + i // 7) % 3]
        leaning = (age - 48) / 20 + (calls - 5) / 3 + (1.2 if plan == "basic" else -0.6)
        found.append({"age": age + i % 89 / 100, "calls": calls, "plan": plan, TARGET: int(leaning > 0)})
    return found


TRAIN_ROWS, HOLDOUT_ROWS = rows(0, 300), rows(300, 180)


def features_of(flavour: int) -> Any:
    """The preprocessing function of one flavour, as the bundle will have it."""
    space: dict[str, Any] = {}
    exec(FEATURES[flavour], space)  # noqa: S102 - our own text, three lines above
    return space["featurise"]


def trained(flavour: int, *, damaged: bool = False) -> LogisticRegression:
    """A model of one flavour; on damaged labels when asked."""
    targets = [1 - row[TARGET] if damaged else row[TARGET] for row in TRAIN_ROWS]
    return LogisticRegression(C=10.0 ** (2 - flavour), max_iter=5000).fit(features_of(flavour)(TRAIN_ROWS), targets)


def build_project(folder: Path) -> None:
    """Make the project in `folder`, with its five versions."""
    folder.mkdir(parents=True)
    with open_project(blank_project(folder)) as project:
        write_csv(folder / "data/train.csv", TRAIN_ROWS)
        for flavour in (1, 2, 3):
            add_version(project, flavour)
        add_version(project, 1, damaged=True)
        add_version(project, 2, threshold=None)
    shutil.rmtree(folder / HOME_NAME / "cache", ignore_errors=True)


def five_versions(factory: pytest.TempPathFactory) -> Path:
    """The project, built by whichever process of tests asks first; it is copied, and never written to."""
    return built_once("five-versions", factory, build_project)


def add_version(project: Project, flavour: int, **changes: Any) -> Version:
    """Register one more version, by ana."""
    folder = project.settings.project
    (folder / "features.py").write_text(FEATURES[flavour], encoding="utf-8")
    train = data_input(snapshot(project.store, folder / "data/train.csv", root=folder), TRAIN)
    given = Ingredients(
        name=CHURN,
        project=folder,
        model=trained(flavour, damaged=changes.pop("damaged", False)),
        preprocessing="features.py:featurise",
        threshold=THRESHOLDS[flavour],
        holdout=HOLDOUT_ROWS,
        target=TARGET,
        metric="f1",
        inputs=(train,),
    )
    return register(replace(given, **changes), project.workshop, project.registry, actor="ana").version


def write_csv(path: Path, found: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(found[0]))
        writer.writeheader()
        writer.writerows(found)


@contextmanager
def copied(template: Path, folder: Path) -> Iterator[Project]:
    """A copy of the template, opened, whatever the environment says."""
    shutil.copytree(template, folder, symlinks=True)
    with open_project(Settings.at(folder / HOME_NAME, {})) as project:
        yield project


class Workers:
    """Real workers that outlive a test: a bundle is named by its digest, so copies of a project ask the same one."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Digest, Limits], Predictor] = {}

    @contextmanager
    def __call__(self, files: BundleFiles, limits: Limits = SERVED) -> Iterator[Predictor]:
        if (files.digest, limits) not in self._kept:
            interpreter = interpreter_for(files, files.root.parent)
            self._kept[files.digest, limits] = Predictor.start(files, interpreter, limits=limits)
        yield self._kept[files.digest, limits]

    def close(self) -> None:
        for predictor in self._kept.values():
            predictor.close()


def workbench(project: Project, workers: Workers) -> Workbench:
    return Workbench(project.store, project.settings.cache, workers)


def ask(number: int | str, actor: str = "ana", *, stage: StageName = PRODUCTION, policy: Policy = QUICK) -> GateRequest:
    return GateRequest(Reference.parse(f"churn@{number}"), stage, actor, policy)


def version(project: Project, number: int) -> Version:
    return project.registry.resolve(Reference.parse(f"churn@{number}"))


def manifest(project: Project, number: int) -> Manifest:
    return read_manifest(project.store, version(project, number).digest)


def blob(project: Project, digest: Digest) -> Path:
    """A file that holds a blob of the store, and nothing else does."""
    return alone(Path(project.settings.store_url), digest)


def flip_bit(path: Path) -> None:
    """One bit of a file turned around, its size and times as before."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def add_forgetful(project: Project, of: int = 1) -> Version:
    """A whole version whose recorded outputs are not what it answers, as after a silent change underneath."""
    known = manifest(project, of)
    holdout = known.evidence.holdout
    assert isinstance(holdout, Holdout)
    outputs = json.loads(project.store.read(known.file(holdout.outputs).digest, bytes_max=1 << 20))
    outputs["predictions"] = [1 - label for label in outputs["predictions"]]
    return add_with_file(project, known, str(holdout.outputs), json.dumps(outputs).encode())


def add_with_file(project: Project, known: Manifest, path: str, data: bytes) -> Version:
    """A whole version that differs from a known one in the bytes of one file, registered by hand."""
    files = tuple(
        FileEntry(entry.path, hash_bytes(data), len(data)) if str(entry.path) == path else entry
        for entry in known.files
    )
    changed = replace(known, files=files)
    with project.store.writer() as writer:
        writer.add_bytes(data)
        writer.add_bytes(changed.encode())
        writer.commit()
    return project.registry.register(NewVersion(known.model, changed.digest, complete=True), "ana")


def tables(project: Project, *, but: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the registry and of tracking, by table."""
    path = project.settings.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr)  # noqa: S608 - names from the file
            for name in sorted(names)
            if name not in but
        }


def moves_and_events_agree(project: Project) -> None:
    """No event without its move, and no move without its event: the registry is what its log says."""
    found = project.registry.audit_verify()
    assert found.ok, found.sentence


def workers_of(pid: int) -> list[int]:
    """The worker processes that `pid` has started and that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and b"holdfast.runtime.worker" in command:
            found.append(int(entry.name))
    return found


def open_handles(folder: Path) -> list[str]:
    """The files below `folder` that this process holds open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


ONE, TWO, THREE, FOUR, FIVE = (VersionNumber(number) for number in (1, 2, 3, 4, 5))
