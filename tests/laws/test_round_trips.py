"""What is written is what is read: every value that a manifest can hold, and every document that is accepted."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from holdfast.canonical import Reader, decode, encode
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, UnsupportedFormat
from holdfast.evidence import Evidence
from holdfast.manifest import FORMAT_MINOR, Manifest
from holdfast.names import ByDigest, ByNumber, BySemver, ByStage, ModelName, Reference, StageName, VersionNumber
from holdfast.parts import Parts
from tests.effort import examples
from tests.laws import values

slowly = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    deadline=None,
    max_examples=examples(40),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
"""A manifest takes milliseconds to make up and minutes to shrink."""


def through_bytes(value: Any) -> Any:
    return decode(encode(value), what="a value")


@given(values.json_values)
def test_a_value_is_read_as_it_was_written_and_written_as_it_was_read(value: Any) -> None:
    data = encode(value)
    assert decode(data, what="a value") == value
    assert encode(decode(data, what="a value")) == data
    assert json.loads(data, parse_int=float) == value


@slowly
@given(values.parts)
def test_parts_survive_their_json(parts: Parts) -> None:
    assert Parts.from_json(Reader(parts.to_json(), "parts")) == parts
    assert Parts.from_json(Reader(through_bytes(parts.to_json()), "parts")) == parts


@slowly
@given(values.evidence)
def test_evidence_survives_its_json(evidence: Evidence) -> None:
    assert Evidence.from_json(Reader(evidence.to_json(), "evidence")) == evidence
    assert Evidence.from_json(Reader(through_bytes(evidence.to_json()), "evidence")) == evidence


@slowly
@given(values.manifests())
def test_a_manifest_survives_its_bytes_with_all_that_it_does_not_know(manifest: Manifest) -> None:
    data = manifest.encode()
    found = Manifest.parse(data, expected=manifest.digest)
    assert found == manifest
    assert found.encode() == data
    assert found.digest == manifest.digest


def or_code(read: Callable[[Any], Any], given: Any) -> Any:
    """What is read, or the code of the error of ours that refused it; any other error fails the test."""
    try:
        return read(given)
    except HoldfastError as error:
        return error.code if error.hint else "no hint"


def inside(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all objects in a document."""
    found = [place] if isinstance(value, dict) else []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        found += inside(item, (*place, key))
    return found


def at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


@slowly
@given(values.manifests(), st.data())
def test_an_unknown_field_is_kept_wherever_it_stands(manifest: Manifest, data: st.DataObject) -> None:
    document = decode(manifest.encode(), what="a manifest")
    place = data.draw(st.sampled_from(inside(document)))
    typed = {"sources", "higher_is_better", "values"}
    if any(isinstance(key, str) and key in typed for key in place):
        return  # these are maps of the project's own names, where every field is known
    at(document, place)["zz field of tomorrow"] = {"kept": [1, None]}
    again = encode(document)
    assert Manifest.parse(again).encode() == again


@slowly
@given(values.manifests(), st.data())
def test_whatever_is_changed_is_refused_or_another_manifest(manifest: Manifest, data: st.DataObject) -> None:
    document = decode(manifest.encode(), what="a manifest")
    place = data.draw(st.sampled_from([place for place in inside(document) if at(document, place)]))
    key = data.draw(st.sampled_from(sorted(at(document, place))))
    new = data.draw(
        st.one_of(values.json_values, st.sampled_from(["../x", "/x", "sha256:", -1, 1.5, {}, [], [{}], ""]))
    )
    at(document, place)[key] = new
    bytes_now = encode(document)
    found = or_code(Manifest.parse, bytes_now)
    if isinstance(found, Manifest):
        assert found.encode() == bytes_now
        assert (found == manifest) == (bytes_now == manifest.encode())
    else:
        assert found in {"unsupported_format", "too_large"}


@slowly
@given(values.manifests(), st.data())
def test_no_other_spelling_of_a_manifest_is_accepted(manifest: Manifest, data: st.DataObject) -> None:
    spellings: list[bytes] = [
        json.dumps(decode(manifest.encode(), what="a manifest")).encode(),
        json.dumps(decode(manifest.encode(), what="a manifest"), indent=1, sort_keys=True).encode(),
        manifest.encode() + b"\n",
        b"\xef\xbb\xbf" + manifest.encode(),
        manifest.encode().decode().encode("utf-16"),
    ]
    other = data.draw(st.sampled_from(spellings))
    with pytest.raises(UnsupportedFormat):
        Manifest.parse(other)


@given(st.integers(0, 10_000_000))
def test_every_minor_format_is_read_and_every_other_major_is_refused(number: int) -> None:
    assert FORMAT_MINOR == 0
    document = decode(Manifest(ModelName("churn"), **_nothing(), files=()).encode(), what="a manifest")
    document["format_version"] = f"1.{number}"
    if number < 1_000_000:
        assert Manifest.parse(encode(document)).minor == number
    else:
        with pytest.raises(UnsupportedFormat):
            Manifest.parse(encode(document))
    document["format_version"] = f"{number + 2}.0"
    with pytest.raises(UnsupportedFormat, match=r"reads holdfast\.manifest 1\.x"):
        Manifest.parse(encode(document))


def _nothing() -> dict[str, Any]:
    empty = {"missing": "not here"}
    parts = ("weights", "data_slice", "preprocessing_code", "hyperparameters", "eval_threshold")
    evidence = ("environment", "schema", "metrics", "holdout", "run", "code", "card")
    return {
        "parts": Parts.from_json(Reader(dict.fromkeys(parts, empty), "parts")),
        "evidence": Evidence.from_json(Reader(dict.fromkeys(evidence, empty), "evidence")),
    }


@given(values.digests)
def test_a_digest_is_read_as_it_is_written(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest
    assert str(Digest.parse(str(digest))) == str(digest)


stage_names = values.names.filter(lambda name: name.count(".") != 2)
choices = st.one_of(
    st.integers(1, 999_999_999).map(lambda number: ByNumber(VersionNumber(number))),
    stage_names.map(StageName).map(ByStage),
    st.tuples(values.digests, st.integers(8, 64)).map(lambda both: ByDigest(f"sha256:{both[0].hex[: both[1]]}")),
    st.tuples(*[st.integers(0, 10**9 - 1)] * 3).map(lambda three: BySemver(".".join(map(str, three)))),
)


@given(st.builds(Reference, values.names.map(ModelName), choices))
def test_a_reference_is_read_as_it_is_written(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(f"models:/{reference}") == reference
    assert Reference.parse(f"models:/{reference.model}/{reference.choice}") == reference


@given(st.text())
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    found = or_code(Reference.parse, text)
    assert found == "usage" or Reference.parse(str(found)) == found
