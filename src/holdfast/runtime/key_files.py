"""Keys as files: private ones that nobody else may read, public ones beside them, and what a policy names.

made = make_keys(folder, "release", passphrase)        release.key (mode 0600) and release.pub
key = private_key(made.private, lambda: passphrase)
trusted(["keys/release.pub", "sha256:ab12…"], project)
"""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.digest import Digest
from holdfast.errors import AlreadyExists, HoldfastError, NotFound, PermissionRefused, UsageError
from holdfast.names import RelativePath
from holdfast.signing import KEY_BYTES_MAX, PrivateKey, PublicKey
from holdfast.store.disk import CREATE, fsync_folder, refusing, write_all

__all__ = ["Keys", "is_fingerprint", "make_keys", "private_key", "public_key", "read_file", "trusted"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_PRIVATE = b"PRIVATE KEY"
"""What the first line of each private key in PEM says, encrypted or not (RFC 7468, sections 10 and 11)."""

_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Keys:
    """Two files that were made.

    Attributes:
        private: signs; mode 0600.
        public: checks, and may be given to anybody.
        fingerprint: of the public key.
    """

    private: Path
    public: Path
    fingerprint: Digest


def make_keys(folder: Path, name: str, passphrase: str | None) -> Keys:
    """Makes a new key of P-256, and writes both files.

    Args:
        folder: where they go; made for this user alone when it is not there.
        name: what the files are called, before their endings.
        passphrase: encrypts the private key; None: it is written as it is.

    Raises:
        UsageError: no name for a file.
        AlreadyExists: there is a key of that name; none is ever written over.
        NoSpace, PermissionRefused: the operating system refused.
    """
    if "/" in str(RelativePath(name).portable()):
        raise UsageError(f"{name!r} is a path, and no name", hint="Name the folder with --folder.")
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    key = PrivateKey.make()
    with refusing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _create(private, 0o600, key.encode(passphrase))
    try:
        _create(public, 0o644, key.public.pem.encode())
    except HoldfastError:
        private.unlink()  # ours, made a moment ago; half a pair would be taken for a whole one
        raise
    with refusing(folder):
        fsync_folder(folder)
    return Keys(private, public, key.public.fingerprint)


def _create(path: Path, mode: int, data: bytes) -> None:
    """A new file with exactly this mode, or none."""
    try:
        with refusing(path):
            handle = os.open(path, CREATE, mode)
    except UsageError as error:
        raise AlreadyExists(f"{path} is there already", hint="Take another name.", path=str(path)) from error
    try:
        with refusing(path):
            write_all(handle, data)
            os.fchmod(handle, mode)
            os.fsync(handle)
    except HoldfastError:
        path.unlink()
        raise
    finally:
        os.close(handle)


def private_key(path: Path, passphrase: Callable[[], str]) -> PrivateKey:
    """The private key in a file.

    Args:
        path: of the file.
        passphrase: asked for when the file is encrypted.

    Raises:
        NotFound: no such file.
        PermissionRefused: others may read it, or the passphrase does not open it.
        UnsupportedFormat, TooLarge: no private key that signs versions.
    """
    data = read_file(path, KEY_BYTES_MAX, private=True)
    return PrivateKey.parse(data, passphrase() if PrivateKey.is_encrypted(data) else None, str(path))


def public_key(path: Path) -> PublicKey:
    """The public key in a file.

    Raises:
        NotFound, PermissionRefused: it cannot be read.
        UnsupportedFormat, TooLarge: no public key that checks versions.
    """
    return PublicKey.parse(read_file(path, KEY_BYTES_MAX), str(path))


def read_file(path: Path, bytes_max: int, *, private: bool = False) -> bytes:
    """A small file, and one byte more than is allowed of one that is too long, so that its reader sees that it is.

    Args:
        path: of the file; a link to it is followed.
        bytes_max: what it may have.
        private: nobody else may be allowed to read it.

    Raises:
        NotFound: there is none.
        PermissionRefused: it cannot be read; or others may.
        UsageError: it is no file.
    """
    with refusing(path):
        # Without blocking: a pipe in a file's place would keep the reader waiting for ever.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode):
                raise UsageError(f"{path} is no file", hint="Check the path.")
            data = file.read(bytes_max + 1)
            # What holds no private key, such as the public one given by mistake, may be read by anybody.
            if private and mode & _OTHERS and _PRIVATE in data:
                raise PermissionRefused(
                    f"others may read {path}, which is to be private",
                    hint=f"Run: chmod 600 {path}; and if others did, make a new key: holdfast key make",
                )
            return data


def is_fingerprint(text: str) -> bool:
    """Whether a policy names a key by its fingerprint, `sha256:` and 64 hexadecimal digits, and not by its file."""
    try:
        Digest.parse(text)
    except UsageError:
        return False
    return True


def trusted(named: Sequence[str], folder: Path) -> dict[Digest, str]:
    """The keys that a policy names: each fingerprint, with how the policy names it.

    Args:
        named: files, below or beside `folder`, and fingerprints.
        folder: what relative paths are relative to.

    Raises:
        As `public_key`: one of them cannot be read. None of the others count then, for the policy asks for all.
    """
    found: dict[Digest, str] = {}
    for text in named:
        if text.startswith(_PREFIX):
            found[Digest.parse(text)] = text
            continue
        try:
            found[public_key(folder / text).fingerprint] = text
        except NotFound as error:
            raise NotFound(
                f"there is no key {text}, which the policy names", hint=f"Put it there, in {folder}.", key=text
            ) from error
    return found
