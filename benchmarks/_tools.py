"""What every tool is asked for in a benchmark of the store, and Holdfast, `cp` and `tar` as they answer it.

A tool works in a folder of its own that holds the data as `data/`. Methods that return `Work` say what is to be
measured; all others cost nothing. Versions are counted from 1.
"""

import compileall
import json
import os
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from _measuring import Command, StepFailed, say

SOURCE = Path(__file__).parents[1] / "src"

DATA = "data"
"""The name of the folder that is frozen, in every tool's own folder."""

_KEPT_NAMES = ("LANG", "TERM", "TMPDIR", "SSL_CERT_FILE")


class NotAvailable(Exception):
    """A tool, or this installation of it, has no such step; the message says why."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is measured.

    Attributes:
        commands: one after the other.
        result: the folder that must afterwards hold the bytes of the data; None when there is none to look at.
    """

    commands: tuple[Command, ...]
    result: Path | None = None


class Tool(ABC):
    """One way to keep versions of a folder.

    Attributes:
        name: as it is shown.
        owns_data: it may change the files of `data/` themselves, so that it needs a copy of its own.
        folder: where it works.
        environment: of each of its processes; HOME and every cache are inside `folder`.
    """

    name: str
    owns_data = False

    def __init__(self, folder: Path, peers: Path) -> None:
        self.folder = folder
        self.peers = peers
        self.environment = isolated(folder, peers)

    @classmethod
    @abstractmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """The version of the program.

        Raises:
            NotAvailable: it is not installed; the message says how it would be.
        """

    @property
    def store(self) -> Path:
        """The folder that holds what was frozen."""
        return self.folder / "store"

    @property
    def data(self) -> Path:
        """The folder that is frozen."""
        return self.folder / DATA

    @abstractmethod
    def begin(self) -> None:
        """Make an empty store."""

    @abstractmethod
    def snapshot(self, version: int) -> Work:
        """Freeze `data/` as it is now."""

    def learn(self, version: int, said: str) -> None:
        """Take from what the last command of `snapshot` printed whatever is needed to find the version again."""
        del version, said

    @abstractmethod
    def checkout(self, version: int, target: Path) -> Work:
        """Write a version into an empty folder."""

    def snapshot_again(self, version: int) -> Work:
        """Freeze data that is largely or wholly known already.

        Raises:
            NotAvailable: the tool knows nothing of what it did before.
        """
        return self.snapshot(version)

    def checkout_by_link(self, version: int, target: Path) -> Work:
        """Write a version into an empty folder without copying its bytes."""
        del version, target
        raise NotAvailable("has no hard links")

    def push(self, version: int) -> Work:
        """Send a version to an empty remote folder."""
        del version
        raise NotAvailable("has no remotes")

    def pull(self, version: int, target: Path) -> Work:
        """Fetch a version from the remote folder into a new store, and write its files into an empty folder."""
        del version, target
        raise NotAvailable("has no remotes")

    @property
    def archived(self) -> Path:
        """The folder that holds what was archived."""
        return self.folder / "archived"

    def archive(self) -> Work:
        """Put every version where it takes the least room, however long that takes."""
        raise NotAvailable("has no archives")

    def restore(self, version: int, target: Path) -> Work:
        """Fetch every version from the archive into a new store, and write the files of one into an empty folder."""
        del version, target
        raise NotAvailable("has no archives")

    def diff(self, before: int, after: int) -> Work:
        """Say which files differ between two versions."""
        del before, after
        raise NotAvailable("has no such command")

    def run(self, *argv: str, cwd: Path | None = None, more: Mapping[str, str] | None = None) -> Command:
        """One process of this tool."""
        return Command(argv, cwd or self.folder, {**self.environment, **(more or {})})


def isolated(folder: Path, peers: Path) -> dict[str, str]:
    """An environment in which nothing of the person who runs the benchmark is read or written."""
    home = folder / "home"
    kept = {name: os.environ[name] for name in _KEPT_NAMES if name in os.environ}
    return {
        **kept,
        "PATH": f"{peers / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local"),
        "LC_ALL": "C.UTF-8",
    }


def program(name: str, peers: Path, hint: str) -> str:
    """The path of a program, from the peers' own environment or the PATH.

    Raises:
        NotAvailable: it is in neither; `hint` says how to get it.
    """
    found = shutil.which(name, path=f"{peers / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise NotAvailable(f"missing: {hint}")
    return found


def number_of(command: Command) -> str:
    """The first version number that a program prints about itself.

    Raises:
        NotAvailable: it cannot even do that.
    """
    try:
        told = say(command)
    except (StepFailed, OSError) as error:
        raise NotAvailable(f"does not start: {error}") from error
    found = re.search(r"\d+(?:\.\d+)+\S*", told)
    return found[0] if found else "of unknown version"


class Holdfast(Tool):
    """This checkout's Holdfast, through its command line."""

    name = "holdfast"

    def __init__(self, folder: Path, peers: Path) -> None:
        super().__init__(folder, peers)
        self.environment["PYTHONPATH"] = str(SOURCE)
        self._digests: dict[int, str] = {}

    @classmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """What `holdfast --version` prints."""
        # As an installation does: where byte code may not be written, every start would compile everything again.
        compileall.compile_dir(SOURCE, quiet=1)
        return number_of(cls(folder, peers).holdfast("--version"))

    @property
    def store(self) -> Path:
        """The whole project folder of Holdfast, with its registry."""
        return self.folder / ".holdfast"

    def begin(self) -> None:
        """Make a project."""
        say(self.holdfast("init", "--json"))

    def snapshot(self, version: int) -> Work:
        """`holdfast snapshot data --json`."""
        del version
        return Work((self.holdfast("snapshot", DATA, "--json"),))

    def learn(self, version: int, said: str) -> None:
        """Remember the digest."""
        self._digests[version] = json.loads(said)["digest"]

    def checkout(self, version: int, target: Path) -> Work:
        """`holdfast checkout sha256:… FOLDER`."""
        return Work((self.holdfast("checkout", self._digests[version], str(target), "--json"),), target)

    def checkout_by_link(self, version: int, target: Path) -> Work:
        """`holdfast checkout --link sha256:… FOLDER`."""
        self._require("checkout", "--link")
        command = self.holdfast("checkout", "--link", self._digests[version], str(target), "--json")
        return Work((command,), target)

    def push(self, version: int) -> Work:
        """`holdfast push`, to a remote folder that `holdfast remote add` has named."""
        self._require("push", "--json")
        say(self.holdfast("remote", "add", "origin", str(self.folder / "remote")))
        return Work((self.holdfast("push", self._digests[version], "--json"),))

    def pull(self, version: int, target: Path) -> Work:
        """`holdfast pull` and `holdfast checkout`, in another project."""
        self._require("pull", "--json")
        other = self.folder / "other"
        other.mkdir()
        say(self.holdfast("init", "--json", cwd=other))
        say(self.holdfast("remote", "add", "origin", str(self.folder / "remote"), cwd=other))
        digest = self._digests[version]
        fetched = self.holdfast("pull", digest, "--json", cwd=other)
        return Work((fetched, self.holdfast("checkout", digest, str(target), "--json", cwd=other)), target)

    def archive(self) -> Work:
        """`Outgoing.send` with bases, to an archive in a folder."""
        return Work((self._archive("send", self.folder),))

    def restore(self, version: int, target: Path) -> Work:
        """`Incoming.fetch` from the archive and `holdfast checkout`, in another project."""
        other = self.folder / "restored"
        if not other.exists():
            other.mkdir()
            say(self.holdfast("init", "--json", cwd=other))
        written = self.holdfast("checkout", self._digests[version], str(target), "--json", cwd=other)
        return Work((self._archive("fetch", other), written), target)

    def _archive(self, way: str, cwd: Path) -> Command:
        script = Path(__file__).with_name("_archive.py")
        return self._python(str(script), way, str(self.archived), *self._digests.values(), cwd=cwd)

    def diff(self, before: int, after: int) -> Work:
        """`diff_trees` over both trees: the comparison that the command line will show."""
        script = Path(__file__).with_name("_diff.py")
        command = self._python(str(script), self._digests[before], self._digests[after])
        try:
            say(self._python(str(script), "--probe"))
        except StepFailed:
            raise NotAvailable("not there yet: holdfast.store.tree.diff_trees") from None
        return Work((command,))

    def _require(self, command: str, option: str) -> None:
        try:
            told = say(self.holdfast(command, "--help"))
        except StepFailed:
            raise NotAvailable(f"not there yet: holdfast {command}") from None
        if option not in told:
            raise NotAvailable(f"not there yet: holdfast {command} {option}")

    def holdfast(self, *words: str, cwd: Path | None = None) -> Command:
        """The command line of this checkout."""
        return self._python("-m", "holdfast", *words, cwd=cwd)

    def _python(self, *words: str, cwd: Path | None = None) -> Command:
        return self.run(sys.executable, *words, cwd=cwd)


class Copy(Tool):
    """`cp -r`: what the bytes cost when nobody looks at them. Context, not a peer."""

    name = "cp"

    @classmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """What `cp --version` prints first."""
        return number_of(cls(folder, peers).run(program("cp", peers, "coreutils"), "--version"))

    def begin(self) -> None:
        """Make a folder."""
        self.store.mkdir()

    def snapshot(self, version: int) -> Work:
        """Copy the whole folder."""
        return Work((self.run("cp", "-r", DATA, str(self.store / f"v{version}")),))

    def snapshot_again(self, version: int) -> Work:
        """It would copy everything again."""
        del version
        raise NotAvailable("copies everything again")

    def checkout(self, version: int, target: Path) -> Work:
        """Copy it back."""
        return Work((self.run("cp", "-r", str(self.store / f"v{version}"), str(target)),), target)

    def checkout_by_link(self, version: int, target: Path) -> Work:
        """Hard links for all files, unverified."""
        return Work((self.run("cp", "-rl", str(self.store / f"v{version}"), str(target)),), target)


class Tar(Tool):
    """`tar` without compression, as `Copy`."""

    name = "tar"

    @classmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """What `tar --version` prints first."""
        return number_of(cls(folder, peers).run(program("tar", peers, "tar"), "--version"))

    def begin(self) -> None:
        """Make a folder."""
        self.store.mkdir()

    def snapshot(self, version: int) -> Work:
        """Write the whole folder into one file."""
        return Work((self.run("tar", "-cf", str(self.store / f"v{version}.tar"), DATA),))

    def snapshot_again(self, version: int) -> Work:
        """It would write everything again."""
        del version
        raise NotAvailable("writes everything again")

    def checkout(self, version: int, target: Path) -> Work:
        """Unpack it."""
        target.mkdir()
        return Work((self.run("tar", "-xf", str(self.store / f"v{version}.tar"), "-C", str(target)),), target / DATA)
