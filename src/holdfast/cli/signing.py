"""`key`, `sign` and `verify`: who vouches for a version, with a key that nobody else has."""

import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, Reason, ReferenceArgument, here
from holdfast.cli.output import Output
from holdfast.config import Settings, keys_folder
from holdfast.digest import Digest
from holdfast.errors import AlreadyExists, NotFound, PermissionRefused, UsageError
from holdfast.manifest import MANIFEST_NAME
from holdfast.names import Reference, StageName
from holdfast.registry.vouching import Signature
from holdfast.runtime.at_hand import require_at_hand
from holdfast.runtime.key_files import is_fingerprint, make_keys, private_key, public_key, read_file, trusted
from holdfast.runtime.materialise import read_manifest
from holdfast.runtime.signed import Vouched, require_signed, sign_version, take_in, verified_folder
from holdfast.signing import SIGNATURE_BYTES_MAX, PrivateKey
from holdfast.store.disk import place
from holdfast.wire import Project

app = typer.Typer()
key = typer.Typer(help="Keys that sign versions.")
app.add_typer(key, name="key")

_PASSPHRASE = "HOLDFAST_SIGNING_PASSPHRASE"  # noqa: S105 - the name of a setting, and no secret

KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A public key.")]
SigningKey = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The private key; HOLDFAST_SIGNING_KEY by default. With --signature: "
                 "the public one."),
]  # fmt: skip
Trusted = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="KEY", help="A public key that is trusted, or its fingerprint; repeatable."),
]
SignatureFile = Annotated[Path | None, typer.Option("--signature", metavar="FILE", help="A signature made elsewhere.")]


@key.command("make", epilog=epilog("key make", "holdfast key make --name release --passphrase"))
def make(
    name: Annotated[str, typer.Option("--name", help="What the files are called: NAME.key and NAME.pub.")] = "signing",
    folder: Annotated[Path | None, typer.Option("--folder", help="Where; by default a folder of your own.")] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Encrypt the private key with a passphrase.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key pair: the private key stays here, the public one goes into the policy."""
    made = make_keys(folder or _own_folder(), name, _new_passphrase() if passphrase else None)
    value = {"private": str(made.private), "public": str(made.public), "fingerprint": str(made.fingerprint)}
    lines = [
        f"private {made.private}  (keep it)",
        f"public  {made.public}  (give it to those who check)",
        f"{made.fingerprint}",
        f"next: export HOLDFAST_SIGNING_KEY={made.private}",
    ]
    Output(as_json=as_json).result(value, lines)


@key.command("show", epilog=epilog("key show", "holdfast key show keys/release.pub"))
def show(file: KeyFile, as_json: AsJson = False) -> None:
    """The fingerprint of a public key, as a policy names it."""
    found = public_key(file)
    Output(as_json=as_json).result({"fingerprint": str(found.fingerprint), "pem": found.pem}, [str(found.fingerprint)])


@key.callback()
def _key() -> None:
    """Keys that sign versions."""


@app.command(epilog=epilog("sign", "holdfast sign churn@4 --key release.key --output churn-4.sig"))
def sign(
    version: ReferenceArgument,
    key: SigningKey = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the signature into this file too.")] = None,
    signature: SignatureFile = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Sign every file of a version and its manifest, in the form of OpenSSF Model Signing; the registry keeps it."""
    project = here()
    _refuse_written(output)
    made = _signed(project, Reference.parse(version), key, signature, reason)
    if output is not None:
        place(output, 0o644, lambda file: file.write(made.body))
    where = [] if output is None else [f"written to {output}"]
    said = f"{made.model}@{made.number} is signed by the key {made.key}"
    Output(as_json=as_json).result({**made.about(), "file": None if output is None else str(output)}, [said, *where])


@app.command(epilog=epilog("verify", "holdfast verify churn@4 --key keys/release.pub"))
def verify(
    what: Annotated[str, typer.Argument(metavar="VERSION|FOLDER", help="churn@4, or a folder such as ./churn-4.")],
    key: Trusted = None,
    stage: Annotated[str, typer.Option("--stage", help="Without --key: the keys that the policy of it names.")] = (
        "production"
    ),
    signature: Annotated[
        Path | None, typer.Option("--signature", metavar="FILE", help="Of a folder; by default FOLDER.sig beside it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Whether trusted keys have signed exactly these files, byte by byte; anything else is an error that says why."""
    if _is_version(what) and signature is None:
        value, lines = _verified_version(here(), Reference.parse(what), key or [], StageName(stage))
    else:
        value, lines = _verified_folder(Path(what), key or [], signature)
    Output(as_json=as_json).result(value, lines)


def signer(settings: Settings, file: Path | None = None) -> PrivateKey:
    """The key that signs: that of the file, or the one that the settings name.

    Raises:
        UsageError: neither names one.
        NotFound, PermissionRefused, UnsupportedFormat, TooLarge: it cannot be used.
    """
    path = file or settings.signing_key
    if path is None:
        raise UsageError("no key to sign with", hint="Name one with --key or HOLDFAST_SIGNING_KEY: holdfast key make")
    return private_key(path, lambda: settings.signing_passphrase or _asked(f"passphrase of {path}: "))


def _signed(project: Project, wanted: Reference, key: Path | None, signature: Path | None, reason: str) -> Signature:
    version = project.registry.resolve(wanted)
    if signature is None:
        made = signer(project.settings, key)
        return sign_version(version, made, project.registry, project.store, actor=project.actor, reason=reason)
    if key is None:
        raise UsageError("no key to check the signature with", hint="Name its public key: --key FILE.pub")
    given = (read_file(signature, SIGNATURE_BYTES_MAX), public_key(key))
    return take_in(version, given, project.registry, project.store, actor=project.actor, reason=reason)


def _verified_version(
    project: Project, wanted: Reference, named: Sequence[str], stage: StageName
) -> tuple[JsonObject, list[str]]:
    version = project.registry.resolve(wanted)
    keys, least = trusted(named, Path.cwd()), 1
    if not named:
        policy = project.policy.for_stage(version.model, stage)
        keys, least = trusted(policy.signed_by, project.settings.project), policy.signatures_min
    if not keys:
        raise UsageError("no key is trusted here", hint=f"Name one with --key, or in signed_by of [gate.{stage}].")
    require_at_hand(version, project.registry, project.store)
    manifest = read_manifest(project.store, version.digest)
    found = require_signed(version, manifest, project.registry, keys, least)
    for entry in manifest.files:
        project.store.verify(entry.digest)
    value = {"model": str(version.model), "version": version.number, "digest": str(version.digest), **found.to_json()}
    return value, _lines(f"{version.model}@{version.number}  {version.digest}", len(manifest.files), keys, found)


def _lines(name: str, files: int, keys: dict[Digest, str], found: Vouched) -> list[str]:
    good = [f"signed by {keys[one]}  {one}" for one in found.keys]
    return [name, f"{files} file(s) and the manifest are as they were signed", *good]


def _verified_folder(folder: Path, named: Sequence[str], signature: Path | None) -> tuple[JsonObject, list[str]]:
    fingerprints = [one for one in named if is_fingerprint(one)]
    if fingerprints:
        raise UsageError(
            f"{fingerprints[0]} is a fingerprint, and a file with a signature does not bring its key",
            hint="Name the file with the public key.",
        )
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", hint="Name a version as churn@4, or a folder: ./churn-4")
    keys = [public_key(Path(one)) for one in named]
    file = signature or folder.resolve().with_name(f"{folder.resolve().name}.sig")
    if not file.exists():
        raise NotFound(
            f"there is no signature {file}",
            hint=f"Name it with --signature, or write it: holdfast sign VERSION --output {file.name}",
        )
    key, files = verified_folder(folder, read_file(file, SIGNATURE_BYTES_MAX), keys)
    digest = files.get(MANIFEST_NAME)
    value = {
        "folder": str(folder),
        "files": len(files),
        "digest": None if digest is None else str(digest),
        "key": str(key.fingerprint),
    }
    return value, [f"{len(files)} file(s) in {folder} are as they were signed by the key {key.fingerprint}"]


def _is_version(text: str) -> bool:
    """Whether it names a version and no folder: a folder of such a name is written with its path, ./churn@4."""
    return text.startswith("models:/") or ("@" in text and "/" not in text)


def _refuse_written(output: Path | None) -> None:
    if output is not None and (output.exists() or output.is_symlink()):
        raise AlreadyExists(f"{output} is there already", hint="Name another file.", path=str(output))


def _own_folder() -> Path:
    folder = keys_folder()
    if folder is None:
        raise PermissionRefused("this user has no folder to keep keys in", hint="Name one: --folder keys")
    return folder


def _new_passphrase() -> str:
    given = os.environ.get(_PASSPHRASE)
    if given:
        return given
    first, second = _asked("new passphrase: "), _asked("again: ")
    if first != second:
        raise UsageError("the two passphrases differ", hint="Begin again; nothing was made.")
    return first


def _asked(prompt: str) -> str:
    """A passphrase that a person types; it is never an argument, which others see."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "nobody is there to type a passphrase", hint=f"Set {_PASSPHRASE}, from where secrets are kept."
        )
    said = getpass.getpass(prompt)
    if not said:
        raise UsageError("an empty passphrase protects nothing", hint="Type one, or leave --passphrase out.")
    return said
