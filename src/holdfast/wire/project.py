"""A project: where its names and bytes are, and who is asking."""

import getpass
import os
import subprocess
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.config import HOME_NAME, Settings
from holdfast.digest import Digest
from holdfast.errors import AlreadyExists, NotFound, UsageError
from holdfast.names import Reference
from holdfast.service.credentials import Credentials
from holdfast.service.line import Line
from holdfast.store.disk import refusing
from holdfast.store.interface import Store
from holdfast.store.local import LocalStore
from holdfast.store.remote.address import Address
from holdfast.store.remote.direct import RemoteStore
from holdfast.wire.remotes import open_remote, open_service_store

if TYPE_CHECKING:
    from holdfast.database.engine import Database
    from holdfast.flow.bundle.assemble import Opener
    from holdfast.flow.gate import Policy, Workbench
    from holdfast.flow.register import Workshop
    from holdfast.registry.interface import Registry
    from holdfast.registry.provable import ProvableRegistry
    from holdfast.runtime.bundle_files import BundleFiles
    from holdfast.runtime.limits import Limits
    from holdfast.tracking.interface import Tracking
    from holdfast.upkeep.audit.logbook import Logbook
    from holdfast.upkeep.keep_rules import KeepRules

__all__ = ["Project", "actor_of", "create_project", "make_home", "new_id", "open_project", "utc_now"]

_GIT_SECONDS_MAX = 5.0
"""Git answers who it is from a file or two; a slower answer is a broken network home, and the system user will do."""

_SERVERS = frozenset({"postgresql", "postgres"})
"""How the URL of a database begins that is no file: it can be tried before there is a home."""


def utc_now() -> datetime:
    """The clock of this process."""
    return datetime.now(UTC)


def new_id() -> str:
    """An id that nobody has had."""
    return uuid4().hex


class _Names:
    """The database of a project, opened when somebody asks for names or runs: bytes can do without it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = Lock()
        self._database: Database | None = None

    def database(self) -> "Database":
        """The one database of this project, whichever thread asks first."""
        from holdfast.database.engine import Database

        with self._lock:
            if self._database is None:
                self._database = Database.open(self._url)
            return self._database

    def close(self) -> None:
        """Close its connections, if there are any; it may be used again afterwards."""
        if self._database is not None:
            self._database.close()


@dataclass(frozen=True)
class Project(AbstractContextManager["Project"]):
    """One opened project: where its names and bytes are, and who is asking.

    Its registry and runs are opened when they are first asked for, and what that takes is imported then: freezing data
    takes less time than opening a database. What it holds open is let go of with `close()`, with the `with` block, or
    when nobody has the project any more.

    Attributes:
        settings: where everything is.
        store: bytes by digest.
        names: the database that registry and runs share, or the line to the server that keeps them.
    """

    settings: Settings
    store: Store
    names: "_Names | Line"

    def __post_init__(self) -> None:
        weakref.finalize(self, self.names.close)

    def close(self) -> None:
        """Let go of the database's connections, or the server's; safe to call twice, and it may be used again."""
        self.names.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def registry(self) -> "Registry":
        """Models, versions, stages, events.

        Raises:
            IntegrityError: the log does not begin with what this user saw of it.
            UnsupportedFormat: written by a newer Holdfast, or not by Holdfast.
            NotFound, UsageError, IntegrityError, NoSpace, PermissionRefused, Unavailable: it cannot be opened.
        """
        from holdfast.upkeep.audit.memory import Watch

        watch = Watch.of(self.settings)
        registry = self._registry(watch.grown)
        watch.opened(registry)
        return registry

    def _registry(self, grown: "Callable[[ProvableRegistry], None] | None" = None) -> "ProvableRegistry":
        if isinstance(self.names, Line):
            from holdfast.registry.http import HttpRegistry

            return HttpRegistry(self.names, new_id)
        from holdfast.registry.sql import SqlRegistry

        return SqlRegistry(self.names.database(), utc_now, new_id, grown)

    @cached_property
    def unwatched(self) -> "ProvableRegistry":
        """The registry as a server gives it to others: each of them holds the log against what they saw themselves.

        Raises:
            As `registry`.
        """
        return self._registry()

    @cached_property
    def logbook(self) -> "Logbook":
        """The log with what signs it; unlike `registry` it opens a log that is not what was seen of it, to say so.

        Raises:
            As `registry`.
        """
        from holdfast.upkeep.audit.logbook import Logbook

        if isinstance(self.names, Line):
            from holdfast.registry.http import HttpRegistry

            return Logbook.behind(self.settings, HttpRegistry(self.names, new_id))
        return Logbook.of(self.settings, self.unwatched)

    @cached_property
    def tracking(self) -> "Tracking":
        """Runs.

        Raises:
            As `registry`.
        """
        if isinstance(self.names, Line):
            from holdfast.tracking.http import HttpTracking

            return HttpTracking(self.names, utc_now, new_id)
        from holdfast.tracking.sql import SqlTracking

        return SqlTracking(self.names.database(), utc_now, new_id)

    @cached_property
    def actor(self) -> str:
        """Who is asking: as the server knows them by their token; else the Git identity, or the system user."""
        known = self.names.known_as() if isinstance(self.names, Line) else None
        return known or actor_of(self.settings.project)

    @property
    def seen(self) -> Path:
        """Where snapshots remember what their sources looked like; it may be deleted at any time."""
        return self.settings.cache / "seen"

    @cached_property
    def policy(self) -> "Policy":
        """What the stages ask; read when it is first needed, so that a mistake in it stops no one who only looks.

        Raises:
            UsageError: the policy file is not valid.
        """
        from holdfast.flow.gate import Policy

        return Policy.read(self.settings.policy_path)

    @cached_property
    def keep_rules(self) -> "KeepRules":
        """Which versions stay at hand; read when something is to be archived or deleted.

        Raises:
            UsageError: the policy file is not valid.
        """
        return _keep_rules(self.policy)

    @cached_property
    def workshop(self) -> "Workshop":
        """Where bundles are put together."""
        from holdfast.flow.register import Workshop

        return Workshop(self.store, self.opener, self.settings.scratch, self.policy.stages)

    @cached_property
    def workbench(self) -> "Workbench":
        """Where bundles are taken to be judged."""
        from holdfast.flow.gate import Workbench

        return Workbench(self.store, self.settings.cache, self.opener, self.limited, self.settings.project)

    @property
    def opener(self) -> "Opener":
        """Starts a worker for a bundle, in the environment that the bundle names."""
        from holdfast.wire.workers import environments, opener

        return opener(environments(self.settings, self.store))

    def limited(self, limits: "Limits") -> "Opener":
        """The same, with workers that may use what `limits` say."""
        from holdfast.wire.workers import environments, opener

        return opener(environments(self.settings, self.store), limits)

    def checkout(self, version: Reference, folder: Path) -> "BundleFiles":
        """Write the bundle of a version into `folder`.

        Raises:
            NotFound: there is no such version, or the store lacks a file of its bundle.
            Archived: it was archived, and its bytes are not here.
            AlreadyExists: the folder holds something.
            IntegrityError, NoSpace, PermissionRefused: a blob is damaged, or the folder cannot be written.
        """
        from holdfast.runtime.at_hand import require_at_hand
        from holdfast.runtime.materialise import checkout_bundle

        found = self.registry.resolve(version)
        require_at_hand(found, self.registry, self.store)
        return checkout_bundle(self.store, found.digest, folder)

    def require_data(self, tree: Digest) -> None:
        """Raise where the data of a snapshot was archived and is not here.

        Raises:
            Archived: that is so.
        """
        from holdfast.runtime.at_hand import require_data_at_hand

        require_data_at_hand(tree, self.registry, self.store)


def create_project(folder: Path, log_name: str | None = None) -> Settings:
    """Make a project in `folder`: its home, an empty registry and store, and a policy file that says the defaults.

    Its log is signed under `log_name` for good; by default under one that nobody else has.

    Raises:
        AlreadyExists: there is one already.
        UsageError: the environment or the policy file asks for something that cannot be; nothing was made.
        Unavailable, NotFound, MissingExtra: the database on a server cannot be opened; nothing was made.
        NoSpace, PermissionRefused: the operating system refused.
    """
    settings = Settings.at(folder / HOME_NAME)
    from holdfast.flow.gate import POLICY_STUB, Policy
    from holdfast.upkeep.audit.key import require_name

    require_name(log_name)
    _refuse_what_is_not_built(settings)
    _keep_rules(Policy.read(settings.policy_path))
    if settings.url is not None:
        with closing(_line(settings)) as line:
            line.get("/models", limit=1)
    elif settings.database_url.partition(":")[0].partition("+")[0] in _SERVERS:
        _Names(settings.database_url).database().close()
    make_home(settings)
    if settings.url is None:
        with open_project(settings) as project:
            project.unwatched.heads()
        from holdfast.upkeep.audit.logbook import Logbook

        Logbook.begin(settings, log_name)
    if not settings.policy_path.exists():
        with refusing(settings.policy_path):
            settings.policy_path.write_text(POLICY_STUB, encoding="utf-8")
    return settings


def make_home(settings: Settings, *, exist_ok: bool = False) -> None:
    """Make the folder of a project's home.

    Raises:
        AlreadyExists: it is there, and must not be.
        NoSpace, PermissionRefused: the operating system refused.
    """
    with refusing(settings.home):
        settings.home.parent.mkdir(parents=True, exist_ok=True)
        try:
            settings.home.mkdir(mode=0o700, exist_ok=exist_ok)
        except FileExistsError as error:
            raise AlreadyExists(
                f"{settings.home} is there already", hint="Use it: holdfast list", home=str(settings.home)
            ) from error
        # The home ignores itself, so that nobody's own .gitignore needs editing.
        (settings.home / ".gitignore").write_text("*\n", encoding="utf-8")


def _keep_rules(policy: "Policy") -> "KeepRules":
    from holdfast.upkeep.keep_rules import KeepRules

    return KeepRules.parse(policy.document.get("retention", {}), policy.where, policy.stages)


def open_project(settings: Settings) -> Project:
    """The project that `settings` describe.

    Raises:
        UsageError: it needs something that this Holdfast cannot do yet.
        UnsupportedFormat: its store was written by a newer Holdfast.
        NotFound: its home is gone.
    """
    _refuse_what_is_not_built(settings)
    if not settings.home.is_dir():
        raise NotFound(
            f"there is no folder {settings.home} to hold the project",
            hint="Make it with: holdfast init",
            path=str(settings.home),
        )
    if settings.url is not None:
        line = _line(settings)
        return Project(settings, open_service_store(settings, line), line)
    return Project(settings, _open_store(settings), _Names(settings.database_url))


def _line(settings: Settings) -> Line:
    url = str(settings.url)
    return Line(url, token=settings.token or Credentials(settings.credentials).token(url))


def _open_store(settings: Settings) -> Store:
    if "://" not in settings.store_url:
        return LocalStore(Path(settings.store_url))
    address = Address.parse(settings.store_url)
    return RemoteStore(open_remote(settings, address, None), settings.store_cache_bytes_max)


def _refuse_what_is_not_built(settings: Settings) -> None:
    if "://" in settings.store_url:
        Address.parse(settings.store_url)
    scheme, separator, _ = settings.database_url.partition("://")
    if scheme.partition("+")[0] not in {"sqlite", *_SERVERS}:
        # Whatever stands behind the scheme stays untold: a password may be in it.
        raise UsageError(
            f"HOLDFAST_DATABASE_URL begins with {scheme}://, and this Holdfast keeps names in SQLite or PostgreSQL"
            if separator
            else "HOLDFAST_DATABASE_URL is not a URL",
            hint="Unset it, or write it as sqlite:////absolute/path/registry.db or postgresql://user:password@host/name",
        )


def actor_of(folder: Path) -> str:
    """Who is asking: `ana <ana@example.org>` as Git has it, or the system user."""
    name = os.environ.get("GIT_AUTHOR_NAME") or _git_config(folder, "user.name")
    email = os.environ.get("GIT_AUTHOR_EMAIL") or _git_config(folder, "user.email")
    return f"{name} <{email}>" if name and email else name or email or _system_user()


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return f"uid {os.getuid()}"  # a container often runs as a number that no list of users names


def _git_config(folder: Path, key: str) -> str:
    try:
        done = subprocess.run(
            ["git", "config", "--get", key],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
