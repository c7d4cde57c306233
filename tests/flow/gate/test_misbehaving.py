"""A version that behaved when it was registered and does not any more: the gate always ends, with a finding."""

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.flow.bundle.assemble import Ingredients
from holdfast.flow.gate import Outcome, Policy, gate
from holdfast.flow.register import register
from holdfast.flow.snapshot import snapshot
from holdfast.parts import DataInput
from holdfast.parts.data_slice import TRAIN
from holdfast.wire import Project, open_project
from tests.blank import blank_project
from tests.projects import CHURN, HOLDOUT_ROWS, TARGET, TRAIN_ROWS, ask, write_csv
from tests.projects import trained as model_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.system() != "Linux", reason="other systems hold few of these limits, and say so"),
]

FEATURES = """
import os, socket, stat, struct, subprocess, sys, time
PLACE = {place!r}
def obey(place):
    if os.path.exists(place):
        exec(open(place).read())
    return place
OPENED = obey(PLACE + ".opening")
def featurise(rows):
    assert OPENED
    obey(PLACE)
    return [[row["age"]] for row in rows]
"""

SOCKET = """
for name in os.listdir("/proc/self/fd"):
    try:
        if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
            os.write(int(name), WHAT) if WHAT else os.close(int(name))
    except OSError:
        pass
time.sleep(600)
"""

POLICY = Policy.parse(
    '[gate.production]\nrules = ["opens", "smoke"]\nworker_seconds_max = 30\nworker_memory_bytes_max = 2147483648',
    where="policy",
)


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Path]]:
    """churn@1, and the file whose text its preprocessing runs."""
    folder = tmp_path_factory.mktemp("turning")
    place = folder / "orders"
    with open_project(blank_project(folder)) as project:
        write_csv(folder / "data/train.csv", TRAIN_ROWS)
        (folder / "features.py").write_text(FEATURES.format(place=str(place)))
        frozen = snapshot(project.store, folder / "data/train.csv", root=folder)
        given = Ingredients(
            name=CHURN,
            project=folder,
            model=model_of(1),
            preprocessing="features.py:featurise",
            threshold=0.5,
            holdout=HOLDOUT_ROWS,
            target=TARGET,
            metric="f1",
            inputs=(DataInput(TRAIN, "train.csv", frozen.digest, frozen.files, frozen.bytes),),
        )
        register(given, project.workshop, project.registry, actor="ana")
        yield project, place


ORDERS = {
    "memory": ("bytearray(8 << 30)", "memory limit of 2 GiB"),
    "hangs": ("time.sleep(600)", "within 30 s"),
    "crowd": ("[os.fork() or time.sleep(600) for _ in range(300)]; time.sleep(600)", "processes at once, and 256"),
    "network": ("socket.create_connection(('192.0.2.1', 80))", "use the network"),
    "files": ("open(PLACE, 'w')", "temporary folder"),
    "exits": ("os._exit(0)", "exit code 0"),
    "killed": ("os.kill(os.getpid(), 9)", "signal 9"),
    "closes": (f"WHAT = b''\n{SOCKET}", "ended the conversation"),
    "garbage": (f"WHAT = struct.pack('>II', 2, 0) + b'[]'\n{SOCKET}", "no JSON object"),
}
"""What its code does from one day on, and what is said of it."""

ANSWERING, OPENING = "", ".opening"


@pytest.mark.parametrize(
    ("what", "when"),
    [(what, ANSWERING) for what in ORDERS] + [(what, OPENING) for what in ("memory", "network", "exits", "garbage")],
)
def test_whatever_a_version_does_the_gate_ends_with_a_finding_that_says_it(
    turning: tuple[Project, Path], what: str, when: str
) -> None:
    (project, place), (orders, says) = turning, ORDERS[what]
    told = place.with_name(place.name + when)
    told.write_text(orders)
    try:
        verdict = gate(ask(1, policy=POLICY), project.workbench, project.registry)
    finally:
        told.unlink()
    opens = next(finding for finding in verdict.findings if finding.rule == "opens")
    assert verdict.outcome is not Outcome.PASS
    assert says in opens.sentence, opens
    assert opens.hint
    assert project.registry.verdict(verdict.digest).body["outcome"] == str(verdict.outcome)


def test_and_one_that_behaves_again_passes_with_megabytes_of_print(
    turning: tuple[Project, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    project, place = turning
    place.write_text("print('x' * (4 << 20))")
    try:
        assert gate(ask(1, policy=POLICY), project.workbench, project.registry).outcome is Outcome.PASS
    finally:
        place.unlink()
    assert len(capfd.readouterr().err) < 2 << 20
