"""Running a function of a project's own in a process of its own, and taking nothing on trust that comes back.

    program = of_file(project, RelativePath("gates/fairness.py"), "check")
    program.digest                                  of the bytes that will run, and no others
    call(program, {"op": "check", "case": …}).value

The process has the limits of a worker that nobody relies on yet (`confine.py`): on time, memory and processes, no
network, and one empty folder to write to. It has none of our variables, and so no token, and modules from what is
installed alone: a file that leaned on its neighbours would not be said by its digest. Whatever it does, what comes back
is a JSON value, or an error that says what happened.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import IO

from holdfast.canonical import Json, JsonObject, decode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import Unavailable, UnsupportedFormat, UsageError
from holdfast.names import RelativePath
from holdfast.runtime.limits import PROCESSES_MAX, Limits
from holdfast.runtime.session import end_session, processes_in
from holdfast.store.disk import refusing

__all__ = [
    "ANSWER_BYTES_MAX",
    "MEMORY_BYTES_MAX",
    "SECONDS_MAX",
    "SOURCE_BYTES_MAX",
    "Program",
    "call",
    "of_file",
    "of_module",
]

SECONDS_MAX = 60.0
"""A hundred thousand rows take a second in plain Python; loading a library of numbers takes three."""

MEMORY_BYTES_MAX = 2 << 30
"""A hundred thousand rows of thirty values take half a gigabyte as mappings of Python."""

SOURCE_BYTES_MAX = 1 << 20
"""A module that somebody is to review."""

ANSWER_BYTES_MAX = 32 << 20
"""A million costs as JSON; the values of a finding have a limit of their own."""

FILE_BYTES_MAX = ANSWER_BYTES_MAX
"""What it prints goes into files as its answer does, and no file that it writes may be longer."""

_LOOK_SECONDS = 0.2
"""How often its processes are counted; a fork bomb makes some thousands meanwhile, and all are ended at once."""

_SHOWN_CHARACTERS_MAX = 200
"""The beginning of what was printed, or the end of what was complained about: enough to find the line."""

_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Variables that an interpreter needs to be itself. Tokens and passwords are among the others."""

_FIXED = {
    "PYTHONHASHSEED": "0",  # the same case, judged again, iterates its sets in the same order
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Program:
    """Source code and the name of a function in it.

    Attributes:
        name: as people know it, such as `gates/fairness.py`.
        module: the name under which it is imported; a module of a distribution can import its neighbours by it.
        text: its bytes; what runs is these, whatever the file holds by then.
        function: its name, with dots where it belongs to a class.
        installed: whether it is a module of what is installed, and not a file by itself.
    """

    name: str
    module: str
    text: bytes
    function: str
    installed: bool = False

    @property
    def digest(self) -> Digest:
        """Of the bytes that run."""
        return hash_bytes(self.text)


def of_file(project: Path, file: RelativePath, function: str) -> Program:
    """The program in a file of the project.

    Raises:
        UsageError: there is no such file in the project, it leads out of it, or is no source code.
        PermissionRefused: it cannot be read.
    """
    root, wanted = project.resolve(), project / str(file)
    try:
        real = wanted.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"{file} is not in the project", hint=f"Write it, or mend the path; it is looked for in {project}."
        ) from error
    if not real.is_relative_to(root):
        raise UsageError(
            f"{file} leads out of the project, to {real}", hint="Put the file itself into the project, under Git."
        )
    return Program(str(file), f"project_{real.stem}", _source(real, str(file)), function)


def of_module(module: str, function: str) -> Program:
    """The program in an installed module, which is looked up and not imported.

    Raises:
        UsageError: it is not installed, or has no source code.
        PermissionRefused: it cannot be read.
    """
    spec = _spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise UsageError(f"no module {module} with source code is installed", hint="Install its distribution here.")
    return Program(module, module, _source(Path(spec.origin), module), function, installed=True)


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is, as the import system finds it. `find_spec` of importlib would run the packages above it."""
    paths = None
    found = None
    for depth in range(module.count(".") + 1):
        name = ".".join(module.split(".")[: depth + 1])
        finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
        found = next((spec for finder in finders if (spec := finder.find_spec(name, paths)) is not None), None)
        if found is None:
            return None
        paths = found.submodule_search_locations
    return found


def _source(path: Path, name: str) -> bytes:
    with refusing(path):
        if not path.is_file():
            raise UsageError(f"{name} is not a file", hint="Name the file of Python that holds the function.")
        with path.open("rb") as stream:
            text = stream.read(SOURCE_BYTES_MAX + 1)
    if len(text) > SOURCE_BYTES_MAX:
        raise UsageError(f"{name} has more than {SOURCE_BYTES_MAX} bytes", hint="A rule is a page that people review.")
    return text


def call(
    program: Program,
    request: JsonObject,
    *,
    seconds_max: float = SECONDS_MAX,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> Json:
    """What the function answers.

    Args:
        program: the function.
        request: what `project_worker` hands to it.
        seconds_max: how long it may take; then it is ended, with all that it started.
        memory_bytes_max: the private memory that it may use, each of its processes.

    Raises:
        Unavailable: it took too long.
        UsageError: it raised, started too many processes, printed, ended without an answer, or answered what is no
            JSON value.
        NoSpace, PermissionRefused: the operating system refused files or a process for it.
    """
    asked = {
        "program": {**_told(program), "text": program.text.decode("latin-1")},
        "limits": Limits(
            memory_bytes_max=memory_bytes_max,
            seconds_max=seconds_max,
            cpu_seconds_max=int(seconds_max) + 1,  # of what ran away from its parent's clock
            file_bytes_max=FILE_BYTES_MAX,
            network=False,
            untrusted=True,
        ).to_json(),
        "request": request,
    }
    with refusing(Path(tempfile.gettempdir())), ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-", ignore_cleanup_errors=True))
        question, answer, printed, complained = (held.enter_context(tempfile.TemporaryFile()) for _ in range(4))
        question.write(json.dumps(asked, separators=(",", ":")).encode())
        question.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-m", "holdfast.runtime.project_worker", str(answer.fileno())],
            stdin=question,
            stdout=printed,
            stderr=complained,
            pass_fds=[answer.fileno()],
            cwd=folder,
            env=_variables(os.environ, folder),
            start_new_session=True,
        )
        code = _ended(process, seconds_max)
        said, wrote, complaint = (_whole(stream) for stream in (answer, printed, complained))
    if code is None:
        raise Unavailable(
            f"{program.name} did not answer within {seconds_max:g} s, and was ended",
            hint="Look at what it waits for, or give it a larger seconds_max.",
            seconds_max=seconds_max,
        )
    return _answer(program, code, _shown(wrote[:_SHOWN_CHARACTERS_MAX]), said, complaint)


def _told(program: Program) -> JsonObject:
    return {
        "name": program.name,
        "module": program.module,
        "function": program.function,
        "installed": program.installed,
    }


def _variables(ours: Mapping[str, str], folder: str) -> dict[str, str]:
    found = {name: ours[name] for name in _KEPT if name in ours} | _FIXED | {"TMPDIR": folder}
    folders = [Path(entry) for entry in ours.get("PYTHONPATH", "").split(os.pathsep) if entry]
    # Of plain sources only Holdfast's own: what is installed has a version, and what is not is the project.
    kept = [one for one in folders if (one / "holdfast" / "runtime").is_dir() or any(one.glob("*.dist-info"))]
    return found | {"PYTHONPATH": os.pathsep.join(str(one.absolute()) for one in kept)}


def _ended(process: "subprocess.Popen[bytes]", seconds_max: float) -> int | None:
    """The exit code; None where it took too long, or too many processes. What it started does not outlive it."""
    deadline = time.monotonic() + seconds_max
    try:
        while process.poll() is None and (left := deadline - time.monotonic()) > 0:
            if (processes_in(process.pid) or 0) > PROCESSES_MAX:
                raise UsageError(
                    f"it had more than {PROCESSES_MAX} processes, and was ended", hint="Do the work in one process."
                )
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(left, _LOOK_SECONDS))
        return process.poll()
    finally:
        end_session(process, 0.0)


def _whole(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read(FILE_BYTES_MAX)


def _shown(text: bytes) -> str:
    """What somebody else's code wrote, fit to stand in a sentence."""
    return " ".join("".join(c if c.isprintable() else " " for c in text.decode(errors="replace")).split())


def _answer(program: Program, code: int, printed: str, answer: bytes, complained: bytes) -> Json:
    if printed:
        raise UsageError(
            f"{program.name} printed {printed!r}",
            hint="A finding says what was found in its sentence and its values; take the print out.",
        )
    if not answer:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        said = _shown(complained[-_SHOWN_CHARACTERS_MAX:])
        raise UsageError(
            f"{program.name} ended without an answer, {how}{f': {said}' if said else ''}",
            hint="A signal 9 or 6 is usually a lack of memory; memory_bytes_max says how much it may take.",
            exit_code=code,
        )
    try:
        value = decode(answer, what=f"the answer of {program.name}", exact=True)
    except UnsupportedFormat as error:
        raise UsageError(
            f"{program.name} answered what no JSON value is", hint="Return finite numbers, texts, lists and mappings."
        ) from error
    if not isinstance(value, dict) or set(value) not in ({"value"}, {"error"}):
        raise UsageError(f"{program.name} wrote what no answer is", hint="Write to no file that it has not opened.")
    if "error" in value:
        raise UsageError(f"{program.name} {value['error']}", hint="Mend it; until then this decides nothing.")
    return value["value"]
