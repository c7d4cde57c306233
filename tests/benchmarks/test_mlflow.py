"""The benchmarks beside an MLflow server ask both for the same, by turns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from _mlflow_servers import MIXED, HoldfastWire, Peak, Wire, by_turns, ratio_text
from _projects import free_port

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def servers(folder: Path) -> tuple[Wire, Wire]:
    return HoldfastWire(folder, 1, folder), Wire(folder, 2, folder)


def test_every_second_round_is_in_the_reverse_order(tmp_path: Path) -> None:
    names = [server.name for server in by_turns(servers(tmp_path), 3)]
    assert names == ["holdfast", "mlflow", "mlflow", "holdfast", "holdfast", "mlflow"]


def test_both_are_sent_the_same_bytes(tmp_path: Path) -> None:
    ours, theirs = servers(tmp_path)
    for server in (ours, theirs):
        server._runs += ["a" * 32, "b" * 32]
    for _ in MIXED:
        assert ours.mixed(1).replace(b"127.0.0.1:1", b"") == theirs.mixed(1).replace(b"127.0.0.1:2", b"")
    assert ours.upload(0).split(b"\r\n\r\n")[1] == theirs.upload(0).split(b"\r\n\r\n")[1]


def test_clients_of_the_mixture_begin_at_different_places(tmp_path: Path) -> None:
    ours, _ = servers(tmp_path)
    ours._runs += ["a" * 32] * 16
    begun = {ours.mixed(client).split(b" HTTP", 1)[0] for client in range(10)}
    assert len(begun) > len(set(MIXED)) - 1


def test_a_ratio_needs_two() -> None:
    assert ratio_text([0.5, 2.0]) == "4.0x"
    assert not ratio_text([0.5])


def test_a_peak_is_no_less_than_what_was_before(tmp_path: Path) -> None:
    class Own(HoldfastWire):
        def processes(self) -> list[int]:
            return [os.getpid()]

    with Peak(Own(tmp_path, 1, tmp_path)) as peak:
        held = bytearray(b"x") * 50_000_000
    assert peak.bytes >= peak.before > 0
    assert len(held) == 50_000_000


@pytest.mark.slow
def test_a_server_is_asked_in_mlflows_words_where_its_peer_is_missing(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    command = [sys.executable, str(BENCHMARKS / "mlflow_http.py"), "--quick", "--seconds", "0.1", "--json", str(found)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    asked = [*command, "--port", str(free_port()), "--peers", str(tmp_path / "nowhere")]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads(found.read_text())["steps"]
    assert all(step["servers"]["holdfast"]["per_second"] > 0 for step in steps)
    assert "mixture" in {step["step"] for step in steps}
