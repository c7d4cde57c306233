"""What is read from a manifest and its lock, so that a search can ask for it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from holdfast.canonical import Json, Reader, encode
from holdfast.digest import hash_bytes
from holdfast.errors import UnsupportedFormat
from holdfast.evidence import RunReference
from holdfast.manifest import Manifest
from holdfast.parts import Hyperparameters
from holdfast.registry import FACTS_MAX, Facts, facts_of
from holdfast.registry.ranks import rank
from tests.laws.samples import complete, incomplete

LOCK = """\
# made by nobody
Scikit_Learn==1.7.2 \\
    --hash=sha256:00
numpy[extra] == 1.26.0 ; python_version >= "3.11"
# torch==2.1.0+cu121
pandas>=2
"""


def with_params(values: dict[str, Json]) -> Manifest:
    manifest = complete()
    return replace(manifest, parts=replace(manifest.parts, hyperparameters=Hyperparameters(values)))


def test_a_whole_version_says_everything_that_is_asked_for() -> None:
    manifest = complete()
    found = facts_of(manifest, LOCK)
    numbers, texts = dict(found.numbers), set(found.texts)
    assert {name: value for name, value in numbers.items() if name.startswith("metrics.")} == {
        "metrics.recall": 0.75,
        "metrics.accuracy": 0.9,
        "metrics.loss": 0.3,
    }
    assert (numbers["params.C"], numbers["params.max_iter"]) == (0.1, 100.0)
    assert {("params.C", "0.1"), ("params.penalty", "l2"), ("params.class_weight", "null")} <= texts
    assert {name: text for name, text in texts if name.startswith("packages.")} == {
        "packages.python": "3.11.7",
        "packages.scikit-learn": "1.7.2",
        "packages.numpy": "1.26.0",
        "packages.torch": "2.1.0+cu121",
    }
    assert ("ranks.numpy", rank("1.26")) in texts
    data = [f"sha256:{digit * 64}" for digit in "12"]
    assert {(name, text) for name, text in texts if name.startswith("data")} == {
        *(("data", digest) for digest in data),
        ("data.train", data[0]),
        ("data.holdout", data[1]),
    }
    assert {text for name, text in texts if name == "file"} == {str(entry.digest) for entry in manifest.files}
    weights = str(hash_bytes(encode(manifest.parts.weights.to_json())))
    assert {("part", weights), ("part.weights", weights)} & texts == set()
    assert {("parts", weights), ("parts.weights", weights)} <= texts
    assert len([name for name, _ in texts if name.startswith("parts.")]) == 5


def test_what_is_missing_says_nothing() -> None:
    found = facts_of(incomplete(), "")
    assert found.numbers == ()
    assert {name.partition(".")[0] for name, _ in found.texts} == {"file", "parts"}


def test_tags_of_the_run_and_nested_params_are_named_by_their_paths() -> None:
    manifest = with_params({"model": {"depth": 3, "kind": {"name": "tree"}, "none": {}}, "sizes": [1, 2], "on": True})
    run = RunReference("r1", {"tags": {"team": "blue"}, "metrics": {"f1": "NaN", "loss": 1}})
    found = facts_of(replace(manifest, evidence=replace(manifest.evidence, run=run)), "")
    assert {name: value for name, value in found.numbers if name.startswith("params.")} == {"params.model.depth": 3.0}
    assert ("tags.team", "blue") in found.texts
    assert {
        ("params.model.kind.name", "tree"),
        ("params.model.none", "{}"),
        ("params.sizes", "[1,2]"),
        ("params.on", "true"),
    } <= set(found.texts)
    assert ("metrics.loss", 1.0) in found.numbers
    assert "metrics.f1" not in dict(found.numbers)


@pytest.mark.thorough
def test_what_is_past_the_limit_is_left_out_and_counted() -> None:
    found = facts_of(with_params({f"p{n}": n for n in range(FACTS_MAX)}), LOCK)
    assert len(found) == FACTS_MAX
    assert found.left_out > FACTS_MAX // 2
    assert dict(found.numbers)["metrics.recall"] == 0.75


def test_long_texts_are_cut_and_impossible_names_passed_over() -> None:
    found = facts_of(with_params({"long": "x" * 300, "x" * 300: 1, "a\nb": 1, "nul": "\0"}), "")
    texts = dict(found.texts)
    assert texts["params.long"] == "x" * 256
    assert [name for name in texts if name.startswith("params.")] == ["params.long"]


def test_facts_travel_as_they_are() -> None:
    found = facts_of(complete(), LOCK)
    assert Facts.from_json(Reader(found.to_json(), "facts")) == found


@pytest.mark.parametrize(
    "document",
    [
        {"numbers": [["a"]], "texts": [], "left_out": 0},
        {"numbers": [["a", "x"]], "texts": [], "left_out": 0},
        {"numbers": [], "texts": [3], "left_out": 0},
    ],
)
def test_what_are_no_facts_is_refused(document: dict[str, Json]) -> None:
    with pytest.raises(UnsupportedFormat):
        Facts.from_json(Reader(document, "facts"))


_RELEASES = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda some: ".".join(map(str, some)))
_VERSIONS = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "", "1!"]),
    _RELEASES,
    st.sampled_from(["", "", "a1", "b2", "rc1", ".rc3", "-alpha.4"]),
    st.sampled_from(["", "", ".post1", "-2", "rev3"]),
    st.sampled_from(["", "", ".dev1", "dev"]),
    st.sampled_from(["", "", "+cu121", "+a.1"]),
)


@given(_VERSIONS, _VERSIONS)
def test_ranks_sort_as_installers_sort_versions(one: str, other: str) -> None:
    first, second = (Version(Version(text).public) for text in (one, other))
    ranks = rank(one), rank(other)
    assert None not in ranks
    assert (str(ranks[0]) < str(ranks[1]), ranks[0] == ranks[1]) == (first < second, first == second)


@given(st.text(max_size=12))
def test_what_is_no_version_has_no_rank(text: str) -> None:
    try:
        Version(text)
    except ValueError:
        if text.isascii():
            assert rank(text) is None or text.strip() != text
