"""The manifest: one document, one digest, and no way to say anything else with it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from holdfast import manifest as module
from holdfast.canonical import encode
from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound, TooLarge, UnsupportedFormat, UsageError
from holdfast.manifest import MANIFEST_BYTES_MAX, FileEntry, Manifest, least_minor
from holdfast.names import RelativePath
from tests.laws.samples import adapter, complete, entries, frozen, incomplete, of_tomorrow, path
from tests.test_names import HOSTILE

Change = Callable[[Any], object]


def changed(change: Change, base: Manifest | None = None) -> bytes:
    document = (base or complete()).to_json()
    change(document)
    return encode(document)


def test_completeness_is_all_parts_and_the_required_evidence() -> None:
    assert complete().complete
    assert complete().missing() == ()
    assert not incomplete().complete
    assert [part.name for part in incomplete().missing()] == [
        "data_slice", "preprocessing_code", "hyperparameters", "eval_threshold",
        "environment", "schema", "metrics", "holdout",
    ]  # fmt: skip


def test_the_digest_covers_the_models_name() -> None:
    manifest = complete()
    other = replace(manifest, model=type(manifest.model)("fraud"))
    assert manifest.digest != other.digest
    assert manifest.digest == hash_bytes(manifest.encode())
    assert Manifest.parse(manifest.encode(), expected=manifest.digest) == manifest
    with pytest.raises(IntegrityError) as error:
        Manifest.parse(other.encode(), expected=manifest.digest)
    assert error.value.details == {"expected": str(manifest.digest), "found": str(other.digest)}


def test_one_flipped_bit_anywhere_is_found_by_the_digest() -> None:
    data, digest = complete().encode(), complete().digest
    for place in range(0, len(data), 97):
        flipped = bytearray(data)
        flipped[place] ^= 1
        with pytest.raises(IntegrityError):
            Manifest.parse(bytes(flipped), expected=digest)


def test_only_a_manifest_with_a_base_says_that_its_format_is_newer() -> None:
    """A version without one keeps the digest that it always had, whichever Holdfast registers it."""
    assert b'"format_version":"1.1"' in adapter().encode()
    assert [least_minor(one.parts, one.evidence) for one in (complete(), incomplete(), adapter())] == [0, 0, 1]
    assert b'"base"' not in complete().encode()


def test_only_a_version_without_side_effects_says_so_and_no_document_says_the_opposite() -> None:
    bare = complete()
    pure = replace(bare, side_effect_free=True, minor=least_minor(bare.parts, bare.evidence, side_effect_free=True))
    assert b'"format_version":"1.3"' in pure.encode()
    assert Manifest.parse(pure.encode()) == pure
    assert pure.digest != bare.digest
    assert b"side_effect" not in bare.encode()
    with pytest.raises(UnsupportedFormat, match="left out where it is not true"):
        Manifest.parse(pure.encode().replace(b'"side_effect_free":true', b'"side_effect_free":false'))


def test_wheels_are_named_as_data_is_and_only_they_make_the_format_newer() -> None:
    kept, bare = frozen(), complete()
    assert b'"format_version":"1.2"' in kept.encode()
    assert kept.snapshots() == (*bare.snapshots(), Digest("4" * 64))
    assert Manifest.parse(kept.encode()) == kept
    assert b'"wheels"' not in bare.encode()
    spoilt = kept.encode().replace(b"4" * 64, b"4" * 63)
    with pytest.raises(UnsupportedFormat):
        Manifest.parse(spoilt)


@pytest.mark.parametrize(
    "change",
    [
        lambda base: base.pop("digest"),
        lambda base: base.update(digest="3"),
        lambda base: base.update(model="../llama"),
        lambda base: base.update(number=0),
        lambda base: base.update(number="3"),
        lambda base: base.update(files=[]),
        lambda base: base.update(files=["weights/base/other.safetensors"]),
        lambda base: base.update(files=["../model.safetensors"]),
    ],
)
def test_a_base_that_cannot_be_is_refused(change: Change) -> None:
    with pytest.raises(UnsupportedFormat):
        Manifest.parse(changed(lambda document: change(document["parts"]["weights"]["base"]), adapter()))


def test_a_file_is_found_by_its_path() -> None:
    manifest = complete()
    for entry in manifest.files:
        assert manifest.file(entry.path) is entry
    for absent in ("a", "weights", "zzz", "weights/model.joblib/x"):
        with pytest.raises(NotFound, match=absent):
            manifest.file(path(absent))


def test_fields_of_a_newer_minor_format_are_kept_at_every_level() -> None:
    manifest = of_tomorrow()
    assert manifest.encode().count(b'"of tomorrow"') == 4 + 5 + 7 + 2
    assert Manifest.parse(manifest.encode()) == manifest
    assert manifest.minor == 7


@pytest.mark.parametrize(
    "version",
    [
        "2.0",
        "0.9",
        "1",
        "1.",
        ".0",
        "1.00",
        "1.01",
        "1.0.0",
        "1.-1",
        "1.x",
        "1.1234567",
        "1. 0",
        "1.\u0661",
        "01.0",
        "",
    ],
)
def test_another_major_or_no_format_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedFormat, match="this Holdfast reads"):
        Manifest.parse(changed(lambda document: document.update(format_version=version)))


@pytest.mark.parametrize("name", ["holdfast.tree", "", "holdfast.manifest2"])
def test_another_kind_of_document_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedFormat, match="this Holdfast reads"):
        Manifest.parse(changed(lambda document: document.update(format=name)))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"\xff", b"3", b'"x"', b"{" * 10_000, b'{"format":' * 10_000, b"\x00" * 100]
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        Manifest.parse(data)


def respelled(base: bytes) -> list[bytes]:
    text = base.decode()
    return [
        json.dumps(json.loads(text)).encode(),
        json.dumps(json.loads(text), separators=(",", ":"), sort_keys=False, ensure_ascii=True).encode() + b" ",
        text.replace('"rows":228', '"rows":228.0').encode(),
        text.replace('"rows":228', '"rows":2.28e2').encode(),
        text.replace('"churn"', '"\\u0063hurn"').encode(),
        text.replace('{"evidence"', '{"evidence":{},"evidence"', 1).encode(),
        text.replace('"value":0.42', '"value":0.42,"value":0.5').encode(),
        text.replace("0.42", "0.420").encode(),
        text.replace('"value":0.42', '"value":NaN').encode(),
        text.replace('"value":0.42', '"value":1e999').encode(),
        ("\ufeff" + text).encode(),
        text.encode("utf-16"),
    ]


def test_the_same_thing_spelled_otherwise_is_refused() -> None:
    base = complete().encode()
    for data in respelled(base):
        assert data != base
        with pytest.raises(UnsupportedFormat):
            Manifest.parse(data)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_a_hostile_path_is_refused_wherever_it_is_read(name: str) -> None:
    def everywhere(document: Any) -> list[Change]:
        return [
            lambda d: d["files"][0].update(path=name),
            lambda d: d["parts"]["weights"].update(files=[name]),
            lambda d: d["parts"]["preprocessing_code"].update(state=name),
            lambda d: d["evidence"]["environment"].update(lock=name),
            lambda d: d["evidence"]["holdout"].update(rows=name),
            lambda d: d["evidence"]["code"].update(patch=name),
            lambda d: d["evidence"]["card"].update(file=name),
        ]

    for change in everywhere(None):
        document = complete().to_json()
        change(document)
        data = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
        with pytest.raises(UnsupportedFormat):
            Manifest.parse(data)


@pytest.mark.parametrize(
    "extra",
    ["CON", "nul.txt", "a ", "a.", "cafe\u0301.txt", "what?.txt", "a:b", "holdfast.json", "Holdfast.JSON",
    "holdfast.json/x",
     "card.md", "CODE/features.py", "weights", "weights/model.joblib/x", "Weights/Model.joblib/x", "x" * 300],
)  # fmt: skip
def test_a_path_that_means_two_files_somewhere_is_refused(extra: str) -> None:
    files = tuple(sorted((*complete().files, FileEntry(RelativePath(extra), hash_bytes(b""), 0))))
    with pytest.raises(UsageError):
        replace(complete(), files=files)
    document = complete().to_json() | {"files": [entry.to_json() for entry in files]}
    with pytest.raises(UnsupportedFormat):
        Manifest.parse(encode(document))


def test_twins_in_unicode_are_one_file_and_refused() -> None:
    twins = {"é.txt": b"", "e\u0301.txt": b""}
    with pytest.raises(UsageError):
        replace(incomplete(), files=tuple(sorted((*incomplete().files, *entries(twins)))))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["files"].reverse(),
        lambda d: d["files"].append(d["files"][0]),
        lambda d: d["files"].pop(),
        lambda d: d["files"][0].update(size=-1),
        lambda d: d["files"][0].update(size=1.5),
        lambda d: d["files"][0].update(size=True),
        lambda d: d["files"][0].update(size=1e300),
        lambda d: d["files"][0].update(digest="sha1:" + "0" * 40),
        lambda d: d["files"][0].update(digest="0" * 64),
        lambda d: d["files"].append("x"),
        lambda d: d.update(files={}),
        lambda d: d.update(model="../churn"),
        lambda d: d.update(model=None),
        lambda d: d.update(parts=[]),
        lambda d: d["parts"].pop("eval_threshold"),
        lambda d: d["evidence"].pop("metrics"),
        lambda d: d["parts"]["weights"].update(files=[]),
        lambda d: d["parts"]["weights"].update(files="weights/model.joblib"),
        lambda d: d["parts"]["weights"].update(files=["weights/other.joblib"]),
        lambda d: d["parts"]["data_slice"].update(inputs=[]),
        lambda d: d["parts"]["hyperparameters"].update(sources={"C": 3}),
        lambda d: d["parts"]["eval_threshold"].update(value=None),
        lambda d: d["parts"]["eval_threshold"].update(value="0.5"),
        lambda d: d["parts"]["eval_threshold"].pop("positive"),
        lambda d: d["evidence"]["metrics"]["values"].update(recall="high"),
        lambda d: d["evidence"]["metrics"]["higher_is_better"].update(recall="yes"),
        lambda d: d["evidence"]["holdout"].update(snapshot="latest"),
        lambda d: d["evidence"]["schema"]["columns"].append(d["evidence"]["schema"]["columns"][0]),
        lambda d: d["evidence"]["schema"]["columns"][0].update(minimum="low"),
        lambda d: d["evidence"]["environment"].update(lock="environment/absent.lock"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_is_refused(change: Change) -> None:
    with pytest.raises(UnsupportedFormat):
        Manifest.parse(changed(change))


def test_a_huge_manifest_is_refused_before_it_is_read_and_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge) as error:
        Manifest.parse(b" " * (MANIFEST_BYTES_MAX + 1))
    assert error.value.details["limit"] == MANIFEST_BYTES_MAX
    monkeypatch.setattr(module, "MANIFEST_BYTES_MAX", 1000)
    with pytest.raises(TooLarge):
        complete().encode()


def test_a_bundle_of_too_many_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data, files = complete().encode(), complete().files
    monkeypatch.setattr(module, "BUNDLE_FILES_MAX", len(files) - 1)
    with pytest.raises(TooLarge):
        Manifest.parse(data)
    with pytest.raises(TooLarge):
        complete()


def test_floats_past_every_exact_integer_survive() -> None:
    found = Manifest.parse(complete().encode())
    assert found == complete()
    assert found.encode() == complete().encode()
    assert b'"bound":100000000000000000000' in complete().encode()


def test_the_entry_of_a_file_can_be_kept_in_a_set() -> None:
    assert len({*complete().files, *complete().files}) == len(complete().files)
