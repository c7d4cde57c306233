"""Where a local store keeps what: docs/FORMAT.md, "Layout of a local store", in code."""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.canonical import JsonObject, Reader, decode, encode
from holdfast.digest import Digest
from holdfast.errors import NotFound, UnsupportedFormat
from holdfast.store.cut import CUTTING, Cutting
from holdfast.store.disk import CREATE, READ, fsync_folder, refusal, refusing, write_all
from holdfast.store.formats import accepted_version
from holdfast.store.index import PACK, Segment

__all__ = ["CONFIG_NAME", "FORMAT_NAME", "SCRATCH_PREFIX", "Layout", "archive_config", "is_name"]

FORMAT_NAME = "holdfast.store"
CONFIG_NAME = "config.json"
SCRATCH_PREFIX = "writer-"

_ARCHIVE = "archive"
_MAJORS = {"files": 1, "packs": 2, _ARCHIVE: 3}
"""The layouts that are read, each with the major version of the format that brought it."""

_CONFIG_BYTES_MAX = 64 << 10
"""The config has a dozen short fields; a file past this is not one, and is not read into memory."""

_NAME_DIGITS = 64


def archive_config(like: bytes) -> bytes:
    """The config of an archive that cuts as the store whose config is `like`."""
    document = decode(like, what=CONFIG_NAME)
    return encode({**document, "layout": _ARCHIVE, "version": f"{_MAJORS[_ARCHIVE]}.0"}) + b"\n"


def is_name(text: str) -> bool:
    """Whether `text` is the name of a file in one of the store's folders."""
    return len(text) == _NAME_DIGITS and set(text) <= set("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one local store; nothing here reads a blob.

    Attributes:
        root: its folder.
    """

    root: Path

    @property
    def blobs(self) -> Path:
        """The folder of the folders of exact files."""
        return self.root / "blobs"

    @property
    def packs(self) -> Path:
        """The folder of the folders of packs."""
        return self.root / "packs"

    @property
    def index(self) -> Path:
        """The folder of index files."""
        return self.root / "index"

    @property
    def tmp(self) -> Path:
        """The folder of the writers' scratch folders."""
        return self.root / "tmp"

    @property
    def damaged(self) -> Path:
        """The folder of the marks."""
        return self.root / "damaged"

    @property
    def condemned(self) -> Path:
        """The folder of the lists of what will be deleted."""
        return self.root / "condemned"

    @property
    def used(self) -> Path:
        """The folder that says when a writer last relied on which segment."""
        return self.root / "used"

    @property
    def claims(self) -> Path:
        """The folder that says who works with which tree, and since when."""
        return self.root / "claims"

    def exact(self, digest: Digest) -> str:
        """The exact file of the blob, if it has one. A plain text: it is asked for once for every new file."""
        return f"{self.root}/blobs/{digest.hex[:2]}/{digest.hex}"

    def exact_size(self, digest: Digest) -> int | None:
        """Bytes of the blob's exact file; None if it has none, or if something else stands there.

        Raises:
            PermissionRefused: the operating system refused.
        """
        try:
            status = os.lstat(self.exact(digest))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refusal(error, self.root) from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def segment(self, segment: Segment) -> str:
        """The file that the segment is."""
        folder = "packs" if segment.kind == PACK else "blobs"
        return f"{self.root}/{folder}/{segment.name[:2]}/{segment.name}"

    def prepare(self, *, archive: bool = False) -> None:
        """Make the store, or check that what stands here is one.

        Args:
            archive: an archive is read as well. Only who reads remotes does: its records may rest on others.

        The config is written first and whole: two processes that make the same store at the same time write the same
        bytes, a crash in between leaves what the next one can go on with, and a folder in which somebody keeps other
        things is never taken for a store.

        Raises:
            UnsupportedFormat: a folder that holds something else, or a store of a format that is not read here.
            NoSpace, PermissionRefused: the operating system refused.
        """
        with refusing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if not (self.root / CONFIG_NAME).exists():
                self._refuse_what_is_no_store()
                self._write_config()
        layout, _ = self._config()  # a reader need not know how to cut
        if layout == _ARCHIVE and not archive:
            raise UnsupportedFormat(
                f"{self.root} is an archive, which only remotes are",
                hint="Have it copied into a store of its own: holdfast clone.",
                path=str(self.root),
            )

    def prepare_to_write(self) -> Cutting:
        """Make the folders that are missing; how to cut. A store of the layout `files` becomes one of `packs`.

        Raises:
            As `prepare`.
        """
        cutting = self.cutting()
        with refusing(self.root):
            if cutting is None:
                self._write_config()
                cutting = CUTTING
            for folder, mode in ((self.blobs, 0o777), (self.packs, 0o777), (self.index, 0o777), (self.tmp, 0o700)):
                if not folder.is_dir():
                    folder.mkdir(mode=mode, exist_ok=True)
                    fsync_folder(self.root)
        return cutting

    def cutting(self) -> Cutting | None:
        """How this store cuts; None where it was made before there were chunks.

        Raises:
            UnsupportedFormat: a store of a format that is not read here, or that cuts in a way not known here.
        """
        layout, config = self._config()
        return Cutting.from_json(config.reader("cutting")) if layout != "files" else None

    def is_archive(self) -> bool:
        """Whether records here may rest on others.

        Raises:
            UnsupportedFormat: a store of a format that is not read here.
        """
        return self._config()[0] == _ARCHIVE

    def _config(self) -> tuple[str, Reader]:
        """The name of the layout, and what else the config says."""
        path = self.root / CONFIG_NAME
        with refusing(path):
            descriptor = os.open(path, READ)
            try:
                data = os.read(descriptor, _CONFIG_BYTES_MAX)
            finally:
                os.close(descriptor)
        document = Reader(decode(data, what=str(path)), str(path))
        layout = document.maybe_text("layout") or ""
        accepted_version(document, name=FORMAT_NAME, major=_MAJORS.get(layout, max(_MAJORS.values())))
        if layout not in _MAJORS:
            raise UnsupportedFormat(
                f"{path}: the layout {layout[:80]!r} is not read by this Holdfast",
                hint="Use the Holdfast that wrote it, or a newer one.",
                found=layout[:80],
                expected=" or ".join(_MAJORS),
            )
        return layout, document

    def _refuse_what_is_no_store(self) -> None:
        others = [path.name for path in self.root.iterdir() if not path.name.startswith(CONFIG_NAME)]
        if others and not (self.root / CONFIG_NAME).exists():
            raise UnsupportedFormat(
                f"{self.root} holds {min(others)!r} and no {CONFIG_NAME}: it is not a store",
                hint="Name an empty folder, or restore config.json from a backup.",
                path=str(self.root),
            )

    def _write_config(self) -> None:
        config: JsonObject = {
            "cutting": CUTTING.to_json(),
            "format": FORMAT_NAME,
            "layout": "packs",
            "version": "2.1",
        }
        temporary = self.root / f"{CONFIG_NAME}.{secrets.token_hex(8)}.part"
        descriptor = os.open(temporary, CREATE, 0o444)
        try:
            try:
                write_all(descriptor, encode(config) + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(self.root / CONFIG_NAME)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        fsync_folder(self.root)

    def names(self, folder: Path) -> Iterator[str]:
        """The names in `folder`, ascending; in `packs` and `blobs` those in their folders."""
        if folder in {self.packs, self.blobs}:
            for shard in _listing(folder):
                if len(shard) == 2:  # noqa: PLR2004 - the first two digits
                    yield from (name for name in _listing(folder / shard) if name.startswith(shard) and is_name(name))
        else:
            # Anything else here is not ours, and no reason to refuse what is.
            yield from filter(is_name, _listing(folder))

    def touch(self, folder: Path, names: Iterable[str]) -> None:
        """Let an empty file in `folder` say of each of these names that it is in use now.

        Raises:
            NoSpace, PermissionRefused: the operating system refused.
        """
        is_new = False
        with refusing(folder):
            for name in names:
                folder.mkdir(exist_ok=True)
                try:
                    os.utime(folder / name)
                except FileNotFoundError:
                    os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))
                    is_new = True
            if is_new:
                fsync_folder(folder)

    def touched_ns(self, folder: Path) -> dict[str, int]:
        """The names in `folder` and when each was last touched, in nanoseconds since 1970."""
        found = {}
        for name in self.names(folder):
            with suppress(NotFound), refusing(folder):
                found[name] = os.lstat(folder / name).st_mtime_ns
        return found

    def mark_damaged(self, name: str) -> None:
        """Remember that the blob or chunk is damaged, so that adding its bytes again writes them again.

        Best effort: on a read-only disk nothing can be remembered, and nothing can be added either.
        """
        with suppress(OSError):
            self.damaged.mkdir(exist_ok=True)
            os.close(os.open(self.damaged / name, CREATE, 0o444))

    def forget_damage(self, name: str) -> None:
        """The blob or chunk was found whole, or was written again."""
        with suppress(OSError):
            os.unlink(self.damaged / name)  # noqa: PTH108 - one way of touching the disk, which tests stand in for

    def is_marked(self, name: str) -> bool:
        """Whether the blob or chunk is known to be damaged."""
        try:
            with refusing(self.root):
                (self.damaged / name).lstat()
        except NotFound:
            return False
        return True


def _listing(folder: Path) -> list[str]:
    with refusing(folder):
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted, not paths
        except (FileNotFoundError, NotADirectoryError):
            return []
