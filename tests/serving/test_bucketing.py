"""Which keys a share is made of: the published vectors, and the laws that make a rollout sticky."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.names import ModelName
from holdfast.serving.bucketing import WHOLE, bucket, salt_of, taken

VECTORS = json.loads((Path(__file__).parents[1] / "goldens" / "bucketing.json").read_text())

SHARES = st.integers(0, WHOLE)
TEXTS = st.text(max_size=40)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['salt']}:{vector['key']}")
def test_a_key_lies_where_the_published_vectors_say(vector: dict[str, object]) -> None:
    salt, key = str(vector["salt"]), str(vector["key"])
    assert bucket(salt, key) == vector["bucket"]
    assert [share for share in (1, 100, 1000, 2500, 5000, 9999) if taken(salt, key, share)] == vector["taken_by"]


@given(salt=TEXTS, key=TEXTS, less=SHARES, more=SHARES)
def test_raising_the_share_only_adds_keys(salt: str, key: str, less: int, more: int) -> None:
    less, more = sorted((less, more))
    assert not taken(salt, key, less) or taken(salt, key, more)


@given(salt=TEXTS, key=TEXTS)
def test_the_whole_takes_every_key_and_nothing_takes_none(salt: str, key: str) -> None:
    assert taken(salt, key, WHOLE)
    assert not taken(salt, key, 0)


def test_a_share_takes_its_part_of_the_keys_and_another_rollout_takes_others() -> None:
    keys = [f"user-{n}" for n in range(20_000)]
    first, second = salt_of(ModelName("churn"), 7), salt_of(ModelName("churn"), 9)
    mine = {key for key in keys if taken(first, key, 1_000)}
    theirs = {key for key in keys if taken(second, key, 1_000)}
    assert abs(len(mine) - 2_000) < 200
    assert abs(len(mine & theirs) - 200) < 80
