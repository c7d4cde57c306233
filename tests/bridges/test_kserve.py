"""Manifests for KServe, held to the types that KServe itself generates from its custom resources.

KServe's package is not installed: its types are read out of its wheel, which needs none of what it depends on. The
parts that are Kubernetes' own are held to Kubernetes' schemas.
"""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from holdfast.bridges.kserve import Pinned, Wish, inference_service, serving_runtime
from holdfast.digest import hash_bytes
from holdfast.names import ModelName, VersionNumber

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
IMAGE = "registry.example.org/churn@sha256:" + "ab" * 32
PINNED = Pinned(ModelName("churn"), VersionNumber(4), hash_bytes(b"four"), hash_bytes(b"three"))
PLACE = f"s3://bucket/bundles/{PINNED.digest.hex}"

SCALARS = {"str": str, "int": int, "bool": bool, "float": float, "object": dict}


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> "Types":
    place = tmp_path_factory.mktemp("kserve")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config", "--no-deps", "--require-hashes"]
    subprocess.run(
        [*install, "--target", str(place), "--requirement", str(ROOT / "requirements/kserve.txt")], check=True
    )
    return Types(place / "kserve/models")


class Types:
    """What KServe's generated classes say of each resource: JSON keys and the types of their values."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cache  # noqa: B019 - one for the module
    def fields(self, name: str) -> dict[str, str] | None:
        """JSON key -> type; None for what is not KServe's."""
        path = self._folder / (re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower() + ".py")
        path = path if path.is_file() else self._by_class(name)
        if not path.is_file():
            return None
        found: dict[str, dict[str, str]] = {}
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                where = node.targets[0].id
                if where in {"openapi_types", "attribute_map"}:
                    found[where] = ast.literal_eval(node.value)
        return {found["attribute_map"][key]: kind for key, kind in found["openapi_types"].items()}

    def _by_class(self, name: str) -> Path:
        for path in self._folder.glob("*.py"):
            if f"class {name}(" in path.read_text():
                return path
        return self._folder / "nothing"

    def check(self, value: Any, kind: str, where: str) -> list[str]:
        """What does not fit, each as a sentence."""
        if match := re.fullmatch(r"list\[(.+)\]", kind):
            if not isinstance(value, list):
                return [f"{where}: a list is wanted"]
            return [
                fault for place, one in enumerate(value) for fault in self.check(one, match[1], f"{where}[{place}]")
            ]
        if match := re.fullmatch(r"dict\((.+), (.+)\)", kind):
            if not isinstance(value, dict):
                return [f"{where}: an object is wanted"]
            return [fault for key, one in value.items() for fault in self.check(one, match[2], f"{where}.{key}")]
        if kind in SCALARS:
            return [] if isinstance(value, SCALARS[kind]) else [f"{where}: {kind} is wanted, not {value!r}"]
        fields = self.fields(kind)
        if fields is None:
            return []
        unknown = [f"{where}.{key}: not known to {kind}" for key in value if key not in fields]
        return unknown + [
            fault
            for key, one in value.items()
            if key in fields
            for fault in self.check(one, fields[key], f"{where}.{key}")
        ]


@pytest.mark.parametrize(
    "service",
    [
        inference_service(PINNED, Wish(image=IMAGE, namespace="models", canary_percent=10)),
        inference_service(PINNED, Wish(storage_uri=PLACE, name="churn-eu", replicas=1)),
        inference_service(PINNED, Wish(storage_uri="oci://registry.example.org/churn@sha256:" + "ab" * 32)),
    ],
    ids=["image", "folder", "layout"],
)
def test_a_service_is_what_kserve_says_it_is(types: Types, service: dict[str, Any]) -> None:
    assert types.check(service, "V1beta1InferenceService", "service") == []
    as_a_pod(service["spec"]["predictor"])


def test_a_runtime_is_what_kserve_says_it_is(types: Types) -> None:
    runtime = serving_runtime(IMAGE)
    assert types.check(runtime, "V1alpha1ServingRuntime", "runtime") == []
    as_a_pod(runtime["spec"])


def test_what_is_wrong_is_found(types: Types) -> None:
    service: Any = inference_service(PINNED, Wish(image=IMAGE))
    service["spec"]["predictor"]["canaryTrafic"] = 10
    service["spec"]["predictor"]["minReplicas"] = "2"
    faults = types.check(service, "V1beta1InferenceService", "service")
    assert [fault.partition(":")[0] for fault in faults] == [
        "service.spec.predictor.canaryTrafic",
        "service.spec.predictor.minReplicas",
    ]


def as_a_pod(spec: Any) -> None:
    """What is Kubernetes' own in it, against the schema of a pod."""
    if "containers" not in spec:
        return
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "churn"},
        "spec": {"containers": spec["containers"], "volumes": spec["volumes"]},
    }
    kubernetes_validate.validate(pod, "1.31", strict=True)
