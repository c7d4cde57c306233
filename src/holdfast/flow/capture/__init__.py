"""Capture: everything about a training process that is known without asking for it.

    from holdfast.flow.capture import capture_here, run_command, requirements_lock

    capture = run_command(["python", "train.py", "--lr", "0.1"], folder=Path.cwd(), run="r-17")
    with capture_here() as live: ...          # the same, from inside the process

    capture.code.commit, capture.code.patch   # the code that ran
    capture.inputs, capture.outputs           # data files it opened, files it left
    capture.seeds, capture.used               # its randomness, its libraries
    requirements_lock(capture)                # those libraries, pinned
    parse_arguments(capture.argv)             # {"lr": 0.1}
    capture.notes                             # what could not be captured, and why

It knows no store, no registry and no run: it returns frozen values, and somebody else makes evidence of them. Nothing
here fails the training it looks at: not being in a repository, or having no Git at all, is noted and not an error.

    opened.py  seeds.py  probe.py  hook/    also executed inside the user's process: standard library only, no Holdfast
    process.py  live.py                     a command; this process
    git.py  locks.py  machine.py            what stands around it
    captured.py  gathering.py  journal.py   the value, and how it comes together
    redact.py  arguments.py                 no secrets; hyperparameters from the command line
"""

from holdfast.flow.capture.arguments import parse_arguments
from holdfast.flow.capture.captured import Capture, Distribution, FileSeen, SeedCall, Seeds, requirements_lock
from holdfast.flow.capture.git import CodeState, UntrackedFile, code_state, tracked_files
from holdfast.flow.capture.live import LiveCapture, capture_here
from holdfast.flow.capture.locks import LockFile, lock_files
from holdfast.flow.capture.process import run_command
from holdfast.flow.capture.redact import redact_argv, redact_json, redact_text
from holdfast.flow.capture.seeds import set_seeds

__all__ = [
    "Capture",
    "CodeState",
    "Distribution",
    "FileSeen",
    "LiveCapture",
    "LockFile",
    "SeedCall",
    "Seeds",
    "UntrackedFile",
    "capture_here",
    "code_state",
    "lock_files",
    "parse_arguments",
    "redact_argv",
    "redact_json",
    "redact_text",
    "requirements_lock",
    "run_command",
    "set_seeds",
    "tracked_files",
]
