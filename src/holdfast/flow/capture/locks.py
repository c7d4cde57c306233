"""Lock files: which exact libraries the project says it wants.

lock_files(Path("."))       (LockFile(path="uv.lock", digest=Digest("…")), ...)
"""

from dataclasses import dataclass
from pathlib import Path

from holdfast.canonical import Json, JsonObject, Reader
from holdfast.digest import Digest, hash_bytes

__all__ = ["LockFile", "lock_files"]

_PATTERNS = (
    "requirements*.txt",
    "requirements/*.txt",
    "constraints*.txt",
    "*.lock",
    "pylock*.toml",
    "environment*.yml",
    "environment*.yaml",
    "conda-lock*.yml",
    "conda-*.lock",
)

_LOCK_BYTES_MAX = 32 * 1024 * 1024
"""The largest real lock files are a few megabytes; anything beyond this has the name of a lock only."""


@dataclass(frozen=True, order=True, slots=True)
class LockFile:
    """One file that fixes versions of libraries.

    Attributes:
        path: relative to the project, with forward slashes.
        digest: of its bytes when the run began.
    """

    path: str
    digest: Digest

    def to_json(self) -> JsonObject:
        """`{"path", "sha256"}`."""
        return {"path": self.path, "sha256": str(self.digest)}

    @classmethod
    def from_json(cls, value: Json) -> "LockFile":
        """The inverse of `to_json`."""
        reader = Reader(value, "lock file")
        return cls(reader.text("path"), Digest.parse(reader.text("sha256")))


def lock_files(folder: Path) -> tuple[LockFile, ...]:
    """The lock files at the top of `folder`, by path; without unreadable ones, and empty ones, which are mutexes."""
    found = set()
    for pattern in _PATTERNS:
        for path in folder.glob(pattern):
            try:
                if path.is_file() and 0 < path.stat().st_size <= _LOCK_BYTES_MAX:
                    name = path.relative_to(folder).as_posix()
                    name.encode()
                    found.add(LockFile(name, hash_bytes(path.read_bytes())))
            except (OSError, UnicodeEncodeError):
                continue
    return tuple(sorted(found))
