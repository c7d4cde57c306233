"""The manifests against the schemas of Kubernetes, against its strictest profile for pods, and against each other."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from holdfast.config import VERSION
from holdfast.runtime.building import _BUILD_SECONDS_MAX
from holdfast.web.listening import _FINISH_SECONDS
from tests.deploy.written import KUBERNETES, containers, kustomizations, manifests, option, pods, stages, variables

NOT_ITS_OWN = {"ServiceMonitor"}
"""Kinds of which Kubernetes has no schema: whoever installs their operator brings it."""

ITS_OWN = [(path, one) for path, one in manifests() if one["kind"] not in NOT_ITS_OWN]

OLDEST, NEWEST = "1.34", kubernetes_validate.latest_version()
"""The oldest in which the pause before the end of a pod is there for good."""


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize(
    ("path", "one"), list(manifests()), ids=lambda value: getattr(value, "name", None) or value["kind"]
)
def test_it_is_a_manifest_of_kubernetes(path: Path, one: dict[str, Any], version: str) -> None:
    if one["kind"] not in NOT_ITS_OWN:
        kubernetes_validate.validate(one, version, strict=True)


def test_every_manifest_belongs_to_a_kustomization_but_for_what_is_chosen() -> None:
    for folder, said in kustomizations():
        files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert {name for name in said["resources"] if not name.startswith("../")} == files, folder.name
        generated = [
            name for one in said.get("configMapGenerator", []) for key in ("envs", "files") for name in one.get(key, [])
        ]
        others = {path.name for path in folder.iterdir()} - files - {"kustomization.yaml"}
        assert set(generated) == others, folder.name
    chosen = {path.relative_to(KUBERNETES).as_posix() for path, _ in manifests()} - {
        f"{folder.name}/{name}" for folder, said in kustomizations() for name in said["resources"]
    }
    assert chosen == {"secret.example.yaml", "optional/service-monitor.yaml"}


@pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="there is no kubectl here; the test above reads the same files"
)
@pytest.mark.slow
@pytest.mark.parametrize("name", ["migrate", "desk", "server", "replica"])
def test_what_kubectl_makes_of_a_folder_is_whole(name: str) -> None:
    made = subprocess.run(["kubectl", "kustomize", str(KUBERNETES / name)], capture_output=True, check=True).stdout
    found = list(yaml.safe_load_all(made))
    for one in found:
        kubernetes_validate.validate(one, NEWEST, strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "holdfast"
    maps = {one["metadata"]["name"] for one in found if one["kind"] == "ConfigMap"}
    asked = set(re.findall(rb"name: (holdfast-(?:names-and-bytes|policy|grants|replica|database-ca)-\w+)", made))
    assert {text.decode() for text in asked} <= maps


@pytest.mark.parametrize(("name", "pod"), list(pods()))
def test_a_pod_keeps_to_the_restricted_profile(name: str, pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True, name
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= {
        "emptyDir",
        "configMap",
        "persistentVolumeClaim",
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize(("name", "one"), list(containers()))
def test_a_container_can_do_nothing_but_its_work(name: str, one: dict[str, Any]) -> None:
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }, name
    assert {"cpu", "memory"} <= set(one["resources"]["requests"])
    assert "memory" in one["resources"]["limits"]


def test_every_map_secret_and_key_that_a_pod_asks_for_is_written_somewhere() -> None:
    secrets = {one["metadata"]["name"]: set(one["stringData"]) for _, one in manifests() if one["kind"] == "Secret"}
    maps: dict[str, set[str]] = {}
    for folder, said in kustomizations():
        for one in said.get("configMapGenerator", []):
            lines = [line for name in one.get("envs", []) for line in (folder / name).read_text().splitlines()]
            maps[one["name"]] = {line.partition("=")[0] for line in lines} | set(one.get("files", []))
    for name, one in containers():
        for source in one.get("envFrom", []):
            assert source.get("configMapRef", {"name": "holdfast-replica"})["name"] in maps, name
            assert source.get("secretRef", {"name": "holdfast-service"})["name"] in secrets, name
        for row in one.get("env", []):
            for kind, known in (("configMapKeyRef", maps), ("secretKeyRef", secrets)):
                asked = row.get("valueFrom", {}).get(kind)
                assert asked is None or asked["key"] in known[asked["name"]], f"{name}: {row}"
    for _, pod in pods():
        for volume in pod["volumes"]:
            assert "configMap" not in volume or volume["configMap"]["name"] in maps


def test_the_example_holds_no_secret() -> None:
    values = [value for _, one in manifests() if one["kind"] == "Secret" for value in one["stringData"].values()]
    assert len(values) == 5
    assert [value for value in values if not re.fullmatch(r"choose-[a-z_-]+", value)] == []


def test_the_owner_s_password_is_known_to_the_migration_alone() -> None:
    assert {name for name, one in containers() if "holdfast-owner" in str(one)} == {
        "holdfast-migrate/tables",
        "holdfast-migrate/grants",
    }


def test_labels_selectors_and_ports_meet() -> None:
    made = {
        one["metadata"]["name"]: one["spec"]["template"]
        for _, one in manifests()
        if one["kind"] == "Deployment" and "ports" in str(one)
    }
    assert set(made) == {"holdfast-server", "churn-production"}
    for name, template in made.items():
        labels = template["metadata"]["labels"]
        [container] = template["spec"]["containers"]
        [port] = container["ports"]
        assert option(container["args"], "--port") == str(port["containerPort"])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] == port["name"]
        named = {one["kind"]: one["spec"] for _, one in manifests() if one["metadata"]["name"] == name}
        for kind in ("Deployment", "Service", "PodDisruptionBudget"):
            selector = named[kind]["selector"]
            assert selector.get("matchLabels", selector) == labels, kind
        assert named["Service"]["ports"][0]["targetPort"] == port["name"]
        [policy] = [
            one["spec"]
            for _, one in manifests()
            if one["kind"] == "NetworkPolicy" and one["spec"]["podSelector"].get("matchLabels") == labels
        ]
        assert policy["ingress"][0]["ports"] == [{"port": port["containerPort"], "protocol": "TCP"}]
    monitor = yaml.safe_load((KUBERNETES / "optional/service-monitor.yaml").read_text())["spec"]
    assert monitor["selector"]["matchLabels"] == made["holdfast-server"]["metadata"]["labels"]
    assert monitor["endpoints"][0]["port"] == "http"


@pytest.mark.parametrize(("name", "pod"), [(name, pod) for name, pod in pods() if "ports" in str(pod)])
def test_requests_under_way_get_their_time(name: str, pod: dict[str, Any]) -> None:
    [container] = pod["containers"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= pause + _FINISH_SECONDS + 5, name


def test_the_key_of_the_log_is_in_one_place_that_lasts() -> None:
    [claim] = [one["metadata"]["name"] for _, one in manifests() if one["kind"] == "PersistentVolumeClaim"]
    [desk] = [one["spec"] for _, one in manifests() if claim in str(one) and one["kind"] == "Deployment"]
    assert (desk["replicas"], desk["strategy"]) == (1, {"type": "Recreate"})
    mounted = {one["name"]: one["mountPath"] for one in desk["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounted["home"] == variables(stages()[-1])["HOLDFAST_HOME"]


def test_a_replica_may_build_the_environment_of_its_first_version() -> None:
    [probe] = [one["startupProbe"] for name, one in containers() if name == "churn-production/replica"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= _BUILD_SECONDS_MAX


def test_the_image_is_this_version_and_never_the_newest() -> None:
    for folder, said in kustomizations():
        if folder.name != "base":
            assert [one["newTag"] for one in said["images"]] == [VERSION]
            assert {one["image"] for _, one in containers()} == {"holdfast", "postgres:16"}
