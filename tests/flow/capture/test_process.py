import json
import os
import pty
import select
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.canonical import encode
from holdfast.errors import UsageError
from holdfast.flow.capture import Capture, requirements_lock, run_command
from holdfast.flow.capture import process as process_module
from holdfast.flow.capture.process import HOOK_FOLDER
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow
SOURCES = Path(__file__).parents[3] / "src"


def script(folder: Path, text: str, name: str = "train.py") -> list[str]:
    (folder / name).write_text(textwrap.dedent(text))
    return [sys.executable, name]


def names(files: object) -> list[str]:
    return [Path(file.path).name for file in files]  # type: ignore[attr-defined]


TRAINING = """
    import csv, json, random, sys
    random.seed(7)
    with open("data/train.csv") as stream:
        rows = list(csv.reader(stream))
    import numpy
    numpy.random.seed(8)
    with open("model.json", "w") as stream:
        json.dump(rows, stream)
"""


def test_an_unchanged_script_is_captured(repository: Path) -> None:
    (repository / "data").mkdir()
    (repository / "data" / "train.csv").write_text("a,y\n1,0\n")
    (repository / "requirements.txt").write_text("numpy\n")
    argv = [*script(repository, TRAINING), "--lr", "0.1", "--token", "hunter2"]
    capture = run_command(argv, folder=repository, extra_environment={"OMP_NUM_THREADS": "3", "API_KEY": "hunter2"})
    assert capture.exit_code == 0
    assert capture.killed_by is None
    assert capture.argv == (sys.executable, "train.py", "--lr", "0.1", "--token", "[redacted]")
    assert names(capture.inputs) == ["train.csv"]
    assert names(capture.outputs) == ["model.json"]
    assert [(call.name, call.value) for call in capture.seeds.calls] == [("random.seed", 7), ("numpy.random.seed", 8)]
    assert capture.interpreter["prefix"] == sys.prefix
    assert [one.name for one in capture.used] == ["numpy"]
    assert requirements_lock(capture).startswith("numpy==")
    assert capture.environment["OMP_NUM_THREADS"] == "3"
    assert [lock.path for lock in capture.locks] == ["requirements.txt"]
    assert (capture.code.state, capture.code.dirty, capture.processes) == ("git", True, 1)
    assert capture.notes == ()
    assert "hunter2" not in str(capture.to_json())
    assert Capture.from_json(capture.to_json()) == capture
    encode(capture.to_json())


def test_the_code_is_that_of_the_beginning(repository: Path) -> None:
    capture = run_command(
        script(repository, "open('late.py', 'w').write('x = 1')"), folder=repository, clock=lambda: datetime.now(UTC)
    )
    assert [file.path for file in capture.code.untracked] == []
    assert capture.code.changed == ("train.py",)


@pytest.mark.parametrize(
    ("text", "code"),
    [("raise SystemExit(3)", 3), ("raise ValueError('x')", 1), ("import os; os._exit(4)", 4), ("pass", 0)],
)
def test_the_exit_code_is_the_commands_own(tmp_path: Path, text: str, code: int) -> None:
    (tmp_path / "a.csv").touch()
    capture = run_command(script(tmp_path, f"open('a.csv')\n{text}"), folder=tmp_path)
    assert (capture.exit_code, names(capture.inputs)) == (code, ["a.csv"])
    assert capture.packages


def test_a_killed_process_leaves_what_it_saw(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    argv = script(tmp_path, "import os\nopen('a.csv')\nopen('b.csv', 'w')\nos.kill(os.getpid(), 9)")
    capture = run_command(argv, folder=tmp_path)
    assert (capture.exit_code, capture.killed_by) == (137, "SIGKILL")
    assert (names(capture.inputs), names(capture.outputs)) == (["a.csv"], ["b.csv"])
    assert any("without a last word" in note for note in capture.notes)
    assert any("afterwards" in note for note in capture.notes)
    assert capture.interpreter["prefix"] == sys.prefix
    assert (capture.used, capture.processes) == ((), 1)


FORK = """
    import os
    if os.fork() == 0:
        open("a.csv")
        os._exit(0)
    os.wait()
"""
PROCESS = """
    import multiprocessing
    process = multiprocessing.get_context("fork").Process(target=open, args=("a.csv",))
    process.start()
    process.join()
"""
POOL = """
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply(exec, ("open('a.csv').close()",))
"""
CHILD = """
    import subprocess, sys
    subprocess.run([sys.executable, "-c", "open('a.csv')"], check=True)
"""
EXEC = """
    import os, sys
    os.execv(sys.executable, [sys.executable, "-c", "open('a.csv')"])
"""


@pytest.mark.parametrize("text", [FORK, PROCESS, POOL, CHILD, EXEC], ids=["fork", "process", "pool", "child", "exec"])
def test_processes_that_python_starts_tell_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").touch()
    capture = run_command(script(tmp_path, text), folder=tmp_path)
    assert capture.exit_code == 0
    assert names(capture.inputs) == ["a.csv"]


def test_python_behind_a_shell_is_captured(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    script(tmp_path, "open('a.csv')")
    capture = run_command(["sh", "-c", f"{sys.executable} train.py; exit 5"], folder=tmp_path)
    assert (capture.exit_code, names(capture.inputs), capture.processes) == (5, ["a.csv"], 1)


def test_what_one_process_writes_for_another_is_no_input(tmp_path: Path) -> None:
    script(tmp_path, "open('features.csv', 'w').write('x')", "prepare.py")
    script(tmp_path, "open('features.csv').read()")
    capture = run_command(["sh", "-c", f"{sys.executable} prepare.py && {sys.executable} train.py"], folder=tmp_path)
    assert (names(capture.inputs), names(capture.outputs)) == ([], ["features.csv"])


def test_a_command_without_python_is_run_and_noted(tmp_path: Path) -> None:
    capture = run_command(["true"], folder=tmp_path)
    assert (capture.exit_code, capture.processes, capture.packages) == (0, 0, ())
    assert "no Python process" in capture.notes[0]


def test_isolated_python_is_noted_and_asked_afterwards(tmp_path: Path) -> None:
    capture = run_command([sys.executable, "-I", "-c", "pass"], folder=tmp_path)
    assert capture.exit_code == 0
    assert capture.packages
    assert any("isolated" in note for note in capture.notes)


def test_a_file_named_in_the_command_that_python_did_not_open_is_noted(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.csv", "c.csv"):
        (tmp_path / name).touch()
    argv = [*script(tmp_path, "open('b.csv')"), "--data", "a.parquet", "--more=b.csv", f"{tmp_path}/c.csv"]
    notes = run_command(argv, folder=tmp_path).notes
    assert [note.split()[0] for note in notes] == ["a.parquet", f"{tmp_path}/c.csv"]


@pytest.mark.parametrize("argv", [[], ["holdfast-no-such-command"], ["/etc/passwd"], ["/"]])
def test_a_command_that_cannot_start_is_a_usage_error(tmp_path: Path, argv: list[str]) -> None:
    with pytest.raises(UsageError):
        run_command(argv, folder=tmp_path)


def test_a_folder_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run_command(["true"], folder=tmp_path / "absent")


SEEDED = """
    import json, os, random, sys
    import numpy
    json.dump([random.random(), numpy.random.random(), os.environ["PYTHONHASHSEED"], os.environ["HOLDFAST_RUN"]],
              open("drawn.json", "w"))
"""


def test_a_seed_that_is_asked_for_makes_the_run_repeat(tmp_path: Path) -> None:
    drawn = []
    for _ in range(2):
        capture = run_command(script(tmp_path, SEEDED), folder=tmp_path, seed=2**32 + 5, run="r-1")
        drawn.append(json.loads((tmp_path / "drawn.json").read_text()))
    assert drawn[0] == drawn[1]
    assert drawn[0][2:] == ["5", "r-1"]
    assert (capture.seeds.asked, capture.seeds.hash_seed) == (2**32 + 5, "5")
    assert {call.name for call in capture.seeds.calls if call.by_holdfast} == {"random.seed", "numpy.random.seed"}


def test_the_process_sees_the_world_as_without_us(tmp_path: Path) -> None:
    probe = """
        import json, sys
        print(json.dumps([sys.argv, sys.path, sorted(n for n in sys.modules if "holdfast" in n), sys.flags.isolated]))
    """
    argv = [*script(tmp_path, probe), "x"]
    plain = subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True)
    driver = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(SOURCES)!r})
        from holdfast.flow.capture import run_command
        run_command({argv!r}, folder=Path.cwd())
    """
    hooked = subprocess.run(
        script(tmp_path, driver, "driver.py"), cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert (hooked.stdout, hooked.stderr) == (plain.stdout, plain.stderr)


def hooked(folder: Path, *argv: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(filter(None, [str(HOOK_FOLDER), environment.pop("PYTHONPATH", "")]))
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run(
        [sys.executable, *argv], cwd=folder, env=variables, check=False, capture_output=True, text=True
    )


def test_another_sitecustomize_still_runs(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "journals").mkdir()
    (tmp_path / "theirs" / "sitecustomize.py").write_text("import sys\nsys.theirs = __file__\nVALUE = 5\n")
    done = hooked(
        tmp_path,
        "-c",
        "import sys, sitecustomize; print(sys.theirs == sitecustomize.__file__, sitecustomize.VALUE)",
        PYTHONPATH=str(tmp_path / "theirs"),
        HOLDFAST_CAPTURE=str(tmp_path / "journals"),
    )
    assert (done.stdout, done.stderr, done.returncode) == ("True 5\n", "", 0)
    assert len(list((tmp_path / "journals").iterdir())) == 1


def test_an_error_in_another_sitecustomize_is_told_as_python_tells_it(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "sitecustomize.py").write_text("raise RuntimeError('theirs')\n")
    done = hooked(tmp_path, "-c", "print(1)", PYTHONPATH=str(tmp_path / "theirs"))
    assert done.stdout == "1\n"
    assert "RuntimeError: theirs" in done.stderr


@pytest.mark.parametrize("folder", ["", "/nonexistent/folder", "/etc/passwd"])
def test_a_journal_that_cannot_be_written_is_not_felt(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a.csv").touch()
    done = hooked(tmp_path, "-c", "open('a.csv').close(); print('done')", HOLDFAST_CAPTURE=folder)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_a_seed_that_is_no_number_is_not_felt_and_noted(tmp_path: Path) -> None:
    (tmp_path / "journals").mkdir()
    done = hooked(tmp_path, "-c", "print('done')", HOLDFAST_CAPTURE=str(tmp_path / "journals"), HOLDFAST_SEED="seven")
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
    (journal,) = (tmp_path / "journals").iterdir()
    assert "ValueError" in journal.read_text()


def test_the_users_files_named_like_the_standard_library_do_not_run_because_of_us(tmp_path: Path) -> None:
    (tmp_path / "journals").mkdir()
    for name in ("json", "re", "csv", "platform", "random", "atexit", "email"):
        (tmp_path / f"{name}.py").write_text("print('ran')\n")
    script(tmp_path, "print('done')")
    done = hooked(tmp_path, "train.py", HOLDFAST_CAPTURE=str(tmp_path / "journals"))
    assert (done.stdout, done.stderr) == ("done\n", "")
    (journal,) = (tmp_path / "journals").iterdir()
    assert [json.loads(line)["kind"] for line in journal.read_text().splitlines()] == ["start", "end"]


DRIVER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {sources!r})
    from holdfast.flow.capture import run_command
    capture = run_command([sys.executable, "child.py"], folder=Path.cwd())
    print("captured", capture.exit_code, capture.killed_by, flush=True)
"""
PATIENT = f"""
    import signal, sys, time
    seen = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: seen.append(signal.Signals(number).name))
    print("ready", flush=True)
    end = time.monotonic() + {PATIENCE_SECONDS}
    while not seen and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.3)
    print("seen", *seen, flush=True)
    sys.exit(6)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_to_us_reach_the_command(tmp_path: Path, number: signal.Signals) -> None:
    script(tmp_path, PATIENT, "child.py")
    argv = script(tmp_path, DRIVER.format(sources=str(SOURCES)), "driver.py")
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"seen {number.name}\ncaptured 6 None\n"
    assert process.returncode == 0


def test_a_signal_before_the_command_is_there_reaches_it_then(tmp_path: Path) -> None:
    child = process_module._Child()
    child.pass_on(signal.SIGTERM, None)
    with subprocess.Popen(["sleep", "20"]) as process:
        child.started(process)
    assert process.returncode == -signal.SIGTERM


def test_the_terminals_interrupt_reaches_the_command_once(tmp_path: Path) -> None:
    script(tmp_path, PATIENT, "child.py")
    argv = script(tmp_path, DRIVER.format(sources=str(SOURCES)), "driver.py")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execv(argv[0], argv)  # noqa: S606 - the child of a terminal of our own
    said = b""
    end = time.monotonic() + PATIENCE_SECONDS
    while b"captured 6 None" not in said and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 1000)
        if said.endswith(b"ready\r\n"):
            os.write(terminal, b"\x03")
            said += b"(pressed)"
    os.waitpid(child, 0)
    os.close(terminal)
    assert said.count(b"SIGINT") == 1
    assert b"captured 6 None" in said


@pytest.mark.parametrize("first", ["", "import json, re\n"])
def test_a_script_that_is_interrupted_ends_as_python_ends(tmp_path: Path, first: str) -> None:
    script(tmp_path, f"{first}print('ready', flush=True)\nimport time\ntime.sleep(20)", "child.py")
    argv = script(tmp_path, DRIVER.format(sources=str(SOURCES)), "driver.py")
    with subprocess.Popen(
        argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said, trace = process.communicate(timeout=PATIENCE_SECONDS)
    assert said == "captured 130 SIGINT\n"
    assert "KeyboardInterrupt" in trace
