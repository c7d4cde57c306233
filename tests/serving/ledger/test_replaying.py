"""A decision is computed again: by the same bundle, and by nothing that only looks like it."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from holdfast.errors import Archived, IntegrityError, NotFound, UsageError
from holdfast.names import ByNumber, Reference
from holdfast.registry import NewArchive, NewVersion
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Interpreter
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.sent import Sent
from holdfast.runtime.shapes import INVOCATIONS, PREDICT, V2
from holdfast.serving.ledger.finding import Found, Wanted
from holdfast.serving.ledger.replaying import Bench, replay
from holdfast.serving.observing import Observed
from holdfast.serving.settings import LedgerSettings
from holdfast.store.local import LocalStore
from tests.serving.building import MODEL, ROWS, Built, build, here, with_code
from tests.serving.ledgers import ALL, World
from tests.store.spoiling import spoil

pytestmark = pytest.mark.slow

ASKED = {
    INVOCATIONS: json.dumps({"dataframe_records": ROWS[:3]}).encode(),
    V2: json.dumps(
        {
            "id": "mine",
            "inputs": [
                {"name": name, "shape": [3], "datatype": kind, "data": [row[name] for row in ROWS[:3]]}
                for name, kind in (("age", "FP64"), ("calls", "INT64"), ("plan", "BYTES"), ("sleep", "FP64"))
            ],
        }
    ).encode(),
}

LIBRARY = """
import numpy as np
import pricing

def featurise(rows):
    return np.array([[row["age"] * pricing.FACTOR, row["calls"], row["plan"] == "basic"] for row in rows], dtype=float)
"""


class Served(NamedTuple):
    """A bundle, and what it answered as version 2."""

    built: Built
    answers: dict[str, bytes]


class Case(NamedTuple):
    """A bundle that is served, and what reads its ledger.

    Attributes:
        world: the project's ledger, whose version is the bundle.
        served: the bundle.
        bench: asks it again, with the library of then unless a test says otherwise.
    """

    world: World
    served: Served
    bench: Callable[..., Bench]


def asked_with(folder: Path, factor: float = 1.0) -> Callable[[BundleFiles, int], AbstractContextManager[Predictor]]:
    """An opener whose environment has the library at one version."""
    libraries = folder / f"libraries-{factor}"
    (libraries / f"pricing-{factor}.dist-info").mkdir(parents=True, exist_ok=True)
    (libraries / "pricing.py").write_text(f"FACTOR = {factor}\n")
    search = os.pathsep.join([here().variables["PYTHONPATH"], str(libraries)])

    @contextmanager
    def opener(files: BundleFiles, number: int) -> Iterator[Predictor]:
        python = Interpreter(Path(sys.executable), {"PYTHONPATH": search})
        with Predictor.start(files, python, version=number) as opened:
            yield opened

    return opener


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A bundle whose preprocessing leans on a library outside of it."""
    folder = tmp_path_factory.mktemp("bundle")
    built = with_code(build(folder / "bundle", 1), LIBRARY)
    with asked_with(folder)(built.files, 2) as opened:
        return Served(built, {shape: opened.answer(shape, request) for shape, request in ASKED.items()})


@pytest.fixture
def case(world: World, served: Served, tmp_path: Path) -> Case:
    with world.store.writer() as writer:
        for path in sorted(served.built.files.root.rglob("*")):
            if path.is_file():
                writer.add_file(path)
        writer.commit()
    version = world.registry.register(NewVersion(MODEL, served.built.digest, True, ()), "ana", "the second")

    def bench(factor: float = 1.0) -> Bench:
        return Bench(world.registry, world.store, tmp_path / "cache", asked_with(tmp_path, factor))

    return Case(replace(world, version=version), served, bench)


def decided(
    case: Case, shape: str = INVOCATIONS, settings: LedgerSettings = ALL, refused: tuple[bytes, str] | None = None
) -> Found:
    """A decision of the bundle, out of the ledger; or one on a request that was refused with an error."""
    world, (request, error) = case.world, refused or (ASKED[shape], None)
    answer = None if error else case.served.answers[shape]
    observed: Observed = world.observed("r1", asked=request, error=error)
    world.recorded([observed._replace(shape=shape, answer=answer)], settings)
    (found,) = world.ledger().decisions_of("r1", Wanted())
    return found


@pytest.mark.parametrize("shape", [INVOCATIONS, V2])
def test_the_same_bundle_gives_the_same_answer_to_the_byte(case: Case, shape: str) -> None:
    found = decided(case, shape)
    replayed = replay(found, case.bench())
    assert (replayed.same, replayed.exact, replayed.differs, replayed.output) == (True, True, (), found.decision.output)


def test_rows_that_were_sent_as_csv_are_asked_as_csv(case: Case) -> None:
    sent, request = Sent("csv", "csv"), b"age,calls,plan,sleep\n18.0,0,plus,0.0\n99.5,3,basic,0.0\n"
    with case.bench().opener(case.served.built.files, 2) as opened:
        answer = cast("Predictor", opened).answer(PREDICT, request, sent)
    observed = case.world.observed("r1", asked=request)._replace(shape=PREDICT, answer=answer, sent=sent)
    case.world.recorded([observed])
    (found,) = case.world.ledger().decisions_of("r1", Wanted())
    assert found.decision.form == sent
    assert replay(found, case.bench()).exact


def test_another_version_of_a_library_is_seen(case: Case) -> None:
    replayed = replay(decided(case), case.bench(factor=10.0))
    assert (replayed.same, replayed.exact) == (False, False)
    assert replayed.differs
    assert all(place.startswith("predictions[") and " then, " in place for place in replayed.differs)


def test_an_error_is_computed_again_too(case: Case) -> None:
    refused = decided(case, refused=(b'{"dataframe_records": [{"age": "old"}]}', "invalid_input"))
    assert replay(refused, case.bench()).same
    found = replace(refused, decision=replace(refused.decision, error="bundle_failed"))
    assert replay(found, case.bench()).differs == ("error: bundle_failed then, invalid_input now",)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (LedgerSettings(keep="all", inputs="hashed"), "hashed"),
        (LedgerSettings(keep="all", redact=("plan",)), "redacted"),
    ],
)
def test_an_input_that_was_not_kept_whole_has_to_be_given_and_is_checked(
    case: Case, settings: LedgerSettings, kept: str
) -> None:
    found = decided(case, settings=settings)
    with pytest.raises(UsageError, match=f"it is {kept}"):
        replay(found, case.bench())
    with pytest.raises(UsageError, match="not the input of that decision"):
        replay(found, case.bench(), ASKED[INVOCATIONS] + b" ")
    assert replay(found, case.bench(), ASKED[INVOCATIONS]).exact


def test_an_input_of_which_nothing_was_kept_cannot_be_given(case: Case) -> None:
    found = decided(case, settings=LedgerSettings(keep="all", inputs="none"))
    with pytest.raises(UsageError, match="keeps nothing of this input"):
        replay(found, case.bench(), ASKED[INVOCATIONS])


def test_an_input_that_was_changed_in_the_row_is_not_asked(case: Case) -> None:
    found = decided(case)
    with pytest.raises(UsageError, match="does not have the whole input"):
        replay(replace(found, decision=replace(found.decision, input=b"{}")), case.bench())


def test_a_bundle_that_was_changed_is_not_opened(case: Case) -> None:
    found = decided(case)
    entry = next(one for one in case.served.built.files.manifest.files if str(one.path) == "weights/model.joblib")
    spoil(cast("LocalStore", case.world.store), entry.digest, b"other weights")
    with pytest.raises((IntegrityError, NotFound)):
        replay(found, case.bench())


def test_an_archived_bundle_is_told_as_archived(case: Case) -> None:
    found = decided(case)
    version = case.world.version
    empty = replace(case.bench(), store=World.of(_folder(case.world.home / "empty")).store)
    what = Reference(MODEL, ByNumber(version.number))
    case.world.registry.archive(NewArchive(what, "cold", "s3://cold", 1, 1), "ana")
    with pytest.raises(Archived) as refused:
        replay(found, empty)
    assert "holdfast restore churn@2" in refused.value.hint


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_numbers_within_the_tolerance_are_the_same_and_true_is_not_one(case: Case) -> None:
    found = decided(case)
    near = json.loads(found.decision.output or b"")
    for output, same in (
        ({**near, "predictions": [float(one) + 1e-9 for one in near["predictions"]]}, True),
        ({**near, "predictions": [float(one) + 1e-3 for one in near["predictions"]]}, False),
        ({**near, "predictions": [True, *near["predictions"][1:]]}, False),
        ({**near, "predictions": near["predictions"][1:]}, False),
        ({**near, "more": 1}, False),
    ):
        changed = replace(found, decision=replace(found.decision, output=json.dumps(output).encode()))
        replayed = replay(changed, case.bench())
        assert (replayed.same, replayed.exact) == (same, False)
