"""Workers that go as far as they can: each limit stops them, and what is said names it."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.canonical import Reader
from holdfast.errors import BundleFailed, HoldfastError, Unavailable
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.confine import CORE_FILES, FILE_SIZE, FILES, MEMORY, NETWORK, PROCESSOR_TIME
from holdfast.runtime.limits import Limits
from holdfast.runtime.predictor import Predictor
from holdfast.runtime.rows import Table
from holdfast.runtime.session import PRINTED_BYTES_MAX
from tests.patience import PATIENCE_SECONDS, until
from tests.runtime.conftest import CODE, HERE, ROWS, Bundles

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.system() != "Linux", reason="other systems hold few of these limits, and say so"),
]

GOOD = Table.of_records(ROWS)


@contextmanager
def judged(files: BundleFiles, limits: Limits | None = None) -> Iterator[Predictor]:
    with Predictor.start(files, HERE, limits=limits or Limits.of_gate()) as predictor:
        yield predictor


def needs(predictor: Predictor, *walls: str) -> None:
    for wall in walls:
        if wall in predictor.hello.walls.open:
            pytest.skip(f"{wall}: {predictor.hello.walls.open[wall]}")


def doing(line: str, first: str = "") -> str:
    """Code that does something whenever it answers."""
    return (
        f"import ctypes, errno, os, socket, subprocess, sys, tempfile, time\n{first}\ndef featurise(rows):\n"
        f"    {line}\n    return [[row['age'], 0.0] for row in rows]\n"
    )


def refused(bundles: Bundles, code: str, limits: Limits | None = None) -> HoldfastError:
    """What is said of a bundle that goes too far when it is asked."""
    with judged(bundles(code), limits) as predictor:
        needs(predictor, MEMORY, FILES, NETWORK)
        with pytest.raises(HoldfastError) as error:
            predictor.predict(GOOD)
    return error.value


def test_a_worker_says_which_limits_hold(bundles: Bundles) -> None:
    with judged(bundles()) as predictor:
        walls = predictor.hello.walls
        asked = {MEMORY, FILE_SIZE, CORE_FILES, PROCESSOR_TIME, FILES, NETWORK, "other_processes"}
        assert {*walls.held, *walls.open} == asked
        assert {MEMORY, FILE_SIZE, CORE_FILES, PROCESSOR_TIME} <= {*walls.held}
        assert predictor.predict(GOOD).predictions
    with judged(bundles(), Limits()) as predictor:
        assert NETWORK not in {*predictor.hello.walls.held, *predictor.hello.walls.open}


def test_memory_past_the_limit_is_told_as_memory(bundles: Bundles) -> None:
    limits = Limits.of_gate(memory_bytes_max=512 << 20)
    error = refused(bundles, doing("held = bytearray(4 << 30)"), limits)
    assert "memory limit of 0.5 GiB was reached" in error.message
    assert "worker_memory_bytes_max" in error.hint
    with (
        pytest.raises(BundleFailed, match="memory limit of") as opening,
        judged(bundles("HELD = bytearray(4 << 30)\n" + CODE), limits),
    ):
        pass
    assert opening.value.details["limit"] == MEMORY


@pytest.mark.parametrize(
    "line",
    [
        "socket.socket(socket.AF_INET)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX)",
        "socket.create_connection(('192.0.2.1', 80), 5)",
        "__import__('urllib.request').request.urlopen('http://models.invalid/x')",
    ],
)
def test_the_network_is_refused_while_answering(bundles: Bundles, line: str) -> None:
    error = refused(bundles, doing(line))
    assert "it tried to use the network" in error.message
    assert "worker_network" in error.hint


def test_the_network_is_refused_while_opening(bundles: Bundles) -> None:
    with (
        pytest.raises(BundleFailed, match="it tried to use the network") as error,
        judged(bundles("import socket\nsocket.socket()\n" + CODE)) as predictor,
    ):
        needs(predictor, NETWORK)
    assert error.value.details["limit"] == NETWORK


def test_what_a_worker_starts_has_no_network_either(bundles: Bundles) -> None:
    line = "subprocess.run([sys.executable, '-c', 'import socket; socket.socket()'], check=True)"
    assert "CalledProcessError" in refused(bundles, doing(line)).message


@pytest.mark.parametrize(
    ("machine", "numbers"),
    [("x86_64", (41, 425, 101, 311, 438, 112, 0x40000000 + 41)), ("aarch64", (198, 425, 117, 271, 438, 157))],
)
def test_no_way_around_the_filter_of_calls_is_open(bundles: Bundles, machine: str, numbers: tuple[int, ...]) -> None:
    if platform.machine() != machine:
        pytest.skip(f"the numbers of {machine}")
    first = (
        "LIBC = ctypes.CDLL(None, use_errno=True)\n"
        f"FOUND = [(LIBC.syscall(n, 2, 1, 0, 0, 0, 0), ctypes.get_errno()) for n in {numbers}]\n"
        "assert all(one in {(-1, errno.EACCES), (-1, errno.EPERM)} for one in FOUND), FOUND"
    )
    with judged(bundles(doing("pass", first))) as predictor:
        needs(predictor, NETWORK)
        assert predictor.predict(GOOD).predictions


def test_the_network_is_there_where_it_is_allowed(bundles: Bundles) -> None:
    code = doing("socket.socket().close(); socket.socket(socket.AF_INET6).close()")
    for limits in (Limits(), Limits.of_gate(network=True)):
        with judged(bundles(code), limits) as predictor:
            assert predictor.predict(GOOD).predictions


def test_a_worker_writes_to_its_temporary_folder_and_nowhere_else(bundles: Bundles, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("before")
    ways = (
        f"open({str(mine)!r}, 'a')",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"os.remove({str(mine)!r})",
        f"os.truncate({str(mine)!r}, 0)",
        f"os.mkdir({str(tmp_path / 'folder')!r})",
        f"os.symlink('x', {str(tmp_path / 'link')!r})",
        "open(__file__, 'a')",
        "os.remove(__file__)",
    )
    for limits in (Limits(), Limits.of_gate()):
        for way in ways:
            error = refused(bundles, doing(way), limits)
            assert error.details.get("limit") == FILES, error
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("bundle-")) == ["mine.txt"]
    assert mine.read_text() == "before"
    kept = doing("f = tempfile.NamedTemporaryFile(); f.write(b'x'); open(os.devnull, 'w').write('x')")
    with judged(bundles(kept)) as predictor:
        assert predictor.predict(GOOD).predictions


def test_a_file_past_the_limit_is_told_as_a_file(bundles: Bundles) -> None:
    limits = Limits(file_bytes_max=1 << 20)
    line = "f = tempfile.TemporaryFile(buffering=0); f.write(b'x' * (1 << 20)); f.write(b'x')"
    error = refused(bundles, doing(line), limits)
    assert error.details["limit"] == FILE_SIZE


def test_processor_time_past_the_limit_is_told_as_that(bundles: Bundles) -> None:
    limits = Limits(seconds_max=PATIENCE_SECONDS, cpu_seconds_max=4)
    error = refused(bundles, doing("exec('while True: pass')"), limits)
    assert "4 s of processor time" in error.message


def test_a_crowd_of_processes_is_ended_together(bundles: Bundles) -> None:
    first = (
        "def crowd():\n    for _ in range(40):\n        "
        "if os.fork() == 0:\n            time.sleep(600)\n    time.sleep(600)"
    )
    limits = Limits.of_gate(seconds_max=PATIENCE_SECONDS)
    with judged(bundles(doing("crowd()", first)), _few(limits)) as predictor:
        session = predictor.hello.pid
        with pytest.raises(BundleFailed, match="processes at once, and 20 are allowed") as error:
            predictor.predict(GOOD)
    assert error.value.details["limit"] == "processes"
    until_none_of(session)


def _few(limits: Limits) -> Limits:
    return Limits.from_json(_reader({**limits.to_json(), "processes_max": 20}))


def _reader(value: dict[str, object]) -> Reader:
    return Reader(value, "limits")


def of_session(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def until_none_of(session: int) -> None:
    """Wait until nobody of the session is there."""
    until(lambda: not of_session(session), lambda: f"the end of {of_session(session)}")


def test_what_a_worker_leaves_behind_ends_with_it(bundles: Bundles) -> None:
    code = doing("pass", "CHILD = subprocess.Popen(['sleep', '600'])")
    with judged(bundles(code)) as predictor:
        assert len(of_session(predictor.hello.pid)) == 2
        scratch = predictor._spawned.scratch
        assert scratch.stat().st_mode & 0o777 == 0o700
        assert scratch.stat().st_uid == os.getuid()
    until_none_of(predictor.hello.pid)
    assert not scratch.exists()


def test_megabytes_of_print_are_cut_and_hold_nobody_up(bundles: Bundles, capfd: pytest.CaptureFixture[str]) -> None:
    with judged(bundles(doing("print('x' * (8 << 20))"))) as predictor:
        assert predictor.predict(GOOD).predictions
    said = capfd.readouterr().err
    assert len(said) < PRINTED_BYTES_MAX + 1000
    assert "is left out" in said


SOCKETS = """
import stat, struct
SOCKETS = []
for name in os.listdir("/proc/self/fd"):
    try:
        SOCKETS += [int(name)] if stat.S_ISSOCK(os.fstat(int(name)).st_mode) else []
    except OSError:
        pass  # the listing's own
def send(data):
    for place in SOCKETS:
        os.write(place, data)
def frame(head, body=b""):
    return struct.pack(">II", len(head), len(body)) + head + body
"""


def answering(prediction: object, score: object, classes: object = None) -> str:
    """Code that says itself what three rows are answered."""
    three = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (prediction, score)]
    listed = [b"[" + b", ".join([one] * 3) + b"]" for one in three]
    told = b'{"predictions": %s, "scores": %s, "classes": %s}' % (*listed, json.dumps(classes).encode())
    return f"send(frame(b'{{\"ok\": true}}', {told!r}))"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[os.close(place) for place in SOCKETS]; time.sleep(600)", "ended the conversation"),
        ("send(frame(b'[]'))", "no JSON object"),
        ("send(frame(b'[' * 100_000))", "nested past any use"),
        ("send(frame(b'\\xff'))", "what no answer is"),
        ("send(b'\\xff' * 8)", "passes the limits"),
        ("send(frame(b'{\"ok\": false}'))", "an error that says nothing"),
        ("send(frame(b'{\"ok\": 1}'))", "an error that says nothing"),
        ("send(frame(b'{\"ok\": true}', b'{'))", "not valid JSON"),
        ("send(frame(b'{\"ok\": true}', b'[]'))", "an object was expected"),
        ("send(frame(b'{\"ok\": true}', b'{\"predictions\": [1], \"scores\": [1]}'))", "1 predictions for 3 rows"),
        ("send(frame(b'{\"ok\": true}', b'{\"predictions\": [NaN, 1, 1], \"scores\": [1, 1, 1]}'))", "not valid JSON"),
        (answering(b"[" * 90 + b"]" * 90, 1), "nested, or larger"),
        (answering(b"9" * 400, 1), "nested, or larger"),
        (answering(b'{"a": 1}', 1), "nested, or larger"),
        (answering(1, b'{"a": 1}'), "nested, or larger"),
        (answering(1, [1, 2], ["a"]), "one for each class"),
        (answering(1, [1], [["a"]]), "no labels"),
        ("send(frame(b'{\"ok\": true}')[:-3]); os._exit(0)", "exit code 0"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)  # fmt: skip
def test_whatever_a_worker_writes_to_its_socket_is_one_error(bundles: Bundles, line: str, says: str) -> None:
    with judged(bundles(doing(line, SOCKETS))) as predictor, pytest.raises(HoldfastError, match=says):
        predictor.predict(GOOD)


def test_an_answer_that_drips_is_as_late_as_none(bundles: Bundles) -> None:
    line = "send(struct.pack('>II', 60_000, 0)); [(send(b' '), time.sleep(0.05)) for _ in range(50_000)]"
    files = bundles(doing(line, SOCKETS))
    with judged(files) as predictor:
        predictor.limits = replace(predictor.limits, seconds_max=3.0)
        with pytest.raises(Unavailable, match="within 3 s"):
            predictor.predict(GOOD)


def test_an_error_of_a_megabyte_is_believed_as_far_as_somebody_reads(bundles: Bundles) -> None:
    line = (
        'send(frame(b\'{"ok": false, "error": {"code": "bundle_failed", "message": "\' '
        '+ b\'a\' * 900_000 + b\'", "hint": "x"}}\'))'
    )
    error = refused(bundles, doing(line, SOCKETS))
    assert len(error.message) < 3000


def test_a_worker_is_told_none_of_our_settings_and_so_no_secret(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOLDFAST_TOKEN", "HOLDFAST_SIGNING_PASSPHRASE", "HOLDFAST_DATABASE_URL"):
        monkeypatch.setenv(name, "a secret")
    error = refused(bundles, doing("raise RuntimeError(sorted(n for n in os.environ if n.startswith('HOLDFAST_')))"))
    assert "HOLDFAST_" not in json.dumps(error.to_json())
    assert "RuntimeError" in error.message
