"""Building an environment with uv: the wheels that a lock pins, in a folder of their own."""

import os
import re
import shutil
import subprocess
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import BundleFailed
from holdfast.runtime.session import end_session

__all__ = ["Order", "build", "is_hashed", "run_tool", "uv_program", "variables_for_uv"]

_BUILD_SECONDS_MAX = 1800.0
"""Half an hour: a GPU framework over a slow line; longer means that the index does not answer."""

_MESSAGE_CHARACTERS_MAX = 2000
"""The end of uv's output, which is where it says what it could not find."""

_LINES_MAX = 200
"""Lines of that output that are remembered; what uv could not find stands in the last ten."""

_QUIET_SECONDS = 1.0
"""Whatever takes no longer needs no words."""

_TRUST = {"SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS"}
"""Variables by which somebody has said already whom uv is to trust."""

_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where machines keep the certificates they trust; uv brings a list of its own, which knows no company's proxy."""

_INDEXES = {
    "UV_FIND_LINKS",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_EXCLUDE",
}
"""Variables that name places and versions: of no concern where the wheels are at hand, and the places may be gone."""

_REQUIREMENT = re.compile(r"[A-Za-z0-9]")
_NO_WHEEL = re.compile(
    r"no (usable|compatible)? ?wheels|no wheels|building source distributions is disabled", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Order:
    """What an environment is to be.

    Attributes:
        python: its version, such as `3.11`.
        lock: the pinned requirements.
        pins: how many there are.
        wheels: a folder with the wheels of all of them, which is then all that is used; None: the index that uv knows.
        from_source: whether a requirement without a wheel may be built.
        as_of: the moment as of which an index is asked for what the pins need in turn, for a lock that does not name
            it; None: the lock names everything.
    """

    python: str
    lock: str
    pins: int
    wheels: Path | None
    from_source: bool
    as_of: str | None = None


def build(order: Order, folder: Path) -> None:
    """Make the environment in `folder`, which may be renamed afterwards.

    Raises:
        BundleFailed: it could not be; the message carries the end of what uv said.
    """
    told = f"holdfast: building the environment of the version, once: {order.pins} requirements\n"
    frozen = order.wheels is not None
    # Relocatable, because the folder gets its final name only when it is whole.
    made = ["venv", "--relocatable", "--allow-existing", "--python", order.python, str(folder)]
    alone = ["--offline", "--no-config"] if frozen else []
    _uv([*made, *alone], told, frozen=frozen)
    requirements = folder / "requirements.txt"
    closed = ["--no-deps"] if order.as_of is None or frozen else ["--exclude-newer", order.as_of]
    target = ["--python", str(folder / "bin" / "python"), *closed, "-r", str(requirements)]
    if order.wheels is not None:
        # The wheels by path: what is installed is what was stored, whatever any index would say of the same names.
        requirements.write_text("".join(f"{path}\n" for path in sorted(order.wheels.glob("*.whl"))), encoding="utf-8")
        _uv(["pip", "install", *alone, "--no-index", "--no-build", *target], told, frozen=True)
        shutil.rmtree(order.wheels)
    else:
        requirements.write_text(order.lock, encoding="utf-8")
        checked = ["--require-hashes"] if is_hashed(order.lock) else []
        _uv(["pip", "install", *([] if order.from_source else ["--no-build"]), *checked, *target], told)
    _compile(folder)


def _compile(folder: Path) -> None:
    """Write the bytecode of what was installed, so that the first worker need not.

    Not by uv, whose interpreters would run what wheels put into `.pth` files and `sitecustomize`, behind no limits at
    all. What does not compile is left to whoever imports it.
    """
    python = [str(folder / "bin" / "python"), "-I", "-S", "-m", "compileall", "-qq", "-j", "0"]
    run_tool([*python, *map(str, folder.glob("lib*/python*/site-packages"))], os.environ, "")


def is_hashed(lock: str) -> bool:
    """Whether every requirement of the lock comes with the hashes of its files, so that none may come without."""
    lines = [line.strip() for line in re.sub(r"\\\s*\n", " ", lock).splitlines()]
    required = [line for line in lines if _REQUIREMENT.match(line)]
    return bool(required) and all("--hash=" in line for line in required)


def _uv(arguments: list[str], told: str, *, frozen: bool = False) -> None:
    variables = {
        name: value for name, value in variables_for_uv(os.environ).items() if not (frozen and name in _INDEXES)
    }
    said = run_tool([uv_program(), *arguments], variables, told)
    if said is None:
        return
    hint = "Make the pinned packages reachable, or run where the version was registered."
    if _NO_WHEEL.search(said):
        hint = (
            "Pin versions that have wheels; or build from source, which runs code of the authors, with "
            "HOLDFAST_BUILD_FROM_SOURCE=true."
        )
    raise BundleFailed(f"the bundle's environment could not be built: {said}", hint=hint)


def uv_program() -> str:
    """The uv that was installed beside Holdfast, or the one on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    return str(beside) if beside.exists() else shutil.which("uv") or "uv"


def run_tool(command: list[str], variables: Mapping[str, str], told: str) -> str | None:
    """Run a program that installs; what it says is shown where somebody watches and it takes more than a second.

    Args:
        command: the program and its arguments.
        variables: its environment.
        told: what is said before the first of its own lines.

    Returns:
        None when it succeeded; else the end of what it said.

    Raises:
        BundleFailed: there is no such program, or it did not end.
    """
    lines: deque[str] = deque(maxlen=_LINES_MAX)
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=dict(variables),
            start_new_session=True,
        ) as process:
            reader = threading.Thread(target=_listen, args=(process, lines, told), daemon=True)
            reader.start()
            try:
                process.wait(_BUILD_SECONDS_MAX)
            finally:
                # What it has started holds the other end of the pipe, which is read until the last of them has ended.
                end_session(process, 0.0)
                reader.join()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BundleFailed(
            f"the bundle's environment could not be built: {error}", hint="Install uv: pip install uv"
        ) from error
    return None if process.returncode == 0 else "".join(lines)[-_MESSAGE_CHARACTERS_MAX:].strip()


def _listen(process: subprocess.Popen[str], lines: deque[str], told: str) -> None:
    began, shown, watched = time.monotonic(), 0, os.isatty(2)
    for line in process.stderr or ():
        lines.append(line)
        if watched and time.monotonic() - began > _QUIET_SECONDS:
            os.write(2, (line if shown else told + line).encode())
            shown += 1


def variables_for_uv(ours: Mapping[str, str]) -> dict[str, str]:
    """What uv is started with: our environment, and trust in the certificates that pip, git and curl trust here."""
    variables = {name: value for name, value in ours.items() if name != "VIRTUAL_ENV"}
    if not _TRUST & variables.keys() and any(Path(place).exists() for place in _CERTIFICATES):
        variables |= {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}  # the second is its name in older versions
    return variables
