"""Container images of one version: a recipe that `docker build` follows, and an OCI layout that needs no builder.

The recipe is for an image that answers by itself: Holdfast's own image, the bundle, and the environment that the bundle
names, built once while the image is. The layout holds the bundle alone, under `/models`, as KServe mounts it; the same
bundle gives the same layout, byte by byte (OCI Image Format Specification 1.1).
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from holdfast.bridges.kserve import PORT, Pinned
from holdfast.canonical import JsonObject, encode
from holdfast.errors import AlreadyExists
from holdfast.manifest import MANIFEST_NAME
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.store.disk import refusing

__all__ = ["recipe", "write_layout"]

_ENVIRONMENT = "/opt/environment"
_USER = "65532:65532"

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"

_PIECE_BYTES = 1 << 20


def recipe(pinned: Pinned, base: str) -> str:
    """The Dockerfile of a version's image; the folder `bundle` beside it is the bundle.

    Args:
        pinned: which version.
        base: Holdfast's own image, best by its digest.
    """
    version = f"{pinned.model}@{pinned.number}"
    named = ["--version", version, "--digest", str(pinned.digest), "--cache", _ENVIRONMENT]
    command = ["serve-bundle", "/bundle", *named]
    return f"""\
# {version}, {pinned.digest}: one version, and all that it needs to answer.
#
#   docker build -t {pinned.model}:{pinned.number} .
#   docker run --rm -p {PORT}:{PORT} {pinned.model}:{pinned.number}

ARG HOLDFAST={base}

FROM ${{HOLDFAST}}
LABEL org.opencontainers.image.title="{pinned.model}" \\
      org.opencontainers.image.version="{pinned.number}" \\
      holdfast.digest="{pinned.digest}"
USER root
RUN ["install", "-d", "-o", "65532", "-g", "65532", "{_ENVIRONMENT}"]
COPY bundle /bundle
USER {_USER}
# Every file is hashed against the digest, and the environment is built here and not when the first request waits.
RUN {json.dumps(["holdfast", *command, "--prepare"])}
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \\
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:{PORT}/readyz', timeout=4)"]
CMD {json.dumps([*command, "--host", "0.0.0.0", "--port", str(PORT)])}
"""  # noqa: S104 - of its own container


def write_layout(files: BundleFiles, pinned: Pinned, folder: Path) -> str:
    """Write an image layout with the bundle under `/models`, every byte verified on the way.

    Args:
        files: the bundle.
        pinned: which version it is.
        folder: a folder that does not exist yet.

    Returns:
        The digest of the image, by which registries and `oci://…@sha256:…` name it.

    Raises:
        AlreadyExists: the folder is there.
        IntegrityError: a file of the bundle is damaged.
        NoSpace, PermissionRefused: the folder cannot be written.
    """
    blobs = folder / "blobs" / "sha256"
    with refusing(folder):
        try:
            blobs.mkdir(parents=True)
        except FileExistsError as error:
            raise AlreadyExists(
                f"{folder} is there already", hint="Name a folder that does not exist yet.", path=str(folder)
            ) from error
        layer = _write_layer(files, blobs)
        config: JsonObject = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"holdfast.digest": str(pinned.digest)}},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        }
        manifest: JsonObject = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, **_kept(blobs, config)},
            "layers": [{"mediaType": _LAYER, **layer}],
            "annotations": pinned.annotations,
        }
        image = _kept(blobs, manifest)
        names = {"org.opencontainers.image.ref.name": str(pinned.number)}
        index: JsonObject = {
            "schemaVersion": 2,
            "mediaType": _INDEX,
            "manifests": [{"mediaType": _MANIFEST, **image, "annotations": names}],
        }
        (folder / "index.json").write_bytes(encode(index))
        (folder / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))
    return str(image["digest"])


def _kept(blobs: Path, document: JsonObject) -> JsonObject:
    data = encode(document)
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def _write_layer(files: BundleFiles, blobs: Path) -> JsonObject:
    """One tar file: paths in order, no times, no owners, so that equal bundles give equal bytes."""
    part = blobs / "layer.part"
    with part.open("w+b") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name in _folders(files):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            for name, data in _contents(files):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o644
                tar.addfile(entry, io.BytesIO(data))
        size = file.tell()
        file.seek(0)
        state = hashlib.sha256()
        while piece := file.read(_PIECE_BYTES):
            state.update(piece)
    part.rename(blobs / state.hexdigest())
    return {"digest": f"sha256:{state.hexdigest()}", "size": size}


def _folders(files: BundleFiles) -> list[str]:
    below = {
        f"models/{parent}"
        for entry in files.manifest.files
        for parent in Path(str(entry.path)).parents
        if str(parent) != "."
    }
    return ["models", *sorted(below)]


def _contents(files: BundleFiles) -> Iterator[tuple[str, bytes]]:
    yield f"models/{MANIFEST_NAME}", files.manifest.encode()
    for entry in sorted(files.manifest.files, key=lambda entry: str(entry.path)):
        yield f"models/{entry.path}", files.read(entry.path)
