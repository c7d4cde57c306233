"""Settings: read from the environment once, at the edge, and passed on as one frozen value.

| variable | meaning | default |
|---|---|---|
| `HOLDFAST_HOME` | the folder of the embedded registry and store | `.holdfast/`, found upwards like `.git` |
| `HOLDFAST_DATABASE_URL` | the registry's database, in SQLite or PostgreSQL | `registry.db` in the home |
| `HOLDFAST_STORE_URL` | where bytes are kept | `store/` in the home |
| `HOLDFAST_STORE_CACHE_BYTES_MAX` | how much of a store in a bucket is kept on this machine | 10 GiB |
| `HOLDFAST_ENVIRONMENTS_BYTES_MAX` | how much built environments take, before the oldest go | 20 GiB |
| `HOLDFAST_BUILD_FROM_SOURCE` | `true`: what has no wheel is built, which runs its author's code | `false` |
| `HOLDFAST_URL` | a Holdfast server, used instead of the embedded registry | none |
| `HOLDFAST_TOKEN` | the identity shown to that server | what `holdfast login` keeps for it |
| `HOLDFAST_DIRECT_READS` | `true`: a server whose bytes are in a bucket gives out signed URLs | `false` |
| `HOLDFAST_PUBLIC_URL` | where clients reach a server started here, where a proxy hides that | as requests say |
| `HOLDFAST_OIDC_ISSUER` | who signs people in to a server started here | none |
| `HOLDFAST_OIDC_CLIENT_ID` | as what that issuer knows the server | none |
| `XDG_CONFIG_HOME` | where `holdfast login` keeps tokens, in `holdfast/` | `~/.config` |
| `HOLDFAST_SIGNING_KEY` | the private key that `holdfast sign` and `register --sign` take | none |
| `HOLDFAST_SIGNING_PASSPHRASE` | opens that key, when it is encrypted; asked for at a terminal otherwise | none |
| `HOLDFAST_SIGNED_BY` | keys, with commas between, one of which must have signed what `holdfast serve` opens | none |
| `HOLDFAST_WEBHOOK_HOSTS` | hosts, with commas between, that webhooks may name wherever they are | none |
| `HOLDFAST_WEBHOOK_KEY` | 32 bytes in base 64 that seal the secrets of webhooks | `webhooks.key` in the home |
| `HOLDFAST_ALERT_SECRET` | signs the alerts that replicas send to webhooks: `whsec_` and base 64 | none |
| `XDG_STATE_HOME` | where what was seen of each log is remembered, in `holdfast/` | `~/.local/state` |
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.errors import NoProject, UsageError

__all__ = [
    "ENVIRONMENTS_BYTES_MAX",
    "HOME_NAME",
    "POLICY_NAME",
    "STORE_CACHE_BYTES_MAX",
    "VERSION",
    "Settings",
    "credentials_path",
    "keys_folder",
]

VERSION = "0.1.0"
"""Of this Holdfast; the one place that says it."""

HOME_NAME = ".holdfast"
POLICY_NAME = "holdfast.toml"

STORE_CACHE_BYTES_MAX = 10 << 30
"""A dozen bundles and the data of a training run or two; little beside the disk of a machine that trains."""

ENVIRONMENTS_BYTES_MAX = 20 << 30
"""Three or four environments with a GPU framework, or some sixty without."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where this process finds its registry and store.

    Attributes:
        home: the `.holdfast/` folder.
        project: the folder that holds it; paths in bundles and snapshots are relative to it.
        database_url: SQLAlchemy URL of the registry.
        store_url: a folder, or a URL of an object store.
        store_cache_bytes_max: how many bytes of an object store are kept on this machine.
        environments_bytes_max: how many bytes built environments take, before those unused for longest are removed.
        build_from_source: whether an environment may hold what has no wheel, and must be built from its source.
        url: a server, when one is used; None means embedded.
        token: the identity shown to that server.
        credentials: the file in which this user keeps tokens, by server.
        direct_reads: whether a server gives signed URLs into the bucket that its bytes are in.
        public_url: where clients reach a server started here, without a slash at its end; None: as their requests say.
        oidc_issuer: who signs people in to a server started here.
        oidc_client_id: as what that issuer knows the server.
        state: what this user remembers across projects; outside of them, so that putting back an old copy of a project
            leaves it alone.
        keys: the folder in which this user's own signing keys are made.
        signing_key: the private key that signs versions.
        signing_passphrase: opens it; None: whoever sits at the terminal is asked.
        signed_by: keys, files or fingerprints, one of which must have signed what a replica here opens; empty: none.
        webhook_hosts: hosts that webhooks may name wherever they are.
        webhook_key: seals the secrets of webhooks; None: the key in the home does.
        alert_secret: signs the alerts that a replica sends; None: it can send none.
    """

    home: Path
    project: Path
    database_url: str = field(repr=False)  # it may hold a password
    store_url: str
    store_cache_bytes_max: int = STORE_CACHE_BYTES_MAX
    environments_bytes_max: int = ENVIRONMENTS_BYTES_MAX
    build_from_source: bool = False
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    state: Path | None = None
    credentials: Path | None = None
    direct_reads: bool = False
    public_url: str | None = None
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    keys: Path | None = None
    signing_key: Path | None = None
    signing_passphrase: str | None = field(default=None, repr=False)
    signed_by: tuple[str, ...] = ()
    webhook_hosts: tuple[str, ...] = ()
    webhook_key: str | None = field(default=None, repr=False)
    alert_secret: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, home: Path, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings of the project whose home is `home`, whether it exists or not."""
        home = home.absolute()
        return cls(
            home=home,
            project=home.parent,
            database_url=environment.get("HOLDFAST_DATABASE_URL") or f"sqlite:///{home / 'registry.db'}",
            store_url=environment.get("HOLDFAST_STORE_URL") or str(home / "store"),
            store_cache_bytes_max=_bytes(environment, "HOLDFAST_STORE_CACHE_BYTES_MAX", STORE_CACHE_BYTES_MAX),
            environments_bytes_max=_bytes(environment, "HOLDFAST_ENVIRONMENTS_BYTES_MAX", ENVIRONMENTS_BYTES_MAX),
            build_from_source=_flag(environment, "HOLDFAST_BUILD_FROM_SOURCE"),
            url=environment.get("HOLDFAST_URL") or None,
            token=environment.get("HOLDFAST_TOKEN") or None,
            state=_folder(environment, "XDG_STATE_HOME", ".local/state"),
            credentials=credentials_path(environment),
            direct_reads=_flag(environment, "HOLDFAST_DIRECT_READS"),
            public_url=_address(environment, "HOLDFAST_PUBLIC_URL"),
            oidc_issuer=environment.get("HOLDFAST_OIDC_ISSUER") or None,
            oidc_client_id=environment.get("HOLDFAST_OIDC_CLIENT_ID") or None,
            keys=keys_folder(environment),
            signing_key=Path(text) if (text := environment.get("HOLDFAST_SIGNING_KEY")) else None,
            signing_passphrase=environment.get("HOLDFAST_SIGNING_PASSPHRASE") or None,
            signed_by=_listed(environment.get("HOLDFAST_SIGNED_BY", "")),
            webhook_hosts=_names(environment.get("HOLDFAST_WEBHOOK_HOSTS", "")),
            webhook_key=environment.get("HOLDFAST_WEBHOOK_KEY") or None,
            alert_secret=environment.get("HOLDFAST_ALERT_SECRET") or None,
        )

    @classmethod
    def find(cls, start: Path, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings of the project around `start`.

        Raises:
            NoProject: no home here or above.
        """
        named = environment.get("HOLDFAST_HOME")
        if named:
            if not Path(named).is_dir():
                raise NoProject(
                    f"HOLDFAST_HOME names {named}, which is not a folder",
                    hint="Unset it, or run: holdfast init",
                )
            return cls.at(Path(named), environment)
        start = start.absolute()
        for folder in (start, *start.parents):
            if (folder / HOME_NAME).is_dir():
                return cls.at(folder / HOME_NAME, environment)
        raise NoProject(f"no {HOME_NAME}/ in {start} or above", hint="Make one here with: holdfast init")

    @property
    def policy_path(self) -> Path:
        """The policy file of the project; it may be absent, and then the defaults hold."""
        return self.project / POLICY_NAME

    @property
    def cache(self) -> Path:
        """Rebuildable things: bundles checked out for serving, environments."""
        return self.home / "cache"

    @property
    def scratch(self) -> Path:
        """Folders of work in progress; what a crash leaves here is swept by the next run."""
        return self.home / "tmp"


def _bytes(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise UsageError(
            f"{name} is {text[:40]!r}, which is no number of bytes", hint="Write digits only, or unset it."
        )
    return int(text)


def _address(environment: Mapping[str, str], name: str) -> str | None:
    text = (environment.get(name) or "").rstrip("/")
    scheme, _, place = text.partition("://")
    if text and (scheme not in {"http", "https"} or not place):
        raise UsageError(f"{name} is {text[:200]!r}", hint="Write it like https://models.example.org, or unset it.")
    return text or None


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name) or "false"
    if text not in {"true", "false"}:
        raise UsageError(f"{name} is {text[:40]!r}", hint="Write true or false, or unset it.")
    return text == "true"


def credentials_path(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file in which this user keeps tokens; None where the user has no home."""
    folder = _folder(environment, "XDG_CONFIG_HOME", ".config")
    return None if folder is None else folder / "credentials.json"


def keys_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder in which this user's own signing keys are made; None where the user has no home."""
    folder = _folder(environment, "XDG_CONFIG_HOME", ".config")
    return None if folder is None else folder / "keys"


def _listed(text: str) -> tuple[str, ...]:
    """What is named between commas; a text that names nothing at all, such as a lone comma, is a mistake."""
    found = tuple(name for part in text.split(",") if (name := part.strip()))
    if text.strip() and not found:
        raise UsageError(f"HOLDFAST_SIGNED_BY is {text[:40]!r}, and names no key", hint="Name keys, or unset it.")
    return found


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip().lower()))


def _folder(environment: Mapping[str, str], name: str, default: str) -> Path | None:
    """As the XDG Base Directory Specification has it; a path that is not absolute is to be passed over."""
    named, home = environment.get(name, ""), environment.get("HOME", "")
    if Path(named).is_absolute():
        return Path(named) / "holdfast"
    return Path(home) / default / "holdfast" if Path(home).is_absolute() else None
