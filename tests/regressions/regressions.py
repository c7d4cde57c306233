"""A family of deliberate regressions: what goes wrong with models in practice, done on purpose to honest versions.

Each names the rule that is meant to catch it. Others may notice too; that one has to.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.evidence import Environment
from holdfast.flow.bundle import Ingredients
from holdfast.flow.bundle.origin import data_input
from holdfast.flow.gate import GateRequest, GateVerdict, Policy, gate
from holdfast.flow.gate.catalogue import usual
from holdfast.flow.register import register
from holdfast.flow.snapshot import snapshot
from holdfast.manifest import Manifest
from holdfast.names import ModelName, Reference, StageName
from holdfast.parts import Weights
from holdfast.parts.data_slice import TRAIN
from holdfast.registry.actions import Action
from holdfast.registry.values import MoveStage, Version
from holdfast.runtime.materialise import read_manifest
from holdfast.wire import Project, create_project, open_project
from tests.projects import add_with_file
from tests.regressions.tables import Row, Table

__all__ = ["HONEST", "REGRESSIONS", "Laboratory", "Regression", "laboratory"]

RULES_BY_DEFAULT = usual("production")

HONEST = Policy(
    document={"gate": {"production": {"rules": [n for n in RULES_BY_DEFAULT if n != "latency"], "margin": 0.01}}}
)
"""What production asks by default, with a margin of two or three rows, and nobody timed on a busy machine."""

_PRODUCTION = StageName("production")

_FEATURES = """\
COLUMNS = {columns!r}


def featurise(rows):
    return [[row[name] for name in COLUMNS] for row in rows]
"""

_OTHER_UNITS = """\
COLUMNS = {columns!r}
SHARES = {{name: 0.1 for name in COLUMNS[::3]}}


def featurise(rows):
    return [[row[name] * SHARES.get(name, 1.0) for name in COLUMNS] for row in rows]
"""

_SLOW = """\
import time

COLUMNS = {columns!r}


def featurise(rows):
    time.sleep(0.06)
    return [[row[name] for name in COLUMNS] for row in rows]
"""


class Laboratory:
    """A project with one table, whose first version is honest and holds production."""

    def __init__(self, table: Table, project: Project) -> None:
        self.table = table
        self._project = project
        self.honest = self.add()
        self._hold(self.honest)

    def add(
        self,
        rows: Sequence[Row] | None = None,
        *,
        features: str = _FEATURES,
        threshold: float | str | None = None,
        model: Any = None,
    ) -> Version:
        """Register one more version, trained on `rows`, or with weights of another one."""
        table, folder = self.table, self._project.settings.project
        rows = table.train if rows is None else rows
        path = folder / "data/train.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        (folder / "features.py").write_text(features.format(columns=table.columns), encoding="utf-8")
        given = Ingredients(
            name=ModelName(table.name),
            project=folder,
            model=self.fitted(rows) if model is None else model,
            preprocessing="features.py:featurise",
            threshold=table.threshold if threshold is None else threshold,
            holdout=list(table.holdout),
            target=table.target,
            metric=table.metric,
            groups=(table.group,),
            inputs=(data_input(snapshot(self._project.store, path, root=folder), TRAIN),),
        )
        return register(given, self._project.workshop, self._project.registry, actor="ana").version

    def fitted(self, rows: Sequence[Row]) -> Any:
        """An estimator that has learnt from `rows`."""
        return self.table.estimator().fit(
            [[row[name] for name in self.table.columns] for row in rows], [row[self.table.target] for row in rows]
        )

    def manifest(self, version: Version) -> Manifest:
        """What a version says it is."""
        return read_manifest(self._project.store, version.digest)

    def changed(self, version: Version, path: str, data: bytes) -> Version:
        """A version that differs in the bytes of one file, registered by hand."""
        return add_with_file(self._project, self.manifest(version), path, data)

    def read(self, version: Version, path: str) -> bytes:
        """The bytes of one of its files."""
        known = self.manifest(version)
        (entry,) = (entry for entry in known.files if str(entry.path) == path)
        return self._project.store.read(entry.digest, bytes_max=1 << 28)

    def judged(self, version: Version, policy: Policy) -> GateVerdict:
        """What every rule of the gate says of it."""
        named = Reference.parse(f"{version.model}@{version.number}")
        asked = GateRequest(named, _PRODUCTION, "ana", policy, all_rules=True)
        return gate(asked, self._project.workbench, self._project.registry)

    def _hold(self, version: Version) -> None:
        asked = MoveStage(version.model, _PRODUCTION, version.number, None, Action.STAGE_PROMOTE, "the first")
        self._project.registry.move_stage(asked, "ana")


@contextmanager
def laboratory(table: Table, folder: Path) -> Iterator[Laboratory]:
    """A laboratory in a folder that is not there yet."""
    folder.mkdir(parents=True)
    with open_project(create_project(folder)) as project:
        yield Laboratory(table, project)


@dataclass(frozen=True)
class Regression:
    """One thing that went wrong.

    Attributes:
        what: in a few words.
        rule: the rule that is meant to catch it.
        says: words that the finding's sentence must have.
        make: registers the version that has it.
        keys: of the policy, besides the rules.
        only: the tables for which it makes sense.
    """

    what: str
    rule: str
    says: str
    make: Callable[[Laboratory], Version]
    keys: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ("tumours", "digits", "diabetes")

    @property
    def policy(self) -> Policy:
        """What production asks by default, with the keys that the rule needs; nobody is timed for other rules."""
        rules = [name for name in RULES_BY_DEFAULT if name == self.rule or name != "latency"]
        return Policy(document={"gate": {"production": {"rules": rules, **self.keys}}})


def _noisy(lab: Laboratory) -> Version:
    """Nearly half of the labels are not those of their rows, as after a join on the wrong key."""
    chance = np.random.default_rng(1)
    rows, target = [dict(row) for row in lab.table.train], lab.table.target
    wrong = [place for place in range(len(rows)) if chance.random() < (0.9 if lab.table.numeric else 0.6)]
    others = chance.permutation(wrong)
    taken = [rows[place][target] for place in others]
    for place, value in zip(wrong, taken, strict=True):
        rows[place][target] = value
    return lab.add(rows)


def _one_group_hurt(lab: Laboratory) -> Version:
    """The labels of one group were exported wrongly."""
    table = lab.table
    rows = [
        {**row, table.target: row[table.target] + 150.0 if table.numeric else 1 - row[table.target]}
        if row[table.group] == table.hurt
        else row
        for row in table.train
    ]
    return lab.add(rows)


def _other_units(lab: Laboratory) -> Version:
    """Weights that learnt from one unit, and preprocessing that now gives another."""
    return lab.add(features=_OTHER_UNITS, model=lab.fitted(lab.table.train))


def _threshold_moved(lab: Laboratory) -> Version:
    """The same weights, cut off where nearly nothing is."""
    return lab.add(threshold=0.97)


def _slower(lab: Laboratory) -> Version:
    """Sixty milliseconds more, in the preprocessing."""
    return lab.add(features=_SLOW)


def _weights_of(lab: Laboratory, version: Version) -> str:
    weights = lab.manifest(version).parts.weights
    assert isinstance(weights, Weights)
    (path,) = weights.files
    return str(path)


def _weights_swapped(lab: Laboratory) -> Version:
    """The weights of another training lie where the version's own should; all else, digests too, is as it was."""
    half = lab.add(lab.table.train[: len(lab.table.train) // 2])
    return lab.changed(lab.honest, _weights_of(lab, lab.honest), lab.read(half, _weights_of(lab, half)))


def _holdout_leaked(lab: Laboratory) -> Version:
    """A tenth of the holdout was in the training data as well."""
    leaked = lab.table.holdout[: len(lab.table.holdout) // 10]
    return lab.add([*lab.table.train, *leaked])


def _library_swapped(lab: Laboratory) -> Version:
    """The lock names another scikit-learn than the one that the weights were made with."""
    environment = lab.manifest(lab.honest).evidence.environment
    assert isinstance(environment, Environment)
    lock = lab.read(lab.honest, str(environment.lock)).decode()
    lines = [line for line in lock.splitlines() if line.partition("==")[0] not in OLD]
    return lab.changed(lab.honest, str(environment.lock), "\n".join([*lines, *OLD.values(), ""]).encode())


OLD = {
    "scikit-learn": "scikit-learn==1.3.2",
    "numpy": "numpy==1.26.4",
    "scipy": "scipy==1.11.4",
}
"""A scikit-learn of some years ago, with what it needs."""

REGRESSIONS = {
    "label-noise": Regression("the labels of the training data are noise", "not_worse", "worse by", _noisy),
    "group-hurt": Regression("one group's labels are wrong", "groups", "{hurt}", _one_group_hurt),
    "other-units": Regression("preprocessing gives other units", "not_worse", "worse by", _other_units),
    "threshold-moved": Regression(
        "the threshold moved",
        "threshold",
        "0.97",
        _threshold_moved,
        {"rules_also": ["threshold"]},
        ("tumours", "digits"),
    ),
    "slower": Regression(
        "preprocessing became slow", "latency", "50 ms allowed", _slower, {"latency_ms_p95_max": 50.0}
    ),
    "weights-swapped": Regression("the weights are another training's", "smoke", "of", _weights_swapped),
    "holdout-leaked": Regression(
        "a tenth of the holdout was trained on", "leakage", "are in train.csv too", _holdout_leaked
    ),
    "library-swapped": Regression(
        "the environment has another scikit-learn", "opens", "opened by 1.3.2", _library_swapped
    ),
}
"""Each by its name."""
