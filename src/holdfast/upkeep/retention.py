"""What of the store is needed, and by whom: versions, runs, files, verdicts, holds, and data about to be named.

A page of the decision ledger is needed until its time is over, which its event says.

Of what was archived only the record is needed, as long as the archive holds all of it: the manifest, the trees of the
data, and the small files of the bundle. Trees are read as streams, and each once: a snapshot of a million files takes
no more memory than one of ten.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial

from holdfast.digest import Digest
from holdfast.errors import HoldfastError
from holdfast.manifest import FORMAT as MANIFEST_FORMAT
from holdfast.manifest import Manifest
from holdfast.parts import Weights
from holdfast.registry.interface import Registry
from holdfast.registry.ledger_pages import ledger_pages
from holdfast.registry.values import Version
from holdfast.registry.whereabouts import Archive
from holdfast.runtime.at_hand import here
from holdfast.runtime.materialise import read_manifest
from holdfast.store.interface import Store
from holdfast.store.tree import TREE_FORMAT, tree_rows
from holdfast.tracking.interface import Tracking
from holdfast.upkeep.elsewhere import Elsewhere
from holdfast.upkeep.keep_rules import Kept, Which, which
from holdfast.upkeep.named_files import NamedFiles, NoFiles

__all__ = [
    "IN_USE",
    "RECORD_FILE_BYTES_MAX",
    "Retention",
    "fingerprint",
    "tree_needs",
    "version_needs",
    "version_record",
    "whole_needs",
]

IN_USE = "in use"
"""The reason of what somebody works with, and nobody has named yet."""

RECORD_FILE_BYTES_MAX = 64 << 10
"""Of an archived bundle, files up to here stay unless they are weights: the card, the lock, the patch, the code, and a
holdout of usual size. All of them together seldom weigh a tenth of a megabyte."""

_TREE_SIGN = f'"format":"{TREE_FORMAT}"'.encode()
_MANIFEST_SIGN = f'"format":"{MANIFEST_FORMAT}"'.encode()
_SIGN_BYTES_MAX = 4096
"""The first line of a tree says that it is one, and is short."""

Unread = Callable[[Digest, HoldfastError], object]
"""Is told of a manifest or tree that could not be read, so that what it names is not known."""


def version_needs(
    version: Version, store: Store, registry: Registry, unread: Unread, walked: set[Digest] | None = None
) -> Iterator[Digest]:
    """Every blob of a version's bundle and data; what cannot be read is named all the same.

    Args:
        version: whose.
        store: where its manifest and trees are.
        registry: where its lineage is.
        unread: told of each manifest and tree that cannot be read.
        walked: trees whose files were named before and are not named again; those named now are added.
    """
    manifest, trees = _named(version, store, registry, unread)
    yield version.digest
    if manifest is not None:
        yield from (entry.digest for entry in manifest.files)
    yield from _trees_need(trees, store, unread, set() if walked is None else walked)


def version_record(version: Version, store: Store, registry: Registry, unread: Unread) -> Iterator[Digest]:
    """What stays of an archived version: its manifest, the trees of its data, and small files that are not weights.

    Args:
        version: whose.
        store: where its manifest is.
        registry: where its lineage is.
        unread: told of a manifest that cannot be read.
    """
    manifest, trees = _named(version, store, registry, unread)
    yield version.digest
    yield from trees
    if manifest is not None:
        weights = manifest.parts.weights
        heavy = frozenset(weights.files if isinstance(weights, Weights) else ())
        yield from (
            entry.digest for entry in manifest.files if entry.size <= RECORD_FILE_BYTES_MAX and entry.path not in heavy
        )


def tree_needs(tree: Digest, store: Store, unread: Unread) -> Iterator[Digest]:
    """A tree and the files that it lists; `unread` is told when it cannot be read."""
    return _trees_need([tree], store, unread, set())


def _named(
    version: Version, store: Store, registry: Registry, unread: Unread
) -> tuple[Manifest | None, tuple[Digest, ...]]:
    """The version's manifest, and the trees of its data."""
    # What the data was is known by lineage too, which stands even where the manifest is damaged.
    edges = registry.lineage("version", str(version.digest))
    trees = [Digest.parse(edge.parent) for edge in edges if edge.parent_kind == "snapshot"]
    try:
        manifest = read_manifest(store, version.digest)
    except HoldfastError as error:
        unread(version.digest, error)
        return None, tuple(trees)
    return manifest, tuple(dict.fromkeys([*trees, *manifest.snapshots()]))


def _trees_need(trees: Iterable[Digest], store: Store, unread: Unread, walked: set[Digest]) -> Iterator[Digest]:
    for tree in trees:
        if tree in walked:
            continue
        walked.add(tree)
        yield tree
        try:
            store.verify(tree)  # the rows of a damaged tree come before the damage shows, and may name anything
            yield from _files_of(tree, store)
        except HoldfastError as error:
            unread(tree, error)


def whole_needs(digest: Digest, store: Store, unread: Unread, walked: set[Digest]) -> Iterator[Digest]:
    """What a snapshot, a version or a single blob needs, told apart by what its bytes begin with.

    Args:
        digest: of the tree, the manifest or the blob.
        store: where it is, and what it names.
        unread: told of each manifest and tree that cannot be read.
        walked: as for `version_needs`.
    """
    if digest in walked:
        return
    yield digest
    try:
        head = next(store.pieces(digest), b"")
    except HoldfastError as error:
        unread(digest, error)
        return
    if _TREE_SIGN in head[:_SIGN_BYTES_MAX].partition(b"\n")[0]:
        yield from _trees_need([digest], store, unread, walked)
    elif head.startswith(b"{") and _MANIFEST_SIGN in head:
        yield from _manifest_needs(digest, store, unread, walked)


def _manifest_needs(digest: Digest, store: Store, unread: Unread, walked: set[Digest]) -> Iterator[Digest]:
    try:
        manifest = read_manifest(store, digest)
    except HoldfastError:
        return  # it only looks like one
    yield from (entry.digest for entry in manifest.files)
    yield from _trees_need(manifest.snapshots(), store, unread, walked)


def _files_of(tree: Digest, store: Store) -> Iterator[Digest]:
    return (Digest(row.hex) for row in tree_rows(store, tree))


def fingerprint(registry: Registry, tracking: Tracking, files: NamedFiles) -> object:
    """Changes when a version, a run, a file or a hold comes to need something more."""
    last = registry.log(limit=1)
    return last[0].hash if last else None, tracking.digests(), files.fingerprint()


@dataclass
class Retention:
    """Everything that must stay.

    Attributes:
        store: where the bytes are.
        registry: whose versions and holds need them.
        tracking: whose runs do.
        claimed: what somebody works with, whether or not it is here.
        kept: the versions that a keep-rule keeps, archived or not.
        elsewhere: the remotes that hold what was archived.
        now: the moment, which tells the pages of the ledger whose time is over; None: the time of none is.
        files: which files need theirs, whoever they belong to and whether or not that was deleted.
        unread: manifests and trees that could not be read; what they name is not known, and so may be anything.
    """

    store: Store
    registry: Registry
    tracking: Tracking
    claimed: Iterable[Digest] = ()
    kept: Mapping[Which, Kept] = field(default_factory=dict)
    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    now: datetime | None = None
    files: NamedFiles = field(default_factory=NoFiles)
    unread: dict[Digest, str] = field(default_factory=dict)
    _walked: set[Digest] = field(default_factory=set)
    _may_go: list["_Archived"] = field(default_factory=list)
    _filled: dict[Digest, bool] = field(default_factory=dict)

    def needs(self) -> Iterator[tuple[Digest, str]]:
        """Every blob that must stay, each with the reason, such as `churn@4`; some more than once."""
        archived = self._archived
        for version in self.registry.versions():
            if version.digest not in archived:
                why = f"{version.model}@{version.number}"
                for digest in version_needs(version, self.store, self.registry, self._note, self._walked):
                    yield digest, why
        away = {tree for one in archived.values() for tree in (one.digest, *one.trees)}
        for hold in self.registry.holds():
            # Whoever holds what is archived keeps what is here of it, and may restore the rest.
            yield from ((one, f"hold {hold.id}") for one in self._all_of(hold.digest, whole=hold.digest not in away))
        yield from self._run_needs(away)
        yield from ((digest, why) for why, digest in self.files.named())
        yield from self._verdict_needs()
        yield from self._ledger_needs()
        claims = tuple(self.claimed)
        absent = self.store.missing(claims)
        for claim in (one for one in claims if one not in absent):
            # What is on its way in is claimed before all of it has arrived.
            yield from ((one, IN_USE) for one in self._all_of(claim, whole=False))
        for one in archived.values():
            yield from self._archived_needs(one)

    def lets_go(self) -> Iterator[tuple[Digest, str]]:
        """Every blob of what is archived and whole elsewhere, with its name; to be asked after `needs`."""
        walked: set[Digest] = set()
        for one in self._may_go:
            yield from ((digest, one.name) for digest in here(self.store, self._blobs_of(one, walked)))

    def fingerprint(self) -> object:
        """Changes when a version, a run, a file or a hold comes to need something more."""
        return fingerprint(self.registry, self.tracking, self.files)

    def _run_needs(self, away: set[Digest]) -> Iterator[tuple[Digest, str]]:
        by_run = self.tracking.digests()
        # A run that led to an archived version needs none of what went with that version.
        gone = {(one.run, digest) for one in self._archived.values() for digest in (one.digest, *one.trees)}
        # A run also names files that it opened and that nobody froze.
        absent = self.store.missing([digest for _, digest in by_run])
        for run, digest in by_run:
            if digest not in absent and (run, digest) not in gone:
                yield from ((one, f"run {run}") for one in self._all_of(digest, whole=digest not in away))

    def _verdict_needs(self) -> Iterator[tuple[Digest, str]]:
        """The answers that verdicts rest on.

        Those that are not here were judged at another store, or are lost, which keeps nobody from judging again: it is
        `gate replay` that says so.
        """
        page = self.registry.verdicts()
        while page:
            for entry in page:
                why = f"a verdict on {entry.model}@{entry.number}"
                yield from ((digest, why) for digest in here(self.store, entry.blobs))
            page = self.registry.verdicts(after=page[-1].digest)

    def _ledger_needs(self) -> Iterator[tuple[Digest, str]]:
        """The pages of the decision ledger; one that is lost is told, for nobody can make it again."""
        for page in ledger_pages(self.registry):
            if self.now is None or page.is_needed(self.now):
                yield from ((digest, f"ledger of {page.model}") for digest in page.blobs)

    @cached_property
    def _archived(self) -> dict[Digest, "_Archived"]:
        """What is archived, with all its archives."""
        found: dict[Digest, _Archived] = {}
        versions = {version.digest: version for version in self.registry.versions()}
        for archive in self.registry.archives():
            if archive.digest not in found:
                version, manifest = versions.get(archive.digest), None
                trees: tuple[Digest, ...] = (archive.digest,)
                if version is not None:
                    manifest, trees = _named(version, self.store, self.registry, self._note)
                found[archive.digest] = _Archived(archive.digest, archive.name, version, manifest, trees)
            found[archive.digest].archives.append(archive)
        return found

    def _archived_needs(self, one: "_Archived") -> Iterator[tuple[Digest, str]]:
        record = {one.digest}
        if one.version is not None:
            record.update(version_record(one.version, self.store, self.registry, self._note))
        yield from ((digest, f"record of {one.name}") for digest in sorted(record))
        if not self._is_more_here(one, record):
            return  # all that may go has gone: nobody needs to be asked
        why = self._why_still_here(one)
        if why is None:
            self._may_go.append(one)
        else:
            for digest in here(self.store, self._blobs_of(one, self._walked)):
                yield digest, f"{one.name}, archived: {why}"

    def _why_still_here(self, one: "_Archived") -> str | None:
        """Why the bytes stay, though they are archived; None when they may go."""
        kept = None if one.version is None else self.kept.get(which(one.version))
        if kept is not None:
            return kept.reason
        troubles = [self._trouble(one, archive) for archive in one.archives]
        return None if None in troubles else troubles[-1]

    def _trouble(self, one: "_Archived", archive: Archive) -> str | None:
        """Why the remote of an archive does not stand in for the bytes here; None where it lists every blob."""
        trouble = self.elsewhere.trouble(archive, self._bundle_of(one))
        for tree in one.trees:
            trouble = trouble or self.elsewhere.trouble_of_tree(archive, tree, partial(self._data_of, tree))
        return trouble

    def _is_more_here(self, one: "_Archived", record: set[Digest]) -> bool:
        """Whether anything but the record is here."""
        if next(here(self.store, (digest for digest in self._bundle_of(one) if digest not in record)), None):
            return True
        for tree in one.trees:
            if tree not in self._filled:
                files = (digest for digest in self._data_of(tree) if digest not in record)
                self._filled[tree] = next(here(self.store, files), None) is not None
        return any(self._filled[tree] for tree in one.trees)

    def _blobs_of(self, one: "_Archived", walked: set[Digest]) -> Iterator[Digest]:
        yield from self._bundle_of(one)
        yield from _trees_need(one.trees, self.store, self._note, walked)

    def _bundle_of(self, one: "_Archived") -> Iterator[Digest]:
        if one.version is not None:
            yield one.digest
            if one.manifest is not None:
                yield from (entry.digest for entry in one.manifest.files)

    def _data_of(self, tree: Digest) -> Iterator[Digest]:
        return tree_needs(tree, self.store, self._note)

    def _note(self, digest: Digest, error: HoldfastError) -> None:
        self.unread[digest] = error.message

    def _all_of(self, digest: Digest, *, whole: bool) -> Iterator[Digest]:
        """What a snapshot, a version or a single blob needs, told apart by what its bytes begin with.

        Args:
            digest: of it.
            whole: whether all of it is to be here; if not, what is absent is passed over.
        """
        needed = whole_needs(digest, self.store, self._note, self._walked)
        return needed if whole else here(self.store, needed)


@dataclass(slots=True)
class _Archived:
    """A version or a snapshot with all its archives.

    Attributes:
        digest: of it.
        name: what a person calls it.
        version: None for a snapshot.
        manifest: of the version; None where it cannot be read.
        trees: of its data.
        archives: where it is.
    """

    digest: Digest
    name: str
    version: Version | None
    manifest: Manifest | None
    trees: tuple[Digest, ...]
    archives: list[Archive] = field(default_factory=list)

    @property
    def run(self) -> str | None:
        """The run that made it."""
        return None if self.version is None else self.version.run_id
