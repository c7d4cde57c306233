"""The state of the code under Git, read without touching the repository.

    state = code_state(Path("."))
    state.state        "git"; else "not_a_repository", "git_missing", "no_commits" or "unreadable"
    state.commit       "9f2c…"; with `state.patch` applied to it, the code that ran
    state.dirty        True when anything differs from that commit

Nothing here raises, and nothing waits for long: a training run must not fail because of the repository around it. Git
is asked not to take its optional locks, not to run hooks, monitors, external diff programs or pagers.
"""

import os
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.digest import Digest, hash_bytes
from holdfast.flow.capture.patch import Addition, additions_patch
from holdfast.flow.capture.redact import may_hold_secrets, redact_text

__all__ = ["CodeState", "UntrackedFile", "code_state", "tracked_files"]

_GIT_SECONDS_MAX = 10.0
"""One call to Git in a repository of a million files takes a few seconds; past this the disk is not answering."""

_LIST_BYTES_MAX = 64 * 1024 * 1024
"""The longest list of names that is read: about a million paths."""

_PATCH_BYTES_MAX = 16 * 1024 * 1024
"""A larger change is data or a model that was committed by mistake, and belongs into a snapshot."""

_UNTRACKED_PATCH_BYTES_MAX = 1024 * 1024
"""An untracked file below this is taken to be code and goes into the patch whole, when it is text."""

_UNTRACKED_HASH_BYTES_MAX = 32 * 1024 * 1024
"""Untracked files up to this size are hashed, in a few hundredths of a second; larger ones are data for a snapshot."""

_UNTRACKED_FILES_MAX = 1_000
"""Untracked files listed; a folder of more of them is data that `.gitignore` does not name yet."""

_QUIET = (
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.quotePath", "false"),
    ("core.untrackedCache", "false"),
    ("diff.renames", "false"),
    ("diff.external", ""),
    ("status.relativePaths", "false"),
    ("submodule.recurse", "false"),
)

_GIT_VARIABLES_KEPT = {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"}
_GIT_VARIABLES_KEPT |= {"GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"}
"""Everything else that begins with GIT_ (a hook sets GIT_DIR and GIT_INDEX_FILE) would make Git look elsewhere."""


@dataclass(frozen=True, slots=True)
class UntrackedFile:
    """A file that is in the working tree, and in no commit.

    Attributes:
        path: relative to the repository's root, with forward slashes.
        size: in bytes.
        digest: of its bytes; None when it is too large, not a regular file, or may hold secrets.
        in_patch: whether the patch brings it.
    """

    path: str
    size: int
    digest: Digest | None
    in_patch: bool

    def to_json(self) -> JsonObject:
        """`{"path", "size", "sha256", "in_patch"}`."""
        digest = None if self.digest is None else str(self.digest)
        return {"path": self.path, "size": self.size, "sha256": digest, "in_patch": self.in_patch}

    @classmethod
    def from_json(cls, value: Json) -> "UntrackedFile":
        """The inverse of `to_json`."""
        reader = Reader(value, "untracked file")
        digest = reader.maybe_text("sha256")
        return cls(
            path=reader.text("path"),
            size=reader.integer("size"),
            digest=None if digest is None else Digest.parse(digest),
            in_patch=reader.flag("in_patch"),
        )


@dataclass(frozen=True, slots=True)
class CodeState:
    """Which code ran.

    Attributes:
        state: `git`, `not_a_repository`, `git_missing`, `no_commits` or `unreadable`.
        reason: one sentence when the state is not `git`.
        folder: the folder that was asked about, relative to the repository's root; `.` at the root.
        commit: the commit that is checked out.
        branch: its branch; None when detached.
        remote: the URL of the remote, without any userinfo.
        dirty: whether the working tree differs from the commit, in tracked files or by untracked ones.
        changed: tracked paths that differ, relative to the root.
        untracked: files that no commit knows and `.gitignore` does not name.
        patch_digest: of `patch`; None when there is none.
        notes: what is not in the patch, and why.
        patch: the difference to the commit, as `git apply` takes it. Not part of the JSON: it is kept as a blob.
    """

    state: str
    reason: str | None = None
    folder: str = "."
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    dirty: bool = False
    changed: tuple[str, ...] = ()
    untracked: tuple[UntrackedFile, ...] = ()
    patch_digest: Digest | None = None
    notes: tuple[str, ...] = ()
    patch: bytes = field(default=b"", repr=False, compare=False)

    def to_json(self) -> JsonObject:
        """Everything but the bytes of the patch."""
        return {
            "state": self.state,
            "reason": self.reason,
            "folder": self.folder,
            "commit": self.commit,
            "branch": self.branch,
            "remote": self.remote,
            "dirty": self.dirty,
            "changed": list(self.changed),
            "untracked": [file.to_json() for file in self.untracked],
            "patch_sha256": None if self.patch_digest is None else str(self.patch_digest),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, value: Json) -> "CodeState":
        """The inverse of `to_json`; the patch itself stays empty."""
        reader = Reader(value, "code state")
        digest = reader.maybe_text("patch_sha256")
        return cls(
            state=reader.text("state"),
            reason=reader.maybe_text("reason"),
            folder=reader.text("folder"),
            commit=reader.maybe_text("commit"),
            branch=reader.maybe_text("branch"),
            remote=reader.maybe_text("remote"),
            dirty=reader.flag("dirty"),
            changed=reader.texts("changed"),
            untracked=tuple(UntrackedFile.from_json(item) for item in reader.items("untracked")),
            patch_digest=None if digest is None else Digest.parse(digest),
            notes=reader.texts("notes"),
        )


class _GitFailed(Exception):
    """Git said no, too much, or nothing in time; never leaves this module."""


def code_state(folder: Path) -> CodeState:
    """The state of the repository around `folder`. Never raises; takes tens of milliseconds."""
    if shutil.which("git") is None:
        return CodeState("git_missing", reason="git is not installed, or not on the path")
    try:
        top, _, prefix = _git(folder, "rev-parse", "--show-toplevel", "--show-prefix").partition(b"\n")
        root = Path(os.fsdecode(top))
        within = _shown(prefix.strip(b"\n")).rstrip("/") or "."
        return replace(_read_state(root), folder=within)
    except _GitFailed as error:
        words = str(error)
        if "not a git repository" in words:
            return CodeState("not_a_repository", reason="the folder is in no Git repository")
        return CodeState("unreadable", reason=words)
    except (OSError, ValueError) as error:
        return CodeState("unreadable", reason=redact_text(f"{type(error).__name__}: {error}"))


def tracked_files(folder: Path) -> frozenset[str] | None:
    """The files below `folder` that Git tracks, relative to it; None without a repository that can be read."""
    try:
        listed = _git(folder, "ls-files", "-z", "--", ".")
    except (_GitFailed, OSError):
        return None
    return frozenset(os.fsdecode(name) for name in listed.split(b"\0") if name)


def _read_state(root: Path) -> CodeState:
    notes: list[str] = []
    status = ("status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--ignore-submodules=none")
    try:
        lines = _git(root, *status, "--untracked-files=all").split(b"\0")
    except _GitFailed as error:
        notes.append(f"untracked files are not known: {error}")
        lines = _git(root, *status, "--untracked-files=no").split(b"\0")
    heads = dict(line[2:].split(b" ", 1) for line in lines if line.startswith(b"# ") and b" " in line[2:])
    tracked = [path for line in lines if (path := _tracked_path(line))]
    untracked = [line[2:] for line in lines if line.startswith(b"? ") and b".holdfast" not in line[2:].split(b"/")]
    commit = heads.get(b"branch.oid", b"(initial)").decode()
    head = _shown(heads.get(b"branch.head", b"(detached)"))
    first = commit == "(initial)"
    if first:
        # With no commit there is nothing to differ from: what is staged is as new as what is not.
        untracked, tracked = [*tracked, *untracked], []
    patch = _difference(root, tracked, notes)
    files, additions = _read_untracked(root, untracked, notes)
    patch = _without_secrets(patch + additions_patch(additions), notes)
    return CodeState(
        state="no_commits" if first else "git",
        reason="the repository has no commit yet" if first else None,
        commit=None if first else commit,
        branch=None if head == "(detached)" else head,
        remote=_remote(root, _shown(heads.get(b"branch.upstream", b""))),
        dirty=bool(tracked or untracked),
        changed=tuple(sorted(_shown(path) for path in tracked)),
        untracked=files,
        patch_digest=hash_bytes(patch) if patch else None,
        notes=tuple(notes),
        patch=patch,
    )


_FIELDS_BEFORE_PATH = {b"1": 8, b"2": 9, b"u": 10}
"""Fields in front of the path in the three kinds of line that `git status --porcelain=v2` has for tracked files."""


def _tracked_path(line: bytes) -> bytes | None:
    fields = _FIELDS_BEFORE_PATH.get(line[:1])
    return line.split(b" ", fields)[fields] if fields and line[1:2] == b" " else None


def _difference(root: Path, tracked: Sequence[bytes], notes: list[str]) -> bytes:
    secret = [path for path in tracked if may_hold_secrets(_shown(path))]
    notes.extend(f"{_shown(path)} is not in the patch: it may hold secrets" for path in secret)
    if len(secret) == len(tracked):
        return b""
    options = ("--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    leave_out = [os.fsdecode(b":(exclude,top,literal)" + path) for path in secret]
    try:
        return _git(root, "diff", "HEAD", *options, "--", ".", *leave_out, limit=_PATCH_BYTES_MAX)
    except _GitFailed as error:
        notes.append(f"changes of tracked files are listed and not in the patch: {error}")
        return b""


def _read_untracked(
    root: Path, names: Sequence[bytes], notes: list[str]
) -> tuple[tuple[UntrackedFile, ...], list[Addition]]:
    files, additions = [], []
    room = _PATCH_BYTES_MAX
    for name in sorted(names)[:_UNTRACKED_FILES_MAX]:
        size, data, mode = _content(root, name)
        digest = None if data is None else hash_bytes(data)
        in_patch = data is not None and size < min(_UNTRACKED_PATCH_BYTES_MAX, room) and b"\0" not in data
        if data is not None and in_patch:
            additions.append(Addition(name, data, executable=bool(mode & stat.S_IXUSR)))
            room -= size
        files.append(UntrackedFile(_shown(name), size, digest, in_patch))
    if len(names) > _UNTRACKED_FILES_MAX:
        notes.append(
            f"{len(names) - _UNTRACKED_FILES_MAX} more untracked files are not listed; name their folder in .gitignore"
        )
    return tuple(files), additions


def _content(root: Path, name: bytes) -> tuple[int, bytes | None, int]:
    """Size, bytes and mode; no bytes for what is large, secret, unreadable, or anything but a regular file."""
    path = root / os.fsdecode(name)
    try:
        found = path.lstat()
        regular = stat.S_ISREG(found.st_mode)
        size = found.st_size if regular else 0
        if not regular or size > _UNTRACKED_HASH_BYTES_MAX or may_hold_secrets(_shown(name)):
            return size, None, found.st_mode
        data = path.read_bytes()
    except OSError:
        return 0, None, 0
    return len(data), data, found.st_mode


def _without_secrets(patch: bytes, notes: list[str]) -> bytes:
    text = patch.decode("utf-8", "surrogateescape")
    clean = redact_text(text)
    if clean == text:
        return patch
    notes.append("secrets in the patch were redacted; where they stand in lines that did not change, it does not apply")
    return clean.encode("utf-8", "surrogateescape")


def _remote(root: Path, upstream: str) -> str | None:
    try:
        listed = _shown(_git(root, "config", "--null", "--get-regexp", r"^remote\..*\.url$"))
    except _GitFailed:
        return None  # Git's answer when there is no remote is a failure without words.
    remotes: dict[str, str] = {}
    for entry in listed.split("\0"):
        key, _, url = entry.partition("\n")
        remotes.setdefault(key.removeprefix("remote.").removesuffix(".url"), url)
    followed = next((name for name in remotes if name and upstream.startswith(f"{name}/")), "origin")
    found = remotes.get(followed) or next((remotes[name] for name in sorted(remotes) if name), None)
    return redact_text(found) if found else None


def _shown(name: bytes) -> str:
    """A name for reading: bytes that are not UTF-8 become escapes, because JSON can hold nothing else."""
    return name.decode("utf-8", "backslashreplace")


def _git(folder: Path, *words: str, limit: int = _LIST_BYTES_MAX) -> bytes:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _GIT_VARIABLES_KEPT or name.startswith("GIT_CONFIG_")
    }
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_ADVICE": "0"}
    quiet = [part for name, value in _QUIET for part in ("-c", f"{name}={value}")]
    with tempfile.TemporaryFile() as words_of_git:
        process = subprocess.Popen(
            ["git", *quiet, *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words_of_git,
        )
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            process.kill()

        timer = threading.Timer(_GIT_SECONDS_MAX, expire)
        timer.start()
        try:
            with process:
                output = process.stdout.read(limit + 1) if process.stdout else b""
                if len(output) > limit:
                    process.kill()
        finally:
            timer.cancel()
        words_of_git.seek(0)
        said = words_of_git.read(2000).decode("utf-8", "replace").strip()
    if len(output) > limit:
        raise _GitFailed(f"git {words[0]} gave more than {limit} bytes")
    if expired.is_set():
        raise _GitFailed(f"git {words[0]} did not finish within {_GIT_SECONDS_MAX:.0f} seconds")
    if process.returncode != 0:
        raise _GitFailed(redact_text(said.splitlines()[0] if said else f"git {words[0]} failed"))
    return output
