"""Manifests of every format that ever was are read, say what they said, and are called what they were called."""

from pathlib import Path

import pytest

from holdfast.digest import Digest
from holdfast.manifest import Manifest

EXHIBITS = sorted((Path(__file__).parent / "museum").glob("v*/manifest-*.json"))

DIGESTS = {
    "v1/manifest-adapter.json": "sha256:d5cfaa6e6157a33ab46f4d05a0283b6aee096716dc90bd9243551527c7408efa",
    "v1/manifest-complete.json": "sha256:804cf3503d4e9822fa94f1abc84924205fc14aa954cefcf3a5e71acc0cf2fbe6",
    "v1/manifest-frozen.json": "sha256:41fb2f37fa70b427549968a94994bce7c9a24b93b1c84efe0b1a74d88597b252",
    "v1/manifest-incomplete.json": "sha256:17c4d60e6a21412fee6d3e6ac6abc98fb2118808e1962bd63918e7370ae4e11f",
    "v1/manifest-newer-minor.json": "sha256:d923ccdfe699abc4b356766a13b554a70fbd529a1dc7aea2c6108567f426eedd",
}


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def test_no_exhibit_is_lost() -> None:
    assert {name_of(path) for path in EXHIBITS} == set(DIGESTS)


@pytest.mark.parametrize("path", EXHIBITS, ids=name_of)
def test_an_exhibit_is_read_by_its_name_and_written_as_it_was(path: Path) -> None:
    data = path.read_bytes()
    manifest = Manifest.parse(data, expected=Digest.parse(DIGESTS[name_of(path)]))
    assert manifest.encode() == data
    assert str(manifest.digest) == DIGESTS[name_of(path)]


def test_they_say_what_they_said() -> None:
    folder = EXHIBITS[0].parent
    complete = Manifest.parse((folder / "manifest-complete.json").read_bytes())
    assert complete.complete
    assert str(complete.model) == "churn"
    assert complete.parts.to_json()["eval_threshold"]["value"] == 0.42
    assert complete.evidence.to_json()["metrics"]["values"] == {"accuracy": 0.9, "recall": 0.75}
    incomplete = Manifest.parse((folder / "manifest-incomplete.json").read_bytes())
    assert len(incomplete.missing()) == 8
    adapter = Manifest.parse((folder / "manifest-adapter.json").read_bytes())
    assert adapter.minor == 1
    assert adapter.parts.to_json()["weights"]["base"]["number"] == 3
    frozen = Manifest.parse((folder / "manifest-frozen.json").read_bytes())
    assert (frozen.minor, str(frozen.snapshots()[-1])) == (2, f"sha256:{'4' * 64}")
    newer = Manifest.parse((folder / "manifest-newer-minor.json").read_bytes())
    assert newer.minor == 7
    assert newer.extra["of tomorrow"]["note"] == "kept"
