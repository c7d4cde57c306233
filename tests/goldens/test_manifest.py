"""The bytes of manifests, and therefore the names of versions, for ever."""

from collections.abc import Callable

import pytest

from holdfast.canonical import encode
from holdfast.digest import hash_bytes
from holdfast.manifest import Manifest
from tests.laws.samples import adapter, complete, frozen, incomplete, of_tomorrow

Golden = Callable[[str, bytes], None]

SAMPLES = {
    "numbers": [
        0,
        -0.0,
        1,
        1.0,
        0.1,
        1e20,
        1e21,
        1e-6,
        1e-7,
        5e-324,
        1.7976931348623157e308,
        333333333.33333329,
        2**53 - 1,
    ],
    "strings": ['€$\u000f\nA\'B"\\\\"/', "\u2028\u007f", "\U0001f600", "é", "e\u0301", ""],
    "fields": {"\ufb33": 7, "€": 5, "\r": 1, "1": 2, "\U0001f600": 6, "\x80": 3, "ö": 4, "": 0},
    "nesting": {"b": [{"z": None, "a": [True, False]}, []], "a": {}},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_canonical_json(golden: Golden, name: str) -> None:
    data = encode(SAMPLES[name])
    golden(f"canonical-{name}.json", data)
    golden(f"canonical-{name}.digest", f"{hash_bytes(data)}\n".encode())


@pytest.mark.parametrize(
    "make", [complete, incomplete, adapter, frozen, of_tomorrow], ids=lambda make: make.__name__.replace("_", "-")
)
def test_a_manifest(golden: Golden, make: Callable[[], Manifest]) -> None:
    manifest = make()
    name = make.__name__.replace("_", "-")
    golden(f"manifest-{name}.json", manifest.encode())
    golden(f"manifest-{name}.digest", f"{manifest.digest}\n".encode())
    assert Manifest.parse(manifest.encode()) == manifest
