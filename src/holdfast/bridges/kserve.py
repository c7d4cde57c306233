"""Manifests for KServe: an InferenceService that is pinned to one version, by the digest of its bundle or its image.

https://kserve.github.io/website/ describes the resources; the fields are those of `serving.kserve.io/v1beta1`
InferenceService and `serving.kserve.io/v1alpha1` ServingRuntime. What is written is JSON, which `kubectl apply` takes
as it takes YAML. Moving traffic is KServe's: `canaryTrafficPercent` is the share of this version, and what was applied
before keeps the rest.
"""

import re
from dataclasses import dataclass

from holdfast.canonical import Json, JsonObject
from holdfast.digest import Digest
from holdfast.errors import UsageError
from holdfast.names import ModelName, VersionNumber

__all__ = ["PORT", "Pinned", "Wish", "inference_service", "manifest", "serving_runtime"]

PORT = 8080
"""Where KServe asks a container, unless it says otherwise."""

_NAME_CHARACTERS_MAX = 40
"""KServe makes names of Services of it by appending up to 23 characters; those may have 63 (RFC 1123)."""

_WHOLE = 100

_FORMAT = "holdfast"
_RUNTIME = "holdfast"

_PINNED_IMAGE = re.compile(r"@sha256:[0-9a-f]{64}$")

_WRITABLE = {"home": "/var/lib/holdfast/.holdfast", "scratch": "/tmp"}  # noqa: S108 - of its own pod
"""What the image writes to; all else may be read-only."""

_SECURITY: JsonObject = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
}


_VOLUMES: list[Json] = [{"name": volume, "emptyDir": {}} for volume in _WRITABLE]


@dataclass(frozen=True, slots=True)
class Pinned:
    """What an InferenceService serves.

    Attributes:
        model: the model.
        number: the version.
        digest: of its bundle.
        last_known_good: the digest to go back to; None where there is none.
    """

    model: ModelName
    number: VersionNumber
    digest: Digest
    last_known_good: Digest | None = None

    @property
    def annotations(self) -> JsonObject:
        """What a person or a program reads off the resource."""
        good = {} if self.last_known_good is None else {"holdfast/last-known-good": str(self.last_known_good)}
        return {
            "holdfast/model": str(self.model),
            "holdfast/version": str(self.number),
            "holdfast/digest": str(self.digest),
            **good,
        }


@dataclass(frozen=True, slots=True)
class Wish:
    """How a version is to be served; what cannot be is refused when it is written.

    Attributes:
        image: a container image that holds the bundle, by its digest (`…@sha256:…`); or
        storage_uri: where the bundle's folder lies (`s3://…`, `oci://…`), in a place whose name holds the digest.
        name: of the resource; by default the model's.
        namespace: of the resource; by default that of whoever applies it.
        canary_percent: the share of the requests that this version gets; None: all of them.
        replicas: at least so many; a resource that scales to zero starts with failures.
    """

    image: str | None = None
    storage_uri: str | None = None
    name: str | None = None
    namespace: str | None = None
    canary_percent: int | None = None
    replicas: int = 2


def manifest(pinned: Pinned, wish: Wish, runtime_image: str | None = None) -> JsonObject:
    """What `kubectl apply` is given: the service, and before it the runtime where its image is named.

    Raises:
        UsageError: as `inference_service` and `serving_runtime`.
    """
    service = inference_service(pinned, wish)
    if runtime_image is None:
        return service
    return {"apiVersion": "v1", "kind": "List", "items": [serving_runtime(runtime_image), service]}


def inference_service(pinned: Pinned, wish: Wish) -> JsonObject:
    """The InferenceService of one version.

    Raises:
        UsageError: a name or place that does not hold what it points to for ever, or numbers that make no sense.
    """
    chosen = _name(wish.name or str(pinned.model))
    percent = wish.canary_percent
    if percent is not None and not 1 <= percent <= _WHOLE:
        raise UsageError(f"{percent} % is no share", hint="Name a percentage from 1 to 100.")
    predictor: JsonObject = {"minReplicas": wish.replicas, "volumes": _VOLUMES}
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    if (wish.image is None) == (wish.storage_uri is None):
        raise UsageError("one of an image and a storage URI is needed", hint="Name --image or --storage-uri.")
    if wish.image is not None:
        predictor["containers"] = [_container(_immutable_image(wish.image), [])]
    else:
        predictor["model"] = {
            "modelFormat": {"name": _FORMAT},
            "protocolVersion": "v2",
            "runtime": _RUNTIME,
            "args": ["--version", f"{pinned.model}@{pinned.number}", "--digest", str(pinned.digest)],
            "storageUri": _immutable_place(str(wish.storage_uri), pinned.digest),
        }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": chosen,
            **({} if wish.namespace is None else {"namespace": wish.namespace}),
            "annotations": pinned.annotations,
        },
        "spec": {"predictor": predictor},
    }


def serving_runtime(image: str) -> JsonObject:
    """What KServe needs to know once to serve bundles that it fetches itself: Holdfast's own image, over `/mnt/models`.

    Which version it is to find there each InferenceService says, in arguments that KServe appends.

    Raises:
        UsageError: the image is not named by its digest.
    """
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": _RUNTIME},
        "spec": {
            "supportedModelFormats": [{"name": _FORMAT, "version": "1", "autoSelect": True}],
            "protocolVersions": ["v2"],
            "volumes": _VOLUMES,
            "containers": [_container(_immutable_image(image), ["serve-bundle", "/mnt/models"])],
        },
    }


def _container(image: str, arguments: list[str]) -> JsonObject:
    ready = {"httpGet": {"path": "/v2/health/ready", "port": PORT}, "periodSeconds": 5}
    where = ["--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - of its own pod
    return {
        "name": "kserve-container",
        "image": image,
        **({"args": [*arguments, *where]} if arguments else {}),
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": ready,
        # Opening a bundle may build its environment.
        "startupProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 10, "failureThreshold": 180},
        "securityContext": _SECURITY,
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in _WRITABLE.items()],
    }


def _name(name: str) -> str:
    chosen = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    if not chosen or not chosen[0].isalpha() or len(chosen) > _NAME_CHARACTERS_MAX:
        raise UsageError(
            f"{name[:60]!r} cannot be the name of an InferenceService",
            hint=f"Give it one: --name, of at most {_NAME_CHARACTERS_MAX} letters, digits and hyphens.",
        )
    return chosen


def _immutable_image(image: str) -> str:
    if not _PINNED_IMAGE.search(image):
        raise UsageError(
            f"{image[:200]!r} may be another image tomorrow",
            hint="Name it by its digest: registry.example.org/churn@sha256:…",
        )
    return image


def _immutable_place(uri: str, digest: Digest) -> str:
    if digest.hex not in uri and not _PINNED_IMAGE.search(uri):
        raise UsageError(
            f"{uri[:200]!r} does not say which bundle lies there",
            hint=f"Put the bundle where its digest is part of the name, such as s3://bucket/bundles/{digest.hex}.",
        )
    return uri
