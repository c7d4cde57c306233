"""What is written for Docker, Compose and Kubernetes, read as those read it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"

WORKLOADS = {"Deployment", "Job"}
"""The kinds that start pods."""


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile, with its continuation lines joined."""

    name: str
    value: str

    @property
    def words(self) -> list[str]:
        """Of the form that needs no shell; anything else fails here."""
        found = json.loads(self.value)
        assert all(isinstance(word, str) for word in found)
        return list(found)


def stages() -> list[list[Instruction]]:
    """The stages of the Dockerfile, each from its FROM on."""
    found: list[list[Instruction]] = [[]]
    for row in DockerfileParser(path=str(ROOT / "Dockerfile")).structure:
        if row["instruction"] == "FROM":
            found.append([])
        if row["instruction"] != "COMMENT":
            found[-1].append(Instruction(row["instruction"], row["value"]))
    return found[1:]


def only(stage: list[Instruction], name: str) -> Instruction:
    """The one instruction of that name."""
    [found] = [one for one in stage if one.name == name]
    return found


def variables(stage: list[Instruction]) -> dict[str, str]:
    """What the stage's ENV sets."""
    words = [word for one in stage if one.name == "ENV" for word in one.value.split()]
    return {name: value.strip('"') for name, _, value in (word.partition("=") for word in words)}


def compose() -> dict[str, Any]:
    """compose.yaml, its anchors resolved."""
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")))


@cache
def _documents(path: Path) -> list[Any]:
    """Read once: everybody looks at them, and nobody changes them."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def manifests() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every manifest for Kubernetes with its file; kustomizations are none."""
    for path in sorted(KUBERNETES.glob("**/*.yaml")):
        if path.name != "kustomization.yaml":
            for one in _documents(path):
                yield path, one


def kustomizations() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every folder that `kubectl -k` takes, and what it says."""
    for path in sorted(KUBERNETES.glob("*/kustomization.yaml")):
        [said] = _documents(path)
        yield path.parent, said


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The specification of each pod, by the name of what starts it."""
    for _, one in manifests():
        if one["kind"] in WORKLOADS:
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each container, those that go before the others included."""
    for name, pod in pods():
        for one in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{name}/{one['name']}", one


def option(words: list[str], name: str) -> str:
    """What stands behind an option."""
    return words[words.index(name) + 1]
