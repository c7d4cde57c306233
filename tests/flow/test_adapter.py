"""Adapters: versions whose weights are a delta on another version's, and whose bundles run on their own."""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import HoldfastError, Incomplete, NotFound, UsageError
from holdfast.flow.bundle import Ingredients
from holdfast.flow.bundle.base import find_base
from holdfast.flow.explain import explain
from holdfast.flow.register import Registered, register
from holdfast.names import ModelName, Reference
from holdfast.parts import Base, Weights
from holdfast.runtime.materialise import materialise
from holdfast.store.local import LocalStore
from holdfast.upkeep.retention import version_needs
from holdfast.wire import Project, open_project
from tests.blank import blank_project

BASE_BYTES = 3 << 20
CONFIG = {"base_model_name_or_path": "somebody/llama", "peft_type": "LORA", "r": 8, "lora_alpha": 16}


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)
    with open_project(blank_project(tmp_path / "project")) as project:
        yield project


def weights(seed: int, size: int) -> bytes:
    header = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    return len(header).to_bytes(8, "little") + header + random.Random(seed).randbytes(size)


@pytest.fixture
def folder(fresh: Project) -> Path:
    """A project with the weights of a base in two files, and of an adapter with its config."""
    root = fresh.settings.project
    (root / "llama").mkdir()
    for number in (1, 2):
        (root / f"llama/model-{number}.safetensors").write_bytes(weights(number, BASE_BYTES // 2))
    (root / "llama/config.json").write_text("{}")
    (root / "lora").mkdir()
    (root / "lora/adapter_model.safetensors").write_bytes(weights(3, 20_000))
    (root / "lora/adapter_config.json").write_text(json.dumps(CONFIG))
    return root


def registered(project: Project, name: str, model: str | None, base: str | None = None, **changes: Any) -> Registered:
    found = None if base is None else find_base(Reference.parse(base), project.registry, project.store)
    given = Ingredients(name=ModelName(name), project=project.settings.project, model=model, base=found)
    return register(replace(given, **changes), project.workshop, project.registry, actor="ana")


def base_of(made: Registered) -> Base:
    part = made.manifest.parts.weights
    assert isinstance(part, Weights)
    assert part.base is not None
    return part.base


def stored_bytes(project: Project) -> int:
    root = Path(project.settings.store_url)
    return sum(
        path.stat().st_size for name in ("packs", "blobs") for path in (root / name).rglob("*") if path.is_file()
    )


def test_an_adapter_names_its_base_by_digest_and_lists_its_weights(fresh: Project, folder: Path) -> None:
    base = registered(fresh, "llama", "llama")
    made = registered(fresh, "churn-adapter", "lora", base="llama@1")
    assert "weights" not in made.version.missing
    part = base_of(made)
    assert (part.digest, str(part), part.format) == (base.version.digest, "llama@1", "safetensors")
    held = {str(path): base.manifest.file(path).digest for path in base.manifest.parts.weights.files}  # type: ignore[union-attr]
    listed = {str(path): made.manifest.file(path).digest for path in part.files}
    assert listed == {path.replace("weights/", "weights/base/"): digest for path, digest in held.items()}
    assert len(listed) == 3


def test_registering_an_adapter_costs_only_its_own_bytes(fresh: Project, folder: Path) -> None:
    registered(fresh, "llama", "llama")
    before = stored_bytes(fresh)
    assert before > BASE_BYTES
    registered(fresh, "churn-adapter", "lora", base="llama@1")
    assert 20_000 < stored_bytes(fresh) - before < 40_000
    assert fresh.store.check().ok


def test_nothing_of_the_base_is_read_or_copied(fresh: Project, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base may have hundreds of gigabytes: not even hashing them may come between a person and a number."""
    registered(fresh, "llama", "llama")
    base = find_base(Reference.parse("llama@1"), fresh.registry, fresh.store)
    read: list[Digest] = []
    real = LocalStore.pieces

    def noted(store: LocalStore, digest: Digest) -> Iterator[bytes]:
        read.append(digest)
        return real(store, digest)

    monkeypatch.setattr(LocalStore, "pieces", noted)
    registered(fresh, "churn-adapter", "lora", base="llama@1")
    assert not {entry.digest for entry in base.entries} & set(read)


def test_the_bundle_of_an_adapter_holds_both(fresh: Project, folder: Path, tmp_path: Path) -> None:
    registered(fresh, "llama", "llama")
    made = registered(fresh, "churn-adapter", "lora", base="llama@1")
    root = materialise(fresh.store, made.version.digest, tmp_path / "cache").root
    for name in ("model-1.safetensors", "model-2.safetensors", "config.json"):
        assert (root / "weights/base" / name).read_bytes() == (folder / "llama" / name).read_bytes()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (root / "weights" / name).read_bytes() == (folder / "lora" / name).read_bytes()
    assert "llama@1" in (root / "CARD.md").read_text()


def test_lineage_leads_from_an_adapter_to_its_base_and_back(fresh: Project, folder: Path) -> None:
    base = registered(fresh, "llama", "llama")
    made = registered(fresh, "churn-adapter", "lora", base="llama@1")
    for end in (base, made):
        (edge,) = fresh.registry.lineage("version", str(end.version.digest))
        assert (edge.child, edge.relation, edge.parent) == (
            str(made.version.digest), "delta_on", str(base.version.digest),
        )  # fmt: skip
    shown = explain(Reference.parse("churn-adapter@1"), fresh.registry, fresh.store).to_json()
    assert shown["parts"]["weights"]["base"]["digest"] == str(base.version.digest)
    assert shown["summary"]["base"] == "llama@1"


def test_whoever_needs_an_adapter_needs_the_files_of_its_base(fresh: Project, folder: Path) -> None:
    registered(fresh, "llama", "llama")
    made = registered(fresh, "churn-adapter", "lora", base="llama@1")
    unread: list[HoldfastError] = []
    needed = set(version_needs(made.version, fresh.store, fresh.registry, lambda _, error: unread.append(error)))
    assert {entry.digest for entry in made.manifest.files} <= needed
    assert {hash_bytes((folder / f"llama/model-{number}.safetensors").read_bytes()) for number in (1, 2)} <= needed
    assert unread == []


def test_an_adapter_on_another_base_is_another_version(fresh: Project, folder: Path) -> None:
    registered(fresh, "llama", "llama")
    registered(fresh, "llama", "llama/model-1.safetensors")
    one = registered(fresh, "churn-adapter", "lora", base="llama@1")
    other = registered(fresh, "churn-adapter", "lora", base="llama@2")
    assert (one.version.number, other.version.number) == (1, 2)
    assert base_of(other).digest != base_of(one).digest


@pytest.mark.parametrize("model", ["lora", "lora/adapter_model.safetensors"])
def test_an_adapter_whose_base_is_not_named_is_refused(fresh: Project, folder: Path, model: str) -> None:
    with pytest.raises(Incomplete, match="somebody/llama") as error:
        registered(fresh, "churn-adapter", model)
    assert "--base" in error.value.hint
    assert error.value.details == {"missing": ["weights"], "adapts": "somebody/llama"}
    assert fresh.registry.versions() == ()


def test_any_weights_may_be_a_delta_where_a_person_says_so(fresh: Project, folder: Path) -> None:
    registered(fresh, "llama", "llama")
    (folder / "delta.safetensors").write_bytes(weights(9, 100))
    made = registered(fresh, "llama", "delta.safetensors", base="llama@1")
    assert made.version.number == 2
    assert [str(path) for path in made.manifest.parts.weights.files] == ["weights/delta.safetensors"]  # type: ignore[union-attr]


def test_an_adapter_of_an_adapter_is_refused(fresh: Project, folder: Path) -> None:
    registered(fresh, "llama", "llama")
    registered(fresh, "churn-adapter", "lora", base="llama@1")
    with pytest.raises(UsageError, match="adapter itself, on llama@1") as error:
        registered(fresh, "more", "lora", base="churn-adapter@1")
    assert "Merge it" in error.value.hint


def test_a_base_that_cannot_be_one_is_refused(fresh: Project, folder: Path) -> None:
    registered(fresh, "empty", None)
    with pytest.raises(Incomplete, match="no weights"):
        registered(fresh, "churn-adapter", "lora", base="empty@1")
    with pytest.raises(NotFound):
        registered(fresh, "churn-adapter", "lora", base="llama@1")


def test_what_is_no_delta_takes_no_base(fresh: Project, folder: Path) -> None:
    registered(fresh, "llama", "llama")
    (folder / "lora/base").mkdir()
    (folder / "lora/base/more.json").write_text("{}")
    (folder / "model.joblib").write_bytes(b"an estimator")
    wrong: Any
    for wrong in (None, object(), "lora", "model.joblib"):
        with pytest.raises(UsageError):
            registered(fresh, "churn-adapter", wrong, base="llama@1")
    assert [version.model for version in fresh.registry.versions()] == [ModelName("llama")]


def test_a_base_that_can_run_code_makes_the_adapter_one_that_can(fresh: Project, folder: Path) -> None:
    (folder / "model.pt").write_bytes(b"a pickle")
    registered(fresh, "old", "model.pt")
    registered(fresh, "llama", "llama")
    for base, runs in (("old@1", True), ("llama@1", False)):
        part = registered(fresh, "churn-adapter", "lora", base=base).manifest.parts.weights
        assert isinstance(part, Weights)
        assert part.executes_code is runs


def test_a_base_whose_bytes_are_gone_stops_the_registration(fresh: Project, folder: Path) -> None:
    base = registered(fresh, "llama", "llama")
    entry = base.manifest.file(base.manifest.parts.weights.files[1])  # type: ignore[union-attr]
    store = Path(fresh.settings.store_url)
    (store / "damaged").mkdir(exist_ok=True)
    (store / "damaged" / entry.digest.hex).touch()
    with pytest.raises(NotFound, match="belongs to the base llama@1"):
        registered(fresh, "churn-adapter", "lora", base="llama@1")
    assert len(fresh.registry.versions()) == 1


def test_the_base_is_claimed_before_the_adapter_has_its_row(fresh: Project, folder: Path) -> None:
    base = registered(fresh, "llama", "llama")
    registered(fresh, "churn-adapter", "lora", base="llama@1")
    claims = Path(fresh.settings.store_url) / "claims"
    assert base.version.digest.hex in {path.name for path in claims.iterdir()}
