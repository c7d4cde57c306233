"""DVC, restic, git-lfs, borg and hf-xet, each used for the job as its own documentation says."""

import json
from pathlib import Path

from _measuring import Command, hollow, say
from _tools import DATA, Copy, Holdfast, NotAvailable, Tar, Tool, Work, number_of, program

FROM_PEERS = "run benchmarks/peers"
XET = Path(__file__).with_name("_peer_xet.py")


class Dvc(Tool):
    """`dvc add` without Git, with the default kind of cache and a remote in a folder."""

    name = "dvc"
    owns_data = True  # what lies in the workspace may be linked into the cache, and made read-only there

    def __init__(self, folder: Path, peers: Path) -> None:
        super().__init__(folder, peers)
        home = folder / "home"
        self.environment |= {
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
            "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc-global"),
            "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
        }
        self._pointers: dict[int, bytes] = {}

    @classmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """What `dvc --version` prints."""
        return number_of(cls(folder, peers).run(program("dvc", peers, FROM_PEERS), "--version"))

    @property
    def store(self) -> Path:
        """The cache."""
        return self.folder / ".dvc" / "cache"

    def begin(self) -> None:
        """Make a project."""
        self._project(self.folder)

    def snapshot(self, version: int) -> Work:
        """`dvc add data`."""
        del version
        return Work((self.run("dvc", "add", "-q", DATA),))

    def learn(self, version: int, said: str) -> None:
        """Keep the pointer that a person would commit."""
        del said
        self._pointers[version] = (self.folder / f"{DATA}.dvc").read_bytes()

    def checkout(self, version: int, target: Path) -> Work:
        """`dvc checkout` where the data has been removed: it knows no other folder."""
        del target
        gone = self.folder / f"gone-{len(list(self.folder.glob('gone-*')))}"
        self.data.rename(gone)
        hollow(gone)
        (self.folder / f"{DATA}.dvc").write_bytes(self._pointers[version])
        return Work((self.run("dvc", "checkout", "-q"),), self.data)

    def checkout_by_link(self, version: int, target: Path) -> Work:
        """The same with `cache.type hardlink`."""
        say(self.run("dvc", "config", "cache.type", "hardlink"))
        return self.checkout(version, target)

    def push(self, version: int) -> Work:
        """`dvc push`."""
        (self.folder / f"{DATA}.dvc").write_bytes(self._pointers[version])
        return Work((self.run("dvc", "push", "-q"),))

    def pull(self, version: int, target: Path) -> Work:
        """`dvc pull` in another project."""
        del target
        other = self.folder / "other"
        other.mkdir()
        self._project(other)
        (other / f"{DATA}.dvc").write_bytes(self._pointers[version])
        fresh = {"DVC_SITE_CACHE_DIR": str(other / "dvc-site")}
        return Work((self.run("dvc", "pull", "-q", cwd=other, more=fresh),), other / DATA)

    def _project(self, folder: Path) -> None:
        say(self.run("dvc", "init", "-q", "--no-scm", cwd=folder))
        say(self.run("dvc", "config", "core.check_update", "false", cwd=folder))
        say(self.run("dvc", "remote", "add", "-q", "-d", "mirror", str(self.folder / "remote"), cwd=folder))


class Restic(Tool):
    """`restic backup` with default options; its remote is a second repository that `restic copy` fills."""

    name = "restic"

    def __init__(self, folder: Path, peers: Path) -> None:
        super().__init__(folder, peers)
        self.environment |= {"RESTIC_CACHE_DIR": str(folder / "home" / "restic")}

    @classmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """What `restic version` says."""
        return number_of(cls(folder, peers).run(program("restic", peers, "apt-get install restic"), "version"))

    def begin(self) -> None:
        """Make a repository and the file with its password."""
        (self.folder / "password").write_text("for a benchmark\n")
        say(self._restic(self.store, "init"))

    def snapshot(self, version: int) -> Work:
        """`restic backup data`. The host is named, for restic writes it into the snapshot."""
        return Work((self._restic(self.store, "backup", "--host", "bench", "--tag", f"v{version}", DATA),))

    def checkout(self, version: int, target: Path) -> Work:
        """`restic restore`."""
        return Work((self._restored(self.store, version, target),), target / DATA)

    def push(self, version: int) -> Work:
        """`restic copy` into an empty repository that cuts as this one does."""
        remote = self.folder / "remote"
        self._empty_like(self.store, remote)
        return Work((self._copied(self.store, remote, version),))

    def pull(self, version: int, target: Path) -> Work:
        """`restic copy` back into another empty repository, and `restic restore` from it."""
        remote, other = self.folder / "remote", self.folder / "other"
        self._empty_like(remote, other)
        return Work((self._copied(remote, other, version), self._restored(other, version, target)), target / DATA)

    def diff(self, before: int, after: int) -> Work:
        """`restic diff`."""
        told = json.loads(say(self._restic(self.store, "snapshots", "--json")))
        ids = {one["tags"][0]: one["id"] for one in told}
        return Work((self._restic(self.store, "diff", ids[f"v{before}"], ids[f"v{after}"]),))

    def _restored(self, store: Path, version: int, target: Path) -> Command:
        # restic's own word for the newest snapshot that carries the tag
        return self._restic(store, "restore", "latest", "--tag", f"v{version}", "--target", str(target))

    def _empty_like(self, old: Path, new: Path) -> None:
        say(self._restic(new, "init", *self._from(old), "--copy-chunker-params"))

    def _copied(self, old: Path, new: Path, version: int) -> Command:
        return self._restic(new, "copy", *self._from(old), "--tag", f"v{version}")

    def _from(self, old: Path) -> tuple[str, ...]:
        return ("--from-repo", str(old), "--from-password-file", str(self.folder / "password"))

    def _restic(self, store: Path, *words: str) -> Command:
        return self.run("restic", "-q", "-r", str(store), "--password-file", str(self.folder / "password"), *words)


class GitLfs(Tool):
    """`git add` and `git commit` with every file of the data tracked by git-lfs; a checkout is a clone."""

    name = "git-lfs"

    def __init__(self, folder: Path, peers: Path) -> None:
        super().__init__(folder, peers)
        self.environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        self._commits: dict[int, str] = {}

    @classmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """What `git lfs version` says."""
        program("git-lfs", peers, "apt-get install git-lfs")
        return number_of(cls(folder, peers).run("git", "lfs", "version"))

    @property
    def store(self) -> Path:
        """Git's folder, which holds that of git-lfs."""
        return self.folder / ".git"

    def begin(self) -> None:
        """Make a repository. Git's own housekeeping is off: when it comes is chance."""
        for key, value in (("user.name", "ana"), ("user.email", "ana@example.org"), ("gc.auto", "0")):
            say(self.run("git", "config", "--global", key, value))
        say(self.run("git", "init", "-q", "-b", "main"))
        say(self.run("git", "lfs", "install"))
        say(self.run("git", "lfs", "track", f"{DATA}/**"))
        say(self.run("git", "add", ".gitattributes"))
        say(self.run("git", "commit", "-q", "-m", "track"))

    def snapshot(self, version: int) -> Work:
        """`git add` and `git commit`."""
        commit = self.run("git", "commit", "-q", "--allow-empty", "-m", f"v{version}")
        return Work((self.run("git", "add", DATA), commit))

    def learn(self, version: int, said: str) -> None:
        """Remember the commit."""
        del said
        self._commits[version] = say(self.run("git", "rev-parse", "HEAD")).strip()

    def checkout(self, version: int, target: Path) -> Work:
        """`git clone` and `git checkout`."""
        cloned = self.run("git", "clone", "-q", "--no-checkout", f"file://{self.folder}", str(target))
        chosen = self.run("git", "checkout", "-q", self._commits[version], cwd=self.folder)
        return Work(
            (cloned, Command((*chosen.argv[:1], "-C", str(target), *chosen.argv[1:]), chosen.cwd, chosen.env)),
            target / DATA,
        )

    def push(self, version: int) -> Work:
        """`git push` into an empty bare repository."""
        remote = self.folder / "remote"
        say(self.run("git", "init", "-q", "--bare", "-b", "main", str(remote)))
        say(self.run("git", "remote", "add", "origin", f"file://{remote}"))
        return Work((self.run("git", "push", "-q", "origin", f"{self._commits[version]}:refs/heads/main"),))

    def pull(self, version: int, target: Path) -> Work:
        """`git clone` of the remote."""
        del version
        return Work((self.run("git", "clone", "-q", f"file://{self.folder / 'remote'}", str(target)),), target / DATA)

    def diff(self, before: int, after: int) -> Work:
        """`git diff --name-status`."""
        commits = (self._commits[before], self._commits[after])
        return Work((self.run("git", "--no-pager", "diff", "--name-status", *commits),))


class Borg(Tool):
    """`borg create` without encryption, everything else as it comes; borg 1 copies no repository into another."""

    name = "borg"

    def __init__(self, folder: Path, peers: Path) -> None:
        super().__init__(folder, peers)
        self.environment |= {
            "BORG_BASE_DIR": str(folder / "home" / "borg"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }

    @classmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """What `borg --version` prints."""
        return number_of(cls(folder, peers).run(program("borg", peers, "apt-get install borgbackup"), "--version"))

    def begin(self) -> None:
        """Make a repository."""
        say(self.run("borg", "init", "--encryption", "none", str(self.store)))

    def snapshot(self, version: int) -> Work:
        """`borg create`."""
        return Work((self.run("borg", "create", self._named(version), DATA),))

    def checkout(self, version: int, target: Path) -> Work:
        """`borg extract`."""
        target.mkdir()
        return Work((self.run("borg", "extract", self._named(version), cwd=target),), target / DATA)

    def diff(self, before: int, after: int) -> Work:
        """`borg diff`."""
        return Work((self.run("borg", "diff", self._named(before), f"v{after}"),))

    def _named(self, version: int) -> str:
        return f"{self.store}::v{version}"


class HfXet(Tool):
    """hf_xet against a folder that stands for its server: freezing is uploading, a checkout is a download."""

    name = "hf-xet"

    @classmethod
    def version(cls, folder: Path, peers: Path) -> str:
        """What the package says of itself."""
        if not (peers / "bin" / "python").exists():
            raise NotAvailable(f"missing: {FROM_PEERS}")
        return number_of(cls(folder, peers).python("version"))

    def begin(self) -> None:
        """Make a folder."""
        self.store.mkdir()

    def snapshot(self, version: int) -> Work:
        """Upload every file, and write down the names and hashes."""
        return Work((self.python("upload", str(self.store), DATA, self._pointers(version)),))

    def checkout(self, version: int, target: Path) -> Work:
        """Download every file."""
        return Work((self.python("download", str(self.store), str(target), self._pointers(version)),), target)

    def _pointers(self, version: int) -> str:
        return str(self.folder / f"v{version}.json")

    def python(self, *words: str) -> Command:
        """`_peer_xet.py` with the peers' interpreter."""
        return self.run(str(self.peers / "bin" / "python"), str(XET), *words)


TOOLS: dict[str, type[Tool]] = {tool.name: tool for tool in (Holdfast, Dvc, Restic, GitLfs, Borg, HfXet, Copy, Tar)}
"""In the order of the tables; what is missing is said to be missing."""
